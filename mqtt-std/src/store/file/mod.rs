//! A session in a log file.

mod disk;
mod format;
mod log;
mod scan;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};

use mqtt_core::Record;

use super::{Batch, Loaded, Store, StoreError};
use disk::Directory;
use log::{Log, LogOptions};

/// Keeps a session in a directory of its own: an append-only log with checksums, compacted now and then.
///
/// ```
/// use mqtt_std::Options;
/// use mqtt_std::store::{FileStore, Fsync};
///
/// # let path = std::env::temp_dir().join(format!("mqtt-std-doc-{}", std::process::id()));
/// let store = FileStore::open(&path)?.fsync(Fsync::Always).limit(64 << 20);
/// let options: Options = "mqtt://localhost?client_id=pump-7".parse()?;
/// let options = options.store(store);
/// # drop(options);
/// # std::fs::remove_dir_all(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A process that dies while it writes leaves an end that is not whole; it is cut off, and [`Loaded::cut`] counts its bytes.
/// Nothing that had been promised is in it.
pub struct FileStore {
    path: PathBuf,
    log: Log<Directory>,
}

/// When what was appended is made durable against the loss of power.
///
/// Against the end of the process, also by SIGKILL, it is durable as soon as the system has it, with each of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fsync {
    /// Before anything that depends on it is sent, or said to be accepted. One `fsync` covers all that waits for one.
    Always,
    /// So often. A loss of power may lose what was accepted in that time, or double it.
    Every(Duration),
    /// When the system gets to it.
    Never,
}

/// What to do with a log that is damaged in the middle: bytes that were promised cannot be read, others behind them can.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Damage {
    /// Refuse to open it, with [`StoreError::Corrupt`].
    Refuse,
    /// Go on with what can be read. Messages whose records are gone may be lost, or come or be sent once more. The damaged log is
    /// kept beside as `session.damaged`.
    Salvage,
    /// Begin a session without state. The damaged log is kept beside as `session.damaged`.
    StartAfresh,
}

impl FileStore {
    /// Opens the store in this directory, which is made if there is none. Nobody else can open it as long as this one lives. On Unix
    /// what is made, directory and files, is for its owner alone; a directory that is there keeps its mode.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: another process has it, or another client in this one; [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let directory = Directory::lock(path)?.ok_or(StoreError::InUse)?;
        let options = LogOptions { limit: 1 << 30, fsync: Fsync::Always, damage: Damage::Refuse };
        Ok(Self { path: path.to_owned(), log: Log::new(directory, options) })
    }

    /// Sets when what was appended is made durable against the loss of power; default: [`Fsync::Always`].
    #[must_use]
    pub const fn fsync(mut self, fsync: Fsync) -> Self {
        self.log.options.fsync = fsync;
        self
    }

    /// Sets how many bytes the log may have; default: 1 GiB. Beyond that it is compacted; what does not fit then fails with
    /// [`StoreError::Full`]. While it is compacted there are two of them for a moment.
    #[must_use]
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.log.options.limit = bytes;
        self
    }

    /// Sets what to do with a log that is damaged in the middle; default: [`Damage::Refuse`].
    #[must_use]
    pub const fn damage(mut self, damage: Damage) -> Self {
        self.log.options.damage = damage;
        self
    }
}

impl Store for FileStore {
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        self.log.load(each)
    }

    fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError> {
        self.log.claim(client_identifier)
    }

    fn append(&mut self, records: &Batch) -> Result<(), StoreError> {
        self.log.append(records)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.log.sync()
    }

    fn tend(&mut self) -> Option<Duration> {
        self.log.tend()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}
