//! What one of the two takes and the other does not: a function for each difference, which looks for its cause in what was read, and
//! names the section that decides.

use mqtt_core::{DecodeError, Packet, ProtocolVersion};

use super::fields::Fields;
use crate::any_topics::{is_filter, is_topic};

const CONNECT: u32 = 1;
const CONNACK: u32 = 2;
const PUBLISH: u32 = 3;
const ACKS: core::ops::RangeInclusive<u32> = 4..=7;
const DISCONNECT: u32 = 14;
const AUTH: u32 = 15;

/// What theirs refuses, and the standard does not.
pub(super) fn only_ours(version: ProtocolVersion, ours: &Packet<'_>, bytes: &[u8]) -> bool {
    let v5 = version.is_v5();
    if v5 {
        password_without_user_name(ours) || refused_in_an_older_shape(ours, bytes) || bad_method(ours)
    } else {
        refused_in_a_newer_shape(ours, bytes)
    }
}

/// In 5.0, §3.1.2.9, a Password may stand without a User Name; in 3.1.1 it may not.
fn password_without_user_name(ours: &Packet<'_>) -> bool {
    matches!(ours, Packet::Connect(connect) if connect.password.is_some() && connect.user_name.is_none())
}

/// A Server that does not know 5.0 answers CONNECT as its own version does, without properties: 3.1.1 §3.1.2.2, §3.2.
fn refused_in_an_older_shape(ours: &Packet<'_>, bytes: &[u8]) -> bool {
    matches!(ours, Packet::Connack(connack) if connack.reason_code.is_failure() && bytes.len() == 4)
}

/// A Server that knows 5.0 only answers any other version as 5.0 does, with Unsupported Protocol Version: 5.0 §3.1.2.2.
fn refused_in_a_newer_shape(ours: &Packet<'_>, bytes: &[u8]) -> bool {
    matches!(ours, Packet::Connack(_)) && body(bytes)[1] == 0x84
}

/// Table 2-6 in 5.0 §2.4 has Bad authentication method for DISCONNECT; only §3.14.2.1 leaves it out.
fn bad_method(ours: &Packet<'_>) -> bool {
    matches!(ours, Packet::Disconnect(disconnect) if disconnect.reason_code.as_u8() == 0x8C)
}

/// What theirs takes, and the standard does not: `error` is what ours found, and it is there.
pub(super) fn only_theirs(version: ProtocolVersion, error: DecodeError, theirs: &Fields, bytes: &[u8]) -> bool {
    use DecodeError as E;
    let v5 = version.is_v5();
    match error {
        E::InvalidFlags => wrong_flags(theirs, bytes),
        E::VariableByteInteger => longer_than_needed(bytes),
        E::NullCharacter => null_character(theirs),
        E::PacketIdentifierZero => theirs.number_of("packet identifier") == Some(0), // [MQTT-2.2.1-3], 3.1.1 [MQTT-2.3.1-1]
        E::InvalidTopicName => no_topic(theirs),
        E::TopicMissing => empty_topic(v5, theirs),
        E::InvalidTopicFilter => no_filter(theirs),
        E::InvalidSubscriptionOptions | E::ReservedBits if !v5 && options_of_v5(theirs) => true,
        E::ReservedBits => reserved_bits(theirs, bytes),
        E::InvalidQoS => will_qos_3(theirs, bytes),
        E::PropertyRepeated(property) => theirs.properties_of("property", property as u8) > 1, // says each property's section
        E::PropertyMissing(_) => method_missing(theirs),
        E::PropertyNotAllowed(_) | E::ReasonCodeNotAllowed(_) => of_neither_side(theirs),
        E::NoLocalOnShared => no_local_on_shared(theirs),
        E::SessionPresentWithFailure => session_present_with_failure(theirs),
        E::ClientIdentifierEmpty => nameless_session(v5, theirs),
        E::TrailingBytes => code_in_3_1_1(v5, theirs),
        E::UnexpectedEnd => v5 && property_length_left_out(theirs),
        _ => false,
    }
}

fn packet_type(theirs: &Fields) -> u32 {
    theirs.number_of("packet type").unwrap_or(0)
}

/// [MQTT-2.1.3-1], 3.1.1 [MQTT-2.2.2-2]: reserved flags are as in Table 2-2. [MQTT-3.3.1-2]: no DUP with QoS 0.
fn wrong_flags(theirs: &Fields, bytes: &[u8]) -> bool {
    let flags = bytes[0] & 0x0F;
    match packet_type(theirs) {
        PUBLISH => flags & 0b1110 == 0b1000,
        6 | 8 | 10 => flags != 0b0010,
        _ => flags != 0,
    }
}

