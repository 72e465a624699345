//! The memory of a session on a host: it grows with what is in flight, up to a limit.

mod aliases;
mod free_slots;
mod head;
mod subscriptions;
mod table;

pub(crate) use aliases::HeapAliases;
pub(crate) use subscriptions::HeapSubscriptions;
pub(crate) use table::HeapTable;

use core::hash::{Hash, Hasher};

use bytes::Bytes;
use head::Head;
use mqtt_core::{Arrival, Exchange, PacketIdentifier, Storage, StorageFull, Table};

/// A session's exchanges and messages; payloads are shared, not copied.
#[derive(Debug, Hash)]
pub(crate) struct HeapStorage {
    outgoing: HeapTable<Exchange>,
    incoming: HeapTable<Arrival>,
    messages: HeapTable<StoredMessage>,
    client_identifier: String,
    /// Bytes of all messages.
    used: usize,
    limit: usize,
}

#[derive(Debug)]
struct StoredMessage {
    head: Head,
    payload: Bytes,
}

impl Hash for StoredMessage {
    /// How long it is: what is in it may be a secret, and changes nothing.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.head.as_bytes().len(), self.payload.len()).hash(state);
    }
}

impl StoredMessage {
    fn len(&self) -> usize {
        self.head.as_bytes().len().saturating_add(self.payload.len())
    }
}

impl HeapStorage {
    /// At most `exchanges` of this side, and `bytes` of messages. Those of the broker are as many as it begins; in 5.0 the
    /// Receive Maximum says how many it may.
    pub(crate) const fn new(exchanges: u16, bytes: usize) -> Self {
        Self {
            outgoing: HeapTable::new(exchanges),
            incoming: HeapTable::new(u16::MAX),
            messages: HeapTable::new(exchanges),
            client_identifier: String::new(),
            used: 0,
            limit: bytes,
        }
    }

    /// Bytes of all messages.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// The most bytes of messages that are kept.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The payload of a message, to be kept beyond the lock.
    pub(crate) fn shared_payload(&self, packet_identifier: PacketIdentifier) -> Bytes {
        self.messages.get(packet_identifier).map_or_else(Bytes::new, |message| message.payload.clone())
    }
}

impl Storage for HeapStorage {
    type Outgoing = HeapTable<Exchange>;
    type Incoming = HeapTable<Arrival>;
    type Payload<'p> = Bytes;

    fn outgoing(&self) -> &Self::Outgoing {
        &self.outgoing
    }

    fn outgoing_mut(&mut self) -> &mut Self::Outgoing {
        &mut self.outgoing
    }

    fn incoming(&self) -> &Self::Incoming {
        &self.incoming
    }

    fn incoming_mut(&mut self) -> &mut Self::Incoming {
        &mut self.incoming
    }

    fn allocate(&mut self, id: PacketIdentifier, head_len: usize, payload: Bytes) -> Result<&mut [u8], StorageFull> {
        let needed = head_len.saturating_add(payload.len());
        let free = self.limit.saturating_sub(self.used);
        let full = StorageFull { needed, free };
        if needed > free || !self.messages.insert(id, StoredMessage { head: Head::new(head_len), payload }) {
            return Err(full);
        }
        self.used = self.used.saturating_add(needed);
        self.messages.get_mut(id).map(|message| message.head.as_bytes_mut()).ok_or(full)
    }

    fn head(&self, id: PacketIdentifier) -> &[u8] {
        self.messages.get(id).map_or(&[], |message| message.head.as_bytes())
    }

    fn payload(&self, id: PacketIdentifier) -> &[u8] {
        self.messages.get(id).map_or(&[], |message| &message.payload)
    }

    fn release(&mut self, id: PacketIdentifier) {
        if let Some(message) = self.messages.take(id) {
            self.used = self.used.saturating_sub(message.len());
        }
    }

    fn client_identifier(&self) -> &str {
        &self.client_identifier
    }

    fn set_client_identifier(&mut self, client_identifier: &str) -> Result<(), StorageFull> {
        client_identifier.clone_into(&mut self.client_identifier);
        Ok(())
    }

    fn payload_from(bytes: &[u8]) -> Bytes {
        Bytes::copy_from_slice(bytes)
    }
}
