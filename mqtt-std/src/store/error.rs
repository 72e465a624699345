//! What can go wrong with a store.

use core::fmt;
use std::io;

/// An error of a [`Store`](super::Store).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StoreError {
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// The store has reached its limit, or the disk is full. What is completed makes room.
    Full,
    /// What is kept from this byte on is damaged, and more was written behind it: a file of [`FileStore`](super::FileStore)
    /// can be opened all the same, see [`Damage`](super::Damage).
    Corrupt {
        /// Where the damage begins, in bytes; 0 where the store cannot tell.
        at: u64,
    },
    /// It is no store, or that of a later version of this library.
    Format,
    /// Another process, or another client in this one, has it.
    InUse,
    /// It belongs to another Client Identifier than the options say.
    OtherClient,
    /// It is new, and the options do not say to which Client Identifier it belongs.
    NoClientIdentifier,
    /// The options leave the session less room than it takes: `in_flight`, or `storage`.
    SessionTooLarge,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "store: {kind}"),
            Self::Full => f.write_str("store is full"),
            Self::Corrupt { at } => write!(f, "store is damaged at byte {at}"),
            Self::Format => f.write_str("no store, or one of a later version"),
            Self::InUse => f.write_str("store is in use"),
            Self::OtherClient => f.write_str("store belongs to another client identifier"),
            Self::NoClientIdentifier => f.write_str("a new store needs a client identifier"),
            Self::SessionTooLarge => f.write_str("session in the store is larger than the options allow"),
        }
    }
}

impl core::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            kind => Self::Io(kind),
        }
    }
}
