//! Takes secrets out of packets, records and answers, without a change of their length.

use core::hash::{BuildHasher as _, Hasher as _};
use core::ops::Range;
use std::collections::hash_map::RandomState;

use mqtt_core::{Packet, PacketType, Properties, Property, ProtocolVersion, Record, RecordedMessage, Sender, put};

use super::Redact;
use super::format::{FILL, put_bytes, put_number};

/// Takes out what it is told to.
#[derive(Debug)]
pub(super) struct Mask {
    redact: Redact,
    /// Of this tape alone, and nowhere else: without it nobody finds out which topic stands for which.
    key: RandomState,
}

/// A part of a packet that is masked.
struct Part {
    place: Range<usize>,
    topic: bool,
}

/// Parts of `base`, of which all that is to be masked points into it.
struct Parts<'a> {
    redact: Redact,
    base: &'a [u8],
    found: Vec<Part>,
}

impl Parts<'_> {
    fn add(&mut self, wanted: bool, part: &[u8], topic: bool) {
        let start = part.as_ptr().addr().checked_sub(self.base.as_ptr().addr());
        let place = start.map(|start| start..start.saturating_add(part.len()));
        // What does not lie in it is empty.
        if let Some(place) = place.filter(|place| wanted && !place.is_empty() && place.end <= self.base.len()) {
            self.found.push(Part { place, topic });
        }
    }

    fn topic(&mut self, topic: &str) {
        self.add(self.redact.topics, topic.as_bytes(), true);
    }

    fn payload(&mut self, payload: &[u8]) {
        self.add(self.redact.payloads, payload, false);
    }

    fn properties(&mut self, properties: Properties<'_>) {
        for property in properties.iter() {
            match property {
                Property::AuthenticationData(data) => self.add(self.redact.secrets, data, false),
                Property::CorrelationData(data) => self.payload(data),
                Property::ResponseTopic(text) | Property::ResponseInformation(text) => self.topic(text),
                Property::ReasonString(text) => self.add(self.redact.reason_strings, text.as_bytes(), false),
                Property::UserProperty(name, value) => {
                    self.add(self.redact.user_properties, name.as_bytes(), false);
                    self.add(self.redact.user_properties, value.as_bytes(), false);
                }
                _ => {}
            }
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect(connect) => {
                self.properties(connect.properties);
                if let Some(will) = &connect.will {
                    self.topic(will.topic.as_str());
                    self.payload(will.payload);
                    self.properties(will.properties);
                }
                self.add(self.redact.user_names, connect.user_name.unwrap_or_default().as_bytes(), false);
                self.add(self.redact.secrets, connect.password.unwrap_or_default(), false);
            }
            Packet::Publish(publish) => {
                self.topic(publish.topic.map_or("", |topic| topic.as_str()));
                self.properties(publish.properties);
                self.payload(publish.payload);
            }
            Packet::Subscribe(subscribe) => {
                self.properties(subscribe.properties);
                subscribe.filters.iter().for_each(|entry| self.topic(entry.filter.as_str()));
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.properties(unsubscribe.properties);
                unsubscribe.filters.iter().for_each(|filter| self.topic(filter.as_str()));
            }
            Packet::Connack(connack) => self.properties(connack.properties),
            Packet::Ack(ack) => self.properties(ack.properties),
            Packet::Suback(suback) => self.properties(suback.properties),
            Packet::Unsuback(unsuback) => self.properties(unsuback.properties),
            Packet::Disconnect(disconnect) => self.properties(disconnect.properties),
            Packet::Auth(auth) => self.properties(auth.properties),
            Packet::Pingreq | Packet::Pingresp => {}
        }
    }
}

impl Mask {
    pub(super) fn new(redact: Redact) -> Self {
        Self { redact, key: RandomState::new() }
    }

    /// A whole packet, or the head of a PUBLISH whose payload is elsewhere. One that cannot be read keeps what it needs to be
    /// refused for the same reason, and nothing else.
    pub(super) fn packet(&self, version: ProtocolVersion, sender: Sender, packet: &mut [u8]) {
        if self.redact == Redact::NOTHING {
            return;
        }
        let fixed = fixed_header_len(packet);
        let (mut whole, moved) = as_whole(packet);
        match Packet::decode(version, sender, &whole) {
            Ok(decoded) => {
                let mut parts = self.parts(&whole);
                parts.packet(&decoded);
                let found = parts.found;
                self.cover(&mut whole, found);
            }
            Err(wrong) if self.may_be_secret(packet) => {
                scrub(&mut whole, moved, |packet| Packet::decode(version, sender, packet).err() == Some(wrong))
            }
            Err(_) => {}
        }
        if let (Some(place), Some(masked)) = (packet.get_mut(fixed..), whole.get(moved..)) {
            put(place, masked);
        }
    }

    /// A record, encoded.
    pub(super) fn record(&self, bytes: &mut [u8]) {
        let found = {
            let mut parts = self.parts(bytes);
            if let Ok(Record::Published { message, .. } | Record::Received { message, .. }) = Record::decode(bytes) {
                let RecordedMessage { topic, properties, payload, .. } = message;
                parts.topic(topic.as_str());
                parts.properties(properties);
                parts.payload(payload);
            }
            parts.found
        };
        self.cover(bytes, found);
    }

    /// What a decoded packet has of properties.
    pub(super) fn properties(&self, out: &mut Vec<u8>, properties: Properties<'_>) {
        let mut parts = self.parts(properties.as_encoded());
        parts.properties(properties);
        let found = parts.found;
        let mut bytes = properties.as_encoded().to_vec();
        self.cover(&mut bytes, found);
        put_bytes(out, &bytes);
    }

