//! Every public future is dropped at every await, with a peer that notes what is sent. trap C1

use std::sync::{Arc, Mutex};

use mqtt_core::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_std::one_shot::{self, Outgoing};
use mqtt_std::{Client, Options, QoS, Router};

use super::support::peer::Noted;
use super::support::*;

const QOS: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];

fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

/// A client with all bounds at 1, and what it sends.
async fn served(peer: &Peer) -> (Client, Noted) {
    let (client, link) = peer.connect(tight(peer.options())).await;
    (client, link.serve())
}

/// Ends the client and waits until the peer has seen it.
async fn over(client: Client, noted: &Noted) {
    end(client).await;
    until(|| noted.packets("closed") == 1).await;
    assert_eq!(noted.count("DISCONNECT 00"), 1);
}

#[test]
fn a_publish_is_sent_once_or_not_at_all() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            for qos in QOS {
                for waits in [false, true] {
                    let rounds = drop_at_every_await(async |cut| {
                        let (client, noted) = served(&peer).await;
                        // It takes the only place, so that the other waits for it.
                        let first = client.publish("first", "x").qos(qos);
                        let first = if waits { Some(first.send().await.unwrap()) } else { None };
                        let delivered = cut.run(client.publish("t", "cut").qos(qos)).await.map(Result::unwrap);
                        client.publish("t", "last").qos(qos).await.unwrap();
                        if let Some(first) = first {
                            first.await.unwrap();
                        }
                        over(client, &noted).await;
                        let sent = noted.count("t \"cut\"");
                        assert!(sent == 1 || sent == 0 && delivered.is_none(), "{:?}", noted.lines());
                        let others = noted.count("t \"last\"") + noted.count("first \"x\"");
                        assert_eq!(others, 1 + usize::from(waits), "{:?}", noted.lines());
                        assert_eq!(noted.packets("PUBREL"), if qos == ExactlyOnce { sent + others } else { 0 });
                    })
                    .await;
                    assert!(rounds >= if qos == AtMostOnce { 1 } else { 2 }, "{version:?} {qos:?} {rounds}");
                }
            }
        }
    });
}

#[test]
fn a_send_that_is_not_over_has_sent_nothing() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            for qos in [AtLeastOnce, ExactlyOnce] {
                let rounds = drop_at_every_await(async |cut| {
                    let (client, noted) = served(&peer).await;
                    let first = client.publish("first", "x").qos(qos).send().await.unwrap();
                    let accepted = cut.run(client.publish("t", "cut").qos(qos).send()).await;
                    first.await.unwrap();
                    let accepted = match accepted {
                        Some(receipt) => usize::from(receipt.unwrap().await.is_ok()),
                        None => 0,
                    };
                    over(client, &noted).await;
                    assert_eq!(noted.count("t \"cut\""), accepted, "{:?}", noted.lines());
                })
                .await;
                assert!(rounds >= 2, "{rounds}");
            }
        }
    });
}

#[test]
fn a_subscribe_is_undone() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            drop_at_every_await(async |cut| {
                let (client, noted) = served(&peer).await;
                let stream = cut.run(client.subscribe("cut", AtLeastOnce).and("cut/2", AtLeastOnce)).await;
                let granted = stream.is_some();
                drop(stream.map(Result::unwrap));
                // The place is free again.
                drop(client.subscribe("last", AtLeastOnce).await.unwrap());
                until(|| noted.packets("UNSUBSCRIBE") == noted.packets("SUBSCRIBE")).await;
                over(client, &noted).await;
                let (subscribed, unsubscribed) = (noted.count("cut q1, cut/2 q1"), noted.packets("UNSUBSCRIBE"));
                assert_eq!(unsubscribed, subscribed + 1, "{:?}", noted.lines());
                assert!(subscribed == 1 || !granted);
            })
            .await;
        }
    });
}

#[test]
fn an_unsubscribe_is_done_all_the_same() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            drop_at_every_await(async |cut| {
                let (client, noted) = served(&peer).await;
                let stream = client.subscribe("cut", AtLeastOnce).await.unwrap();
                assert!(cut.run(stream.unsubscribe()).await.is_none_or(|result| result.is_ok()));
                until(|| noted.packets("UNSUBSCRIBE") == 1).await;
                client.publish("last", "x").qos(AtLeastOnce).await.unwrap();
                over(client, &noted).await;
                assert_eq!(noted.packets("UNSUBSCRIBE"), 1, "{:?}", noted.lines());
            })
            .await;
        }
    });
}

#[test]
fn a_confirmation_is_there_later_too() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            drop_at_every_await(async |cut| {
                let (client, noted) = served(&peer).await;
                let mut stream = client.subscribe("t", AtLeastOnce).send().await.unwrap();
                drop(cut.run(stream.confirmed()).await);
                assert_eq!(stream.confirmed().await.unwrap().len(), 1);
                drop(stream);
                until(|| noted.packets("UNSUBSCRIBE") == 1).await;
                over(client, &noted).await;
            })
            .await;
        }
    });
}

