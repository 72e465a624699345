//! How a connection ends: by us, by the Server, by an error.

use mqtt_core::{
    AckKind, ConnectionError, EncodeError, Property, PropertyIdentifier, ProtocolVersion, ReasonCode, UsageError,
};

use crate::support::{Pair, any_version, options};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

// [v3 MQTT-3.14.4-1 MQTT-3.14.4-2] [v5 MQTT-3.14.4-1 MQTT-3.14.4-2]; trap C9: twice, and with full queues
#[test]
fn after_disconnect_nothing_more_is_sent_and_the_connection_is_closed() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for _ in 0..15 {
            pair.publish(2, "a").unwrap();
        }
        pair.subscribe(&[("a", 0)]).unwrap();
        pair.message(1, 1, "in");
        pair.pubrel(9);
        pair.machine.ping().unwrap();
        assert_eq!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]).unwrap(), "DISCONNECT");
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
        assert_eq!(pair.machine.poll_timeout(), None);
        pair.pass(1_000_000);
        let _ = pair.machine.handle_timeout(pair.now);
        assert!(pair.sent().is_empty());
        assert_eq!(pair.message(1, 2, "late"), ["error Closed"]);
        let closed = Err(UsageError::ConnectionClosed(ConnectionError::Closed));
        assert_eq!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]), closed);
        // The session goes on.
        pair.reconnect(true);
        assert_eq!(pair.sent().len(), 16);
    }
}

#[test]
fn disconnect_says_its_reason_in_5_0_only() {
    let mut pair = Pair::connected(V5);
    let properties = [Property::UserProperty("a", "b")];
    assert_eq!(
        pair.disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, &properties).unwrap(),
        "DISCONNECT 0x04 [UserProperty(\"a\", \"b\")]"
    );
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    let refused = Err(UsageError::Encode(EncodeError::NotInVersion));
    assert_eq!(pair.disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, &[]), refused);
    assert_eq!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &properties), refused);
    assert!(pair.machine.is_connected(), "it goes on");
    assert!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]).is_ok());
}

// trap S5
// [v5 §3.14.2.2.2: a session expiry in DISCONNECT only if CONNECT had one]
#[test]
fn disconnect_may_change_the_session_expiry_but_not_from_zero() {
    for (connect, disconnect, allowed) in [(300, 10, true), (300, 0, true), (0, 0, true), (0, 10, false)] {
        // The Server's word about the expiry does not matter: CONNECT's does (§3.14.2.2.2).
        let mut pair = Pair::new(V5);
        pair.connect(&options(V5).session_expiry_interval(connect));
        pair.connack(false, &[Property::SessionExpiryInterval(60)]);
        let properties = [Property::SessionExpiryInterval(disconnect)];
        let answer = pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &properties);
        let error = UsageError::Encode(EncodeError::PropertyValue(PropertyIdentifier::SessionExpiryInterval));
        assert_eq!(answer.is_ok(), allowed, "{connect} {disconnect}");
        assert_eq!(answer.err(), (!allowed).then_some(error));
    }
}

#[test]
fn before_connack_only_5_0_has_a_disconnect() {
    for (version, sent) in any_version().into_iter().zip(["", "DISCONNECT"]) {
        let mut pair = Pair::new(version);
        pair.connect(&options(version));
        assert_eq!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]).unwrap(), sent);
        assert!(pair.machine.is_closed());
    }
    let mut pair = Pair::new(V5);
    assert_eq!(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]).unwrap(), "", "nothing has begun");
}

// Only what a Server is told changes how long it keeps the session.
#[test]
fn an_expiry_that_is_not_sent_or_is_not_that_of_a_session_changes_nothing() {
    let mut pair = Pair::connected(V5);
    pair.machine.connection.reset();
    pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[Property::SessionExpiryInterval(0)]).unwrap();
    assert_eq!(pair.connect(&options(V5)), "CONNECT c", "the session is there still");
    // No session began: CONNACK is not there.
    let mut pair = Pair::new(V5);
    pair.connect(&options(V5));
    pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[Property::SessionExpiryInterval(9)]).unwrap();
    assert_eq!(pair.connect(&options(V5)), "CONNECT c clean");
}

// trap R7; [v5 MQTT-3.14.4-1 MQTT-4.13.2-1]
#[test]
fn a_disconnect_of_the_server_is_one_event_with_its_reason() {
    let mut pair = Pair::connected(V5);
    pair.publish(1, "a").unwrap();
    assert_eq!(pair.disconnect_in(ReasonCode::SESSION_TAKEN_OVER), ["Disconnected 0x8e"]);
    assert!(pair.machine.is_closed());
    assert!(pair.sent().is_empty(), "it is not answered");
    assert_eq!(pair.machine.poll_timeout(), None);
    let taken_over = ConnectionError::Disconnected(ReasonCode::SESSION_TAKEN_OVER);
    assert_eq!(pair.machine.connection.failure(), Some(taken_over));
    assert_eq!(pair.machine.handle_timeout(pair.now), Err(taken_over));
    let repeated = pair.message(0, 0, "late");
    assert_eq!(repeated, ["error Disconnected(ReasonCode(142))"]);
}