    pub(super) fn topic(&self, out: &mut Vec<u8>, topic: &str) {
        let mut bytes = topic.as_bytes().to_vec();
        let found = Part { place: 0..bytes.len(), topic: true };
        self.cover(&mut bytes, self.redact.topics.then_some(found).into_iter().collect());
        put_bytes(out, &bytes);
    }

    /// A payload's length and checksum.
    pub(super) fn payload(&self, out: &mut Vec<u8>, payload: &[u8]) {
        let mut checksum = crc32fast::Hasher::new();
        if self.redact.payloads {
            let block = [FILL; 1024];
            for part in payload.chunks(block.len()) {
                checksum.update(block.get(..part.len()).unwrap_or(&block));
            }
        } else {
            checksum.update(payload);
        }
        out.extend((payload.len() as u64).to_be_bytes());
        out.extend(checksum.finalize().to_be_bytes());
    }

    /// A part of a payload, as it is written.
    pub(super) fn payload_part(&self, out: &mut Vec<u8>, part: &[u8]) {
        if self.redact.payloads { put_bytes(out, &vec![FILL; part.len()]) } else { put_bytes(out, part) }
    }

    const fn parts<'a>(&self, base: &'a [u8]) -> Parts<'a> {
        Parts { redact: self.redact, base, found: Vec::new() }
    }

    fn cover(&self, bytes: &mut [u8], found: Vec<Part>) {
        for Part { place, topic } in found {
            let Some(part) = bytes.get_mut(place) else { continue };
            match core::str::from_utf8(part).map(str::to_owned) {
                Ok(text) if topic => drop(put(part, self.stand_in(&text).as_bytes())),
                _ => part.fill(FILL),
            }
        }
    }

    /// Another topic or filter, with as many bytes, of the same levels: different ones for different ones, since each character is
    /// moved by a number that hangs on those before it alone.
    fn stand_in(&self, topic: &str) -> String {
        let mut before = self.key.build_hasher();
        // These have a meaning.
        let mut kept = matches!(topic.split('/').next(), Some("$share" | "$SYS"));
        let mut text = String::with_capacity(topic.len());
        for character in topic.chars() {
            kept &= character != '/';
            text.push(if kept { character } else { moved(character, before.finish()) });
            before.write_u32(character.into());
        }
        text
    }

    /// Tells whether there may be something to mask in a packet that cannot be read.
    fn may_be_secret(&self, packet: &[u8]) -> bool {
        let more = self.redact.show_secrets() != Redact::NOTHING;
        let has_secrets =
            packet.first().and_then(|first| PacketType::from_first_byte(*first)).is_none_or(|packet_type| {
                matches!(packet_type, PacketType::Connect | PacketType::Connack | PacketType::Auth)
            });
        more || has_secrets
    }
}

/// Takes all out of a packet that cannot be read but what makes it `wrong` as it is.
fn scrub(packet: &mut [u8], body: usize, wrong: impl Fn(&[u8]) -> bool) {
    let mut patience = PATIENCE;
    let mut places = vec![(body, packet.len())];
    while let Some((start, end)) = places.pop() {
        let Some(part) = packet.get_mut(start..end).filter(|part| !part.is_empty()) else { continue };
        let before = part.to_vec();
        part.fill(FILL);
        // A large one is not tried for ever: then secrets come before an exact replay.
        patience = patience.saturating_sub(packet.len());
        if patience == 0 || wrong(packet) {
            continue;
        }
        if let Some(part) = packet.get_mut(start..end) {
            put(part, &before);
        }
        let middle = start.midpoint(end);
        if middle > start {
            places.extend([(start, middle), (middle, end)]);
        }
    }
}

/// So many bytes are looked at to find what is wrong with a packet.
const PATIENCE: usize = 16 << 20;

/// Another character of as many bytes, `distance` from it; a different one for each. What has a meaning in topics stays.
fn moved(character: char, distance: u64) -> char {
    // Without control characters, halves of pairs, and what is no character; and without `$`, `+`, `/` and `#`.
    const RANGES: [Range<u32>; 6] =
        [0x30..0x7F, 0xA0..0x800, 0x800..0xD800, 0xE000..0xFDD0, 0x1_0000..0x1_FFFE, 0x2_0000..0x2_FFFE];
    let code = u32::from(character);
    let Some(range) = RANGES.into_iter().find(|range| range.contains(&code)) else { return character };
    let len = u64::from(range.end.saturating_sub(range.start)).max(1);
    let place = u64::from(code.saturating_sub(range.start)).saturating_add(distance % len) % len;
    u32::try_from(place).ok().and_then(|place| char::from_u32(range.start.saturating_add(place))).unwrap_or(character)
}

/// A packet that is as long as it says: the head of a PUBLISH says how long the packet is. And how long its fixed header is.
pub(super) fn as_whole(packet: &[u8]) -> (Vec<u8>, usize) {
    let body = packet.get(fixed_header_len(packet)..).unwrap_or_default();
    let mut whole = packet.first().copied().into_iter().collect::<Vec<u8>>();
    // The Remaining Length is such a number.
    put_number(&mut whole, body.len() as u64);
    let moved = whole.len();
    whole.extend_from_slice(body);
    (whole, moved)
}

/// The first byte and the Remaining Length.
fn fixed_header_len(packet: &[u8]) -> usize {
    let length = packet.iter().skip(1).take(4).position(|byte| *byte < 0x80);
    length.map_or(packet.len(), |last| last.saturating_add(2))
}

#[cfg(test)]
mod tests;
