//! A disk that fails, loses power or loses the process at every byte, and what a log makes of it.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use mqtt_core::{DeliveryNumber, PacketIdentifier, Properties, Record, RecordedMessage, TopicName};

use super::disk::{Disk, DiskFile};
use super::log::{Log, LogOptions};
use super::{Damage, Fsync};
use crate::store::{Batch, Loaded, StoreError};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Which file each name means, and meant when the directory was last made durable.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<Contents>,
    /// After so many more bytes and operations everything fails: each byte of a write is one, as is any other change.
    budget: Option<usize>,
    /// What is said then.
    error: Option<ErrorKind>,
    syncs: usize,
}

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

struct FakeFile {
    disk: Fake,
    number: usize,
}

impl Fake {
    fn change<T>(&self, cost: usize, change: impl FnOnce(&mut Inner, usize) -> T) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        let allowed = inner.budget.map_or(cost, |budget| budget.min(cost));
        if let Some(budget) = &mut inner.budget {
            *budget -= allowed;
        }
        if allowed < cost && cost == 1 {
            return Err(inner.error.unwrap_or(ErrorKind::Other).into());
        }
        let value = change(&mut inner, allowed);
        if allowed < cost { Err(inner.error.unwrap_or(ErrorKind::Other).into()) } else { Ok(value) }
    }

    fn fail_after(&self, budget: usize, error: ErrorKind) {
        let mut inner = self.0.lock().unwrap();
        (inner.budget, inner.error) = (Some(budget), Some(error));
    }

    fn work_again(&self) {
        self.0.lock().unwrap().budget = None;
    }

    /// The machine dies: of what was not made durable so many bytes of each file remain, and the names of `named_anew`.
    fn lose_power(&self, remaining: usize, names_anew: bool) {
        let mut inner = self.0.lock().unwrap();
        for file in &mut inner.files {
            let known = file.durable.len();
            let mut left = file.durable.clone();
            if file.bytes.starts_with(&file.durable) {
                left.extend(file.bytes[known..].iter().take(remaining));
            }
            (file.bytes, file.durable) = (left.clone(), left);
        }
        if names_anew {
            inner.durable_names = inner.names.clone();
        } else {
            inner.names = inner.durable_names.clone();
        }
        inner.budget = None;
    }

    fn log_bytes<T>(&self, look: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut inner = self.0.lock().unwrap();
        let number = inner.names["session.log"];
        look(&mut inner.files[number].bytes)
    }

    fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().names.contains_key(name)
    }

    fn syncs(&self) -> usize {
        self.0.lock().unwrap().syncs
    }
}

impl Disk for Fake {
    type File = FakeFile;

    fn open(&mut self, name: &str) -> io::Result<Option<FakeFile>> {
        let number = self.0.lock().unwrap().names.get(name).copied();
        Ok(number.map(|number| FakeFile { disk: self.clone(), number }))
    }

    fn create(&mut self, name: &str) -> io::Result<FakeFile> {
        let number = self.change(1, |inner, _| {
            inner.files.push(Contents::default());
            inner.names.insert(name.to_owned(), inner.files.len() - 1);
            inner.files.len() - 1
        })?;
        Ok(FakeFile { disk: self.clone(), number })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(1, |inner, _| {
            let number = inner.names.remove(from).unwrap();
            inner.names.insert(to.to_owned(), number);
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change(1, |inner, _| inner.durable_names = inner.names.clone())
    }
}

impl DiskFile for FakeFile {
    fn size(&mut self) -> io::Result<u64> {
        Ok(self.disk.0.lock().unwrap().files[self.number].bytes.len() as u64)
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.0.lock().unwrap();
        let from = inner.files[self.number].bytes.get(at as usize..at as usize + bytes.len());
        bytes.copy_from_slice(from.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        // A write of one byte would be all or nothing; there are none.
        assert!(bytes.len() > 1);
        self.disk.change(bytes.len(), |inner, allowed| {
            let file = &mut inner.files[self.number].bytes;
            let end = at as usize + allowed;
            if file.len() < end {
                file.resize(end, 0);
            }
            file[at as usize..end].copy_from_slice(&bytes[..allowed]);
        })
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.disk.change(1, |inner, _| inner.files[self.number].bytes.resize(size as usize, 0))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(1, |inner, _| {
            inner.syncs += 1;
            let file = &mut inner.files[self.number];
            file.durable.clone_from(&file.bytes);
        })
    }
}

const OPTIONS: LogOptions = LogOptions { limit: 1 << 20, fsync: Fsync::Always, damage: Damage::Refuse };

fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn message(payload: &str) -> RecordedMessage<'_> {
    let topic = TopicName::new("t").unwrap();
    RecordedMessage { topic, retain: false, properties: Properties::EMPTY, payload: payload.as_bytes() }
}

fn published(number: u16, payload: &str) -> Record<'_> {
    Record::Published {
        packet_identifier: id(number),
        message: message(payload),
        exactly_once: true,
        expires_in: None,
        source: None,
    }
}

fn received(delivery: u64, number: u16, payload: &str) -> Record<'_> {
    Record::Received { delivery: DeliveryNumber(delivery), packet_identifier: id(number), message: message(payload) }
}

