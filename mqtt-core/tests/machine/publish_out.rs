//! Messages at QoS 1 and 2 that this side publishes.

use mqtt_core::{AckKind, Outcome, Payload, Property, PublishRequest, QoS, UsageError};

use crate::support::{Pair, any_version, topic};

// [v3 MQTT-4.3.2-1] [v5 MQTT-4.3.2-1 MQTT-4.3.2-2 MQTT-4.3.2-3]
#[test]
fn qos_1_is_held_until_puback() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.publish(1, "a"), Ok(1));
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
        assert_eq!(pair.session().outgoing_len(), 1);
        assert_eq!(pair.puback(1), ["Published #1"]);
        assert_eq!(pair.session().outgoing_len(), 0);
        assert!(pair.session().is_idle());
    }
}

// [v3 MQTT-4.3.3-1] [v5 MQTT-4.3.3-1 MQTT-4.3.3-2 MQTT-4.3.3-3 MQTT-4.3.3-4 MQTT-4.3.3-5]
#[test]
fn qos_2_is_held_until_pubrec_and_its_pubrel_until_pubcomp() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.publish(2, "a"), Ok(1));
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
        assert!(pair.pubrec(1).is_empty());
        assert_eq!(pair.sent(), ["PUBREL #1"]);
        assert_eq!(pair.session().outgoing_len(), 1);
        assert_eq!(pair.pubcomp(1), ["Published #1"]);
        assert!(pair.session().is_idle());
    }
}

// The scenario "QoS 2 out, first byte of PUBREL": flags 0010. [v3 v5 MQTT-3.6.1-1]
#[test]
fn pubrel_begins_with_0x62() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.pubrec(1);
        assert_eq!(pair.sent_bytes(), [[0x62, 2, 0, 1]]);
    }
}

// trap P1; [v3 MQTT-2.3.1-2] [v5 MQTT-2.2.1-3]
#[test]
fn acknowledgements_out_of_order_neither_stall_nor_reuse_an_identifier() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&crate::support::options(version).send_maximum(5));
        pair.connack(false, &[]);
        for _ in 0..10 {
            pair.publish(1, "a").unwrap();
        }
        assert_eq!(pair.sent().len(), 5);
        let mut in_flight: Vec<u16> = (1..=5).collect();
        for round in 0..200 {
            let acknowledged = in_flight.remove(if round % 2 == 0 { in_flight.len() - 1 } else { 0 });
            assert_eq!(pair.puback(acknowledged), [format!("Published #{acknowledged}")]);
            pair.publish(1, "a").unwrap();
            let sent = pair.sent();
            assert_eq!(sent.len(), 1, "the window is filled again");
            let number: u16 = sent[0].strip_prefix("PUBLISH #").unwrap().split(' ').next().unwrap().parse().unwrap();
            assert!(!in_flight.contains(&number), "#{number} is in flight");
            in_flight.push(number);
        }
    }
}

// trap P5; [v5 MQTT-3.3.4-7 MQTT-3.3.4-8 MQTT-4.9.0-1 MQTT-4.9.0-2 MQTT-4.9.0-3]
#[test]
fn receive_maximum_of_one_is_held_until_pubcomp_and_delays_nothing_but_publish() {
    let mut pair = Pair::limited(&[Property::ReceiveMaximum(1)]);
    pair.publish(2, "a").unwrap();
    pair.publish(2, "b").unwrap();
    assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
    pair.pubrec(1);
    pair.subscribe(&[("s", 0)]).unwrap();
    pair.machine.ping().unwrap();
    pair.publish(0, "z").unwrap();
    pair.message(1, 9, "in");
    assert_eq!(
        pair.sent(),
        ["PUBLISH q0 t z", "PINGREQ", "PUBACK #9", "PUBREL #1", "SUBSCRIBE #3 s:0"],
        "all but the PUBLISH at QoS 2"
    );
    assert_eq!(pair.pubcomp(1), ["Published #1"]);
    assert_eq!(pair.sent(), ["PUBLISH #2 q2 t b"]);
    // A refusal frees the quota at once.
    pair.publish(1, "c").unwrap();
    assert_eq!(pair.ack(AckKind::Pubrec, 2, 0x97), ["Published #2 0x97"]);
    assert_eq!(pair.sent(), ["PUBLISH #4 q1 t c"], "no PUBREL for what was refused");
}

