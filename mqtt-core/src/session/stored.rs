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
const LARGEST_VERSION: ProtocolVersion =
    if cfg!(feature = "v5") { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 };

/// Stores a message.
pub(super) fn store_publish<S: Storage>(
    storage: &mut S,
    id: PacketIdentifier,
    topic: TopicName<'_>,
    properties: Properties<'_>,
    payload: S::Payload<'_>,
) -> Result<(), UsageError> {
    let properties_len = properties.block_len(PUBLISH)?;
    let mut measure = Measure::default();
    measure.binary(topic.as_str().as_bytes())?;
    measure.add(properties_len as usize);
    let head = storage.allocate(id, measure.len(), payload)?;
    let mut writer = Writer::new(head, measure.len())?;
    writer.binary(topic.as_str().as_bytes());
    properties.write_block(&mut writer);
    Ok(())
}

/// Topic Name and encoded properties of a stored message.
pub(crate) fn publish(head: &[u8]) -> Option<(TopicName<'_>, &[u8])> {
    let mut reader = Reader::new(head);
    let topic = reader.binary().ok()?;
    // It was text when it was stored.
    let topic = core::str::from_utf8(topic).ok()?;
    Some((TopicName::from_checked(topic), reader.rest()))
}

/// Stores a SUBSCRIBE as 5.0 writes it; 3.1.1 leaves out the properties, which must be none.
pub(crate) fn store_subscribe<S: Storage>(
    storage: &mut S,
    id: PacketIdentifier,
    properties: Properties<'_>,
    filters: Subscriptions<'_>,
) -> Result<(), UsageError> {
    let mut measure = Measure::default();
    filters.measure(LARGEST_VERSION, &mut measure)?;
    store_request(storage, id, SUBSCRIBE, properties, measure, |writer| filters.write(writer))
}

/// Stores an UNSUBSCRIBE, likewise.
pub(crate) fn store_unsubscribe<S: Storage>(
    storage: &mut S,
    id: PacketIdentifier,
    properties: Properties<'_>,
    filters: TopicFilters<'_>,
) -> Result<(), UsageError> {
    let mut measure = Measure::default();
    filters.measure(&mut measure)?;
    store_request(storage, id, UNSUBSCRIBE, properties, measure, |writer| filters.write(writer))
}

fn store_request<S: Storage>(
    storage: &mut S,
    id: PacketIdentifier,
    scope: Scope,
    properties: Properties<'_>,
    mut measure: Measure,
    write_filters: impl FnOnce(&mut Writer<'_>),
) -> Result<(), UsageError> {
    let properties_len = properties.block_len(scope)?;
    measure.add(variable_byte_integer::encoded_len(properties_len));
    measure.add(properties_len as usize);
    measure.remaining_length()?;
    let room = storage.allocate(id, measure.len(), S::payload_from(&[]))?;
    let mut writer = Writer::new(room, measure.len())?;
    writer.variable_byte_integer(properties_len);
    properties.write_block(&mut writer);
    write_filters(&mut writer);
    Ok(())
}

/// Properties and entries of a stored SUBSCRIBE.
pub(crate) fn subscribe(head: &[u8]) -> Option<(Properties<'_>, Subscriptions<'_>)> {
    let (properties, filters) = request(head)?;
    Some((properties, Subscriptions::from_encoded(filters)))
}

/// Properties and filters of a stored UNSUBSCRIBE.
pub(crate) fn unsubscribe(head: &[u8]) -> Option<(Properties<'_>, TopicFilters<'_>)> {
    let (properties, filters) = request(head)?;
    Some((properties, TopicFilters::from_encoded(filters)))
}

/// Properties of a stored SUBSCRIBE or UNSUBSCRIBE, and its encoded filters.
pub(crate) fn request(head: &[u8]) -> Option<(Properties<'_>, &[u8])> {
    let mut reader = Reader::new(head);
    let len = reader.variable_byte_integer().ok()?;
    let properties = reader.bytes(len as usize).ok()?;
    Some((Properties::with_encoded(properties, &[]), reader.rest()))
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