#[test]
fn a_next_takes_a_message_or_leaves_it() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(tight(peer.options()).in_flight(100)).await;
                let (stream, _) = tokio::join!(client.subscribe("t", ExactlyOnce), link.grant("t q2"));
                let mut stream = stream.unwrap();
                let mut sent = 0;
                let mut received = 0;
                drop_at_every_await(async |cut| {
                    for _ in 0..3 {
                        sent += 1;
                        link.publish("t", qos, sent, &sent.to_string()).await;
                    }
                    if let Some(message) = cut.run(stream.next()).await {
                        received += 1;
                        assert_eq!(line(&message.unwrap()), format!("t {received}"), "{qos:?}");
                    }
                })
                .await;
                while received < sent {
                    received += 1;
                    assert_eq!(next(&mut stream).await, format!("t {received}"), "{qos:?}");
                }
                assert!(poll(&mut Box::pin(stream.next())).is_pending());
            }
        }
    });
}

#[test]
fn a_connect_leaves_no_connection() {
    run(async || {
        for version in BOTH {
            drop_at_every_await(async |cut| {
                let peer = Peer::new(version).await;
                let (options, all) = (peer.options(), Arc::new(Mutex::new(Vec::new())));
                let accepted = Arc::clone(&all);
                let accepting = tokio::spawn(async move {
                    loop {
                        let mut link = peer.accept().await;
                        if link.receive().await.starts_with("CONNECT") {
                            link.connack(false, mqtt_std::ReasonCode::SUCCESS).await;
                            accepted.lock().unwrap().push(link.serve());
                        }
                    }
                });
                let client = cut.run(Client::connect(options)).await;
                let connected = client.map(Result::unwrap).is_some();
                others().await;
                let noted: Vec<Noted> = all.lock().unwrap().clone();
                assert!(noted.len() == 1 || noted.is_empty() && !connected);
                for noted in noted {
                    until(|| noted.packets("closed") + noted.packets("reset") == 1).await;
                }
                accepting.abort();
            })
            .await;
        }
    });
}

#[test]
fn a_shutdown_ends_the_client_and_loses_nothing() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            drop_at_every_await(async |cut| {
                let (client, noted) = served(&peer).await;
                let receipt = client.publish("t", "x").qos(ExactlyOnce).send().await.unwrap();
                let ended = cut.run(client.shutdown(LONG)).await;
                assert!(ended.is_none_or(|end| end.unwrap().undelivered == 0));
                if !cut.polls() {
                    // Nothing was asked for.
                    end(client.clone()).await;
                }
                receipt.await.unwrap();
                until(|| noted.packets("closed") == 1).await;
                assert_eq!((noted.packets("PUBLISH"), noted.count("DISCONNECT 00")), (1, 1), "{:?}", noted.lines());
            })
            .await;
        }
    });
}

#[test]
fn a_request_is_sent_once_or_not_at_all() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            drop_at_every_await(async |cut| {
                let (client, noted) = served(&peer).await;
                drop(cut.run(client.requests()).await.map(Result::unwrap));
                until(|| noted.packets("UNSUBSCRIBE") == noted.packets("SUBSCRIBE")).await;
                over(client, &noted).await;
            })
            .await;
            let broker = broker().await;
            let responder = connect(&broker, version, "responder").await;
            let router = Router::new().on_request("echo", async |message, _| message.payload_bytes()).unwrap();
            tokio::spawn(router.subscribe(&responder).await.unwrap().run());
            let client = Client::connect(tight(options(&broker, version, "client"))).await.unwrap();
            let requests = client.requests().await.unwrap();
            let mut asked = 0;
            let rounds = drop_at_every_await(async |cut| {
                asked += 1;
                let answer = cut.run(requests.request("echo", asked.to_string()).qos(ExactlyOnce)).await;
                assert!(answer.is_none_or(|answer| answer.unwrap().payload_str().unwrap() == asked.to_string()));
                assert_eq!(requests.statistics().waiting, 0);
            })
            .await;
            assert!(rounds >= 2);
            let last = requests.request("echo", "last").await.unwrap();
            assert_eq!(last.payload_str().unwrap(), "last");
            until(|| client.statistics().received == router.statistics().handled).await;
            let statistics = requests.statistics();
            assert_eq!(statistics.answered + statistics.unknown, router.statistics().handled);
            assert!(router.statistics().handled <= asked + 1);
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn a_one_shot_ends_its_client() {
    run(async || {
        let broker = broker().await;
        let observer = connect(&broker, V5, "observer").await;
        let mut stream = observer.subscribe("t", ExactlyOnce).await.unwrap();
        for version in BOTH {
            let mut round = 0;
            let mut seen = 0;
            drop_at_every_await(async |cut| {
                round += 1;
                let message = Outgoing::new("t", round.to_string()).qos(ExactlyOnce);
                let published = cut.run(one_shot::publish(options(&broker, version, "client"), [message])).await;
                until(|| broker.statistics().connections == 1).await;
                observer.publish("t", "end").qos(ExactlyOnce).await.unwrap();
                let mut received = 0;
                loop {
                    let line = next(&mut stream).await;
                    if line == "t end" {
                        break;
                    }
                    assert_eq!(line, format!("t {round}"));
                    received += 1;
                }
                assert!(received == 1 || received == 0 && published.is_none());
                seen += received;
            })
            .await;
            assert!(seen >= 1);
        }
        end(observer).await;
    });
}