/// [MQTT-1.5.5-1]: the last byte is 0, and not the only one. In 3.1.1, §2.2.3, its table has no such form.
fn longer_than_needed(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == 0)
}

/// [MQTT-1.5.4-2], 3.1.1 [MQTT-1.5.3-2].
fn null_character(theirs: &Fields) -> bool {
    theirs.texts().any(|(_, text)| text.contains('\0'))
}

/// [MQTT-3.3.2-2], [MQTT-4.7.3-1]: names of topics have no wildcards; that of a Will is not empty either.
fn no_topic(theirs: &Fields) -> bool {
    theirs.texts_of("topic").chain(theirs.texts_of("will topic")).any(|topic| !is_topic(topic))
}

/// 5.0 §3.3.2.1: without a Topic Alias there is a topic; 3.1.1 [MQTT-4.7.3-1].
fn empty_topic(v5: bool, theirs: &Fields) -> bool {
    const TOPIC_ALIAS: u8 = 0x23;
    theirs.texts_of("topic").any(str::is_empty) && !(v5 && theirs.properties_of("property", TOPIC_ALIAS) > 0)
}

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], and §4.8.2 for those that begin with `$share/`, which brokers serve in 3.1.1 too.
fn no_filter(theirs: &Fields) -> bool {
    theirs.texts_of("topic filter").any(|filter| !is_filter(filter))
}

/// 3.1.1 [MQTT-3.8.3-4]: all bits but those of the QoS are reserved; theirs reads the options of 5.0.
fn options_of_v5(theirs: &Fields) -> bool {
    ["no local", "retain as published", "retain handling"]
        .iter()
        .any(|name| theirs.numbers_of(name).any(|value| value != 0))
}

/// [MQTT-3.1.2-3], [MQTT-3.1.2-11] and those behind: bits of CONNECT that are 0. [MQTT-3.2.2-1], 3.1.1 §3.2.2.1: those of CONNACK.
fn reserved_bits(theirs: &Fields, bytes: &[u8]) -> bool {
    match packet_type(theirs) {
        CONNECT => {
            let flags = connect_flags(bytes);
            flags & 0b0000_0001 != 0 || flags & 0b0000_0100 == 0 && flags & 0b0011_1000 != 0
        }
        CONNACK => body(bytes)[0] > 1,
        _ => false,
    }
}

/// [MQTT-3.1.2-12], 3.1.1 [MQTT-3.1.2-14].
fn will_qos_3(theirs: &Fields, bytes: &[u8]) -> bool {
    packet_type(theirs) == CONNECT && connect_flags(bytes) & 0b0001_1000 == 0b0001_1000
}

/// 5.0 §3.1.2.11.10 and §3.15.2.2.3: no Authentication Data without a method; §3.15.2.2.2: AUTH has one, but for the short form.
fn method_missing(theirs: &Fields) -> bool {
    const METHOD: u8 = 0x15;
    const DATA: u8 = 0x16;
    let data = theirs.properties_of("property", DATA) > 0;
    theirs.properties_of("property", METHOD) == 0 && (data || packet_type(theirs) == AUTH)
}

/// 5.0 §3.14.2.1, §3.14.2.2.2, §3.14.2.2.5: what only the Client says in a DISCONNECT beside what only the Server says.
fn of_neither_side(theirs: &Fields) -> bool {
    const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    const SERVER_REFERENCE: u8 = 0x1C;
    let code = theirs.number_of("reason code");
    let has = |property| theirs.properties_of("property", property) > 0;
    let of_client = has(SESSION_EXPIRY_INTERVAL) || code == Some(0x04);
    let of_server = has(SERVER_REFERENCE) || matches!(code, Some(0x87 | 0x89 | 0x8B | 0x8D..=0x8F | 0x9A..=0xA2));
    packet_type(theirs) == DISCONNECT && of_client && of_server
}

/// [MQTT-3.8.3-4].
fn no_local_on_shared(theirs: &Fields) -> bool {
    theirs
        .texts_of("topic filter")
        .zip(theirs.numbers_of("no local"))
        .any(|(filter, no_local)| no_local == 1 && filter.starts_with("$share/"))
}

/// [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4].
fn session_present_with_failure(theirs: &Fields) -> bool {
    let code = theirs.number_of("reason code").or(theirs.number_of("return code"));
    theirs.number_of("session present") == Some(1) && code != Some(0)
}

/// 3.1.1 [MQTT-3.1.3-7], [MQTT-3.1.3-8].
fn nameless_session(v5: bool, theirs: &Fields) -> bool {
    !v5 && theirs.number_of("clean start") == Some(0) && theirs.texts_of("client identifier").any(str::is_empty)
}

