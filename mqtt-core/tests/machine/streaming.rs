//! Messages larger than a buffer, in and out.

use mqtt_core::{
    Acknowledge, Body, ConnectionError, DecodeError, EncodeError, Input, PacketType, Payload, Property, ProtocolError,
    ProtocolVersion, PublishRequest, QoS, ReasonCode, ReceiveError, TransmitPayload, UsageError,
};

use crate::support::{Pair, any_version, id, options, topic};

const LARGE: [u8; 3_000] = [b'x'; 3_000];

fn streaming(version: ProtocolVersion) -> Pair {
    let mut pair = Pair::connected_as(&options(version).streaming(true));
    pair.receive_buffer(512);
    pair
}

/// Beginning, pieces, end: how many bytes came in pieces.
fn bytes_of(events: &[String]) -> usize {
    let length = |piece: &String| {
        let text = piece.split_once(' ').unwrap().1;
        text.strip_prefix('<').map_or(text.len(), |number| number.trim_end_matches('>').parse().unwrap())
    };
    events.iter().filter(|event| event.starts_with("Fragment") || event.starts_with("Ends")).map(length).sum()
}

#[test]
fn a_large_message_comes_in_pieces_and_is_acknowledged_with_the_last() {
    for version in any_version() {
        for (qos, answer) in [(0, vec![]), (1, vec!["PUBACK #7"]), (2, vec!["PUBREC #7"])] {
            let mut pair = streaming(version);
            let packet = pair.message_bytes(qos, 7, false, &LARGE);
            let (most, last) = packet.split_at(packet.len() - 1);
            let mut events = pair.deliver(most);
            assert_eq!(events[0], format!("Begins q{qos} t 3000"));
            assert!(pair.sent().is_empty(), "it is not complete");
            assert!(pair.session().is_idle(), "and leaves no trace yet");
            events.extend(pair.deliver(last));
            assert_eq!(events.last().unwrap(), "Ends x");
            assert_eq!(bytes_of(&events), 3_000);
            assert_eq!(pair.sent(), answer);
            assert_eq!(pair.tokens.len(), usize::from(qos > 0));
        }
    }
}

#[test]
fn a_message_cut_before_its_last_piece_leaves_no_trace() {
    for version in any_version() {
        for qos in [1, 2] {
            let mut pair = streaming(version);
            let packet = pair.message_bytes(qos, 7, false, &LARGE);
            pair.deliver(&packet[..2_999]);
            let streaming = options(version).streaming(true);
            pair.connect(&streaming);
            pair.connack(true, &[]);
            assert!(pair.sent().is_empty());
            assert!(pair.session().is_idle());
            let again = pair.message_bytes(qos, 7, true, &LARGE);
            let events = pair.deliver(&again);
            assert_eq!(events[0], format!("Begins q{qos} dup t 3000"));
            assert_eq!(bytes_of(&events), 3_000);
            assert_eq!(pair.sent().len(), 1);
        }
    }
}

#[test]
fn pieces_of_a_qos_2_duplicate_are_swallowed() {
    for version in any_version() {
        let mut pair = streaming(version);
        let packet = pair.message_bytes(2, 7, false, &LARGE);
        pair.deliver(&packet);
        assert_eq!(pair.sent(), ["PUBREC #7"]);
        let again = pair.message_bytes(2, 7, true, &LARGE);
        for _ in 0..2 {
            assert!(pair.deliver(&again).is_empty());
            assert_eq!(pair.sent(), ["PUBREC #7"]);
        }
        pair.pubrel(7);
        assert_eq!(pair.sent(), ["PUBCOMP #7"]);
        assert_eq!(pair.deliver(&packet)[0], "Begins q2 t 3000");
    }
}

#[test]
fn between_the_pieces_everything_else_is_sent() {
    for version in any_version() {
        let mut pair = streaming(version);
        let packet = pair.message_bytes(1, 7, false, &LARGE);
        pair.deliver(&packet[..1_000]);
        pair.publish(1, "out").unwrap();
        pair.machine.ping().unwrap();
        assert_eq!(pair.sent(), ["PINGREQ", "PUBLISH #1 q1 t out"]);
        pair.deliver(&packet[1_000..]);
        assert_eq!(pair.sent(), ["PUBACK #7"]);
    }
}

