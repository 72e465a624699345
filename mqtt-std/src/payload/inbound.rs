//! A message whose payload is arriving, and who reads it.

use core::task::Waker;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{Instant, QoS};

use super::pipe::{End, Pipe, Room};
use crate::delivery::{Acknowledge, Offer, Pushed, Queue, Ticket, WhenFull};
use crate::message::Message;
use crate::state::{Later, Shared};

/// The message that the connection is in the middle of. There is one at most: its payload is one packet.
#[derive(Debug)]
pub(crate) struct Inbound {
    head: Message,
    length: u32,
    readers: Vec<Reader>,
    /// Some stream got it.
    claimed: bool,
    /// With a store at QoS 2: its last byte counts as received once all have read it and agree, because its record, which has
    /// no payload, says that they have it.
    confirms_first: bool,
    /// All bytes are with the readers.
    ended: bool,
    /// Somebody was to acknowledge it by hand, and did not take it.
    withheld: bool,
    /// A kept session's message may come before its stream, and waits for it until then.
    early_until: Option<Instant>,
    /// Somebody holds up the reading, and may until then.
    held_until: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    pipe: Arc<Pipe>,
    queue: Arc<Queue>,
    /// As long as the stream had no room for it.
    waiting: Option<Message>,
}

/// What became of readers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// Those who were too slow.
    pub(crate) dropped: u64,
    /// Those who did not want the rest.
    pub(crate) abandoned: u64,
    /// The session is to bring it again to some.
    pub(crate) overrun: bool,
}

impl Inbound {
    pub(crate) const fn new(head: Message, length: u32, early_until: Option<Instant>, confirms_first: bool) -> Self {
        Self {
            head,
            length,
            readers: Vec::new(),
            confirms_first,
            ended: false,
            claimed: false,
            withheld: false,
            early_until,
            held_until: None,
        }
    }

    pub(crate) fn topic(&self) -> &str {
        self.head.topic()
    }

    /// What it counts as.
    pub(crate) fn traffic(&self) -> (QoS, u64) {
        (self.head.qos(), u64::from(self.length))
    }

    pub(crate) const fn head(&self) -> &Message {
        &self.head
    }

    pub(crate) const fn confirms_first(&self) -> bool {
        self.confirms_first
    }

    /// Tells whether somebody who was to acknowledge it by hand did not want it.
    pub(crate) const fn is_withheld(&self) -> bool {
        self.withheld
    }

    /// Tells whether it is for some stream.
    pub(crate) const fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Tells whether it waits for its stream.
    pub(crate) const fn is_early(&self) -> bool {
        self.early_until.is_some()
    }

    /// Offers the message to a stream.
    pub(crate) fn offer(&mut self, queue: Arc<Queue>) {
        self.claimed = true;
        let by_hand = queue.acknowledge() == Acknowledge::ByHand && self.head.qos() != QoS::AtMostOnce;
        let (pipe, read_end) = Pipe::new(self.length, by_hand);
        self.readers.push(Reader { pipe, queue, waiting: Some(self.head.with_payload(read_end)) });
    }

    /// Looks who holds up the reading: a stream without room for the message, a reader with too much before it. Who does so for
    /// too long gets no more of it.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        patience: Instant,
        driver: Option<&Waker>,
        later: &mut Later,
    ) -> Lost {
        let overdue = self.held_until.is_some_and(|until| now >= until);
        let (mut lost, mut held) = (Lost::default(), false);
        let brought_again = self.head.qos() != QoS::AtMostOnce;
        self.readers.retain_mut(|reader| {
            if let Some(message) = &reader.waiting {
                let offer = Offer { message, ticket: None, may_wait: false, overdue };
                match reader.queue.push(&offer, later) {
                    Pushed::Taken => reader.waiting = None,
                    Pushed::Full => held = true,
                    Pushed::Overrun => (held, lost.overrun) = (true, true),
                    Pushed::Dropped => {
                        lost.dropped = lost.dropped.saturating_add(1);
                        return false;
                    }
                }
            }
            let room = if self.ended { reader.pipe.rest(driver) } else { reader.pipe.room(driver) };
            match room {
                Room::Free => {}
                Room::Full if overdue && brought_again && reader.queue.when_full() == WhenFull::Disconnect => {
                    (held, lost.overrun) = (true, true);
                }
                Room::Full if overdue => {
                    reader.pipe.fail(End::Stalled, later);
                    lost.dropped = lost.dropped.saturating_add(1);
                    return false;
                }
                Room::Full => held = true,
                Room::Gone => {
                    self.withheld |= reader.queue.acknowledge() == Acknowledge::ByHand;
                    lost.abandoned = lost.abandoned.saturating_add(1);
                    return false;
                }
            }
            true
        });
        self.early_until = self.early_until.filter(|until| self.readers.is_empty() && now < *until);
        self.held_until = if held { self.held_until.filter(|_| !overdue).or(Some(patience)) } else { None };
        lost
    }

    /// Tells whether nothing more is to be read for now, and until when at most.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.held_until.or(self.early_until)
    }

    /// The next bytes.
    pub(crate) fn push(&self, bytes: &[u8], later: &mut Later) {
        if !self.readers.is_empty() {
            let piece = Bytes::copy_from_slice(bytes);
            for reader in &self.readers {
                reader.pipe.push(&piece, later);
            }
        }
    }

    /// The last bytes, once.
    pub(crate) fn end(&mut self, bytes: &[u8], later: &mut Later) {
        if core::mem::replace(&mut self.ended, true) {
            return;
        }
        self.push(bytes, later);
        for reader in &self.readers {
            reader.pipe.fail(End::Whole, later);
        }
    }

    /// The message is received.
    pub(crate) fn finish(
        self,
        shared: &Arc<Shared>,
        ticket: Option<&Arc<Ticket>>,
        driver: Option<&Waker>,
        later: &mut Later,
    ) {
        if let Some(ticket) = ticket.filter(|_| self.withheld) {
            ticket.void();
        }
        for reader in &self.readers {
            reader.pipe.finish(shared, ticket, driver, later);
        }
    }

    /// The rest does not come.
    pub(crate) fn fail(self, end: End, later: &mut Later) {
        for reader in &self.readers {
            reader.pipe.fail(end, later);
        }
    }
}
