//! What `log` is told.

use std::cell::RefCell;

use mqtt_embedded::mqtt_core::{Packet, TopicName};
use mqtt_embedded::{Properties, ProtocolVersion, QoS, Status, Will};

use crate::support::{Answer, Server, Small, Time, VERSIONS, Wire, options, play};

std::thread_local! {
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what this thread says.
struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        TOLD.with_borrow_mut(|told| told.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// From here on what this thread says is kept.
fn keep() {
    static KEEPER: std::sync::Once = std::sync::Once::new();
    KEEPER.call_once(|| {
        log::set_logger(&Keeper).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

#[test]
fn no_secret_and_no_message_is_told_at_any_level() {
    const SECRETS: [&str; 6] = ["hush-password", "hush-will", "hush-topic", "hush-payload", "hush-answer", "hush-name"];
    keep();
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            // Refused, then accepted, then lost in the middle of everything.
            let mut server = Server::connecting(&wire, version).await;
            server
                .send_bytes(if version == ProtocolVersion::V5_0 {
                    b"\x20\x03\x00\x89\x00"
                } else {
                    b"\x20\x02\x00\x03"
                })
                .await;
            let mut server = Server::accept(&wire, version, false).await;
            server.serve_until(|packet| matches!(packet, Packet::Publish(_))).await;
            server.publish_at_least_once("hush-topic", b"hush-answer", 1).await;
            server.send_bytes(&[0xFF; 20]).await;
            Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await;
        };
        let will = Will {
            topic: TopicName::new("hush-topic/status").unwrap(),
            payload: b"hush-will",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::EMPTY,
        };
        let mut options = options(version);
        options.connect = options.connect.user_name("hush-name").password(b"hush-password").will(will);
        options.backoff = options.backoff.retry_all(true).slow_minimum(100);
        // Nor by those who print the options.
        let shown = format!("{options:?}");
        assert!(!shown.contains("hush-password") && !shown.contains("hush-will"), "{shown}");
        play(&resources, options, &wire, server, async {
            let mut messages = client.subscribe("hush-topic", QoS::AtLeastOnce).unwrap();
            client.publish("hush-topic", b"hush-payload").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
            assert_eq!(messages.next(&mut [0; 256]).await.unwrap().unwrap().payload(), b"hush-answer");
            client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
            client.shutdown(1_000).await;
        });
        let told = TOLD.take();
        assert!(told.len() >= 4, "{told:?}");
        for secret in SECRETS {
            assert!(!told.iter().any(|line| line.contains(secret)), "{version:?}, {secret}: {told:?}");
        }
    }
}

#[test]
fn a_flood_that_is_dropped_is_one_line() {
    keep();
    let (wire, resources, version) = (Wire::default(), Small::new(Time::default()), ProtocolVersion::V5_0);
    let client = resources.client();
    let flood = b"\x30\x06\x00\x02in\x00x".repeat(1_000);
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        server.subscribed().await;
        server.send_bytes(&flood).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(version), &wire, server, async {
        let mut messages = client.subscribe("in", QoS::AtMostOnce).unwrap();
        resources.clock().sleep(20_000).await;
        assert_eq!((client.statistics().received, client.statistics().dropped), (1_000, 996));
        messages.next(&mut [0; 64]).await.unwrap().unwrap();
    });
    let told = TOLD.take();
    assert_eq!(told.iter().filter(|line| line.contains("dropped")).count(), 1, "{told:?}");
}

#[test]
fn what_happens_to_a_connection_is_told_and_messages_are_not() {
    keep();
    let (wire, resources, version) = (Wire::default(), Small::new(Time::default()), ProtocolVersion::V5_0);
    let client = resources.client();
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        let mut asked = None;
        server
            .serve_until_seen(|packet| match packet {
                Packet::Subscribe(subscribe) => {
                    asked = Some(subscribe.packet_identifier);
                    true
                }
                _ => false,
            })
            .await;
        server.grant(asked.unwrap(), &[0x87]).await;
        server.subscribed().await;
        for number in 1..=6 {
            server.publish_at_least_once("in", &[7; 100], number).await;
        }
        server.serve_until(|packet| matches!(packet, Packet::Publish(_))).await;
        server.wire.cut();
        Server::accept(&wire, version, true).await.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(version), &wire, server, async {
        let refused = client.subscribe("secret", QoS::AtLeastOnce).unwrap();
        refused.granted().await.unwrap_err();
        let mut messages = client.subscribe("in", QoS::AtLeastOnce).unwrap();
        resources.clock().sleep(6_000).await;
        client.publish("out", b"1").unwrap().qos(QoS::AtMostOnce).deliver().await.unwrap();
        client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
        client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
        let _ = messages.next(&mut [0; 256]).await;
    });
    let told = TOLD.take();
    let expected = [
        "connected, session present: false",
        "subscription refused: not authorized (0x87)",
        "inbox is full: messages will come again on another connection",
        "connection failed: transport is lost",
        "the server closed the connection; next attempt in 100 ms",
        "connected, session present: true",
    ];
    assert_eq!(told, expected);
}
