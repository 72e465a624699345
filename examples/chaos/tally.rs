//! Files of numbers, appended to by processes that are killed, and what they say in the end.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file of entries of `N` numbers. What a killed process had written is there: the system has it.
pub struct Numbers<const N: usize> {
    file: File,
}

impl<const N: usize> Numbers<N> {
    /// Opens the file to append, and tells what is in it. An entry that was cut is cut off.
    pub fn open(directory: &Path, name: &str) -> io::Result<(Self, Vec<[u64; N]>)> {
        let path = directory.join(name);
        let entries = read(&path)?;
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.set_len((entries.len() * N * 8) as u64)?;
        Ok((Self { file }, entries))
    }

    /// Appends entries at once.
    pub fn append(&mut self, entries: &[[u64; N]]) -> io::Result<()> {
        let bytes: Vec<u8> = entries.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        self.file.write_all(&bytes)
    }
}

/// The entries of a file; none if there is no file.
pub fn read<const N: usize>(path: &Path) -> io::Result<Vec<[u64; N]>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let entries = bytes.chunks_exact(N * 8);
    Ok(entries.map(|entry| core::array::from_fn(|at| number(&entry[at * 8..at * 8 + 8]))).collect())
}

/// How many entries there are.
pub fn count<const N: usize>(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len() / (N as u64 * 8))
}

pub fn accepted(directory: &Path) -> PathBuf {
    directory.join(ACCEPTED)
}

pub fn received(directory: &Path) -> PathBuf {
    directory.join(RECEIVED)
}

/// The number below which all may have been sent.
pub const ATTEMPTED: &str = "attempted";
/// Numbers of messages that were accepted.
pub const ACCEPTED: &str = "accepted";
/// Numbers of messages whose receipts said that they are not delivered, or that this is not known.
pub const FAILED: &str = "failed";
/// How many messages of lives before had such an outcome.
pub const FAILED_LATER: &str = "failed-later";
/// Delivery numbers, each with the number of its message.
pub const RECEIVED: &str = "received";

/// What came of a run.
#[derive(Debug)]
pub struct Tally {
    pub accepted: u64,
    pub received: u64,
    pub in_doubt: u64,
    pub lost: Vec<u64>,
    /// Of those lost: the publisher was told so.
    pub told: u64,
    pub doubled: Vec<u64>,
}

impl Tally {
    pub fn count(directory: &Path) -> io::Result<Self> {
        let accepted: Vec<[u64; 1]> = read(&accepted(directory))?;
        let accepted: HashSet<u64> = accepted.into_iter().map(|[number]| number).collect();
        let failed: Vec<[u64; 1]> = read(&directory.join(FAILED))?;
        let failed: HashSet<u64> = failed.into_iter().map(|[number]| number).collect();
        let failed_later: Vec<[u64; 1]> = read(&directory.join(FAILED_LATER))?;
        let failed_later: u64 = failed_later.into_iter().map(|[count]| count).sum();
        let mut copies: HashMap<u64, u64> = HashMap::new();
        for [_, number] in read::<2>(&received(directory))? {
            *copies.entry(number).or_default() += 1;
        }
        let lost: Vec<_> = accepted.iter().copied().filter(|number| !copies.contains_key(number)).collect();
        let doubled = copies.iter().filter(|(_, copies)| **copies > 1).map(|(number, _)| *number).collect();
        Ok(Self {
            accepted: accepted.len() as u64,
            received: copies.len() as u64,
            in_doubt: copies.keys().filter(|number| !accepted.contains(number)).count() as u64,
            told: lost.iter().filter(|number| failed.contains(number)).count() as u64 + failed_later,
            lost,
            doubled,
        })
    }
}
