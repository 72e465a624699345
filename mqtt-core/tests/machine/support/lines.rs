//! Packets and events as one line each, so that a test reads like a trace.

use core::fmt::Write;

use mqtt_core::{AckKind, CommandOutcome, Event, Message, Packet, Properties, ReasonCode, ReasonCodes};

/// A packet; what is plain is left out: reason 0x00, flags that are not set, no properties.
pub(crate) fn packet_line(packet: &Packet<'_>) -> String {
    let mut line = String::new();
    match packet {
        Packet::Connect(connect) => {
            let clean = if connect.clean_start { " clean" } else { "" };
            write!(line, "CONNECT {}{clean}", connect.client_identifier).unwrap();
        }
        Packet::Publish(publish) => {
            line.push_str("PUBLISH");
            if let Some(id) = publish.delivery.packet_identifier() {
                write!(line, " #{id}").unwrap();
            }
            write!(line, " q{}", publish.delivery.qos() as u8).unwrap();
            flags(&mut line, publish.delivery.dup(), publish.retain);
            write!(line, " {} {}", publish.topic.map_or("-", |t| t.as_str()), text(publish.payload)).unwrap();
            properties(&mut line, publish.properties);
        }
        Packet::Ack(ack) => {
            let name = match ack.kind {
                AckKind::Puback => "PUBACK",
                AckKind::Pubrec => "PUBREC",
                AckKind::Pubrel => "PUBREL",
                AckKind::Pubcomp => "PUBCOMP",
            };
            write!(line, "{name} #{}", ack.packet_identifier).unwrap();
            reason(&mut line, ack.reason_code);
            properties(&mut line, ack.properties);
        }
        Packet::Subscribe(subscribe) => {
            write!(line, "SUBSCRIBE #{}", subscribe.packet_identifier).unwrap();
            for entry in subscribe.filters.iter() {
                write!(line, " {}:{}", entry.filter, entry.options.qos as u8).unwrap();
            }
            properties(&mut line, subscribe.properties);
        }
        Packet::Unsubscribe(unsubscribe) => {
            write!(line, "UNSUBSCRIBE #{}", unsubscribe.packet_identifier).unwrap();
            for filter in unsubscribe.filters.iter() {
                write!(line, " {filter}").unwrap();
            }
            properties(&mut line, unsubscribe.properties);
        }
        Packet::Pingreq => line.push_str("PINGREQ"),
        Packet::Disconnect(disconnect) => {
            line.push_str("DISCONNECT");
            reason(&mut line, disconnect.reason_code);
            properties(&mut line, disconnect.properties);
        }
        Packet::Auth(auth) => {
            line.push_str("AUTH");
            reason(&mut line, auth.reason_code);
            properties(&mut line, auth.properties);
        }
        other => write!(line, "{other:?}").unwrap(),
    }
    line
}

pub(super) fn event_line(event: &Event<'_>) -> String {
    let mut line = String::new();
    match event {
        Event::Connected(connected) => {
            line.push_str("Connected");
            line.push_str(if connected.session_present { " present" } else { "" });
            line.push_str(if connected.session_lost { " lost" } else { "" });
        }
        Event::Refused(connack) => {
            line.push_str("Refused");
            reason(&mut line, connack.reason_code);
        }
        Event::Message(message) => message_line(&mut line, "Message", message),
        Event::MessageBegins { message, payload_len } => {
            message_line(&mut line, "Begins", message);
            write!(line, "{payload_len}").unwrap();
        }
        Event::Fragment(bytes) => write!(line, "Fragment {}", text(bytes)).unwrap(),
        Event::MessageEnds { fragment, .. } => write!(line, "Ends {}", text(fragment)).unwrap(),
        Event::Skipped { message, payload_len } => {
            message_line(&mut line, "Skipped", message);
            write!(line, "{payload_len}").unwrap();
        }
        Event::Published { packet_identifier, reason_code, .. } => {
            write!(line, "Published #{packet_identifier}").unwrap();
            reason(&mut line, *reason_code);
        }
        Event::Subscribed { packet_identifier, reason_codes, .. } => {
            write!(line, "Subscribed #{packet_identifier}").unwrap();
            codes(&mut line, *reason_codes);
        }
        Event::Unsubscribed { packet_identifier, reason_codes, .. } => {
            write!(line, "Unsubscribed #{packet_identifier}").unwrap();
            codes(&mut line, *reason_codes);
        }
        Event::Renewed { granted, refused } => write!(line, "Renewed {granted} {refused}").unwrap(),
        Event::Authentication(auth) => {
            line.push_str("Authentication");
            reason(&mut line, auth.reason_code);
        }
        Event::Pong => line.push_str("Pong"),
        Event::Disconnected(disconnect) => {
            line.push_str("Disconnected");
            reason(&mut line, disconnect.reason_code);
            properties(&mut line, disconnect.properties);
        }
        other => write!(line, "{other:?}").unwrap(),
    }
    line
}

pub(super) fn outcome_line(outcome: &CommandOutcome) -> String {
    format!("{:?} #{} {:?}", outcome.command, outcome.packet_identifier, outcome.outcome)
}

fn message_line(line: &mut String, what: &str, message: &Message<'_>) {
    write!(line, "{what} q{}", message.qos as u8).unwrap();
    flags(line, message.dup, message.retain);
    write!(line, " {} {}", message.topic, text(message.payload)).unwrap();
}

fn flags(line: &mut String, dup: bool, retain: bool) {
    line.push_str(if dup { " dup" } else { "" });
    line.push_str(if retain { " retain" } else { "" });
}

fn reason(line: &mut String, code: ReasonCode) {
    if code != ReasonCode::SUCCESS {
        write!(line, " {:#04x}", code.as_u8()).unwrap();
    }
}

fn codes(line: &mut String, codes: ReasonCodes<'_>) {
    for code in codes.iter() {
        write!(line, " {:#04x}", code.as_u8()).unwrap();
    }
}

fn properties(line: &mut String, properties: Properties<'_>) {
    if !properties.is_empty() {
        write!(line, " {properties:?}").unwrap();
    }
}

/// Long payloads are told by their length.
fn text(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 32 => text.into(),
        _ => format!("<{}>", bytes.len()),
    }
}
