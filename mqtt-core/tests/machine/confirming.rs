//! With a store and QoS 2: what the record acknowledges and the application confirms.

use mqtt_core::{Acknowledge, ProtocolVersion, ReasonCode};

use crate::support::{Pair, Small, any_version, options};

/// A durable session, with acknowledgements by the application.
fn by_hand(version: ProtocolVersion) -> Pair {
    let mut pair = Pair::durable(version);
    pair.connect(&options(version).acknowledge(Acknowledge::ByApplication));
    pair.connack(false, &[]);
    pair
}

fn confirm(pair: &mut Pair, token: usize) {
    pair.machine.acknowledge(pair.tokens[token], ReasonCode::SUCCESS).unwrap();
    pair.write_records();
}

// Durable, and by hand: the record acknowledges, the application confirms. What it has not confirmed keeps its place in the
// Server's quota, which PUBCOMP gives back.
// [v5 MQTT-4.3.3-11]
#[test]
fn a_durable_message_is_acknowledged_when_it_is_recorded_and_completed_when_it_is_confirmed() {
    for version in any_version() {
        let mut pair = by_hand(version);
        pair.message(2, 8, "in");
        assert_eq!(pair.sent(), ["PUBREC #8"]);
        pair.pubrel(8);
        assert!(pair.sent().is_empty());
        confirm(&mut pair, 0);
        assert_eq!(pair.sent(), ["PUBCOMP #8"]);
        assert!(pair.session().is_idle());
    }
}

#[test]
fn a_message_that_is_confirmed_before_pubrel_is_completed_by_it() {
    for version in any_version() {
        let mut pair = by_hand(version);
        pair.message(2, 8, "in");
        confirm(&mut pair, 0);
        assert_eq!(pair.sent(), ["PUBREC #8"]);
        pair.pubrel(8);
        assert_eq!(pair.sent(), ["PUBCOMP #8"]);
    }
}

#[test]
fn messages_are_completed_in_the_order_in_which_they_are_confirmed() {
    for version in any_version() {
        let mut pair = by_hand(version);
        for id in [7, 8, 9] {
            pair.message(2, id, "in");
            pair.pubrel(id);
        }
        let mut completed = Vec::new();
        for token in [1, 2, 0, 0] {
            confirm(&mut pair, token);
            completed.extend(pair.sent());
        }
        assert_eq!(completed, ["PUBCOMP #8", "PUBCOMP #9", "PUBCOMP #7"]);
    }
}

// [v5 MQTT-3.3.4-9]: the Server's, which ends the connection of a client that lets it send more.
#[test]
fn what_is_not_confirmed_counts_against_the_receive_maximum() {
    let mut pair = Pair::durable(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0).acknowledge(Acknowledge::ByApplication).receive_maximum(2));
    pair.connack(false, &[]);
    for id in [1, 2] {
        pair.message(2, id, "in");
        pair.pubrel(id);
    }
    confirm(&mut pair, 1);
    assert_eq!(pair.sent(), ["PUBCOMP #2"]);
    assert_eq!(pair.message(2, 3, "in").len(), 1, "one is confirmed");
    assert_eq!(pair.message(2, 4, "in"), ["error Protocol(ReceiveMaximumExceeded)"]);
}

// 3.1.1 cannot tell a Server how much room there is: what has none waits.
#[test]
fn a_message_waits_while_the_table_is_full_of_what_is_not_confirmed() {
    let mut pair = by_hand(ProtocolVersion::V3_1_1);
    for id in 1..=16 {
        pair.message(2, id, "in");
        pair.pubrel(id);
    }
    assert!(!pair.sent().contains(&"PUBCOMP #3".to_owned()));
    let packet = pair.message_bytes(2, 17, false, b"in");
    assert!(pair.is_held_back(&packet));
    confirm(&mut pair, 2);
    assert_eq!(pair.sent(), ["PUBCOMP #3"]);
    assert_eq!(pair.deliver(&packet).len(), 1);
}

// PUBREL has to come again: until then the Server may not take a PUBCOMP for an answer.
#[test]
fn what_is_confirmed_between_connections_is_completed_when_pubrel_comes_again() {
    for version in any_version() {
        for confirm_first in [true, false] {
            let mut pair = by_hand(version);
            for id in [7, 8] {
                pair.message(2, id, "in");
                pair.pubrel(id);
            }
            pair.connect(&options(version).acknowledge(Acknowledge::ByApplication));
            pair.connack(true, &[]);
            if confirm_first {
                confirm(&mut pair, 1);
            }
            assert!(pair.sent().is_empty());
            pair.pubrel(8);
            if !confirm_first {
                assert!(pair.sent().is_empty());
                confirm(&mut pair, 1);
            }
            assert_eq!(pair.sent(), ["PUBCOMP #8"]);
        }
    }
}

// It waits in the store, where the Server's quota has no say.
#[test]
fn what_comes_again_from_its_record_is_completed_at_once() {
    for version in any_version() {
        let mut pair = by_hand(version);
        pair.message(2, 8, "in");
        let records = pair.log.len();
        pair.crash(records, Small::new());
        pair.connect(&options(version).acknowledge(Acknowledge::ByApplication));
        pair.connack(true, &[]);
        pair.pubrel(8);
        assert_eq!(pair.sent(), ["PUBCOMP #8"]);
    }
}
