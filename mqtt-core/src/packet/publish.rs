//! PUBLISH, §3.3: whole, or without the payload that is sent or received apart.

use super::fixed_header::{self, DUP, FixedHeader, RETAIN, check_sender};
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, QoS, TopicName};
use crate::version::ProtocolVersion;

/// QoS together with what comes with it: QoS 0 has no Packet Identifier [MQTT-2.2.1-2] and is never a duplicate
/// [MQTT-3.3.1-2].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// Identifies the exchange.
        packet_identifier: PacketIdentifier,
        /// Tells whether this may be a repetition.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// Identifies the exchange.
        packet_identifier: PacketIdentifier,
        /// Tells whether this may be a repetition.
        dup: bool,
    },
}

impl Delivery {
    /// The level.
    #[inline]
    #[must_use]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The identifier of the exchange; QoS 0 has none.
    #[inline]
    #[must_use]
    pub const fn packet_identifier(self) -> Option<PacketIdentifier> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_identifier, .. } | Self::ExactlyOnce { packet_identifier, .. } => {
                Some(packet_identifier)
            }
        }
    }

    /// Tells whether this may be a repetition.
    #[inline]
    #[must_use]
    pub const fn dup(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }

    /// The flags of the fixed header, without RETAIN.
    #[inline]
    const fn flags(self) -> u8 {
        (self.qos() as u8) << 1 | if self.dup() { DUP } else { 0 }
    }

    #[inline]
    fn decode(flags: u8, reader: &mut Reader<'_>) -> Self {
        let dup = flags & DUP != 0;
        match fixed_header::qos(flags) {
            Some(QoS::AtMostOnce) => Self::AtMostOnce,
            Some(QoS::AtLeastOnce) => Self::AtLeastOnce { packet_identifier: reader.packet_identifier(), dup },
            Some(QoS::ExactlyOnce) => Self::ExactlyOnce { packet_identifier: reader.packet_identifier(), dup },
            None => {
                reader.fail(DecodeError::InvalidQoS);
                Self::AtMostOnce
            }
        }
    }
}

