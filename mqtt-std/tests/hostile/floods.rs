//! More than was asked for: what the client keeps of it is bounded, whoever reads or does not.

use core::time::Duration;
use std::sync::mpsc;

use mqtt_core::Property;
use mqtt_std::{Cause, QoS};

use super::log;
use super::support::*;

/// Sends these again and again as long as the client takes them, and no longer than a minute in which it does not.
async fn flood(wire: &mut Wire, times: u32, packet: impl Fn(u32) -> Vec<u8>) -> u32 {
    for number in 0..times {
        let sent = tokio::time::timeout(60 * SECOND, wire.write(&packet(number))).await;
        if sent != Ok(true) {
            return number;
        }
    }
    times
}

#[test]
fn at_qos_0_a_stream_that_nobody_reads_holds_its_bytes_and_no_more() {
    // From 32 to 256 KiB a message may take twice its bytes: buffers are used again.
    for (len, times, most) in [(300_000, 300, 7 * MIB), (33_000, 500, 10 * MIB), (10, 20_000, MIB)] {
        for version in BOTH {
            let peak = peak(async || {
                let lair = Lair::new(version);
                let options = lair.options().stream_bytes(4 << 20);
                let (client, mut wire) = lair.connect(options, &[]).await;
                let (_stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), wire.grant());
                let packet = publish(version, 0, "t", 0, &[], &vec![7; len]);
                assert_eq!(flood(&mut wire, times, |_| packet.clone()).await, times);
                assert!(client.statistics().dropped > 200);
            });
            assert!(peak < most, "{version:?}: {peak} bytes of {times} times {len}");
        }
    }
}

#[test]
fn above_qos_0_what_waits_beyond_a_full_stream_is_bounded_by_its_bytes() {
    // 5.0: more than Receive Maximum; 3.1.1 has none. Where the payload is nothing, properties are all there is.
    let payload = vec![7; 100_000];
    let properties = large_user_properties(100_000);
    for (version, qos, properties, payload) in [
        (V5, 1, &[][..], &payload[..]),
        (V5, 2, &[], &payload),
        (V5, 1, &properties, &[]),
        (V5, 2, &properties, &[]),
        (V3, 1, &[], &payload),
        (V3, 2, &[], &payload),
    ] {
        let mut taken = 0;
        let peak = peak(async || {
            let lair = Lair::new(version);
            let options = lair.options().stream_bytes(1 << 20).storage(4 << 20).in_flight(100);
            let (client, mut wire) = lair.connect(options, &[]).await;
            let (_stream, ()) = tokio::join!(client.subscribe("t", QoS::ExactlyOnce), wire.grant());
            taken = flood(&mut wire, 500, |number| publish(version, qos, "t", number as u16 + 1, properties, payload))
                .await;
        });
        assert!(peak < 8 * MIB, "{version:?} at QoS {qos}: {peak} bytes, {taken} messages");
    }
}

#[test]
fn messages_that_nobody_asked_for_leave_nothing_behind() {
    for version in BOTH {
        for qos in [0, 1, 2] {
            let payload = vec![7; 10_000];
            let peak = peak(async || {
                let lair = Lair::new(version);
                let (client, mut wire) = lair.connect(lair.options(), &[]).await;
                flood(&mut wire, 2_000, |number| publish(version, qos, "nobody's", number as u16 + 1, &[], &payload))
                    .await;
                drop(client);
            });
            assert!(peak < 2 * MIB, "{version:?} at QoS {qos}: {peak} bytes");
        }
    }
}

#[test]
fn a_kept_session_waits_for_its_streams_within_its_bytes() {
    let properties = large_user_properties(100_000);
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let options = lair.options().keep_session().storage(4 << 20);
        let (_client, mut wire) = lair.connect(options, &[]).await;
        flood(&mut wire, 500, |number| publish(V5, 1, "early", number as u16 + 1, &properties, &[])).await;
    });
    assert!(peak < 7 * MIB, "{peak} bytes");
}

#[test]
fn every_identifier_may_be_in_use_at_once() {
    for version in BOTH {
        for qos in [1, 2] {
            let peak = peak(async || {
                let lair = Lair::new(version);
                let (client, mut wire) = lair.connect(lair.options(), &[]).await;
                let (_stream, ()) = tokio::join!(client.subscribe("t", QoS::ExactlyOnce), wire.grant());
                flood(&mut wire, 65_535, |number| publish(version, qos, "t", number as u16 + 1, &[], &[])).await;
            });
            assert!(peak < 9 * MIB, "{version:?} at QoS {qos}: {peak} bytes");
        }
    }
}