// trap Q5; [v5 MQTT-4.4.0-2]
#[test]
fn a_refused_publish_is_over_and_never_sent_again() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.publish(2, "b").unwrap();
    pair.sent();
    // The scenario "puback_refused": the caller learns it.
    assert_eq!(pair.ack(AckKind::Puback, 1, 0x87), ["Published #1 0x87"]);
    assert_eq!(pair.ack(AckKind::Pubrec, 2, 0x80), ["Published #2 0x80"]);
    assert!(pair.sent().is_empty(), "no PUBREL");
    pair.reconnect(true);
    assert!(pair.sent().is_empty());
    assert!(pair.session().is_idle());
}

// trap Q5
#[test]
fn no_matching_subscribers_is_success() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.publish(2, "b").unwrap();
    pair.sent();
    assert_eq!(pair.ack(AckKind::Puback, 1, 0x10), ["Published #1 0x10"]);
    assert!(pair.ack(AckKind::Pubrec, 2, 0x10).is_empty());
    assert_eq!(pair.sent(), ["PUBREL #2"]);
}

// trap Q9
#[test]
fn answers_that_belong_to_nothing_are_counted_and_borne() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "a").unwrap();
        pair.sent();
        assert_eq!(pair.puback(1), ["Published #1"]);
        assert!(pair.puback(1).is_empty(), "twice");
        assert!(pair.puback(77).is_empty());
        assert!(pair.pubcomp(77).is_empty());
        assert_eq!(pair.machine.connection.ignored(), 3);
        assert!(pair.sent().is_empty());
        assert!(pair.machine.is_connected());
    }
}

// trap Q9
#[test]
fn an_answer_to_a_publish_that_was_not_sent_does_not_end_it() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&crate::support::options(version).send_maximum(1));
        pair.connack(false, &[]);
        pair.publish(1, "a").unwrap();
        pair.publish(1, "b").unwrap();
        assert_eq!(pair.sent().len(), 1);
        assert!(pair.puback(2).is_empty());
        assert_eq!(pair.machine.connection.ignored(), 1);
        assert_eq!(pair.puback(1), ["Published #1"]);
        assert_eq!(pair.sent(), ["PUBLISH #2 q1 t b"]);
    }
}

#[test]
fn a_pubrec_that_belongs_to_nothing_gets_a_pubrel() {
    for (version, answer) in any_version().into_iter().zip(["PUBREL #77", "PUBREL #77 0x92"]) {
        let mut pair = Pair::connected(version);
        assert!(pair.pubrec(77).is_empty());
        assert_eq!(pair.sent(), [answer]);
    }
}

#[test]
fn many_strange_packets_wait_for_their_answers_to_leave() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    for number in 1..=20 {
        assert!(pair.pubrec(number).is_empty());
        assert!(pair.pubrel(number).is_empty());
    }
    let sent = pair.sent();
    assert_eq!(sent.len(), 40);
    assert_eq!(sent.last().unwrap(), "PUBCOMP #20 0x92");
}

#[test]
fn a_repeated_pubrec_gets_its_pubrel_again() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.pubrec(1);
        assert_eq!(pair.sent(), ["PUBREL #1"]);
        pair.pubrec(1);
        assert_eq!(pair.sent(), ["PUBREL #1"]);
        assert_eq!(pair.pubcomp(1), ["Published #1"]);
        assert!(pair.sent().is_empty());
    }
}

// A Server that repeats itself with another word: the last one counts, and a refusal has no PUBREL.
#[test]
fn a_pubrec_that_refuses_after_one_that_did_not_ends_the_exchange() {
    for pubrel_sent in [false, true] {
        let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.pubrec(1);
        if pubrel_sent {
            pair.sent();
        }
        assert_eq!(pair.ack(AckKind::Pubrec, 1, 0x97), ["Published #1 0x97"]);
        assert!(pair.sent().is_empty());
        assert!(pair.session().is_idle());
    }
}

