//! What becomes of a session when its connection ends: resumed, lost, or somebody else's.

use mqtt_core::{
    AckKind, CleanStart, PacketIdentifier, Property, ProtocolVersion, PublishRequest, QoS, ReasonCode, UsageError,
};

use crate::support::{Pair, any_version, id, options, topic};

// [v3 MQTT-3.1.2-4 MQTT-3.3.1-1 MQTT-4.4.0-1 MQTT-2.3.1-3 MQTT-4.1.0-1 MQTT-4.1.0-2]
// [v5 MQTT-3.1.2-23 MQTT-3.3.1-1 MQTT-4.4.0-1 MQTT-4.1.0-1]; trap Q8
#[test]
fn a_resumed_session_sends_again_what_was_not_acknowledged_in_its_order() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for (qos, payload) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
            pair.publish(qos, payload).unwrap();
        }
        assert_eq!(pair.sent().len(), 4);
        pair.puback(3);
        pair.publish(1, "new").unwrap();
        assert_eq!(pair.reconnect(true), ["Connected present"]);
        assert_eq!(
            pair.sent(),
            [
                "PUBLISH #1 q1 dup t a",
                "PUBLISH #2 q2 dup t b",
                "PUBLISH #4 q2 dup t d",
                "PUBLISH #5 q1 t new" // DUP on what is sent again only
            ]
        );
    }
}

// trap Q8; [v3 v5 MQTT-4.6.0-1]
#[test]
fn the_order_survives_a_second_cut_in_the_middle_of_sending_again() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for (qos, payload) in [(1, "a"), (2, "b"), (2, "c"), (1, "d")] {
            pair.publish(qos, payload).unwrap();
        }
        pair.sent();
        for sent_again in 0..4 {
            pair.reconnect(true);
            for _ in 0..sent_again {
                pair.next_packet().unwrap();
            }
        }
        pair.reconnect(true);
        let payloads: String = pair.sent().iter().map(|packet| packet.chars().last().unwrap()).collect();
        assert_eq!(payloads, "abcd");
    }
}

// trap Q3; [v3 MQTT-4.3.3-1 MQTT-4.4.0-1] [v5 MQTT-4.3.3-6 MQTT-4.4.0-1]
#[test]
fn after_pubrec_only_pubrel_is_sent_again() {
    for version in any_version() {
        for pubrel_sent in [false, true] {
            let mut pair = Pair::connected(version);
            for _ in 0..3 {
                pair.publish(2, "a").unwrap();
            }
            pair.sent();
            pair.pubrec(3);
            pair.pubrec(1);
            if pubrel_sent {
                pair.sent();
            }
            for _ in 0..3 {
                pair.reconnect(true);
                assert_eq!(pair.sent(), ["PUBREL #3", "PUBREL #1", "PUBLISH #2 q2 dup t a"]);
            }
            assert_eq!(pair.pubcomp(3), ["Published #3"]);
        }
    }
}

// trap Q6
#[test]
fn pubcomp_0x92_is_success_after_a_recovery_and_told_otherwise() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.publish(2, "a").unwrap();
    pair.publish(2, "b").unwrap();
    pair.sent();
    pair.pubrec(1);
    pair.pubrec(2);
    pair.sent();
    assert_eq!(pair.ack(AckKind::Pubcomp, 1, 0x92), ["Published #1 0x92"]);
    pair.reconnect(true);
    assert_eq!(pair.sent(), ["PUBREL #2"]);
    assert_eq!(pair.ack(AckKind::Pubcomp, 2, 0x92), ["Published #2"]);
}

// A PUBREC that the cut made late: the PUBLISH need not go again, and must not behind the PUBREL.
#[test]
fn an_answer_to_a_publish_of_the_connection_before_counts() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.publish(1, "b").unwrap();
        pair.sent();
        pair.reconnect(true);
        pair.pubrec(1);
        assert_eq!(pair.puback(2), ["Published #2"]);
        assert_eq!(pair.sent(), ["PUBREL #1"]);
        assert_eq!(pair.pubcomp(1), ["Published #1"]);
        assert!(pair.session().is_idle());
    }
}

