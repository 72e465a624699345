//! Which messages have been passed on, so that none is twice, whenever the bridge is killed.
//!
//! A message at QoS 2 that was not acknowledged when the bridge ended comes again from the store of the side that it is from, with its number.
//! Whether the store of the other side has it by then is written down here. That store and this file are two, and the bridge may die
//! between the writing of one and of the other; so the store ([`Passing`]) writes both, itself first, before it says that anything is
//! durable. Nothing that it has said so of, and only that is ever sent, is missing here. What it finds in itself at a start, and not here, was
//! never sent, and it forgets it: the message comes again.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mqtt_std::store::{Batch, FileStore, Loaded, Record, Store, StoreError};

/// The number of a message at the side that it is from, and its Packet Identifier at the side to which it was passed on. 0 is the number of one
/// that has none: at QoS 1 it comes again from its broker.
type Entry = (u64, u16);

/// In the file, both with their little end first.
const ENTRY: usize = 10;

/// So many entries are in the file at the most, or twice as many as matter; then those are written anew that do.
const LIMIT: usize = 8_192;

/// Messages that one side's store has.
pub struct Ledger {
    path: PathBuf,
    file: File,
    written: usize,
    /// Numbers of messages that are about to be in the store, in their order.
    expected: VecDeque<u64>,
    /// Those that are there and not acknowledged to the side that they are from.
    open: BTreeMap<u64, u16>,
    /// Those of the life before that have not come again.
    before: BTreeMap<u64, u16>,
}

impl Ledger {
    /// Reads the file, or makes one.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        // An entry that is not whole is one of a message that has not left.
        let before: BTreeMap<u64, u16> = bytes.chunks_exact(ENTRY).filter_map(decode).collect();
        let file = File::options().create(true).append(true).open(&path)?;
        let written = bytes.len() / ENTRY;
        file.set_len((written * ENTRY) as u64)?;
        Ok(Self { path, file, written, expected: VecDeque::new(), open: BTreeMap::new(), before })
    }

    /// Publishes a message; `publish` tells whether the client has taken it, in the order of these calls.
    pub fn pass_on<T, E>(&mut self, number: Option<u64>, publish: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // The store may be quicker than this call.
        self.expected.push_back(number.unwrap_or(0));
        let published = publish();
        if published.is_err() {
            self.expected.pop_back();
        }
        published
    }

    /// Whether this message was passed on in the life before.
    pub fn has(&mut self, number: u64) -> bool {
        let packet = self.before.remove(&number);
        packet.map(|packet| self.open.insert(number, packet)).is_some()
    }

    /// It is acknowledged, and does not come again.
    pub fn remove(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// The next messages that were expected are in the store.
    fn passed(&mut self, packets: &[u16]) -> io::Result<()> {
        let entries: Vec<Entry> =
            packets.iter().map(|packet| (self.expected.pop_front().unwrap_or(0), *packet)).collect();
        let entries: Vec<Entry> = entries.into_iter().filter(|(number, _)| *number != 0).collect();
        self.open.extend(entries.iter().copied());
        if self.written + entries.len() > LIMIT.max(2 * self.open.len()) {
            return self.write_anew();
        }
        self.written += entries.len();
        self.file.write_all(&entries.iter().flat_map(encode).collect::<Vec<u8>>())?;
        self.file.sync_data()
    }

    fn write_anew(&mut self) -> io::Result<()> {
        // Those of the life before came first, if they came.
        self.before.clear();
        let entries = self.open.iter().map(|(number, packet)| (*number, *packet));
        let bytes: Vec<u8> = entries.flat_map(|entry| encode(&entry)).collect();
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        self.file = File::options().append(true).open(&self.path)?;
        self.written = self.open.len();
        Ok(())
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    [&entry.0.to_le_bytes()[..], &entry.1.to_le_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    let (number, packet) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), u16::from_le_bytes(packet.try_into().ok()?)))
}

/// A ledger that the store and the routes have.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    pub fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store of a side: a log file, and the ledger of what it was given to send.
pub struct Passing {
    store: FileStore,
    ledger: Shared,
    /// Packet Identifiers of messages that are appended and not synced.
    fresh: Vec<u16>,
    /// After an error nobody knows any more which message is which: the bridge ends.
    failed: Option<StoreError>,
}

impl Passing {
    pub fn new(store: FileStore, ledger: Shared) -> Self {
        Self { store, ledger, fresh: Vec::new(), failed: None }
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }
}

impl Store for Passing {
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        let sent: HashSet<u16> = self.ledger.lock().before.values().copied().collect();
        let mut forgotten = HashSet::new();
        let loaded = self.store.load(&mut |record| match record {
            Record::Published { packet_identifier, .. } if !sent.contains(&packet_identifier.number()) => {
                forgotten.insert(*packet_identifier);
            }
            Record::Completed { packet_identifier } if forgotten.remove(packet_identifier) => {}
            Record::PubrecReceived { packet_identifier } if forgotten.contains(packet_identifier) => {}
            _ => each(record),
        })?;
        let mut over = Batch::new();
        for packet_identifier in forgotten {
            over.push(&Record::Completed { packet_identifier })
                .map_err(|_| StoreError::Io(io::ErrorKind::InvalidData))?;
        }
        if !over.is_empty() {
            self.store.append(&over)?;
            self.store.sync()?;
        }
        Ok(loaded)
    }

    fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError> {
        self.store.claim(client_identifier)
    }

    fn append(&mut self, records: &Batch) -> Result<(), StoreError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let published = records.iter().filter_map(|record| match Record::decode(record) {
            Ok(Record::Published { packet_identifier, .. }) => Some(packet_identifier.number()),
            _ => None,
        });
        self.fresh.extend(published);
        let appended = self.store.append(records);
        self.note(appended)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let synced = self.store.sync();
        self.note(synced)?;
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        let written = self.ledger.lock().passed(&fresh);
        self.note(written.map_err(|error| StoreError::Io(error.kind())))
    }

    fn tend(&mut self) -> Option<Duration> {
        self.store.tend()
    }
}