fn batch(records: &[Record<'_>]) -> Batch {
    let mut batch = Batch::new();
    records.iter().for_each(|record| batch.push(record).unwrap());
    batch
}

fn write(log: &mut Log<Fake>, records: &[Record<'_>]) -> Result<(), StoreError> {
    log.append(&batch(records))?;
    log.sync()
}

fn load(log: &mut Log<Fake>) -> Result<(Loaded, Vec<String>), StoreError> {
    let mut records = Vec::new();
    let loaded = log.load(&mut |record| records.push(format!("{record:?}")))?;
    Ok((loaded, records))
}

fn opened(disk: &Fake) -> Log<Fake> {
    let mut log = Log::new(disk.clone(), OPTIONS);
    if load(&mut log).unwrap().0.client_identifier.is_none() {
        log.claim("pump-7").unwrap();
    }
    log
}

fn texts(records: &[Record<'_>]) -> Vec<String> {
    records.iter().map(|record| format!("{record:?}")).collect()
}

/// Some rounds of an exchange in each direction.
fn rounds() -> Vec<Vec<Record<'static>>> {
    let delivery = DeliveryNumber(1);
    vec![
        vec![Record::SessionStarted { client_identifier: "pump-7", after: DeliveryNumber(3) }, published(1, "a")],
        vec![published(2, "b"), Record::PubrecReceived { packet_identifier: id(1) }],
        vec![received(1, 9, "in"), Record::Completed { packet_identifier: id(1) }],
        vec![Record::Released { packet_identifier: id(9) }, Record::Confirmed { delivery }, published(3, "c")],
    ]
}

#[test]
fn what_was_written_is_read_again() {
    let disk = Fake::default();
    let mut log = opened(&disk);
    let all: Vec<_> = rounds().into_iter().flatten().collect();
    for round in rounds() {
        write(&mut log, &round).unwrap();
    }
    let (loaded, records) = load(&mut Log::new(disk.clone(), OPTIONS)).unwrap();
    assert_eq!(loaded, Loaded::of("pump-7".to_owned()));
    assert_eq!(records, texts(&all));
    assert_eq!(disk.syncs(), 1 + rounds().len(), "one for each round");
}

#[test]
fn a_log_cut_at_any_byte_is_whole_up_to_a_round() {
    let disk = Fake::default();
    let mut log = opened(&disk);
    let mut ends = vec![disk.log_bytes(|bytes| bytes.len())];
    for round in rounds() {
        write(&mut log, &round).unwrap();
        ends.push(disk.log_bytes(|bytes| bytes.len()));
    }
    let whole = disk.log_bytes(|bytes| bytes.clone());
    for cut in ends[0]..=whole.len() {
        disk.log_bytes(|bytes| *bytes = whole[..cut].to_vec());
        let mut log = Log::new(disk.clone(), OPTIONS);
        let (loaded, records) = load(&mut log).unwrap();
        let full = ends.iter().rposition(|end| *end <= cut).unwrap();
        let expected: Vec<_> = rounds().into_iter().take(full).flatten().collect();
        assert_eq!(records, texts(&expected), "cut at {cut}");
        assert_eq!(loaded.cut, (cut - ends[full]) as u64);
        // It goes on behind what is whole.
        write(&mut log, &[published(7, "on")]).unwrap();
        let (loaded, records) = load(&mut Log::new(disk.clone(), OPTIONS)).unwrap();
        assert_eq!((loaded.cut, records.len()), (0, expected.len() + 1));
    }
}

// The process dies, or the disk fails, or power is lost, at every byte of every write and every other change.
#[test]
fn nothing_that_was_promised_is_lost_at_any_byte() {
    for compact in [false, true] {
        let mut budget = 0;
        loop {
            let disk = Fake::default();
            let mut log = opened(&disk);
            disk.fail_after(budget, ErrorKind::Other);
            let (mut promised, mut written) = (Vec::new(), Vec::new());
            let mut failed = false;
            for round in rounds() {
                written.extend(round.clone());
                match write(&mut log, &round) {
                    Ok(()) => promised.extend(round),
                    Err(error) => {
                        assert_eq!(error, StoreError::Io(ErrorKind::Other));
                        failed = true;
                        break;
                    }
                }
                if compact {
                    // At any moment.
                    log.compact_now().ok();
                }
            }
            for (remaining, names_anew) in
                [(usize::MAX, true), (0, true), (0, false), (5, false), (5, true), (30, true)]
            {
                let disk = Fake(Arc::new(Mutex::new(copy(&disk))));
                if remaining < usize::MAX {
                    disk.lose_power(remaining, names_anew);
                }
                disk.work_again();
                let mut log = Log::new(disk.clone(), OPTIONS);
                let (loaded, records) = load(&mut log).unwrap();
                assert_eq!(loaded.client_identifier.as_deref(), Some("pump-7"));
                assert_eq!(loaded.skipped, 0);
                let context = format!("after {budget}, {remaining} left, compacted: {compact}");
                // Exactly what was promised, or that and the round that was being written.
                let (least, most) = (needed(&texts(&promised)), needed(&texts(&written)));
                let found = needed(&records);
                assert!(found == least || found == most, "{context}: {found:?}");
                write(&mut log, &[published(7, "on")]).unwrap();
                assert!(load(&mut log).unwrap().1.contains(&texts(&[published(7, "on")])[0]));
            }
            if !failed {
                break;
            }
            budget += 1;
        }
        assert!(budget > 100);
    }
}

fn copy(disk: &Fake) -> Inner {
    let inner = disk.0.lock().unwrap();
    let (names, durable_names, files) = (inner.names.clone(), inner.durable_names.clone(), inner.files.clone());
    Inner { names, durable_names, files, ..Inner::default() }
}

/// What is still of use of the records of [`rounds`].
fn needed(records: &[String]) -> BTreeSet<String> {
    let is_over = |record: &String| {
        let has = |text: &str| records.iter().any(|other| other.starts_with(text));
        let completed =
            has("Completed") && (record.contains("PacketIdentifier(1)") || record.contains("payload: [97]"));
        let settled = has("Confirmed") && (record.starts_with("Received") || record.starts_with("Released"));
        completed || settled
    };
    records.iter().filter(|record| !is_over(record)).cloned().collect()
}

#[test]
fn an_append_that_failed_leaves_nothing_behind() {
    let disk = Fake::default();
    let mut log = opened(&disk);
    write(&mut log, &[published(1, "a")]).unwrap();
    let before = disk.log_bytes(|bytes| bytes.len());
    for error in [ErrorKind::StorageFull, ErrorKind::Other] {
        let expected = if error == ErrorKind::Other { StoreError::Io(error) } else { StoreError::Full };
        for budget in 0..30 {
            disk.fail_after(budget, error);
            assert_eq!(write(&mut log, &[published(2, "not written")]), Err(expected), "{budget}");
            disk.work_again();
        }
    }
    write(&mut log, &[published(3, "c")]).unwrap();
    let (loaded, records) = load(&mut Log::new(disk.clone(), OPTIONS)).unwrap();
    assert_eq!(loaded.cut, 0);
    assert_eq!(records, texts(&[published(1, "a"), published(3, "c")]));
    assert!(disk.log_bytes(|bytes| bytes.len()) > before);
}

#[test]
fn a_sync_that_failed_takes_back_what_was_appended() {
    let disk = Fake::default();
    let mut log = opened(&disk);
    write(&mut log, &[published(1, "a")]).unwrap();
    log.append(&batch(&[published(2, "b")])).unwrap();
    log.append(&batch(&[published(3, "c")])).unwrap();
    disk.fail_after(0, ErrorKind::Other);
    assert_eq!(log.sync(), Err(StoreError::Io(ErrorKind::Other)));
    disk.work_again();
    write(&mut log, &[published(4, "d")]).unwrap();
    let records = load(&mut Log::new(disk, OPTIONS)).unwrap().1;
    assert_eq!(records, texts(&[published(1, "a"), published(4, "d")]));
}

#[test]
fn damage_in_the_middle_is_told_from_a_torn_end() {
    let disk = Fake::default();
    let mut log = opened(&disk);
    let start = disk.log_bytes(|bytes| bytes.len());
    for round in rounds() {
        write(&mut log, &round).unwrap();
    }
    let whole = disk.log_bytes(|bytes| bytes.clone());
    let last = rounds().len() - 1;
    let ends: Vec<_> = {
        let (disk, mut ends) = (Fake::default(), Vec::new());
        let mut log = opened(&disk);
        for round in rounds() {
            write(&mut log, &round).unwrap();
            ends.push(disk.log_bytes(|bytes| bytes.len()));
        }
        ends
    };
    for byte in start..whole.len() {
        disk.log_bytes(|bytes| {
            bytes.clone_from(&whole);
            bytes[byte] ^= 0x10;
        });
        let round = ends.iter().position(|end| byte < *end).unwrap();
        let at = if round == 0 { start } else { ends[round - 1] } as u64;
        let found = load(&mut Log::new(disk.clone(), OPTIONS));
        if round == last {
            let (loaded, records) = found.unwrap();
            assert_eq!(loaded.cut, whole.len() as u64 - at);
            assert_eq!(records.len(), rounds().iter().take(last).map(Vec::len).sum::<usize>());
            continue;
        }
        assert_eq!(found, Err(StoreError::Corrupt { at }), "byte {byte}");
        assert_eq!(disk.log_bytes(|bytes| bytes.len()), whole.len(), "nothing has changed");

        let salvage = LogOptions { damage: Damage::Salvage, ..OPTIONS };
        let mut log = Log::new(disk.clone(), salvage);
        let (loaded, records) = load(&mut log).unwrap();
        assert_eq!(loaded.skipped, ends[round] as u64 - at);
        let rest: Vec<_> = rounds()
            .into_iter()
            .enumerate()
            .filter(|(number, _)| *number != round)
            .flat_map(|(_, round)| round)
            .collect();
        assert_eq!(records, texts(&rest));
        assert!(disk.has("session.damaged"));
        write(&mut log, &[published(7, "on")]).unwrap();
        assert_eq!(load(&mut Log::new(disk.clone(), OPTIONS)).unwrap().0.skipped, 0, "it is whole again");
    }
}

#[test]
fn a_damaged_log_can_be_begun_afresh() {
    for byte in [9, 60] {
        let disk = Fake::default();
        let mut log = opened(&disk);
        for round in rounds() {
            write(&mut log, &round).unwrap();
        }
        disk.log_bytes(|bytes| bytes[byte] ^= 1);
        assert!(matches!(load(&mut Log::new(disk.clone(), OPTIONS)), Err(StoreError::Corrupt { .. })));
        let mut log = Log::new(disk.clone(), LogOptions { damage: Damage::StartAfresh, ..OPTIONS });
        let (loaded, records) = load(&mut log).unwrap();
        assert_eq!((records.len(), loaded.skipped > 0), (0, true));
        // Whose it is is known where the header can be read.
        assert_eq!(loaded.client_identifier.is_some(), byte == 60);
        if byte == 9 {
            log.claim("pump-7").unwrap();
        }
        write(&mut log, &[published(1, "a")]).unwrap();
        assert_eq!(load(&mut opened(&disk)).unwrap().1, texts(&[published(1, "a")]));
    }
}

#[test]
fn what_is_no_log_is_not_touched() {
    let disk = Fake::default();
    opened(&disk);
    for (bytes, error) in [
        (&b"something else"[..], StoreError::Format),
        (b"", StoreError::Format),
        (b"MQTTLOG\x02 of a later version", StoreError::Format),
        (b"MQTTLOG\x01 short", StoreError::Corrupt { at: 0 }),
    ] {
        disk.log_bytes(|log| *log = bytes.to_vec());
        assert_eq!(load(&mut Log::new(disk.clone(), OPTIONS)), Err(error));
        assert_eq!(disk.log_bytes(|log| log.clone()), bytes);
    }
}

#[test]
fn a_full_log_is_compacted_and_then_refuses() {
    let disk = Fake::default();
    let options = LogOptions { limit: 100_000, ..OPTIONS };
    let mut log = Log::new(disk.clone(), options);
    load(&mut log).unwrap();
    log.claim("pump-7").unwrap();
    let payload = "x".repeat(1_000);
    // Far more than the limit goes through, as long as it is completed.
    for _ in 0..1_000 {
        write(&mut log, &[published(1, &payload)]).unwrap();
        write(&mut log, &[Record::Completed { packet_identifier: id(1) }]).unwrap();
    }
    let mut accepted = 0;
    while write(&mut log, &[published(accepted + 1, &payload)]).is_ok() {
        accepted += 1;
    }
    assert!((20..100).contains(&accepted), "{accepted}");
    assert_eq!(write(&mut log, &[published(999, &payload)]), Err(StoreError::Full));
    // What has happened fits all the same, and makes room.
    for number in 1..=accepted {
        write(&mut log, &[Record::Completed { packet_identifier: id(number) }]).unwrap();
    }
    write(&mut log, &[published(999, &payload)]).unwrap();
    assert!(disk.log_bytes(|bytes| bytes.len()) <= 100_000);
    assert_eq!(load(&mut Log::new(disk, options)).unwrap().1.last(), texts(&[published(999, &payload)]).last());
}

#[test]
fn a_log_that_is_mostly_of_no_use_is_compacted_by_and_by() {
    let disk = Fake::default();
    let mut log = Log::new(disk.clone(), LogOptions { limit: u64::MAX, ..OPTIONS });
    load(&mut log).unwrap();
    log.claim("pump-7").unwrap();
    let payload = "x".repeat(10_000);
    for _ in 0..1_000 {
        write(&mut log, &[published(1, &payload), Record::Completed { packet_identifier: id(1) }]).unwrap();
        assert_eq!(log.tend(), None);
        assert!(disk.log_bytes(|bytes| bytes.len()) < 1_100_000);
    }
}

#[test]
fn the_system_decides_or_the_clock_where_that_is_wanted() {
    let disk = Fake::default();
    drop(opened(&disk));
    let before = disk.syncs();
    let mut log = Log::new(disk.clone(), LogOptions { fsync: Fsync::Never, ..OPTIONS });
    load(&mut log).unwrap();
    write(&mut log, &[published(1, "a")]).unwrap();
    assert_eq!((log.tend(), disk.syncs()), (None, before));
    let mut log = Log::new(disk.clone(), LogOptions { fsync: Fsync::Every(Duration::from_secs(100)), ..OPTIONS });
    load(&mut log).unwrap();
    assert_eq!(log.tend(), None);
    write(&mut log, &[published(2, "b")]).unwrap();
    let left = log.tend().unwrap();
    assert!(left <= Duration::from_secs(100) && left > Duration::from_secs(50), "{left:?}");
    assert_eq!(disk.syncs(), before);
    log.options.fsync = Fsync::Every(Duration::ZERO);
    assert_eq!((log.tend(), disk.syncs()), (None, before + 1));
    assert_eq!(log.tend(), None);
    assert_eq!(disk.syncs(), before + 1, "there is nothing new");
    // At the end it is now or never.
    log.options.fsync = Fsync::Every(Duration::from_secs(100));
    write(&mut log, &[published(3, "c")]).unwrap();
    drop(log);
    assert_eq!(disk.syncs(), before + 2);
}

#[test]
fn only_one_has_a_directory() {
    use super::FileStore;
    use crate::store::Store as _;
    let path = std::env::temp_dir().join(format!("mqtt-std-store-{}", std::process::id()));
    let mut store = FileStore::open(&path).unwrap();
    assert_eq!(FileStore::open(&path).err(), Some(StoreError::InUse));
    assert_eq!(store.load(&mut |_| panic!("a record")).unwrap(), Loaded::default());
    store.claim("pump-7").unwrap();
    store.append(&batch(&[published(1, "a")])).unwrap();
    store.sync().unwrap();
    assert_eq!(FileStore::open(&path).err(), Some(StoreError::InUse));
    drop(store);
    let mut store = FileStore::open(&path).unwrap();
    let mut records = 0;
    assert_eq!(store.load(&mut |_| records += 1).unwrap(), Loaded::of("pump-7".to_owned()));
    assert_eq!(records, 1);
    drop(store);
    std::fs::remove_dir_all(path).unwrap();
}