// RabbitMQ answers a QoS 2 PUBLISH of 3.1.1 with PUBACK.
#[test]
fn puback_ends_a_qos_2_publish_of_3_1_1_only() {
    for (version, events) in any_version().into_iter().zip([vec!["Published #1"], vec![]]) {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        assert_eq!(pair.puback(1), events);
        assert!(pair.machine.is_connected());
    }
}

// The scenario "no_puback"; [v5 MQTT-4.4.0-1]
#[test]
fn without_an_answer_nothing_is_sent_again_on_the_same_connection() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "a").unwrap();
        pair.publish(2, "b").unwrap();
        assert_eq!(pair.sent().len(), 2);
        for _ in 0..20 {
            pair.next_deadline().unwrap();
            assert_eq!(pair.sent(), ["PINGREQ"]);
            pair.pingresp();
        }
    }
}

// [v3 v5 MQTT-4.6.0-4] [v3 MQTT-2.3.1-6] [v5 MQTT-2.2.1-5]
#[test]
fn pubrels_leave_in_the_order_of_their_pubrecs() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for _ in 0..3 {
            pair.publish(2, "a").unwrap();
        }
        pair.sent();
        for number in [3, 1, 2] {
            pair.pubrec(number);
        }
        assert_eq!(pair.sent(), ["PUBREL #3", "PUBREL #1", "PUBREL #2"]);
    }
}

#[test]
fn a_message_that_expired_before_it_was_sent_is_not_sent() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).message_expiry_interval(10);
        pair.publish_request(&request, b"a").unwrap();
        pair.publish_request(&request.message_expiry_interval(20), b"b").unwrap();
        pair.pass(12_500);
        pair.connect(&crate::support::options(version));
        pair.connack(false, &[]);
        let left = if version.is_v5() { " [MessageExpiryInterval(8)]" } else { "" };
        assert_eq!(pair.sent(), [format!("PUBLISH #2 q1 t b{left}")]);
        assert_eq!(pair.outcomes(), ["Publish #1 Expired"]);
    }
}

#[test]
fn what_expires_without_a_connection_is_told_when_it_is_looked_for() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce);
        for seconds in [10, 10, 20, 10] {
            pair.publish_request(&request.message_expiry_interval(seconds), b"a").unwrap();
            if pair.session().outgoing_len() == 1 {
                pair.sent();
            }
        }
        pair.connect(&crate::support::options(version));
        pair.pass(9_999);
        assert!(!pair.machine.expire(pair.now));
        pair.pass(1);
        assert!(pair.machine.expire(pair.now));
        assert_eq!(pair.outcomes(), ["Publish #2 Expired", "Publish #4 Expired"], "the first was sent");
        assert!(!pair.machine.expire(pair.now));
    }
}

// [v5 MQTT-4.3.3-7]
#[test]
fn a_message_that_was_sent_no_longer_expires() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    let request = PublishRequest::new(topic("t")).qos(QoS::ExactlyOnce).message_expiry_interval(10);
    pair.publish_request(&request, b"a").unwrap();
    pair.sent();
    pair.pass(60_000);
    pair.reconnect(true);
    assert_eq!(pair.sent(), ["PUBLISH #1 q2 dup t a [MessageExpiryInterval(1)]"]);
    assert!(pair.outcomes().is_empty());
}

#[test]
fn what_was_never_sent_can_be_taken_back() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let first = pair.publish(1, "a").unwrap();
        pair.sent();
        let second = pair.publish(2, "b").unwrap();
        assert!(!pair.machine.cancel(crate::support::id(first)), "it is out");
        assert!(pair.machine.cancel(crate::support::id(second)));
        assert!(!pair.machine.cancel(crate::support::id(second)), "once");
        assert!(pair.sent().is_empty());
        assert_eq!(pair.outcomes(), ["Publish #2 NotSent"]);
        assert_eq!(pair.session().outgoing_len(), 1);
    }
}

