//! Who waits for which answer.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::RequestStatistics;
use crate::error::Error;
use crate::message::Message;

#[derive(Debug)]
pub(super) struct Table(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: HashMap<u64, oneshot::Sender<Message>>,
    answered: u64,
    unknown: u64,
    closed: bool,
}

impl Table {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Inner { waiting: HashMap::new(), answered: 0, unknown: 0, closed: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub(super) fn expect(&self) -> Result<Expected<'_>, Error> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        // Who was sent one request is not to know the keys of others, which other responders answer.
        let mut key = crate::random::seed();
        while inner.waiting.contains_key(&key) {
            key = crate::random::seed();
        }
        let (sender, answer) = oneshot::channel();
        inner.waiting.insert(key, sender);
        Ok(Expected { table: self, key, answer })
    }

    /// An answer has come; without a key it is none to a request.
    pub(super) fn answer(&self, key: Option<u64>, message: Message) {
        let sender = {
            let mut inner = self.lock();
            let sender = key.and_then(|key| inner.waiting.remove(&key));
            let counter = if sender.is_some() { &mut inner.answered } else { &mut inner.unknown };
            *counter = counter.saturating_add(1);
            sender
        };
        match sender {
            Some(sender) => drop(sender.send(message)),
            None => tracing::debug!(topic = message.topic(), "an answer that nobody waits for"),
        }
    }

    pub(super) fn statistics(&self) -> RequestStatistics {
        let inner = self.lock();
        RequestStatistics { waiting: inner.waiting.len(), answered: inner.answered, unknown: inner.unknown }
    }

    /// No answers come any more once this is gone.
    pub(super) fn close_on_drop(self: &Arc<Self>) -> CloseOnDrop {
        CloseOnDrop(Arc::clone(self))
    }
}

pub(super) struct CloseOnDrop(Arc<Table>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let waiting = {
            let mut inner = self.0.lock();
            inner.closed = true;
            core::mem::take(&mut inner.waiting)
        };
        drop(waiting); // wakes
    }
}

/// A request that waits; dropped, it is forgotten.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    table: &'a Table,
    key: u64,
    answer: oneshot::Receiver<Message>,
}

impl Expected<'_> {
    pub(super) const fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.map_err(|_| Error::Closed))
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let sender = self.table.lock().waiting.remove(&self.key);
        drop(sender);
    }
}
