//! The way to the file, and the thread that writes it: nobody else waits for the disk.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Progress, Stop, TapeStatus};
use crate::contain::contain;

/// What is written to; a file is made by the thread.
pub(super) type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Write + Send>> + Send>;

/// Bytes on their way to the thread.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    /// No more will come, and why.
    closed: Option<Stop>,
    /// The thread sleeps.
    is_idle: bool,
    /// The thread has given up.
    failed: Option<io::ErrorKind>,
}

/// More bytes do not wait for a disk.
const HELD: usize = 16 << 20;

impl Pipe {
    /// Starts the thread, which tells how it gets on.
    pub(super) fn start(open: Open, status: watch::Sender<TapeStatus>) -> io::Result<Arc<Self>> {
        let pipe = Arc::new(Self::default());
        let other = Arc::clone(&pipe);
        std::thread::Builder::new().name("mqtt-tape".to_owned()).spawn(move || {
            // The writer may be the application's code.
            let written = contain(|| other.write(open, &status)).unwrap_or(Err(io::ErrorKind::Other));
            let end = match written {
                Ok(Stop::ClientEnded) => Progress::Complete,
                Ok(stop) => Progress::Stopped(stop),
                Err(kind) => Progress::Stopped(Stop::Failed(kind)),
            };
            other.lock().failed = written.err();
            if let Progress::Stopped(stop) = end {
                tracing::warn!(reason = %stop, "a tape is not complete");
            }
            let _ = contain(|| status.send_modify(|status| status.progress = end));
        })?;
        Ok(pipe)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands bytes to the thread.
    pub(super) fn push(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut inner = self.lock();
        if let Some(kind) = inner.failed {
            return Err(Stop::Failed(kind));
        }
        // One that is larger goes when nothing else waits.
        if !inner.bytes.is_empty() && inner.bytes.len().saturating_add(bytes.len()) > HELD {
            return Err(Stop::TooSlow);
        }
        inner.bytes.extend_from_slice(bytes);
        if inner.is_idle {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Lets the thread end once it has written what is here, and the mark. The first reason stays.
    pub(super) fn close(&self, stop: Stop, mark: &[u8]) {
        let mut inner = self.lock();
        if inner.closed.is_none() {
            inner.closed = Some(stop);
            inner.bytes.extend_from_slice(mark);
            self.filled.notify_one();
        }
    }

    fn write(&self, open: Open, status: &watch::Sender<TapeStatus>) -> Result<Stop, io::ErrorKind> {
        let mut file = open().map_err(|error| error.kind())?;
        let mut taken = Vec::new();
        loop {
            let closed = self.take(&mut taken);
            file.write_all(&taken).and_then(|()| file.flush()).map_err(|error| error.kind())?;
            status.send_modify(|status| status.bytes = status.bytes.saturating_add(taken.len() as u64));
            if let Some(stop) = closed {
                return Ok(stop);
            }
        }
    }

    /// Waits for bytes and takes them all; tells whether and why no more will come.
    fn take(&self, taken: &mut Vec<u8>) -> Option<Stop> {
        taken.clear();
        let mut inner = self.lock();
        inner.is_idle = true;
        let empty = |inner: &mut Inner| inner.bytes.is_empty() && inner.closed.is_none();
        inner = self.filled.wait_while(inner, empty).unwrap_or_else(PoisonError::into_inner);
        inner.is_idle = false;
        core::mem::swap(&mut inner.bytes, taken);
        inner.closed
    }
}
