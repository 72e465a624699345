//! Messages at QoS 1 and 2 that the Server publishes, and their acknowledgements.

use mqtt_core::{Acknowledge, Acknowledgement, ConnectOptions, Input, ProtocolVersion, QoS, ReasonCode, UsageError};

use crate::support::{Model, Pair, any_version, options};

fn by_hand(version: ProtocolVersion) -> ConnectOptions<'static> {
    options(version).acknowledge(Acknowledge::ByApplication)
}

fn accept(pair: &mut Pair, token: Acknowledgement) -> Result<(), UsageError> {
    pair.machine.acknowledge(token, ReasonCode::SUCCESS)
}

// [v3 MQTT-3.3.4-1 MQTT-4.3.2-2 MQTT-4.5.0-2 MQTT-2.3.1-6]
// [v5 MQTT-3.3.4-1 MQTT-4.3.2-4 MQTT-4.3.3-8 MQTT-4.3.3-11 MQTT-4.5.0-2 MQTT-2.2.1-5]
#[test]
fn a_message_is_answered_by_its_qos() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.message(0, 0, "a"), ["Message q0 t a"]);
        assert!(pair.sent().is_empty());
        assert_eq!(pair.message(1, 7, "b"), ["Message q1 t b"]);
        assert_eq!(pair.sent(), ["PUBACK #7"]);
        assert_eq!(pair.message(2, 8, "c"), ["Message q2 t c"]);
        assert_eq!(pair.sent(), ["PUBREC #8"]);
        assert!(pair.pubrel(8).is_empty());
        assert_eq!(pair.sent(), ["PUBCOMP #8"]);
        assert!(pair.session().is_idle());
    }
}

// [v3 MQTT-4.3.2-2] [v5 MQTT-4.3.2-5]
#[test]
fn after_puback_the_identifier_means_a_new_message_whatever_dup_says() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.message(1, 7, "a");
        assert_eq!(pair.sent(), ["PUBACK #7"]);
        assert_eq!(pair.message_again(1, 7, "b"), ["Message q1 dup t b"]);
        assert_eq!(pair.sent(), ["PUBACK #7"]);
    }
}

// trap Q1, and the scenario "qos2_dup"; [v3 MQTT-4.3.3-2] [v5 MQTT-4.3.3-10 MQTT-4.3.3-12]
#[test]
fn a_qos_2_message_that_comes_again_is_answered_each_time_and_delivered_once() {
    for version in any_version() {
        for times in [1, 2, 10] {
            // Each answered before the next comes.
            let mut pair = Pair::connected(version);
            assert_eq!(pair.message(2, 7, "a"), ["Message q2 t a"]);
            assert_eq!(pair.sent(), ["PUBREC #7"]);
            for _ in 0..times {
                assert!(pair.message_again(2, 7, "a").is_empty());
                assert_eq!(pair.sent(), ["PUBREC #7"]);
            }
            pair.pubrel(7);
            assert_eq!(pair.sent(), ["PUBCOMP #7"]);
            assert_eq!(pair.message(2, 7, "b"), ["Message q2 t b"], "a new message");

            // All before the first answer leaves.
            let mut pair = Pair::connected(version);
            pair.message(2, 7, "a");
            for _ in 0..times {
                assert!(pair.message_again(2, 7, "a").is_empty());
            }
            assert_eq!(pair.sent(), vec!["PUBREC #7"; times + 1]);
        }
    }
}

// trap Q2
#[test]
fn both_directions_use_the_same_identifier_at_once() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "out").unwrap();
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t out"]);
        assert_eq!(pair.message(2, 1, "in"), ["Message q2 t in"]);
        pair.pubrec(1);
        assert_eq!(pair.sent(), ["PUBREC #1", "PUBREL #1"]);
        pair.pubrel(1);
        assert_eq!(pair.sent(), ["PUBCOMP #1"]);
        assert_eq!(pair.session().outgoing_len(), 1, "ours goes on");
        assert_eq!(pair.pubcomp(1), ["Published #1"]);
        assert!(pair.session().is_idle());
    }
}

// trap Q4
#[test]
fn a_pubrel_that_belongs_to_nothing_gets_a_pubcomp() {
    for (version, answer) in any_version().into_iter().zip(["PUBCOMP #9", "PUBCOMP #9 0x92"]) {
        let mut pair = Pair::connected(version);
        assert!(pair.pubrel(9).is_empty());
        assert_eq!(pair.sent(), [answer]);
        assert!(pair.machine.is_connected());
    }
}

