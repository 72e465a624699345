//! Which stream gets which message.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::{TopicFilter, TopicName};

use crate::message::Message;

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
        let alone = |filter: &Box<str>| !self.routes.iter().any(|route| route.filter == *filter);
        gone.into_iter().map(|route| route.filter).filter(alone).collect()
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

    /// No more messages will come.
    pub(crate) fn close(&mut self) {
        for route in core::mem::take(&mut self.routes) {
            route.queue.close();
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
    messages: VecDeque<Message>,
    capacity: usize,
    closed: bool,
    reader: Option<Waker>,
    /// The driver found it full and waits.
    blocks: bool,
}

/// What a reader finds.
pub(crate) enum Taken {
    /// A message; `unblocks`: the driver waits for the room.
    Message { message: Message, unblocks: bool },
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    Closed,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let inner = Inner { messages: VecDeque::new(), capacity, closed: false, reader: None, blocks: false };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in; `false`: it is full, and the next one that leaves says so.
    pub(crate) fn push(&self, message: &Message) -> bool {
        let reader = {
            let mut inner = self.lock();
            if inner.closed {
                return true;
            }
            if inner.messages.len() >= inner.capacity {
                inner.blocks = true;
                return false;
            }
            inner.messages.push_back(message.clone());
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Takes a message out; if there is none, `reader` is woken by the next.
    pub(crate) fn pop(&self, reader: &Waker) -> Taken {
        let mut inner = self.lock();
        if let Some(message) = inner.messages.pop_front() {
            let unblocks = core::mem::take(&mut inner.blocks);
            return Taken::Message { message, unblocks };
        }
        if inner.closed {
            return Taken::Closed;
        }
        inner.reader = Some(reader.clone());
        Taken::Empty
    }

    pub(crate) fn close(&self) {
        let reader = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}