// trap K1 with pieces
#[test]
fn pieces_are_a_sign_of_life_and_pings_still_go_out() {
    for version in any_version() {
        let mut pair = streaming(version);
        let packet = pair.message_bytes(0, 0, false, &LARGE);
        let mut pings = 0;
        for piece in packet.chunks(100) {
            pair.pass(9_000);
            pair.deliver(piece);
            assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
            pings += pair.sent().len();
        }
        assert!(pings >= 5, "{pings} in 279 s");
    }
}

// The scenario "oversize" where streaming is off: skipped, acknowledged, reported; the connection lives.
// [v3 v5 MQTT-4.5.0-2]
#[test]
fn without_streaming_a_large_message_is_skipped_acknowledged_and_reported() {
    for version in any_version() {
        for (qos, answer) in [(0, vec![]), (1, vec!["PUBACK #7"]), (2, vec!["PUBREC #7"])] {
            // Also where the application acknowledges: it has nothing to acknowledge with.
            let by_hand = options(version).acknowledge(Acknowledge::ByApplication);
            let mut pair = Pair::connected_as(&by_hand);
            pair.receive_buffer(512);
            let packet = pair.message_bytes(qos, 7, false, &LARGE);
            assert_eq!(pair.deliver(&packet), [format!("Skipped q{qos} t 3000")]);
            assert_eq!(pair.sent(), answer);
            assert_eq!(pair.message(0, 0, "next"), ["Message q0 t next"]);
            assert!(pair.tokens.is_empty());
        }
    }
}

#[test]
fn a_skipped_qos_2_message_does_not_wait_for_a_record_that_nobody_writes() {
    for version in any_version() {
        let mut pair = Pair::durable(version);
        pair.receive_buffer(512);
        pair.connect(&options(version));
        pair.connack(false, &[]);
        let packet = pair.message_bytes(2, 7, false, &LARGE);
        assert_eq!(pair.deliver(&packet).len(), 1);
        assert_eq!(pair.sent(), ["PUBREC #7"]);
    }
}

#[test]
fn a_large_message_counts_against_receive_maximum() {
    let small = options(ProtocolVersion::V5_0).streaming(true).receive_maximum(1);
    let mut pair = Pair::connected_as(&small);
    pair.receive_buffer(512);
    pair.message(1, 1, "a");
    let packet = pair.message_bytes(1, 2, false, &LARGE);
    assert_eq!(pair.deliver(&packet), ["error Protocol(ReceiveMaximumExceeded)"]);
}

#[test]
fn the_rest_of_a_message_may_be_passed_over_and_comes_again() {
    for version in any_version() {
        for qos in [1, 2] {
            let mut pair = streaming(version);
            let packet = pair.message_bytes(qos, 7, false, &LARGE);
            assert_eq!(pair.deliver(&packet[..1_000])[0], format!("Begins q{qos} t 3000"));
            pair.machine.pass_over_rest();
            // What is behind it is read, another large message too.
            pair.receive_buffer(512);
            let other = pair.message_bytes(0, 0, false, &LARGE);
            assert_eq!(pair.deliver(&other)[0], "Begins q0 t 3000");
            assert!(pair.sent().is_empty(), "it is not acknowledged");
            pair.connect(&options(version).streaming(true));
            pair.connack(true, &[]);
            let again = pair.message_bytes(qos, 7, true, &LARGE);
            assert_eq!(bytes_of(&pair.deliver(&again)), 3_000);
        }
    }
}

