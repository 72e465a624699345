//! Packet Identifiers: unique over all kinds of exchange, in increasing order, all 65,535 of them.

use std::collections::HashSet;

use mqtt_core::{Property, ProtocolVersion, UsageError};

use crate::support::{Boxed, Pair, any_version, options};

fn large(version: ProtocolVersion) -> Pair<Boxed> {
    let mut pair = Pair::with(version, Boxed::new(u16::MAX, 1 << 20));
    pair.connect(&options(version));
    pair.connack(false, &[]);
    pair
}

// trap P3; [v3 MQTT-2.3.1-2 MQTT-2.3.1-3] [v5 MQTT-2.2.1-3 MQTT-4.3.2-1 MQTT-4.3.3-1]
#[test]
fn all_65_535_are_used_once_over_all_kinds_and_then_it_is_full() {
    for version in any_version() {
        let mut pair = large(version);
        let mut used = HashSet::new();
        for number in 0..=u16::MAX - 1 {
            let id = match number % 4 {
                0 => pair.publish(1, "a"),
                1 => pair.publish(2, "b"),
                2 if number < 20 => pair.subscribe(&[("a", 0)]),
                _ => pair.unsubscribe(&["a"]),
            };
            assert!(used.insert(id.unwrap()), "#{number}");
        }
        assert!(!used.contains(&0));
        assert_eq!(pair.publish(1, "a"), Err(UsageError::InFlightFull));
        assert_eq!(pair.subscribe(&[("a", 0)]), Err(UsageError::InFlightFull));
        assert_eq!(pair.unsubscribe(&["a"]), Err(UsageError::InFlightFull));
        assert_eq!(pair.sent_bytes().len(), 65_535);
        assert!(pair.machine.is_connected(), "it is back-pressure, no error");
        // One comes free: it is the next.
        assert_eq!(pair.puback(29_997), ["Published #29997"]);
        assert_eq!(pair.publish(2, "b"), Ok(29_997));
        assert_eq!(pair.publish(1, "a"), Err(UsageError::InFlightFull));
        assert_eq!(pair.pubrec(2).len(), 0);
        assert_eq!(pair.publish(1, "a"), Err(UsageError::InFlightFull), "the exchange goes on until PUBCOMP");
        assert_eq!(pair.sent(), ["PUBREL #2", "PUBLISH #29997 q2 t b"]);
        assert_eq!(pair.pubcomp(2), ["Published #2"]);
        assert_eq!(pair.subscribe(&[("a", 0)]), Ok(2));
    }
}

// [v3 MQTT-2.3.1-2] [v5 MQTT-2.2.1-3]
#[test]
fn they_rise_and_wrap_around_past_those_in_use() {
    for version in any_version() {
        let mut pair = large(version);
        assert_eq!(pair.publish(1, "stays"), Ok(1));
        assert_eq!(pair.publish(1, "stays"), Ok(2));
        pair.sent();
        for number in 3..=u16::MAX {
            assert_eq!(pair.publish(1, "a"), Ok(number));
            pair.sent_bytes();
            pair.puback(number);
        }
        assert_eq!(pair.publish(1, "a"), Ok(3), "after 65,535 comes 1, and 1 and 2 are in use");
    }
}

// trap P3: the flow control of a Server with the largest Receive Maximum.
#[test]
fn with_65_535_in_flight_a_step_costs_what_it_costs_with_one() {
    let steps = |pair: &mut Pair<Boxed>, acknowledged: u16| {
        pair.session().storage().looks();
        pair.puback(acknowledged);
        let id = pair.publish(1, "a").unwrap();
        pair.sent_bytes();
        (pair.session().storage().looks(), id)
    };
    let mut pair = large(ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.publish(1, "a").unwrap();
    pair.sent_bytes();
    let (with_one, _) = steps(&mut pair, 1);
    while pair.publish(1, "a").is_ok() {}
    pair.sent_bytes();
    for oldest in 2..1_000 {
        let (looks, id) = steps(&mut pair, oldest);
        assert!(looks <= with_one + 4, "{looks} looks instead of {with_one}");
        assert_eq!(id, oldest);
    }
}

// The outcome of a command that nobody answered still holds its identifier, until it is taken.
#[test]
fn an_identifier_is_in_use_until_its_outcome_is_taken() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for _ in 0..16 {
            pair.publish(2, "a").unwrap();
        }
        pair.sent();
        pair.reconnect(false);
        assert_eq!(pair.publish(1, "b"), Err(UsageError::InFlightFull));
        assert_eq!(pair.outcomes().len(), 16);
        assert_eq!(pair.publish(1, "b"), Ok(17));
    }
}

// [v5 MQTT-4.9.0-1]
#[test]
fn the_whole_quota_is_used_and_no_more() {
    for (said, quota) in [(&[][..], 65_535), (&[Property::ReceiveMaximum(65_534)], 65_534)] {
        let mut pair = Pair::with(ProtocolVersion::V5_0, Boxed::new(u16::MAX, 1 << 20));
        pair.connect(&options(ProtocolVersion::V5_0));
        pair.connack(false, said);
        while pair.publish(1, "a").is_ok() {}
        assert_eq!(pair.sent_bytes().len(), quota);
    }
}
