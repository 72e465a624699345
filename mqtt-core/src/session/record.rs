//! What a durable session writes down, in the order in which it happened.
//!
//! The machine says which record must be durable before which packet may leave; a store keeps the bytes. A session is rebuilt
//! by giving its records, in their order, to [`Session::restore`].
//!
//! | record | written when | before which packet |
//! | --- | --- | --- |
//! | `SessionStarted` | CONNACK without a session | - |
//! | `Published` | a publish at QoS 1 or 2 is accepted | its PUBLISH |
//! | `PubrecReceived` | PUBREC arrives | PUBREL |
//! | `Completed` | PUBACK, PUBCOMP, a refusal, any other outcome | - |
//! | `Received` | a message at QoS 2 arrives | its PUBREC |
//! | `Released` | PUBREL arrives | PUBCOMP |
//! | `Confirmed` | the application has taken the message over | - |
//!
//! A store may forget a `Published` and `PubrecReceived` behind the `Completed` with the same identifier, and a `Received`
//! once both its `Released` and its `Confirmed` are there; of these it keeps at least the one with the highest delivery number,
//! behind which the numbers go on. Messages whose `Confirmed` is missing are handed over again after a crash, with their
//! delivery number, marked redelivered.

use super::incoming::DeliveryNumber;
use super::outgoing::{Source, Stage};
use super::storage::{Storage, StorageFull};
use super::table::Table;
use super::{Session, stored};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Writer};
use crate::connection::UsageError;
use crate::error::{DecodeError, EncodeError};
use crate::packet::{PacketType, Sender};
use crate::property::{Properties, Scope};
use crate::time::Instant;
use crate::types::{PacketIdentifier, QoS, TopicName};
use crate::version::ProtocolVersion;

/// A change of the session that a store keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Record<'a> {
    /// The Server has a new session; what was received in those before is forgotten.
    SessionStarted {
        /// The Client Identifier, also when the Server assigned it.
        client_identifier: &'a str,
        /// The last message of the sessions before. A record that failed is written later, behind those of messages that it does
        /// not speak of.
        after: DeliveryNumber,
    },
    /// A message was accepted for sending.
    Published {
        /// Its Packet Identifier until it is completed.
        packet_identifier: PacketIdentifier,
        /// The message.
        message: RecordedMessage<'a>,
        /// QoS 2 rather than 1.
        exactly_once: bool,
        /// Seconds that it had left, if it expires.
        expires_in: Option<u32>,
        /// Length and key of a payload that is read from a source; the message's payload is empty then.
        source: Option<(u32, u32)>,
    },
    /// The Server has taken a QoS 2 message; its PUBLISH is never sent again.
    PubrecReceived {
        /// Of the message.
        packet_identifier: PacketIdentifier,
    },
    /// A message that was accepted for sending has its outcome.
    Completed {
        /// Of the message; free from here on.
        packet_identifier: PacketIdentifier,
    },
    /// A QoS 2 message was received.
    Received {
        /// Its number, for the application.
        delivery: DeliveryNumber,
        /// The Server's identifier.
        packet_identifier: PacketIdentifier,
        /// The message.
        message: RecordedMessage<'a>,
    },
    /// The Server has released a received message; its identifier means a new one from here on.
    Released {
        /// The Server's identifier.
        packet_identifier: PacketIdentifier,
    },
    /// The application has taken a received message over.
    Confirmed {
        /// Its number.
        delivery: DeliveryNumber,
    },
}

/// A message in a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecordedMessage<'a> {
    /// Its topic.
    pub topic: TopicName<'a>,
    /// Its RETAIN flag.
    pub retain: bool,
    /// Its properties.
    pub properties: Properties<'a>,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Names a record that was given out, so that its fate can be told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecordTicket {
    pub(crate) number: u64,
    pub(super) kind: PendingRecord,
}

impl RecordTicket {
    /// That of no record: numbers begin with 1.
    pub(super) const NONE: Self = Self { number: 0, kind: PendingRecord::SessionStarted };

    /// The record's number: rising through a session, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// Of a received message; `None`: it has no record, 0.
    pub(crate) const fn received(number: u64, packet_identifier: PacketIdentifier) -> Option<Self> {
        if number == 0 {
            return None;
        }
        Some(Self { number, kind: PendingRecord::Received(packet_identifier) })
    }
}