// Framing gives no such thing; an adapter with a framing of its own might.
#[test]
fn only_a_publish_comes_in_parts_and_nothing_is_published_inside_it() {
    let mut pair = streaming(ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    pair.sent();
    let puback = Input::PublishHead { head: &[0x40, 3, 0, 1], payload_len: 1 };
    let refused = ConnectionError::Decode(DecodeError::PacketNotAllowed(PacketType::Puback));
    assert_eq!(pair.machine.receive(pair.now, puback), Err(ReceiveError::Connection(refused)));

    let mut pair = streaming(ProtocolVersion::V5_0);
    let (large, small) = (pair.message_bytes(0, 0, false, &LARGE), pair.message_bytes(0, 0, false, b"a"));
    pair.deliver(&large[..1_000]);
    let refused = ConnectionError::Protocol(ProtocolError::UnexpectedPacket(PacketType::Publish));
    assert_eq!(pair.machine.receive(pair.now, Input::Packet(&small)), Err(ReceiveError::Connection(refused)));
}

#[test]
fn a_large_message_may_stand_under_an_alias() {
    let mut pair = streaming(ProtocolVersion::V5_0);
    pair.message_to(Some("long/name"), &[Property::TopicAlias(1)]);
    // PUBLISH, topic empty, Topic Alias 1, 3,000 bytes.
    let mut packet = vec![0x30, 0xbe, 0x17, 0, 0, 3, 0x23, 0, 1];
    packet.extend(LARGE);
    assert_eq!(pair.deliver(&packet)[0], "Begins q0 long/name 3000");
}

// Out.

fn source(pair: &mut Pair, qos: QoS, length: u32, key: u32) -> Result<u16, UsageError> {
    let request = PublishRequest::new(topic("t")).qos(qos);
    let id = pair.machine.publish(pair.now, &request, Body::Source { length, key })?;
    Ok(id.number())
}

#[test]
fn a_payload_larger_than_the_buffer_is_sent_from_the_storage() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.out = 100;
        let large = "x".repeat(1_000);
        pair.publish(1, &large).unwrap();
        let mut out = [0; 100];
        let now = pair.now;
        let before = pair.machine.clone();
        let transmit = pair.machine.poll_transmit(now, &mut out).unwrap().unwrap();
        assert_eq!(transmit.payload, TransmitPayload::Stored(id(1)));
        pair.machine = before;
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t <1000>"]);
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t <1000>"]);
    }
}

#[test]
fn a_source_is_read_whenever_the_message_is_sent() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.sources.insert(42, LARGE.to_vec());
        pair.sources.insert(43, Vec::new());
        source(&mut pair, QoS::AtLeastOnce, 3_000, 42).unwrap();
        source(&mut pair, QoS::ExactlyOnce, 0, 43).unwrap();
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t <3000>", "PUBLISH #2 q2 t "]);
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t <3000>", "PUBLISH #2 q2 dup t "]);
        assert_eq!(pair.puback(1), ["Published #1"]);
    }
}

#[test]
fn a_source_that_ends_early_fails_its_message_alone_and_is_not_retried() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.sources.insert(42, LARGE.to_vec());
        source(&mut pair, QoS::AtLeastOnce, 3_000, 42).unwrap();
        pair.publish(1, "other").unwrap();
        assert!(pair.given_out().is_some());
        pair.machine.transmitted(pair.now, 1_000);
        pair.machine.source_failed(Some(id(1)));
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty(), "the packet cannot be finished, so nothing can follow");
        assert_eq!(pair.machine.connection.failure(), Some(ConnectionError::SourceFailed));
        assert_eq!(pair.outcomes(), ["Publish #1 SourceFailed"]);
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBLISH #2 q1 t other"]);
        pair.machine.source_failed(None);
        assert!(pair.machine.is_closed());
        assert!(pair.outcomes().is_empty());
    }
}

