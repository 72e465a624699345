//! What arrives takes time in proportion to its bytes, whatever is in it.

use core::time::Duration;
use std::sync::mpsc;
use std::time::Instant;

use mqtt_std::QoS;
use mqtt_std::store::StoreError;

use super::support::*;

/// By far more than it takes on a busy machine, and by far less than with every combination.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn subscription_identifiers_without_end_are_not_compared_with_every_stream() {
    let begun = Instant::now();
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let mut streams = Vec::new();
        // Each level is the topic's or a wildcard: they all match, and each has an identifier of its own.
        for number in 0..1_000_u32 {
            let levels: Vec<_> = (0..10).map(|level| if number >> level & 1 == 0 { "a" } else { "+" }).collect();
            let (stream, ()) = tokio::join!(client.subscribe(levels.join("/"), QoS::AtMostOnce), wire.grant());
            streams.push(stream.unwrap());
        }
        // That of the last one, which is compared with all of them.
        let identifiers = [&[0x0b][..], &length(1_000)].concat().repeat(1_000_000);
        let packet = publish(V5, 0, "a/a/a/a/a/a/a/a/a/a", 0, &identifiers, b"x");
        assert!(wire.write(&packet).await);
        for stream in &mut streams {
            assert_eq!(stream.next().await.unwrap().payload(), b"x");
        }
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn topics_of_many_levels_and_aliases_that_change_are_no_more_work() {
    let begun = Instant::now();
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let mut streams = Vec::new();
        let deep = vec!["+"; 32_768].join("/");
        for filter in ["#", "+/#", "+/+/#", &deep, &format!("{}#", &deep[..deep.len() - 1])] {
            let grant = async {
                let packet = wire.packet().await;
                let at = packet.iter().skip(1).take_while(|byte| **byte > 127).count() + 2;
                let suback = [0x90, 4, packet[at], packet[at + 1], 0, 0];
                assert!(wire.write(&suback).await);
            };
            let (stream, ()) = tokio::join!(client.subscribe(filter, QoS::AtMostOnce), grant);
            streams.push(stream.unwrap());
        }
        let topics = [vec!["a"; 32_768].join("/"), vec!["b"; 32_768].join("/"), "/".repeat(32_767)];
        for number in 0..100 {
            let alias = [0x23, 0, (number % 32 + 1) as u8];
            assert!(wire.write(&publish(V5, 0, &topics[number % 3], 0, &alias, b"x")).await);
            for stream in &mut streams {
                assert!(stream.next().await.unwrap().topic().len() >= 32_767);
            }
        }
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_large_packet_in_the_smallest_pieces_is_not_read_anew_with_each() {
    let begun = Instant::now();
    run(async || {
        let lair = Lair::new(V5);
        let options = lair.options();
        let (client, mut wire) = lair.connect(options, &[]).await;
        let (stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), wire.grant());
        let mut stream = stream.unwrap();
        let packet = publish(V5, 0, "t", 0, &[], &vec![7; 1_000_000]);
        let send = async {
            for piece in packet.chunks(16) {
                assert!(wire.write(piece).await);
                tokio::task::yield_now().await;
            }
        };
        let ((), message) = tokio::join!(send, stream.next());
        assert_eq!(message.unwrap().payload_len(), 1_000_000);
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn identifiers_far_apart_do_not_make_their_table_anew_with_each_message() {
    let begun = Instant::now();
    for version in BOTH {
        run(async || {
            let lair = Lair::new(version);
            let (client, mut wire) = lair.connect(lair.options(), &[]).await;
            // A table of any size below the largest has the same place for both; both are acknowledged, and it is empty again.
            let pair = [publish(version, 1, "t", 1, &[], b""), publish(version, 1, "t", 0x8001, &[], b"")].concat();
            for _ in 0..10_000 {
                assert!(wire.write(&pair).await);
                assert_eq!((wire.packet().await[0], wire.packet().await[0]), (0x40, 0x40));
            }
            drop(client);
        });
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn messages_that_a_store_refuses_by_the_thousand_are_not_looked_for_one_by_one() {
    let begun = Instant::now();
    run(async || {
        let lair = Lair::new(V5);
        let (full, store) = mpsc::channel();
        let (client, mut wire) =
            lair.connect(lair.options().keep_alive(0).store(Stuck(store, || Err(StoreError::Full))), &[]).await;
        for number in 1..=30_000 {
            assert!(wire.write(&publish(V5, 2, "t", number, &[], b"")).await);
        }
        tokio::time::sleep(SECOND).await;
        drop(full);
        // Its record comes behind those of all messages.
        let refused = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await;
        assert!(refused.is_err());
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}
