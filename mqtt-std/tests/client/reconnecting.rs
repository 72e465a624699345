//! A connection is lost, and another one takes its place.

use mqtt_core::AckKind;
use mqtt_std::{Client, QoS, ReasonCode, Status};

use super::support::*;

#[test]
fn subscriptions_are_renewed_when_the_session_is_lost_and_only_then() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            let (stream, _) = tokio::join!(client.subscribe("a/+", QoS::AtLeastOnce), link.grant("a/+ q1"));
            let mut stream = stream.unwrap();
            for present in [true, false, true, false] {
                drop(link);
                link = peer.welcome(present).await;
                if !present {
                    // trap S9
                    link.grant("a/+ q1").await;
                }
                link.publish("a/b", QoS::AtLeastOnce, 7, "x").await;
                link.expect("PUBACK #7").await;
                assert_eq!(next(&mut stream).await, "a/b x");
            }
        }
    });
}

#[test]
fn a_subscribe_under_way_is_asked_again() {
    // trap S3
    run(async || {
        for (version, present) in [(V5, true), (V5, false), (V3, false)] {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let mut subscribe = client.subscribe("a", QoS::AtLeastOnce).into_future();
            assert!(poll(&mut subscribe).is_pending());
            assert!(link.receive().await.starts_with("SUBSCRIBE"));
            drop(link);
            let mut link = peer.welcome(present).await;
            let (stream, _) = tokio::join!(subscribe, link.grant("a q1"));
            assert_eq!(stream.unwrap().granted().len(), 1);
        }
    });
}

#[test]
fn a_stream_dropped_while_away_is_not_renewed() {
    run(async || {
        for version in BOTH {
            for in_flight in [1, 2, 3, 10] {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(peer.options().in_flight(in_flight)).await;
                let (a, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
                let (b, _) = tokio::join!(client.subscribe("b", QoS::AtLeastOnce), link.grant("b q1"));
                let (_a, b) = (a.unwrap(), b.unwrap());
                drop(link);
                status(&client, |status| !is_connected(status)).await;
                drop(b);
                let mut link = peer.welcome(false).await;
                // What the broker makes of all requests, in their order.
                let mut subscribed = std::collections::BTreeSet::new();
                let (mut ended, mut published) = (false, false);
                let publish = client.publish("end", "").qos(QoS::AtLeastOnce).send();
                let answers = async {
                    // One is renewed, one ends, perhaps after it was renewed, and the message.
                    while !(subscribed.len() == 1 && ended && published) {
                        let line = link.receive().await;
                        let number = peer::number(&line);
                        let filter = line.split(' ').nth(2).unwrap().to_owned();
                        match line.split(' ').next().unwrap() {
                            "SUBSCRIBE" => {
                                subscribed.insert(filter);
                                link.suback(number, &[1]).await;
                            }
                            "UNSUBSCRIBE" => {
                                subscribed.remove(&filter);
                                ended = true;
                                link.unsuback(number, &[0]).await;
                            }
                            _ => {
                                published = true;
                                link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await;
                            }
                        }
                        // One answer at a time.
                        others().await;
                    }
                };
                let (receipt, ()) = tokio::join!(publish, answers);
                receipt.unwrap().await.unwrap();
                others().await;
                link.expect_nothing();
                assert_eq!(subscribed.into_iter().collect::<Vec<_>>(), ["a"], "{version:?} {in_flight}");
            }
        }
    });
}

#[test]
fn a_packet_that_was_cut_does_not_go_on_in_the_next_connection() {
    // trap R6
    run(async || {
        for version in BOTH {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(peer.options().keep_session()).await;
                let payload = "x".repeat(20_000_000);
                let _receipt = client.publish("t", payload.clone()).qos(qos).send().await.unwrap();
                link.read_some().await;
                drop(link);
                let mut link = peer.accept().await;
                let line = link.receive().await;
                assert!(line.starts_with("CONNECT"), "{line:.100}");
                link.connack(true, ReasonCode::SUCCESS).await;
                if qos == QoS::AtLeastOnce {
                    let line = link.receive().await;
                    assert!(line.starts_with("PUBLISH q1 #1 dup t") && line.len() > payload.len(), "{line:.100}");
                    link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
                }
                drop(client.publish("t", "next").send().await.unwrap());
                link.expect("PUBLISH q0 t \"next\"").await;
            }
        }
    });
}