/// A record that is to be given out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum PendingRecord {
    SessionStarted,
    Published(PacketIdentifier),
    PubrecReceived(PacketIdentifier),
    Completed(PacketIdentifier),
    /// Goes out with the message's event; stands here for its ticket only.
    Received(PacketIdentifier),
    Released(PacketIdentifier),
    Confirmed(DeliveryNumber),
}

impl<S: Storage> Session<S> {
    /// Remembers a record to be given out, and returns its number; 0 without a store.
    pub(super) fn pend(&mut self, kind: PendingRecord) -> u64 {
        let Some(number) = self.number_record() else { return 0 };
        self.pending = RecordTicket { number, kind };
        number
    }

    /// Tells whether a record that failed still says what is so. Behind the beginning of another session, or of another exchange with
    /// the identifier, it would undo that.
    pub(super) fn is_due_again(&self, ticket: RecordTicket) -> bool {
        match ticket.kind {
            PendingRecord::SessionStarted => self.started == ticket.number,
            PendingRecord::PubrecReceived(id) => {
                self.exchange(id).is_some_and(|exchange| exchange.record == ticket.number)
            }
            PendingRecord::Completed(id) => self.exchange(id).is_none(),
            PendingRecord::Released(id) => self.awaits_release(id, ticket.number),
            PendingRecord::Confirmed(_) => true,
            PendingRecord::Published(_) | PendingRecord::Received(_) => false,
        }
    }

    /// A record that failed is due again, with another number: what waited for it waits for that.
    pub(super) fn await_record(&mut self, kind: PendingRecord, number: u64) {
        match kind {
            PendingRecord::SessionStarted => self.started = number,
            PendingRecord::PubrecReceived(id) => {
                if let Some(exchange) = self.storage.outgoing_mut().get_mut(id) {
                    exchange.record = number;
                }
            }
            PendingRecord::Released(id) => self.await_release(id, number),
            _ => {}
        }
    }

    /// Gives a record its number; `None` without a store.
    #[inline(never)] // six callers, and 64 bits on a processor of 32: 150 bytes of flash
    pub(super) fn number_record(&mut self) -> Option<u64> {
        if !self.durable {
            return None;
        }
        self.last_record = self.last_record.saturating_add(1);
        Some(self.last_record)
    }

    /// Tells whether what waits for this record may be sent.
    pub(crate) const fn may_leave(&self, record: u64) -> bool {
        record <= self.durable_up_to
    }

    /// Tells whether a publish that waits for this record may be sent.
    pub(crate) const fn may_be_published(&self, record: u64) -> bool {
        self.may_leave(record) && self.may_leave(self.started)
    }

    /// The record that the last call made, if it made one. With a store, ask after every call.
    ///
    /// Append it, then tell [`records_durable`](Self::records_durable) or [`Connection::record_failed`](crate::Connection::record_failed).
    pub fn poll_record(&mut self, now: Instant) -> Option<(RecordTicket, Record<'_>)> {
        if !self.has_pending_record() {
            return None;
        }
        let ticket = core::mem::replace(&mut self.pending, RecordTicket::NONE);
        let record = match ticket.kind {
            PendingRecord::SessionStarted => {
                Record::SessionStarted { client_identifier: self.storage.client_identifier(), after: self.began_after }
            }
            PendingRecord::Published(packet_identifier) => {
                let exchange = self.storage.outgoing().get(packet_identifier)?;
                let (topic, properties) = stored::publish(self.storage.head(packet_identifier))?;
                Record::Published {
                    packet_identifier,
                    message: RecordedMessage {
                        topic,
                        retain: exchange.retain,
                        properties: Properties::with_encoded(properties, &[]),
                        payload: self.storage.payload(packet_identifier),
                    },
                    exactly_once: matches!(exchange.stage, Stage::Publish(QoS::ExactlyOnce)),
                    expires_in: exchange.expires_at.get().map(|at| at.secs_since(now)),
                    source: exchange.source.map(|source| (source.length, source.key)),
                }
            }
            PendingRecord::PubrecReceived(packet_identifier) => Record::PubrecReceived { packet_identifier },
            PendingRecord::Completed(packet_identifier) => Record::Completed { packet_identifier },
            PendingRecord::Released(packet_identifier) => Record::Released { packet_identifier },
            PendingRecord::Confirmed(delivery) => Record::Confirmed { delivery },
            PendingRecord::Received(_) => return None,
        };
        Some((ticket, record))
    }

