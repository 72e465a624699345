//! The messages that wait in a stream.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::QoS;

use super::tickets::Ticket;
use crate::message::Message;
use crate::state::Later;

/// When a received message at QoS 1 or 2 is acknowledged, per stream; where several streams have it, once the last one has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Acknowledge {
    /// When it has its place in the stream: beyond the capacity it waits unacknowledged. Messages in the stream are lost if
    /// the program ends; at QoS 2 with a [store](crate::store) they are not, this is `WhenTaken` there.
    #[default]
    OnArrival,
    /// When it leaves the stream, to whoever reads it.
    WhenTaken,
    /// When [`Message::acknowledge`] or [`Message::reject`] says so.
    ///
    /// Acknowledgements are sent in the order of the messages (§4.6): one that never comes holds back those of all later
    /// messages of the same QoS, of other streams too, until the next connection, and with them, once
    /// [`in_flight`](crate::Options::in_flight) messages wait, everything that the broker sends. It never comes for a message that
    /// is dropped without it, and for those that are unread when their stream is dropped: that is logged as a warning, and
    /// [counted](crate::Statistics::withheld_acknowledgements).
    ByHand,
}

/// What becomes of messages for a stream that has been full for longer than
/// [`Options::stall_timeout`](crate::Options::stall_timeout).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhenFull {
    /// They are dropped and [counted](crate::Statistics::dropped); those at QoS 1 and 2, of which more than usual must wait
    /// before this happens, are acknowledged.
    #[default]
    Drop,
    /// At QoS 1 and 2 the connection is given up, so that the session brings them again, as
    /// [`Cause::Overrun`](crate::Cause::Overrun); the session must outlive the connection for that: 5.0, or
    /// [`keep_session`](crate::Options::keep_session). At QoS 0 they are dropped.
    Disconnect,
}

/// How a stream behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamOptions {
    /// Messages, not 0.
    pub(crate) capacity: usize,
    /// Of topics, properties and payloads; one message may be larger.
    pub(crate) bytes: usize,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) when_full: WhenFull,
    pub(crate) streamed: bool,
}

/// The messages that wait in a stream.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    options: StreamOptions,
}

#[derive(Debug)]
struct Inner {
    messages: VecDeque<Waiting>,
    /// The first so many are within the capacity, and have so many bytes.
    within: usize,
    within_bytes: usize,
    closed: bool,
    reader: Option<Waker>,
    /// The driver found it full and waits.
    blocks: bool,
    /// It was full for too long: until something is read, nobody waits for it again.
    lags: bool,
}

/// Its ticket comes back when it is within the capacity, or later if it is acknowledged later.
#[derive(Debug)]
struct Waiting {
    message: Message,
    ticket: Option<Arc<Ticket>>,
}

/// A message that is offered to streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) message: &'a Message,
    pub(crate) ticket: Option<&'a Arc<Ticket>>,
    /// It may wait beyond the capacity, with its ticket.
    pub(crate) may_wait: bool,
    /// It is not offered again.
    pub(crate) overdue: bool,
}

/// What became of a message that was offered to a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    Taken,
    /// There is no room; the next message that leaves says so.
    Full,
    /// There was none for too long.
    Dropped,
    /// There was none for too long, and the session is to bring it again.
    Overrun,
}

/// What a reader finds.
pub(crate) enum Taken {
    /// A message. `ticket`: its own, if it is acknowledged now or later; `wake`: the driver has something to do.
    Message { message: Message, ticket: Option<Arc<Ticket>>, wake: bool },
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    Closed,
}

impl Queue {
    pub(crate) fn new(options: StreamOptions) -> Arc<Self> {
        let inner = Inner {
            messages: VecDeque::new(),
            within: 0,
            within_bytes: 0,
            closed: false,
            reader: None,
            blocks: false,
            lags: false,
        };
        Arc::new(Self { inner: Mutex::new(inner), options })
    }

    /// Takes messages whose payload is still arriving.
    pub(crate) const fn is_streamed(&self) -> bool {
        self.options.streamed
    }

