//! The properties of one packet.

use super::{Property, PropertyIdentifier, Raw, Scope};
use crate::codec::reader::Reader;
use crate::codec::variable_byte_integer;
use crate::codec::writer::{Measure, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::packet::{PacketType, Sender};
use crate::version::ProtocolVersion;

/// The properties of a packet: those that were decoded, or those to be encoded.
///
/// Decoding checks the whole block once and keeps the bytes; [`iter`](Self::iter) then cannot fail. To write properties,
/// lend a slice of them:
///
/// ```
/// use mqtt_core::{Properties, Property};
///
/// let properties = Properties::new(&[Property::ContentType("text/plain"), Property::UserProperty("from", "cellar")]);
/// assert_eq!(properties.iter().count(), 2);
/// ```
///
/// Two values are equal if they are the same properties in the same order, wherever they are kept.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Properties<'a> {
    /// Checked when they were decoded, or when they were put into a store.
    encoded: &'a [u8],
    list: &'a [Property<'a>],
    diagnostics: Diagnostics,
}

/// Reason String and User Properties. A word, because a value that ends in a byte is copied by calls of `memcpy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)]
enum Diagnostics {
    Kept = 0,
    PassedOver,
}

impl<'a> Properties<'a> {
    /// No properties; all that 3.1.1 has.
    pub const EMPTY: Properties<'static> = Properties::with_encoded(&[], &[]);

