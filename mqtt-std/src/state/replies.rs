//! Who waits for the outcome of which command.

use core::task::{Poll, Waker};
use std::collections::HashMap;

use mqtt_core::{Outcome, PacketIdentifier, Properties, ReasonCode, ReasonCodes, SubscriptionOptions, Table as _};
use tokio::sync::oneshot;

use super::deadlines::Deadlines;
use crate::answer::Answer;
use crate::storage::HeapTable;

/// What became of a publish: the broker's answer, or the lack of one.
pub(crate) type Published = Result<Answer, Outcome>;

/// What became of a subscribe or unsubscribe: the broker's answer for each filter, or the lack of one.
pub(crate) type Requested = Result<Answers, Outcome>;

/// A Reason Code for each filter, and what else the broker says.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) codes: Vec<ReasonCode>,
    whole: Answer,
}

impl Answers {
    /// The first failure, if there is one.
    pub(crate) fn refusal(&self) -> Option<Answer> {
        let refused = self.codes.iter().find(|code| code.is_failure())?;
        Some(self.whole.with_reason(*refused))
    }
}

/// An answer on its way to whoever asked, who may have gone.
#[derive(Debug)]
pub(crate) enum Due {
    Publish(oneshot::Sender<Published>, Published),
    Request(oneshot::Sender<Requested>, Requested),
}

impl Due {
    pub(crate) fn send(self) {
        match self {
            Self::Publish(sender, answer) => drop(sender.send(answer)),
            Self::Request(sender, answers) => drop(sender.send(answers)),
        }
    }
}

/// By the identifier of the exchange, which is its own until the outcome is told here.
#[derive(Debug)]
pub(crate) struct Replies {
    /// The keys of publishes without an outcome.
    publishes: HeapTable<Key>,
    slots: Vec<Slot>,
    free: Vec<Key>,
    closed: bool,
    pub(super) deadlines: Deadlines,
    requests: Asked,
    /// What was asked for with a Subscription Identifier of our own, until there is an answer.
    pub(super) plain: HashMap<PacketIdentifier, PlainRequest>,
    /// Those who wait for an UNSUBSCRIBE that there is no room for yet, and its filters.
    pub(super) farewells: Farewells,
}

/// A SUBSCRIBE without a Subscription Identifier: its filters, and its properties as on the wire.
pub(super) type PlainRequest = (Vec<(Box<str>, SubscriptionOptions)>, Vec<u8>);

type Asked = HashMap<PacketIdentifier, oneshot::Sender<Requested>>;
type Farewells = Vec<AwaitedUnsubscribe>;

/// An UNSUBSCRIBE that somebody waits for.
#[derive(Debug)]
pub(crate) struct AwaitedUnsubscribe {
    pub(super) filters: Vec<Box<str>>,
    pub(super) user_properties: Vec<(String, String)>,
    pub(super) sender: oneshot::Sender<Requested>,
}

/// All requests that have no answer.
pub(super) type Requests = (Asked, Farewells);

/// The answer to a publish, from when that is accepted until it is taken. No channel: there are many of them.
#[derive(Debug)]
enum Slot {
    Free,
    Waiting(Option<Waker>),
    /// Nobody wants to know.
    Forgotten,
    Answered(Published),
}

/// Whoever has it gets the answer to a publish, or [forgets](Replies::forget) it; until then its slot is not given out again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(u32);

impl Key {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            publishes: HeapTable::new(u16::MAX),
            slots: Vec::new(),
            free: Vec::new(),
            closed: false,
            deadlines: Deadlines::default(),
            requests: HashMap::new(),
            plain: HashMap::new(),
            farewells: Vec::new(),
        }
    }
}

impl Replies {
    pub(crate) fn of_publish(&mut self, id: PacketIdentifier) -> Key {
        let key = self.of_queued();
        self.publishes.insert(id, key);
        key
    }

