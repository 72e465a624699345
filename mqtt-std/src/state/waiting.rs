//! Messages at QoS 0 that wait to be sent, in their order.

use std::collections::{HashMap, VecDeque};

use mqtt_core::Instant;
use tokio::sync::oneshot;

use super::replies::{Key, Published};
use crate::options::QueueOptions;
use crate::payload::Source;
use crate::publish::Publication;

/// A message at QoS 0 that waits, and until when it is wanted.
pub(super) struct Queued {
    pub(super) publication: Publication<'static>,
    pub(super) since: Instant,
    pub(super) until: Option<Instant>,
    /// Who waits for its outcome.
    pub(super) reply: Reply,
    number: u64,
}

/// Where the outcome of a message that waits is told.
pub(super) enum Reply {
    Key(Key),
    /// The payload is read from there, and the end of that is told.
    Source(Source, oneshot::Sender<Published>),
}

pub(super) struct Waiting {
    messages: VecDeque<Queued>,
    bytes: usize,
    /// Of the next message.
    number: u64,
    options: QueueOptions,
    /// The latest one of each topic, where only that is wanted.
    by_topic: HashMap<Box<str>, u64>,
}

impl Waiting {
    pub(super) fn new(options: QueueOptions) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, number: 0, options, by_topic: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Tells whether so many bytes more have room; those of one message always have. `in_place_of`: without this one.
    pub(super) fn has_room(&self, len: usize, in_place_of: Option<u64>) -> bool {
        let gone = in_place_of.and_then(|number| self.get(number)).map(|queued| queued.publication.len());
        let others = self.messages.len().saturating_sub(usize::from(gone.is_some()));
        let bytes = self.bytes.saturating_sub(gone.unwrap_or(0)).saturating_add(len);
        others == 0 || others < self.options.messages && bytes <= self.options.bytes
    }

    /// Adds a message at the end, and tells its number.
    pub(super) fn push_back(
        &mut self,
        publication: Publication<'static>,
        since: Instant,
        until: Option<Instant>,
        reply: Reply,
    ) -> u64 {
        let number = self.number;
        self.number = number.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(publication.len());
        if self.options.keeps_latest() {
            self.by_topic.insert(publication.topic().into(), number);
        }
        self.messages.push_back(Queued { publication, since, until, reply, number });
        number
    }

    pub(super) fn pop_front(&mut self) -> Option<Queued> {
        let queued = self.messages.pop_front()?;
        self.forget(&queued);
        Some(queued)
    }

    /// The message of this topic that waits, where only the latest is wanted.
    pub(super) fn of_topic(&self, topic: &str) -> Option<u64> {
        self.by_topic.get(topic).copied()
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, number: u64) -> Option<Queued> {
        let queued = self.messages.remove(self.index(number)?)?;
        self.forget(&queued);
        Some(queued)
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.messages.binary_search_by_key(&number, |queued| queued.number).ok()
    }

    fn get(&self, number: u64) -> Option<&Queued> {
        self.messages.get(self.index(number)?)
    }

    fn forget(&mut self, queued: &Queued) {
        self.bytes = self.bytes.saturating_sub(queued.publication.len());
        if self.by_topic.get(queued.publication.topic()) == Some(&queued.number) {
            self.by_topic.remove(queued.publication.topic());
        }
        if self.messages.is_empty() {
            // A burst is over: its memory goes back.
            self.messages = VecDeque::new();
        }
    }
}

impl Queued {
    /// What it is called among those that have a deadline.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}
