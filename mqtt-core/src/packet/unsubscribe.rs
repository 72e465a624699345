//! UNSUBSCRIBE, §3.10.

use core::fmt;

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, TopicFilter};
use crate::version::ProtocolVersion;

/// The Topic Filters of an UNSUBSCRIBE: those that were decoded, or those to be encoded.
///
/// Two values are equal if they are the same filters in the same order, wherever they are kept.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopicFilters<'a> {
    /// Checked when they were decoded, or when they were put into a store.
    encoded: &'a [u8],
    list: &'a [TopicFilter<'a>],
}

impl<'a> TopicFilters<'a> {
    /// Filters to be written.
    #[must_use]
    pub const fn new(list: &'a [TopicFilter<'a>]) -> Self {
        Self { encoded: &[], list }
    }

    /// Filters that were encoded and checked before.
    pub(crate) const fn from_encoded(encoded: &'a [u8]) -> Self {
        Self { encoded, list: &[] }
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Tells whether there are none; no UNSUBSCRIBE is written then.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.encoded.is_empty() && self.list.is_empty()
    }

    /// All filters, in their order.
    pub fn iter(self) -> impl Iterator<Item = TopicFilter<'a>> + Clone {
        let mut encoded = Reader::new(self.encoded);
        // The block was checked, so decoding succeeds until it ends.
        let decoded = core::iter::from_fn(move || decode_filter(&mut encoded).ok());
        decoded.chain(self.list.iter().copied())
    }

    /// Reads all that is left.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Err(DecodeError::EmptyPayload);
        }
        let encoded = reader.rest();
        while !reader.is_empty() {
            decode_filter(reader)?;
        }
        Ok(Self::from_encoded(encoded))
    }

    pub(crate) fn measure(self, measure: &mut Measure) {
        measure.check(!self.is_empty(), EncodeError::EmptyPayload);
        measure.add(self.encoded.len());
        for filter in self.list {
            measure.binary(filter.as_str().as_bytes());
        }
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) {
        writer.bytes(self.encoded);
        for filter in self.list {
            writer.binary(filter.as_str().as_bytes());
        }
    }
}

fn decode_filter<'a>(reader: &mut Reader<'a>) -> Result<TopicFilter<'a>, DecodeError> {
    let filter = reader.binary();
    reader.result()?;
    TopicFilter::decode(filter)
}

impl PartialEq for TopicFilters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TopicFilters<'_> {}

impl core::hash::Hash for TopicFilters<'_> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.iter().for_each(|filter| filter.hash(state));
    }
}

impl fmt::Debug for TopicFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Ends subscriptions, §3.10.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsubscribe<'a> {
    /// Comes back in the UNSUBACK.
    pub packet_identifier: PacketIdentifier,
    /// User Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// Which subscriptions: at least one [MQTT-3.10.3-2].
    pub filters: TopicFilters<'a>,
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_identifier = reader.packet_identifier();
        let scope = Scope::Packet(PacketType::Unsubscribe, Sender::Client);
        let properties = Properties::decode(version, reader, scope);
        reader.result()?;
        let filters = TopicFilters::decode(reader)?;
        Ok(Self { packet_identifier, properties, filters })
    }

    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Unsubscribe, version, sender)?;
        let mut measure = Measure::default();
        measure.add(2);
        let scope = Scope::Packet(PacketType::Unsubscribe, sender);
        let properties_len = self.properties.measure(version, scope, &mut measure);
        self.filters.measure(&mut measure);
        measure.finish(properties_len)
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `EmptyPayload`, `NotInVersion` for properties in 3.1.1, the errors of properties, `PacketTooLarge`, and
    /// `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Unsubscribe.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.number());
        self.properties.write(version, &mut writer, properties_len);
        self.filters.write(&mut writer);
        Ok(len)
    }
}