    pub(crate) const fn when_full(&self) -> WhenFull {
        self.options.when_full
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn acknowledge(&self) -> Acknowledge {
        self.options.acknowledge
    }

    /// Takes a message in that needs no ticket here: it has room, and is acknowledged at once. Otherwise it comes back.
    pub(crate) fn take_in(&self, message: Message, later: &mut Later) -> Result<(), Message> {
        let mut inner = self.lock();
        let at_once = self.options.acknowledge == Acknowledge::OnArrival || message.qos() == QoS::AtMostOnce;
        if inner.closed || !at_once || inner.within < inner.messages.len() || !self.fits(&inner, message.len()) {
            return Err(message);
        }
        inner.within = inner.within.saturating_add(1);
        inner.within_bytes = inner.within_bytes.saturating_add(message.len());
        inner.messages.push_back(Waiting { message, ticket: None });
        later.wakers.extend(inner.reader.take());
        Ok(())
    }

    /// Takes a message in.
    pub(crate) fn push(&self, offer: &Offer<'_>, later: &mut Later) -> Pushed {
        let Offer { message, ticket, may_wait, overdue } = *offer;
        let mut inner = self.lock();
        let full = inner.within < inner.messages.len() || !self.fits(&inner, message.len());
        if inner.closed {
            return Pushed::Taken;
        }
        if full && (ticket.is_none() || !may_wait) {
            if self.options.when_full == WhenFull::Disconnect && message.qos() != QoS::AtMostOnce {
                inner.blocks = true;
                return if overdue { Pushed::Overrun } else { Pushed::Full };
            }
            if inner.lags || overdue {
                inner.lags = true;
                return Pushed::Dropped;
            }
            inner.blocks = true;
            return Pushed::Full;
        }
        let later_acknowledged = self.options.acknowledge != Acknowledge::OnArrival && message.qos() != QoS::AtMostOnce;
        let ticket = ticket.filter(|ticket| full || later_acknowledged || ticket.is_durable()).cloned();
        if !full {
            inner.within = inner.within.saturating_add(1);
            inner.within_bytes = inner.within_bytes.saturating_add(message.len());
        }
        inner.messages.push_back(Waiting { message: message.clone(), ticket });
        later.wakers.extend(inner.reader.take());
        Pushed::Taken
    }

    /// Tells whether so many bytes more are within the capacity; those of one message always are.
    const fn fits(&self, inner: &Inner, len: usize) -> bool {
        inner.within == 0
            || inner.within < self.options.capacity && inner.within_bytes.saturating_add(len) <= self.options.bytes
    }

    /// Takes a message out; if there is none, `reader` is woken by the next.
    pub(crate) fn pop(&self, reader: &Waker) -> Taken {
        let mut inner = self.lock();
        if let Some(Waiting { message, ticket }) = inner.messages.pop_front() {
            inner.lags = false;
            inner.within = inner.within.saturating_sub(1);
            inner.within_bytes = inner.within_bytes.saturating_sub(message.len());
            let wake = self.move_up(&mut inner) | core::mem::take(&mut inner.blocks);
            return Taken::Message { message, wake: wake || ticket.is_some(), ticket };
        }
        if inner.closed {
            return Taken::Closed;
        }
        let before = inner.reader.replace(reader.clone());
        drop(inner);
        drop(before); // somebody else's code: not under the lock
        Taken::Empty
    }

    /// Those that are within the capacity now. Tells whether a ticket has come back.
    fn move_up(&self, inner: &mut Inner) -> bool {
        let mut returned = false;
        while let Some(len) = inner.messages.get(inner.within).map(|next| next.message.len()) {
            if !self.fits(inner, len) {
                break;
            }
            let next = inner.messages.get_mut(inner.within);
            let ticket = next.filter(|next| {
                self.options.acknowledge == Acknowledge::OnArrival || next.message.qos() == QoS::AtMostOnce
            });
            returned |= ticket.and_then(|next| next.ticket.take_if(|ticket| !ticket.is_durable())).is_some();
            inner.within = inner.within.saturating_add(1);
            inner.within_bytes = inner.within_bytes.saturating_add(len);
        }
        returned
    }

    /// Nothing more is taken in; what was acknowledged, or will not be sent again, can still be read.
    pub(super) fn close(&self, keep: bool, later: &mut Later) {
        let mut inner = self.lock();
        inner.closed = true;
        if keep {
            inner.messages.retain(|next| next.ticket.is_none() || next.message.qos() == QoS::AtMostOnce);
            inner.within = inner.messages.len();
        }
        later.wakers.extend(inner.reader.take());
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Nobody reads any more: what waits is acknowledged, but for what only a hand acknowledges.
    pub(crate) fn discard(&self) {
        let messages = {
            let mut inner = self.lock();
            inner.closed = true;
            core::mem::take(&mut inner.messages)
        };
        if self.options.acknowledge == Acknowledge::ByHand {
            messages.iter().filter_map(|next| next.ticket.as_ref()).for_each(|ticket| ticket.withhold());
        }
        drop(messages); // tickets come back
    }
}
