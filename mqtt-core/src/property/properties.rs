//! The properties of one packet.

use super::{Property, PropertyIdentifier, Scope};
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
    /// Reason String and User Properties are passed over.
    without_diagnostics: bool,
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
        let len = self.block_len(Scope::Packet(packet_type, sender))? as usize;
        self.write_block(&mut Writer::new(out, len)?);
        Ok(len)
    }

    /// Properties that were encoded and checked before, followed by some to be written.
    pub(crate) const fn with_encoded(encoded: &'a [u8], list: &'a [Property<'a>]) -> Self {
        Self { encoded, list, without_diagnostics: false }
    }

    /// The same without Reason String and User Properties, which are left out of a packet that is too large with them
    /// (§3.4.2.2.2 and its like).
    #[must_use]
    pub fn without_diagnostics(self) -> Self {
        let rest = Self { without_diagnostics: true, ..self };
        // Where nothing else is left, the packet may take its shortest form.
        if rest.iter().next().is_none() { Self::EMPTY } else { rest }
    }

    /// These properties and `own`, of which there are few and short ones. They are encoded into `scratch` where the two lists
    /// cannot be joined otherwise.
    pub(crate) fn joined<'b>(self, own: &'b [Property<'b>], scope: Scope, scratch: &'b mut [u8; 16]) -> Properties<'b>
    where
        'a: 'b,
    {
        if own.is_empty() {
            return self;
        }
        if self.list.is_empty() {
            return Properties { list: own, ..self };
        }
        let len = Self::encode_block(own, scope, scratch).unwrap_or(0);
        Properties { encoded: scratch.get(..len).unwrap_or(&[]), ..self }
    }

    /// Encodes properties without their length to the start of `out`, and tells how many bytes they take.
    pub(crate) fn encode_block(list: &[Property<'_>], scope: Scope, out: &mut [u8]) -> Result<usize, EncodeError> {
        let properties = Properties::new(list);
        let len = properties.block_len(scope)? as usize;
        properties.write_block(&mut Writer::new(out, len)?);
        Ok(len)
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
        let Self { encoded, list, without_diagnostics } = self;
        PropertiesIter { encoded: Reader::new(encoded), list, without_diagnostics }
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
        self.iter().find_map(|property| match property {
            Property::TopicAlias(alias) => Some(alias),
            _ => None,
        })
    }

    /// Tells whether this property is among them.
    pub(crate) fn has(self, identifier: PropertyIdentifier) -> bool {
        self.iter().any(|property| property.identifier() == identifier)
    }

    /// Reads the length and the block, and checks all of it. Before 5.0 there are no properties, hence no bytes.
    #[inline(always)] // two callers on the way of a message; returned from a call it would be copied
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        if !version.is_v5() {
            return Ok(Self::EMPTY);
        }
        let len = reader.variable_byte_integer()?;
        let encoded = reader.bytes(len as usize)?;
        if !encoded.is_empty() {
            check(encoded, scope)?;
        }
        Ok(Self::with_encoded(encoded, &[]))
    }

    /// The bytes of the block without its length; checks each property against the table.
    pub(crate) fn block_len(&self, scope: Scope) -> Result<u32, EncodeError> {
        if !cfg!(feature = "v5") {
            return if self.is_empty() { Ok(0) } else { Err(EncodeError::NotInVersion) };
        }
        let mut measure = Measure::default();
        let mut seen = Seen::none(scope);
        if self.without_diagnostics {
            for property in *self {
                measure_list(&[property], &mut seen, &mut measure)?;
            }
            return measure.remaining_length();
        }
        measure.add(self.encoded.len());
        // Decoded for another packet, perhaps: the table is asked again.
        let mut encoded = Reader::new(self.encoded);
        while let Some(identifier) = next_identifier(&mut encoded) {
            seen.accept(identifier).map_err(Refused::encode_error)?;
        }
        measure_list(self.list, &mut seen, &mut measure)?;
        measure.remaining_length()
    }

    /// Adds the bytes of the block with its length, and tells those without it, which [`write`](Self::write) wants.
    #[inline]
    pub(crate) fn measure(
        &self,
        version: ProtocolVersion,
        scope: Scope,
        measure: &mut Measure,
    ) -> Result<u32, EncodeError> {
        if !version.is_v5() {
            return if self.is_empty() { Ok(0) } else { Err(EncodeError::NotInVersion) };
        }
        if self.is_empty() {
            measure.add(1);
            return Ok(0);
        }
        let len = self.block_len(scope)?;
        measure.add(variable_byte_integer::encoded_len(len));
        measure.add(len as usize);
        Ok(len)
    }

    /// Writes the block, which has `len` bytes, with its length.
    #[inline]
    pub(crate) fn write(&self, version: ProtocolVersion, writer: &mut Writer<'_>, len: u32) {
        if !version.is_v5() {
            return;
        }
        writer.variable_byte_integer(len);
        if len != 0 {
            self.write_block(writer);
        }
    }

    /// Writes the block without its length.
    pub(crate) fn write_block(&self, writer: &mut Writer<'_>) {
        if self.without_diagnostics {
            for property in *self {
                write_list(&[property], writer);
            }
            return;
        }
        writer.bytes(self.encoded);
        write_list(self.list, writer);
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
    without_diagnostics: bool,
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
            let diagnostic = matches!(property, Property::ReasonString(_) | Property::UserProperty(..));
            if !(self.without_diagnostics && diagnostic) {
                return Some(property);
            }
        }
    }
}