// trap S1; [v5 MQTT-3.2.2-5]
#[test]
fn a_lost_session_gives_each_command_its_outcome_and_sends_nothing_old() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for (qos, payload) in [(1, "a"), (2, "b"), (2, "c"), (1, "d")] {
            pair.publish(qos, payload).unwrap();
        }
        pair.sent();
        pair.pubrec(2);
        pair.sent();
        pair.message(2, 9, "in");
        pair.sent();
        pair.publish(2, "unsent").unwrap();
        assert_eq!(pair.reconnect(false), ["Connected lost"]);
        // QoS 1 is published anew: no DUP. What was sent at QoS 2 may have arrived.
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a", "PUBLISH #4 q1 t d", "PUBLISH #5 q2 t unsent"]);
        let mut outcomes = pair.outcomes();
        outcomes.sort();
        assert_eq!(outcomes, ["Publish #2 Unknown", "Publish #3 Unknown"]);
        assert_eq!(pair.message(2, 9, "another"), ["Message q2 t another"], "the identifier means a new message");
        for number in [1, 4] {
            assert_eq!(pair.puback(number).len(), 1);
        }
        assert_eq!(pair.session().outgoing_len(), 1);
    }
}

// It may have arrived before: nobody is told that it was not sent.
#[test]
fn what_is_published_anew_was_sent() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let expiring = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).message_expiry_interval(10);
        pair.publish_request(&expiring, b"a").unwrap();
        pair.publish(1, "b").unwrap();
        pair.sent();
        pair.publish(1, "c").unwrap();
        pair.reconnect(false);
        // Before any of them has left again.
        let session = pair.session();
        assert_eq!(session.next_unsent(), Some(id(3)));
        assert_eq!(session.unsent_topic(id(2)), None);
        let machine = &mut pair.machine;
        assert!(!machine.cancel(id(2)) && machine.cancel(id(3)));
        pair.pass(11_000);
        assert_eq!(pair.sent(), ["PUBLISH #2 q1 t b"]);
        let mut outcomes = pair.outcomes();
        outcomes.sort();
        assert_eq!(outcomes, ["Publish #1 Unknown", "Publish #3 NotSent"]);

        pair.publish(1, "d").unwrap();
        pair.reconnect(false);
        pair.machine.session.end();
        let mut outcomes = pair.outcomes();
        outcomes.sort();
        assert_eq!(outcomes, ["Publish #2 Unknown", "Publish #4 NotSent"]);
    }
}

#[test]
fn qos_2_can_be_published_anew_by_option_where_its_publish_is_still_here() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.publish(2, "b").unwrap();
        pair.sent();
        pair.pubrec(1);
        pair.sent();
        pair.connect(&options(version).republish_exactly_once(true));
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #2 q2 t b"]);
        assert_eq!(pair.outcomes(), ["Publish #1 Unknown"]);
    }
}

// trap S7: nothing is doubled by attempts that fail.
#[test]
fn failed_attempts_do_not_multiply_a_message() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.publish(1, "a").unwrap();
        for _ in 0..100 {
            pair.connect(&options(version));
            assert!(pair.sent().is_empty(), "nothing before CONNACK");
        }
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
        for _ in 0..100 {
            pair.connect(&options(version));
        }
        pair.connack(true, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t a"]);
    }
}

// trap S4; [v3 v5 MQTT-3.1.3-2]
#[test]
fn another_client_identifier_takes_over_no_state() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "a").unwrap();
        pair.publish(2, "b").unwrap();
        pair.sent();
        pair.message(2, 9, "in");
        pair.sent();
        let mut other = options(version);
        other.client_identifier = "other";
        let clean = if version.is_v5() { " clean" } else { "" };
        assert_eq!(pair.connect(&other), format!("CONNECT other{clean}"));
        // 3.1.1 cannot ask for a new session and keep it: the Server may have one.
        let present = !version.is_v5();
        pair.connack(present, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"], "published anew under the new name, not as a repetition");
        assert_eq!(pair.outcomes(), ["Publish #2 Unknown"]);
        assert_eq!(pair.message(2, 9, "new"), ["Message q2 t new"]);
        // And back: that of before is gone as well.
        pair.puback(1);
        assert_eq!(pair.connect(&options(version)), format!("CONNECT c{clean}"));
    }
}

// trap S2; [v5 MQTT-3.2.2-4]
#[test]
fn a_session_present_without_state_here_closes() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0).clean_start(CleanStart::Never));
    assert_eq!(pair.connack(true, &[]), ["error Protocol(SessionPresent)"]);
    assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
    assert!(pair.machine.is_closed());
    // As after a restart without a store: the caller knows that there may be one.
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.machine.session.expect_session_present();
    assert_eq!(pair.connect(&options(ProtocolVersion::V5_0)), "CONNECT c");
    assert_eq!(pair.connack(true, &[]), ["Connected present"]);
}

