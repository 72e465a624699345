//! Queues of exchanges, threaded through the entries of a table: no memory of their own, every step in constant time.

use super::table::Table;
use crate::types::PacketIdentifier;

/// An entry's place in the one list it is on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Link {
    previous: Option<PacketIdentifier>,
    next: Option<PacketIdentifier>,
}

impl Link {
    pub(crate) const NONE: Self = Self { previous: None, next: None };

    pub(crate) const fn next(self) -> Option<PacketIdentifier> {
        self.next
    }
}

/// An entry that can be on a list.
pub(crate) trait Linked {
    fn link_mut(&mut self) -> &mut Link;
    fn link(&self) -> Link;
}

/// First in, first out; an entry can leave from anywhere.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct List {
    first: Option<PacketIdentifier>,
    last: Option<PacketIdentifier>,
}

impl List {
    pub(crate) const NEW: Self = Self { first: None, last: None };

    pub(crate) const fn first(self) -> Option<PacketIdentifier> {
        self.first
    }

    pub(crate) const fn last(self) -> Option<PacketIdentifier> {
        self.last
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back<E: Linked>(&mut self, table: &mut impl Table<E>, id: PacketIdentifier) {
        if let Some(entry) = table.get_mut(id) {
            *entry.link_mut() = Link { previous: self.last, next: None };
        }
        match self.last.and_then(|last| table.get_mut(last)) {
            Some(last) => last.link_mut().next = Some(id),
            None => self.first = Some(id),
        }
        self.last = Some(id);
    }

    pub(crate) fn remove<E: Linked>(&mut self, table: &mut impl Table<E>, id: PacketIdentifier) {
        let Some(Link { previous, next }) = table.get(id).map(Linked::link) else { return };
        match previous.and_then(|previous| table.get_mut(previous)) {
            Some(entry) => entry.link_mut().next = next,
            None => self.first = next,
        }
        match next.and_then(|next| table.get_mut(next)) {
            Some(entry) => entry.link_mut().previous = previous,
            None => self.last = previous,
        }
    }

    pub(crate) fn pop_front<E: Linked>(&mut self, table: &mut impl Table<E>) -> Option<PacketIdentifier> {
        let first = self.first?;
        self.remove(table, first);
        Some(first)
    }

    /// Puts the entries of `earlier` in front of this list's, and leaves `earlier` empty.
    pub(crate) fn prepend<E: Linked>(&mut self, table: &mut impl Table<E>, earlier: &mut Self) {
        let (Some(first), Some(last)) = (earlier.first, earlier.last) else { return };
        if let Some(entry) = table.get_mut(last) {
            entry.link_mut().next = self.first;
        }
        match self.first.and_then(|first| table.get_mut(first)) {
            Some(entry) => entry.link_mut().previous = Some(last),
            None => self.last = Some(last),
        }
        self.first = Some(first);
        *earlier = Self::NEW;
    }
}
