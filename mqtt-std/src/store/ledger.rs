//! Which records are still needed: the rule at the top of the core's `session::record`, stated for stores.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use mqtt_core::{DeliveryNumber, PacketIdentifier, Record};

/// What a store has to know of a record to tell when it may be forgotten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Note {
    /// Messages up to this number came in sessions before.
    SessionStarted(DeliveryNumber),
    Published(PacketIdentifier),
    PubrecReceived(PacketIdentifier),
    Completed(PacketIdentifier),
    Received(DeliveryNumber, PacketIdentifier),
    Released(PacketIdentifier),
    Confirmed(DeliveryNumber),
    /// Of a later version: it is kept.
    Unknown,
}

impl Note {
    pub(super) fn of(record: &Record<'_>) -> Self {
        match *record {
            Record::SessionStarted { after, .. } => Self::SessionStarted(after),
            Record::Published { packet_identifier, .. } => Self::Published(packet_identifier),
            Record::PubrecReceived { packet_identifier } => Self::PubrecReceived(packet_identifier),
            Record::Completed { packet_identifier } => Self::Completed(packet_identifier),
            Record::Received { delivery, packet_identifier, .. } => Self::Received(delivery, packet_identifier),
            Record::Released { packet_identifier } => Self::Released(packet_identifier),
            Record::Confirmed { delivery } => Self::Confirmed(delivery),
            _ => Self::Unknown,
        }
    }

    /// Of an encoded record.
    pub(super) fn of_encoded(record: &[u8]) -> Self {
        Record::decode(record).map_or(Self::Unknown, |record| Self::of(&record))
    }

    /// It stands for something that was asked for, and can fail alone. The others tell what has happened.
    pub(super) const fn is_command(self) -> bool {
        matches!(self, Self::Published(_) | Self::Received(..))
    }
}

/// The records that are needed, in their order, each with its place `P` in the store.
#[derive(Debug)]
pub(super) struct Ledger<P> {
    live: BTreeMap<u64, (Kind, P)>,
    next: u64,
    outgoing: HashMap<PacketIdentifier, Outgoing>,
    received: HashMap<DeliveryNumber, Received>,
    /// The messages whose identifiers are not released.
    unreleased: HashMap<PacketIdentifier, DeliveryNumber>,
    /// The record with the highest delivery number is kept: numbers go on behind it.
    highest: DeliveryNumber,
    /// Kept for that number alone.
    marker: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    SessionStarted,
    Published,
    Other,
}

#[derive(Debug, Default)]
struct Outgoing {
    published: Option<u64>,
    pubrec: Option<u64>,
}

#[derive(Debug)]
struct Received {
    received: u64,
    released: Option<u64>,
    /// Its identifier is free, by its own record or because a session began.
    is_released: bool,
    confirmed: Option<u64>,
}

impl<P> Default for Ledger<P> {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            next: 0,
            outgoing: HashMap::new(),
            received: HashMap::new(),
            unreleased: HashMap::new(),
            highest: DeliveryNumber(0),
            marker: None,
        }
    }
}