// trap S2; [v3 MQTT-3.2.2-1 MQTT-3.1.2-6] [v5 MQTT-3.2.2-2 MQTT-3.1.2-4]
#[test]
fn a_session_present_after_clean_start_closes() {
    for version in any_version() {
        let clean = options(version).keep_session(false).clean_start(CleanStart::Always);
        let mut pair = Pair::connected_as(&clean);
        assert_eq!(pair.connect(&clean), "CONNECT c clean");
        assert_eq!(pair.connack(true, &[]), ["error Protocol(SessionPresent)"]);
        assert_eq!(pair.sent(), if version.is_v5() { vec!["DISCONNECT 0x82"] } else { vec![] });
        assert!(pair.machine.is_closed());
    }
}

// [v3 MQTT-3.1.2-6] [v5 MQTT-3.1.2-4]
#[test]
fn clean_start_begins_anew() {
    for version in any_version() {
        let clean = options(version).keep_session(false).clean_start(CleanStart::Always);
        let mut pair = Pair::connected_as(&clean);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.message(2, 9, "in");
        pair.sent();
        assert_eq!(pair.connect(&clean), "CONNECT c clean");
        pair.connack(false, &[]);
        assert!(pair.sent().is_empty());
        assert_eq!(pair.outcomes(), ["Publish #1 Unknown"]);
        assert_eq!(pair.message(2, 9, "new"), ["Message q2 t new"]);
    }
}

#[test]
fn the_first_connect_is_clean_and_reconnects_are_not() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    let options = options(ProtocolVersion::V5_0);
    assert_eq!(pair.connect(&options), "CONNECT c clean");
    assert_eq!(pair.connect(&options), "CONNECT c clean", "the first did not succeed");
    pair.connack(false, &[]);
    assert_eq!(pair.connect(&options), "CONNECT c");
    assert_eq!(pair.connect(&options.clean_start(CleanStart::Always)), "CONNECT c clean");
    pair.machine.session.end();
    assert_eq!(pair.connect(&options), "CONNECT c clean");
}

// trap P2
#[test]
fn a_stalled_window_recovers_when_the_session_is_lost() {
    let mut pair = Pair::limited(&[Property::ReceiveMaximum(2)]);
    for payload in ["a", "b"] {
        pair.publish(2, payload).unwrap();
    }
    pair.sent();
    pair.pubrec(1);
    pair.sent();
    for _ in 0..14 {
        pair.publish(1, "blocked").unwrap();
    }
    assert_eq!(pair.publish(1, "full"), Err(UsageError::InFlightFull));
    assert!(pair.sent().is_empty(), "stalled");
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(false, &[Property::ReceiveMaximum(2)]);
    assert_eq!(pair.outcomes().len(), 2);
    let mut published = 0;
    while !pair.session().is_idle() {
        let sent = pair.sent();
        assert_eq!(sent.len(), 2, "the window is used again");
        for packet in sent {
            let number = packet.strip_prefix("PUBLISH #").unwrap().split(' ').next().unwrap().parse().unwrap();
            published += pair.puback(number).len();
        }
    }
    assert_eq!(published, 14);
}

// trap P6
#[test]
fn receive_maximum_belongs_to_its_connection() {
    let mut pair = Pair::limited(&[Property::ReceiveMaximum(u16::MAX)]);
    for _ in 0..16 {
        pair.publish(1, "a").unwrap();
    }
    assert_eq!(pair.sent().len(), 16);
    for (properties, window) in
        [(&[Property::ReceiveMaximum(10)][..], 10), (&[], 16), (&[Property::ReceiveMaximum(3)], 3)]
    {
        pair.connect(&options(ProtocolVersion::V5_0));
        pair.connack(true, properties);
        assert_eq!(pair.sent().len(), window);
    }
}

