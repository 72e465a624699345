//! The log of a session on some disk.

use core::time::Duration;
use std::time::Instant;

use mqtt_core::Record;

use super::disk::{Disk, DiskFile};
use super::format::{self, GROUP_HEAD, LONGEST_HEADER};
use super::scan::{Found, Scan};
use super::{Damage, Fsync};
use crate::store::batch::{Batch, KEPT, records};
use crate::store::ledger::{Ledger, Note};
use crate::store::{Loaded, StoreError};

/// What the options of a store say.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogOptions {
    pub(super) limit: u64,
    pub(super) fsync: Fsync,
    pub(super) damage: Damage,
}

/// A log, and the disk it is on.
pub(super) struct Log<D: Disk> {
    disk: D,
    pub(super) options: LogOptions,
    open: Option<Open<D::File>>,
    /// A group is put together here.
    buffer: Vec<u8>,
}

/// A log that belongs to a client.
struct Open<F> {
    file: F,
    salt: u32,
    client_identifier: String,
    /// Behind the last group.
    end: u64,
    /// Behind the last group that [`Log::sync`] has promised.
    promised: u64,
    /// There may be bytes behind the end.
    torn: bool,
    /// What was appended and is not promised.
    appended: Vec<(Note, Place)>,
    ledger: Ledger<Place>,
    /// Bytes of the records that are needed.
    needed: u64,
    /// The directory knows this file for good.
    is_named: bool,
    /// Since when there is something that was promised and not written through.
    dirty_since: Option<Instant>,
    /// Beyond this size it is compacted.
    compact_beyond: u64,
}

/// Where an encoded record is.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    len: u32,
}

impl Place {
    const fn bytes(self) -> u64 {
        self.len as u64 + 4
    }
}

impl<D: Disk> Log<D> {
    pub(super) const fn new(disk: D, options: LogOptions) -> Self {
        Self { disk, options, open: None, buffer: Vec::new() }
    }

