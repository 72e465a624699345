//! CONNECT and CONNACK.

use mqtt_core::{
    CleanStart, ConnectOptions, ConnectionError, EncodeError, Packet, Property, ProtocolVersion, QoS, ReasonCode,
    Sender, UsageError, Will,
};

use crate::support::{Boxed, Pair, any_version, options, topic};

// [v3 v5 MQTT-3.1.0-1 MQTT-3.1.0-2]
#[test]
fn connect_is_the_first_packet_and_the_only_one_of_its_kind() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.publish(1, "a").unwrap();
        pair.subscribe(&[("a", 0)]).unwrap();
        assert!(pair.sent().is_empty(), "nothing before CONNECT");
        assert!(pair.connect(&options(version)).starts_with("CONNECT"));
        assert!(pair.sent().is_empty(), "nothing before CONNACK");
        let (mut machine, now) = (pair.machine.clone(), pair.now);
        let again = machine.connection.connect(&mut machine.session, now, &options(version), &mut [0; 100]);
        assert_eq!(again, Err(UsageError::AlreadyConnected));
        pair.connack(false, &[]);
        assert!(pair.sent().iter().all(|packet| !packet.starts_with("CONNECT")));
    }
}

#[test]
fn connect_says_what_the_options_say() {
    let will_properties = [Property::WillDelayInterval(5), Property::ContentType("text/plain")];
    let will = Will {
        topic: topic("w"),
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: mqtt_core::Properties::new(&will_properties),
    };
    let properties = [Property::UserProperty("a", "b")];
    let options = ConnectOptions::new("pump-7")
        .keep_alive(77)
        .will(will)
        .user_name("")
        .password(&[0xff, 0])
        .session_expiry_interval(9)
        .receive_maximum(4)
        .maximum_packet_size(512)
        .request_response_information(true)
        .request_problem_information(false)
        .properties(&properties);
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    let mut out = [0; 300];
    let len = pair.machine.connect(pair.now, &options, &mut out).unwrap();
    let Ok(Packet::Connect(connect)) = Packet::decode(ProtocolVersion::V5_0, Sender::Client, &out[..len]) else {
        panic!("a CONNECT")
    };
    assert_eq!((connect.client_identifier, connect.keep_alive, connect.clean_start), ("pump-7", 77, true));
    assert_eq!((connect.user_name, connect.password), (Some(""), Some(&[0xff, 0][..])));
    assert_eq!(connect.will, Some(will));
    let said: Vec<_> = connect.properties.iter().collect();
    assert_eq!(
        said,
        [
            Property::SessionExpiryInterval(9),
            Property::ReceiveMaximum(4),
            Property::MaximumPacketSize(512),
            Property::TopicAliasMaximum(3),
            Property::RequestResponseInformation(1),
            Property::RequestProblemInformation(0),
            Property::UserProperty("a", "b"),
        ]
    );
}

// [v5 §2.2.2.2: what holds without a property]
#[test]
fn what_holds_without_a_property_is_not_written() {
    use mqtt_core::{Machine, NoAliases, NoSubscriptions};
    let storage = Boxed::new(u16::MAX, 1 << 10);
    let mut machine = Machine::with(storage, NoAliases, NoSubscriptions);
    let mut out = [0; 100];
    let options = options(ProtocolVersion::V5_0).session_expiry_interval(0);
    let len = machine.connect(mqtt_core::Instant::ZERO, &options, &mut out).unwrap();
    let Ok(Packet::Connect(connect)) = Packet::decode(ProtocolVersion::V5_0, Sender::Client, &out[..len]) else {
        panic!("a CONNECT")
    };
    // Receive Maximum 65,535, no maximum of bytes, no alias; the session ends with the connection; diagnostics, but no Response
    // Information, are welcome.
    assert_eq!(connect.properties, mqtt_core::Properties::EMPTY);
    machine.receive(mqtt_core::Instant::ZERO, mqtt_core::Input::Packet(&[0x20, 3, 0, 0, 0])).unwrap();
    assert_eq!(machine.limits().session_expiry_interval, 0);
    assert_eq!(machine.poll_timeout().map(|at| at.millis_since(mqtt_core::Instant::ZERO)), Some(45_000), "Keep Alive");
}