#[test]
fn a_repeated_pubrel_is_answered_again() {
    for (version, answer) in any_version().into_iter().zip(["PUBCOMP #9", "PUBCOMP #9 0x92"]) {
        let mut pair = Pair::connected(version);
        pair.message(2, 9, "a");
        pair.sent();
        pair.pubrel(9);
        assert_eq!(pair.sent(), ["PUBCOMP #9"]);
        pair.pubrel(9);
        assert_eq!(pair.sent(), [answer]);
    }
}

// [v3 v5 MQTT-4.6.0-2 MQTT-4.6.0-3]; trap C6: acknowledged out of order
#[test]
fn acknowledgements_by_hand_leave_in_the_order_of_arrival() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&by_hand(version));
        for number in [1, 2, 3] {
            pair.message(1, number, "a");
        }
        for number in [4, 5, 6] {
            pair.message(2, number, "b");
        }
        assert!(pair.sent().is_empty());
        assert_eq!(pair.session().incoming_len(), 6);
        let tokens = pair.tokens.clone();
        for token in [tokens[1], tokens[2], tokens[4], tokens[5]] {
            assert_eq!(accept(&mut pair, token), Ok(()));
            assert!(pair.sent().is_empty(), "the first ones are not acknowledged");
        }
        accept(&mut pair, tokens[3]).unwrap();
        assert_eq!(pair.sent(), ["PUBREC #4", "PUBREC #5", "PUBREC #6"], "QoS 1 does not hold back QoS 2");
        accept(&mut pair, tokens[0]).unwrap();
        assert_eq!(pair.sent(), ["PUBACK #1", "PUBACK #2", "PUBACK #3"]);
    }
}

// [v3 v5 MQTT-4.1.0-1]
#[test]
fn deferring_at_qos_2_defers_pubrec_and_nothing_is_handed_over_twice() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&by_hand(version));
        assert_eq!(pair.message(2, 7, "a"), ["Message q2 t a"]);
        assert!(pair.message_again(2, 7, "a").is_empty());
        pair.connect(&by_hand(version));
        pair.connack(true, &[]);
        assert!(pair.message_again(2, 7, "a").is_empty(), "also on the next connection");
        assert!(pair.sent().is_empty());
        let token = pair.tokens[0];
        assert_eq!(accept(&mut pair, token), Ok(()), "the token of the hand-over stays good");
        assert_eq!(pair.sent(), ["PUBREC #7"]);
        pair.pubrel(7);
        assert_eq!(pair.sent(), ["PUBCOMP #7"]);
    }
}

// trap C6: dropped, twice, of another generation
#[test]
fn a_void_token_is_stale() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&by_hand(version));
        pair.message(1, 1, "a");
        pair.message(2, 2, "b");
        let (first, second) = (pair.tokens[0], pair.tokens[1]);
        assert!(pair.session().awaits(first) && pair.session().awaits(second));
        assert_eq!(accept(&mut pair, first), Ok(()));
        assert!(!pair.session().awaits(first));
        assert_eq!(accept(&mut pair, first), Err(UsageError::Stale), "twice");
        assert_eq!(pair.sent(), ["PUBACK #1"]);
        assert_eq!(accept(&mut pair, first), Err(UsageError::Stale), "used");
        // The same identifier, another message.
        pair.message(1, 1, "c");
        assert_eq!(accept(&mut pair, first), Err(UsageError::Stale));
        let third = pair.tokens[2];
        // A new connection: QoS 1 comes again, QoS 2 is known.
        pair.connect(&by_hand(version));
        pair.connack(true, &[]);
        assert!(!pair.session().awaits(third) && pair.session().awaits(second));
        assert_eq!(accept(&mut pair, third), Err(UsageError::Stale));
        assert_eq!(pair.message_again(1, 1, "c"), ["Message q1 dup t c"]);
        assert_eq!(accept(&mut pair, third), Err(UsageError::Stale));
        // The session is lost: identifiers mean something else.
        pair.connect(&by_hand(version));
        pair.connack(false, &[]);
        assert!(!pair.session().awaits(second));
        assert_eq!(accept(&mut pair, second), Err(UsageError::Stale));
        assert_eq!(pair.message(2, 2, "d"), ["Message q2 t d"]);
        assert_eq!(accept(&mut pair, second), Err(UsageError::Stale));
        assert!(pair.sent().is_empty());
    }
}

