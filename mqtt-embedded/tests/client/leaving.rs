//! Readers that leave in the middle, and what they leave behind for the others.

use std::cell::{Cell, RefCell};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::mqtt_core::{Delivery, Packet, PacketIdentifier, Properties, Property, Publish, Sender, TopicName};
use mqtt_embedded::{Clock as _, Error, Options, ProtocolVersion, QoS, Resources, Sizes, Status};

use crate::support::{Answer, Dice, Server, Small, Time, VERSIONS, Wire, options, play};

fn publish<'a>(topic: &'a str, payload: &'a [u8], qos: QoS, number: u16) -> Packet<'a> {
    let delivery = match (qos, PacketIdentifier::new(number)) {
        (QoS::AtLeastOnce, Some(packet_identifier)) => Delivery::AtLeastOnce { packet_identifier, dup: false },
        (QoS::ExactlyOnce, Some(packet_identifier)) => Delivery::ExactlyOnce { packet_identifier, dup: false },
        _ => Delivery::AtMostOnce,
    };
    let topic = Some(TopicName::new(topic).unwrap());
    Packet::Publish(Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload })
}

/// In parts, with a session that is kept.
fn in_parts(version: ProtocolVersion) -> Options<'static> {
    let mut options = options(version);
    options.connect = options.connect.keep_session(true).streaming(true);
    options
}

#[test]
fn a_reader_that_leaves_in_the_middle_of_a_payload_leaves_no_part_of_it_in_the_inbox() {
    for version in VERSIONS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let (client, time, left) = (resources.client(), resources.clock(), Cell::new(false));
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                server.subscribed().await;
                server.subscribed().await;
                let whole = publish("ota", &[7; 3_000], qos, 3);
                let mut bytes = vec![0; 4_000];
                let len = whole.encode(version, Sender::Server, &mut bytes).unwrap();
                server.send_bytes(&bytes[..300]).await;
                while !left.get() {
                    time.sleep(10).await;
                }
                server.send_bytes(&bytes[300..len]).await;
                server.send(&publish("other", b"1", QoS::AtLeastOnce, 4)).await;
                server.send(&publish("other", b"2", QoS::AtMostOnce, 0)).await;
                server.serve(|_| Answer::Acknowledge).await;
            };
            play(&resources, in_parts(version), &wire, server, async {
                let mut updates = client.subscribe("ota", QoS::ExactlyOnce).unwrap();
                let mut others = client.subscribe("other", QoS::AtLeastOnce).unwrap();
                let mut buffer = [0; 256];
                assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload_len(), 3_000);
                drop(updates);
                left.set(true);
                let begun = time.now().as_millis();
                for payload in [b"1", b"2"] {
                    let message = time.timeout(30_000, others.next(&mut buffer)).await;
                    assert_eq!(message.expect("it has room").unwrap().unwrap().payload(), payload);
                }
                assert!(
                    time.now().as_millis() - begun < 1_000,
                    "{version:?} {qos:?}: nobody waits for one who has gone"
                );
                assert_eq!(client.statistics().connections, 1);
            });
        }
    }
}

#[test]
fn an_answer_in_parts_that_nobody_waits_for_any_more_takes_no_room() {
    let version = ProtocolVersion::V5_0;
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let (client, time) = (resources.client(), resources.clock());
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        let asked = RefCell::new(None);
        server
            .serve_until(|packet| {
                if let Packet::Publish(publish) = packet {
                    *asked.borrow_mut() = publish.properties.correlation_data().map(<[u8]>::to_vec);
                }
                asked.borrow().is_some()
            })
            .await;
        let data = asked.take().unwrap();
        server.answer("re", Some(&data), &[7; 3_000], 9).await;
        server.send(&publish("other", b"1", QoS::AtLeastOnce, 4)).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, in_parts(version), &wire, server, async {
        let mut others = client.subscribe("other", QoS::AtLeastOnce).unwrap();
        let requests = client.requests::<1>("re", &mut Dice).unwrap();
        requests.granted().await.unwrap();
        let mut buffer = [0; 256];
        let answer = requests.request("p", b"?").unwrap().answer(&mut buffer).await;
        assert!(matches!(answer, Err(Error::BufferTooSmall { needed: 3_000.. })), "{answer:?}");
        let message = time.timeout(4_000, others.next(&mut buffer)).await;
        assert_eq!(message.expect("it has room").unwrap().unwrap().payload(), b"1");
        assert_eq!(client.statistics().connections, 1);
    });
}