#[test]
fn receive_maximum_is_never_above_what_the_storage_holds() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    for wrong in [0, 17] {
        let options = options(ProtocolVersion::V5_0).receive_maximum(wrong);
        assert_eq!(pair.try_connect(&options), Err(UsageError::ReceiveMaximum { capacity: 16 }), "{wrong}");
    }
    assert!(pair.try_connect(&options(ProtocolVersion::V5_0).receive_maximum(16)).is_ok());
}

#[test]
fn a_buffer_too_small_for_connect_is_said_and_nothing_has_begun() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        let Err(UsageError::Encode(EncodeError::BufferTooSmall { needed })) =
            pair.machine.connect(pair.now, &options(version), &mut [0; 10])
        else {
            panic!("10 bytes are too few")
        };
        assert_eq!(pair.machine.connect(pair.now, &options(version), &mut vec![0; needed]), Ok(needed));
    }
}

// [v3 MQTT-3.1.3-7 MQTT-3.1.2-22]
#[test]
fn what_the_version_cannot_say_is_refused_by_name() {
    use ProtocolVersion::{V3_1, V3_1_1, V5_0};
    let bare = ConnectOptions::new("");
    let named = ConnectOptions::new("c");
    let user = [Property::UserProperty("a", "b")];
    let (fits, too_long) = ("ü".repeat(23), "ü".repeat(24));
    for (options, error) in [
        (bare.version(V3_1_1).keep_session(true), Some(UsageError::ClientIdentifier)),
        (bare.version(V3_1_1), None),
        (bare.version(V5_0), None),
        (bare.version(V3_1), Some(UsageError::ClientIdentifier)),
        (ConnectOptions::new("12345678901234567890123").version(V3_1), None),
        (ConnectOptions::new("123456789012345678901234").version(V3_1), Some(UsageError::ClientIdentifier)),
        (ConnectOptions::new("123456789012345678901234").version(V3_1_1), None),
        (ConnectOptions::new(&fits).version(V3_1), None), // characters, not bytes
        (ConnectOptions::new(&too_long).version(V3_1), Some(UsageError::ClientIdentifier)),
        (named.version(V3_1_1).clean_start(CleanStart::Never), Some(UsageError::NotInVersion)),
        (named.version(V3_1_1).clean_start(CleanStart::Always).keep_session(true), Some(UsageError::NotInVersion)),
        (named.version(V3_1_1).password(b"p"), Some(UsageError::Encode(EncodeError::PasswordWithoutUserName))),
        (named.version(V5_0).password(b"p"), None),
        (named.version(V3_1_1).properties(&user), Some(UsageError::Encode(EncodeError::NotInVersion))),
        (named.version(V5_0).properties(&user), None),
    ] {
        let mut pair = Pair::new(options.version);
        assert_eq!(pair.try_connect(&options).err(), error, "{options:?}");
    }
}

#[test]
fn what_the_machine_acts_upon_is_no_free_property() {
    for property in [
        Property::SessionExpiryInterval(1),
        Property::ReceiveMaximum(1),
        Property::MaximumPacketSize(1),
        Property::TopicAliasMaximum(1),
        Property::RequestProblemInformation(0),
        Property::RequestResponseInformation(1),
    ] {
        let properties = [property];
        let options = options(ProtocolVersion::V5_0).session_expiry_interval(0).properties(&properties);
        let refused = Err(UsageError::Encode(EncodeError::PropertyNotAllowed(property.identifier())));
        assert_eq!(Pair::new(ProtocolVersion::V5_0).try_connect(&options), refused);
    }
}

