//! Messages that are to be sent by a certain time, or not at all.

use std::collections::{BTreeSet, HashMap};

use mqtt_core::{Instant, PacketIdentifier};

/// A message that was not sent yet.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Unsent {
    /// At QoS 1 and 2.
    Exchange(PacketIdentifier),
    /// At QoS 0, by its number in the queue.
    Queued(u64),
}

/// Those that have a deadline, until they have their outcome.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: BTreeSet<(Instant, Unsent)>,
    by_exchange: HashMap<PacketIdentifier, Instant>,
}

impl Deadlines {
    pub(super) fn add(&mut self, at: Instant, unsent: Unsent) {
        self.in_order.insert((at, unsent));
        if let Unsent::Exchange(id) = unsent {
            self.by_exchange.insert(id, at);
        }
    }

    /// The exchange has its outcome.
    pub(super) fn ended(&mut self, id: PacketIdentifier) {
        if self.by_exchange.is_empty() {
            return; // mostly
        }
        if let Some(at) = self.by_exchange.remove(&id) {
            self.in_order.remove(&(at, Unsent::Exchange(id)));
        }
    }

    /// The message has left the queue.
    pub(super) fn left(&mut self, at: Option<Instant>, number: u64) {
        if let Some(at) = at {
            self.in_order.remove(&(at, Unsent::Queued(number)));
        }
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes out the next one whose time is over.
    pub(super) fn due(&mut self, now: Instant) -> Option<Unsent> {
        if self.first()? > now {
            return None;
        }
        let (_, unsent) = self.in_order.pop_first()?;
        if let Unsent::Exchange(id) = unsent {
            self.by_exchange.remove(&id);
        }
        Some(unsent)
    }
}
