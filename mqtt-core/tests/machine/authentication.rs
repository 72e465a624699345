//! Enhanced authentication and re-authentication, 5.0 §4.12.

use mqtt_core::{ConnectOptions, EncodeError, Property, ProtocolVersion, UsageError};

use crate::support::{Pair, options, packet_line};

const METHOD: Property<'static> = Property::AuthenticationMethod("SCRAM");
const FIRST: [Property<'static>; 2] = [METHOD, Property::AuthenticationData(b"first")];
const MORE: [Property<'static>; 2] = [METHOD, Property::AuthenticationData(b"more")];
const OTHER: [Property<'static>; 1] = [Property::AuthenticationMethod("OTHER")];

fn enhanced() -> ConnectOptions<'static> {
    options(ProtocolVersion::V5_0).properties(&FIRST)
}

fn connecting() -> Pair {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&enhanced());
    pair
}

fn authenticated() -> Pair {
    let mut pair = connecting();
    assert_eq!(pair.connack(false, &[METHOD]), ["Connected"]);
    pair
}

fn line(out: &[u8]) -> String {
    packet_line(&mqtt_core::Packet::decode(ProtocolVersion::V5_0, mqtt_core::Sender::Client, out).unwrap())
}

fn authenticate(pair: &mut Pair, properties: &[Property<'_>]) -> Result<String, UsageError> {
    let mut out = [0; 100];
    let len = pair.machine.authenticate(properties, &mut out)?;
    Ok(line(&out[..len]))
}

fn reauthenticate(pair: &mut Pair, properties: &[Property<'_>]) -> Result<String, UsageError> {
    let mut out = [0; 100];
    let len = pair.machine.reauthenticate(properties, &mut out)?;
    Ok(line(&out[..len]))
}

// [v5 MQTT-4.12.0-3 MQTT-3.1.2-30]
#[test]
fn a_challenge_before_connack_is_answered_with_0x18() {
    let mut pair = connecting();
    pair.publish(1, "waits").unwrap();
    for _ in 0..3 {
        assert_eq!(authenticate(&mut pair, &MORE), Err(UsageError::NoAuthentication), "nobody has asked");
        assert_eq!(pair.auth_in(0x18, &MORE), ["Authentication 0x18"]);
        assert!(pair.sent().is_empty(), "only AUTH or DISCONNECT until CONNACK");
        let answer = authenticate(&mut pair, &MORE).unwrap();
        assert!(answer.starts_with("AUTH 0x18 [AuthenticationMethod(\"SCRAM\"), AuthenticationData"), "{answer}");
    }
    assert_eq!(pair.connack(false, &[METHOD]), ["Connected"]);
    assert_eq!(pair.sent(), ["PUBLISH #1 q1 t waits"]);
}

// [v5 MQTT-4.12.0-5]; trap L12
#[test]
fn another_method_of_the_server_closes() {
    for properties in [&OTHER[..], &[]] {
        let mut pair = connecting();
        assert_eq!(pair.connack(false, properties), ["error Protocol(AuthenticationMethod)"]);
        assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
    }
    let mut pair = connecting();
    assert_eq!(pair.auth_in(0x18, &OTHER), ["error Protocol(AuthenticationMethod)"]);
}

// [v5 MQTT-4.12.0-5]: whichever letter is another one
#[test]
fn a_method_that_differs_in_one_bit_is_another() {
    for bit in 0..5 {
        for place in 0..5 {
            let mut text = *b"SCRAM";
            text[place] ^= 1 << bit;
            let mut pair = connecting();
            let other = [Property::AuthenticationMethod(core::str::from_utf8(&text).unwrap())];
            assert_eq!(pair.connack(false, &other), ["error Protocol(AuthenticationMethod)"], "{other:?}");
        }
    }
}

// [v5 MQTT-4.12.0-5]
#[test]
fn another_method_of_ours_is_refused() {
    let mut pair = connecting();
    pair.auth_in(0x18, &MORE);
    for properties in [&OTHER[..], &[]] {
        assert_eq!(authenticate(&mut pair, properties), Err(UsageError::NoAuthentication));
    }
    assert!(authenticate(&mut pair, &MORE).is_ok(), "the challenge stands");
}

// [v5 MQTT-4.12.0-2]
#[test]
fn a_challenge_with_another_reason_closes() {
    let mut pair = connecting();
    assert_eq!(pair.auth_in(0, &MORE), ["error Protocol(AuthenticationReason)"]);
    let mut pair = authenticated();
    assert_eq!(pair.auth_in(0x18, &MORE), ["error Protocol(AuthenticationReason)"], "nothing is under way");
    assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
}

// [v5 MQTT-4.12.0-6 MQTT-4.12.0-7]; trap L12
#[test]
fn without_a_method_there_is_no_auth() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0));
    assert_eq!(pair.auth_in(0x18, &MORE), ["error Protocol(UnexpectedPacket(Auth))"]);
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0));
    assert_eq!(pair.connack(false, &[METHOD]), ["error Protocol(AuthenticationMethod)"]);
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    assert_eq!(pair.auth_in(0x18, &MORE), ["error Protocol(UnexpectedPacket(Auth))"]);
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    assert_eq!(authenticate(&mut pair, &MORE), Err(UsageError::NoAuthentication));
    assert_eq!(reauthenticate(&mut pair, &MORE), Err(UsageError::NoAuthentication));
    assert!(pair.machine.is_connected());
}

