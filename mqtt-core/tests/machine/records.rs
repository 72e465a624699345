//! Sessions with a store: a crash at each record, and what is told and sent afterwards.

use mqtt_core::{
    Acknowledge, Acknowledgement, Body, DeliveryNumber, EncodeError, Event, Input, PacketIdentifier, ProtocolVersion,
    PublishRequest, QoS, ReasonCode, Record, UsageError,
};

use crate::support::{Pair, Small, any_version, id, options, topic};

fn connected(version: ProtocolVersion) -> Pair {
    let mut pair = Pair::durable(version);
    pair.connect(&options(version));
    pair.connack(false, &[]);
    pair
}

fn kinds(pair: &Pair) -> Vec<String> {
    pair.log
        .iter()
        .map(|(_, bytes)| {
            let text = format!("{:?}", Record::decode(bytes).unwrap());
            text.split([' ', '{']).next().unwrap().into()
        })
        .collect()
}

#[test]
fn each_change_of_the_session_is_a_record_with_a_rising_number() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.publish(1, "a").unwrap();
        pair.publish(2, "b").unwrap();
        pair.sent();
        pair.puback(1);
        pair.pubrec(2);
        pair.sent();
        pair.pubcomp(2);
        pair.message(1, 7, "QoS 1 leaves none");
        pair.message(2, 8, "c");
        let token = *pair.tokens.last().unwrap();
        pair.machine.acknowledge(token, ReasonCode::SUCCESS).unwrap();
        pair.write_records();
        pair.sent();
        pair.pubrel(8);
        pair.sent();
        assert_eq!(
            kinds(&pair),
            [
                "SessionStarted",
                "Published",
                "Published",
                "Completed",
                "PubrecReceived",
                "Completed",
                "Received",
                "Confirmed",
                "Released"
            ]
        );
        let numbers: Vec<_> = pair.log.iter().map(|(ticket, _)| ticket.number()).collect();
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    }
}

#[test]
fn only_what_waits_for_its_record_is_held_back() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.sync = false;
        pair.publish(1, "a").unwrap();
        pair.publish(0, "z").unwrap();
        pair.machine.ping().unwrap();
        pair.subscribe(&[("s", 0)]).unwrap();
        pair.message(1, 7, "in");
        assert_eq!(pair.sent(), ["PUBLISH q0 t z", "PINGREQ", "PUBACK #7", "SUBSCRIBE #2 s:0"]);
        pair.message(2, 8, "in");
        assert!(pair.sent().is_empty(), "neither PUBREC nor PUBLISH");
        pair.make_durable(2);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
        pair.make_durable(3);
        assert_eq!(pair.sent(), ["PUBREC #8"]);
        pair.pubrel(8);
        assert!(pair.sent().is_empty(), "PUBCOMP waits");
        pair.publish(2, "b").unwrap();
        pair.make_durable(5);
        assert_eq!(pair.sent(), ["PUBCOMP #8", "PUBLISH #3 q2 t b"], "one write covers many");
        pair.pubrec(3);
        assert!(pair.sent().is_empty(), "PUBREL waits");
        pair.make_durable(6);
        assert_eq!(pair.sent(), ["PUBREL #3"]);
    }
}

#[test]
fn nothing_is_published_before_the_record_of_its_session_is_durable() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.publish(2, "a").unwrap();
        pair.sync = false;
        pair.connect(&options(version));
        pair.connack(false, &[]);
        assert!(pair.sent().is_empty());
        pair.make_durable(2);
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
    }
}

#[test]
fn a_record_of_a_session_that_failed_is_still_waited_for() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.publish(2, "a").unwrap();
        pair.sync = false;
        pair.connect(&options(version));
        pair.connack(false, &[]);
        let failed = pair.log[1].0;
        pair.machine.record_failed(failed).unwrap();
        pair.machine.records_durable(failed.number());
        pair.write_records();
        assert!(pair.sent().is_empty());
        let records = pair.log.len();
        pair.make_durable(records);
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
    }
}

