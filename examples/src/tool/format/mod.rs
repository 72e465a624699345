//! How `-F` writes a message: a text in which `%` stands before what is known of the message, `@` before what is known of the time,
//! and `\` before characters that are hard to type.

mod message_json;
mod parse;
mod time;

use std::fmt::Write as _;

use jiff::Zoned;
use mqtt_std::{Message, Property};

use super::properties_json::value;
pub(super) use message_json::message_json;

/// A format that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Bytes(Vec<u8>),
    Parameter {
        letter: u8,
        field: Field,
    },
    /// `@` and a letter of `strftime`.
    Time(u8),
}

/// Flags and widths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Field {
    left: bool,
    zeros: bool,
    width: usize,
    /// At most so much; of hexadecimal digits, how many go together.
    precision: Option<usize>,
    separator: Option<u8>,
}

/// What a payload is not, though the format wants it; the rest is written all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Complaint {
    Json,
    Float,
    Double,
}

/// What a message is written with beside the format.
pub(super) struct Printing<'a> {
    pub(super) time: &'a Zoned,
    pub(super) pretty: bool,
    /// Subscription Identifiers were asked for; otherwise they are the client's own.
    pub(super) identifiers: bool,
    /// It is written to a terminal.
    pub(super) terminal: bool,
}

impl Printing<'_> {
    pub(super) fn shows(&self, property: &Property<'_>) -> bool {
        self.identifiers || !matches!(property, Property::SubscriptionIdentifier(_))
    }

    /// What a message says, as it is; for a terminal without what that would obey, or show as something else. Of JSON it is JSON again.
    pub(super) fn shown(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.terminal {
            return bytes;
        }
        let mut shown = String::new();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let is_harmless = matches!(character, '\n' | '\t' | '"' | '\'' | '\\');
                if is_harmless || character.escape_debug().eq([character]) {
                    shown.push(character);
                } else {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(shown, "\\u{unit:04x}");
                    }
                }
            }
            for byte in chunk.invalid() {
                let _ = write!(shown, "\\x{byte:02x}");
            }
        }
        shown.into_bytes()
    }
}

impl Format {
    /// Writes a message, and says what was wrong with it.
    pub(super) fn write(&self, message: &Message, printing: &Printing<'_>, out: &mut Vec<u8>) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) => out.extend(bytes),
                Piece::Time(letter) => out.extend(time::conversion(printing.time, *letter).bytes()),
                Piece::Parameter { letter, field } => {
                    let mut said = Vec::new();
                    if let Err(complaint) = parameter(*letter, *field, message, printing, &mut said) {
                        complaints.push(complaint);
                    }
                    out.extend(printing.shown(said));
                }
            }
        }
        complaints
    }
}

