//! How a message or a request lies in the storage until it is acknowledged.
//!
//! A PUBLISH: Topic Name with its length, then its properties without theirs; the payload apart. A SUBSCRIBE or UNSUBSCRIBE:
//! its properties with their length, then its filters. Both are what 5.0 sends; 3.1.1 leaves parts out.

use super::storage::{Storage, StorageFull};
use crate::codec::reader::Reader;
use crate::codec::variable_byte_integer;
use crate::codec::writer::{Measure, Writer};
use crate::connection::UsageError;
use crate::error::EncodeError;
use crate::packet::{PacketType, Sender, Subscriptions, TopicFilters};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, TopicName};
use crate::version::ProtocolVersion;

pub(crate) const PUBLISH: Scope = Scope::Packet(PacketType::Publish, Sender::Client);
pub(crate) const SUBSCRIBE: Scope = Scope::Packet(PacketType::Subscribe, Sender::Client);
const UNSUBSCRIBE: Scope = Scope::Packet(PacketType::Unsubscribe, Sender::Client);

/// What this version cannot say is refused when it is stored; what another cannot, when it is sent.
pub(crate) const LARGEST_VERSION: ProtocolVersion =
    if cfg!(feature = "v5") { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 };

/// Stores a message.
pub(super) fn store_publish<S: Storage>(
    storage: &mut S,
    id: PacketIdentifier,
    topic: TopicName<'_>,
    properties: Properties<'_>,
    payload: S::Payload<'_>,
) -> Result<(), UsageError> {
    let mut measure = Measure::default();
    properties.measure_block(PUBLISH, &mut measure);
    measure.binary(topic.as_str().as_bytes());
    measure.result()?;
    let head = storage.allocate(id, measure.len(), payload)?;
    let mut writer = Writer::new(head, measure.len())?;
    writer.binary(topic.as_str().as_bytes());
    properties.write_block(&mut writer);
    Ok(())
}

/// Topic Name and encoded properties of a stored message.
pub(crate) fn publish(head: &[u8]) -> Option<(TopicName<'_>, &[u8])> {
    let mut reader = Reader::new(head);
    // It was text when it was stored.
    let topic = reader.checked_string();
    reader.result().ok()?;
    Some((TopicName::from_checked(topic), reader.rest()))
}

/// A SUBSCRIBE or UNSUBSCRIBE to be stored, as 5.0 writes it; 3.1.1 leaves out the properties, which must be none.
pub(crate) struct Request<'a> {
    pub(crate) properties: Properties<'a>,
    pub(crate) filters: Filters<'a>,
}

/// The entries of either.
pub(crate) enum Filters<'a> {
    Subscribe(Subscriptions<'a>),
    Unsubscribe(TopicFilters<'a>),
}

impl Request<'_> {
    /// The bytes of the properties, without their length, and of all of it.
    ///
    /// `version`: that of the connection, if there is one. What it cannot say is refused then; what another cannot, when it is sent.
    pub(crate) fn measure(&self, version: Option<ProtocolVersion>) -> Result<(u32, usize), EncodeError> {
        let version = version.unwrap_or(LARGEST_VERSION);
        if !version.is_v5() && !self.properties.is_empty() {
            return Err(EncodeError::NotInVersion);
        }
        let mut measure = Measure::default();
        let scope = match self.filters {
            Filters::Subscribe(filters) => {
                filters.measure(&mut measure);
                filters.check_version(version)?;
                SUBSCRIBE
            }
            Filters::Unsubscribe(filters) => {
                filters.measure(&mut measure);
                UNSUBSCRIBE
            }
        };
        let properties_len = self.properties.measure_block(scope, &mut measure);
        measure.add(variable_byte_integer::encoded_len(properties_len));
        measure.remaining_length()?;
        Ok((properties_len, measure.len()))
    }

    /// Stores it, as it was measured.
    pub(crate) fn store<S: Storage>(
        &self,
        storage: &mut S,
        id: PacketIdentifier,
        (properties_len, len): (u32, usize),
    ) -> Result<(), UsageError> {
        let mut writer = Writer::new(storage.allocate(id, len, S::payload_from(&[]))?, len)?;
        writer.variable_byte_integer(properties_len);
        self.properties.write_block(&mut writer);
        match self.filters {
            Filters::Subscribe(filters) => filters.write(&mut writer),
            Filters::Unsubscribe(filters) => filters.write(&mut writer),
        }
        Ok(())
    }
}

/// Properties and entries of a stored SUBSCRIBE.
pub(crate) fn subscribe(head: &[u8]) -> Option<(Properties<'_>, Subscriptions<'_>)> {
    let (properties, filters) = request(head)?;
    Some((Properties::with_encoded(properties, &[]), Subscriptions::from_encoded(filters)))
}

/// Properties and filters of a stored UNSUBSCRIBE.
pub(crate) fn unsubscribe(head: &[u8]) -> Option<(Properties<'_>, TopicFilters<'_>)> {
    let (properties, filters) = request(head)?;
    Some((Properties::with_encoded(properties, &[]), TopicFilters::from_encoded(filters)))
}

/// Properties of a stored SUBSCRIBE or UNSUBSCRIBE, without their length, and its filters, both encoded.
pub(crate) fn request(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(head);
    let len = reader.variable_byte_integer();
    let properties = reader.bytes(len as usize);
    reader.result().ok()?;
    Some((properties, reader.rest()))
}

impl From<StorageFull> for UsageError {
    fn from(full: StorageFull) -> Self {
        Self::StorageFull(full)
    }
}

impl From<EncodeError> for UsageError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
