//! Where a payload is read from.

use core::fmt;
use core::future::{Future, ready};
use core::pin::Pin;
use std::collections::HashMap;
use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt_core::{EncodeError, PacketIdentifier, QoS, UsageError};
use tokio::io::AsyncRead;

/// A reader of a payload, or why there is none; see [`PayloadSource::open`].
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Reader>> + Send>>;

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A payload that can be read again from its start, for a message that is sent again after a reconnect.
///
/// What it gives must be the same each time, until the message has its outcome. [`PayloadFile`](crate::PayloadFile) and
/// [`Bytes`] are such sources.
///
/// ```
/// use std::io::Cursor;
///
/// /// As many zeros as are wanted.
/// struct Zeros(u64);
///
/// impl mqtt_std::PayloadSource for Zeros {
///     fn length(&self) -> u64 {
///         self.0
///     }
///
///     fn open(&self) -> mqtt_std::Opening {
///         let zeros = tokio::io::AsyncReadExt::take(tokio::io::repeat(0), self.0);
///         Box::pin(async { Ok(Box::pin(zeros) as _) })
///     }
/// }
/// ```
pub trait PayloadSource: Send + Sync + 'static {
    /// Bytes of the payload: what a reader gives to its end, exactly.
    fn length(&self) -> u64;

    /// Begins to read from the start: called whenever the message is sent, on a task of its own, within the client's runtime.
    fn open(&self) -> Opening;
}

impl PayloadSource for Bytes {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self) -> Opening {
        let reader: Reader = Box::pin(Cursor::new(self.clone()));
        Box::pin(ready(Ok(reader)))
    }
}

/// What [`Client::publish_from`](crate::Client::publish_from) reads: a [`PayloadSource`], for any QoS, or a reader that can
/// be read once, for QoS 0.
#[derive(Clone)]
pub struct Source {
    length: u64,
    key: u32,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Rewindable(Arc<dyn PayloadSource>),
    Once(Arc<Mutex<Option<Reader>>>),
    /// It was given before the program was started again.
    Named(Finder),
}

/// Finds the source with a key; see [`Options::sources`](crate::Options::sources).
#[derive(Clone)]
pub(crate) struct Finder(Arc<dyn Fn(u32) -> Option<Source> + Send + Sync>);

impl Source {
    /// The next `length` bytes of a reader, which are read once: for QoS 0. What is behind them is not looked at.
    pub fn once(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        Self { length, key: 0, kind: Kind::Once(Arc::new(Mutex::new(Some(Box::pin(reader))))) }
    }

    /// Names the source, for a message at QoS 1 or 2 with a durable session; default: 0. The key is in the session's store,
    /// the payload is not: when the message is sent again after the program was started again,
    /// [`Options::sources`](crate::Options::sources) is asked for it.
    #[must_use]
    pub fn key(mut self, key: u32) -> Self {
        self.key = key;
        self
    }

    /// Bytes of the payload.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    pub(crate) const fn named(&self) -> u32 {
        self.key
    }

    /// The length, if a message at this QoS can be read from here.
    pub(crate) fn length_for(&self, qos: QoS) -> Result<u32, UsageError> {
        if matches!(self.kind, Kind::Once(_)) && qos != QoS::AtMostOnce {
            return Err(UsageError::WrongQoS);
        }
        u32::try_from(self.length).map_err(|_| EncodeError::PacketTooLarge.into())
    }

    /// Begins to read. The flag tells whether what is behind the payload is to be looked at: there must be nothing.
    pub(super) async fn open(&self) -> io::Result<(Reader, bool)> {
        match &self.kind {
            Kind::Rewindable(source) => Ok((source.open().await?, true)),
            Kind::Once(reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok((reader.ok_or_else(|| io::Error::other("it was read before"))?, false))
            }
            Kind::Named(finder) => {
                let found = (finder.0)(self.key).filter(|found| !matches!(found.kind, Kind::Named(_)));
                let found = found.ok_or(io::ErrorKind::NotFound)?;
                if found.length != self.length {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it has another length than before"));
                }
                Box::pin(found.open()).await
            }
        }
    }
}

impl Finder {
    pub(crate) fn new(find: impl Fn(u32) -> Option<Source> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder").finish_non_exhaustive()
    }
}

impl<S: PayloadSource> From<S> for Source {
    fn from(source: S) -> Self {
        Self { length: source.length(), key: 0, kind: Kind::Rewindable(Arc::new(source)) }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("length", &self.length).field("key", &self.key).finish_non_exhaustive()
    }
}

/// The sources of messages at QoS 1 and 2 that have no outcome yet.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    by_exchange: HashMap<PacketIdentifier, Source>,
    finder: Option<Finder>,
}

impl Sources {
    pub(crate) fn new(finder: Option<Finder>) -> Self {
        Self { by_exchange: HashMap::new(), finder }
    }

    pub(crate) fn insert(&mut self, packet_identifier: PacketIdentifier, source: Source) {
        self.by_exchange.insert(packet_identifier, source);
    }

    /// The source of this message, or of one of an earlier run, which is looked for when it is opened.
    pub(crate) fn get(&self, packet_identifier: PacketIdentifier, length: u32, key: u32) -> Option<Source> {
        let named = |finder: &Finder| Source { length: length.into(), key, kind: Kind::Named(finder.clone()) };
        self.by_exchange.get(&packet_identifier).cloned().or_else(|| self.finder.as_ref().map(named))
    }

    /// The message has its outcome.
    pub(crate) fn remove(&mut self, packet_identifier: PacketIdentifier) -> Option<Source> {
        if self.by_exchange.is_empty() { None } else { self.by_exchange.remove(&packet_identifier) }
    }

    /// Takes all of them.
    pub(crate) fn take(&mut self) -> Vec<Source> {
        core::mem::take(&mut self.by_exchange).into_values().collect()
    }
}