fn parameter(
    letter: u8,
    field: Field,
    message: &Message,
    printing: &Printing<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Complaint> {
    let payload = message.payload();
    let find = |name| {
        let mut shown = message.properties().iter().filter(|property| printing.shows(property));
        shown.find_map(|property| value(&property, name))
    };
    match letter {
        b'%' => out.push(b'%'),
        b'A' => field.number(&find("topic-alias").unwrap_or_default(), out),
        b'E' => field.number(&find("message-expiry-interval").unwrap_or_default(), out),
        b'F' => field.number(&find("payload-format-indicator").unwrap_or_default(), out),
        b'S' => field.number(&find("subscription-identifier").unwrap_or_default(), out),
        b'C' => field.text(&find("content-type").unwrap_or_default(), out),
        b'R' => field.text(&find("response-topic").unwrap_or_default(), out),
        b'D' => out.extend(find("correlation-data").unwrap_or_default()),
        b'P' => {
            for (index, (name, value)) in message.user_properties().enumerate() {
                let between = if index > 0 { " " } else { "" };
                out.extend(format!("{between}{name}:{value}").bytes());
            }
        }
        b'd' => field.float(f64::from_ne_bytes(payload.try_into().map_err(|_| Complaint::Double)?), out),
        b'f' => field.float(f32::from_ne_bytes(payload.try_into().map_err(|_| Complaint::Float)?).into(), out),
        b'I' => field.text(time::iso_8601(printing.time).as_bytes(), out),
        b'j' => write_json(&message_json(message, printing, false)?, printing, out),
        b'J' => write_json(&message_json(message, printing, true)?, printing, out),
        b'l' => field.number(message.payload_len().to_string().as_bytes(), out),
        b'm' => field.number(message_identifier(message).to_string().as_bytes(), out),
        b'p' => field.number(field.clipped(payload), out),
        b'q' => out.extend((message.qos() as u8).to_string().bytes()),
        b'r' => out.push(if message.retain() { b'1' } else { b'0' }),
        b't' => field.text(message.topic().as_bytes(), out),
        b'U' => out.extend(time::unix(printing.time).bytes()),
        b'x' => field.hexadecimal(payload, b"0123456789abcdef", out),
        b'X' => field.hexadecimal(payload, b"0123456789ABCDEF", out),
        // Others were refused when the format was read.
        _ => {}
    }
    Ok(())
}

/// 0 at QoS 0.
fn message_identifier(message: &Message) -> u16 {
    message.packet_identifier().map_or(0, mqtt_std::PacketIdentifier::number)
}

fn write_json(json: &super::json::Json, printing: &Printing<'_>, out: &mut Vec<u8>) {
    if printing.pretty { json.write_pretty(0, out) } else { json.write(out) }
}

impl Field {
    fn text(self, text: &[u8], out: &mut Vec<u8>) {
        let text = self.precision.map_or(text, |most| &text[..most.min(text.len())]);
        Self { zeros: false, ..self }.number(text, out);
    }

    /// Right, behind blanks or zeros, or left.
    fn number(self, text: &[u8], out: &mut Vec<u8>) {
        let missing = self.width.saturating_sub(text.len());
        if !self.left {
            out.extend(std::iter::repeat_n(if self.zeros { b'0' } else { b' ' }, missing));
        }
        out.extend(text);
        if self.left {
            out.extend(std::iter::repeat_n(b' ', missing));
        }
    }

    /// As `printf` does.
    fn float(self, number: f64, out: &mut Vec<u8>) {
        let sign = if number.is_sign_negative() { "-" } else { "" };
        if !number.is_finite() {
            let text = format!("{sign}{}", if number.is_nan() { "nan" } else { "inf" });
            return Self { zeros: false, ..self }.number(text.as_bytes(), out);
        }
        let mut text = String::new();
        let _ = write!(text, "{:.*}", self.precision.unwrap_or(6), number.abs());
        if self.zeros && !self.left {
            let zeros = self.width.saturating_sub(sign.len() + text.len());
            text.insert_str(0, &"0".repeat(zeros));
        }
        text.insert_str(0, sign);
        Self { zeros: false, ..self }.number(text.as_bytes(), out);
    }

    fn hexadecimal(self, payload: &[u8], digits: &[u8; 16], out: &mut Vec<u8>) {
        let nibbles = self.clipped(payload).iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut text: Vec<u8> = nibbles.map(|nibble| digits[usize::from(nibble)]).collect();
        // To the left there are as many blanks as the width is more, or less: so it is there.
        let blanks = if self.width == 0 { 0 } else { self.width.abs_diff(text.len()) };
        let missing = self.width.saturating_sub(text.len());
        if !self.left {
            // What is filled up counts as digits.
            text.splice(..0, std::iter::repeat_n(if self.zeros { b'0' } else { b' ' }, missing));
        }
        let together = self.precision.filter(|digits| *digits > 0).unwrap_or(usize::MAX);
        for (index, group) in text.chunks(together).enumerate() {
            if index > 0 {
                out.push(self.separator.unwrap_or(b' '));
            }
            out.extend(group);
        }
        if self.left {
            out.extend(std::iter::repeat_n(b' ', blanks));
        }
    }

    /// Of a payload the width is also how many bytes there are at most.
    fn clipped(self, payload: &[u8]) -> &[u8] {
        if self.width == 0 { payload } else { &payload[..self.width.min(payload.len())] }
    }
}

#[cfg(test)]
mod tests;