// trap P8
#[test]
fn sending_again_respects_a_smaller_window_without_deadlock() {
    for first in [1_u16, 2] {
        let mut pair = Pair::limited(&[]);
        for _ in 0..8 {
            pair.publish(2, "a").unwrap();
        }
        pair.sent();
        for number in 1..=3 {
            pair.pubrec(number);
        }
        pair.sent();
        pair.connect(&options(ProtocolVersion::V5_0));
        pair.connack(true, &[Property::ReceiveMaximum(first)]);
        let mut done = 0;
        for _ in 0..100 {
            let mut in_flight = 0;
            for packet in pair.sent() {
                let mut words = packet.split(' ');
                let (kind, number) = (words.next().unwrap(), words.next().unwrap()[1..].parse().unwrap());
                if kind == "PUBREL" {
                    done += pair.pubcomp(number).len();
                } else {
                    in_flight += 1;
                    pair.pubrec(number);
                }
            }
            assert!(in_flight <= first);
        }
        assert_eq!(done, 8);
        assert!(pair.session().is_idle());
    }
}

// trap P8: a PUBREL that is carried over holds its quota, and gives it back once.
#[test]
fn what_waits_for_pubcomp_counts_on_the_next_connection() {
    let mut pair = Pair::limited(&[]);
    pair.publish(2, "a").unwrap();
    pair.sent();
    pair.pubrec(1);
    for payload in ["b", "c", "d"] {
        pair.publish(1, payload).unwrap();
    }
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(true, &[Property::ReceiveMaximum(2)]);
    assert_eq!(pair.sent(), ["PUBREL #1", "PUBLISH #2 q1 t b"]);
    assert_eq!(pair.pubcomp(1), ["Published #1"]);
    assert_eq!(pair.sent(), ["PUBLISH #3 q1 t c"]);
    assert!(pair.pubcomp(1).is_empty());
    assert!(pair.sent().is_empty());
}

// trap L3, on replay and for what waited; [v5 MQTT-3.2.2-11 MQTT-3.2.2-14]
#[test]
fn what_the_new_server_cannot_take_is_refused_by_name() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.publish(2, "a").unwrap();
    let retained = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).retain(true);
    pair.publish_request(&retained, b"b").unwrap();
    pair.subscribe(&[("a/+", 0)]).unwrap();
    pair.subscribe(&[("$share/g/a", 0)]).unwrap();
    pair.sent();
    pair.publish(1, "c").unwrap();
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(
        true,
        &[
            Property::MaximumQoS(1),
            Property::RetainAvailable(0),
            Property::WildcardSubscriptionAvailable(0),
            Property::SharedSubscriptionAvailable(0),
        ],
    );
    assert_eq!(pair.sent(), ["PUBLISH #5 q1 t c"]);
    assert_eq!(
        pair.outcomes(),
        [
            "Subscribe #3 Refused(WildcardSubscriptionsNotSupported)",
            "Subscribe #4 Refused(SharedSubscriptionsNotSupported)",
            "Publish #1 Refused(QoSNotSupported { maximum: AtLeastOnce })",
            "Publish #2 Refused(RetainNotSupported)"
        ]
    );
}

// trap R4: an oversized or refused message at the head does not loop the connection.
#[test]
fn a_message_that_no_server_takes_leaves_the_queue() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.publish(1, &"x".repeat(500)).unwrap();
    pair.publish(1, "small").unwrap();
    for _ in 0..3 {
        pair.connect(&options(ProtocolVersion::V5_0));
        pair.connack(pair.session().publish_qos(id(1)).is_none(), &[Property::MaximumPacketSize(100)]);
        assert_eq!(pair.sent().len(), 1);
    }
    assert_eq!(pair.outcomes().len(), 1);
}

// Messages whose properties 3.1.1 cannot say fail first, with a typed error.
#[test]
fn what_the_other_version_cannot_say_is_refused_by_name() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    let properties = [Property::ContentType("text/plain")];
    let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).properties(&properties);
    pair.publish_request(&request, b"a").unwrap();
    pair.publish(1, "b").unwrap();
    pair.connect(&options(ProtocolVersion::V3_1_1));
    pair.connack(false, &[]);
    assert_eq!(pair.sent(), ["PUBLISH #2 q1 t b"]);
    assert_eq!(pair.outcomes(), ["Publish #1 Refused(Encode(NotInVersion))"]);
}

// trap R6: nothing of the packet that was being sent goes on, on the new connection.
#[test]
fn a_cut_in_the_middle_of_a_packet_leaves_nothing_of_it() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "abc").unwrap();
        let packet = pair.given_out().unwrap();
        pair.machine.transmitted(pair.now, 3);
        let incoming = pair.message_bytes(1, 9, false, b"in");
        assert!(pair.deliver(&incoming[..4]).is_empty());
        pair.reconnect(true);
        let again = pair.sent_bytes();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].len(), packet.len(), "whole, from its start");
        assert_eq!(again[0][0], packet[0] | 0x08);
        assert_eq!(pair.message(1, 9, "in"), ["Message q1 t in"]);
    }
}