// The program has no state, and takes up what the Server has: from its records the session is known after a crash.
#[test]
fn a_session_that_was_expected_is_recorded_when_it_is_there() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.machine.session.expect_session_present();
        pair.publish(2, "a").unwrap();
        pair.connect(&options(version));
        pair.connack(true, &[]);
        assert_eq!(kinds(&pair), ["Published", "SessionStarted"]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
        pair.crash(2, Small::new());
        pair.machine.session.expect_session_present();
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 dup t a"]);
        pair.reconnect(true);
        assert!(kinds(&pair).len() == 2, "it is known from the records now");
    }
}

#[test]
fn without_a_store_there_are_no_records() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.pubrec(1);
        pair.message(2, 1, "in");
        assert!(pair.log.is_empty());
        assert_eq!(pair.sent(), ["PUBREC #1", "PUBREL #1"]);
    }
}

#[test]
fn the_call_after_a_record_waits_until_it_was_polled() {
    for version in any_version() {
        let mut pair = connected(version);
        let now = pair.now;
        let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce);
        let publish = |pair: &mut Pair| pair.machine.publish(now, &request, Body::Stored(&b"a"[..]));
        publish(&mut pair).unwrap();
        assert_eq!(publish(&mut pair), Err(UsageError::RecordPending));
        assert!(pair.machine.poll_transmit(now, &mut [0; 99]).unwrap().is_none());
        let packet = pair.message_bytes(1, 1, false, b"in");
        assert!(pair.is_held_back(&packet));
        assert!(pair.machine.poll_outcome().is_none());
        pair.write_records();
        assert!(publish(&mut pair).is_ok());
    }
}