#[test]
fn what_waits_for_a_store_is_bounded_by_its_bytes_and_goes_on_with_it() {
    let payload = vec![7; 100_000];
    for version in BOTH {
        let message = |number: u32| publish(version, 2, "t", number as u16 + 1, &[], &payload);
        let mut sent = 0;
        let peak = peak(async || {
            let lair = Lair::new(version);
            let (stuck, store) = mpsc::channel();
            let options = lair.options().keep_alive(0).store(Stuck(store, || Ok(()))).storage(2 << 20);
            let (client, mut wire) = lair.connect(options, &[]).await;
            let (stream, ()) = tokio::join!(client.subscribe("t", QoS::ExactlyOnce), wire.grant());
            let mut stream = stream.unwrap();
            sent = flood(&mut wire, 500, message).await;
            drop(stuck);
            // The last of them was cut; what is before it comes, in its order.
            for _ in 0..sent {
                assert_eq!(stream.next().await.unwrap().payload_len(), payload.len());
            }
        });
        assert!((20..40).contains(&sent), "{version:?}: {sent} messages");
        // The messages and their records; the buffer of those grows to twice its size.
        assert!(peak < 14 * MIB, "{version:?}: {peak} bytes");
    }
}

#[test]
fn what_is_no_answer_to_anything_is_not_kept() {
    for version in BOTH {
        for (name, packet) in [
            ("PINGRESP", vec![0xd0, 0]),
            ("PUBACK", vec![0x40, 2, 0, 7]),
            ("PUBREC", vec![0x50, 2, 0, 7]),
            ("PUBREL", vec![0x62, 2, 0, 7]),
            ("PUBCOMP", vec![0x70, 2, 0, 7]),
            ("SUBACK", if version.is_v5() { vec![0x90, 4, 0, 7, 0, 0] } else { vec![0x90, 3, 0, 7, 0] }),
            ("UNSUBACK", if version.is_v5() { vec![0xb0, 4, 0, 7, 0, 0] } else { vec![0xb0, 2, 0, 7] }),
            ("AUTH", vec![0xf0, 2, 0x18, 0]),
            ("CONNACK", if version.is_v5() { vec![0x20, 3, 0, 0, 0] } else { vec![0x20, 2, 0, 0] }),
        ] {
            let many = packet.repeat(1_000);
            let peak = peak(async || {
                let lair = Lair::new(version);
                let options = lair.options().maximum_packet_size(128 << 10);
                let (_client, mut wire) = lair.connect(options, &[]).await;
                // What the client says to that is never read. As long as it cannot say it, it reads on up to the size of a packet.
                flood(&mut wire, 300, |_| many.clone()).await;
            });
            assert!(peak < 2 * MIB, "{version:?}: 300,000 {name}: {peak} bytes");
        }
    }
}

#[test]
fn a_broker_that_never_reads_is_left_and_the_queues_are_bounded() {
    for version in BOTH {
        for (qos, limit) in [(QoS::AtMostOnce, 3 * MIB), (QoS::AtLeastOnce, 3 * MIB)] {
            let peak = peak(async || {
                let lair = Lair::new(version);
                let options = lair.options().queue_bytes(1 << 20).storage(1 << 20);
                let (client, _wire) = lair.connect(options, &[]).await;
                let begun = tokio::time::Instant::now();
                let publish = async {
                    loop {
                        let _ = client.publish("t", vec![7; 10_000]).qos(qos).try_send();
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::select! {
                    () = publish => {}
                    cause = end(&client) => assert_eq!(cause, Cause::WriteTimeout),
                }
                assert!(begun.elapsed() < 32 * SECOND, "{:?}", begun.elapsed());
            });
            assert!(peak < limit, "{version:?} {qos:?}: {peak} bytes");
        }
    }
}

#[test]
fn aliases_hold_as_many_topics_as_were_allowed() {
    let topics: Vec<_> = (0..200_u32).map(|number| format!("{number:03}{}", "x".repeat(65_000))).collect();
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let alias = |number: u32| [0x23, 0, (number % 32 + 1) as u8];
        flood(&mut wire, 200, |number| publish(V5, 0, &topics[number as usize], 0, &alias(number), &[])).await;
        assert!(client.status().borrow().is_connected());
        // One more is no alias.
        wire.write(&publish(V5, 0, "t", 0, &[0x23, 0, 33], &[])).await;
        assert!(matches!(end(&client).await, Cause::Connection(_)));
    });
    // 32 of 64 KiB each.
    assert!(peak < 3 * MIB, "{peak} bytes");
}