#[test]
fn what_is_in_flight_when_its_source_goes_may_be_acknowledged_and_nothing_is_sent_any_more() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.sources.insert(42, LARGE.to_vec());
        // Sent and acknowledged in time; sent, and not; in its second step; never sent.
        for qos in [QoS::AtLeastOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            source(&mut pair, qos, 3_000, 42).unwrap();
        }
        assert_eq!(pair.sent().len(), 3);
        source(&mut pair, QoS::AtLeastOnce, 3_000, 42).unwrap();
        pair.pubrec(3);
        for number in 1..=4 {
            pair.machine.forget_source(id(number));
        }
        assert_eq!(pair.sent(), ["PUBREL #3"]);
        assert_eq!(pair.outcomes(), ["Publish #4 SourceFailed"]);
        assert_eq!(pair.puback(1), ["Published #1"]);
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBREL #3"]);
        assert_eq!(pair.outcomes(), ["Publish #2 SourceFailed"]);
        // What is kept in the session is none of its business.
        pair.publish(1, "kept").unwrap();
        pair.machine.forget_source(id(5));
        assert_eq!(pair.sent(), ["PUBLISH #5 q1 t kept"]);
    }
}

#[test]
fn a_source_at_qos_0_is_sent_once() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let request = PublishRequest::new(topic("t"));
        let mut out = [0; 64];
        let transmit =
            pair.machine.publish_at_most_once(&request, Payload::Source { length: 3_000 }, &mut out).unwrap();
        assert_eq!(transmit.payload, TransmitPayload::Given);
        let head = &out[..transmit.head_len];
        assert_eq!(head[0], 0x30);
        assert!(pair.session().is_idle());
        let too_large = pair.machine.publish_at_most_once(&request, Payload::Source { length: 268_435_456 }, &mut out);
        assert_eq!(too_large, Err(UsageError::Encode(EncodeError::PacketTooLarge)));
        assert_eq!(
            source(&mut pair, QoS::AtLeastOnce, 268_435_456, 1),
            Err(UsageError::Encode(EncodeError::PacketTooLarge))
        );
    }
}

// 268,435,455 bytes behind the fixed header: `t` with its length, a Packet Identifier, and the properties of a version that has them.
#[test]
fn the_largest_message_is_what_its_version_leaves_of_the_largest_packet() {
    let expiring = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).message_expiry_interval(9);
    let largest = |pair: &mut Pair, length| {
        let fits = |pair: &mut Pair, length| {
            pair.machine.publish(pair.now, &expiring, Body::Source { length, key: 1 }).is_ok()
        };
        fits(pair, length) && !fits(pair, length + 1)
    };
    assert!(largest(&mut Pair::connected(ProtocolVersion::V5_0), 268_435_455 - 5 - 6));
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    assert!(largest(&mut pair, 268_435_455 - 5));
    // Which version the next connection has is not known.
    pair.machine.transport_lost();
    assert!(largest(&mut pair, 268_435_455 - 5 - 6));
}

#[test]
fn a_qos_0_payload_that_does_not_fit_is_sent_behind_its_head() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    let request = PublishRequest::new(topic("t"));
    let mut out = [0; 32];
    let transmit = pair.machine.publish_at_most_once(&request, Payload::Bytes(&LARGE), &mut out).unwrap();
    assert_eq!(transmit.payload, TransmitPayload::Given);
    assert_eq!(out[..3], [0x30, 0xbc, 0x17]);
    let small = pair.machine.publish_at_most_once(&request, Payload::Bytes(&LARGE), &mut out[..5]);
    assert_eq!(small, Err(UsageError::Encode(EncodeError::BufferTooSmall { needed: 7 })));
}

// The Server did not wait for the PUBREC, which refuses the message and leaves between the pieces.
#[test]
fn a_duplicate_of_what_is_refused_meanwhile_is_acknowledged() {
    let by_application = options(ProtocolVersion::V5_0).streaming(true).acknowledge(Acknowledge::ByApplication);
    let mut pair = Pair::connected_as(&by_application);
    pair.receive_buffer(512);
    pair.message(2, 7, "in");
    let again = pair.message_bytes(2, 7, true, &LARGE);
    assert!(pair.deliver(&again[..1_000]).is_empty());
    let token = pair.tokens[0];
    pair.machine.acknowledge(token, ReasonCode::QUOTA_EXCEEDED).unwrap();
    assert_eq!(pair.sent(), ["PUBREC #7 0x97"]);
    assert!(pair.deliver(&again[1_000..]).is_empty());
    assert_eq!(pair.sent(), ["PUBREC #7"]);
}
