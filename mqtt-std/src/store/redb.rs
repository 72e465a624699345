//! A session in an embedded database.

use core::fmt;
use std::path::Path;

use mqtt_core::Record;
use redb::{Database, ReadableTable as _, TableDefinition, TableError};

use super::ledger::{Ledger, Note};
use super::{Batch, Loaded, Store, StoreError, for_the_owner};

/// Keeps a session in a [redb](https://docs.rs/redb) database file of its own.
///
/// Each round of records is one transaction, durable when it is committed; a record that is no longer needed is removed with
/// the next one. Beside [`FileStore`](super::FileStore) it costs more writing, and its file is read by redb's tools.
pub struct RedbStore {
    database: Database,
    limit: u64,
    ledger: Ledger<Place>,
    /// Bytes of the records that are needed, and of those to be written.
    needed: u64,
    next_key: u64,
    /// Appended, and not committed.
    appended: Vec<Vec<u8>>,
    /// Keys to be removed.
    forgotten: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    key: u64,
    len: u64,
}

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const OWNER: TableDefinition<'_, (), &str> = TableDefinition::new("owner");

/// Beyond the limit there is so much room for what has happened, which cannot be refused.
const RESERVE: u64 = 1 << 20;

impl RedbStore {
    /// Opens the database in this file, which is made if there is none, for its owner alone.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: somebody else has it; [`StoreError::Corrupt`], [`StoreError::Format`], [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = for_the_owner().read(true).write(true).create(true).truncate(false).open(path)?;
        let database = Database::builder().create_file(file).map_err(any)?;
        Ok(Self {
            database,
            limit: 1 << 30,
            ledger: Ledger::default(),
            needed: 0,
            next_key: 0,
            appended: Vec::new(),
            forgotten: Vec::new(),
        })
    }

    /// Sets how many bytes of records are kept; default: 1 GiB. What does not fit fails with [`StoreError::Full`]. The file is
    /// larger, as redb's pages are.
    #[must_use]
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    fn note(&mut self, record: &[u8], key: u64) {
        let len = record.len() as u64;
        self.needed = self.needed.saturating_add(len);
        let (needed, forgotten) = (&mut self.needed, &mut self.forgotten);
        let mut forget = |_, place: Place| {
            *needed = needed.saturating_sub(place.len);
            forgotten.push(place.key);
        };
        let note = Note::of_encoded(record);
        self.ledger.note(note, Place { key, len }, &mut forget);
        if matches!(note, Note::SessionStarted(_)) {
            self.ledger.thin_out(&mut forget);
        }
    }

    fn commit(&self) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(any)?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(any)?;
            for (key, record) in (self.next_key..).zip(&self.appended) {
                table.insert(key, record.as_slice()).map_err(any)?;
            }
            for key in &self.forgotten {
                table.remove(*key).map_err(any)?;
            }
        }
        transaction.commit().map_err(any)
    }

    /// The Client Identifier that the store belongs to, and the records under their keys.
    fn read(&self) -> Result<(Option<String>, Vec<Entry>), StoreError> {
        let transaction = self.database.begin_read().map_err(any)?;
        let owner = match transaction.open_table(OWNER) {
            Ok(table) => table.get(()).map_err(any)?.map(|owner| owner.value().to_owned()),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(any(error)),
        };
        let mut records = Vec::new();
        match transaction.open_table(RECORDS) {
            Ok(table) => {
                for entry in table.iter().map_err(any)? {
                    let (key, record) = entry.map_err(any)?;
                    records.push((key.value(), record.value().to_owned()));
                }
            }
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(any(error)),
        }
        Ok((owner, records))
    }
}

type Entry = (u64, Vec<u8>);

