//! Connections come and go.

use std::cell::{Cell, RefCell};

use mqtt_embedded::mqtt_core::{Ack, AckKind, Connack, ConnectionError, Delivery, Packet, Properties, Publish};
use mqtt_embedded::{
    Backoff, Clock as _, ConnectOptions, Error, Failure, Fallback, Options, Outcome, ProtocolVersion, QoS, ReasonCode,
    Status,
};

use crate::support::{Answer, Server, Small, Time, VERSIONS, Wire, options, play, polled};

#[test]
fn a_message_at_every_qos_is_delivered_in_both_versions() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options(version), &wire, server, async {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish("cellar/pump", b"on").unwrap().qos(qos).deliver().await.unwrap();
            }
            client.shutdown(1_000).await;
            assert_eq!(client.status(), Status::Closed);
        });
    }
}

#[test]
fn what_was_in_flight_goes_on_over_a_new_connection_with_dup() {
    // [v5 MQTT-4.4.0-1] [v3 MQTT-4.4.0-1]
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let seen = RefCell::new(Vec::new());
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.serve_until_seen(|packet| matches!(packet, Packet::Publish(_))).await;
            server.wire.cut();
            let mut server = Server::accept(&wire, version, true).await;
            server
                .serve(|packet| {
                    if let Packet::Publish(Publish { delivery: Delivery::AtLeastOnce { dup, .. }, .. }) = packet {
                        seen.borrow_mut().push(*dup);
                    }
                    Answer::Acknowledge
                })
                .await;
        };
        let options = Options::new(ConnectOptions::new("pump-7").version(version).keep_session(true))
            .backoff(Backoff::new().minimum(100).maximum(100));
        play(&resources, options, &wire, server, async {
            client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
            assert_eq!(client.statistics().connections, 2);
        });
        assert_eq!(*seen.borrow(), [true], "{version:?}");
    }
}

#[test]
fn an_idle_connection_is_kept_alive_and_a_dead_one_is_found() {
    // Traps K3, K6, and "no_pingresp" on devices.
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let pings = Cell::new(0);
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server
                .serve(|packet| {
                    if matches!(packet, Packet::Pingreq) {
                        pings.set(pings.get() + 1);
                        if pings.get() > 10 {
                            return Answer::Nothing; // half-open from here on
                        }
                    }
                    Answer::Acknowledge
                })
                .await;
        };
        play(&resources, options(version), &wire, server, async {
            let failed = client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
            assert_eq!(failed, Status::Waiting(Failure::Connection(ConnectionError::PingrespTimeout)));
            // Ten answered intervals of three quarters, one more, and the time for its answer.
            let seconds = time.now().as_millis() / 1_000;
            assert!((220..=280).contains(&seconds), "after {seconds} s");
        });
    }
}

#[test]
fn subscriptions_are_renewed_where_the_server_lost_the_session() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let subscribed = Cell::new(0);
        let server = async {
            for _ in 0..2 {
                let mut server = Server::accept(&wire, version, false).await;
                server.subscribed().await;
                subscribed.set(subscribed.get() + 1);
                if subscribed.get() == 1 {
                    server.wire.cut();
                } else {
                    server.serve(|_| Answer::Acknowledge).await;
                }
            }
        };
        play(&resources, options(version), &wire, server, async {
            let messages = client.subscribe("a/#", QoS::AtLeastOnce).unwrap();
            messages.granted().await.unwrap();
            client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
            while subscribed.get() < 2 {
                resources.clock().sleep(10).await;
            }
        });
    }
}

#[test]
fn a_refusal_that_time_does_not_mend_ends_the_client_and_every_wait() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::connecting(&wire, ProtocolVersion::V5_0).await;
        let reason_code = ReasonCode::BAD_USER_NAME_OR_PASSWORD;
        let connack = Connack { session_present: false, reason_code, properties: Properties::EMPTY };
        server.send(&Packet::Connack(connack)).await;
        std::future::pending::<()>().await;
    };
    play(&resources, options(ProtocolVersion::V5_0), &wire, server, async {
        let receipt = client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).send().await.unwrap();
        assert_eq!(receipt.await, Err(Error::NotDelivered(Outcome::NotSent)));
        assert_eq!(client.status(), Status::Closed);
        let late = client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).send().await;
        assert_eq!(late.unwrap_err(), Error::Closed);
    });
}

#[test]
fn a_server_that_does_not_speak_5_0_is_spoken_to_in_3_1_1() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::connecting(&wire, ProtocolVersion::V5_0).await;
        server.send_bytes(&[0x20, 2, 0, 1]).await;
        let mut server = Server::accept(&wire, ProtocolVersion::V3_1_1, false).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    let options = options(ProtocolVersion::V5_0).fallback(Fallback::ON);
    play(&resources, options, &wire, server, async {
        client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
    });
}

#[test]
fn a_shutdown_over_a_dead_link_takes_no_longer_than_it_may() {
    // Trap C9.
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let server = async {
            let _server = Server::accept(&wire, version, false).await;
            std::future::pending::<()>().await; // takes everything, answers nothing
        };
        play(&resources, options(version), &wire, server, async {
            client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
            let receipt = client.publish("t", b"1").unwrap().qos(QoS::ExactlyOnce).send().await.unwrap();
            let begun = time.now();
            client.shutdown(2_000).await;
            client.shutdown(2_000).await;
            let took = time.now().millis_since(begun);
            assert!((2_000..3_000).contains(&took), "{took} ms");
            assert_eq!(receipt.await, Err(Error::NotDelivered(Outcome::Unknown)));
        });
    }
}