#[test]
fn a_server_of_3_1_does_not_say_whether_a_session_is_present() {
    let options = options(ProtocolVersion::V3_1);
    let mut pair = Pair::new(ProtocolVersion::V3_1);
    pair.connect(&options);
    assert_eq!(pair.connack(false, &[]), ["Connected"]);
    pair.publish(2, "a").unwrap();
    pair.sent();
    // It was asked to keep the session, so it has.
    pair.connect(&options);
    assert_eq!(pair.connack(false, &[]), ["Connected present"]);
    assert_eq!(pair.sent(), ["PUBLISH #1 q2 dup t a"]);
    pair.connect(&options.keep_session(false));
    assert_eq!(pair.connack(false, &[]), ["Connected lost"]);
}

// trap L14; [v3 MQTT-3.2.0-1 MQTT-4.8.0-1] [v5 MQTT-3.2.0-1 MQTT-3.14.0-1]
#[test]
fn a_packet_before_connack_closes() {
    for version in any_version() {
        for case in 0..6 {
            let mut pair = Pair::new(version);
            pair.connect(&options(version));
            let events = match case {
                0 => pair.message(0, 0, "a"),
                1 => pair.puback(1),
                2 => pair.suback(1, &[0]),
                3 => pair.unsuback(1, &[0]),
                4 => pair.pingresp(),
                _ if version.is_v5() => pair.disconnect_in(ReasonCode::SERVER_BUSY),
                _ => continue,
            };
            assert!(events[0].starts_with("error Protocol(UnexpectedPacket"), "{case}: {events:?}");
            assert!(!pair.machine.is_connected());
            assert_eq!(pair.sent(), if version.is_v5() { vec!["DISCONNECT 0x82"] } else { vec![] });
            assert!(pair.machine.is_closed());
            let repeated = pair.connack(false, &[]);
            assert_eq!(repeated, events, "the error is repeated");
        }
    }
}

// trap L14; [v3 MQTT-4.8.0-1] [v5 MQTT-3.2.0-2]
#[test]
fn a_second_connack_closes() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.connack(false, &[]), ["error Protocol(UnexpectedPacket(Connack))"]);
        assert_eq!(pair.sent(), if version.is_v5() { vec!["DISCONNECT 0x82"] } else { vec![] });
        assert!(pair.machine.is_closed());
    }
}

// trap L14
#[test]
fn a_packet_of_the_clients_side_closes() {
    for version in any_version() {
        for packet in [&[0xc0, 0][..], &[0x82, 0], &[0xa2, 0], &[0x10, 0], &[0x00, 0], &[0xf0, 0]] {
            let mut pair = Pair::connected(version);
            let events = pair.deliver(packet);
            assert!(events[0].starts_with("error "), "{packet:02x?}: {events:?}");
            assert_eq!(pair.sent().len(), usize::from(version.is_v5()), "a DISCONNECT");
            assert!(pair.machine.is_closed());
        }
    }
}

// [v3 MQTT-3.2.2-5] [v5 MQTT-3.2.2-7 MQTT-4.13.2-1]
#[test]
fn a_refusal_ends_the_connection_and_keeps_the_session() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.publish(1, "a").unwrap();
        pair.connect(&options(version));
        assert_eq!(pair.refuse(ReasonCode::NOT_AUTHORIZED), ["Refused 0x87"]);
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
        assert_eq!(pair.machine.connection.failure(), Some(ConnectionError::Refused(ReasonCode::NOT_AUTHORIZED)));
        assert_eq!(pair.machine.poll_timeout(), None);
        pair.connect(&options(version));
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
    }
}

#[test]
fn a_server_that_knows_3_1_1_only_refuses_5_0_in_its_own_shape() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0));
    assert_eq!(pair.deliver(&[0x20, 2, 0, 1]), ["Refused 0x84"]);
}