#[test]
fn a_message_that_waits_for_a_full_stream_outlives_the_connection() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let tight = peer.options().stream_capacity(1).stall_timeout(LONG);
            let (client, mut link) = peer.connect(tight).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtMostOnce), link.grant("a q0"));
            let mut stream = stream.unwrap();
            link.publish("a", QoS::AtMostOnce, 0, "1").await;
            link.publish("a", QoS::AtMostOnce, 0, "2").await;
            until(|| client.statistics().received == 2).await;
            link.reset();
            // It does not read, so it finds out by writing.
            while is_connected(&client.status().borrow()) {
                let _ = client.publish("t", "x").try_send();
                others().await;
            }
            assert_eq!(next(&mut stream).await, "a 1");
            assert_eq!(next(&mut stream).await, "a 2");
        }
    });
}

#[test]
fn what_waits_unacknowledged_comes_once_at_qos_2_over_a_reconnect() {
    // trap Q1
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session().stream_capacity(1)).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::ExactlyOnce), link.grant("a q2"));
            let mut stream = stream.unwrap();
            for number in 1..=3 {
                link.publish("a", QoS::ExactlyOnce, number, &number.to_string()).await;
            }
            link.expect("PUBREC #1").await;
            until(|| client.statistics().received == 3).await;
            drop(link);
            let mut link = peer.welcome(true).await;
            for number in 1..=3 {
                link.publish_again("a", QoS::ExactlyOnce, number, &number.to_string()).await;
            }
            link.expect("PUBREC #1").await;
            for number in 1..=3 {
                assert_eq!(next(&mut stream).await, format!("a {number}"));
                if number < 3 {
                    link.expect(&format!("PUBREC #{}", number + 1)).await;
                }
            }
            link.publish("a", QoS::AtMostOnce, 0, "last").await;
            assert_eq!(next(&mut stream).await, "a last", "nothing came twice");
        }
    });
}

#[test]
fn a_broker_that_restarts_is_found_again() {
    run(async || {
        let mut broker = broker().await;
        for version in BOTH {
            let subscriber = Client::connect(options(&broker, version, "subscriber").keep_session()).await.unwrap();
            let mut stream = subscriber.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
            let publisher = connect(&broker, version, "publisher").await;
            for round in 0..3 {
                publisher.publish("t/1", format!("before {round}")).qos(QoS::ExactlyOnce).await.unwrap();
                assert_eq!(next(&mut stream).await, format!("t/1 before {round}"));
                broker.stop().await;
                let receipt = publisher.publish("t/2", format!("{round}")).qos(QoS::AtLeastOnce).send().await.unwrap();
                broker.resume().await.unwrap();
                receipt.await.unwrap();
                assert_eq!(next(&mut stream).await, format!("t/2 {round}"));
            }
            end(publisher).await;
            end(subscriber).await;
        }
    });
}

#[test]
fn a_client_that_is_cut_comes_back_with_its_session_or_without() {
    run(async || {
        let broker = broker().await;
        for (version, keep) in [(V5, true), (V5, false), (V3, true), (V3, false)] {
            let options = options(&broker, version, "client");
            let options = if keep { options.keep_session() } else { options };
            let client = Client::connect(options).await.unwrap();
            let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
            let other = connect(&broker, version, "other").await;
            for round in 1..=5 {
                assert!(broker.disconnect_client("client"));
                until(|| client.statistics().connections == round + 1).await;
                let now = status(&client, is_connected).await;
                let Status::Connected { session_present, .. } = now else { panic!("{now:?}") };
                // 5.0 resumes within its expiry; 3.1.1 only if it is told to keep.
                assert_eq!(session_present, keep || version == V5);
                until(|| broker.statistics().subscriptions == 1).await;
                other.publish("t", round.to_string()).qos(QoS::ExactlyOnce).await.unwrap();
                assert_eq!(next(&mut stream).await, format!("t {round}"));
            }
            drop(stream);
            end(client).await;
            end(other).await;
            let again = Client::connect(super::support::options(&broker, version, "client")).await.unwrap();
            end(again).await;
        }
    });
}

#[test]
fn a_goodbye_of_the_broker_is_told_once_with_its_reason() {
    // trap R7
    run(async || {
        let clock = Clock::stop();
        let mut broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        broker.shutdown().await;
        let waiting = status(&client, is_waiting).await;
        let reason = mqtt_std::ConnectionError::Disconnected(ReasonCode::SERVER_SHUTTING_DOWN);
        assert!(
            matches!(waiting, Status::Waiting { error: mqtt_std::Cause::Connection(found), .. } if found == reason),
            "{waiting:?}"
        );
        drop(clock);
    });
}
