//! Storage for as many exchanges as there are Packet Identifiers, which counts how often it is asked.

use core::cell::Cell;
use std::collections::HashMap;

use mqtt_core::{Arrival, Exchange, PacketIdentifier, Storage, StorageFull, Table};

#[derive(Clone)]
pub(crate) struct Boxed {
    outgoing: BoxedTable<Exchange>,
    incoming: BoxedTable<Arrival>,
    messages: HashMap<PacketIdentifier, (Vec<u8>, Vec<u8>)>,
    free: usize,
    client_identifier: String,
}

impl Boxed {
    pub(crate) fn new(exchanges: u16, bytes: usize) -> Self {
        Self {
            outgoing: BoxedTable::new(exchanges),
            incoming: BoxedTable::new(exchanges),
            messages: HashMap::new(),
            free: bytes,
            client_identifier: String::new(),
        }
    }

    /// How often an entry was looked at since the last call.
    pub(crate) fn looks(&self) -> u32 {
        self.outgoing.looks.take() + self.incoming.looks.take()
    }
}

impl Storage for Boxed {
    type Outgoing = BoxedTable<Exchange>;
    type Incoming = BoxedTable<Arrival>;
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

    fn allocate(&mut self, id: PacketIdentifier, head_len: usize, payload: &[u8]) -> Result<&mut [u8], StorageFull> {
        let needed = head_len + payload.len();
        if needed > self.free {
            return Err(StorageFull { needed, free: self.free });
        }
        self.free -= needed;
        self.messages.insert(id, (vec![0; head_len], payload.into()));
        Ok(&mut self.messages.get_mut(&id).unwrap().0)
    }

    fn head(&self, id: PacketIdentifier) -> &[u8] {
        self.messages.get(&id).map_or(&[], |message| &message.0)
    }

    fn payload(&self, id: PacketIdentifier) -> &[u8] {
        self.messages.get(&id).map_or(&[], |message| &message.1)
    }

    fn release(&mut self, id: PacketIdentifier) {
        if let Some((head, payload)) = self.messages.remove(&id) {
            self.free += head.len() + payload.len();
        }
    }

    fn client_identifier(&self) -> &str {
        &self.client_identifier
    }

    fn set_client_identifier(&mut self, client_identifier: &str) -> Result<(), StorageFull> {
        self.client_identifier = client_identifier.into();
        Ok(())
    }

    fn payload_from(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

#[derive(Clone)]
pub(crate) struct BoxedTable<T> {
    entries: Vec<Option<T>>,
    len: u16,
    capacity: u16,
    looks: Cell<u32>,
}

impl<T> BoxedTable<T> {
    fn new(capacity: u16) -> Self {
        Self { entries: (0..=u16::MAX).map(|_| None).collect(), len: 0, capacity, looks: Cell::new(0) }
    }

    fn look(&self) {
        self.looks.set(self.looks.get() + 1);
    }
}

impl<T> Table<T> for BoxedTable<T> {
    fn capacity(&self) -> u16 {
        self.capacity
    }

    fn len(&self) -> u16 {
        self.len
    }

    fn get(&self, id: PacketIdentifier) -> Option<&T> {
        self.look();
        self.entries[usize::from(id.number())].as_ref()
    }

    fn get_mut(&mut self, id: PacketIdentifier) -> Option<&mut T> {
        self.look();
        self.entries[usize::from(id.number())].as_mut()
    }

    fn insert(&mut self, id: PacketIdentifier, value: T) -> bool {
        if self.len >= self.capacity {
            return false;
        }
        self.look();
        let old = self.entries[usize::from(id.number())].replace(value);
        assert!(old.is_none(), "{id} is in use");
        self.len += 1;
        true
    }

    fn remove(&mut self, id: PacketIdentifier) -> bool {
        self.look();
        let taken = self.entries[usize::from(id.number())].take();
        self.len -= u16::from(taken.is_some());
        taken.is_some()
    }

    fn clear(&mut self) {
        self.entries.fill_with(|| None);
        self.len = 0;
    }
}
