//! What the machine answers, as bytes that are compared.

use core::fmt::Debug;

use mqtt_core::{
    Acknowledgement, CommandOutcome, ConnectionError, Event, Message, PacketIdentifier, Record, RecordTicket, Transmit,
    TransmitPayload,
};

use super::encode::masked_record;
use super::format::{ANSWER_HEAD, SHORT_ANSWER, put_bytes, put_number, put_option};
use super::mask::Mask;

/// An answer that begins so is a refusal; its name follows.
pub(super) const REFUSED: u8 = 1;

/// An answer that can be told in bytes, the same for the same, and without what is masked.
pub(crate) trait Told {
    fn tell(&self, out: &mut Answer<'_>);
}

/// An answer that is being written.
pub(crate) struct Answer<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) mask: &'a Mask,
}

impl Answer<'_> {
    /// Errors stand as what they are called.
    fn name(&mut self, name: &impl Debug) {
        self.bytes.extend(format!("{name:?}").bytes());
    }

    fn identifier(&mut self, id: PacketIdentifier) {
        self.bytes.extend(id.number().to_be_bytes());
    }

    fn token(&mut self, token: Option<Acknowledgement>) {
        put_option(self.bytes, token.map(|token| token.delivery_number().0));
        put_option(self.bytes, token.map(|token| token.packet_identifier().number().into()));
    }

    fn ticket(&mut self, ticket: Option<RecordTicket>) {
        put_option(self.bytes, ticket.map(RecordTicket::number));
    }

    fn message(&mut self, message: &Message<'_>) {
        let Message { topic, qos, retain, dup, properties, payload, acknowledgement, record_ticket } = *message;
        self.bytes.push(qos as u8 | u8::from(retain) << 2 | u8::from(dup) << 3);
        self.token(acknowledgement);
        self.ticket(record_ticket);
        self.mask.payload(self.bytes, payload);
        self.mask.topic(self.bytes, topic.as_str());
        self.mask.properties(self.bytes, properties);
    }

    /// A packet that was written, and its payload where that is not in the buffer.
    pub(super) fn packet(&mut self, packet: &[u8], place: TransmitPayload, stored: &[u8]) {
        put_bytes(self.bytes, packet);
        match place {
            TransmitPayload::None => {}
            TransmitPayload::Given => self.bytes.push(1),
            TransmitPayload::Stored(id) => {
                self.bytes.push(2);
                self.identifier(id);
                self.mask.payload(self.bytes, stored);
            }
            TransmitPayload::Source { packet_identifier, key, length } => {
                self.bytes.push(3);
                self.identifier(packet_identifier);
                put_number(self.bytes, key.into());
                put_number(self.bytes, length.into());
            }
        }
    }
}

/// Puts an answer behind its call; a long one as its beginning and its checksum.
pub(super) fn put_answer(entry: &mut Vec<u8>, answer: &[u8]) {
    put_number(entry, answer.len() as u64);
    match answer.get(..ANSWER_HEAD) {
        Some(head) if answer.len() > SHORT_ANSWER => {
            entry.extend_from_slice(head);
            entry.extend(crc32fast::hash(answer).to_be_bytes());
        }
        _ => entry.extend_from_slice(answer),
    }
}