#[test]
fn ending_the_session_gives_every_command_its_outcome() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for qos in [1, 2, 2] {
            pair.publish(qos, "a").unwrap();
        }
        pair.subscribe(&[("s", 1)]).unwrap();
        pair.sent();
        pair.pubrec(2);
        pair.publish(1, "late").unwrap();
        pair.unsubscribe(&["s"]).unwrap();
        pair.machine.session.end();
        let mut outcomes = pair.outcomes();
        outcomes.sort();
        assert_eq!(
            outcomes,
            [
                "Publish #1 Unknown",
                "Publish #2 Unknown",
                "Publish #3 Unknown",
                "Publish #5 NotSent",
                "Subscribe #4 Unknown",
                "Unsubscribe #6 NotSent"
            ]
        );
        assert!(pair.session().is_idle());
    }
}

// trap P4
#[test]
fn a_message_that_cannot_be_sent_frees_identifier_and_quota_once() {
    let mut pair = Pair::new(mqtt_core::ProtocolVersion::V5_0);
    pair.publish(2, "a message of some length").unwrap();
    pair.publish(1, "b").unwrap();
    pair.publish(1, "c").unwrap();
    pair.connect(&crate::support::options(mqtt_core::ProtocolVersion::V5_0));
    pair.connack(false, &[Property::ReceiveMaximum(1), Property::MaximumPacketSize(20)]);
    assert_eq!(pair.sent(), ["PUBLISH #2 q1 t b"], "the first is passed over, and takes no quota");
    let refused = pair.next_outcome().unwrap();
    assert_eq!(refused.outcome, Outcome::Refused(UsageError::PacketTooLarge { needed: 32, maximum: 20 }));
    assert_eq!(pair.outcomes(), Vec::<String>::new(), "once");
    assert_eq!(pair.puback(2), ["Published #2"]);
    assert_eq!(pair.sent(), ["PUBLISH #3 q1 t c"]);
}

#[test]
fn a_full_storage_is_back_pressure_and_room_comes_back() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for _ in 0..16 {
            pair.publish(1, "a").unwrap();
        }
        assert_eq!(pair.publish(1, "a"), Err(UsageError::InFlightFull));
        assert_eq!(pair.subscribe(&[("s", 0)]), Err(UsageError::InFlightFull));
        assert_eq!(pair.sent().len(), 16);
        pair.puback(9);
        assert_eq!(pair.publish(1, "a"), Ok(17));
        for number in (1..=17).filter(|number| *number != 9) {
            pair.sent();
            pair.puback(number);
        }
        let large = "x".repeat(4000);
        pair.publish(1, &large).unwrap();
        assert!(matches!(pair.publish(1, &large), Err(UsageError::StorageFull(full)) if full.free < 100));
    }
}

#[test]
fn each_call_takes_its_own_qos() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    let request = PublishRequest::new(topic("t"));
    let body = mqtt_core::Body::Stored(&b""[..]);
    assert_eq!(pair.machine.publish(pair.now, &request, body), Err(UsageError::WrongQoS));
    let request = request.qos(QoS::AtLeastOnce);
    assert_eq!(
        pair.machine.publish_at_most_once(&request, Payload::Bytes(b""), &mut [0; 9]),
        Err(UsageError::WrongQoS)
    );
}

#[test]
fn the_qos_of_a_publish_is_known_until_its_outcome() {
    let mut pair = Pair::connected(mqtt_core::ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.publish(2, "b").unwrap();
    pair.subscribe(&[("s", 0)]).unwrap();
    pair.sent();
    let known = |pair: &Pair| [1, 2, 3].map(|number| pair.session().publish_qos(crate::support::id(number)));
    assert_eq!(known(&pair), [Some(QoS::AtLeastOnce), Some(QoS::ExactlyOnce), None]);
    pair.puback(1);
    pair.pubrec(2);
    assert_eq!(known(&pair), [None, Some(QoS::ExactlyOnce), None], "its PUBREL is under way");
    pair.sent();
    pair.pubcomp(2);
    assert_eq!(known(&pair), [None; 3]);
}
