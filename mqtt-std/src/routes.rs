//! Which stream gets which message.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::{QoS, TopicFilter, TopicName};

use crate::later::Later;
use crate::message::Message;
use crate::tickets::Ticket;

/// The streams there are, by their filters.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    filter: Box<str>,
    queue: Arc<Queue>,
}

impl Routes {
    pub(crate) fn add(&mut self, filter: &str, queue: &Arc<Queue>) {
        self.routes.push(Route { filter: filter.into(), queue: Arc::clone(queue) });
    }

    /// Takes a stream out; returns those of its filters that no other stream has.
    pub(crate) fn remove(&mut self, queue: &Arc<Queue>) -> Vec<Box<str>> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.routes).into_iter().partition(|route| Arc::ptr_eq(&route.queue, queue));
        self.routes = kept;
        let alone = |route: &Route| !self.routes.iter().any(|other| other.filter == route.filter);
        gone.into_iter().filter(alone).map(|route| route.filter).collect()
    }

    /// The broker has no subscription with this filter any more: streams that have it end once their messages are read. Other
    /// filters of theirs are returned as by [`remove`](Self::remove).
    pub(crate) fn refuse(&mut self, filter: &str, later: &mut Later) -> Vec<Box<str>> {
        let refused: Vec<_> =
            self.routes.iter().filter(|route| *route.filter == *filter).map(|route| Arc::clone(&route.queue)).collect();
        let mut others = Vec::new();
        for queue in refused {
            queue.close(false, later);
            others.extend(self.remove(&queue));
        }
        others.retain(|other| **other != *filter);
        others
    }

    /// The streams that get a message with this topic, each once.
    pub(crate) fn matching(&self, topic: TopicName<'_>) -> Vec<Arc<Queue>> {
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for route in &self.routes {
            let matches = TopicFilter::new(&route.filter).is_ok_and(|filter| filter.matches(topic));
            if matches && !queues.iter().any(|queue| Arc::ptr_eq(queue, &route.queue)) {
                queues.push(Arc::clone(&route.queue));
            }
        }
        queues
    }

    /// No more messages will come. `keep`: a broker that keeps the session sends again what is not acknowledged.
    pub(crate) fn close(&mut self, keep: bool, later: &mut Later) {
        for route in core::mem::take(&mut self.routes) {
            route.queue.close(keep, later);
        }
    }
}

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
    fn close(&self, keep: bool, later: &mut Later) {
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
