//! Messages to us.

use std::cell::Cell;

use mqtt_embedded::mqtt_core::{
    AckKind, Connack, Delivery, Packet, PacketIdentifier, Properties, Property, Publish, TopicName,
};
use mqtt_embedded::{Clock as _, ConnectOptions, Error, Options, ProtocolVersion, QoS, ReasonCode, Status};

use crate::support::{Answer, Server, Small, Time, VERSIONS, Wire, options, play, play_in};

fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn publish<'a>(topic: &'a str, payload: &'a [u8], qos: QoS, number: u16) -> Packet<'a> {
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier: id(number), dup: false },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier: id(number), dup: false },
    };
    let topic = Some(TopicName::new(topic).unwrap());
    Packet::Publish(Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload })
}

#[test]
fn a_message_reaches_the_subscriber_with_all_that_came_with_it() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::accept(&wire, ProtocolVersion::V5_0, false).await;
        let filter = server.receive(|packet| match packet {
            Packet::Subscribe(subscribe) => {
                let filter = subscribe.filters.iter().next().unwrap();
                assert_eq!(filter.filter.as_str(), "cellar/+/cmd");
                subscribe.packet_identifier
            }
            other => panic!("{other:?}"),
        });
        let packet_identifier = filter.await;
        server.grant(packet_identifier, &[1]).await;
        let list = [Property::ResponseTopic("answers"), Property::CorrelationData(b"7")];
        server
            .send(&Packet::Publish(Publish {
                topic: Some(TopicName::new("cellar/lamp/cmd").unwrap()),
                delivery: Delivery::AtLeastOnce { packet_identifier: id(9), dup: true },
                retain: true,
                properties: Properties::new(&list),
                payload: b"on",
            }))
            .await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(ProtocolVersion::V5_0), &wire, server, async {
        let mut commands = client.subscribe("cellar/+/cmd", QoS::AtLeastOnce).unwrap();
        assert_eq!(commands.granted().await.unwrap().as_u8(), 1);
        let mut small = [0; 4];
        let error = commands.next(&mut small).await.unwrap().unwrap_err();
        let Error::BufferTooSmall { needed } = error else { panic!("{error}") };
        let mut buffer = vec![0; needed];
        let message = commands.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!((message.topic(), message.payload_str().unwrap()), ("cellar/lamp/cmd", "on"));
        assert_eq!((message.qos(), message.retain(), message.dup()), (QoS::AtLeastOnce, true, true));
        let properties: Vec<_> = message.properties().iter().collect();
        assert_eq!(properties, [Property::ResponseTopic("answers"), Property::CorrelationData(b"7")]);
        client.shutdown(1_000).await;
        assert!(commands.next(&mut buffer).await.is_none(), "the client has ended");
    });
}

#[test]
fn a_message_is_acknowledged_when_it_is_taken_and_not_before() {
    // [v5 MQTT-4.3.2-4] [v3 MQTT-4.3.2-2]
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let options = Options::new(ConnectOptions::new("pump-7").version(version));
        let taken = Cell::new(false);
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.send(&publish("a", b"1", QoS::AtLeastOnce, 5)).await;
            let acknowledged =
                server.receive(|packet| matches!(packet, Packet::Ack(ack) if ack.packet_identifier == id(5)));
            assert!(acknowledged.await);
            assert!(taken.get(), "PUBACK came before the message was taken");
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options, &wire, server, async {
            let mut messages = client.subscribe("a", QoS::AtLeastOnce).unwrap();
            resources.clock().sleep(2_000).await;
            taken.set(true);
            assert_eq!(messages.next(&mut [0; 64]).await.unwrap().unwrap().payload(), b"1");
            client.shutdown(1_000).await;
        });
    }
}

