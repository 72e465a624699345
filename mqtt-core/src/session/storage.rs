//! The memory of a session: who lends it, and how much there is.

use core::fmt;

use super::arena::Arena;
use super::incoming::Arrival;
use super::outgoing::Exchange;
use super::table::{ArrayTable, Table};
use crate::codec::bytes::put;
use crate::types::PacketIdentifier;

/// Where exchanges in flight are kept, and messages wait until they are acknowledged.
///
/// [`ArrayStorage`] is the one without allocation, for firmware; an adapter with an allocator brings one that grows. The
/// machine's rules are the same over either.
pub trait Storage {
    /// The exchanges that this side began.
    type Outgoing: Table<Exchange>;
    /// The messages that the Server sent.
    type Incoming: Table<Arrival>;
    /// How a payload is handed over: a slice to be copied, or an owner of bytes to be kept.
    type Payload<'p>: AsRef<[u8]>;

    /// The exchanges that this side began.
    fn outgoing(&self) -> &Self::Outgoing;

    /// The exchanges that this side began, to be changed.
    fn outgoing_mut(&mut self) -> &mut Self::Outgoing;

    /// The messages that the Server sent.
    fn incoming(&self) -> &Self::Incoming;

    /// The messages that the Server sent, to be changed.
    fn incoming_mut(&mut self) -> &mut Self::Incoming;

    /// Makes room for a message and keeps its payload; returns the room for its head, `head_len` bytes, to be filled.
    ///
    /// # Errors
    /// `StorageFull` when it does not fit; nothing has changed then.
    fn allocate(
        &mut self,
        packet_identifier: PacketIdentifier,
        head_len: usize,
        payload: Self::Payload<'_>,
    ) -> Result<&mut [u8], StorageFull>;

    /// The head of a message that was stored; empty if there is none.
    fn head(&self, packet_identifier: PacketIdentifier) -> &[u8];

    /// The payload of a message that was stored; empty if there is none.
    fn payload(&self, packet_identifier: PacketIdentifier) -> &[u8];

    /// Gives back head and payload.
    fn release(&mut self, packet_identifier: PacketIdentifier);

    /// The Client Identifier of the session; empty before the first connection.
    fn client_identifier(&self) -> &str;

    /// Keeps the Client Identifier.
    ///
    /// # Errors
    /// `StorageFull` when it does not fit; the one before is kept then.
    fn set_client_identifier(&mut self, client_identifier: &str) -> Result<(), StorageFull>;

    /// A payload with these bytes: for a session that is rebuilt from its records.
    fn payload_from(bytes: &[u8]) -> Self::Payload<'_>;
}

/// A message does not fit into the storage.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StorageFull {
    /// Bytes that the message takes.
    pub needed: usize,
    /// Bytes that are free.
    pub free: usize,
}

impl fmt::Display for StorageFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage is full: {} bytes needed, {} free", self.needed, self.free)
    }
}

impl core::error::Error for StorageFull {}

/// Storage in fixed arrays: `OUT` exchanges begun here, `IN` messages from the Server, `BYTES` of messages waiting.
///
/// `OUT` bounds QoS 1 and 2 messages, SUBSCRIBEs and UNSUBSCRIBEs that have no outcome yet. `IN` is the largest Receive
/// Maximum that can be announced. A message takes the bytes of its Topic Name, its properties, its payload, and 4 more; a
/// SUBSCRIBE those of its filters. Client Identifiers up to [`CLIENT_IDENTIFIER_LEN`](Self::CLIENT_IDENTIFIER_LEN) bytes fit.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ArrayStorage<const OUT: usize, const IN: usize, const BYTES: usize> {
    outgoing: ArrayTable<Exchange, OUT>,
    incoming: ArrayTable<Arrival, IN>,
    messages: Arena<OUT, BYTES>,
    client_identifier: [u8; 64],
    client_identifier_len: u8,
}

impl<const OUT: usize, const IN: usize, const BYTES: usize> ArrayStorage<OUT, IN, BYTES> {
    /// The longest Client Identifier, in bytes, that can be kept.
    pub const CLIENT_IDENTIFIER_LEN: usize = 64;

    /// Empty storage; can be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outgoing: ArrayTable::new(),
            incoming: ArrayTable::new(),
            messages: Arena::new(),
            client_identifier: [0; 64],
            client_identifier_len: 0,
        }
    }
}

impl<const OUT: usize, const IN: usize, const BYTES: usize> Default for ArrayStorage<OUT, IN, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const OUT: usize, const IN: usize, const BYTES: usize> Storage for ArrayStorage<OUT, IN, BYTES> {
    type Outgoing = ArrayTable<Exchange, OUT>;
    type Incoming = ArrayTable<Arrival, IN>;
    type Payload<'p> = &'p [u8];

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

    fn allocate(
        &mut self,
        packet_identifier: PacketIdentifier,
        head_len: usize,
        payload: &[u8],
    ) -> Result<&mut [u8], StorageFull> {
        self.messages.allocate(packet_identifier, head_len, payload)
    }

    fn head(&self, packet_identifier: PacketIdentifier) -> &[u8] {
        self.messages.head(packet_identifier)
    }

    fn payload(&self, packet_identifier: PacketIdentifier) -> &[u8] {
        self.messages.payload(packet_identifier)
    }

    fn release(&mut self, packet_identifier: PacketIdentifier) {
        self.messages.release(packet_identifier);
    }

    fn client_identifier(&self) -> &str {
        let bytes = self.client_identifier.get(..self.client_identifier_len as usize).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }

    fn set_client_identifier(&mut self, client_identifier: &str) -> Result<(), StorageFull> {
        let bytes = client_identifier.as_bytes();
        let full = StorageFull { needed: bytes.len(), free: Self::CLIENT_IDENTIFIER_LEN };
        put(&mut self.client_identifier, bytes).ok_or(full)?;
        self.client_identifier_len = bytes.len() as u8;
        Ok(())
    }

    fn payload_from(bytes: &[u8]) -> &[u8] {
        bytes
    }
}
