//! What `log` is told.

use std::cell::RefCell;

use mqtt_embedded::mqtt_core::Packet;
use mqtt_embedded::{ProtocolVersion, QoS, Status};

use crate::support::{Answer, Server, Small, Time, Wire, options, play};

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

#[test]
fn what_happens_to_a_connection_is_told_and_messages_are_not() {
    log::set_logger(&Keeper).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
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