#[test]
fn a_payload_that_was_cut_off_is_aborted_also_where_the_next_one_finds_no_room() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock());
        // All places of the inbox are taken by small parts.
        *wire.piece.borrow_mut() = Some(60);
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.send(&publish("ota", &[7; 2_000], QoS::AtMostOnce, 0)).await;
            server.send(&publish("ota", &[8; 2_000], QoS::AtMostOnce, 0)).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, in_parts(version), &wire, server, async {
            let mut updates = client.subscribe("ota", QoS::AtMostOnce).unwrap();
            let mut buffer = [0; 256];
            time.sleep(20_000).await;
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload_len(), 2_000);
            let error = loop {
                let read = time.timeout(10_000, updates.read(&mut buffer)).await;
                if let Err(error) = read.expect("it is told in time") {
                    break error;
                }
            };
            assert_eq!(error, Error::Aborted);
        });
    }
}

#[test]
fn a_place_is_free_also_where_the_connection_was_lost_before_the_unsuback() {
    for version in VERSIONS {
        for present in [false, true] {
            let (wire, time) = (Wire::default(), Time::default());
            let resources = Resources::<NoopRawMutex, Time, Sizes<2, 96, 2, 128, 64, 1, 16>>::new(time.clone());
            let (client, seen) = (resources.client(), RefCell::new(Vec::new()));
            let server = async {
                let note = |packet: &Packet<'_>| match packet {
                    Packet::Subscribe(it) => {
                        seen.borrow_mut().extend(it.filters.iter().map(|it| format!("+{}", it.filter.as_str())));
                    }
                    Packet::Unsubscribe(it) => {
                        seen.borrow_mut().extend(it.filters.iter().map(|it| format!("-{}", it.as_str())));
                    }
                    _ => {}
                };
                let mut server = Server::accept(&wire, version, false).await;
                server
                    .serve_until_seen(|packet| {
                        note(packet);
                        matches!(packet, Packet::Unsubscribe(_))
                    })
                    .await;
                server.wire.cut();
                Server::accept(&wire, version, present)
                    .await
                    .serve(|packet| {
                        note(packet);
                        Answer::Acknowledge
                    })
                    .await;
            };
            play(&resources, in_parts(version), &wire, server, async {
                let first = client.subscribe("a", QoS::AtLeastOnce).unwrap();
                first.granted().await.unwrap();
                drop(first);
                client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
                client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
                time.sleep(1_000).await;
                let second = client.subscribe("b", QoS::AtLeastOnce).expect("the place is free");
                second.granted().await.unwrap();
            });
            println!("{version:?} {present} {seen:?}");
            let mut held = Vec::new();
            for line in seen.borrow().iter() {
                let (what, filter) = line.split_at(1);
                held.retain(|it| it != filter);
                if what == "+" {
                    held.push(filter.to_owned());
                }
            }
            assert_eq!(held, ["b"], "{version:?} {present}");
        }
    }
}

#[test]
fn a_reader_that_leaves_with_a_message_in_hand_holds_up_nobody_else() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let (client, acknowledged) = (resources.client(), RefCell::new(Vec::new()));
            let note = |packet: &Packet<'_>| {
                if let Packet::Ack(ack) = packet {
                    acknowledged.borrow_mut().push(ack.packet_identifier.number());
                }
                Answer::Acknowledge
            };
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                server.subscribed().await;
                server.subscribed().await;
                server.send(&publish("hand", b"0", qos, 3)).await;
                server.send(&publish("other", b"1", qos, 4)).await;
                server.serve(note).await;
                assert!(acknowledged.borrow().is_empty() && qos == QoS::AtLeastOnce, "{version:?} {qos:?}");
                let mut server = Server::accept(&wire, version, true).await;
                server.send(&publish("hand", b"0", qos, 3)).await;
                server.send(&publish("other", b"1", qos, 4)).await;
                server.serve(note).await;
            };
            play(&resources, in_parts(version), &wire, server, async {
                let mut hand = client.subscribe("hand", QoS::ExactlyOnce).unwrap().by_hand();
                let mut others = client.subscribe("other", QoS::ExactlyOnce).unwrap();
                let mut buffer = [0; 256];
                hand.next(&mut buffer).await.unwrap().unwrap();
                drop(hand);
                let mut hand = client.subscribe("hand", QoS::ExactlyOnce).unwrap();
                others.next(&mut buffer).await.unwrap().unwrap();
                if qos == QoS::AtLeastOnce {
                    assert_eq!(hand.next(&mut buffer).await.unwrap().unwrap().payload(), b"0", "it comes again");
                    others.next(&mut buffer).await.unwrap().unwrap();
                }
                resources.clock().sleep(1_000).await;
            });
            let mut acknowledged = acknowledged.take();
            acknowledged.dedup();
            assert!(acknowledged.starts_with(&[3, 4]), "{version:?} {qos:?} {acknowledged:?}");
        }
    }
}

