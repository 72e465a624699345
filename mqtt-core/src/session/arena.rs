//! Messages of any length in one array.

use super::storage::StorageFull;
use crate::codec::bytes::{move_to_front, move_up, put};
use crate::types::PacketIdentifier;

/// `N` messages in `BYTES` bytes, without gaps: what leaves makes what follows move up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Arena<const N: usize, const BYTES: usize> {
    /// In the order of their bytes; the first `count` are in use.
    blocks: [Block; N],
    count: usize,
    bytes: [u8; BYTES],
    used: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Block {
    owner: u16,
    head_len: u32,
    payload_len: u32,
}

impl Block {
    const EMPTY: Self = Self { owner: 0, head_len: 0, payload_len: 0 };

    const fn len(self) -> usize {
        (self.head_len as usize).saturating_add(self.payload_len as usize)
    }
}

impl<const N: usize, const BYTES: usize> Arena<N, BYTES> {
    pub(crate) const fn new() -> Self {
        Self { blocks: [Block::EMPTY; N], count: 0, bytes: [0; BYTES], used: 0 }
    }

    pub(crate) fn allocate(
        &mut self,
        owner: PacketIdentifier,
        head_len: usize,
        payload: &[u8],
    ) -> Result<&mut [u8], StorageFull> {
        let needed = head_len.saturating_add(payload.len());
        let free = BYTES.saturating_sub(self.used);
        let full = StorageFull { needed, free };
        let block = self.blocks.get_mut(self.count).ok_or(full)?;
        let room = self.bytes.get_mut(self.used..).and_then(|rest| rest.get_mut(..needed)).ok_or(full)?;
        let (head, body) = room.split_at_mut_checked(head_len).ok_or(full)?;
        put(body, payload).ok_or(full)?;
        *block = Block { owner: owner.number(), head_len: head_len as u32, payload_len: payload.len() as u32 };
        self.count = self.count.saturating_add(1);
        self.used = self.used.saturating_add(needed);
        Ok(head)
    }

    /// The bytes from the start of the owner's block on, and the block.
    fn find(&self, owner: PacketIdentifier) -> Option<(&[u8], Block)> {
        let mut rest = self.bytes.as_slice();
        for block in self.blocks.iter().take(self.count) {
            if block.owner == owner.number() {
                return Some((rest, *block));
            }
            rest = rest.get(block.len()..)?;
        }
        None
    }

    pub(crate) fn head(&self, owner: PacketIdentifier) -> &[u8] {
        self.find(owner).and_then(|(bytes, block)| bytes.get(..block.head_len as usize)).unwrap_or(&[])
    }

    pub(crate) fn payload(&self, owner: PacketIdentifier) -> &[u8] {
        self.find(owner)
            .and_then(|(bytes, block)| bytes.get(block.head_len as usize..)?.get(..block.payload_len as usize))
            .unwrap_or(&[])
    }

    pub(crate) fn release(&mut self, owner: PacketIdentifier) {
        let mut start = 0_usize;
        let mut found = None;
        for (index, block) in self.blocks.iter().take(self.count).enumerate() {
            if block.owner == owner.number() {
                found = Some((index, block.len()));
                break;
            }
            start = start.saturating_add(block.len());
        }
        let Some((index, len)) = found else { return };
        let used = self.used.saturating_sub(start);
        move_to_front(self.bytes.get_mut(start..).unwrap_or_default(), len..used);
        move_up(self.blocks.get_mut(index..self.count).unwrap_or_default(), 1);
        self.count = self.count.saturating_sub(1);
        self.used = self.used.saturating_sub(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> PacketIdentifier {
        PacketIdentifier::new(number).unwrap()
    }

    #[test]
    fn what_leaves_makes_room_and_moves_nothing_of_the_others() {
        let mut arena = Arena::<3, 10>::new();
        arena.allocate(id(1), 1, b"aa").unwrap().copy_from_slice(b"A");
        arena.allocate(id(2), 1, b"bbb").unwrap().copy_from_slice(b"B");
        arena.allocate(id(3), 2, b"").unwrap().copy_from_slice(b"CC");
        assert_eq!(arena.allocate(id(4), 1, b""), Err(StorageFull { needed: 1, free: 1 }), "no block is left");
        arena.release(id(2));
        assert_eq!((arena.head(id(1)), arena.payload(id(1))), (&b"A"[..], &b"aa"[..]));
        assert_eq!((arena.head(id(3)), arena.payload(id(3))), (&b"CC"[..], &b""[..]));
        assert_eq!(arena.payload(id(2)), b"");
        assert_eq!(arena.allocate(id(4), 0, b"dddddd"), Err(StorageFull { needed: 6, free: 5 }));
        arena.allocate(id(4), 0, b"ddddd").unwrap();
        assert_eq!(arena.payload(id(4)), b"ddddd");
        assert_eq!(arena.payload(id(1)), b"aa");
    }
}
