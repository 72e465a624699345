//! The thread on which the tasks of all blocking clients run.

use core::future::IntoFuture;
use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::ThreadId;

use tokio::runtime::{Builder, Handle};

use super::park::{self, Until};
use crate::error::Error;

/// A runtime that lasts as long as the process: nothing that waits can find it gone.
#[derive(Clone, Debug)]
pub(super) struct Home {
    handle: Handle,
    thread: ThreadId,
}

static HOME: Mutex<Option<Home>> = Mutex::new(None);

impl Home {
    /// Starts the thread, if it is the first time.
    pub(super) fn enter() -> io::Result<Self> {
        let mut home = HOME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(home) = &*home {
            return Ok(home.clone());
        }
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("mqtt".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = sender.send(Ok(runtime.handle().clone()));
                    runtime.block_on(core::future::pending::<()>());
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        })?;
        let handle = receiver.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
        Ok(home.insert(Self { handle, thread: thread.thread().id() }).clone())
    }

    /// Runs a future on this thread, which has the runtime at hand meanwhile: timers work, and what is spawned runs at home.
    ///
    /// # Errors
    /// [`Error::Timeout`]: it is not done in time, and dropped. [`Error::Deadlock`]: this is the thread that it would wait for.
    pub(super) fn wait<F: IntoFuture>(&self, future: F, until: Until) -> Result<F::Output, Error> {
        if self.is_here() {
            return Err(Error::Deadlock);
        }
        let _entered = self.handle.enter();
        park::wait(future, until).ok_or(Error::Timeout)
    }

    pub(super) fn is_here(&self) -> bool {
        std::thread::current().id() == self.thread
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
