//! Messages that are not acknowledged yet.
//!
//! A full stream must not stop the reading: the acknowledgement that its reader waits for may be the next packet. So a
//! message at QoS 1 or 2 waits behind the stream's capacity, unacknowledged, and the Receive Maximum bounds how many do. Its
//! ticket comes back once every stream has taken it, and the message is acknowledged. One at QoS 0, which nothing
//! bounds, waits there only as long as an acknowledgement of the broker's is due.
//!
//! A stream that acknowledges later keeps its share of the ticket until then.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::Acknowledgement;

/// What is out, and what has come back.
#[derive(Debug)]
pub(crate) struct Tickets {
    inner: Mutex<Inner>,
    maximum: usize,
    maximum_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    out: usize,
    bytes: usize,
    returned: Vec<Acknowledgement>,
    withheld: Vec<Acknowledgement>,
}

/// Given for a message; dropped, it comes back.
#[derive(Debug)]
pub(crate) struct Ticket {
    tickets: Arc<Tickets>,
    acknowledgement: Option<Acknowledgement>,
    bytes: usize,
    /// It acknowledges nothing any more.
    void: AtomicBool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Its message is in a store until it is confirmed: it stays with it until that is taken from the stream.
    is_durable: bool,
    is_counted: bool,
}

impl Tickets {
    pub(crate) fn new(maximum: usize, maximum_bytes: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), maximum, maximum_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a message of so many bytes.
    pub(crate) fn give(self: &Arc<Self>, acknowledgement: Option<Acknowledgement>, bytes: usize) -> Arc<Ticket> {
        self.count(bytes);
        Arc::new(self.ticket(acknowledgement, bytes, Kind { is_durable: false, is_counted: true }))
    }

    /// For a message that is in a store until it is confirmed.
    pub(crate) fn give_durable(self: &Arc<Self>, token: Acknowledgement, bytes: usize) -> Arc<Ticket> {
        self.count(bytes);
        Arc::new(self.ticket(Some(token), bytes, Kind { is_durable: true, is_counted: true }))
    }

    /// For one that comes again from there: nobody knows when its stream does.
    pub(crate) fn give_again(self: &Arc<Self>, token: Acknowledgement) -> Arc<Ticket> {
        Arc::new(self.ticket(Some(token), 0, Kind { is_durable: true, is_counted: false }))
    }

    fn ticket(self: &Arc<Self>, acknowledgement: Option<Acknowledgement>, bytes: usize, kind: Kind) -> Ticket {
        Ticket { tickets: Arc::clone(self), acknowledgement, bytes, void: AtomicBool::new(false), kind }
    }

    fn count(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.out = inner.out.saturating_add(1);
        inner.bytes = inner.bytes.saturating_add(bytes);
    }

    /// Tells whether those that are out are few enough for their messages to wait.
    pub(crate) fn may_wait(&self) -> bool {
        let inner = self.lock();
        inner.out <= self.maximum && inner.bytes <= self.maximum_bytes
    }

    /// How many are out.
    pub(crate) fn out(&self) -> u64 {
        self.lock().out as u64
    }

    /// What is to be acknowledged.
    pub(crate) fn take_returned(&self) -> Vec<Acknowledgement> {
        core::mem::take(&mut self.lock().returned)
    }

    /// What would be to be acknowledged, and will not be.
    pub(crate) fn take_withheld(&self) -> Vec<Acknowledgement> {
        core::mem::take(&mut self.lock().withheld)
    }
}

impl Ticket {
    /// Its message is in a store until it is confirmed.
    pub(crate) const fn is_durable(&self) -> bool {
        self.kind.is_durable
    }

    /// What it acknowledges; nothing at QoS 0.
    pub(crate) const fn acknowledgement(&self) -> Option<Acknowledgement> {
        self.acknowledgement
    }

    /// Its message is not acknowledged by it, whoever else has a share.
    pub(crate) fn void(&self) {
        self.void.store(true, Ordering::Relaxed);
    }

    /// As [`void`](Self::void): who was to acknowledge its message has dropped it.
    pub(crate) fn withhold(&self) {
        if !self.void.swap(true, Ordering::Relaxed) {
            self.tickets.lock().withheld.extend(self.acknowledgement);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.tickets.lock();
        inner.out = inner.out.saturating_sub(usize::from(self.kind.is_counted));
        inner.bytes = inner.bytes.saturating_sub(self.bytes);
        if !*self.void.get_mut() {
            inner.returned.extend(self.acknowledgement);
        }
    }
}