#[test]
fn a_filter_whose_subscriber_has_gone_at_once_is_unsubscribed_from() {
    for version in VERSIONS {
        let (wire, time) = (Wire::default(), Time::default());
        let resources = Resources::<NoopRawMutex, Time, Sizes<2, 96, 2, 128, 64, 1, 16>>::new(time.clone());
        let (client, seen, asked) = (resources.client(), RefCell::new(Vec::new()), Cell::new(false));
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            let mut id = None;
            server
                .serve_until_seen(|packet| {
                    if let Packet::Subscribe(it) = packet {
                        id = Some(it.packet_identifier);
                    }
                    id.is_some()
                })
                .await;
            asked.set(true);
            time.sleep(100).await;
            server.grant(id.unwrap(), &[1]).await;
            server
                .serve(|packet| {
                    if let Packet::Unsubscribe(it) = packet {
                        seen.borrow_mut().extend(it.filters.iter().map(|it| it.as_str().to_owned()));
                    }
                    Answer::Acknowledge
                })
                .await;
        };
        play(&resources, in_parts(version), &wire, server, async {
            let first = client.subscribe("a", QoS::AtLeastOnce).unwrap();
            while !asked.get() {
                time.sleep(10).await;
            }
            drop(first);
            let second = client.subscribe("b", QoS::AtLeastOnce);
            time.sleep(1_000).await;
            let second = second.or_else(|_| client.subscribe("b", QoS::AtLeastOnce)).unwrap();
            second.granted().await.unwrap();
        });
        assert_eq!(*seen.borrow(), ["a"], "{version:?}");
    }
}

#[test]
fn properties_of_more_than_64_kib_are_handed_over_whole() {
    type Large = Sizes<2, 96, 4, 200_000, 64, 1, 16>;
    let version = ProtocolVersion::V5_0;
    let (wire, resources) = (Wire::default(), Resources::<NoopRawMutex, Time, Large>::new(Time::default()));
    let client = resources.client();
    let long = "x".repeat(40_000);
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        server.subscribed().await;
        let list = [Property::UserProperty("a", &long), Property::UserProperty("b", &long)];
        let (topic, delivery) = (Some(TopicName::new("t").unwrap()), Delivery::AtMostOnce);
        let properties = Properties::new(&list);
        server.send(&Packet::Publish(Publish { topic, delivery, retain: false, properties, payload: b"1" })).await;
        server.send(&publish("t", b"2", QoS::AtMostOnce, 0)).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    crate::support::play_in([100_000, 256], &resources, options(version), &wire, server, async {
        let mut messages = client.subscribe("t", QoS::AtMostOnce).unwrap();
        let mut buffer = vec![0; 100_000];
        let message = messages.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!((message.topic(), message.payload()), ("t", b"1".as_slice()));
        assert_eq!(message.properties().iter().count(), 2);
        let message = messages.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!((message.topic(), message.payload()), ("t", b"2".as_slice()));
    });
}

#[test]
fn an_idle_reader_does_not_starve_the_others_for_ever() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock());
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.subscribed().await;
            server.send(&publish("idle", b"0", QoS::AtLeastOnce, 100)).await;
            for number in 1..=4 {
                server.send(&publish("busy", &[number as u8; 200], QoS::AtLeastOnce, number)).await;
                time.sleep(10).await;
            }
            server.serve(|_| Answer::Acknowledge).await;
            let mut server = Server::accept(&wire, version, true).await;
            for number in 3..=4 {
                server.send(&publish("busy", &[number as u8; 200], QoS::AtLeastOnce, number)).await;
            }
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, in_parts(version), &wire, server, async {
            let _idle = client.subscribe("idle", QoS::AtLeastOnce).unwrap();
            let mut busy = client.subscribe("busy", QoS::AtLeastOnce).unwrap();
            let mut buffer = [0; 256];
            time.sleep(8_000).await;
            for number in 1..=4 {
                let message = time.timeout(60_000, busy.next(&mut buffer)).await;
                assert_eq!(message.expect("there is room").unwrap().unwrap().payload()[0], number);
            }
        });
    }
}
