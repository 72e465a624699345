//! SUBSCRIBE, §3.8.

use core::fmt;

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, QoS, TopicFilter};
use crate::version::ProtocolVersion;

/// Which retained messages a subscription brings, 5.0 §3.8.3.1.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum RetainHandling {
    /// All that match, whenever the subscription is made; what 3.1.1 always does.
    #[default]
    SendAtSubscribe = 0,
    /// All that match, if the subscription is new.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

/// How a subscription is served, 5.0 §3.8.3.1; 3.1.1 knows the QoS only.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SubscriptionOptions {
    /// The highest QoS that messages are sent with.
    pub qos: QoS,
    /// Leaves out what this Client published itself; not for shared subscriptions [MQTT-3.8.3-4].
    pub no_local: bool,
    /// Keeps the RETAIN flag as it was published; otherwise it is set only on what was retained before.
    pub retain_as_published: bool,
    /// Which retained messages are sent at once.
    pub retain_handling: RetainHandling,
}

const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RESERVED: u8 = 0b1100_0000;

impl SubscriptionOptions {
    /// This QoS, and otherwise what 3.1.1 does.
    #[must_use]
    pub const fn new(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::SendAtSubscribe }
    }

    /// The byte on the wire; for 3.1.1 it is the QoS.
    #[inline]
    pub(crate) const fn to_u8(self) -> u8 {
        self.qos as u8
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 }
            | (self.retain_handling as u8) << 4
    }

    /// Reads the byte as 5.0 has it.
    #[inline]
    pub(crate) const fn from_u8(byte: u8) -> Result<Self, DecodeError> {
        if byte & RESERVED != 0 {
            return Err(DecodeError::ReservedBits);
        }
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeError::InvalidSubscriptionOptions),
        };
        let Some(qos) = QoS::from_u8(byte & 0b11) else {
            return Err(DecodeError::InvalidSubscriptionOptions);
        };
        Ok(Self {
            qos,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    /// Tells whether there is nothing that only 5.0 can say.
    const fn is_plain(self) -> bool {
        self.to_u8() == self.qos as u8
    }
}

/// One entry of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscription<'a> {
    /// Which messages.
    pub filter: TopicFilter<'a>,
    /// How they are sent.
    pub options: SubscriptionOptions,
}

impl<'a> Subscription<'a> {
    /// Asks for the messages of this filter up to this QoS.
    #[must_use]
    pub const fn new(filter: TopicFilter<'a>, qos: QoS) -> Self {
        Self { filter, options: SubscriptionOptions::new(qos) }
    }

    fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = TopicFilter::decode(reader.binary());
        let byte = reader.u8();
        reader.result()?;
        let filter = filter?;
        if !version.is_v5() && byte & !0b11 != 0 {
            return Err(DecodeError::ReservedBits);
        }
        let options = SubscriptionOptions::from_u8(byte)?;
        if options.no_local && filter.is_shared() {
            return Err(DecodeError::NoLocalOnShared);
        }
        Ok(Self { filter, options })
    }

    /// Reads an entry that was checked before; `None` at the end. What 5.0 reads includes what 3.1.1 wrote.
    #[cfg_attr(target_os = "none", inline(never))]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        if reader.is_empty() {
            return None;
        }
        let filter = TopicFilter::from_checked(reader.checked_string());
        Some(Self { filter, options: SubscriptionOptions::from_u8(reader.u8()).ok()? })
    }

    fn measure(self, measure: &mut Measure) {
        measure.check(!(self.options.no_local && self.filter.is_shared()), EncodeError::NoLocalOnShared);
        measure.binary(self.filter.as_str().as_bytes());
        measure.add(1);
    }
}

/// The entries of a SUBSCRIBE: those that were decoded, or those to be encoded.
///
/// Two values are equal if they are the same entries in the same order, wherever they are kept.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscriptions<'a> {
    /// Checked when they were decoded, or when they were put into a store.
    encoded: &'a [u8],
    list: &'a [Subscription<'a>],
}

impl<'a> Subscriptions<'a> {
    /// Entries to be written.
    #[must_use]
    pub const fn new(list: &'a [Subscription<'a>]) -> Self {
        Self { encoded: &[], list }
    }

    /// Entries that were encoded and checked before.
    pub(crate) const fn from_encoded(encoded: &'a [u8]) -> Self {
        Self { encoded, list: &[] }
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Tells whether there are none; no SUBSCRIBE is written then.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.encoded.is_empty() && self.list.is_empty()
    }

    /// All entries, in their order.
    pub fn iter(self) -> impl Iterator<Item = Subscription<'a>> + Clone {
        let mut encoded = Reader::new(self.encoded);
        let decoded = core::iter::from_fn(move || Subscription::read(&mut encoded));
        decoded.chain(self.list.iter().copied())
    }

    /// Reads all that is left.
    fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Err(DecodeError::EmptyPayload);
        }
        let encoded = reader.rest();
        while !reader.is_empty() {
            Subscription::decode(version, reader)?;
        }
        Ok(Self::from_encoded(encoded))
    }

    /// Refuses what this version cannot say.
    pub(crate) fn check_version(self, version: ProtocolVersion) -> Result<(), EncodeError> {
        if version.is_v5() || self.iter().all(|subscription| subscription.options.is_plain()) {
            Ok(())
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    pub(crate) fn measure(self, measure: &mut Measure) {
        measure.check(!self.is_empty(), EncodeError::EmptyPayload);
        // What was encoded was checked then.
        measure.add(self.encoded.len());
        for subscription in self.list {
            subscription.measure(measure);
        }
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) {
        writer.bytes(self.encoded);
        for subscription in self.list {
            writer.binary(subscription.filter.as_str().as_bytes());
            writer.u8(subscription.options.to_u8());
        }
    }
}

impl PartialEq for Subscriptions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Subscriptions<'_> {}

impl core::hash::Hash for Subscriptions<'_> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.iter().for_each(|subscription| subscription.hash(state));
    }
}

impl fmt::Debug for Subscriptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Asks for messages, §3.8.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscribe<'a> {
    /// Comes back in the SUBACK.
    pub packet_identifier: PacketIdentifier,
    /// Subscription Identifier and User Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// What is asked for: at least one entry [MQTT-3.8.3-2].
    pub filters: Subscriptions<'a>,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_identifier = reader.packet_identifier();
        let scope = Scope::Packet(PacketType::Subscribe, Sender::Client);
        let properties = Properties::decode(version, reader, scope);
        reader.result()?;
        let filters = Subscriptions::decode(version, reader)?;
        Ok(Self { packet_identifier, properties, filters })
    }

    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Subscribe, version, sender)?;
        let mut measure = Measure::default();
        measure.add(2);
        let scope = Scope::Packet(PacketType::Subscribe, sender);
        let properties_len = self.properties.measure(version, scope, &mut measure);
        self.filters.check_version(version)?;
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
    /// `EmptyPayload`, `NoLocalOnShared`, `NotInVersion` for options and properties in 3.1.1, the errors of properties,
    /// `PacketTooLarge`, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Subscribe.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.number());
        self.properties.write(version, &mut writer, properties_len);
        self.filters.write(&mut writer);
        Ok(len)
    }
}