// trap C6: a token that was dropped holds back those behind it until the reconnect
#[test]
fn a_dropped_token_blocks_until_the_connection_ends() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&by_hand(version));
        pair.message(1, 1, "a");
        pair.message(1, 2, "b");
        let second = pair.tokens[1];
        accept(&mut pair, second).unwrap();
        assert!(pair.sent().is_empty());
        pair.connect(&by_hand(version));
        pair.connack(true, &[]);
        pair.message_again(1, 2, "b");
        let again = *pair.tokens.last().unwrap();
        accept(&mut pair, again).unwrap();
        assert_eq!(pair.sent(), ["PUBACK #2"]);
    }
}

// [v5 MQTT-4.3.3-9]
#[test]
fn a_refused_message_frees_its_identifier() {
    let mut pair = Pair::connected_as(&by_hand(ProtocolVersion::V5_0));
    for qos in [1, 2] {
        assert_eq!(pair.message(qos, 5, "a").len(), 1);
        let token = *pair.tokens.last().unwrap();
        pair.machine.acknowledge(token, ReasonCode::QUOTA_EXCEEDED).unwrap();
        assert_eq!(pair.sent(), [if qos == 1 { "PUBACK #5 0x97" } else { "PUBREC #5 0x97" }]);
        assert!(pair.session().is_idle());
        assert_eq!(pair.message(qos, 5, "b").len(), 1, "a new message");
        let token = *pair.tokens.last().unwrap();
        accept(&mut pair, token).unwrap();
        pair.sent();
        pair.pubrel(5);
        pair.sent();
    }
}

#[test]
fn a_refusal_that_the_packet_cannot_carry_is_refused_itself() {
    let mut pair = Pair::connected_as(&by_hand(ProtocolVersion::V5_0));
    pair.message(1, 1, "a");
    let token = pair.tokens[0];
    let wrong = ReasonCode::SESSION_TAKEN_OVER;
    assert_eq!(
        pair.machine.acknowledge(token, wrong),
        Err(UsageError::Encode(mqtt_core::EncodeError::ReasonCodeNotAllowed(wrong)))
    );
    accept(&mut pair, token).unwrap();
    assert_eq!(pair.sent(), ["PUBACK #1"]);

    let mut pair = Pair::connected_as(&by_hand(ProtocolVersion::V3_1_1));
    pair.message(1, 1, "a");
    let token = pair.tokens[0];
    assert_eq!(pair.machine.acknowledge(token, ReasonCode::QUOTA_EXCEEDED), Err(UsageError::NotInVersion));
}

#[test]
fn a_rude_qos_1_repetition_before_puback_has_one_answer() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&by_hand(version));
        pair.message(1, 1, "a");
        assert_eq!(pair.message_again(1, 1, "a"), ["Message q1 dup t a"]);
        let token = pair.tokens[1];
        assert_eq!(pair.tokens[0], token, "it is the same message");
        accept(&mut pair, token).unwrap();
        assert_eq!(pair.sent(), ["PUBACK #1"]);
    }
}

#[test]
fn an_identifier_in_use_at_the_other_qos_closes() {
    for version in any_version() {
        for (first, second) in [(1, 2), (2, 1)] {
            let mut pair = Pair::connected(version);
            pair.message(first, 1, "a");
            assert_eq!(pair.message(second, 1, "a"), ["error Protocol(PacketIdentifierInUse)"]);
        }
    }
}

// [v5 MQTT-4.3.3-13]
#[test]
fn an_expired_message_is_answered_to_its_end() {
    let mut pair = Pair::connected_as(&by_hand(ProtocolVersion::V5_0));
    // PUBLISH #1 q2 "t" with Message Expiry Interval 1.
    assert_eq!(pair.deliver(&[0x34, 12, 0, 1, b't', 0, 1, 5, 2, 0, 0, 0, 1, b'a']), ["Message q2 t a"]);
    pair.pass(3_600_000);
    let token = pair.tokens[0];
    accept(&mut pair, token).unwrap();
    assert_eq!(pair.sent(), ["PUBREC #1"]);
    pair.pass(3_600_000);
    pair.pubrel(1);
    assert_eq!(pair.sent(), ["PUBCOMP #1"]);
}

