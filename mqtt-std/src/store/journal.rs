//! The thread that writes records, and the way to it.
//!
//! Whoever calls the machine encodes its record into a buffer; the thread takes the whole buffer, writes it, and tells. While it
//! waits for the disk the next buffer fills: under load one `fsync` covers many records, and nobody else waits for a disk.

use core::time::Duration;
use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mqtt_core::{EncodeError, PacketIdentifier, Record, RecordTicket};

use super::batch::Batch;
use super::ledger::Note;
use super::{Store, StoreError};

/// Records on their way to the thread.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    batch: Batch,
    tickets: Vec<RecordTicket>,
    /// No more records will come.
    is_closed: bool,
    /// The thread sleeps.
    is_idle: bool,
}

/// What became of records.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// All up to this number are durable, or failed.
    pub(crate) up_to: u64,
    pub(crate) failed: Vec<Failed>,
}

/// A record of something that was asked for, which is not in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub(crate) ticket: RecordTicket,
    pub(crate) error: StoreError,
}

impl Journal {
    /// Starts the thread. It tells what became of records, and at last that it is over and the store closed (`None`).
    pub(crate) fn start(
        store: Box<dyn Store>,
        tell: impl FnMut(Option<Written>) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let journal = Arc::new(Self::default());
        let writer = Writer {
            journal: Arc::clone(&journal),
            store,
            round: Round::default(),
            kept: Round::default(),
            refused: HashSet::new(),
            latest: 0,
            failures: 0,
        };
        let end = End(tell);
        std::thread::Builder::new().name("mqtt-store".to_owned()).spawn(move || writer.run(end))?;
        Ok(journal)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record to the thread.
    pub(crate) fn push(&self, ticket: RecordTicket, record: &Record<'_>) -> Result<(), EncodeError> {
        let mut inner = self.lock();
        inner.batch.push(record)?;
        inner.tickets.push(ticket);
        if inner.is_idle {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Lets the thread end once it has written what is here.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Waits for records and takes them all, or until the time is over; `false`: no more will come.
    fn take(&self, round: &mut Round, timeout: Option<Duration>) -> bool {
        let mut inner = self.lock();
        inner.is_idle = true;
        let empty = |inner: &mut Inner| inner.batch.is_empty() && !inner.is_closed;
        inner = match timeout {
            Some(timeout) => {
                let waited = self.filled.wait_timeout_while(inner, timeout, empty);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.filled.wait_while(inner, empty).unwrap_or_else(PoisonError::into_inner),
        };
        inner.is_idle = false;
        core::mem::swap(&mut inner.batch, &mut round.batch);
        core::mem::swap(&mut inner.tickets, &mut round.tickets);
        !inner.is_closed
    }
}

/// Records that are written at once.
#[derive(Debug, Default)]
struct Round {
    batch: Batch,
    tickets: Vec<RecordTicket>,
}

impl Round {
    fn clear(&mut self) {
        self.batch.clear();
        self.tickets.clear();
    }

    fn push(&mut self, ticket: RecordTicket, record: &[u8]) {
        self.tickets.push(ticket);
        self.batch.push_encoded(record);
    }

    fn iter(&self) -> impl Iterator<Item = (RecordTicket, &[u8])> {
        self.tickets.iter().copied().zip(self.batch.iter())
    }
}

/// Tells that it is over, also if a store panics.
struct End<F: FnMut(Option<Written>)>(F);

impl<F: FnMut(Option<Written>)> Drop for End<F> {
    fn drop(&mut self) {
        (self.0)(None);
    }
}

/// What the thread has.
struct Writer {
    journal: Arc<Journal>,
    store: Box<dyn Store>,
    round: Round,
    /// What tells of something that has happened, and could not be written: it is tried again, before all else.
    kept: Round,
    /// Publishes that the store refused: that they are over need not be written.
    refused: HashSet<PacketIdentifier>,
    /// The number of the latest record.
    latest: u64,
    /// Attempts that failed, one after the other.
    failures: u32,
}

impl Writer {
    fn run(mut self, mut end: End<impl FnMut(Option<Written>)>) {
        let mut timeout = self.store.tend();
        loop {
            let go_on = self.journal.take(&mut self.round, timeout);
            if let Some(written) = self.write() {
                (end.0)(Some(written));
            }
            timeout = self.store.tend();
            if self.failures > 0 {
                let delay = FIRST_DELAY.saturating_mul(1 << self.failures.min(7));
                timeout = Some(timeout.map_or(delay, |timeout| timeout.min(delay)));
            }
            if !go_on {
                break;
            }
        }
        if !self.kept.batch.is_empty() {
            tracing::error!(
                records = self.kept.tickets.len(),
                "the store does not know how the last exchanges went on"
            );
        }
        let Self { store, .. } = self;
        drop(store);
        drop(end);
    }

    /// Writes what was kept and what is new; `None`: there is nothing to tell.
    fn write(&mut self) -> Option<Written> {
        self.latest = self.round.tickets.last().map_or(self.latest, |ticket| ticket.number());
        let mut all = core::mem::take(&mut self.kept);
        if all.tickets.is_empty() && self.refused.is_empty() {
            core::mem::swap(&mut all, &mut self.round);
        } else {
            let new = core::mem::take(&mut self.round);
            for (ticket, record) in new.iter() {
                if !self.is_about_refused(record) {
                    all.push(ticket, record);
                }
            }
        }
        if all.tickets.is_empty() {
            return None;
        }
        let mut written = Written { up_to: self.latest, failed: Vec::new() };
        let results = self.append(&all);
        self.failures = if results.iter().any(Result::is_err) { self.failures.saturating_add(1) } else { 0 };
        for ((ticket, record), result) in all.iter().zip(results) {
            let Err(error) = result else { continue };
            let note = Note::of_encoded(record);
            if note.is_command() {
                written.failed.push(Failed { ticket, error });
                if let Note::Published(id) = note {
                    self.refused.insert(id);
                }
            } else {
                if self.kept.tickets.is_empty() {
                    tracing::error!(%error, "the store fails, and is tried again");
                    written.up_to = ticket.number().saturating_sub(1);
                }
                self.kept.push(ticket, record);
            }
        }
        all.clear();
        self.round = all; // for its memory
        Some(written)
    }

    fn is_about_refused(&mut self, record: &[u8]) -> bool {
        // Most of the time there are none.
        !self.refused.is_empty() && matches!(Note::of_encoded(record), Note::Completed(id) if self.refused.remove(&id))
    }

    /// Writes all records with one sync. Where not all of them fit, those that do are written.
    fn append(&mut self, all: &Round) -> Vec<Result<(), StoreError>> {
        let count = all.tickets.len();
        let mut results = match self.store.append(&all.batch) {
            Err(StoreError::Full) if count > 1 => self.append_each(all),
            result => vec![result; count],
        };
        if results.iter().any(Result::is_ok) {
            if let Err(error) = self.store.sync() {
                results.fill(Err(error));
            }
        }
        results
    }

    fn append_each(&mut self, all: &Round) -> Vec<Result<(), StoreError>> {
        let mut single = Batch::new();
        let mut stuck = Ok(());
        let each = all.iter().map(|(_, record)| {
            // Nothing is written before what has happened earlier.
            stuck?;
            single.clear();
            single.push_encoded(record);
            let result = self.store.append(&single);
            if result.is_err() && !Note::of_encoded(record).is_command() {
                stuck = result;
            }
            result
        });
        each.collect()
    }
}

/// Before the second attempt; doubled for each further one, up to 128 times.
const FIRST_DELAY: Duration = Duration::from_millis(50);
