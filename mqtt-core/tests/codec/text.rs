//! Strings, wherever one stands: well-formed UTF-8, no U+0000, at most 65,535 bytes, and nothing taken away.

use mqtt_core::{
    DecodeError, EncodeError, Packet, Properties, Property, ProtocolVersion, ReasonCode, Sender, TopicFilter, TopicName,
};

use crate::support::samples::CONNECT;
use crate::support::wire::packet;

/// A place for a string: name, version, sender, first byte of the packet, and what stands before and behind it.
type Place = (&'static str, ProtocolVersion, Sender, u8, &'static [u8], &'static [u8]);

const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
const V5: ProtocolVersion = ProtocolVersion::V5_0;

const PLACES: &[Place] = &[
    ("Client Identifier", V3, Sender::Client, 0x10, b"\0\x04MQTT\x04\x02\0\0", b""),
    ("Client Identifier", V5, Sender::Client, 0x10, b"\0\x04MQTT\x05\x02\0\0\0", b""),
    ("Will Topic", V3, Sender::Client, 0x10, b"\0\x04MQTT\x04\x06\0\0\0\x01c", b"\0\0"),
    ("Will Topic", V5, Sender::Client, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\0", b"\0\0"),
    ("User Name", V3, Sender::Client, 0x10, b"\0\x04MQTT\x04\x82\0\0\0\x01c", b""),
    ("User Name", V5, Sender::Client, 0x10, b"\0\x04MQTT\x05\x82\0\0\0\0\x01c", b""),
    ("Topic Name", V3, Sender::Client, 0x30, b"", b"payload"),
    ("Topic Name", V5, Sender::Server, 0x30, b"", b"\0payload"),
    ("filter of SUBSCRIBE", V3, Sender::Client, 0x82, b"\0\x01", b"\0"),
    ("filter of SUBSCRIBE", V5, Sender::Client, 0x82, b"\0\x01\0", b"\0"),
    ("filter of UNSUBSCRIBE", V3, Sender::Client, 0xa2, b"\0\x01", b""),
    ("filter of UNSUBSCRIBE", V5, Sender::Client, 0xa2, b"\0\x01\0", b""),
];

/// The same in properties, whose length is put before: what stands before the length, and before and behind the string.
type PropertyPlace = (&'static str, Sender, u8, &'static [u8], &'static [u8], &'static [u8]);

const PROPERTY_PLACES: &[PropertyPlace] = &[
    ("Content Type", Sender::Server, 0x30, b"\0\x01t", b"\x03", b""),
    ("Response Topic", Sender::Server, 0x30, b"\0\x01t", b"\x08", b""),
    ("User Property, name", Sender::Server, 0x30, b"\0\x01t", b"\x26", b"\0\x01v"),
    ("User Property, value", Sender::Server, 0x30, b"\0\x01t", b"\x26\0\x01n", b""),
    ("Reason String", Sender::Client, 0x40, b"\0\x01\0", b"\x1f", b""),
    ("Assigned Client Identifier", Sender::Server, 0x20, b"\0\0", b"\x12", b""),
    ("Authentication Method", Sender::Server, 0x20, b"\0\0", b"\x15", b""),
    ("Response Information", Sender::Server, 0x20, b"\0\0", b"\x1a", b""),
    ("Server Reference", Sender::Server, 0x20, b"\0\0", b"\x1c", b""),
];

/// Every packet with this string in one place.
fn packets_with(text: &[u8]) -> Vec<(&'static str, ProtocolVersion, Sender, Vec<u8>)> {
    let string = [&(text.len() as u16).to_be_bytes()[..], text].concat();
    let fields = PLACES.iter().map(|&(name, version, sender, first, before, behind)| {
        (name, version, sender, packet(first, &[before, &string, behind].concat()))
    });
    let properties = PROPERTY_PLACES.iter().map(|&(name, sender, first, head, before, behind)| {
        let block = [before, &string, behind].concat();
        (name, V5, sender, packet(first, &[head, &[block.len() as u8], &block].concat()))
    });
    fields.chain(properties).collect()
}

fn is_refused(text: &[u8], error: DecodeError) {
    for (name, version, sender, wire) in packets_with(text) {
        assert_eq!(Packet::decode(version, sender, &wire), Err(error), "{name} {version:?}: {text:02x?}");
    }
}

fn is_kept(text: &[u8]) {
    for (name, version, sender, wire) in packets_with(text) {
        let packet =
            Packet::decode(version, sender, &wire).unwrap_or_else(|error| panic!("{name} {text:02x?}: {error}"));
        let mut out = vec![0; wire.len()];
        assert_eq!(packet.encode(version, sender, &mut out), Ok(wire.len()), "{name}");
        assert_eq!(out, wire, "{name} {version:?}: {text:02x?}");
    }
}

// [v3 MQTT-1.5.3-1] [v5 MQTT-1.5.4-1 MQTT-1.5.7-1 MQTT-3.3.2-19] [v5 §2.2.2.2: a value of its type]
#[test]
fn ill_formed_text_is_refused_everywhere() {
    for text in [
        &[0x80][..],                           // a continuation alone
        &[b'a', 0xc3],                         // cut short
        &[0xc0, 0xaf],                         // longer than needed
        &[0xe0, 0x80, 0xaf],                   // longer than needed
        &[0xed, 0xa0, 0x80],                   // U+D800
        &[0xed, 0xbf, 0xbf],                   // U+DFFF
        &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], // a pair of surrogates
        &[0xf4, 0x90, 0x80, 0x80],             // above U+10FFFF
        &[0xff],
    ] {
        is_refused(text, DecodeError::InvalidUtf8);
    }
    assert_eq!(DecodeError::InvalidUtf8.reason_code(), ReasonCode::MALFORMED_PACKET);
}

// trap L10; [v3 MQTT-1.5.3-2] [v5 MQTT-1.5.4-2 MQTT-1.5.7-1]
#[test]
fn the_null_character_is_refused_everywhere() {
    for text in [&b"\0"[..], b"a\0", b"\0a", b"a\0b", b"a long text, longer than a vector, with a null \0 in it"] {
        is_refused(text, DecodeError::NullCharacter);
    }
    assert_eq!(DecodeError::NullCharacter.reason_code(), ReasonCode::MALFORMED_PACKET);
}

// trap L10; [v3 MQTT-1.5.3-3] [v5 MQTT-1.5.4-3]
#[test]
fn the_byte_order_mark_is_a_character_like_others() {
    for text in ["\u{feff}", "\u{feff}a", "a\u{feff}", "a\u{feff}b"] {
        is_kept(text.as_bytes());
    }
    let wire = b"\x30\x06\0\x04\xef\xbb\xbfa";
    let Ok(Packet::Publish(publish)) = Packet::decode(V3, Sender::Server, wire) else { panic!() };
    assert_eq!(publish.topic, TopicName::new("\u{feff}a").ok());
}

// [v3 v5 §1.5: discouraged characters are borne]
#[test]
fn characters_that_are_only_discouraged_are_kept() {
    for text in ["\u{1}", "\u{1f}", "\u{7f}", "\u{9f}", "\u{fdd0}", "\u{ffff}", "\u{10ffff}", "ü€😀", " "] {
        is_kept(text.as_bytes());
    }
}

#[test]
fn the_null_character_is_not_written() {
    let null = Err(EncodeError::NullCharacter);
    let connect = CONNECT;
    for version in [V3, V5] {
        for connect in [
            mqtt_core::Connect { version, client_identifier: "a\0", ..connect },
            mqtt_core::Connect { version, user_name: Some("\0"), ..connect },
        ] {
            assert_eq!(connect.encoded_len(version, Sender::Client), null);
        }
    }
    for property in [
        Property::ReasonString("\0"),
        Property::UserProperty("a\0", ""),
        Property::UserProperty("", "a\0"),
        Property::ServerReference("a\0b"),
    ] {
        let list = [property];
        let connack = mqtt_core::Connack {
            session_present: false,
            reason_code: ReasonCode::SUCCESS,
            properties: Properties::new(&list),
        };
        assert_eq!(connack.encoded_len(V5, Sender::Server), null, "{property:?}");
    }
}

// trap L10; [v3 v5 MQTT-4.7.3-3]
#[test]
fn fields_of_more_than_65535_bytes_are_not_written() {
    let longest = "x".repeat(65_535);
    let too_long = "x".repeat(65_536);
    assert_eq!(TopicName::new(&longest).map(TopicName::as_str), Ok(&*longest));
    assert_eq!(TopicFilter::new(&longest).map(TopicFilter::as_str), Ok(&*longest));
    assert_eq!(TopicName::new(&too_long), Err(mqtt_core::InvalidTopicName::TooLong));
    assert_eq!(TopicFilter::new(&too_long), Err(mqtt_core::InvalidTopicFilter::TooLong));

    let will = |payload| mqtt_core::Will {
        topic: TopicName::new("w").unwrap(),
        payload,
        qos: mqtt_core::QoS::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
    };
    let len = |connect: mqtt_core::Connect<'_>| connect.encoded_len(V5, Sender::Client);
    let base = len(mqtt_core::Connect { client_identifier: "", ..CONNECT }).unwrap();
    for (text, expected) in [(&longest, None), (&too_long, Some(EncodeError::FieldTooLong))] {
        for connect in [
            mqtt_core::Connect { client_identifier: text, ..CONNECT },
            mqtt_core::Connect { user_name: Some(text), ..CONNECT },
            mqtt_core::Connect { password: Some(text.as_bytes()), ..CONNECT },
            mqtt_core::Connect { will: Some(will(text.as_bytes())), ..CONNECT },
            mqtt_core::Connect { properties: Properties::new(&[Property::UserProperty(text, "")]), ..CONNECT },
            mqtt_core::Connect { properties: Properties::new(&[Property::UserProperty("", text)]), ..CONNECT },
            mqtt_core::Connect { properties: Properties::new(&[Property::AuthenticationMethod(text)]), ..CONNECT },
        ] {
            match expected {
                Some(error) => assert_eq!(len(connect), Err(error)),
                None => assert!(len(connect).unwrap() >= base + 65_535),
            }
        }
    }
}