// trap P7, and the scenario "qos2_flood"; [v5 MQTT-3.3.4-9]
// [v5 §3.3.4: more than Receive Maximum is answered with 0x93]
#[test]
fn more_than_receive_maximum_closes_with_0x93() {
    for qos in [1, 2] {
        let announced = by_hand(ProtocolVersion::V5_0).receive_maximum(3);
        let mut pair = Pair::connected_as(&announced);
        for number in 1..=3 {
            assert_eq!(pair.message(qos, number, "a").len(), 1);
        }
        assert_eq!(pair.message(0, 0, "z").len(), 1, "QoS 0 does not count");
        assert_eq!(pair.message(qos, 4, "a"), ["error Protocol(ReceiveMaximumExceeded)"]);
        assert_eq!(pair.sent(), ["DISCONNECT 0x93"]);
        assert!(pair.machine.is_closed());
    }
}

// The scenario "qos2_flood" in 3.1.1, which cannot announce a limit: no room is a transient error. [v3 MQTT-4.8.0-2]
#[test]
fn a_flood_of_3_1_1_is_held_back_while_answers_leave_and_closes_otherwise() {
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    for number in 1..=40 {
        assert_eq!(pair.message(1, number, "a").len(), 1);
    }
    assert_eq!(pair.sent().len(), 40, "none is lost");
    // An adapter can look before.
    let head = |number: u8, flags: u8| [0x30 | flags, 6, 0, 1, b't', 0, number, b'a'];
    for number in 1..=16 {
        assert!(pair.machine.has_room_for(&Input::Packet(&head(number as u8, 4))));
        assert_eq!(pair.message(2, number, "a").len(), 1);
    }
    assert_eq!(pair.sent().len(), 16);
    assert_eq!(Input::Packet(&head(17, 4)).message_qos(), Some(QoS::ExactlyOnce));
    assert_eq!(Input::Packet(&head(17, 0)).message_qos(), Some(QoS::AtMostOnce));
    assert_eq!(Input::PublishHead { head: &head(17, 2), payload_len: 9 }.message_qos(), Some(QoS::AtLeastOnce));
    assert_eq!(Input::Packet(&[0xD0, 0]).message_qos(), None);
    assert_eq!(Input::PublishPayload { bytes: &head(17, 4), last: true }.message_qos(), None);
    assert!(!pair.machine.has_room_for(&Input::Packet(&head(17, 4))), "another one");
    assert!(pair.machine.has_room_for(&Input::Packet(&head(16, 12))), "one that comes again");
    assert!(pair.machine.has_room_for(&Input::Packet(&head(17, 0))), "at QoS 0");
    assert!(pair.machine.has_room_for(&Input::Packet(&[0xD0, 0])));
    assert_eq!(pair.message(2, 17, "a"), ["error Protocol(ReceiveMaximumExceeded)"]);
    assert!(pair.machine.is_closed());
    pair.reconnect(true);
    for number in 1..=16 {
        assert!(pair.message_again(2, number, "a").is_empty(), "still known");
        pair.sent();
        pair.pubrel(number);
    }
    assert_eq!(pair.sent(), ["PUBCOMP #16"]);
    assert_eq!(pair.message(2, 17, "a").len(), 1);
}

// trap P6, for our side: a Server may use all of Receive Maximum on each connection, whatever waits for PUBREL.
#[test]
fn what_waits_for_pubrel_since_the_last_connection_does_not_count_against_receive_maximum() {
    let announced = options(ProtocolVersion::V5_0).receive_maximum(2);
    let mut pair = Pair::connected_as(&announced);
    pair.message(2, 1, "a");
    pair.message(2, 2, "b");
    assert_eq!(pair.sent(), ["PUBREC #1", "PUBREC #2"]);
    pair.connect(&announced);
    pair.connack(true, &[]);
    pair.pubrel(1);
    pair.pubrel(2);
    assert_eq!(pair.message(2, 3, "c"), ["Message q2 t c"]);
    assert_eq!(pair.message(2, 4, "d"), ["Message q2 t d"]);
    assert_eq!(pair.message(2, 5, "e"), ["error Protocol(ReceiveMaximumExceeded)"]);
}