/// Reads a property of a block that was checked; `None` at its end.
#[inline]
fn next_property<'a>(reader: &mut Reader<'a>) -> Option<Property<'a>> {
    let identifier = PropertyIdentifier::from_u8(reader.u8().ok()?)?;
    Property::read(identifier, reader).ok()
}

/// Reads past a property of a block that was checked.
#[inline]
fn next_identifier(reader: &mut Reader<'_>) -> Option<PropertyIdentifier> {
    let identifier = PropertyIdentifier::from_u8(reader.u8().ok()?)?;
    Property::check(identifier, reader).ok()?;
    Some(identifier)
}

/// Walks the whole block: allowed here? repeated? well formed?
fn check(encoded: &[u8], scope: Scope) -> Result<(), DecodeError> {
    let mut reader = Reader::new(encoded);
    let mut seen = Seen::none(scope);
    while !reader.is_empty() {
        // A Variable Byte Integer; those that are in use have one byte.
        let number = reader.variable_byte_integer()?;
        let identifier = u8::try_from(number).ok().and_then(PropertyIdentifier::from_u8);
        let identifier = identifier.ok_or(DecodeError::UnknownProperty(number))?;
        Property::check(identifier, &mut reader)?;
        seen.accept(identifier).map_err(Refused::decode_error)?;
    }
    Ok(())
}

/// Adds up properties to be written; checks each, and that it may stand here.
fn measure_list(list: &[Property<'_>], seen: &mut Seen, measure: &mut Measure) -> Result<(), EncodeError> {
    for property in list {
        seen.accept(property.identifier()).map_err(Refused::encode_error)?;
        property.measure(measure)?;
    }
    Ok(())
}

fn write_list(list: &[Property<'_>], writer: &mut Writer<'_>) {
    for property in list {
        property.write(writer);
    }
}

/// The properties met so far in a block.
struct Seen {
    allowed: u64,
    repeatable: u64,
    seen: u64,
}

impl Seen {
    #[inline]
    const fn none(scope: Scope) -> Self {
        Self { allowed: scope.allowed(), repeatable: scope.repeatable(), seen: 0 }
    }

    #[inline]
    const fn accept(&mut self, identifier: PropertyIdentifier) -> Result<(), Refused> {
        let bit = identifier.bit();
        if self.allowed & bit == 0 {
            return Err(Refused::NotAllowed(identifier));
        }
        if self.seen & bit & !self.repeatable != 0 {
            return Err(Refused::Repeated(identifier));
        }
        self.seen |= bit;
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