    /// Properties to be written; what is wrong with them is said when the packet is encoded.
    #[must_use]
    pub const fn new(list: &'a [Property<'a>]) -> Self {
        Self::with_encoded(&[], list)
    }

    /// Properties that were [encoded](Self::encode) before, or [kept](Self::as_encoded) from a packet, and may stand in this
    /// one. The block has no length in front; all of it is checked.
    ///
    /// # Errors
    /// Those of a packet with this block.
    pub fn from_encoded(packet_type: PacketType, sender: Sender, encoded: &'a [u8]) -> Result<Self, DecodeError> {
        if !encoded.is_empty() {
            check(encoded, Scope::Packet(packet_type, sender))?;
        }
        Ok(Self::with_encoded(encoded, &[]))
    }

    /// The bytes of those that were decoded, without their length. Those that were lent as a slice are not among them.
    #[must_use]
    pub const fn as_encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// Writes the properties, as they may stand in this packet, to the start of `out`, without their length; tells how many
    /// bytes they take.
    ///
    /// # Errors
    /// Those of a packet with these properties, and `BufferTooSmall` with the bytes that are needed. Nothing is written then.
    pub fn encode(&self, packet_type: PacketType, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut measure = Measure::default();
        self.measure_block(Scope::Packet(packet_type, sender), &mut measure);
        let len = measure.remaining_length()? as usize;
        self.write_block(&mut Writer::new(out, len)?);
        Ok(len)
    }

    /// Properties that were encoded and checked before, followed by some to be written.
    pub(crate) const fn with_encoded(encoded: &'a [u8], list: &'a [Property<'a>]) -> Self {
        Self { encoded, list, diagnostics: Diagnostics::Kept }
    }

    /// The same without Reason String and User Properties, which are left out of a packet that is too large with them
    /// (§3.4.2.2.2 and its like).
    #[must_use]
    pub fn without_diagnostics(self) -> Self {
        let rest = Self { diagnostics: Diagnostics::PassedOver, ..self };
        // Where nothing else is left, the packet may take its shortest form.
        let nothing =
            rest.parts().next().is_none() && !rest.list.iter().any(|property| rest.has_use_for(property.identifier()));
        if nothing { Self::EMPTY } else { rest }
    }

    /// Tells whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.encoded.is_empty() && self.list.is_empty()
    }

    /// All properties, in their order.
    #[inline]
    #[must_use]
    pub const fn iter(self) -> PropertiesIter<'a> {
        let Self { encoded, list, diagnostics } = self;
        PropertiesIter { encoded: Reader::new(encoded), list, diagnostics }
    }

    /// The User Properties, names with values, in their order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The Reason String, if there is one.
    #[must_use]
    pub fn reason_string(self) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::ReasonString(text) => Some(text),
            _ => None,
        })
    }

    /// The Response Topic, if there is one.
    #[must_use]
    pub fn response_topic(self) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::ResponseTopic(topic) => Some(topic),
            _ => None,
        })
    }

    /// The Correlation Data, if there is any.
    #[must_use]
    pub fn correlation_data(self) -> Option<&'a [u8]> {
        self.iter().find_map(|property| match property {
            Property::CorrelationData(data) => Some(data),
            _ => None,
        })
    }

    /// The first property with this identifier alone.
    #[must_use]
    pub fn only(self, identifier: PropertyIdentifier) -> Self {
        let mut rest = self.iter();
        loop {
            let before = rest.clone();
            match rest.next() {
                None => return Self::EMPTY,
                Some(property) if property.identifier() == identifier => {
                    let first = |all: usize, left: usize| all.saturating_sub(left);
                    let encoded = before.encoded.rest();
                    let encoded = encoded.get(..first(encoded.len(), rest.encoded.rest().len()));
                    let list = before.list.get(..first(before.list.len(), rest.list.len()));
                    let (encoded, list) = (encoded.unwrap_or_default(), list.unwrap_or_default());
                    return Self { encoded, list, ..self };
                }
                Some(_) => {}
            }
        }
    }

    /// The Topic Alias, if there is one.
    #[must_use]
    pub fn topic_alias(&self) -> Option<u16> {
        self.find(PropertyIdentifier::TopicAlias).map(|found| found.number as u16)
    }

    /// Tells whether this property is among them.
    pub(crate) fn has(self, identifier: PropertyIdentifier) -> bool {
        self.find(identifier).is_some()
    }

    /// The value of the first property with this identifier: so a client that looks at no other has no code to read them all.
    #[inline]
    pub(crate) fn find(&self, identifier: PropertyIdentifier) -> Option<Raw<'a>> {
        // Only 5.0 has them.
        if cfg!(feature = "v5") { self.search(identifier) } else { None }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn search(&self, identifier: PropertyIdentifier) -> Option<Raw<'a>> {
        let mut list = self.list.iter();
        self.raw()
            .find(|found| found.identifier == identifier)
            .or_else(|| list.find(|property| property.identifier() == identifier).map(Property::raw))
    }

    /// Those that were decoded, without the names of their values.
    pub(crate) fn raw(&self) -> impl Iterator<Item = Raw<'a>> + use<'a> {
        let mut encoded = Reader::new(self.encoded);
        // Only 5.0 has them.
        core::iter::from_fn(move || if cfg!(feature = "v5") { Raw::read(&mut encoded) } else { None })
    }

    /// Reads the length and the block, and checks all of it. Before 5.0 there are no properties, hence no bytes.
    #[inline]
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>, scope: Scope) -> Self {
        let encoded = if version.is_v5() { decode_block(reader, scope) } else { &[] };
        Self::with_encoded(encoded, &[])
    }

    /// Adds the bytes of the block without its length, and tells them; checks each property against the table.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn measure_block(&self, scope: Scope, measure: &mut Measure) -> u32 {
        if !cfg!(feature = "v5") {
            measure.check(self.is_empty(), EncodeError::NotInVersion);
            return 0;
        }
        let before = measure.len();
        let mut seen = Seen::none(scope);
        // Decoded for another packet, perhaps: the table is asked again.
        for (identifier, bytes) in self.parts() {
            seen.accept_into(identifier, measure);
            measure.add(bytes.len());
        }
        for property in self.list {
            let identifier = property.identifier();
            if self.has_use_for(identifier) {
                seen.accept_into(identifier, measure);
                property.measure(measure);
            }
        }
        measure.len().wrapping_sub(before) as u32
    }

    /// Adds the bytes of the block with its length, and tells those without it, which [`write`](Self::write) wants.
    #[inline]
    pub(crate) fn measure(&self, version: ProtocolVersion, scope: Scope, measure: &mut Measure) -> u32 {
        self.measure_with(version, scope, &[], measure)
    }

    /// [`measure`](Self::measure), with properties behind these that are encoded already.
    #[inline]
    pub(crate) fn measure_with(
        &self,
        version: ProtocolVersion,
        scope: Scope,
        own: &[u8],
        measure: &mut Measure,
    ) -> u32 {
        if !version.is_v5() {
            measure.check(self.is_empty(), EncodeError::NotInVersion);
            return 0;
        }
        let mut len = own.len() as u32;
        measure.add(own.len());
        if !self.is_empty() {
            len = len.wrapping_add(self.measure_block(scope, measure));
        }
        measure.add(variable_byte_integer::encoded_len(len));
        len
    }

    /// Writes the block, which has `len` bytes, with its length.
    #[inline]
    pub(crate) fn write(&self, version: ProtocolVersion, writer: &mut Writer<'_>, len: u32) {
        self.write_with(version, &[], writer, len);
    }

    /// [`write`](Self::write), with properties behind these that are encoded already.
    #[inline]
    pub(crate) fn write_with(&self, version: ProtocolVersion, own: &[u8], writer: &mut Writer<'_>, len: u32) {
        if !version.is_v5() {
            return;
        }
        writer.variable_byte_integer(len);
        if len != 0 {
            self.write_block(writer);
            writer.bytes(own);
        }
    }

    /// Writes the block without its length.
    pub(crate) fn write_block(&self, writer: &mut Writer<'_>) {
        if !cfg!(feature = "v5") {
            return;
        }
        if self.diagnostics == Diagnostics::PassedOver {
            self.parts().for_each(|(_, bytes)| writer.bytes(bytes));
        } else {
            writer.bytes(self.encoded);
        }
        for property in self.list {
            if self.has_use_for(property.identifier()) {
                property.write(writer);
            }
        }
    }

    /// Those that were decoded and are to be written, each with its bytes.
    fn parts(&self) -> impl Iterator<Item = (PropertyIdentifier, &'a [u8])> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || {
            let rest = reader.rest();
            let identifier = Raw::read(&mut reader)?.identifier;
            let bytes = rest.get(..rest.len().saturating_sub(reader.rest().len())).unwrap_or_default();
            Some((identifier, bytes))
        })
        .filter(|(identifier, _)| self.has_use_for(*identifier))
    }

    #[inline]
    fn has_use_for(&self, identifier: PropertyIdentifier) -> bool {
        self.diagnostics == Diagnostics::Kept || !identifier.is_diagnostic()
    }
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Properties<'_> {}