    pub(super) fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        self.open = None;
        let Some(mut file) = self.disk.open(LOG)? else { return Ok(Loaded::default()) };
        let (salt, client_identifier, start) = match read_header(&mut file) {
            Err(StoreError::Corrupt { .. }) if self.starts_afresh() => {
                let skipped = self.set_aside(&mut file)?;
                return Ok(Loaded { skipped, ..Loaded::default() });
            }
            read => read?,
        };
        if self.starts_afresh() && is_damaged(&mut file, salt, start)? {
            let skipped = self.set_aside(&mut file)?;
            tracing::error!(bytes = skipped, "the store is damaged and set aside; the session starts afresh");
            self.claim(&client_identifier)?;
            return Ok(Loaded { skipped, ..Loaded::of(client_identifier) });
        }
        let mut loaded = Loaded::of(client_identifier.clone());
        let mut open = Open::new(file, salt, client_identifier, start);
        let mut scan = Scan::new(&mut open.file, salt, start)?;
        open.end = loop {
            match scan.next()? {
                Found::Group { at, records: bytes } => {
                    for (offset, record) in records(bytes) {
                        let place = Place { at: at.saturating_add(offset as u64), len: record.len() as u32 };
                        note(&mut open.ledger, &mut open.needed, Note::of_encoded(record), place);
                        match Record::decode(record) {
                            Ok(record) => each(&record),
                            // The checksum is right: it is of a later version.
                            Err(_) => return Err(StoreError::Format),
                        }
                    }
                }
                Found::End { at, torn } => {
                    loaded.cut = torn;
                    break at;
                }
                Found::Damage { at, next } if self.options.damage == Damage::Salvage => {
                    loaded.skipped = loaded.skipped.saturating_add(next.saturating_sub(at));
                    scan.skip_to(next);
                }
                Found::Damage { at, .. } => return Err(StoreError::Corrupt { at }),
            }
        };
        open.promised = open.end;
        if loaded.cut > 0 {
            tracing::warn!(bytes = loaded.cut, "the end of the store was not whole and is cut off");
            open.file.truncate(open.end)?;
            if self.options.fsync == Fsync::Always {
                open.file.sync()?;
            }
        }
        if loaded.skipped > 0 {
            tracing::error!(bytes = loaded.skipped, "the store is damaged; what can be read goes on");
            self.set_aside(&mut open.file)?;
            open.compact(&mut self.disk)?;
        }
        self.open = Some(open);
        Ok(loaded)
    }

    pub(super) fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError> {
        let salt = crate::random::seed() as u32;
        let mut file = self.disk.create(NEW)?;
        let header = format::header(salt, client_identifier);
        file.write_at(0, &header)?;
        file.sync()?;
        self.disk.rename(NEW, LOG)?;
        self.disk.sync()?;
        self.open = Some(Open::new(file, salt, client_identifier.to_owned(), header.len() as u64));
        Ok(())
    }

    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else { return Err(StoreError::NoClientIdentifier) };
        if batch.is_empty() {
            return Ok(());
        }
        open.mend()?;
        // What tells of something that has happened is small, and makes room in the end.
        let is_command = batch.iter().any(|record| Note::of_encoded(record).is_command());
        let limit = self.options.limit.saturating_add(if is_command { 0 } else { RESERVE });
        let size = (batch.as_bytes().len() as u64).saturating_add(GROUP_HEAD as u64);
        if open.end.saturating_add(size) > limit {
            let compacted = open.needed.saturating_add(LONGEST_HEADER as u64);
            if !open.appended.is_empty() || compacted.saturating_add(size) > limit {
                return Err(StoreError::Full);
            }
            open.compact(&mut self.disk)?;
            if open.end.saturating_add(size) > limit {
                return Err(StoreError::Full);
            }
        }
        format::write_group(open.salt, batch, &mut self.buffer)?;
        let written = open.file.write_at(open.end, &self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        if let Err(error) = written {
            open.torn = true;
            return Err(error.into());
        }
        let start = open.end.saturating_add(GROUP_HEAD as u64);
        for (offset, record) in records(batch.as_bytes()) {
            let place = Place { at: start.saturating_add(offset as u64), len: record.len() as u32 };
            open.appended.push((Note::of_encoded(record), place));
        }
        open.end = open.end.saturating_add(size);
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.appended.is_empty() {
            return Ok(());
        }
        if matches!(self.options.fsync, Fsync::Always) || !open.is_named {
            let named = if open.is_named { Ok(()) } else { self.disk.sync() };
            if let Err(error) = named.and_then(|()| open.file.sync()) {
                // What is not on the disk now may never be: it is written anew.
                open.appended.clear();
                open.end = open.promised;
                open.torn = true;
                return Err(error.into());
            }
            open.is_named = true;
        } else {
            open.dirty_since.get_or_insert_with(Instant::now);
        }
        open.promised = open.end;
        for (note_of, place) in open.appended.drain(..) {
            note(&mut open.ledger, &mut open.needed, note_of, place);
        }
        Ok(())
    }

    pub(super) fn tend(&mut self) -> Option<Duration> {
        let open = self.open.as_mut()?;
        if open.appended.is_empty() && open.end > open.compact_beyond {
            // What is needed may have grown since.
            open.compact_beyond = compact_beyond(open.needed);
            if open.end > open.compact_beyond {
                if let Err(error) = open.compact(&mut self.disk) {
                    tracing::warn!(%error, "the store is not compacted");
                    open.compact_beyond = open.end.saturating_mul(2);
                }
            }
        }
        let (Fsync::Every(interval), Some(since)) = (self.options.fsync, open.dirty_since) else { return None };
        let left = interval.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Some(left);
        }
        match open.file.sync() {
            Ok(()) => open.dirty_since = None,
            Err(error) => {
                tracing::error!(%error, "the store is not written through");
                // What the system has dropped is written anew, from what it still knows.
                open.compact_beyond = 0;
                open.dirty_since = Some(Instant::now());
                return Some(interval.max(RETRY));
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn compact_now(&mut self) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.compact(&mut self.disk)
    }

    /// Copies a damaged log to a file beside it; tells how many bytes it has.
    fn set_aside(&mut self, file: &mut D::File) -> Result<u64, StoreError> {
        let mut copy = self.disk.create(DAMAGED)?;
        let (mut at, size) = (0, file.size()?);
        let mut bytes = vec![0; COPIED_AT_ONCE];
        while at < size {
            let len = usize::try_from(size.saturating_sub(at)).unwrap_or(COPIED_AT_ONCE).min(COPIED_AT_ONCE);
            let piece = bytes.get_mut(..len).unwrap_or_default();
            file.read_at(at, piece)?;
            copy.write_at(at, piece)?;
            at = at.saturating_add(len as u64);
        }
        copy.sync()?;
        Ok(size)
    }

    fn starts_afresh(&self) -> bool {
        self.options.damage == Damage::StartAfresh
    }
}

impl<D: Disk> Drop for Log<D> {
    /// What was to be written through in a while is now: nobody comes back for it.
    fn drop(&mut self) {
        if let (Fsync::Every(_), Some(open)) = (self.options.fsync, &mut self.open) {
            if open.dirty_since.is_some() {
                if let Err(error) = open.file.sync() {
                    tracing::error!(%error, "the store is not written through");
                }
            }
        }
    }
}

