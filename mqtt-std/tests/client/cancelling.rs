//! Every future is dropped after each number of polls. trap C1

use std::collections::BTreeMap;

use mqtt_std::{Client, Options, QoS};

use super::support::*;

const POLLS: usize = 8;
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

#[test]
fn a_publish_that_is_dropped_is_published_once_or_not_at_all() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let observer = connect(&broker, version, "observer").await;
            let mut stream = observer.subscribe("t", QoS::ExactlyOnce).await.unwrap();
            for options in [options(&broker, version, "client"), tight(options(&broker, version, "client"))] {
                let client = Client::connect(options).await.unwrap();
                for qos in QOS {
                    let mut delivered = Vec::new();
                    for round in 0..5 {
                        for polls in 0..POLLS {
                            let payload = format!("{round} {polls}");
                            let publish = client.publish("t", payload.clone()).qos(qos);
                            if drop_after(polls, publish.into_future()).await.is_some_and(|result| result.is_ok()) {
                                delivered.push(payload);
                            }
                        }
                    }
                    client.publish("t", "last").qos(qos).await.unwrap();
                    let mut received = BTreeMap::new();
                    loop {
                        let message = stream.next().await.unwrap();
                        let payload = message.payload_str().unwrap().to_owned();
                        if payload == "last" {
                            break;
                        }
                        assert_eq!(received.insert(payload, ()), None, "{qos:?}: {message:?} came twice");
                    }
                    for payload in delivered {
                        assert!(received.contains_key(&payload), "{qos:?}: {payload} was lost");
                    }
                }
                end(client).await;
            }
            end(observer).await;
        }
    });
}

#[test]
fn a_publish_that_waits_and_is_dropped_leaves_its_turn_to_the_next() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(tight(peer.options())).await;
        let _first = client.publish("t", "first").qos(QoS::AtLeastOnce).send().await.unwrap();
        let publish = |payload| Box::pin(client.publish("t", payload).qos(QoS::AtLeastOnce).send());
        let (mut second, mut third) = (publish("second"), publish("third"));
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(second);
        link.expect("PUBLISH q1 #1 t \"first\"").await;
        link.ack(mqtt_core::AckKind::Puback, 1, mqtt_std::ReasonCode::SUCCESS).await;
        let _receipt = third.await.unwrap();
        link.expect("PUBLISH q1 #2 t \"third\"").await;
    });
}

#[test]
fn a_subscribe_that_is_dropped_is_undone() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            for options in [options(&broker, version, "client"), tight(options(&broker, version, "client"))] {
                let client = Client::connect(options).await.unwrap();
                for polls in 0..POLLS {
                    let subscribed = drop_after(polls, client.subscribe("t", QoS::AtLeastOnce).into_future()).await;
                    drop(subscribed);
                }
                // What comes behind is done when all before it is.
                let mut stream = client.subscribe("last", QoS::AtLeastOnce).await.unwrap();
                until(|| broker.statistics().subscriptions == 1).await;
                client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
                client.publish("last", "x").qos(QoS::AtLeastOnce).await.unwrap();
                assert_eq!(next(&mut stream).await, "last x");
                assert_eq!(client.statistics().unrouted, 0);
                end(client).await;
            }
        }
    });
}

#[test]
fn a_next_that_is_dropped_loses_no_message() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            for qos in QOS {
                let client = Client::connect(options(&broker, version, "client").stream_capacity(1)).await.unwrap();
                let other = connect(&broker, version, "other").await;
                let mut stream = client.subscribe("t", qos).await.unwrap();
                let publish = async {
                    for number in 0..100 {
                        other.publish("t", number.to_string()).qos(qos).await.unwrap();
                    }
                };
                let read = async {
                    let mut received: Vec<u32> = Vec::new();
                    for polls in (0..POLLS).cycle() {
                        if let Some(message) = drop_after(polls, stream.next()).await {
                            received.push(message.unwrap().payload_str().unwrap().parse().unwrap());
                        }
                        if received.len() == 100 {
                            break;
                        }
                    }
                    received
                };
                let ((), received) = tokio::join!(publish, read);
                assert_eq!(received, (0..100).collect::<Vec<_>>());
                end(client).await;
                end(other).await;
            }
        }
    });
}

#[test]
fn a_connect_that_is_dropped_leaves_nothing_behind() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            for polls in 0..20 {
                drop(drop_after(polls, Client::connect(options(&broker, version, "client"))).await);
                until(|| broker.statistics().connections == 0).await;
            }
        }
    });
}

#[test]
fn a_shutdown_that_is_dropped_ends_the_client_all_the_same() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            for polls in 1..POLLS {
                let client = connect(&broker, version, "client").await;
                let receipt = client.publish("t", "x").qos(QoS::ExactlyOnce).send().await.unwrap();
                drop(drop_after(polls, client.shutdown(LONG)).await);
                receipt.await.unwrap();
                status(&client, is_closed).await;
                until(|| broker.statistics().connections == 0).await;
            }
            // Never polled: nothing was asked for.
            let client = connect(&broker, version, "client").await;
            drop(drop_after(0, client.shutdown(LONG)).await);
            client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
            end(client).await;
        }
    });
}