// [v3 MQTT-4.8.0-1] [v5 MQTT-4.13.2-1] [v5 §4.13.1: an error is told in DISCONNECT, and closes]
// [v3 MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-2.2.2-2 MQTT-3.3.1-4 MQTT-3.6.1-1] [v5 MQTT-3.6.1-1 MQTT-3.14.1-1 MQTT-3.15.1-1]
#[test]
fn an_error_is_told_to_a_server_of_5_0_and_closes() {
    for (bytes, reason, is_v3) in [
        (&[0x40, 1, 0][..], "0x81", true),            // PUBACK ends inside its identifier
        (&[0x36, 4, 0, 1, b't', 1], "0x81", true),    // QoS 3
        (&[0x32, 5, 0, 1, b't', 0, 0], "0x81", true), // identifier 0
        (&[0x30, 3, 0, 1, b'#'], "0x90", true),       // a wildcard
        (&[0x30, 3, 0, 1, 0xff], "0x81", true),       // not UTF-8
        (&[0x30, 3, 0, 1, 0], "0x81", true),          // U+0000
        (&[0x41, 2, 0, 1], "0x81", true),             // flags of PUBACK
        (&[0x60, 2, 0, 1], "0x81", true),             // flags of PUBREL
        (&[0xe1, 0], "0x81", false),                  // flags of DISCONNECT
        (&[0xf1, 0], "0x81", false),                  // flags of AUTH
        (&[0x40, 3, 0, 1, 0x8e], "0x82", false),      // not a reason of PUBACK
        (&[0xf0, 0], "0x82", false),
    ] {
        for version in any_version().into_iter().filter(|version| version.is_v5() || is_v3) {
            let mut pair = Pair::connected(version);
            let events = pair.deliver(bytes);
            assert!(events.first().is_some_and(|event| event.starts_with("error")), "{bytes:02x?} {events:?}");
            let told = if version.is_v5() { vec![format!("DISCONNECT {reason}")] } else { vec![] };
            assert_eq!(pair.sent(), told, "{bytes:02x?}");
            assert!(pair.machine.is_closed());
            assert!(pair.sent().is_empty());
            assert_eq!(pair.message(0, 0, "a"), events, "the first error is repeated");
        }
    }
}

#[test]
fn the_disconnect_of_an_error_waits_for_a_buffer_that_holds_it() {
    let mut pair = Pair::connected(V5);
    pair.deliver(&[0x40, 1, 0]);
    let now = pair.now;
    let small = pair.machine.poll_transmit(now, &mut [0; 2]);
    assert_eq!(small, Err(EncodeError::BufferTooSmall { needed: 4 }));
    assert!(!pair.machine.is_closed());
    assert_eq!(pair.sent(), ["DISCONNECT 0x81"]);
    assert!(pair.machine.is_closed());
}

// [v5 MQTT-4.13.2-1]
#[test]
fn a_server_that_takes_no_disconnect_gets_none() {
    let mut pair = Pair::limited(&[Property::MaximumPacketSize(2)]);
    pair.deliver(&[0x40, 1, 0]);
    assert!(pair.sent().is_empty());
    assert!(pair.machine.is_closed());
}

#[test]
fn a_buffer_too_small_changes_nothing() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert!(pair.sent().is_empty());
        pair.message(1, 1, "in");
        pair.subscribe(&[("abc", 0)]).unwrap();
        pair.publish(1, "payload").unwrap();
        pair.machine.ping().unwrap();
        let mut sent = 0;
        while sent < 4 {
            let before = pair.machine.clone();
            let now = pair.now;
            let Err(EncodeError::BufferTooSmall { needed }) = pair.machine.poll_transmit(now, &mut [0; 1]) else {
                panic!("one byte is too little")
            };
            assert!(pair.machine == before);
            let transmit = pair.machine.poll_transmit(now, &mut vec![0; needed]).unwrap().unwrap();
            assert!(transmit.head_len <= needed);
            sent += 1;
        }
    }
}

// trap R7, in 3.1.1: there a Server has no DISCONNECT.
#[test]
fn a_disconnect_of_a_server_of_3_1_1_closes_as_an_error() {
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    assert_eq!(pair.deliver(&[0xe0, 0]), ["error Decode(PacketNotAllowed(Disconnect))"]);
}

#[test]
fn whatever_ended_the_connection_the_session_goes_on() {
    for version in any_version() {
        for case in 0..4 {
            let mut pair = Pair::connected(version);
            pair.publish(2, "a").unwrap();
            pair.sent();
            match case {
                0 => drop(pair.deliver(&[0x40, 1, 0])),
                1 => drop(pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[])),
                2 => {
                    pair.next_deadline();
                    pair.sent();
                    pair.next_deadline();
                }
                _ => drop(pair.ack(AckKind::Puback, 9, 0)),
            }
            pair.sent();
            pair.reconnect(true);
            assert_eq!(pair.sent(), ["PUBLISH #1 q2 dup t a"]);
        }
    }
}

#[test]
fn a_lost_transport_ends_the_connection_without_disconnect() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "a").unwrap();
        assert_eq!(pair.machine.transport_lost(), ConnectionError::TransportLost);
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
        assert_eq!(pair.pingresp(), ["error TransportLost"]);
        let closed = UsageError::ConnectionClosed(ConnectionError::TransportLost);
        assert_eq!(pair.publish(0, "z"), Err(closed));
        pair.reconnect(true);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
        // While the DISCONNECT of another error waits: nobody would take it.
        pair.deliver(&[0x40, 1, 0]);
        assert!(matches!(pair.machine.transport_lost(), ConnectionError::Decode(_)), "the first error stays");
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
    }
}