impl<P> Ledger<P> {
    /// The records that are needed, oldest first.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &P)> {
        self.live.iter().map(|(number, (_, place))| (*number, place))
    }

    /// Their places, to be changed.
    pub(super) fn places_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.live.values_mut().map(|(_, place)| place)
    }

    /// Takes a record down at its place; `forget` is told of those that are no longer needed, perhaps this one.
    pub(super) fn note(&mut self, note: Note, place: P, forget: &mut impl FnMut(u64, P)) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let kind = match note {
            Note::SessionStarted(_) => Kind::SessionStarted,
            Note::Published(_) => Kind::Published,
            _ => Kind::Other,
        };
        self.live.insert(number, (kind, place));
        match note {
            Note::SessionStarted(after) => self.session_started(after, forget),
            Note::Published(id) => {
                self.completed(id, forget);
                self.outgoing.insert(id, Outgoing { published: Some(number), pubrec: None });
            }
            Note::PubrecReceived(id) => match self.outgoing.get_mut(&id) {
                Some(exchange) => {
                    let before = exchange.pubrec.replace(number);
                    self.drop_all([before], forget);
                }
                None => self.drop_all([Some(number)], forget),
            },
            Note::Completed(id) => {
                self.completed(id, forget);
                self.drop_all([Some(number)], forget);
            }
            Note::Received(delivery, id) => {
                let received = Received { received: number, released: None, is_released: false, confirmed: None };
                self.received.insert(delivery, received);
                // The one before with this identifier is not in its place any more.
                if let Some(before) = self.unreleased.insert(id, delivery) {
                    self.release(before, None, forget);
                }
                self.number_used(delivery, number, false, forget);
            }
            Note::Released(id) => match self.unreleased.remove(&id) {
                Some(delivery) => self.release(delivery, Some(number), forget),
                None => self.drop_all([Some(number)], forget),
            },
            Note::Confirmed(delivery) => {
                let unconfirmed = self.received.get_mut(&delivery).filter(|received| received.confirmed.is_none());
                if let Some(received) = unconfirmed {
                    received.confirmed = Some(number);
                    self.settle(delivery, forget);
                } else if !self.number_used(delivery, number, true, forget) {
                    self.drop_all([Some(number)], forget);
                }
            }
            Note::Unknown => {}
        }
        number
    }

    /// Forgets records about the beginning of sessions that say nothing more: to be called before what is needed is copied.
    pub(super) fn thin_out(&mut self, forget: &mut impl FnMut(u64, P)) {
        let mut dead = Vec::new();
        // Of some in a row the first tells what was sent before it, the last which session it is.
        let (mut row, mut published): (Vec<u64>, bool) = (Vec::new(), false);
        for (number, (kind, _)) in &self.live {
            if *kind == Kind::SessionStarted {
                row.push(*number);
                continue;
            }
            dead.extend(superfluous(&mut row, published));
            published |= *kind == Kind::Published;
        }
        dead.extend(superfluous(&mut row, published));
        self.drop_all(dead.into_iter().map(Some), forget);
    }

    /// The Server has a new session: identifiers of messages that were received before mean nothing any more.
    fn session_started(&mut self, after: DeliveryNumber, forget: &mut impl FnMut(u64, P)) {
        let mut before = Vec::new();
        self.unreleased.retain(|_, delivery| {
            let stays = *delivery > after;
            before.extend((!stays).then_some(*delivery));
            stays
        });
        for delivery in before {
            self.release(delivery, None, forget);
        }
    }

    fn completed(&mut self, id: PacketIdentifier, forget: &mut impl FnMut(u64, P)) {
        if let Some(exchange) = self.outgoing.remove(&id) {
            self.drop_all([exchange.published, exchange.pubrec], forget);
        }
    }

    fn release(&mut self, delivery: DeliveryNumber, record: Option<u64>, forget: &mut impl FnMut(u64, P)) {
        if let Some(received) = self.received.get_mut(&delivery) {
            received.is_released = true;
            received.released = record;
        }
        self.settle(delivery, forget);
    }

    /// Forgets a received message that is released and confirmed.
    fn settle(&mut self, delivery: DeliveryNumber, forget: &mut impl FnMut(u64, P)) {
        let over = |received: &Received| received.is_released && received.confirmed.is_some();
        if !self.received.get(&delivery).is_some_and(over) {
            return;
        }
        let Some(received) = self.received.remove(&delivery) else { return };
        self.drop_all([Some(received.received), received.released], forget);
        match received.confirmed {
            Some(confirmed) if !self.number_used(delivery, confirmed, true, forget) => {
                self.drop_all([Some(confirmed)], forget);
            }
            _ => {}
        }
    }

    /// A record has this delivery number. Tells whether it is kept for that: it is if the number is the highest, and nothing
    /// else keeps it (`alone`).
    fn number_used(
        &mut self,
        delivery: DeliveryNumber,
        number: u64,
        alone: bool,
        forget: &mut impl FnMut(u64, P),
    ) -> bool {
        if delivery < self.highest {
            return false;
        }
        self.highest = delivery;
        let before = core::mem::replace(&mut self.marker, alone.then_some(number));
        self.drop_all([before], forget);
        alone
    }

    fn drop_all(&mut self, numbers: impl IntoIterator<Item = Option<u64>>, forget: &mut impl FnMut(u64, P)) {
        for number in numbers.into_iter().flatten() {
            if let Some((_, place)) = self.live.remove(&number) {
                forget(number, place);
            }
        }
    }
}

/// Of records in a row that sessions began, those that are not needed.
fn superfluous(row: &mut Vec<u64>, published: bool) -> Vec<u64> {
    let mut row = core::mem::take(row);
    row.pop();
    if published && !row.is_empty() {
        row.remove(0);
    }
    row
}