#[test]
fn a_router_unsubscribes_and_its_handlers_are_gone() {
    run(async || {
        for version in BOTH {
            for concurrency in [1, 2] {
                let peer = Peer::new(version).await;
                drop_at_every_await(async |cut| {
                    let (client, mut link) = peer.connect(tight(peer.options())).await;
                    // The message is there as soon as the subscription is.
                    let serving = tokio::spawn(async move {
                        let line = link.receive().await;
                        if line.starts_with("SUBSCRIBE") {
                            link.suback(peer::number(&line), &[1]).await;
                            link.publish("t", AtLeastOnce, 1, "x").await;
                        }
                        (line, link.serve())
                    });
                    let (inside, held) = (client.clone(), Arc::new(()));
                    let handler = Arc::clone(&held);
                    let router = Router::new().concurrency(concurrency).on("t", move |_, _| {
                        let (client, held) = (inside.clone(), Arc::clone(&handler));
                        async move {
                            client.publish("inside", "x").qos(ExactlyOnce).await.map(drop)?;
                            client.shutdown(LONG).await.map(|_| drop(held))
                        }
                    });
                    let router = router.unwrap();
                    let ended = cut.run(router.run(&client)).await;
                    assert!(ended.is_none_or(|end| end.is_ok()));
                    end(client).await;
                    let (line, noted) = serving.await.unwrap();
                    until(|| line.starts_with("DISCONNECT") || noted.packets("DISCONNECT") == 1).await;
                    assert!(noted.count("inside \"x\"") <= 1, "{:?}", noted.lines());
                    drop(router);
                    until(|| Arc::strong_count(&held) == 1).await;
                })
                .await;
            }
        }
    });
}

#[test]
fn a_one_shot_that_receives_takes_what_it_gives_and_no_more() {
    run(async || {
        for version in BOTH {
            let broker = broker().await;
            let kept = Outgoing::new("t", "kept").qos(ExactlyOnce).retain();
            one_shot::publish(options(&broker, version, "client"), [kept]).await.unwrap();
            drop_at_every_await(async |cut| {
                let receive = one_shot::receive(options(&broker, version, "client"), "t", ExactlyOnce);
                let messages = cut.run(receive).await.map(Result::unwrap);
                assert!(messages.is_none_or(|messages| messages.len() == 1));
                until(|| broker.statistics().connections == 0).await;
            })
            .await;
            drop_at_every_await(async |cut| {
                let mut calls = 0;
                let call = |message| core::ops::ControlFlow::Break(message);
                let listen = one_shot::listen(options(&broker, version, "client"), "t", ExactlyOnce, move |message| {
                    calls += 1;
                    assert_eq!(calls, 1);
                    call(message)
                });
                drop(cut.run(listen).await.map(Result::unwrap));
                until(|| broker.statistics().connections == 0).await;
            })
            .await;
        }
    });
}

#[test]
fn a_publish_over_a_lost_connection_is_one_message() {
    run(async || {
        for version in BOTH {
            for qos in [AtLeastOnce, ExactlyOnce] {
                let peer = Peer::new(version).await;
                let rounds = drop_at_every_await(async |cut| {
                    let options = tight(peer.options()).keep_session();
                    let (client, mut link) = tokio::join!(Client::connect(options), peer.welcome(true));
                    let client = client.unwrap();
                    let publisher = client.clone();
                    let serving = async {
                        let line = link.receive().await;
                        drop(link);
                        (line, peer.welcome(true).await.serve())
                    };
                    let publishing = async {
                        let publish = publisher.publish("t", "cut").qos(qos);
                        let published = cut.run(publish).await.map(Result::unwrap);
                        publisher.publish("t", "last").qos(qos).await.unwrap();
                        published.is_some()
                    };
                    let ((line, noted), published) = tokio::join!(serving, publishing);
                    over(client, &noted).await;
                    // Once anew and, with its mark, once again at most.
                    let cut_first = line.contains("\"cut\"");
                    let (sent, again) = (noted.count("t \"cut\""), noted.count("dup t \"cut\""));
                    assert_eq!(again, usize::from(cut_first), "{line} {:?}", noted.lines());
                    assert!(sent == again && (cut_first || !published), "{line} {:?}", noted.lines());
                    assert_eq!(noted.count("t \"last\""), 1, "{line} {:?}", noted.lines());
                    let kept = usize::from(cut_first) + 1;
                    assert_eq!(noted.packets("PUBREL"), if qos == ExactlyOnce { kept } else { 0 });
                })
                .await;
                assert!(rounds >= 2);
            }
        }
    });
}
