//! Flash whose bytes are not those that were written.

use mqtt_embedded::mqtt_core::{DeliveryNumber, PacketIdentifier, Properties, Record, RecordedMessage, TopicName};
use mqtt_embedded::{FlashStore, Store};

use crate::support::{self, Time, World};

const PAGE: usize = 512;
const PAGES: usize = 3;
type Flash = support::Flash<PAGE, PAGES>;

/// As often as flash of this size may be read for a session: for each key, as often as there are records, and each item.
const READS: usize = 20_000;

/// More items there cannot be.
const KEYS: usize = 3 + 2 + 2 * 4;

fn store(flash: &Flash) -> FlashStore<Flash, 2, 4, 96> {
    FlashStore::new(flash.clone(), Flash::range()).unwrap()
}

fn message(payload: &[u8]) -> RecordedMessage<'_> {
    RecordedMessage { topic: TopicName::new("in").unwrap(), retain: false, properties: Properties::EMPTY, payload }
}

/// A session with messages in both directions.
async fn fill(flash: &Flash) {
    let mut store = store(flash);
    store.load(&mut |_| {}).await.unwrap();
    let mut out = [0; 96];
    let id = |number| PacketIdentifier::new(number).unwrap();
    let published = |payload| Record::Published {
        packet_identifier: id(1),
        message: message(payload),
        exactly_once: true,
        expires_in: None,
        source: None,
    };
    for round in 0..12 {
        for record in [
            published(b"out"),
            Record::PubrecReceived { packet_identifier: id(1) },
            Record::Received {
                delivery: DeliveryNumber(round * 2 + 1),
                packet_identifier: id(7),
                message: message(b"one"),
            },
            Record::Confirmed { delivery: DeliveryNumber(round * 2 + 1) },
            Record::Completed { packet_identifier: id(1) },
            Record::Released { packet_identifier: id(7) },
            Record::Received {
                delivery: DeliveryNumber(round * 2 + 2),
                packet_identifier: id(8),
                message: message(b"two"),
            },
        ] {
            let len = record.encode(&mut out).unwrap();
            store.append(&out[..len]).await.unwrap();
        }
        if round < 11 {
            for record in [
                Record::Confirmed { delivery: DeliveryNumber(round * 2 + 2) },
                Record::Released { packet_identifier: id(8) },
            ] {
                let len = record.encode(&mut out).unwrap();
                store.append(&out[..len]).await.unwrap();
            }
        }
    }
}

/// Loads what is there, and goes on with it; tells how many records it gave out, and whether it said that something is wrong.
fn load(flash: &Flash) -> (usize, bool) {
    World::new(&Time::default()).run(async {
        let (mut records, mut store) = (0, store(flash));
        let failed = store.load(&mut |_| records += 1).await.is_err();
        assert!(flash.reads.get() < READS, "it reads and reads");
        let mut out = [0; 96];
        let begun = Record::SessionStarted { client_identifier: "lamp", after: DeliveryNumber(100) };
        let len = begun.encode(&mut out).unwrap();
        // It may be refused.
        let _ = store.append(&out[..len]).await;
        assert!(flash.reads.get() < 2 * READS, "it reads and reads");
        (records, failed)
    })
}

#[test]
fn a_bit_that_is_wrong_in_any_byte_costs_a_record_or_brings_back_the_one_before() {
    let good = Flash::new();
    World::new(&Time::default()).run(fill(&good));
    let image = good.image();
    let (whole, failed) = load(&good);
    assert!(whole > 0 && !failed);
    let (mut fewer, mut more) = (0, 0);
    for at in 0..image.len() {
        let mut image = image.clone();
        image[at] ^= 1 << (at % 8);
        let (records, failed) = load(&Flash::with(image));
        // What was there before it may be there again.
        assert!(!failed && records <= KEYS, "byte {at}: {records} records");
        fewer += u32::from(records < whole);
        more += u32::from(records > whole);
    }
    println!("{} bytes: {fewer} cost a record of {whole}, {more} bring one back", image.len());
}

#[test]
fn an_image_of_somebody_else_s_is_no_session() {
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let random: Vec<u8> = (0..PAGE * PAGES).map(|_| noise()).collect();
    for image in [vec![0; PAGE * PAGES], vec![0x55; PAGE * PAGES], random, b"#!/bin/sh\n".repeat(PAGE).to_vec()] {
        let (records, _) = load(&Flash::with(image[..PAGE * PAGES].to_vec()));
        assert_eq!(records, 0);
    }
}
