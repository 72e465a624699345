//! Writing within the peer's Maximum Packet Size: diagnostics are left out before a packet is given up.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Disconnect, EncodeError, Packet, Properties, Property, ProtocolVersion, Publish,
    ReasonCode, ReasonCodes, Sender, Suback, Unsuback,
};

use crate::support::samples::{samples, topic};
use crate::support::wire::id;

const V5: ProtocolVersion = ProtocolVersion::V5_0;

const DIAGNOSTICS: [Property<'static>; 3] =
    [Property::UserProperty("k", "v"), Property::ReasonString("because"), Property::UserProperty("k", "w")];

fn within(packet: Packet<'_>, sender: Sender, maximum: u32) -> Result<Vec<u8>, EncodeError> {
    let mut out = vec![0xa5; 128];
    let result = packet.encode_within(V5, sender, Some(maximum), &mut out);
    if result.is_err() {
        assert_eq!(out, vec![0xa5; 128], "a failed encoding wrote something");
    }
    out.truncate(result?);
    assert!(out.len() <= maximum as usize);
    Ok(out)
}

/// The packet whole, then without diagnostics, then not at all.
fn shrinks(packet: Packet<'_>, short: Packet<'_>, sender: Sender) {
    let len = |packet: Packet<'_>| packet.encoded_len(V5, sender).unwrap() as u32;
    assert!(len(short) < len(packet));
    let mut whole = vec![0; len(packet) as usize];
    assert_eq!(packet.encode(V5, sender, &mut whole), Ok(whole.len()));
    assert_eq!(within(packet, sender, len(packet)), Ok(whole), "{packet:?}");
    for maximum in len(short)..len(packet) {
        let wire = within(packet, sender, maximum).unwrap();
        assert_eq!(wire.len() as u32, len(short), "{packet:?} in {maximum}");
        assert_eq!(Packet::decode(V5, sender, &wire), Ok(short), "{packet:?} in {maximum}");
    }
    for maximum in 0..len(short) {
        assert_eq!(within(packet, sender, maximum), Err(EncodeError::PacketTooLarge), "{packet:?} in {maximum}");
    }
}

// [v5 MQTT-3.4.2-2 MQTT-3.4.2-3] [v5 MQTT-3.5.2-2 MQTT-3.5.2-3] [v5 MQTT-3.6.2-2 MQTT-3.6.2-3]
// [v5 MQTT-3.7.2-2 MQTT-3.7.2-3]
#[test]
fn acks_go_without_their_diagnostics() {
    for kind in [AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp] {
        for sender in [Sender::Client, Sender::Server] {
            let success = Ack::new(kind, id(1));
            let failure = if matches!(kind, AckKind::Puback | AckKind::Pubrec) { 0x97 } else { 0x92 };
            for short in [success, Ack { reason_code: ReasonCode::from_u8(failure), ..success }] {
                for diagnostics in [&DIAGNOSTICS[..], &DIAGNOSTICS[..1], &DIAGNOSTICS[1..2]] {
                    let packet = Ack { properties: Properties::new(diagnostics), ..short };
                    shrinks(Packet::Ack(packet), Packet::Ack(short), sender);
                }
            }
        }
    }
}

#[test]
fn diagnostics_that_were_received_are_left_out_too() {
    let wire = b"\x40\x0f\0\x01\x97\x0b\x26\0\x01k\0\x01v\x1f\0\x01r";
    let Ok(Packet::Ack(ack)) = Packet::decode(V5, Sender::Server, wire) else { panic!() };
    shrinks(Packet::Ack(ack), Packet::Ack(Ack { properties: Properties::EMPTY, ..ack }), Sender::Client);
    let wire = b"\xe0\x0b\x80\x09\x1f\0\x01r\x11\0\0\0\x3c";
    let Ok(Packet::Disconnect(disconnect)) = Packet::decode(V5, Sender::Client, wire) else { panic!() };
    let expiry = Properties::new(&[Property::SessionExpiryInterval(60)]);
    let short = Disconnect { properties: expiry, ..disconnect };
    shrinks(Packet::Disconnect(disconnect), Packet::Disconnect(short), Sender::Client);
}

// [v5 MQTT-3.14.2-3 MQTT-3.14.2-4]
#[test]
fn a_disconnect_keeps_what_matters() {
    let [first, second, third] = DIAGNOSTICS;
    let expiry = [Property::SessionExpiryInterval(60)];
    let list = [first, Property::SessionExpiryInterval(60), second, third];
    let packet = |list| {
        let properties = Properties::new(list);
        Packet::Disconnect(Disconnect { reason_code: ReasonCode::UNSPECIFIED_ERROR, properties })
    };
    shrinks(packet(&list), packet(&expiry), Sender::Client);
    shrinks(packet(&DIAGNOSTICS), packet(&[]), Sender::Client);
}

// [v5 MQTT-3.15.2-2 MQTT-3.15.2-3]
#[test]
fn an_auth_keeps_its_method_and_data() {
    let [first, second, third] = DIAGNOSTICS;
    let (method, data) = (Property::AuthenticationMethod("m"), Property::AuthenticationData(b"d"));
    let packet = |list| {
        let properties = Properties::new(list);
        Packet::Auth(Auth { reason_code: ReasonCode::CONTINUE_AUTHENTICATION, properties })
    };
    shrinks(packet(&[first, method, second, data, third]), packet(&[method, data]), Sender::Client);
}

#[test]
fn subacks_and_unsubacks_go_without_their_diagnostics() {
    let (packet_identifier, reason_codes) = (id(1), ReasonCodes::new(&[0, 0x80]));
    let suback = |list| {
        let properties = Properties::new(list);
        Packet::Suback(Suback { packet_identifier, properties, reason_codes })
    };
    shrinks(suback(&DIAGNOSTICS), suback(&[]), Sender::Server);
    let unsuback = |list| {
        let properties = Properties::new(list);
        Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes })
    };
    shrinks(unsuback(&DIAGNOSTICS), unsuback(&[]), Sender::Server);
}

#[test]
fn the_properties_of_a_message_are_never_left_out() {
    let properties = Properties::new(&DIAGNOSTICS[..1]);
    let delivery = mqtt_core::Delivery::AtMostOnce;
    let publish = Publish { topic: Some(topic("t")), delivery, retain: false, properties, payload: b"" };
    let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties };
    for packet in [Packet::Publish(publish), Packet::Connack(connack)] {
        let len = packet.encoded_len(V5, Sender::Server).unwrap() as u32;
        assert!(within(packet, Sender::Server, len).is_ok());
        assert_eq!(within(packet, Sender::Server, len - 1), Err(EncodeError::PacketTooLarge));
    }
}

#[test]
fn without_a_maximum_everything_is_whole() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            let mut out = vec![0; sample.wire.len()];
            let result = sample.packet.encode_within(version, sender, None, &mut out);
            assert_eq!((result, &out), (Ok(sample.wire.len()), &sample.wire), "{}", sample.name);
        }
    }
}
