//! A queue of messages whose bytes are counted.

use std::collections::VecDeque;

use super::outbox::Outgoing;

/// First in, first out; each entry has its place among the entries of both queues of an outbox.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<(u64, Outgoing)>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, sequence: u64, outgoing: Outgoing) {
        self.bytes = self.bytes.saturating_add(outgoing.message.size());
        self.entries.push_back((sequence, outgoing));
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        let (_, outgoing) = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(outgoing.message.size());
        Some(outgoing)
    }

    /// The place of the first entry.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|(sequence, _)| *sequence)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