#[test]
fn receipts_that_nobody_looks_at_are_an_error_and_not_a_wait_without_end() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::accept(&wire, ProtocolVersion::V5_0, false).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(ProtocolVersion::V5_0), &wire, server, async {
        let publish = || client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).send();
        let mut kept = Vec::new();
        for _ in 0..4 {
            kept.push(publish().await.unwrap());
        }
        assert_eq!(publish().await.unwrap_err(), Error::ReceiptsFull);
        kept.pop();
        publish().await.unwrap();
    });
}

#[test]
fn what_the_transmit_buffer_cannot_hold_fails_alone() {
    // Trap R4.
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options(version), &wire, server, async {
            let long = "t".repeat(260);
            let publish = |topic| client.publish(topic, b"1").unwrap().qos(QoS::AtLeastOnce).send();
            let (first, second) = (publish(&long).await.unwrap(), publish("t").await.unwrap());
            assert_eq!(first.await, Err(Error::NotDelivered(Outcome::GivenUp)));
            assert!(second.await.is_ok());
            assert_eq!(client.statistics().connections, 1);
        });
    }
}

#[test]
fn every_future_can_be_dropped_at_every_await() {
    // Trap C1: whatever is dropped, the next command works, and nothing is taken twice.
    for version in VERSIONS {
        for cut in 1..12 {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let client = resources.client();
            let received = RefCell::new(Vec::new());
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                let mut sent = false;
                loop {
                    let mut subscribe = false;
                    let there = server
                        .step_with(&mut |packet| {
                            subscribe = matches!(packet, Packet::Subscribe(_));
                            if let Packet::Publish(publish) = packet {
                                received.borrow_mut().push(publish.payload.to_vec());
                            }
                            Answer::Acknowledge
                        })
                        .await;
                    if !there {
                        return;
                    }
                    if subscribe && !sent {
                        sent = true;
                        for number in 0..3 {
                            server.publish_at_least_once("in", &[number], u16::from(number) + 1).await;
                        }
                    }
                }
            };
            play(&resources, options(version), &wire, server, async {
                // Dropped, they are published once or not at all.
                for number in 0..3_u8 {
                    let payload = [number];
                    let publish = client.publish("out", &payload).unwrap().qos(QoS::ExactlyOnce);
                    let _ = polled(publish.deliver(), cut).await;
                }
                let mut messages = client.subscribe("in", QoS::AtLeastOnce).unwrap();
                let _ = polled(messages.granted(), cut).await;
                let mut taken = Vec::new();
                let mut buffer = [0; 64];
                while taken.len() < 3 {
                    if let Some(message) = polled(messages.next(&mut buffer), cut).await {
                        taken.push(message.unwrap().unwrap().payload()[0]);
                    }
                }
                assert_eq!(taken, [0, 1, 2], "cut {cut}: each once, in order");
                let _ = polled(client.wait_for(|status| status == Status::Closed), cut).await;
                client.publish("out", b"last").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
                let _ = polled(client.shutdown(1_000), cut).await;
                client.wait_for(|status| status == Status::Closed).await;
            });
            let mut received = received.into_inner();
            assert_eq!(received.pop().unwrap(), b"last");
            let mut once = received.clone();
            once.dedup();
            assert_eq!(received, once, "cut {cut}: none came twice");
        }
    }
}

#[test]
fn a_link_that_is_cut_at_every_byte_loses_and_doubles_nothing() {
    for version in VERSIONS {
        for cut in 1..60 {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let client = resources.client();
            let (arrived, unreleased) = (RefCell::new(Vec::new()), RefCell::new(std::collections::BTreeSet::new()));
            let server = async {
                let mut present = false;
                loop {
                    let mut server = Server::accept(&wire, version, present).await;
                    if !present {
                        server.wire.cut_after(cut);
                    }
                    present = true;
                    server
                        .serve(|packet| {
                            match packet {
                                Packet::Publish(Publish { delivery, payload, .. }) => {
                                    let id = delivery.packet_identifier().unwrap();
                                    if unreleased.borrow_mut().insert(id) {
                                        arrived.borrow_mut().push(payload.to_vec());
                                    }
                                }
                                Packet::Ack(Ack { kind: AckKind::Pubrel, packet_identifier, .. }) => {
                                    unreleased.borrow_mut().remove(packet_identifier);
                                }
                                _ => {}
                            }
                            Answer::Acknowledge
                        })
                        .await;
                }
            };
            let options = Options::new(ConnectOptions::new("pump-7").version(version).keep_session(true))
                .backoff(Backoff::new().minimum(100).maximum(100));
            play(&resources, options, &wire, server, async {
                for payload in [b"1", b"2", b"3"] {
                    client.publish("t", payload).unwrap().qos(QoS::ExactlyOnce).deliver().await.unwrap();
                }
            });
            assert_eq!(*arrived.borrow(), [b"1", b"2", b"3"], "{version:?}, cut after {cut} bytes");
        }
    }
}
