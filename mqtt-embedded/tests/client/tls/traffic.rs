//! Messages through TLS, while everything around the reader is dropped.

use std::cell::{Cell, RefCell};

use embedded_io_async::Write as _;
use embedded_tls::{Aes128GcmSha256, TlsConfig, TlsConnection, TlsContext, UnsecureProvider};
use mqtt_embedded::mqtt_core::{Packet, Publish};
use mqtt_embedded::tls::TlsOptions;
use mqtt_embedded::{ProtocolVersion, QoS, Status};

use super::certificates::{Authority, now};
use super::terminator::{config, terminate};
use super::{NAME, play};
use crate::support::{Answer, Dice, Server, Small, Time, Wire, World};

#[test]
fn both_sides_have_certificates_and_messages_go_both_ways() {
    let ca = Authority::new("ca");
    let (server, device) = (ca.server(NAME), ca.client("lamp-1"));
    let key = device.key.to_sec1_der().unwrap();
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let tls = TlsOptions::with_ca(&ca.certificate, now).client_certificate(&device.chain[0], &key);
        let (wire, plain, resources) = (Wire::default(), Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let front = terminate(wire.clone(), plain.clone(), config(&server, Some(&ca)), time, 0);
        let server = async {
            let mut server = Server::accept(&plain, version, false).await;
            server.subscribed().await;
            server.publish_at_least_once("cellar/lamp", b"on", 1).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, version, tls, &wire, vec![Box::pin(front), Box::pin(server)], async {
            let mut lamp = client.subscribe("cellar/lamp", QoS::ExactlyOnce).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(lamp.next(&mut buffer).await.unwrap().unwrap().payload(), b"on");
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish("cellar/status", b"on").unwrap().qos(qos).deliver().await.unwrap();
            }
            client.shutdown(1_000).await;
        });
    }
}

#[test]
fn a_record_that_comes_in_single_bytes_loses_nothing_while_everything_else_is_dropped() {
    const IN: u16 = 60;
    let ca = Authority::new("ca");
    let server = ca.server(NAME);
    let tls = TlsOptions::with_ca(&ca.certificate, now);
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let (wire, plain, resources) = (Wire::default(), Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let arrived = RefCell::new(Vec::new());
        // A millisecond for each byte: a record with a message takes about 60, and the client's own futures live for 7 at the most.
        let front = terminate(wire.clone(), plain.clone(), config(&server, None), time.clone(), 1);
        let server = async {
            let mut server = Server::accept(&plain, version, false).await;
            let seen = |packet: &Packet<'_>| {
                if let Packet::Publish(Publish { payload, .. }) = packet {
                    arrived.borrow_mut().push(payload.to_vec());
                }
                matches!(packet, Packet::Subscribe(_))
            };
            server.serve_until(seen).await;
            let mut seen = |packet: &Packet<'_>| {
                seen(packet);
                Answer::Acknowledge
            };
            for number in 1..=IN {
                let payload = format!("{number}");
                server.publish_at_least_once("in", payload.as_bytes(), number).await;
                // Until the next message is due.
                let _ = time.timeout(40, async { while server.step_with(&mut seen).await {} }).await;
            }
            server.serve(seen).await;
        };
        let (accepted, dropped) = (RefCell::new(Vec::new()), Cell::new(0));
        let publish = async {
            for number in 0_u32.. {
                let payload = number.to_string().into_bytes();
                let publish = client.publish("out", &payload).unwrap().qos(QoS::AtLeastOnce);
                match time.timeout(u64::from(number % 7), publish.send()).await {
                    // Its receipt is dropped, often before the answer is there.
                    Some(receipt) => {
                        accepted.borrow_mut().push(payload.clone());
                        let _ = time.timeout(u64::from(number % 5), receipt.unwrap()).await;
                    }
                    None => dropped.set(dropped.get() + 1),
                }
                time.sleep(1).await;
            }
        };
        let received =
            play(&resources, version, tls, &wire, vec![Box::pin(front), Box::pin(server), Box::pin(publish)], async {
                let mut messages = client.subscribe("in", QoS::AtLeastOnce).unwrap();
                let (mut received, mut buffer, mut waits) = (Vec::new(), [0; 64], 0_u64);
                while received.len() < usize::from(IN) {
                    waits += 1;
                    if let Some(message) = time.timeout(waits % 4, messages.next(&mut buffer)).await {
                        received.push(message.unwrap().unwrap().payload_str().unwrap().to_owned());
                    }
                    let _ = time.timeout(1, client.wait_for(|status| status == Status::Closed)).await;
                }
                assert!(waits > 500, "only {waits} futures were dropped");
                received
            });
        let expected: Vec<_> = (1..=IN).map(|number| number.to_string()).collect();
        assert_eq!(received, expected, "{version:?}: all of them, in order");
        assert_eq!(client.statistics().connections, 1, "{version:?}: over one connection");
        let (accepted, arrived) = (accepted.borrow(), arrived.borrow());
        assert!(arrived.len() > 20 && dropped.get() > 100, "{version:?}: {} and {}", arrived.len(), dropped.get());
        assert_eq!(*arrived, accepted[..arrived.len()], "{version:?}: what was accepted has arrived, in order");
    }
}

#[test]
fn embedded_tls_by_itself_loses_bytes_when_a_read_is_dropped() {
    // Why the runner keeps one read alive for as long as the connection.
    let server = Authority::new("ca").server(NAME);
    let (wire, plain, time) = (Wire::default(), Wire::default(), Time::default());
    let mut world = World::new(&time);
    world.spawn(terminate(wire.clone(), plain.clone(), config(&server, None), time.clone(), 1));
    world.spawn(async {
        plain.accept().await.write_all(b"all of it").await.unwrap();
    });
    let mut buffer = [0; 64];
    let (first, second) = world.run(async {
        let (mut records_in, mut records_out) = ([0; 4096], [0; 2048]);
        let mut connection = TlsConnection::new(wire.dial(), &mut records_in, &mut records_out);
        let tls = TlsConfig::new().with_server_name(NAME);
        let provider = UnsecureProvider::new::<Aes128GcmSha256>(Dice);
        connection.open(TlsContext::new(&tls, provider)).await.unwrap();
        let first = time.timeout(20, connection.read(&mut buffer)).await;
        (first, time.timeout(10_000, connection.read(&mut buffer)).await)
    });
    assert!(first.is_none(), "a record takes longer: {first:?}");
    assert!(!matches!(second, Some(Ok(9))), "it is out of step: {second:?}");
}