// trap S8
#[test]
fn what_was_stored_and_not_sent_is_sent_after_a_restart() {
    for version in any_version() {
        // Before the first connection.
        let mut pair = Pair::durable(version);
        pair.publish(1, "a").unwrap();
        pair.publish(2, "b").unwrap();
        let records = pair.log.len();
        pair.crash(records, Small::new());
        pair.connect(&options(version));
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a", "PUBLISH #2 q2 t b"]);
        assert!(pair.outcomes().is_empty());
        assert_eq!(pair.publish(1, "c"), Ok(3), "identifiers go on");
        // Whether it was sent is not known: with DUP.
        let records = pair.log.len();
        pair.crash(records, Small::new());
        pair.connect(&options(version));
        pair.connack(true, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t a", "PUBLISH #2 q2 dup t b", "PUBLISH #3 q1 dup t c"]);
    }
}

#[test]
fn a_restored_message_is_whole() {
    let mut pair = Pair::durable(ProtocolVersion::V5_0);
    let properties = [mqtt_core::Property::ContentType("c"), mqtt_core::Property::UserProperty("a", "b")];
    let request = PublishRequest::new(topic("t"))
        .qos(QoS::AtLeastOnce)
        .retain(true)
        .message_expiry_interval(60)
        .properties(&properties);
    pair.publish_request(&request, b"payload").unwrap();
    let by_source = PublishRequest::new(topic("s")).qos(QoS::ExactlyOnce);
    pair.machine.publish(pair.now, &by_source, Body::Source { length: 5, key: 77 }).unwrap();
    pair.write_records();
    pair.sources.insert(77, b"12345".to_vec());
    pair.pass(20_000);
    pair.crash(2, Small::new());
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(false, &[]);
    assert_eq!(
        pair.sent(),
        [
            "PUBLISH #1 q1 retain t payload [ContentType(\"c\"), UserProperty(\"a\", \"b\"), MessageExpiryInterval(60)]",
            "PUBLISH #2 q2 s 12345"
        ]
    );
}

// trap S5: a crash at each record of a QoS 1 and 2 exchange out. Nothing is lost, and nothing goes the wrong way.
#[test]
fn a_crash_at_each_record_of_an_exchange_out_loses_nothing() {
    for version in any_version() {
        for crash_at in 1..=6 {
            let mut pair = connected(version);
            pair.publish(1, "a").unwrap();
            pair.publish(2, "b").unwrap();
            pair.sent();
            pair.puback(1);
            pair.pubrec(2);
            pair.sent();
            pair.pubcomp(2);
            assert_eq!(pair.log.len(), 6);
            pair.crash(crash_at, Small::new());
            assert_eq!(pair.connect(&options(version)), "CONNECT c");
            pair.connack(true, &[]);
            let (a, b) = ("PUBLISH #1 q1 dup t a", "PUBLISH #2 q2 dup t b");
            let expected: &[&str] = match crash_at {
                1 => &[],
                2 => &[a],
                3 => &[a, b],
                4 => &[b],
                5 => &["PUBREL #2"],
                _ => &[],
            };
            assert_eq!(pair.sent(), expected, "{crash_at}");
            assert_eq!(pair.publish(1, "next").unwrap(), [1, 2, 3, 3, 3, 3][crash_at - 1]);
        }
    }
}

// trap S5: a crash at each record of a QoS 2 message in. By its delivery number it is handed over once.
#[test]
fn a_crash_at_each_record_of_a_message_in_doubles_nothing() {
    for version in any_version() {
        for crash_at in 1..=4 {
            let mut pair = connected(version);
            pair.message(2, 8, "in");
            let number = pair.tokens[0].delivery_number();
            pair.sent();
            let token = pair.tokens[0];
            pair.machine.acknowledge(token, ReasonCode::SUCCESS).unwrap();
            pair.write_records();
            pair.pubrel(8);
            pair.sent();
            assert_eq!(kinds(&pair), ["SessionStarted", "Received", "Confirmed", "Released"]);
            pair.crash(crash_at, Small::new());
            pair.connect(&options(version));
            pair.connack(true, &[]);
            // The Server goes on: it has no PUBREC as far as this record was not durable, or no PUBCOMP.
            if crash_at == 1 {
                assert_eq!(pair.message_again(2, 8, "in"), ["Message q2 dup t in"]);
                assert_eq!(pair.tokens[0].delivery_number(), number, "PUBREC never left, so the number is free");
            } else if crash_at < 4 {
                assert!(pair.message_again(2, 8, "in").is_empty(), "the store has it");
            }
            if crash_at < 4 {
                assert_eq!(pair.sent(), ["PUBREC #8"]);
            }
            pair.pubrel(8);
            let answer = if crash_at == 4 && version.is_v5() { "PUBCOMP #8 0x92" } else { "PUBCOMP #8" };
            assert_eq!(pair.sent(), [answer]);
            assert_eq!(pair.message(2, 8, "new"), ["Message q2 t new"]);
            assert!(pair.tokens.last().unwrap().delivery_number() > number);
        }
    }
}

// A session that the Server lost, and a crash before the outcomes were taken.
#[test]
fn a_crash_after_a_lost_session_still_tells_what_is_unknown() {
    for version in any_version() {
        let mut pair = connected(version);
        for (qos, payload) in [(2, "a"), (2, "b"), (1, "c")] {
            pair.publish(qos, payload).unwrap();
        }
        pair.sent();
        pair.pubrec(1);
        pair.sent();
        pair.message(2, 8, "in");
        pair.sent();
        pair.reconnect(false);
        let records = pair.log.len();
        pair.crash(records, Small::new());
        assert_eq!(pair.reconnect(true), ["Connected present"]);
        assert_eq!(pair.sent(), ["PUBLISH #3 q1 dup t c"], "nothing of the session before");
        assert_eq!(pair.outcomes(), ["Publish #1 Unknown", "Publish #2 Unknown"]);
        assert_eq!(pair.message(2, 8, "new"), ["Message q2 t new"]);
    }
}

#[test]
fn what_was_published_anew_goes_on_after_a_crash() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.connect(&options(version).republish_exactly_once(true));
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q2 t a"]);
        pair.pubrec(1);
        let records = pair.log.len();
        pair.crash(records, Small::new());
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBREL #1"]);
        assert_eq!(pair.pubcomp(1), ["Published #1"]);
        assert!(pair.outcomes().is_empty());
        assert!(pair.session().is_idle());
    }
}

// PUBCOMP never leaves before its record, also when PUBREL comes again on another connection.
#[test]
fn a_pubrel_that_was_cut_still_waits_for_its_record() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.message(2, 8, "in");
        assert_eq!(pair.sent(), ["PUBREC #8"]);
        pair.sync = false;
        pair.pubrel(8);
        pair.reconnect(true);
        pair.pubrel(8);
        assert!(pair.sent().is_empty());
        let records = pair.log.len();
        pair.make_durable(records);
        assert_eq!(pair.sent(), ["PUBCOMP #8"]);
    }
}