impl<F: DiskFile> Open<F> {
    fn new(file: F, salt: u32, client_identifier: String, end: u64) -> Self {
        Self {
            file,
            salt,
            client_identifier,
            end,
            promised: end,
            torn: false,
            appended: Vec::new(),
            ledger: Ledger::default(),
            needed: 0,
            is_named: true,
            dirty_since: None,
            compact_beyond: compact_beyond(0),
        }
    }

    /// Cuts off what an append left that failed.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.torn {
            self.file.truncate(self.end)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Puts a log with what is needed in the place of this one. On an error this one goes on.
    fn compact<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), StoreError> {
        let needed = &mut self.needed;
        self.ledger.thin_out(&mut |_, place: Place| *needed = needed.saturating_sub(place.bytes()));
        let salt = crate::random::seed() as u32;
        let mut copy = Copy { file: disk.create(NEW)?, salt, end: 0, places: Vec::new(), group: Batch::new() };
        let header = format::header(salt, &self.client_identifier);
        copy.file.write_at(0, &header)?;
        copy.end = header.len() as u64;
        let mut record = Vec::new();
        for (_, place) in self.ledger.live() {
            record.clear();
            record.resize(place.len as usize, 0);
            self.file.read_at(place.at, &mut record)?;
            copy.push(&record)?;
        }
        copy.flush()?;
        copy.file.sync()?;
        disk.rename(NEW, LOG)?;
        for (place, copied) in self.ledger.places_mut().zip(&copy.places) {
            *place = *copied;
        }
        (self.file, self.salt, self.end, self.promised) = (copy.file, salt, copy.end, copy.end);
        (self.torn, self.dirty_since) = (false, None);
        self.compact_beyond = compact_beyond(self.needed);
        // Otherwise before anything else is promised.
        self.is_named = disk.sync().is_ok();
        tracing::debug!(bytes = self.end, "the store is compacted");
        Ok(())
    }
}

/// A log that is being written anew.
struct Copy<F> {
    file: F,
    salt: u32,
    end: u64,
    places: Vec<Place>,
    group: Batch,
}

impl<F: DiskFile> Copy<F> {
    fn push(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let start = self.end.saturating_add((GROUP_HEAD + 4) as u64);
        let at = start.saturating_add(self.group.as_bytes().len() as u64);
        self.places.push(Place { at, len: record.len() as u32 });
        self.group.push_encoded(record);
        if self.group.as_bytes().len() >= COPIED_AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        format::write_group(self.salt, &self.group, &mut bytes)?;
        self.file.write_at(self.end, &bytes)?;
        self.end = self.end.saturating_add(bytes.len() as u64);
        self.group.clear();
        Ok(())
    }
}

/// Salt, Client Identifier and length of the header of a log.
fn read_header(file: &mut impl DiskFile) -> Result<(u32, String, u64), StoreError> {
    let size = usize::try_from(file.size()?).unwrap_or(LONGEST_HEADER).min(LONGEST_HEADER);
    let mut header = vec![0; size];
    file.read_at(0, &mut header)?;
    format::read_header(&header)
}

fn is_damaged(file: &mut impl DiskFile, salt: u32, start: u64) -> Result<bool, StoreError> {
    let mut scan = Scan::new(file, salt, start)?;
    loop {
        match scan.next()? {
            Found::Group { .. } => {}
            Found::End { .. } => return Ok(false),
            Found::Damage { .. } => return Ok(true),
        }
    }
}

/// Takes a record down that is in the log for good.
fn note(ledger: &mut Ledger<Place>, needed: &mut u64, note: Note, place: Place) {
    *needed = needed.saturating_add(place.bytes());
    ledger.note(note, place, &mut |_, place| *needed = needed.saturating_sub(place.bytes()));
}

/// A log is compacted when three quarters of it are not needed, so that each byte is copied a third of a time on the average.
fn compact_beyond(needed: u64) -> u64 {
    needed.saturating_mul(4).max(SMALL)
}

/// A log up to this size is not worth compacting.
const SMALL: u64 = 1 << 20;

/// Beyond the limit there is so much room for what has happened, which cannot be refused.
const RESERVE: u64 = 1 << 20;

const COPIED_AT_ONCE: usize = 1 << 20;

/// Between two attempts to write through.
const RETRY: Duration = Duration::from_secs(1);

const LOG: &str = "session.log";
const NEW: &str = "session.new";
const DAMAGED: &str = "session.damaged";
