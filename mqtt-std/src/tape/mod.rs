//! What went into the machine, in a file: what a client did can be done again, bit for bit.
//!
//! The machine of [`mqtt_core`] reads no clock and does no I/O: the same calls make the same bytes. A [`Tape`] has each call, with
//! its moment, its bytes and its command, and what the machine answered. [`replay`] builds the machine again, makes the same calls,
//! and says where an answer differs. So a failure in the field becomes a test by copying a file; once it is mended [`renew`] puts the answers
//! of now in the place of those of then. `mqtt-replay` (`cargo install --path examples`) does both, and shows the conversation.
//!
//! ```
//! use std::time::Duration;
//! use mqtt_std::tape::{Progress, Redact, Tape, replay};
//! use mqtt_std::testkit::{Broker, BrokerOptions};
//! use mqtt_std::{Client, Options, QoS};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("mqtt-tape-{}", std::process::id()));
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let broker = Broker::start(BrokerOptions::new()).await?;
//! let tape = Tape::to_file(&path).redact(Redact::SECRETS.payloads());
//! let options: Options = broker.url().parse()?;
//! let client = Client::connect(options.password("secret").user_name("alice").tape(&tape)).await?;
//! client.publish("cellar/pump", "on").qos(QoS::ExactlyOnce).await?;
//! client.shutdown(Duration::from_secs(5)).await?;
//! assert_eq!(tape.ended().await.progress, Progress::Complete);
//!
//! let replayed = replay(&std::fs::read(&path)?)?;
//! assert!(replayed.is_complete());
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```
//!
//! # What it costs
//!
//! Without the feature `tape` there is no code for it, and without a tape in the options a branch for each call. With one,
//! calls are encoded under the client's lock and written by a thread of the tape's own: nobody waits for a disk. Where that fails
//! or falls behind, or at its [limit](Tape::limit), the tape ends, with a mark in the file if it can be written; the
//! client goes on. [`Tape::status`] says so, and a warning in the log.
//!
//! # What it shows
//!
//! Everything but passwords and Authentication Data: payloads, topics, user names. [`Redact`] says what else is left out. What is left
//! out keeps its length, so that all other bits are the same.
//!
//! # Format
//!
//! A header: `MQTT tape` and a line feed; a byte each for the version of the format (1), the Protocol Level that the options ask
//! for, what is left out (bits as in [`Redact`], from the lowest: secrets, payloads, user names, topics, User Properties, Reason Strings),
//! and the number of connections after which an exchange is suspected; four bytes that name the code which makes the hashes of states;
//! then numbers: milliseconds since 1970, exchanges, bytes of messages, Topic Aliases in and out. There is no seed: the machine has
//! no randomness. A number has seven bits a byte, the lowest first.
//!
//! Then entries, each with its length in front as a number: what it is (a byte: `Kind` in `tape/format.rs`), the moment if the call
//! has one (0 for the epoch, or else the distance to the moment before, doubled, odd if it goes back, and one more), the arguments,
//! the answer. Texts and packets have their length, how many `x` at their end are left out, and the others. Commands are the packets
//! that they are, as 5.0 writes them; what came is the packet as it came; a record is what [`mqtt_core::Record::encode`] writes. An
//! answer has its length; one of more than 40 bytes stands as its first 24 and a CRC-32 of all. Of a call whose arguments make no
//! packet there is little more than its name: the machine has refused it. Where the deadline, or what is in flight, has changed since
//! the entry before, an entry says how; every 256 calls one has a CRC-32 of all that the machine knows. The last entry says why it is
//! the last one. A file that ends without it is of a program that died; it can be replayed as far as it goes.

mod answer;
mod apply;
mod describe;
mod encode;
mod format;
mod mask;
mod pipe;
mod recorder;
mod redact;
mod replay;

#[cfg(test)]
mod tests;

pub(crate) use recorder::{Note, Notes};
pub use redact::Redact;
pub use replay::{Difference, ReplayError, Replayed, renew, replay, replay_and_show};

use core::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mqtt_core::ProtocolVersion;
use tokio::sync::watch;

use crate::machine::Capacities;
use crate::options::Options;
use crate::store::for_the_owner;
use format::Header;
use pipe::{Open, Pipe};
use recorder::Recorder;

/// Where the notes of one client go. A clone is the same one.
#[derive(Clone)]
pub struct Tape {
    /// Until a client has taken it.
    open: Arc<Mutex<Option<Open>>>,
    limit: u64,
    redact: Redact,
    status: watch::Sender<TapeStatus>,
}

impl Tape {
    /// A tape in this file, which is made when the client is; what was in it is gone then. On Unix it is for its owner alone. A link, or
    /// what is no file, is not written to: [`to_writer`](Self::to_writer) is for those.
    #[must_use]
    pub fn to_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(Box::new(move || {
            // A new one: what is there may be readable for others.
            if fs::symlink_metadata(&path).is_ok_and(|there| there.is_file()) {
                fs::remove_file(&path)?;
            }
            Ok(Box::new(for_the_owner().write(true).create_new(true).open(path)?))
        }))
    }

    /// A tape that is written to `writer`, in large parts, by a thread of its own.
    #[must_use]
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(Box::new(move || Ok(Box::new(writer))))
    }

    fn new(open: Open) -> Self {
        let status = TapeStatus { progress: Progress::Unused, bytes: 0 };
        Self {
            open: Arc::new(Mutex::new(Some(open))),
            limit: 64 << 20,
            redact: Redact::SECRETS,
            status: watch::Sender::new(status),
        }
    }

    /// Sets how many bytes it may have; default: 64 MiB. Then it ends, with a mark that says so.
    #[must_use]
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets what is left out; default: passwords and Authentication Data.
    #[must_use]
    pub const fn redact(mut self, redact: Redact) -> Self {
        self.redact = redact;
        self
    }

    /// How it gets on.
    #[must_use]
    pub fn status(&self) -> TapeStatus {
        *self.status.borrow()
    }

    /// Waits until nothing more is written: the client has ended, or the tape has before it. May be dropped. Without a client it
    /// waits for one.
    pub async fn ended(&self) -> TapeStatus {
        let mut status = self.status.subscribe();
        let ended =
            status.wait_for(|status| matches!(status.progress, Progress::Complete | Progress::Stopped(_))).await;
        // There is always a sender: this one.
        ended.map_or_else(|_| self.status(), |status| *status)
    }

    /// Begins, for the first client that asks.
    fn begin(&self, version: ProtocolVersion, capacities: Capacities) -> Option<Recorder> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let header = Header {
            version,
            capacities,
            redact: self.redact,
            layout: recorder::layout(),
            began: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        };
        self.status.send_modify(|status| status.progress = Progress::Recording);
        match Pipe::start(open, self.status.clone()) {
            Ok(pipe) => Some(Recorder::to_file(pipe, self.limit, &header)),
            Err(error) => {
                self.status.send_modify(|status| status.progress = Progress::Stopped(Stop::Failed(error.kind())));
                None
            }
        }
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("redact", &self.redact).field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Options {
    /// Writes what goes into the machine to a tape; default: none. The tape is that of the first client that is made
    /// with it: another one made from a copy of these options has none.
    #[must_use]
    pub fn tape(mut self, tape: &Tape) -> Self {
        self.tape = Some(tape.clone());
        self
    }
}

/// How a tape gets on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TapeStatus {
    /// Whether it is written.
    pub progress: Progress,
    /// Bytes that were written.
    pub bytes: u64,
}

/// Whether a tape is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// No client has it yet.
    Unused,
    /// Its client lives.
    Recording,
    /// Its client has ended, and all of it is written.
    Complete,
    /// It has ended before its client.
    Stopped(Stop),
}

/// Why a tape ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// Its client has ended.
    ClientEnded,
    /// At its [limit](Tape::limit).
    Limit,
    /// The disk fell too far behind: 16 MiB waited for it.
    TooSlow,
    /// It could not be written.
    Failed(io::ErrorKind),
    /// A call could not be put into words: a defect of the tape.
    Unwritable,
}

impl Stop {
    const fn number(self) -> u8 {
        match self {
            Self::ClientEnded => 0,
            Self::Limit => 1,
            Self::TooSlow => 2,
            Self::Failed(_) => 3,
            Self::Unwritable => 4,
        }
    }

    const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::ClientEnded),
            1 => Some(Self::Limit),
            2 => Some(Self::TooSlow),
            // Which one is not written.
            3 => Some(Self::Failed(io::ErrorKind::Other)),
            4 => Some(Self::Unwritable),
            _ => None,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientEnded => f.write_str("the client has ended"),
            Self::Limit => f.write_str("at its limit"),
            Self::TooSlow => f.write_str("the disk was too slow"),
            Self::Failed(kind) => write!(f, "it could not be written: {kind}"),
            Self::Unwritable => f.write_str("a call could not be written"),
        }
    }
}