impl core::hash::Hash for Properties<'_> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        for property in *self {
            property.hash(state);
        }
    }
}

impl core::fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertiesIter<'a>;

    fn into_iter(self) -> PropertiesIter<'a> {
        self.iter()
    }
}

/// Hands out properties in their order.
#[derive(Clone, Debug)]
pub struct PropertiesIter<'a> {
    encoded: Reader<'a>,
    list: &'a [Property<'a>],
    diagnostics: Diagnostics,
}

impl<'a> Iterator for PropertiesIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        if !cfg!(feature = "v5") {
            return None; // only 5.0 has them
        }
        loop {
            let property = if self.encoded.is_empty() {
                let (first, rest) = self.list.split_first()?;
                self.list = rest;
                *first
            } else {
                // The block was checked, so this succeeds.
                next_property(&mut self.encoded)?
            };
            if self.diagnostics == Diagnostics::Kept || !property.identifier().is_diagnostic() {
                return Some(property);
            }
        }
    }
}

/// Reads the length and the block, and checks all of it.
#[cfg_attr(target_os = "none", inline(never))]
fn decode_block<'a>(reader: &mut Reader<'a>, scope: Scope) -> &'a [u8] {
    let len = reader.variable_byte_integer();
    let encoded = reader.bytes(len as usize);
    if !encoded.is_empty() {
        if let Err(error) = check(encoded, scope) {
            reader.fail(error);
        }
    }
    encoded
}

/// Reads a property of a block that was checked; `None` at its end.
#[inline]
fn next_property<'a>(reader: &mut Reader<'a>) -> Option<Property<'a>> {
    Some(Property::read(PropertyIdentifier::from_u8(reader.u8())?, reader))
}

/// Walks the whole block: allowed here? repeated? well formed?
fn check(encoded: &[u8], scope: Scope) -> Result<(), DecodeError> {
    let mut reader = Reader::new(encoded);
    let mut seen = Seen::none(scope);
    while !reader.is_empty() {
        // A Variable Byte Integer; those that are in use have one byte.
        let number = reader.variable_byte_integer();
        let identifier = u8::try_from(number).ok().and_then(PropertyIdentifier::from_u8);
        let Some(identifier) = identifier else {
            reader.fail(DecodeError::UnknownProperty(u16::try_from(number).unwrap_or(u16::MAX)));
            break;
        };
        Property::check(identifier, &mut reader);
        if let Err(refused) = seen.accept(identifier) {
            reader.fail(refused.decode_error());
        }
    }
    reader.result()
}

/// The properties met so far in a block.
struct Seen {
    scope: Scope,
    /// A bit for each number; the largest is 42.
    seen: [u32; 2],
}

impl Seen {
    #[inline]
    const fn none(scope: Scope) -> Self {
        Self { scope, seen: [0; 2] }
    }

    #[inline]
    fn accept_into(&mut self, identifier: PropertyIdentifier, measure: &mut Measure) {
        if let Err(refused) = self.accept(identifier) {
            measure.fail(refused.encode_error());
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    fn accept(&mut self, identifier: PropertyIdentifier) -> Result<(), Refused> {
        if !self.scope.allows(identifier) {
            return Err(Refused::NotAllowed(identifier));
        }
        let number = identifier as u32;
        let [low, high] = &mut self.seen;
        let seen = if number < u32::BITS { low } else { high };
        let bit = 1_u32.wrapping_shl(number);
        if *seen & bit != 0 && !self.scope.may_repeat(identifier) {
            return Err(Refused::Repeated(identifier));
        }
        *seen |= bit;
        Ok(())
    }
}

enum Refused {
    NotAllowed(PropertyIdentifier),
    Repeated(PropertyIdentifier),
}

impl Refused {
    const fn decode_error(self) -> DecodeError {
        match self {
            Self::NotAllowed(identifier) => DecodeError::PropertyNotAllowed(identifier),
            Self::Repeated(identifier) => DecodeError::PropertyRepeated(identifier),
        }
    }

    const fn encode_error(self) -> EncodeError {
        match self {
            Self::NotAllowed(identifier) => EncodeError::PropertyNotAllowed(identifier),
            Self::Repeated(identifier) => EncodeError::PropertyRepeated(identifier),
        }
    }
}
