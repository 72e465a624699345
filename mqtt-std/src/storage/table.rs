//! A table keyed by Packet Identifier whose operations take constant time.

use core::hash::{Hash, Hasher};

use super::free_slots::FreeSlots;
use mqtt_core::{PacketIdentifier, Table};

/// The slot of an identifier is the identifier modulo the number of slots, a power of two. Where two identifiers meet, the table
/// doubles; at 65,536 slots none do. Identifiers of our own are chosen so that their slot is free, so the table grows only
/// with the number of exchanges.
#[derive(Debug)]
pub(crate) struct HeapTable<T> {
    slots: Vec<Option<(PacketIdentifier, T)>>,
    free: FreeSlots,
    len: u16,
    limit: u16,
    /// How many were put in since there was no memory.
    inserted: u32,
}

impl<T: Hash> Hash for HeapTable<T> {
    /// Without what only says when memory goes back.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { slots, free, len, limit, inserted: _ } = self;
        (slots, free, len, limit).hash(state);
    }
}

/// Before the first exchange there is no memory at all.
const FIRST_CAPACITY: usize = 8;

impl<T> HeapTable<T> {
    /// An empty table for at most `limit` exchanges.
    pub(crate) const fn new(limit: u16) -> Self {
        Self { slots: Vec::new(), free: FreeSlots::EMPTY, len: 0, limit, inserted: 0 }
    }

    fn index(&self, id: PacketIdentifier) -> usize {
        usize::from(id.number()) & self.slots.len().wrapping_sub(1)
    }

    /// Doubles the number of slots until each exchange has its own.
    fn grow(&mut self) {
        let capacity = self.slots.len().saturating_mul(2).clamp(FIRST_CAPACITY, 1 << 16);
        let old = core::mem::take(&mut self.slots);
        self.slots.resize_with(capacity, || None);
        self.free = FreeSlots::new(capacity);
        for entry in old.into_iter().flatten() {
            // Two that had their own slots before have them now.
            let index = self.index(entry.0);
            self.free.take(index);
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = Some(entry);
            }
        }
    }

    fn slot(&self, id: PacketIdentifier) -> Option<&(PacketIdentifier, T)> {
        self.slots.get(self.index(id))?.as_ref()
    }

    /// Takes a value out.
    pub(crate) fn take(&mut self, id: PacketIdentifier) -> Option<T> {
        let index = self.index(id);
        let (_, value) = self.slots.get_mut(index)?.take_if(|(owner, _)| *owner == id)?;
        self.free.give(index);
        self.len = self.len.saturating_sub(1);
        if self.len == 0 && self.slots.len() > 1024 && self.inserted as usize > self.slots.len() / 2 {
            // A burst is over: its memory goes back. Two of the Server's that meet make the largest table at once, which is not to be
            // made anew for each such pair.
            self.clear();
        }
        Some(value)
    }
}

impl<T> Table<T> for HeapTable<T> {
    fn capacity(&self) -> u16 {
        self.limit
    }

    fn len(&self) -> u16 {
        self.len
    }