// trap S6: in one segment with CONNACK; and the scenario "dribble": in single bytes.
#[test]
fn however_the_bytes_come_the_events_are_the_same() {
    for version in any_version() {
        for split in [1, 2, 3, 5, 7, 1000] {
            let mut pair = Pair::new(version);
            pair.split = split;
            pair.connect(&options(version));
            let mut bytes = pair.encode(&mqtt_core::Packet::Connack(mqtt_core::Connack {
                session_present: false,
                reason_code: ReasonCode::SUCCESS,
                properties: mqtt_core::Properties::EMPTY,
            }));
            bytes.extend(pair.message_bytes(0, 0, false, b"a"));
            bytes.extend(pair.message_bytes(1, 7, false, b"b"));
            bytes.extend(pair.message_bytes(2, 8, false, b"c"));
            assert_eq!(
                pair.deliver(&bytes),
                ["Connected", "Message q0 t a", "Message q1 t b", "Message q2 t c"],
                "{split}"
            );
            assert_eq!(pair.sent(), ["PUBACK #7", "PUBREC #8"]);
        }
    }
}

#[test]
fn identifiers_go_on_where_they_were() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.publish(1, "a"), Ok(1));
        pair.sent();
        pair.puback(1);
        pair.reconnect(true);
        assert_eq!(pair.publish(1, "b"), Ok(2));
        assert_eq!(pair.session().next_unsent().map(PacketIdentifier::number), Some(2));
        let topic = |pair: &Pair, number| {
            let id = PacketIdentifier::new(number).unwrap();
            pair.session().unsent_topic(id).map(|topic| topic.as_str().to_owned())
        };
        assert_eq!([1, 2, 3].map(|number| topic(&pair, number)), [None, Some("t".to_owned()), None]);
        pair.sent();
        assert_eq!(topic(&pair, 2), None);
        pair.reconnect(true);
        assert_eq!(pair.session().next_unsent(), None, "it is sent again");
        assert_eq!(pair.publish(1, "c"), Ok(3));
        assert_eq!(pair.session().next_unsent().map(PacketIdentifier::number), Some(3));
    }
}

// What CONNECT, CONNACK and DISCONNECT say of the expiry: the last word counts. [v5 MQTT-3.1.2-23]
// [v5 §2.2.2.2: what holds without a property]
#[test]
fn a_session_that_ended_with_its_connection_is_not_resumed() {
    let version = ProtocolVersion::V5_0;
    for (connect, connack, disconnect, kept) in [
        (300, None, None, true),
        (0, None, None, false),
        (300, Some(0), None, false),
        (0, Some(60), None, true),
        (300, None, Some(0), false),
        (300, Some(0), Some(10), true),
    ] {
        let expiry = |seconds: Option<u32>| seconds.map(Property::SessionExpiryInterval);
        let mut pair = Pair::new(version);
        let options = options(version).session_expiry_interval(connect);
        pair.connect(&options);
        pair.connack(false, expiry(connack).as_slice());
        assert_eq!(pair.machine.limits().session_expiry_interval, connack.unwrap_or(connect));
        pair.publish(1, "a").unwrap();
        pair.publish(2, "b").unwrap();
        pair.sent();
        pair.message(2, 9, "in");
        if disconnect.is_some() {
            pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, expiry(disconnect).as_slice()).unwrap();
        }
        assert_eq!(pair.connect(&options), if kept { "CONNECT c" } else { "CONNECT c clean" });
        if !kept {
            assert_eq!(pair.connack(false, &[]), ["Connected"], "nothing was lost");
            assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
            assert_eq!(pair.outcomes(), ["Publish #2 Unknown"]);
            assert_eq!(pair.message(2, 9, "new"), ["Message q2 t new"]);
        }
    }
}

#[test]
fn a_clean_session_of_3_1_1_is_not_there_for_5_0() {
    for (keep, connect) in [(false, "CONNECT c clean"), (true, "CONNECT c")] {
        let mut pair = Pair::connected_as(&options(ProtocolVersion::V3_1_1).keep_session(keep));
        assert_eq!(pair.machine.limits().session_expiry_interval, if keep { u32::MAX } else { 0 });
        assert_eq!(pair.connect(&options(ProtocolVersion::V5_0)), connect);
    }
}
