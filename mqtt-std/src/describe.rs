//! A packet as a line.

use core::fmt::Write as _;

use mqtt_core::{Packet, Properties, ReasonCode, ReasonCodes};

/// The packet's name, then what is not as usual.
///
/// ```text
/// CONNECT 4 client clean     SUBSCRIBE #1 a/+ q1, b q2     UNSUBSCRIBE #2 a/+, b
/// PUBLISH q1 #7 dup t "x"    PUBACK #7                     DISCONNECT 00
/// ```
pub(crate) fn describe(packet: &Packet<'_>) -> String {
    let mut line = packet.packet_type().to_string();
    // Writing to a string cannot fail.
    let _ = describe_rest(&mut line, packet);
    line
}

fn describe_rest(line: &mut String, packet: &Packet<'_>) -> core::fmt::Result {
    match packet {
        Packet::Connect(connect) => {
            write!(line, " {} {}", connect.version.level(), connect.client_identifier)?;
            line.push_str(if connect.clean_start { " clean" } else { "" });
            Ok(())
        }
        Packet::Connack(connack) => {
            write!(line, " {:02x}", connack.reason_code.as_u8())?;
            line.push_str(if connack.session_present { " present" } else { "" });
            write_properties(line, connack.properties)
        }
        Packet::Publish(publish) => {
            write!(line, " q{}", publish.delivery.qos() as u8)?;
            if let Some(identifier) = publish.delivery.packet_identifier() {
                write!(line, " #{identifier}")?;
            }
            line.push_str(if publish.delivery.dup() { " dup" } else { "" });
            line.push_str(if publish.retain { " retain" } else { "" });
            let topic = publish.topic.map_or("", |topic| topic.as_str());
            write!(line, " {topic} {:?}", String::from_utf8_lossy(publish.payload))?;
            write_properties(line, publish.properties)
        }
        Packet::Ack(ack) => {
            write!(line, " #{}", ack.packet_identifier)?;
            if ack.reason_code == ReasonCode::SUCCESS {
                return Ok(());
            }
            write!(line, " {:02x}", ack.reason_code.as_u8())
        }
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter();
            let filters = filters.map(|entry| format!("{} q{}", entry.filter.as_str(), entry.options.qos as u8));
            write!(line, " #{} {}", subscribe.packet_identifier, filters.collect::<Vec<_>>().join(", "))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.filters.iter().map(|filter| filter.as_str().to_owned());
            write!(line, " #{} {}", unsubscribe.packet_identifier, filters.collect::<Vec<_>>().join(", "))
        }
        Packet::Suback(suback) => write_codes(line, suback.packet_identifier.number(), suback.reason_codes),
        Packet::Unsuback(unsuback) => write_codes(line, unsuback.packet_identifier.number(), unsuback.reason_codes),
        Packet::Disconnect(disconnect) => {
            write!(line, " {:02x}", disconnect.reason_code.as_u8())?;
            write_properties(line, disconnect.properties)
        }
        Packet::Auth(_) | Packet::Pingreq | Packet::Pingresp => Ok(()),
    }
}

fn write_properties(line: &mut String, properties: Properties<'_>) -> core::fmt::Result {
    if properties.is_empty() { Ok(()) } else { write!(line, " {properties:?}") }
}

fn write_codes(line: &mut String, number: u16, codes: ReasonCodes<'_>) -> core::fmt::Result {
    write!(line, " #{number} {:02x?}", codes.as_bytes())
}
