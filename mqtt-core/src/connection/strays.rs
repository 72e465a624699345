//! Answers to a rude but legal peer: to a PUBREC or PUBREL that belongs to no exchange.

use crate::maybe::Maybe;
use crate::packet::AckKind;
use crate::types::PacketIdentifier;

/// A few answers that wait to be sent. They need no exchange, so they can always leave.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Strays {
    waiting: [Maybe<(AckKind, PacketIdentifier)>; 4],
    /// Answers that belonged to no exchange.
    pub(super) ignored: u32,
}

impl Strays {
    pub(super) const NONE: Self = Self { waiting: [Maybe::None; 4], ignored: 0 };

    /// Takes an answer to be sent; `false`: those before it have to leave first.
    pub(super) fn push(&mut self, kind: AckKind, packet_identifier: PacketIdentifier) -> bool {
        let Some(place) = self.waiting.iter_mut().find(|place| matches!(place, Maybe::None)) else { return false };
        *place = Maybe::Some((kind, packet_identifier));
        true
    }

    pub(super) const fn first(&self) -> Option<(AckKind, PacketIdentifier)> {
        let [first, ..] = self.waiting;
        first.get()
    }

    pub(super) const fn pop(&mut self) {
        let [_, second, third, fourth] = self.waiting;
        self.waiting = [second, third, fourth, Maybe::None];
    }
}