#[test]
fn outcomes_are_recorded_too() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.publish(1, "a").unwrap();
        assert!(pair.machine.cancel(id(1)));
        assert_eq!(kinds(&pair), ["Published"]);
        assert_eq!(pair.outcomes(), ["Publish #1 NotSent"]);
        assert_eq!(kinds(&pair), ["Published", "Completed"]);
        pair.crash(2, Small::new());
        assert!(pair.session().is_idle());
        pair.crash(1, Small::new());
        assert_eq!(pair.session().outgoing_len(), 1, "its outcome was not taken for good");
    }
}

// The store fails: that command fails, and the connection lives.
#[test]
fn a_publish_that_cannot_be_recorded_fails_alone() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.sync = false;
        pair.publish(1, "a").unwrap();
        pair.publish(1, "b").unwrap();
        let failed = pair.log[1].0;
        pair.machine.record_failed(failed).unwrap();
        assert_eq!(pair.outcomes(), ["Publish #1 StoreFailed"]);
        assert!(!pair.session().is_recorded(id(2)), "its record is on the way");
        pair.make_durable(3);
        assert!(pair.session().is_recorded(id(2)));
        assert_eq!(pair.sent(), ["PUBLISH #2 q1 t b"]);
        assert!(pair.machine.is_connected());
        pair.machine.record_failed(failed).unwrap();
        assert_eq!(pair.session().outgoing_len(), 1, "told twice is told once");
    }
}

// It waits for the record of the session, too; which of the two failed is not to be confused.
#[test]
fn a_publish_before_the_session_began_fails_with_its_own_record() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.sync = false;
        pair.publish(2, "a").unwrap();
        pair.connect(&options(version));
        pair.connack(false, &[]);
        let failed = pair.log[0].0;
        pair.machine.record_failed(failed).unwrap();
        assert_eq!(pair.outcomes(), ["Publish #1 StoreFailed"]);
        let records = pair.log.len();
        pair.make_durable(records);
        assert!(pair.sent().is_empty(), "it was never recorded");
    }
}

#[test]
fn a_message_that_cannot_be_recorded_counts_as_not_received() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.sync = false;
        pair.message(2, 8, "in");
        let failed = pair.log[1].0;
        pair.machine.record_failed(failed).unwrap();
        if version.is_v5() {
            assert_eq!(pair.sent(), ["PUBREC #8 0x83"]);
            assert_eq!(pair.message(2, 8, "new"), ["Message q2 t new"]);
        } else {
            assert!(pair.sent().is_empty(), "3.1.1 cannot refuse");
            pair.reconnect(true);
            assert_eq!(pair.message_again(2, 8, "in"), ["Message q2 dup t in"]);
        }
        pair.machine.records_durable(99);
        assert_eq!(pair.sent(), ["PUBREC #8"]);
    }
}

#[test]
fn any_other_record_is_due_again_and_holds_back_its_packet_until_then() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.publish(2, "a").unwrap();
        pair.sent();
        pair.message(2, 8, "in");
        pair.sent();
        pair.sync = false;
        pair.pubrec(1);
        let pubrec = pair.log.last().unwrap().0;
        pair.pubrel(8);
        let released = pair.log.last().unwrap().0;
        pair.publish(1, "later").unwrap();
        let later = pair.log.last().unwrap().0;
        for failed in [pubrec, released] {
            pair.machine.record_failed(failed).unwrap();
            pair.write_records();
        }
        // Those behind them are durable; they themselves are not.
        pair.machine.records_durable(later.number());
        assert_eq!(pair.sent(), ["PUBLISH #2 q1 t later"]);
        assert_eq!(kinds(&pair)[5..], ["Published", "PubrecReceived", "Released"]);
        let records = pair.log.len();
        pair.make_durable(records);
        assert_eq!(pair.sent(), ["PUBCOMP #8", "PUBREL #1"]);
    }
}

// It is written late, behind a message of the session that it speaks of: that one is not forgotten.
#[test]
fn the_record_of_a_session_that_failed_leaves_the_messages_behind_it_alone() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.sync = false;
        pair.connect(&options(version));
        pair.connack(false, &[]);
        let started = pair.log[0].0;
        pair.message(2, 8, "in");
        pair.machine.record_failed(started).unwrap();
        pair.write_records();
        assert_eq!(kinds(&pair)[1..], ["Received", "SessionStarted"]);
        pair.log.remove(0);
        let records = pair.log.len();
        pair.crash(records, Small::new());
        pair.reconnect(true);
        assert!(pair.message_again(2, 8, "in").is_empty(), "it was received");
        assert_eq!(pair.sent(), ["PUBREC #8"]);
    }
}