/// A message on its way, §3.3.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Publish<'a> {
    /// Where the message belongs; `None`: empty on the wire, the Topic Alias among the properties stands for it.
    pub topic: Option<TopicName<'a>>,
    /// QoS, Packet Identifier and DUP.
    pub delivery: Delivery,
    /// To the Server: keep the message for later subscribers. From the Server: it was kept, §3.3.1.3.
    pub retain: bool,
    /// What is said about the message; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Reads what follows the fixed header; `head`: the payload is not there, and comes apart.
    #[inline]
    pub(crate) fn decode(
        version: ProtocolVersion,
        sender: Sender,
        flags: u8,
        reader: &mut Reader<'a>,
        head: bool,
    ) -> Result<Self, DecodeError> {
        let mut publish = Self::read(version, sender, flags, reader);
        publish.payload = reader.rest();
        reader.check(!head || publish.payload.is_empty(), DecodeError::TrailingBytes);
        reader.result()?;
        Ok(publish)
    }

    /// The Packet Identifier of a PUBLISH at QoS 1 or 2, from its head.
    pub(crate) fn identifier_of(head: &[u8]) -> Option<PacketIdentifier> {
        let header = FixedHeader::decode(head).ok()??;
        if !matches!(header.packet_type, PacketType::Publish) {
            return None;
        }
        let mut reader = Reader::new(head);
        reader.bytes(header.len);
        reader.binary();
        let delivery = Delivery::decode(header.flags, &mut reader);
        reader.result().ok()?;
        delivery.packet_identifier()
    }

    /// Reads what comes before the payload; what `reader` has left is the payload.
    #[inline]
    fn read(version: ProtocolVersion, sender: Sender, flags: u8, reader: &mut Reader<'a>) -> Self {
        let topic = match reader.binary() {
            [] => None,
            name => Some(TopicName::read(name, reader)),
        };
        let delivery = Delivery::decode(flags, reader);
        let properties = Properties::decode(version, reader, Scope::Packet(PacketType::Publish, sender));
        if topic.is_none() && properties.topic_alias().is_none() {
            reader.fail(DecodeError::TopicMissing);
        }
        Self { topic, delivery, retain: flags & RETAIN != 0, properties, payload: &[] }
    }

    #[inline]
    fn payload_len(&self) -> Result<u32, EncodeError> {
        u32::try_from(self.payload.len()).map_err(|_| EncodeError::PacketTooLarge)
    }

    /// `own`: encoded properties that go behind those of the packet, and may stand beside them.
    #[inline]
    pub(crate) fn measure(
        &self,
        version: ProtocolVersion,
        sender: Sender,
        own: &[u8],
        payload_len: u32,
    ) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Publish, version, sender)?;
        let mut measure = Measure::default();
        let topic = match self.topic {
            Some(topic) => topic.as_str(),
            None if version.is_v5() && (!own.is_empty() || self.properties.topic_alias().is_some()) => "",
            None => return Err(EncodeError::TopicMissing),
        };
        measure.binary(topic.as_bytes());
        if self.delivery.packet_identifier().is_some() {
            measure.add(2);
        }
        let scope = Scope::Packet(PacketType::Publish, sender);
        let properties_len = self.properties.measure_with(version, scope, own, &mut measure);
        measure.payload(payload_len);
        measure.finish(properties_len)
    }

    /// Writes everything before the payload.
    #[inline]
    pub(crate) fn write(&self, version: ProtocolVersion, own: &[u8], measured: Measured, writer: &mut Writer<'_>) {
        let first = PacketType::Publish.first_byte() | self.delivery.flags() | if self.retain { RETAIN } else { 0 };
        writer.fixed_header(first, measured.remaining_length);
        writer.binary(self.topic.map_or(&[], |topic| topic.as_str().as_bytes()));
        if let Some(packet_identifier) = self.delivery.packet_identifier() {
            writer.u16(packet_identifier.number());
        }
        self.properties.write_with(version, own, writer, measured.properties_len);
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender, &[], self.payload_len()?)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `TopicMissing` if there is neither a topic nor a Topic Alias, `NotInVersion` for properties in 3.1.1, the errors
    /// of properties, `PacketTooLarge`, and `BufferTooSmall`. Nothing is written then.
    #[inline]
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let measured = self.measure(version, sender, &[], self.payload_len()?)?;
        let len = measured.packet_len();
        let mut writer = Writer::new(out, len)?;
        self.write(version, &[], measured, &mut writer);
        writer.bytes(self.payload);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::property::Property;

    const ID: PacketIdentifier = match PacketIdentifier::new(7) {
        Some(identifier) => identifier,
        None => panic!("0 is no identifier"),
    };

    /// With the versions that this build speaks.
    fn messages() -> impl Iterator<Item = (ProtocolVersion, Publish<'static>)> {
        let topic = TopicName::new("a/b").ok();
        let delivery = Delivery::AtLeastOnce { packet_identifier: ID, dup: true };
        let plain = Publish { topic, delivery, retain: true, properties: Properties::EMPTY, payload: &[1; 200] };
        let properties = Properties::new(&[Property::TopicAlias(3), Property::ContentType("text")]);
        let all = [
            (ProtocolVersion::V5_0, plain),
            (ProtocolVersion::V5_0, Publish { topic: None, properties, ..plain }),
            (ProtocolVersion::V3_1_1, plain),
            (ProtocolVersion::V3_1_1, Publish { delivery: Delivery::AtMostOnce, payload: &[], ..plain }),
        ];
        all.into_iter().filter(|(version, _)| version.is_supported())
    }

    /// As the machine does it.
    fn decode_head(
        version: ProtocolVersion,
        sender: Sender,
        head: &[u8],
        payload_len: u32,
    ) -> Result<Publish<'_>, DecodeError> {
        let (header, body) = FixedHeader::split(head, payload_len)?;
        Publish::decode(version, sender, header.flags, &mut Reader::new(body), true)
    }

    /// As the machine does it; tells the length of the whole packet.
    fn encode_head(
        head: &Publish<'_>,
        version: ProtocolVersion,
        payload_len: u32,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let measured = head.measure(version, Sender::Client, &[], payload_len)?;
        let mut writer = Writer::new(out, measured.packet_len() - payload_len as usize)?;
        head.write(version, &[], measured, &mut writer);
        Ok(measured.packet_len())
    }

    #[test]
    fn a_head_and_the_payload_behind_it_are_the_packet() {
        for (version, publish) in messages() {
            let head = Publish { payload: &[], ..publish };
            let payload_len = publish.payload.len() as u32;
            let mut whole = vec![0; publish.encoded_len(version, Sender::Client).unwrap()];
            publish.encode(version, Sender::Client, &mut whole).unwrap();
            let (expected, payload) = whole.split_at(whole.len() - publish.payload.len());
            assert_eq!(payload, publish.payload);

            let mut out = vec![0xa5; expected.len() + 1];
            assert_eq!(encode_head(&head, version, payload_len, &mut out), Ok(whole.len()), "{version:?}");
            assert_eq!(out.split_last(), Some((&0xa5, expected)), "{version:?}");
            assert_eq!(decode_head(version, Sender::Client, expected, payload_len), Ok(head), "{version:?}");
            for len in 0..expected.len() {
                let needed = expected.len();
                let mut small = vec![0xa5; len];
                let refused = Err(EncodeError::BufferTooSmall { needed });
                assert_eq!(encode_head(&head, version, payload_len, &mut small), refused);
                assert_eq!(small, vec![0xa5; len]);
            }
        }
    }

    #[test]
    fn a_head_ends_where_the_payload_begins() {
        for (version, publish) in messages() {
            let mut whole = vec![0; publish.encoded_len(version, Sender::Server).unwrap()];
            publish.encode(version, Sender::Server, &mut whole).unwrap();
            let head_len = whole.len() - publish.payload.len();
            for len in (0..whole.len()).filter(|&len| len != head_len) {
                for payload_len in [publish.payload.len(), whole.len() - len, 0] {
                    let result = decode_head(version, Sender::Server, &whole[..len], payload_len as u32);
                    let refused = matches!(result, Err(DecodeError::UnexpectedEnd | DecodeError::TrailingBytes));
                    assert!(refused, "{len} of {} bytes, {payload_len} of payload", whole.len());
                }
            }
        }
    }
}
