//! Durable sessions: what outlives the program.
//!
//! The core says what is to be written down, as [`Record`]s in their order, and holds back the packets that depend on them. A
//! [`Store`] keeps the records: [`FileStore`] in a log file, with the feature `redb` `RedbStore` in an embedded database, or one of
//! your own. A thread of its own writes them, many with one `fsync`; the connection goes on meanwhile.

mod batch;
mod choice;
mod error;
mod file;
mod journal;
mod ledger;
#[cfg(feature = "redb")]
mod redb;

pub use batch::Batch;
pub(crate) use choice::StoreChoice;
pub use error::StoreError;
pub use file::{Damage, FileStore, Fsync};
pub(crate) use journal::{Journal, Written};
pub use mqtt_core::{DeliveryNumber, Record, RecordedMessage};
#[cfg(feature = "redb")]
pub use redb::RedbStore;

use core::time::Duration;
use std::fs::OpenOptions;

/// Keeps the records of one session.
///
/// The client calls [`load`](Self::load) first, and [`claim`](Self::claim) where that found no owner; then, on a thread of its own,
/// [`append`](Self::append) and [`sync`](Self::sync) by turns. All of them may block.
///
/// A store may forget what [`Record`] says that it may: see the table in [`mqtt_core::Record`]'s module, or keep everything.
pub trait Store: Send {
    /// Gives all records, oldest first.
    ///
    /// # Errors
    /// The records cannot be read: [`StoreError::Corrupt`], [`StoreError::Format`], [`StoreError::Io`].
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError>;

    /// Makes a store without an owner that of this Client Identifier. It is told by [`load`](Self::load) from then on.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError>;

    /// Appends records in their order: all of them, or none.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]. A later call may work again.
    fn append(&mut self, records: &Batch) -> Result<(), StoreError>;

    /// Makes everything durable that was appended, as far as the store promises to.
    ///
    /// # Errors
    /// As for [`append`](Self::append). What was appended since the last call that worked counts as not appended: it does not
    /// come back from [`load`](Self::load), as far as that can be helped.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Does what has to be done now and then, such as compaction; called after each [`sync`](Self::sync). Returns after how long
    /// to call again, though nothing is appended until then.
    fn tend(&mut self) -> Option<Duration> {
        None
    }
}

/// What was found by [`Store::load`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The Client Identifier that the store belongs to; `None`: to nobody yet.
    pub client_identifier: Option<String>,
    /// Bytes at the end that were not whole: the process, or the machine, died while they were written. They are cut off; nothing
    /// had been promised about them.
    pub cut: u64,
    /// Bytes that could not be read and were skipped, because [`Damage::Salvage`] says so.
    pub skipped: u64,
}

impl Loaded {
    /// The records of this Client Identifier, all of them whole.
    #[must_use]
    pub fn of(client_identifier: impl Into<Option<String>>) -> Self {
        Self { client_identifier: client_identifier.into(), cut: 0, skipped: 0 }
    }
}

/// What a client has from its store, see [`Client::restored`](crate::Client::restored).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Restored {
    /// Messages that a program before published, and that have no outcome yet: they are under way. Their receipts are gone.
    pub publishes: usize,
    /// Those of them that were not delivered: the log says why.
    pub failed: usize,
    /// Messages at QoS 2 that a program before received and did not confirm, and that wait for a stream that matches.
    pub messages: usize,
    /// As in [`Loaded::cut`].
    pub cut: u64,
    /// As in [`Loaded::skipped`].
    pub skipped: u64,
}

/// Files that are made have messages in them, which are nobody else's.
pub(crate) fn for_the_owner() -> OpenOptions {
    #[allow(unused_mut)] // only Unix has modes
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