    /// Of a message without an identifier, to be [answered](Self::answer) by its key.
    pub(super) fn of_queued(&mut self) -> Key {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            // Receipts that nobody reads fill the memory before they fill this.
            Key(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(slot) = self.slots.get_mut(key.index()) {
            *slot = Slot::Waiting(None);
        }
        key
    }

    /// Tells whether a publish with this identifier has no outcome yet.
    pub(super) fn has(&self, id: PacketIdentifier) -> bool {
        self.publishes.get(id).is_some()
    }

    /// Tells whether the exchange is still the one of this key, without an outcome.
    pub(super) fn is_open(&self, id: PacketIdentifier, key: Key) -> bool {
        self.publishes.get(id).is_some_and(|known| known.0 == key.0)
    }

    /// The outcome of a publish. Who waits for it is to be woken.
    pub(crate) fn published(&mut self, id: PacketIdentifier, answer: Published) -> Option<Waker> {
        self.deadlines.ended(id);
        let key = self.publishes.take(id)?;
        self.answer(key, answer)
    }

    /// As [`published`](Self::published).
    pub(super) fn answer(&mut self, key: Key, answer: Published) -> Option<Waker> {
        let slot = self.slots.get_mut(key.index())?;
        match core::mem::replace(slot, Slot::Answered(answer)) {
            Slot::Waiting(waker) => waker,
            _ => {
                self.give_back(key);
                None
            }
        }
    }

    /// Takes the answer to a publish, once; `None`: there is none, and none will come. As long as it is not there, `waker` is
    /// kept, and that of before is returned, to be dropped once the lock is free.
    pub(crate) fn poll(&mut self, key: Key, waker: &Waker) -> (Poll<Option<Published>>, Option<Waker>) {
        let Some(slot) = self.slots.get_mut(key.index()) else { return (Poll::Ready(None), None) };
        match slot {
            Slot::Waiting(known) if !self.closed => {
                let same = known.as_ref().is_some_and(|known| known.will_wake(waker));
                (Poll::Pending, if same { None } else { known.replace(waker.clone()) })
            }
            _ => match self.give_back(key) {
                Slot::Answered(answer) => (Poll::Ready(Some(answer)), None),
                Slot::Waiting(waker) => (Poll::Ready(None), waker),
                Slot::Free | Slot::Forgotten => (Poll::Ready(None), None),
            },
        }
    }

    /// Nobody waits for the answer any more. The waker is to be dropped once the lock is free.
    pub(crate) fn forget(&mut self, key: Key) -> Option<Waker> {
        let slot = self.slots.get_mut(key.index())?;
        let before = match slot {
            Slot::Waiting(_) if !self.closed => core::mem::replace(slot, Slot::Forgotten),
            _ => self.give_back(key),
        };
        if let Slot::Waiting(waker) = before { waker } else { None }
    }

    fn give_back(&mut self, key: Key) -> Slot {
        self.free.push(key);
        self.slots.get_mut(key.index()).map_or(Slot::Free, |slot| core::mem::replace(slot, Slot::Free))
    }

    /// Nothing is answered any more: publishes have no answer, and those who wait for one are to be woken; requests are
    /// returned, to be dropped once the lock is free.
    pub(crate) fn close(&mut self) -> (Vec<Waker>, Requests) {
        self.closed = true;
        self.publishes.clear();
        let wakers = self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Waiting(waker) => waker.take(),
            _ => None,
        });
        (wakers.collect(), (core::mem::take(&mut self.requests), core::mem::take(&mut self.farewells)))
    }

    pub(crate) fn of_request(&mut self, id: PacketIdentifier) -> oneshot::Receiver<Requested> {
        let (sender, receiver) = oneshot::channel();
        self.tell_request(id, sender);
        receiver
    }

    pub(super) fn tell_request(&mut self, id: PacketIdentifier, sender: oneshot::Sender<Requested>) {
        self.requests.insert(id, sender);
    }

    /// Who waits for the answer to a request is to be told otherwise.
    pub(super) fn take_request(&mut self, id: PacketIdentifier) -> Option<oneshot::Sender<Requested>> {
        self.requests.remove(&id)
    }

    /// The broker has answered a subscribe or unsubscribe.
    pub(crate) fn answered(
        &mut self,
        id: PacketIdentifier,
        codes: ReasonCodes<'_>,
        more: Properties<'_>,
    ) -> Option<Due> {
        self.plain.remove(&id);
        let sender = self.requests.remove(&id)?;
        let answers = Answers { codes: codes.iter().collect(), whole: Answer::new(ReasonCode::SUCCESS, more) };
        Some(Due::Request(sender, Ok(answers)))
    }

    /// A subscribe or unsubscribe ended without an answer.
    pub(crate) fn unanswered(&mut self, id: PacketIdentifier, outcome: Outcome) -> Option<Due> {
        Some(Due::Request(self.requests.remove(&id)?, Err(outcome)))
    }

    /// Publishes without an outcome.
    pub(crate) fn open_publishes(&self) -> usize {
        usize::from(self.publishes.len())
    }
}
