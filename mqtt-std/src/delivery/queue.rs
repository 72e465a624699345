//! The messages that wait in a stream.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::QoS;

use super::tickets::Ticket;
use crate::message::Message;
use crate::state::Later;

/// The messages that wait in a stream.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Those beyond the capacity have their tickets.
    messages: VecDeque<(Message, Option<Arc<Ticket>>)>,
    capacity: usize,
    closed: bool,
    reader: Option<Waker>,
    /// The driver found it full and waits.
    blocks: bool,
    /// It was full for too long: until something is read, nobody waits for it again.
    lags: bool,
}

/// What became of a message that was offered to a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    Taken,
    /// There is no room; the next message that leaves says so.
    Full,
    /// There was none for too long.
    Dropped,
}

/// What a reader finds.
pub(crate) enum Taken {
    /// A message. `ticket`: that of another one, which has room now; `unblocks`: the driver waits for room.
    Message { message: Message, ticket: Option<Arc<Ticket>>, unblocks: bool },
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    Closed,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let inner =
            Inner { messages: VecDeque::new(), capacity, closed: false, reader: None, blocks: false, lags: false };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in, beyond the capacity with a ticket only. `overdue`: it is not offered again.
    pub(crate) fn push(
        &self,
        message: &Message,
        ticket: Option<&Arc<Ticket>>,
        overdue: bool,
        later: &mut Later,
    ) -> Pushed {
        let mut inner = self.lock();
        let full = inner.messages.len() >= inner.capacity;
        match ticket {
            _ if inner.closed => return Pushed::Taken,
            None if full && (inner.lags || overdue) => {
                inner.lags = true;
                return Pushed::Dropped;
            }
            None if full => {
                inner.blocks = true;
                return Pushed::Full;
            }
            _ => {}
        }
        inner.messages.push_back((message.clone(), ticket.filter(|_| full).cloned()));
        later.wakers.extend(inner.reader.take());
        Pushed::Taken
    }

    /// Takes a message out; if there is none, `reader` is woken by the next.
    pub(crate) fn pop(&self, reader: &Waker) -> Taken {
        let mut inner = self.lock();
        if let Some((message, _)) = inner.messages.pop_front() {
            inner.lags = false;
            let unblocks = core::mem::take(&mut inner.blocks);
            let last = inner.capacity.saturating_sub(1);
            let ticket = inner.messages.get_mut(last).and_then(|(_, ticket)| ticket.take());
            return Taken::Message { message, ticket, unblocks };
        }
        if inner.closed {
            return Taken::Closed;
        }
        inner.reader = Some(reader.clone());
        Taken::Empty
    }

    /// Nothing more is taken in; what was acknowledged, or will not be sent again, can still be read.
    pub(super) fn close(&self, keep: bool, later: &mut Later) {
        let mut inner = self.lock();
        inner.closed = true;
        if keep {
            inner.messages.retain(|(message, ticket)| ticket.is_none() || message.qos() == QoS::AtMostOnce);
        }
        later.wakers.extend(inner.reader.take());
    }

    /// Nobody reads any more.
    pub(crate) fn discard(&self) {
        let messages = {
            let mut inner = self.lock();
            inner.closed = true;
            core::mem::take(&mut inner.messages)
        };
        drop(messages); // tickets come back
    }
}