// The identifier means another exchange by then: written behind its record, the one that failed would end it.
#[test]
fn a_record_that_failed_is_not_due_again_once_its_identifier_means_something_else() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.sync = false;
        pair.message(2, 8, "in");
        pair.make_durable(2);
        pair.sent();
        pair.pubrel(8);
        let first = pair.log.last().unwrap().0;
        pair.reconnect(true);
        // No PUBCOMP has left, so the Server repeats it.
        pair.pubrel(8);
        let second = pair.log.last().unwrap().0;
        pair.machine.records_durable(second.number());
        pair.sent();
        pair.message(2, 8, "new");
        let before = kinds(&pair);
        pair.machine.record_failed(first).unwrap();
        pair.write_records();
        assert_eq!(kinds(&pair), before);
    }
}

// What was not confirmed comes again from its record after a crash; its token is gone.
#[test]
fn a_message_is_confirmed_by_its_number_after_a_crash() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.message(2, 8, "in");
        let before = pair.tokens[0];
        let number = before.delivery_number();
        pair.crash(2, Small::new());
        pair.machine.confirm(number).unwrap();
        assert_eq!(pair.machine.session.confirm(number), Err(UsageError::RecordPending));
        pair.write_records();
        // The same by a token.
        let token = Acknowledgement::of_record(number, id(8));
        assert_eq!(token, before);
        pair.machine.acknowledge(token, ReasonCode::SUCCESS).unwrap();
        pair.write_records();
        let last = Record::decode(&pair.log.last().unwrap().1).unwrap();
        assert_eq!(last, Record::Confirmed { delivery: number });
    }
}

#[test]
fn a_streamed_message_gives_its_record_with_the_last_piece() {
    let mut pair = Pair::durable(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0).streaming(true));
    pair.connack(false, &[]);
    let packet = pair.message_bytes(2, 8, false, b"abc");
    let now = pair.now;
    let head = Input::PublishHead { head: &packet[..packet.len() - 3], payload_len: 3 };
    assert!(matches!(pair.machine.receive(now, head), Ok(Some(Event::MessageBegins { payload_len: 3, .. }))));
    let last = Input::PublishPayload { bytes: b"abc", last: true };
    let Ok(Some(Event::MessageEnds { record: Some(ticket), acknowledgement: Some(token), .. })) =
        pair.machine.receive(now, last)
    else {
        panic!("a message with a ticket")
    };
    assert_eq!(token.packet_identifier(), id(8));
    assert!(pair.sent().is_empty());
    pair.machine.records_durable(ticket.number());
    assert_eq!(pair.sent(), ["PUBREC #8"]);
}

#[test]
fn every_record_reads_as_it_was_written() {
    let message = mqtt_core::RecordedMessage {
        topic: topic("a/b"),
        retain: true,
        properties: mqtt_core::Properties::new(&[mqtt_core::Property::SubscriptionIdentifier(7)]),
        payload: b"payload",
    };
    let published = mqtt_core::RecordedMessage { properties: mqtt_core::Properties::EMPTY, ..message };
    let packet_identifier = PacketIdentifier::MAX;
    let delivery = DeliveryNumber(0x0102_0304_0506_0708);
    for record in [
        Record::SessionStarted { client_identifier: "", after: DeliveryNumber(0) },
        Record::SessionStarted { client_identifier: "pump-7", after: DeliveryNumber(3) },
        Record::Published {
            packet_identifier,
            message: published,
            exactly_once: false,
            expires_in: None,
            source: None,
        },
        Record::Published {
            packet_identifier,
            message: published,
            exactly_once: true,
            expires_in: Some(u32::MAX),
            source: Some((1, 2)),
        },
        Record::PubrecReceived { packet_identifier },
        Record::Completed { packet_identifier },
        Record::Received { delivery, packet_identifier, message },
        Record::Released { packet_identifier },
        Record::Confirmed { delivery },
    ] {
        let len = record.encoded_len().unwrap();
        let mut bytes = vec![0; len];
        assert!(record.encode(&mut bytes[..len - 1]).is_err());
        assert_eq!(record.encode(&mut bytes), Ok(len));
        assert_eq!(Record::decode(&bytes), Ok(record));
        // A payload may end anywhere; a field may not.
        let payload = match record {
            Record::Published { .. } | Record::Received { .. } => 7,
            _ => 0,
        };
        for short in 0..len - payload {
            assert!(Record::decode(&bytes[..short]).is_err(), "{short} of {record:?}");
        }
    }
    assert!(Record::decode(&[8, 0, 1]).is_err(), "of a later version");
    let unwritable = Record::SessionStarted { client_identifier: "a\0", after: DeliveryNumber(0) };
    assert_eq!(unwritable.encoded_len(), Err(EncodeError::NullCharacter));
}