    /// All records up to this number are durable, or were reported as failed: what waited for them may be sent.
    pub fn records_durable(&mut self, number: u64) {
        self.durable_up_to = self.durable_up_to.max(number);
    }

    /// Rebuilds the session, one record a call, in their order; begin with a new one that is not durable yet.
    ///
    /// # Errors
    /// `StorageFull` when the storage is smaller than that of the session that wrote the records.
    pub fn restore(&mut self, now: Instant, record: &Record<'_>) -> Result<(), StorageFull> {
        let full = StorageFull { needed: 0, free: 0 };
        match *record {
            Record::SessionStarted { client_identifier, after } => {
                (self.established, self.expected) = (true, false);
                self.began_after = after;
                self.forget_arrivals_up_to(after);
                self.restore_start();
                self.storage.set_client_identifier(client_identifier)?;
            }
            Record::Published { packet_identifier, message, exactly_once, expires_in, source } => {
                let qos = if exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
                self.complete(packet_identifier);
                let payload = S::payload_from(message.payload);
                stored::store_publish(&mut self.storage, packet_identifier, message.topic, message.properties, payload)
                    .map_err(|error| if let UsageError::StorageFull(full) = error { full } else { full })?;
                if !self.begin(packet_identifier, Stage::Publish(qos)) {
                    self.storage.release(packet_identifier);
                    return Err(full);
                }
                if let Some(exchange) = self.storage.outgoing_mut().get_mut(packet_identifier) {
                    // Whether it was sent is not known, so it is marked as if it had been. Before a session began it was not.
                    exchange.sent = self.established && !self.expected;
                    exchange.retain = message.retain;
                    exchange.expires_at = now.deadline_in(expires_in);
                    exchange.source = source.map(|(length, key)| Source { length, key, gone: false });
                }
            }
            Record::PubrecReceived { packet_identifier } => self.restore_pubrel(packet_identifier),
            Record::Completed { packet_identifier } => self.complete(packet_identifier),
            Record::Received { delivery, packet_identifier, .. } => {
                if !self.restore_arrival(packet_identifier, delivery) {
                    return Err(full);
                }
            }
            Record::Released { packet_identifier } => {
                self.storage.incoming_mut().remove(packet_identifier);
            }
            Record::Confirmed { delivery } => self.last_delivery = self.last_delivery.max(delivery),
        }
        Ok(())
    }
}