impl Told for () {
    fn tell(&self, _: &mut Answer<'_>) {}
}

impl Told for bool {
    fn tell(&self, out: &mut Answer<'_>) {
        out.bytes.push((*self).into());
    }
}

impl Told for u32 {
    fn tell(&self, out: &mut Answer<'_>) {
        put_number(out.bytes, (*self).into());
    }
}

impl Told for PacketIdentifier {
    fn tell(&self, out: &mut Answer<'_>) {
        out.identifier(*self);
    }
}

impl<T: Told> Told for Option<T> {
    fn tell(&self, out: &mut Answer<'_>) {
        out.bytes.push(self.is_some().into());
        if let Some(value) = self {
            value.tell(out);
        }
    }
}

impl<T: Told, E: Debug> Told for Result<T, E> {
    fn tell(&self, out: &mut Answer<'_>) {
        match self {
            Ok(value) => {
                out.bytes.push(0);
                value.tell(out);
            }
            Err(error) => {
                out.bytes.push(REFUSED);
                out.name(error);
            }
        }
    }
}

impl Told for ConnectionError {
    fn tell(&self, out: &mut Answer<'_>) {
        out.name(self);
    }
}

impl Told for CommandOutcome {
    fn tell(&self, out: &mut Answer<'_>) {
        out.identifier(self.packet_identifier);
        out.name(&(self.command, self.outcome));
    }
}

impl Told for (RecordTicket, Record<'_>) {
    fn tell(&self, out: &mut Answer<'_>) {
        put_number(out.bytes, self.0.number());
        match masked_record(out.mask, &self.1) {
            Ok(bytes) => put_bytes(out.bytes, &bytes),
            Err(error) => out.name(&error),
        }
    }
}

/// A packet, and the payload that the session keeps of it.
pub(super) struct Written<'a>(pub(super) Transmit, pub(super) &'a [u8], pub(super) &'a [u8]);

impl Told for Written<'_> {
    fn tell(&self, out: &mut Answer<'_>) {
        let Self(transmit, packet, stored) = *self;
        out.packet(packet, transmit.payload, stored);
    }
}

impl Told for Event<'_> {
    fn tell(&self, out: &mut Answer<'_>) {
        match self {
            Self::Connected(connected) => {
                out.bytes.extend([1, connected.session_present.into(), connected.session_lost.into()]);
                out.mask.properties(out.bytes, connected.properties);
            }
            Self::Refused(connack) => {
                out.bytes.extend([2, connack.reason_code.as_u8()]);
                out.mask.properties(out.bytes, connack.properties);
            }
            Self::Message(message) => {
                out.bytes.push(3);
                out.message(message);
            }
            Self::MessageBegins { message, payload_len } => {
                out.bytes.push(4);
                put_number(out.bytes, (*payload_len).into());
                out.message(message);
            }
            Self::Fragment(bytes) => {
                out.bytes.push(5);
                out.mask.payload(out.bytes, bytes);
            }
            Self::MessageEnds { fragment, acknowledgement, record } => {
                out.bytes.push(6);
                out.token(*acknowledgement);
                out.ticket(*record);
                out.mask.payload(out.bytes, fragment);
            }
            Self::Skipped { message, payload_len } => {
                out.bytes.push(7);
                put_number(out.bytes, (*payload_len).into());
                out.message(message);
            }
            Self::Published { packet_identifier, reason_code, properties } => {
                out.bytes.extend([8, reason_code.as_u8()]);
                out.identifier(*packet_identifier);
                out.mask.properties(out.bytes, *properties);
            }
            Self::Subscribed { packet_identifier, reason_codes, properties }
            | Self::Unsubscribed { packet_identifier, reason_codes, properties } => {
                out.bytes.push(if matches!(self, Self::Subscribed { .. }) { 9 } else { 10 });
                out.identifier(*packet_identifier);
                put_bytes(out.bytes, reason_codes.as_bytes());
                out.mask.properties(out.bytes, *properties);
            }
            Self::Renewed { granted, refused } => {
                out.bytes.push(11);
                put_number(out.bytes, (*granted).into());
                put_number(out.bytes, (*refused).into());
            }
            Self::Authentication(auth) => {
                out.bytes.extend([12, auth.reason_code.as_u8()]);
                out.mask.properties(out.bytes, auth.properties);
            }
            Self::Pong => out.bytes.push(13),
            Self::Disconnected(disconnect) => {
                out.bytes.extend([14, disconnect.reason_code.as_u8()]);
                out.mask.properties(out.bytes, disconnect.properties);
            }
            // There is none, but the type may grow.
            _ => out.bytes.push(0),
        }
    }
}
