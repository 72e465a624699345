//! Reading a log that may have been cut off, or damaged.

use super::super::StoreError;
use super::disk::DiskFile;
use super::format::{self, GROUP_HEAD};

/// Reads the groups of a log one after the other.
pub(super) struct Scan<'a, F> {
    file: &'a mut F,
    salt: u32,
    at: u64,
    size: u64,
    records: Vec<u8>,
}

/// What is at a place in the log.
pub(super) enum Found<'a> {
    /// A group: its records begin at this byte.
    Group { at: u64, records: &'a [u8] },
    /// The end, and how many bytes behind it are no group and have none behind them.
    End { at: u64, torn: u64 },
    /// Bytes that are no group, and the group behind them.
    Damage { at: u64, next: u64 },
}

impl<'a, F: DiskFile> Scan<'a, F> {
    /// From this byte on.
    pub(super) fn new(file: &'a mut F, salt: u32, at: u64) -> Result<Self, StoreError> {
        let size = file.size()?;
        Ok(Self { file, salt, at, size, records: Vec::new() })
    }

    /// What comes next. After damage it is found again, until [`skip_to`](Self::skip_to) goes on behind it.
    pub(super) fn next(&mut self) -> Result<Found<'_>, StoreError> {
        let at = self.at;
        if at >= self.size {
            return Ok(Found::End { at, torn: 0 });
        }
        if self.read_group(at)? {
            let start = at.saturating_add(GROUP_HEAD as u64);
            self.at = start.saturating_add(self.records.len() as u64);
            return Ok(Found::Group { at: start, records: &self.records });
        }
        match self.find_group(at.saturating_add(1))? {
            Some(next) => Ok(Found::Damage { at, next }),
            None => Ok(Found::End { at, torn: self.size.saturating_sub(at) }),
        }
    }

    /// Goes on at this byte.
    pub(super) fn skip_to(&mut self, at: u64) {
        self.at = at;
    }

    /// Reads the group at this byte into the buffer; `false`: there is none.
    fn read_group(&mut self, at: u64) -> Result<bool, StoreError> {
        let left = self.size.saturating_sub(at);
        if left < GROUP_HEAD as u64 {
            return Ok(false);
        }
        let mut head = [0; GROUP_HEAD];
        self.file.read_at(at, &mut head)?;
        let Some((length, checksum)) = format::read_group_head(self.salt, &head) else { return Ok(false) };
        if length == 0 || u64::from(length) > left.saturating_sub(GROUP_HEAD as u64) {
            return Ok(false);
        }
        self.records.clear();
        self.records.resize(length as usize, 0);
        self.file.read_at(at.saturating_add(GROUP_HEAD as u64), &mut self.records)?;
        Ok(crc32fast::hash(&self.records) == checksum)
    }

    /// The first group that begins at this byte or later.
    fn find_group(&mut self, from: u64) -> Result<Option<u64>, StoreError> {
        let salt = self.salt.to_le_bytes();
        let size = self.size;
        let left = |start| usize::try_from(size.saturating_sub(start)).unwrap_or(WINDOW).min(WINDOW);
        let mut window = vec![0; left(from)];
        let mut start = from;
        while start < size {
            let len = left(start);
            let bytes = window.get_mut(..len).unwrap_or_default();
            self.file.read_at(start, bytes)?;
            let candidates: Vec<_> = bytes.windows(4).enumerate().filter(|(_, bytes)| **bytes == salt).collect();
            for (offset, _) in candidates {
                let at = start.saturating_add(offset as u64);
                if self.read_group(at)? {
                    return Ok(Some(at));
                }
            }
            // The salt may lie across the edge.
            start = start.saturating_add(len.saturating_sub(3).max(1) as u64);
        }
        Ok(None)
    }
}

/// So many bytes are searched at once.
const WINDOW: usize = 256 * 1024;
