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
    fn decode(flags: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let dup = flags & DUP != 0;
        Ok(match fixed_header::qos(flags) {
            Some(QoS::AtMostOnce) => Self::AtMostOnce,
            Some(QoS::AtLeastOnce) => Self::AtLeastOnce { packet_identifier: reader.packet_identifier()?, dup },
            Some(QoS::ExactlyOnce) => Self::ExactlyOnce { packet_identifier: reader.packet_identifier()?, dup },
            None => return Err(DecodeError::InvalidQoS),
        })
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
    #[inline]
    pub(crate) fn decode(
        version: ProtocolVersion,
        sender: Sender,
        flags: u8,
        mut reader: Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut publish = Self::read(version, sender, flags, &mut reader)?;
        publish.payload = reader.rest();
        Ok(publish)
    }

    /// Reads the head that framing found, fixed header to properties, not a byte more; `payload_len` bytes of payload follow
    /// it on their way.
    pub(crate) fn decode_head(
        version: ProtocolVersion,
        sender: Sender,
        head: &'a [u8],
        payload_len: u32,
    ) -> Result<Self, DecodeError> {
        let header = FixedHeader::decode(head)?.ok_or(DecodeError::UnexpectedEnd)?;
        if !matches!(header.packet_type, PacketType::Publish) {
            return Err(DecodeError::PacketNotAllowed(header.packet_type));
        }
        let mut reader = Reader::new(head);
        reader.bytes(header.len)?;
        let payload_begins = header.remaining_length.checked_sub(payload_len).ok_or(DecodeError::UnexpectedEnd)?;
        let mut reader = reader.whole(payload_begins)?;
        let publish = Self::read(version, sender, header.flags, &mut reader)?;
        reader.finish()?;
        Ok(publish)
    }

    /// The Packet Identifier of a PUBLISH at QoS 1 or 2, from its head.
    pub(crate) fn identifier_of(head: &[u8]) -> Option<PacketIdentifier> {
        let header = FixedHeader::decode(head).ok()??;
        if !matches!(header.packet_type, PacketType::Publish) {
            return None;
        }
        let mut reader = Reader::new(head);
        reader.bytes(header.len).ok()?;
        reader.binary().ok()?;
        Delivery::decode(header.flags, &mut reader).ok()?.packet_identifier()
    }

    /// Reads what comes before the payload; what `reader` has left is the payload.
    #[inline]
    fn read(version: ProtocolVersion, sender: Sender, flags: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = match reader.binary()? {
            [] => None,
            name => Some(TopicName::decode(name)?),
        };
        let delivery = Delivery::decode(flags, reader)?;
        let properties = Properties::decode(version, reader, Scope::Packet(PacketType::Publish, sender))?;
        if topic.is_none() && properties.topic_alias().is_none() {
            return Err(DecodeError::TopicMissing);
        }
        Ok(Self { topic, delivery, retain: flags & RETAIN != 0, properties, payload: &[] })
    }

    #[inline]
    fn payload_len(&self) -> Result<u32, EncodeError> {
        u32::try_from(self.payload.len()).map_err(|_| EncodeError::PacketTooLarge)
    }

    #[inline]
    fn measure(&self, version: ProtocolVersion, sender: Sender, payload_len: u32) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Publish, version, sender)?;
        let mut measure = Measure::default();
        let topic = match self.topic {
            Some(topic) => topic.as_str(),
            None if version.is_v5() && self.properties.topic_alias().is_some() => "",
            None => return Err(EncodeError::TopicMissing),
        };
        measure.binary(topic.as_bytes())?;
        if self.delivery.packet_identifier().is_some() {
            measure.add(2);
        }
        let scope = Scope::Packet(PacketType::Publish, sender);
        let properties_len = self.properties.measure(version, scope, &mut measure)?;
        measure.add(payload_len as usize);
        measure.finish(properties_len)
    }

    /// Writes everything before the payload.
    #[inline]
    fn write(&self, version: ProtocolVersion, measured: Measured, writer: &mut Writer<'_>) {
        let first = PacketType::Publish.first_byte() | self.delivery.flags() | if self.retain { RETAIN } else { 0 };
        writer.fixed_header(first, measured.remaining_length);
        writer.binary(self.topic.map_or(&[], |topic| topic.as_str().as_bytes()));
        if let Some(packet_identifier) = self.delivery.packet_identifier() {
            writer.u16(packet_identifier.number());
        }
        self.properties.write(version, writer, measured.properties_len);
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender, self.payload_len()?)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `TopicMissing` if there is neither a topic nor a Topic Alias, `NotInVersion` for properties in 3.1.1, the errors
    /// of properties, `PacketTooLarge`, and `BufferTooSmall`. Nothing is written then.
    #[inline]
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let measured = self.measure(version, sender, self.payload_len()?)?;
        let len = measured.packet_len();
        let mut writer = Writer::new(out, len)?;
        self.write(version, measured, &mut writer);
        writer.bytes(self.payload);
        Ok(len)
    }

    /// Bytes of the whole packet, which Maximum Packet Size counts, with a payload of `payload_len` bytes instead of its own.
    pub(crate) fn len_with_payload(
        &self,
        version: ProtocolVersion,
        sender: Sender,
        payload_len: u32,
    ) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender, payload_len)?.packet_len())
    }

    /// Writes everything before a payload of `payload_len` bytes, which is sent apart, to the start of `out` and returns its
    /// length.
    #[inline]
    pub(crate) fn encode_head(
        &self,
        version: ProtocolVersion,
        sender: Sender,
        payload_len: u32,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let measured = self.measure(version, sender, payload_len)?;
        let len = measured.packet_len().saturating_sub(payload_len as usize);
        let mut writer = Writer::new(out, len)?;
        self.write(version, measured, &mut writer);
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
            assert_eq!(
                head.encode_head(version, Sender::Client, payload_len, &mut out),
                Ok(expected.len()),
                "{version:?}"
            );
            assert_eq!(out.split_last(), Some((&0xa5, expected)), "{version:?}");
            assert_eq!(head.len_with_payload(version, Sender::Client, payload_len), Ok(whole.len()));
            assert_eq!(Publish::decode_head(version, Sender::Client, expected, payload_len), Ok(head), "{version:?}");
            for len in 0..expected.len() {
                let needed = expected.len();
                let mut small = vec![0xa5; len];
                let refused = Err(EncodeError::BufferTooSmall { needed });
                assert_eq!(head.encode_head(version, Sender::Client, payload_len, &mut small), refused);
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
                    let result = Publish::decode_head(version, Sender::Server, &whole[..len], payload_len as u32);
                    let refused = matches!(result, Err(DecodeError::UnexpectedEnd | DecodeError::TrailingBytes));
                    assert!(refused, "{len} of {} bytes, {payload_len} of payload", whole.len());
                }
            }
        }
    }

    #[test]
    fn other_packets_have_no_head() {
        let result = Publish::decode_head(ProtocolVersion::V5_0, Sender::Server, &[0xd0, 0], 0);
        assert_eq!(result, Err(DecodeError::PacketNotAllowed(PacketType::Pingresp)));
    }
}