/// 3.1.1 §3.4 to §3.7: the Remaining Length of an acknowledgement is 2; theirs takes a code as 5.0 has it.
fn code_in_3_1_1(v5: bool, theirs: &Fields) -> bool {
    !v5 && ACKS.contains(&packet_type(theirs))
}

/// [MQTT-2.2.2-1]: no properties are a length of 0. PUBLISH has no form without it, AUTH only one that is empty.
fn property_length_left_out(theirs: &Fields) -> bool {
    matches!(packet_type(theirs), PUBLISH | AUTH)
}

/// What is behind the fixed header.
fn body(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
    &bytes[1 + length..]
}

/// The flags of a CONNECT, behind its name of four letters and its level.
fn connect_flags(bytes: &[u8]) -> u8 {
    body(bytes)[7]
}

#[cfg(test)]
mod tests {
    use super::super::{compare, decode, theirs};
    use super::*;

    const V5: ProtocolVersion = ProtocolVersion::V5_0;
    const V3: ProtocolVersion = ProtocolVersion::V3_1_1;

    #[test]
    fn each_difference_is_one() {
        const OURS: bool = true;
        const THEIRS: bool = false;
        let rows: [(&str, ProtocolVersion, bool, &[u8]); 28] = [
            ("password_without_user_name", V5, OURS, b"\x10\x10\x00\x04MQTT\x05\x42\0\0\0\0\0\0\x01p"),
            ("refused_in_an_older_shape", V5, OURS, b"\x20\x02\0\x01"),
            ("bad_method", V5, OURS, b"\xe0\x02\x8c\0"),
            ("refused_in_a_newer_shape", V3, OURS, b"\x20\x03\0\x84\0"),
            ("wrong_flags", V3, THEIRS, b"\xc1\0"),
            ("wrong_flags: DUP", V3, THEIRS, b"\x38\x03\0\x01t"),
            ("longer_than_needed", V5, THEIRS, b"\xc0\x80\0"),
            ("null_character", V3, THEIRS, b"\x30\x03\0\x01\0"),
            ("packet identifier 0", V3, THEIRS, b"\x32\x05\0\x01t\0\0"),
            ("no_topic", V3, THEIRS, b"\x30\x03\0\x01#"),
            ("empty_topic", V5, THEIRS, b"\x30\x03\0\0\0"),
            ("empty_topic", V3, THEIRS, b"\x30\x02\0\0"),
            ("no_filter", V3, THEIRS, b"\x82\x05\0\x01\0\0\0"),
            ("options_of_v5", V3, THEIRS, b"\x82\x06\0\x01\0\x01t\x04"),
            ("reserved_bits: CONNACK", V5, THEIRS, b"\x20\x03\x02\0\0"),
            ("reserved_bits: CONNECT", V3, THEIRS, b"\x10\x0c\x00\x04MQTT\x04\x03\0\0\0\0"),
            ("will_qos_3", V3, THEIRS, b"\x10\x11\x00\x04MQTT\x04\x1e\0\0\0\0\0\x01t\0\0"),
            ("property repeated", V5, THEIRS, b"\x82\x0b\0\x01\x04\x0b\x01\x0b\x01\0\x01t\0"),
            ("method_missing: AUTH", V5, THEIRS, b"\xf0\x02\0\0"),
            ("method_missing: CONNECT", V5, THEIRS, b"\x10\x10\x00\x04MQTT\x05\x02\0\0\x03\x16\0\0\0\0"),
            ("of_neither_side", V5, THEIRS, b"\xe0\x07\x9e\x05\x11\0\0\0\0"),
            ("no_local_on_shared", V5, THEIRS, b"\x82\x10\0\x01\0\0\x0a$share/g/t\x04"),
            ("session_present_with_failure", V5, THEIRS, b"\x20\x03\x01\x80\0"),
            ("session_present_with_failure", V3, THEIRS, b"\x20\x02\x01\x05"),
            ("nameless_session", V3, THEIRS, b"\x10\x0c\x00\x04MQTT\x04\0\0\0\0\0"),
            ("code_in_3_1_1", V3, THEIRS, b"\x40\x03\0\x01\0"),
            ("property_length_left_out: PUBLISH", V5, THEIRS, b"\x30\x03\0\x01t"),
            ("property_length_left_out: AUTH", V5, THEIRS, b"\xf0\x01\0"),
        ];
        for (name, version, only_ours, bytes) in rows {
            let read = (decode(version, bytes).is_ok(), theirs::read(version.is_v5(), bytes).is_some());
            assert_eq!(read, (only_ours, !only_ours), "{name}");
            compare(version, bytes);
        }
    }
}