impl<'a> Record<'a> {
    /// The bytes that [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        let mut measure = Measure::default();
        measure.add(1);
        match *self {
            Self::SessionStarted { client_identifier, .. } => {
                measure.add(8);
                measure.string(client_identifier);
            }
            Self::Published { message, source, expires_in, .. } => {
                measure.add(3);
                measure.add(if expires_in.is_some() { 4 } else { 0 });
                measure.add(if source.is_some() { 8 } else { 0 });
                message.measure(&mut measure);
            }
            Self::PubrecReceived { .. } | Self::Completed { .. } | Self::Released { .. } => measure.add(2),
            Self::Received { message, .. } => {
                measure.add(11);
                message.measure(&mut measure);
            }
            Self::Confirmed { .. } => measure.add(8),
        }
        measure.result()?;
        Ok(measure.len())
    }

    /// Writes the record to the start of `out` and returns its length. A store adds length, checksum and number itself.
    ///
    /// # Errors
    /// `BufferTooSmall`, with nothing written; errors of the message's properties.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let len = self.encoded_len()?;
        let mut writer = Writer::new(out, len)?;
        match *self {
            Self::SessionStarted { client_identifier, after } => {
                writer.u8(1);
                delivery_number(&mut writer, after);
                writer.binary(client_identifier.as_bytes());
            }
            Self::Published { packet_identifier, message, exactly_once, expires_in, source } => {
                writer.u8(2);
                writer.u16(packet_identifier.number());
                let flags = u8::from(exactly_once)
                    | u8::from(message.retain) << 1
                    | u8::from(expires_in.is_some()) << 2
                    | u8::from(source.is_some()) << 3;
                writer.u8(flags);
                if let Some(seconds) = expires_in {
                    writer.u32(seconds);
                }
                if let Some((length, key)) = source {
                    writer.u32(length);
                    writer.u32(key);
                }
                message.write(&mut writer);
            }
            Self::PubrecReceived { packet_identifier } => identifier_only(&mut writer, 3, packet_identifier),
            Self::Completed { packet_identifier } => identifier_only(&mut writer, 4, packet_identifier),
            Self::Received { delivery, packet_identifier, message } => {
                writer.u8(5);
                delivery_number(&mut writer, delivery);
                writer.u16(packet_identifier.number());
                writer.u8(u8::from(message.retain) << 1);
                message.write(&mut writer);
            }
            Self::Released { packet_identifier } => identifier_only(&mut writer, 6, packet_identifier),
            Self::Confirmed { delivery } => {
                writer.u8(7);
                delivery_number(&mut writer, delivery);
            }
        }
        Ok(len)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The bytes are not a record; a store that checks sums meets this only with records of a later version.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u8() {
            1 => {
                let after = read_delivery_number(&mut reader);
                Self::SessionStarted { client_identifier: reader.string(), after }
            }
            2 => {
                let packet_identifier = reader.packet_identifier();
                let flags = reader.u8();
                let expires_in = if flags & 4 != 0 { Some(reader.u32()) } else { None };
                let source = if flags & 8 != 0 { Some((reader.u32(), reader.u32())) } else { None };
                let message = RecordedMessage::read(&mut reader, flags);
                Self::Published { packet_identifier, message, exactly_once: flags & 1 != 0, expires_in, source }
            }
            3 => Self::PubrecReceived { packet_identifier: reader.packet_identifier() },
            4 => Self::Completed { packet_identifier: reader.packet_identifier() },
            5 => {
                let delivery = read_delivery_number(&mut reader);
                let packet_identifier = reader.packet_identifier();
                let flags = reader.u8();
                Self::Received { delivery, packet_identifier, message: RecordedMessage::read(&mut reader, flags) }
            }
            6 => Self::Released { packet_identifier: reader.packet_identifier() },
            7 => Self::Confirmed { delivery: read_delivery_number(&mut reader) },
            _ => {
                reader.result()?;
                return Err(DecodeError::ReservedPacketType);
            }
        };
        reader.finish()?;
        Ok(record)
    }
}

impl<'a> RecordedMessage<'a> {
    fn measure(&self, measure: &mut Measure) {
        measure.binary(self.topic.as_str().as_bytes());
        self.properties.measure(SHAPE, SCOPE, measure);
        measure.add(self.payload.len());
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.binary(self.topic.as_str().as_bytes());
        let len = self.properties.measure_block(SCOPE, &mut Measure::default());
        self.properties.write(SHAPE, writer, len);
        writer.bytes(self.payload);
    }

    /// The payload is the rest.
    fn read(reader: &mut Reader<'a>, flags: u8) -> Self {
        let topic = TopicName::read(reader.binary(), reader);
        let properties = Properties::decode(SHAPE, reader, SCOPE);
        let payload = reader.bytes(reader.rest().len());
        Self { topic, retain: flags & 2 != 0, properties, payload }
    }
}

/// The Server's PUBLISH may carry every property that ours may, and Subscription Identifiers.
const SCOPE: Scope = Scope::Packet(PacketType::Publish, Sender::Server);

/// Records have the shape of 5.0; a message of 3.1.1 has no properties.
const SHAPE: ProtocolVersion = ProtocolVersion::V5_0;

fn identifier_only(writer: &mut Writer<'_>, kind: u8, packet_identifier: PacketIdentifier) {
    writer.u8(kind);
    writer.u16(packet_identifier.number());
}

fn delivery_number(writer: &mut Writer<'_>, delivery: DeliveryNumber) {
    writer.bytes(&delivery.0.to_be_bytes());
}

fn read_delivery_number(reader: &mut Reader<'_>) -> DeliveryNumber {
    let (high, low) = (reader.u32(), reader.u32());
    DeliveryNumber(u64::from(high) << 32 | u64::from(low))
}
