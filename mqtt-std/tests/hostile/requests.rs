//! Answers to requests, by those who were not asked.

use std::collections::HashSet;

use mqtt_std::Router;

use super::support::*;

/// The Correlation Data of a PUBLISH of the client's.
fn key(packet: &[u8]) -> u64 {
    let at = packet.windows(3).position(|bytes| bytes == [0x09, 0, 8]).expect("Correlation Data") + 3;
    u64::from_be_bytes(packet[at..at + 8].try_into().unwrap())
}

#[test]
fn who_was_sent_one_request_does_not_know_the_keys_of_others() {
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let (requests, ()) = tokio::join!(async { client.requests().await.unwrap() }, wire.grant());
        let mut keys = Vec::new();
        for _ in 0..50 {
            let request = requests.request("t", "x");
            let _ = tokio::time::timeout(SECOND, request).await;
            keys.push(key(&wire.packet().await));
        }
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "{keys:x?}");
        // No two are near each other: of 50 at random, the nearest are some 2^52 apart.
        keys.sort_unstable();
        let nearest = keys.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(nearest > 1 << 32, "{nearest}: {keys:x?}");
    });
}

#[test]
fn answers_that_nobody_waits_for_are_counted_and_gone() {
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let (requests, ()) = tokio::join!(async { client.requests().await.unwrap() }, wire.grant());
        let topic = requests.response_topic().to_owned();
        let waiting = ask(&requests);
        let answer = async {
            let asked = key(&loop {
                let packet = wire.packet().await;
                if packet[0] & 0xf0 == 0x30 {
                    break packet;
                }
            });
            let answer = |key: u64, payload: &[u8]| {
                let properties = [&[0x09, 0, 8][..], &key.to_be_bytes()].concat();
                publish(V5, 0, &topic, 0, &properties, payload)
            };
            for guess in 1..=5_000 {
                assert!(wire.write(&answer(asked.wrapping_add(guess), &[7; 1_000])).await);
            }
            // Of another length, and none.
            assert!(wire.write(&publish(V5, 0, &topic, 0, &[0x09, 0, 1, 7], b"short")).await);
            assert!(wire.write(&publish(V5, 0, &topic, 0, &[], b"none")).await);
            assert!(wire.write(&answer(asked, b"right")).await);
            assert!(wire.write(&answer(asked, b"again")).await);
        };
        let (text, ()) = tokio::join!(waiting, answer);
        assert_eq!(text, "right");
        tokio::time::sleep(SECOND).await;
        let statistics = requests.statistics();
        assert_eq!((statistics.answered, statistics.unknown, statistics.waiting), (1, 5_003, 0));
    });
    assert!(peak < 2 * MIB, "{peak} bytes");
}

async fn ask(requests: &mqtt_std::Requests) -> String {
    let answer = requests.request("t", "x").await.unwrap();
    answer.payload_str().unwrap().to_owned()
}

#[test]
fn answers_that_are_to_come_back_as_requests_do_not_go_round() {
    for response_topic in
        ["pump/start", "pump/start/request/pump/start", "pump/start/request/pump/start/request/pump/start"]
    {
        run(async || {
            let lair = Lair::new(V5);
            let (client, mut wire) = lair.connect(lair.options(), &[]).await;
            let router = Router::new().on_request("pump/start", |_, _| async { "it runs" }).unwrap();
            let grant = async {
                let id = wire.packet().await[2..4].to_vec();
                wire.write(&[0x90, 5, id[0], id[1], 0, 0, 0]).await;
            };
            let (routing, ()) = tokio::join!(router.subscribe(&client), grant);
            let routing = tokio::spawn(routing.unwrap().run());
            let topic = u16::try_from(response_topic.len()).unwrap().to_be_bytes();
            let properties = [&[0x08][..], &topic, response_topic.as_bytes()].concat();
            wire.write(&publish(V5, 0, "pump/start", 0, &properties, b"")).await;
            // Whatever the client publishes comes back to it.
            let mut answers = 0;
            while let Ok(packet) = tokio::time::timeout(SECOND, wire.packet()).await {
                answers += 1;
                assert!(answers < 5, "{response_topic}");
                let len = usize::from(packet[3]);
                let topic = core::str::from_utf8(&packet[4..4 + len]).unwrap();
                assert!(topic.starts_with("pump/start"), "{topic}");
                wire.write(&publish(V5, 0, topic, 0, &[], b"")).await;
            }
            assert!((1..=2).contains(&answers), "{response_topic}: {answers}");
            routing.abort();
        });
    }
}