impl Store for RedbStore {
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        let (owner, records) = self.read()?;
        (self.ledger, self.needed) = (Ledger::default(), 0);
        self.appended.clear();
        for (key, record) in records {
            each(&Record::decode(&record).map_err(|_| StoreError::Format)?);
            self.note(&record, key);
            self.next_key = key.saturating_add(1);
        }
        Ok(Loaded::of(owner))
    }

    fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(any)?;
        transaction.open_table(OWNER).map_err(any)?.insert((), client_identifier).map_err(any)?;
        transaction.commit().map_err(any)
    }

    fn append(&mut self, records: &Batch) -> Result<(), StoreError> {
        let is_command = records.iter().any(|record| Note::of_encoded(record).is_command());
        let limit = self.limit.saturating_add(if is_command { 0 } else { RESERVE });
        let waiting: u64 = self.appended.iter().map(|record| record.len() as u64).sum();
        let new: u64 = records.iter().map(|record| record.len() as u64).sum();
        if self.needed.saturating_add(waiting).saturating_add(new) > limit {
            return Err(StoreError::Full);
        }
        self.appended.extend(records.iter().map(<[u8]>::to_vec));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if self.appended.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.commit() {
            self.appended.clear();
            return Err(error);
        }
        self.forgotten.clear();
        for record in core::mem::take(&mut self.appended) {
            let key = self.next_key;
            self.next_key = key.saturating_add(1);
            self.note(&record, key);
        }
        Ok(())
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

fn any(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse,
        redb::Error::Io(error) => error.into(),
        redb::Error::Corrupted(_) => StoreError::Corrupt { at: 0 },
        redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. } => StoreError::Format,
        error => {
            tracing::error!(%error, "the store fails");
            StoreError::Io(std::io::ErrorKind::Other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_core::{PacketIdentifier, Properties, RecordedMessage, TopicName};

    struct Remove(std::path::PathBuf);

    impl Drop for Remove {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn file(name: &str) -> Remove {
        Remove(std::env::temp_dir().join(format!("mqtt-std-{name}-{}.redb", std::process::id())))
    }

    fn published(number: u16, payload: &[u8]) -> Record<'_> {
        let topic = TopicName::new("t").unwrap();
        let message = RecordedMessage { topic, retain: false, properties: Properties::EMPTY, payload };
        let packet_identifier = PacketIdentifier::new(number).unwrap();
        Record::Published { packet_identifier, message, exactly_once: false, expires_in: None, source: None }
    }

    fn completed(number: u16) -> Record<'static> {
        Record::Completed { packet_identifier: PacketIdentifier::new(number).unwrap() }
    }

    fn write(store: &mut RedbStore, records: &[Record<'_>]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        records.iter().for_each(|record| batch.push(record).unwrap());
        store.append(&batch)?;
        store.sync()
    }

    fn load(store: &mut RedbStore) -> (Loaded, Vec<String>) {
        let mut records = Vec::new();
        let loaded = store.load(&mut |record| records.push(format!("{record:?}"))).unwrap();
        (loaded, records)
    }

    #[test]
    fn what_was_written_is_read_again_and_what_is_over_is_not() {
        let path = file("read");
        let mut store = RedbStore::open(&path.0).unwrap();
        assert_eq!(load(&mut store), (Loaded::default(), vec![]));
        store.claim("pump-7").unwrap();
        write(&mut store, &[published(1, b"a"), published(2, b"b")]).unwrap();
        write(&mut store, &[completed(1), published(3, b"c")]).unwrap();
        assert_eq!(RedbStore::open(&path.0).err(), Some(StoreError::InUse));
        // Appended, and not made durable.
        let mut batch = Batch::new();
        batch.push(&published(4, b"d")).unwrap();
        store.append(&batch).unwrap();
        drop(store);
        let mut store = RedbStore::open(&path.0).unwrap();
        let (loaded, records) = load(&mut store);
        assert_eq!(loaded, Loaded::of("pump-7".to_owned()));
        assert_eq!(records.len(), 4, "what is over goes with the next round");
        write(&mut store, &[completed(2)]).unwrap();
        write(&mut store, &[published(5, b"e")]).unwrap();
        assert_eq!(load(&mut store).1, [published(3, b"c"), published(5, b"e")].map(|record| format!("{record:?}")));
    }

    #[test]
    fn a_full_store_refuses_and_works_again() {
        let path = file("full");
        let mut store = RedbStore::open(&path.0).unwrap().limit(3_000);
        load(&mut store);
        store.claim("pump-7").unwrap();
        let payload = [0; 1_000];
        write(&mut store, &[published(1, &payload), published(2, &payload)]).unwrap();
        assert_eq!(write(&mut store, &[published(3, &payload)]), Err(StoreError::Full));
        write(&mut store, &[completed(1)]).unwrap();
        write(&mut store, &[published(3, &payload)]).unwrap();
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let path = file("other");
        std::fs::write(&path.0, "something else, and longer than a header is").unwrap();
        assert!(RedbStore::open(&path.0).is_err());
    }
}
