//! Tables keyed by Packet Identifier.

use crate::types::PacketIdentifier;

/// Exchanges in flight, found by their Packet Identifier.
///
/// [`ArrayTable`] is the one without allocation; it looks through its places, so its operations take time in proportion to
/// its capacity. An adapter with an allocator implements the trait with constant time.
pub trait Table<T> {
    /// How many exchanges it can hold, at most 65,535.
    fn capacity(&self) -> u16;

    /// How many it holds.
    fn len(&self) -> u16;

    /// Tells whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The exchange with this identifier.
    fn get(&self, packet_identifier: PacketIdentifier) -> Option<&T>;

    /// The exchange with this identifier, to be changed.
    fn get_mut(&mut self, packet_identifier: PacketIdentifier) -> Option<&mut T>;

    /// Takes a new exchange; `false` when the table is full. The identifier is not in the table.
    fn insert(&mut self, packet_identifier: PacketIdentifier, value: T) -> bool;

    /// Takes an exchange out; tells whether there was one.
    fn remove(&mut self, packet_identifier: PacketIdentifier) -> bool;

    /// The first identifier behind `last`, in increasing order and wrapping around past 65,535, that is not in the table;
    /// `None` when the table is full.
    fn vacant_after(&self, last: PacketIdentifier) -> Option<PacketIdentifier> {
        if self.len() >= self.capacity() {
            return None;
        }
        // At most `len` identifiers are taken, so the search ends after as many steps and one.
        let mut candidate = last.next();
        for _ in 0..self.len() {
            if self.get(candidate).is_none() {
                break;
            }
            candidate = candidate.next();
        }
        Some(candidate)
    }

    /// Takes all exchanges out.
    fn clear(&mut self);
}

/// A table of `N` places, without allocation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ArrayTable<T, const N: usize> {
    places: [Place<T>; N],
    len: u16,
}

/// Vacant is zero in memory, see [`Maybe`](crate::maybe::Maybe); the identifier takes no room beside the tag.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
enum Place<T> {
    Vacant = 0,
    Taken(PacketIdentifier, T),
}

impl<T, const N: usize> ArrayTable<T, N> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [const { Place::Vacant }; N], len: 0 }
    }
}

impl<T, const N: usize> Default for ArrayTable<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Table<T> for ArrayTable<T, N> {
    fn capacity(&self) -> u16 {
        u16::try_from(N).unwrap_or(u16::MAX)
    }

    fn len(&self) -> u16 {
        self.len
    }

    fn get(&self, packet_identifier: PacketIdentifier) -> Option<&T> {
        self.places.iter().find_map(|place| match place {
            Place::Taken(id, value) if *id == packet_identifier => Some(value),
            _ => None,
        })
    }

    fn get_mut(&mut self, packet_identifier: PacketIdentifier) -> Option<&mut T> {
        self.places.iter_mut().find_map(|place| match place {
            Place::Taken(id, value) if *id == packet_identifier => Some(value),
            _ => None,
        })
    }

    fn insert(&mut self, packet_identifier: PacketIdentifier, value: T) -> bool {
        let Some(place) = self.places.iter_mut().find(|place| matches!(place, Place::Vacant)) else { return false };
        *place = Place::Taken(packet_identifier, value);
        self.len = self.len.saturating_add(1);
        true
    }

    fn remove(&mut self, packet_identifier: PacketIdentifier) -> bool {
        let mut places = self.places.iter_mut();
        let found = places.find(|place| matches!(place, Place::Taken(id, _) if *id == packet_identifier));
        let Some(place) = found else { return false };
        *place = Place::Vacant;
        self.len = self.len.saturating_sub(1);
        true
    }

    fn clear(&mut self) {
        for place in &mut self.places {
            *place = Place::Vacant;
        }
        self.len = 0;
    }
}