// [v3 MQTT-3.2.2-6]
#[test]
fn no_connack_is_a_failed_attempt() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&options(version).connack_timeout(3_000));
        pair.pass(2_999);
        assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
        assert_eq!(pair.next_deadline(), Some(1));
        assert_eq!(pair.machine.connection.failure(), Some(ConnectionError::ConnackTimeout));
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
        assert_eq!(pair.connack(false, &[]), ["error ConnackTimeout"], "too late");
        // The Server closes without a word.
        pair.connect(&options(version));
        assert_eq!(pair.machine.transport_lost(), ConnectionError::TransportLost);
        assert_eq!(pair.machine.connection.failure(), Some(ConnectionError::TransportLost));
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty());
    }
}

// trap L12; [v5 MQTT-3.1.3-7 MQTT-3.2.2-16]
// [v5 §3.2.2.3.7: an assigned identifier where CONNECT had none]
#[test]
fn an_assigned_client_identifier_is_demanded_and_used_again() {
    let mut empty = options(ProtocolVersion::V5_0);
    empty.client_identifier = "";
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    assert_eq!(pair.connect(&empty), "CONNECT  clean");
    assert_eq!(pair.connack(false, &[]), ["error Protocol(AssignedClientIdentifierMissing)"]);
    pair.connect(&empty);
    assert_eq!(pair.connack(false, &[Property::AssignedClientIdentifier("auto-1")]), ["Connected"]);
    assert_eq!(pair.connect(&empty), "CONNECT auto-1");
    assert_eq!(pair.connack(true, &[]), ["Connected present"]);
}

// trap L12
// [v5 §3.2.2.3.15: response information only where it was asked for]
#[test]
fn response_information_that_was_not_asked_for_closes() {
    for asked in [false, true] {
        let mut pair = Pair::new(ProtocolVersion::V5_0);
        pair.connect(&options(ProtocolVersion::V5_0).request_response_information(asked));
        let events = pair.connack(false, &[Property::ResponseInformation("answers/")]);
        assert_eq!(events, [if asked { "Connected" } else { "error Protocol(Unrequested(ResponseInformation))" }]);
    }
}

// trap L12: session present with an error
#[test]
fn a_refusal_with_a_session_present_closes() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&options(version));
        let connack: &[u8] = if version.is_v5() { &[0x20, 3, 1, 0x87, 0] } else { &[0x20, 2, 1, 5] };
        assert_eq!(pair.deliver(connack), ["error Decode(SessionPresentWithFailure)"]);
    }
}

#[test]
fn a_client_identifier_that_the_storage_cannot_hold_is_refused() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let long = "x".repeat(65);
        let mut other = options(version);
        other.client_identifier = &long;
        assert!(matches!(pair.try_connect(&other), Err(UsageError::StorageFull(full)) if full.needed == 65));
        let clean = "CONNECT c";
        assert_eq!(pair.connect(&options(version)), clean, "the session is as before");
    }
}

#[test]
fn commands_that_need_a_connection_say_so() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        assert_eq!(pair.publish(0, "a"), Err(UsageError::NotConnected));
        assert_eq!(pair.machine.ping(), Err(UsageError::NotConnected));
        pair.connect(&options(version));
        assert_eq!(pair.publish(0, "a"), Err(UsageError::NotConnected));
        assert_eq!(pair.machine.reauthenticate(&[], &mut [0; 9]), Err(UsageError::NotConnected));
        pair.connack(false, &[]);
        assert_eq!(pair.publish(0, "a"), Ok(0));
        pair.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[]).unwrap();
        let closed = UsageError::ConnectionClosed(ConnectionError::Closed);
        assert_eq!(pair.publish(0, "a"), Err(closed));
        assert_eq!(pair.machine.ping(), Err(closed));
        assert_eq!(pair.publish(1, "kept"), Ok(1), "the session takes it");
    }
}

#[test]
fn an_identifier_assigned_beside_that_of_connect_is_not_used() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(false, &[Property::AssignedClientIdentifier("z")]);
    pair.publish(2, "a").unwrap();
    pair.sent();
    assert_eq!(pair.connect(&options(ProtocolVersion::V5_0)), "CONNECT c", "the session goes on");
}