#[test]
fn what_a_broker_says_with_its_answers_is_kept_up_to_a_bound() {
    let properties = large_user_properties(1_000_000);
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let mut receipts = Vec::new();
        for _ in 0..100 {
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let published = wire.packet().await;
            let body = [&published[5..7], &[0], &length(properties.len()), &properties].concat();
            assert!(wire.write(&packet(0x40, &body)).await);
            receipts.push(receipt);
        }
        tokio::time::sleep(SECOND).await;
        for receipt in receipts {
            receipt.await.unwrap();
        }
        // A word of the usual length is there.
        let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let published = wire.packet().await;
        let said = [0x1f, 0, 4, b'f', b'u', b'l', b'l'];
        wire.write(&packet(0x40, &[&published[5..7], &[0x97, said.len() as u8], &said].concat())).await;
        let error = receipt.await.unwrap_err();
        assert!(error.to_string().ends_with(": full"), "{error}");
    });
    assert!(peak < 6 * MIB, "{peak} bytes");
}

#[test]
fn a_message_full_of_properties_takes_what_it_has_on_the_wire() {
    for properties in [empty_user_properties(1 << 20), [0x0b, 1].repeat(1 << 19)] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let (client, mut wire) = lair.connect(lair.options(), &[]).await;
            let (stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), wire.grant());
            let mut stream = stream.unwrap();
            let packet = publish(V5, 0, "t", 0, &properties, &[]);
            let (message, _) = tokio::join!(stream.next(), wire.write(&packet));
            let message = message.unwrap();
            assert!(message.user_properties().count() + message.subscription_identifiers().count() > 200_000);
        });
        // The packet of the test, the buffer, the message.
        assert!(peak < 5 * MIB, "{peak} bytes");
    }
}

#[test]
fn a_broker_may_allow_nothing() {
    for property in [
        Property::MaximumPacketSize(1),
        Property::ReceiveMaximum(1),
        Property::ServerKeepAlive(1),
        Property::ServerKeepAlive(0),
        Property::TopicAliasMaximum(u16::MAX),
    ] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let (client, mut wire) = lair.connect(lair.options(), &[property]).await;
            for _ in 0..200 {
                let _ = client.publish("t", "x").qos(QoS::AtLeastOnce).try_send();
            }
            let read = wire.read_for(60 * SECOND).await;
            // One PUBLISH, or all of them, or none; PINGREQs: nothing is sent again and again.
            assert!(read.len() < 3_000, "{property:?}: {} bytes", read.len());
        });
        assert!(peak < MIB, "{property:?}: {peak} bytes");
    }
}

#[test]
fn a_streamed_payload_in_the_smallest_pieces_takes_its_window() {
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let options = lair.options().maximum_packet_size(1_000).streaming();
        let (client, mut wire) = lair.connect(options, &[]).await;
        let (stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce).streamed(), wire.grant());
        let mut stream = stream.unwrap();
        let head = [&[0x30][..], &length(16_000_000), &[0, 1, b't', 0]].concat();
        assert!(wire.write(&head).await);
        let drip = async {
            for _ in 0..50_000 {
                assert!(wire.write(b"x").await);
                tokio::task::yield_now().await;
            }
        };
        let (message, ()) = tokio::join!(stream.next(), drip);
        assert!(message.unwrap().is_streamed());
    });
    // 32 bytes each would be more.
    assert!(peak < 800 * KIB, "{peak} bytes");
}

#[test]
fn what_is_dropped_in_a_row_is_one_line_in_the_log() {
    log::listen();
    for version in BOTH {
        run(async || {
            let lair = Lair::new(version);
            let (client, mut wire) = lair.connect(lair.options().stream_capacity(1), &[]).await;
            let topic = format!("flooded/{version:?}");
            let (_stream, ()) = tokio::join!(client.subscribe("flooded/#", QoS::AtMostOnce), wire.grant());
            flood(&mut wire, 10_000, |_| publish(version, 0, &topic, 0, &[], &[])).await;
            tokio::time::sleep(SECOND).await;
            assert!(client.statistics().dropped > 9_000, "{}", client.statistics().dropped);
            let lines = log::logged().lines().filter(|line| line.contains(&topic)).count();
            assert_eq!(lines, 1);
        });
    }
}