#[test]
fn forwarding_with_every_capacity_1_does_not_stand_still() {
    // Trap C3.
    use embassy_sync::blocking_mutex::raw::NoopRawMutex;
    use mqtt_embedded::{Resources, Sizes};

    for version in VERSIONS {
        let (wire, resources) =
            (Wire::default(), Resources::<NoopRawMutex, Time, Sizes<1, 128, 1, 64, 64, 1, 16>>::new(Time::default()));
        let client = resources.client();
        let options = Options::new(ConnectOptions::new("pump-7").version(version));
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            // The next one comes in front of the acknowledgement that the forwarding waits for.
            for number in 1..=20_u16 {
                server.send(&publish("in", b"x", QoS::AtMostOnce, number)).await;
                server.send(&publish("in", b"y", QoS::AtMostOnce, number)).await;
                server.serve_until(|packet| matches!(packet, Packet::Publish(_))).await;
            }
            server.serve(|_| Answer::Acknowledge).await;
        };
        play_in([64, 128], &resources, options, &wire, server, async {
            let mut messages = client.subscribe("in", QoS::AtLeastOnce).unwrap();
            for _ in 0..20 {
                let mut buffer = [0; 32];
                let payload = messages.next(&mut buffer).await.unwrap().unwrap().payload();
                client.publish("out", payload).unwrap().qos(QoS::ExactlyOnce).deliver().await.unwrap();
            }
            client.shutdown(1_000).await;
        });
    }
}

#[test]
fn a_payload_much_larger_than_the_buffer_comes_in_parts() {
    const LEN: usize = 1 << 20;
    for (version, qos) in [(ProtocolVersion::V5_0, QoS::ExactlyOnce), (ProtocolVersion::V3_1_1, QoS::AtLeastOnce)] {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let options = Options::new(ConnectOptions::new("pump-7").version(version).streaming(true));
        let server = async {
            let image: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.send(&publish("ota", &image, qos, 3)).await;
            server.send(&publish("ota", b"the end", QoS::AtMostOnce, 0)).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play_in([256, 128], &resources, options, &wire, server, async {
            let mut updates = client.subscribe("ota", QoS::ExactlyOnce).unwrap();
            let mut buffer = [0; 256];
            let head = updates.next(&mut buffer).await.unwrap().unwrap();
            assert_eq!((head.topic(), head.payload_len() as usize), ("ota", LEN));
            let mut len = 0;
            loop {
                match updates.read(&mut buffer).await.unwrap() {
                    0 => break,
                    part => {
                        for byte in &buffer[..part] {
                            assert_eq!(usize::from(*byte), len % 251);
                            len += 1;
                        }
                    }
                }
            }
            assert_eq!(len, LEN);
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload(), b"the end");
            client.shutdown(1_000).await;
        });
    }
}

#[test]
fn a_message_that_is_cut_in_the_middle_is_aborted_once_and_the_next_one_is_whole() {
    const LEN: usize = 2_000;
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let options = Options::new(ConnectOptions::new("pump-7").version(version).streaming(true));
        let server = async {
            let payload = [7; LEN];
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.wire.cut_own_after(1_000);
            server.send(&publish("ota", &payload, QoS::AtLeastOnce, 3)).await;
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.send(&publish("ota", &payload, QoS::AtLeastOnce, 3)).await;
            server.send(&publish("ota", b"small", QoS::AtLeastOnce, 4)).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play_in([256, 128], &resources, options, &wire, server, async {
            let mut updates = client.subscribe("ota", QoS::AtLeastOnce).unwrap();
            let mut buffer = [0; 256];
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload_len() as usize, LEN);
            let error = loop {
                if let Err(error) = updates.read(&mut buffer).await {
                    break error;
                }
            };
            assert_eq!(error, Error::Aborted);
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload_len() as usize, LEN);
            let mut len = 0;
            loop {
                match updates.read(&mut buffer).await.unwrap() {
                    0 => break,
                    part => len += part,
                }
            }
            assert_eq!(len, LEN);
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload(), b"small");
        });
    }
}