// [v5 MQTT-4.12.1-1]
#[test]
fn reauthentication_goes_through_its_steps_while_messages_flow() {
    let mut pair = authenticated();
    let first = reauthenticate(&mut pair, &MORE).unwrap();
    assert!(first.starts_with("AUTH 0x19 [AuthenticationMethod(\"SCRAM\")"), "{first}");
    assert_eq!(pair.message(1, 1, "a").len(), 1);
    assert_eq!(pair.sent(), ["PUBACK #1"]);
    assert_eq!(pair.auth_in(0x18, &MORE), ["Authentication 0x18"]);
    assert!(authenticate(&mut pair, &MORE).unwrap().starts_with("AUTH 0x18"));
    assert_eq!(pair.auth_in(0, &MORE), ["Authentication"]);
    assert!(reauthenticate(&mut pair, &OTHER).is_err(), "always with the method of CONNECT");
    assert!(reauthenticate(&mut pair, &MORE).is_ok(), "and again");
}

// [v5 MQTT-4.12.1-2 MQTT-4.13.2-1]
#[test]
fn a_failed_reauthentication_ends_the_connection() {
    let mut pair = authenticated();
    reauthenticate(&mut pair, &MORE).unwrap();
    assert_eq!(pair.disconnect_in(mqtt_core::ReasonCode::NOT_AUTHORIZED), ["Disconnected 0x87"]);
    assert!(pair.machine.is_closed());
    // What the Server says makes no sense: this side says so and closes.
    let mut pair = authenticated();
    reauthenticate(&mut pair, &MORE).unwrap();
    assert_eq!(pair.auth_in(0x18, &OTHER), ["error Protocol(AuthenticationMethod)"]);
    assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
    assert!(pair.machine.is_closed());
}

// The application does not believe the Server.
#[test]
fn disconnect_can_end_an_authentication() {
    let mut pair = connecting();
    pair.auth_in(0x18, &MORE);
    let sent = pair.disconnect(mqtt_core::ReasonCode::UNSPECIFIED_ERROR, &[]).unwrap();
    assert_eq!(sent, "DISCONNECT 0x80");
    assert!(matches!(authenticate(&mut pair, &MORE), Err(UsageError::ConnectionClosed(_))));
}

// [v5 MQTT-3.15.2-2 MQTT-3.15.2-3]
#[test]
fn auth_leaves_out_its_diagnostics_rather_than_to_be_too_large() {
    let mut pair = connecting();
    pair.connack(false, &[METHOD, Property::MaximumPacketSize(20)]);
    let properties = [METHOD, Property::ReasonString("why not at all"), Property::UserProperty("a", "b")];
    assert_eq!(reauthenticate(&mut pair, &properties), Ok("AUTH 0x19 [AuthenticationMethod(\"SCRAM\")]".into()));
    let large = [METHOD, Property::AuthenticationData(&[0; 20])];
    assert_eq!(reauthenticate(&mut pair, &large), Err(UsageError::Encode(EncodeError::PacketTooLarge)));
}

// [v5 MQTT-3.1.2-29]
#[test]
fn unwanted_diagnostics_of_auth_close() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&enhanced().request_problem_information(false));
    let properties = [METHOD, Property::ReasonString("r")];
    assert_eq!(pair.auth_in(0x18, &properties), ["error Protocol(Unrequested(ReasonString))"]);
}

#[test]
fn authentication_in_3_1_1_is_refused_by_name() {
    let mut pair = Pair::new(ProtocolVersion::V3_1_1);
    let refused = Err(UsageError::Encode(EncodeError::NotInVersion));
    assert_eq!(pair.try_connect(&options(ProtocolVersion::V3_1_1).properties(&FIRST)), refused);
}

#[test]
fn re_authentication_may_succeed_without_a_word() {
    let mut pair = authenticated();
    reauthenticate(&mut pair, &FIRST).unwrap();
    assert_eq!(pair.deliver(&[0xf0, 0]), ["Authentication"]);
    assert!(pair.deliver(&[0xf0, 0])[0].starts_with("error Protocol(Authentication"), "only once");
    // Another method is never Success. [v5 MQTT-4.12.0-5]
    let mut pair = authenticated();
    reauthenticate(&mut pair, &FIRST).unwrap();
    assert_eq!(pair.auth_in(0, &OTHER), ["error Protocol(AuthenticationMethod)"]);
}
