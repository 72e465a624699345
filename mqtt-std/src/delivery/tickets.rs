//! Messages that wait beyond the capacity of a stream.
//!
//! A full stream must not stop the reading: the acknowledgement that its reader waits for may be the next packet. So a
//! message at QoS 1 or 2 waits behind the stream's capacity, unacknowledged, and the Receive Maximum bounds how many do. Its
//! ticket comes back once every stream has taken it, and the message is acknowledged. One at QoS 0, which nothing
//! bounds, waits there only as long as an acknowledgement of the broker's is due.

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
}

/// Given for a message; dropped, it comes back.
#[derive(Debug)]
pub(crate) struct Ticket {
    tickets: Arc<Tickets>,
    acknowledgement: Option<Acknowledgement>,
    bytes: usize,
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
        let mut inner = self.lock();
        inner.out = inner.out.saturating_add(1);
        inner.bytes = inner.bytes.saturating_add(bytes);
        Arc::new(Ticket { tickets: Arc::clone(self), acknowledgement, bytes })
    }

    /// Tells whether those that are out are few enough for their messages to wait.
    pub(crate) fn may_wait(&self) -> bool {
        let inner = self.lock();
        inner.out <= self.maximum && inner.bytes <= self.maximum_bytes
    }

    /// What is to be acknowledged.
    pub(crate) fn take_returned(&self) -> Vec<Acknowledgement> {
        core::mem::take(&mut self.lock().returned)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.tickets.lock();
        inner.out = inner.out.saturating_sub(1);
        inner.bytes = inner.bytes.saturating_sub(self.bytes);
        inner.returned.extend(self.acknowledgement);
    }
}