// The Server's quota of §4.9 grows with each PUBCOMP, also with those for messages of the connection before.
#[test]
fn a_pubcomp_for_a_message_of_the_connection_before_gives_back_receive_maximum() {
    let announced = options(ProtocolVersion::V5_0).receive_maximum(2);
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.connect(&announced);
    pair.connack(true, &[]);
    pair.message(2, 1, "a");
    assert_eq!(pair.sent(), ["PUBREC #1"]);
    pair.connect(&announced);
    pair.connack(true, &[]);
    for (id, payload) in [(3, "c"), (4, "d")] {
        assert_eq!(pair.message(2, id, payload).len(), 1);
    }
    assert_eq!(pair.sent(), ["PUBREC #3", "PUBREC #4"]);
    // One that is known, and one that was completed here before the connection was lost.
    for (id, answer) in [(1, "PUBCOMP #1"), (9, "PUBCOMP #9 0x92")] {
        pair.pubrel(id);
        assert_eq!(pair.sent(), [answer]);
    }
    for (id, payload) in [(5, "e"), (6, "f")] {
        assert_eq!(pair.message(2, id, payload), [format!("Message q2 t {payload}")]);
    }
    assert_eq!(pair.message(2, 7, "g"), ["error Protocol(ReceiveMaximumExceeded)"]);
}

#[test]
fn some_more_than_receive_maximum_is_borne_where_that_is_wanted() {
    let announced = by_hand(ProtocolVersion::V5_0).receive_maximum(1).receive_beyond_maximum(2);
    let mut pair = Pair::connected_as(&announced);
    for id in 1..=3 {
        assert_eq!(pair.message(2, id, "a"), ["Message q2 t a"]);
    }
    assert_eq!(pair.message(2, 4, "a"), ["error Protocol(ReceiveMaximumExceeded)"]);
}

#[test]
fn a_repetition_counts_once_against_receive_maximum() {
    let announced = options(ProtocolVersion::V5_0).receive_maximum(1);
    let mut pair = Pair::connected_as(&announced);
    for _ in 0..3 {
        pair.message(2, 1, "a");
        pair.message_again(2, 1, "a");
        assert_eq!(pair.sent().len(), 2);
        pair.pubrel(1);
        assert_eq!(pair.sent(), ["PUBCOMP #1"]);
    }
    pair.message(2, 1, "a");
    pair.sent();
    pair.connect(&announced);
    pair.connack(true, &[]);
    pair.message_again(2, 1, "a");
    assert_eq!(pair.message(1, 2, "b"), ["error Protocol(ReceiveMaximumExceeded)"]);
}

// trap C2: what is to be acknowledged is state; nothing has to be awaited for it.
#[test]
fn an_acknowledgement_waits_while_other_things_happen() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.message(1, 1, "a");
        pair.publish(1, "b").unwrap();
        pair.subscribe(&[("s", 0)]).unwrap();
        pair.message(2, 2, "c");
        pair.pass(1_000);
        assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
        assert_eq!(pair.sent(), ["PUBACK #1", "PUBREC #2", "SUBSCRIBE #2 s:0", "PUBLISH #1 q1 t b"]);
    }
}

// trap C3: each message is forwarded where it is received, and all capacities are 1.
#[test]
fn forwarding_with_all_capacities_of_one_does_not_deadlock() {
    for version in any_version() {
        for qos in [1, 2] {
            let mut pair = Pair::with(version, mqtt_core::ArrayStorage::<1, 1, 64>::new());
            pair.connect(&options(version));
            pair.connack(false, &[]);
            let (mut broker, mut received, mut forwarded) = (Model::default(), 0, 0);
            for _ in 0..300 {
                if broker.out.is_empty() {
                    broker.send(qos, "in".into());
                }
                let events = broker.deliver(&mut pair);
                received += events.iter().filter(|event| event.starts_with("Message")).count();
                // Full is an ordinary answer: the loop goes on, and room is made.
                if forwarded < received && pair.publish(qos, "out").is_ok() {
                    forwarded += 1;
                }
                for packet in pair.sent() {
                    broker.take(&packet);
                }
                assert!(pair.machine.is_connected());
            }
            assert!(forwarded > 30 && received - forwarded <= 1, "{forwarded} of {received}");
        }
    }
}

#[test]
fn delivery_numbers_rise() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    for number in [9, 3, 9] {
        pair.message(1, number, "a");
        pair.sent();
    }
    let numbers: Vec<_> = pair.tokens.iter().map(|token| token.delivery_number().0).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