#[test]
fn a_smaller_storage_than_that_of_the_log_says_so() {
    fn restored(pair: &Pair) -> Vec<bool> {
        let mut small = mqtt_core::Machine::new(mqtt_core::ArrayStorage::<1, 1, 100>::new());
        let records = pair.log.iter().map(|(_, bytes)| Record::decode(bytes).unwrap());
        records.map(|record| small.restore(pair.now, &record).is_ok()).collect()
    }
    let mut pair = Pair::durable(ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.publish(1, "b").unwrap();
    assert_eq!(restored(&pair), [true, false]);

    let mut pair = connected(ProtocolVersion::V5_0);
    pair.message(2, 1, "a");
    pair.message(2, 2, "b");
    assert_eq!(kinds(&pair), ["SessionStarted", "Received", "Received"]);
    assert_eq!(restored(&pair), [true, true, false]);
}

#[test]
fn the_first_outcome_of_a_command_stays() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.publish(1, "a").unwrap();
        let failed = pair.log.last().unwrap().0;
        assert!(pair.machine.cancel(id(1)));
        pair.machine.record_failed(failed).unwrap();
        assert_eq!(pair.outcomes(), ["Publish #1 NotSent"]);
    }
}

#[test]
fn a_record_that_failed_waits_for_the_one_that_was_not_polled() {
    for version in any_version() {
        let mut pair = connected(version);
        pair.machine.confirm(DeliveryNumber(1)).unwrap();
        let (failed, _) = pair.machine.poll_record(pair.now).unwrap();
        pair.machine.confirm(DeliveryNumber(2)).unwrap();
        assert_eq!(pair.machine.record_failed(failed), Err(UsageError::RecordPending));
        for number in [2, 1] {
            let delivery = DeliveryNumber(number);
            let record = pair.machine.poll_record(pair.now).map(|(_, record)| record);
            assert_eq!(record, Some(Record::Confirmed { delivery }));
            if number == 2 {
                pair.machine.record_failed(failed).unwrap();
            }
        }
    }
}

// A store has forgotten the `Received`, as it may.
#[test]
fn delivery_numbers_go_on_behind_the_highest_that_was_confirmed() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.machine
            .restore(pair.now, &Record::SessionStarted { client_identifier: "c", after: DeliveryNumber(0) })
            .unwrap();
        pair.machine.restore(pair.now, &Record::Confirmed { delivery: DeliveryNumber(41) }).unwrap();
        pair.connect(&options(version));
        pair.connack(true, &[]);
        pair.message(2, 9, "in");
        assert_eq!(pair.tokens[0].delivery_number(), DeliveryNumber(42));
    }
}

#[test]
fn what_was_acknowledged_when_it_was_recorded_cannot_be_refused() {
    let mut pair = Pair::durable(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0).acknowledge(Acknowledge::ByApplication));
    pair.connack(false, &[]);
    pair.message(2, 8, "in");
    pair.message(1, 7, "in");
    let refuse = |pair: &mut Pair, index: usize| {
        let token = pair.tokens[index];
        pair.machine.acknowledge(token, ReasonCode::QUOTA_EXCEEDED)
    };
    assert_eq!(refuse(&mut pair, 0), Err(UsageError::AlreadyAcknowledged));
    assert!(pair.machine.poll_record(pair.now).is_none(), "it is not confirmed");
    assert_eq!(refuse(&mut pair, 1), Ok(()), "QoS 1 has no records");
    assert_eq!(pair.sent(), ["PUBACK #7 0x97", "PUBREC #8"]);
}
