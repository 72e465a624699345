//! A log whose bytes are not what was written: the fuzzer calls this, and so does a test.

use std::fs;
use std::path::{Path, PathBuf};

use mqtt_core::{PacketIdentifier, Properties, Record, RecordedMessage, TopicName};
use mqtt_std::store::{Batch, FileStore, Fsync, Store, StoreError};

const RECORDS: u16 = 12;

/// A log of some records.
pub(crate) struct Log {
    directory: PathBuf,
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Log {
    /// Writes it to this directory, which is made.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut store = open(directory);
        store.load(&mut |_| {}).expect("an empty one");
        store.claim("fuzz").expect("it can be written");
        append(&mut store, 1..=RECORDS);
        drop(store);
        let files = fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("a file").path());
        let file = files.max_by_key(|path| path.metadata().map_or(0, |data| data.len())).expect("a log");
        let bytes = fs::read(&file).expect("it can be read");
        Self { directory: directory.to_owned(), file, bytes }
    }

    /// Changes it as `edits` say. Whatever became of it: its first records are there, each as it was written, or an error says what
    /// is wrong. What was opened takes another record.
    pub(crate) fn damage(&self, edits: &[u8]) {
        let mut damaged = self.bytes.clone();
        for edit in edits.chunks_exact(4) {
            let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % damaged.len().max(1);
            match edit[0] % 4 {
                0 => damaged.truncate(at),
                1 => damaged.extend(&edit[1..]),
                _ => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= edit[3]),
            }
        }
        fs::write(&self.file, &damaged).expect("it can be written");
        let mut store = open(&self.directory);
        let mut found = Vec::new();
        match store.load(&mut |record| found.push(text(record))) {
            Ok(_) => {
                let expected: Vec<String> = (1..=RECORDS).map(|number| text(&record(number))).collect();
                assert!(expected.starts_with(&found), "{found:?}");
                if store.load(&mut |_| {}).is_ok_and(|loaded| loaded.client_identifier.is_none()) {
                    store.claim("fuzz").expect("it can be written");
                }
                append(&mut store, RECORDS + 1..=RECORDS + 1);
                drop(store);
                let mut again = Vec::new();
                open(&self.directory)
                    .load(&mut |record| again.push(text(record)))
                    .expect("what was written can be read");
                found.push(text(&record(RECORDS + 1)));
                assert_eq!(again, found);
            }
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Format), "{error}"),
        }
    }
}

fn open(directory: &Path) -> FileStore {
    FileStore::open(directory).expect("nobody else has it").fsync(Fsync::Never)
}

fn append(store: &mut FileStore, numbers: impl Iterator<Item = u16>) {
    let mut batch = Batch::new();
    numbers.for_each(|number| batch.push(&record(number)).expect("it can be encoded"));
    store.append(&batch).expect("it can be written");
    store.sync().expect("it can be written");
}

/// One that stays: a message that nobody acknowledges.
fn record(number: u16) -> Record<'static> {
    Record::Published {
        packet_identifier: PacketIdentifier::new(number).expect("not 0"),
        message: RecordedMessage {
            topic: TopicName::new("fuzz/topic").expect("a topic"),
            retain: false,
            properties: Properties::EMPTY,
            payload: b"payload",
        },
        exactly_once: number % 2 == 0,
        expires_in: None,
        source: None,
    }
}

fn text(record: &Record<'_>) -> String {
    format!("{record:?}")
}