    fn get(&self, id: PacketIdentifier) -> Option<&T> {
        self.slot(id).filter(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    fn get_mut(&mut self, id: PacketIdentifier) -> Option<&mut T> {
        let index = self.index(id);
        self.slots.get_mut(index)?.as_mut().filter(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    fn insert(&mut self, id: PacketIdentifier, value: T) -> bool {
        if self.len >= self.limit {
            return false;
        }
        while self.slots.is_empty() || self.slot(id).is_some() {
            if self.slots.len() == 1 << 16 {
                return false; // the identifier itself is in the table
            }
            self.grow();
        }
        let index = self.index(id);
        self.free.take(index);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some((id, value));
        }
        self.len = self.len.saturating_add(1);
        self.inserted = self.inserted.saturating_add(1);
        true
    }

    fn remove(&mut self, id: PacketIdentifier) -> bool {
        self.take(id).is_some()
    }

    fn vacant_after(&self, last: PacketIdentifier) -> Option<PacketIdentifier> {
        if self.len >= self.limit {
            return None;
        }
        let next = last.next();
        let start = self.index(next);
        // The first free slot behind that of the next identifier, or else from the first slot on. Slot 0 may stand for 0,
        // which is no identifier; slot 1 and later never do.
        for slot in
            [self.free.first_from(start), self.free.first_from(0), self.free.first_from(1)].into_iter().flatten()
        {
            let distance = slot.wrapping_sub(start) & self.slots.len().wrapping_sub(1);
            if let Some(id) = PacketIdentifier::new(next.number().wrapping_add(distance as u16)) {
                return Some(id);
            }
        }
        // No slot is free; the table will grow. As many identifiers are taken as there are slots, so this ends.
        let mut candidate = next;
        while self.get(candidate).is_some() {
            candidate = candidate.next();
        }
        Some(candidate)
    }

    fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> PacketIdentifier {
        PacketIdentifier::new(number).unwrap()
    }

    /// Takes identifiers until the table is full.
    fn fill(table: &mut HeapTable<u16>, mut last: PacketIdentifier) -> PacketIdentifier {
        while let Some(next) = table.vacant_after(last) {
            assert!(table.insert(next, next.number()), "{next} was given out and is in use");
            last = next;
        }
        last
    }

    #[test]
    fn all_65_535_identifiers_can_be_in_use_at_once() {
        let mut table = HeapTable::new(u16::MAX);
        fill(&mut table, PacketIdentifier::MAX);
        assert_eq!(table.len(), u16::MAX);
        for number in 1..=u16::MAX {
            assert_eq!(table.get(id(number)), Some(&number));
        }
        assert!(table.remove(id(40_000)));
        assert_eq!(table.vacant_after(id(7)), Some(id(40_000)), "the only one there is");
    }

    #[test]
    fn identifiers_rise_and_wrap_around_past_those_in_use() {
        let mut table = HeapTable::new(100);
        assert!(table.insert(id(1), 1));
        assert!(table.insert(id(u16::MAX), u16::MAX));
        let next = table.vacant_after(id(u16::MAX - 1)).unwrap();
        assert!(next.number() > 1 && next.number() < 20, "{next} follows 1, which is in use");
    }

    #[test]
    fn it_behaves_as_a_map_does() {
        // A long mixed run against the plain model.
        let mut model = std::collections::HashMap::new();
        let mut table = HeapTable::new(300);
        let mut last = PacketIdentifier::MAX;
        let mut random = 1_u32;
        for _ in 0..200_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random >> 31 == 0 {
                if let Some(next) = table.vacant_after(last) {
                    assert!(!model.contains_key(&next));
                    assert!(table.insert(next, random));
                    model.insert(next, random);
                    last = next;
                } else {
                    assert_eq!(model.len(), 300);
                }
            } else if let Some(&victim) = model.keys().nth((random as usize >> 8) % model.len().max(1)) {
                assert_eq!(table.take(victim), model.remove(&victim));
                assert_eq!(table.get(victim), None);
            }
            assert_eq!(usize::from(table.len()), model.len());
        }
        assert!(model.iter().all(|(id, value)| table.get(*id) == Some(value)));
    }

    #[test]
    fn the_memory_of_a_burst_goes_back_and_that_of_two_that_meet_is_kept() {
        let mut table = HeapTable::new(u16::MAX);
        let last = fill(&mut table, PacketIdentifier::MAX);
        for number in 1..=last.number() {
            table.take(id(number));
        }
        assert_eq!(table.slots.capacity(), 0);
        for round in 0..1 << 14 {
            for number in [1, 0x8001] {
                assert!(table.insert(id(number), number));
            }
            for number in [1, 0x8001] {
                table.take(id(number));
            }
            assert_eq!(table.slots.len(), 1 << 16, "in round {round}");
        }
        // By now they have paid for it.
        assert!(table.insert(id(1), 1));
        table.take(id(1));
        assert_eq!(table.slots.capacity(), 0);
    }

    #[test]
    fn identifiers_of_the_server_may_be_any() {
        let mut table = HeapTable::new(10);
        for number in [1, 1 + 8, 1 + 16, 1 + 4096, 65_535, 8] {
            assert!(table.insert(id(number), number));
        }
        for number in [1, 1 + 8, 1 + 16, 1 + 4096, 65_535, 8] {
            assert_eq!(table.take(id(number)), Some(number));
        }
    }
}
