//! Which slots of a table are free, found in constant time.

/// Two levels of bits, set where something is free: one a slot, and one for each 64 slots.
#[derive(Debug, Hash)]
pub(super) struct FreeSlots {
    slots: Vec<u64>,
    groups: Vec<u64>,
}

const BITS: usize = u64::BITS as usize;

impl FreeSlots {
    pub(super) const EMPTY: Self = Self { slots: Vec::new(), groups: Vec::new() };

    /// `capacity` slots, all free.
    pub(super) fn new(capacity: usize) -> Self {
        let mut free =
            Self { slots: vec![0; capacity.div_ceil(BITS)], groups: vec![0; capacity.div_ceil(BITS * BITS)] };
        for slot in 0..capacity {
            free.give(slot);
        }
        free
    }

    pub(super) fn take(&mut self, slot: usize) {
        if let (Some(group), Some(groups)) = (self.slots.get_mut(slot / BITS), self.groups.get_mut(slot / BITS / BITS))
        {
            *group &= !(1 << (slot % BITS));
            if *group == 0 {
                *groups &= !(1 << (slot / BITS % BITS));
            }
        }
    }

    pub(super) fn give(&mut self, slot: usize) {
        if let (Some(group), Some(groups)) = (self.slots.get_mut(slot / BITS), self.groups.get_mut(slot / BITS / BITS))
        {
            *group |= 1 << (slot % BITS);
            *groups |= 1 << (slot / BITS % BITS);
        }
    }

    /// The first free slot at `start` or behind it.
    pub(super) fn first_from(&self, start: usize) -> Option<usize> {
        first_at_or_after(&self.slots, &self.groups, start)
    }
}

fn first_at_or_after(slots: &[u64], groups: &[u64], start: usize) -> Option<usize> {
    let group = start / BITS;
    let here = slots.get(group)? & (u64::MAX << (start % BITS));
    if here != 0 {
        return Some(group * BITS + here.trailing_zeros() as usize);
    }
    let next = group + 1;
    let mut index = next / BITS;
    let mut mask = u64::MAX << (next % BITS);
    while let Some(bits) = groups.get(index) {
        let bits = bits & mask;
        if bits != 0 {
            let group = index * BITS + bits.trailing_zeros() as usize;
            return slots.get(group).map(|slots| group * BITS + slots.trailing_zeros() as usize);
        }
        mask = u64::MAX;
        index += 1;
    }
    None
}