#[test]
fn a_payload_in_parts_that_is_not_read_in_time_comes_again() {
    const LEN: usize = 2_000;
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let client = resources.client();
            let server = async {
                let payload = [7; LEN];
                let mut server = Server::accept(&wire, version, false).await;
                server.subscribed().await;
                // In front of the acknowledgement that the reader waits for before he reads.
                server.serve_until_seen(|packet| matches!(packet, Packet::Publish(_))).await;
                server.send(&publish("ota", &payload, qos, 3)).await;
                server.acknowledge(AckKind::Puback, id(2)).await;
                let acknowledged = Cell::new(false);
                server
                    .serve(|packet| {
                        acknowledged.set(acknowledged.get() || matches!(packet, Packet::Ack(_)));
                        Answer::Acknowledge
                    })
                    .await;
                assert!(!acknowledged.get(), "nobody has read it");
                let mut server = Server::accept(&wire, version, true).await;
                server.send(&publish("ota", &payload, qos, 3)).await;
                server.serve(|_| Answer::Acknowledge).await;
            };
            let mut options = options(version);
            options.connect = options.connect.keep_session(true).streaming(true);
            play(&resources, options, &wire, server, async {
                let mut updates = client.subscribe("ota", QoS::ExactlyOnce).unwrap();
                updates.granted().await.unwrap();
                client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
                let mut buffer = [0; 256];
                let mut whole = false;
                while !whole {
                    let head = updates.next(&mut buffer).await.unwrap().unwrap();
                    assert_eq!(head.payload_len() as usize, LEN);
                    let mut len = 0;
                    whole = loop {
                        match updates.read(&mut buffer).await {
                            Ok(0) => break true,
                            Ok(part) => len += part,
                            Err(error) => {
                                assert_eq!(error, Error::Aborted);
                                break false;
                            }
                        }
                    };
                    assert!(!whole || len == LEN);
                }
                assert_eq!(client.statistics().dropped, 0);
            });
        }
    }
}

#[test]
fn a_payload_in_parts_at_qos_0_that_is_not_read_in_time_is_cut_off_and_counted() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            server.send(&publish("ota", &[7; 2_000], QoS::AtMostOnce, 0)).await;
            server.send(&publish("ota", b"next", QoS::AtMostOnce, 0)).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        let mut options = options(version);
        options.connect = options.connect.streaming(true);
        play(&resources, options, &wire, server, async {
            let mut updates = client.subscribe("ota", QoS::AtMostOnce).unwrap();
            resources.clock().sleep(6_000).await;
            let mut buffer = [0; 256];
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload_len(), 2_000);
            let mut len = 0;
            let error = loop {
                match updates.read(&mut buffer).await {
                    Ok(part) => len += part,
                    Err(error) => break error,
                }
            };
            assert_eq!(error, Error::Aborted);
            assert!((1..2_000).contains(&len), "{len} bytes had room");
            assert_eq!(updates.next(&mut buffer).await.unwrap().unwrap().payload(), b"next");
            assert_eq!((client.statistics().dropped, client.statistics().connections), (1, 1));
        });
    }
}

#[test]
fn a_reader_whose_filter_the_server_cannot_take_is_told() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::connecting(&wire, ProtocolVersion::V5_0).await;
        let properties = Properties::new(&[Property::WildcardSubscriptionAvailable(0)]);
        let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties };
        server.send(&Packet::Connack(connack)).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(ProtocolVersion::V5_0), &wire, server, async {
        client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
        resources.clock().sleep(1_000).await;
        let mut messages = client.subscribe("a/#", QoS::AtMostOnce).unwrap();
        let mut buffer = [0; 64];
        let told = resources.clock().timeout(10_000, messages.next(&mut buffer)).await;
        assert!(matches!(told, Some(None)), "{told:?}");
        assert!(resources.clock().now().as_millis() < 2_000, "at once");
    });
}
