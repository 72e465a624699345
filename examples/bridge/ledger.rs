//! Which messages have been passed on.
//!
//! A message at QoS 2 that was not acknowledged when the bridge ended comes again from its side's store, with its number. Whether the
//! other side's store has it already is written down here, behind that store's own writing: a bridge that dies in between passes that
//! one message on twice.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// Numbers of messages that the other side has in its store, and that are not acknowledged.
pub struct Ledger {
    path: PathBuf,
    file: File,
    written: usize,
    open: BTreeSet<u64>,
    /// Those of the life before.
    before: BTreeSet<u64>,
}

/// So many numbers are in the file at the most; then those are written anew that still matter.
const LIMIT: usize = 8_192;

impl Ledger {
    /// Reads the file, or makes one.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        // A number that was not written whole is one of a message that has not left: it is passed on.
        let numbers = bytes.chunks_exact(8);
        let before: BTreeSet<u64> = numbers.flat_map(|number| number.try_into().map(u64::from_le_bytes)).collect();
        let written = bytes.len() / 8;
        let file = File::options().create(true).append(true).open(&path)?;
        file.set_len((written * 8) as u64)?;
        Ok(Self { path, file, written, open: BTreeSet::new(), before })
    }

    /// Whether this message was passed on in the life before.
    pub fn has(&mut self, number: u64) -> bool {
        self.before.remove(&number) && self.open.insert(number)
    }

    /// It is passed on.
    pub fn add(&mut self, number: u64) -> io::Result<()> {
        self.open.insert(number);
        if self.written >= LIMIT.max(2 * self.open.len()) {
            return self.write_anew();
        }
        self.written += 1;
        self.file.write_all(&number.to_le_bytes())
    }

    /// It is acknowledged, and does not come again.
    pub fn remove(&mut self, number: u64) {
        self.open.remove(&number);
    }

    fn write_anew(&mut self) -> io::Result<()> {
        // Those of the life before came first, if they came.
        self.before.clear();
        let bytes: Vec<u8> = self.open.iter().flat_map(|number| number.to_le_bytes()).collect();
        let draft = self.path.with_extension("new");
        fs::write(&draft, bytes)?;
        fs::rename(&draft, &self.path)?;
        self.file = File::options().append(true).open(&self.path)?;
        self.written = self.open.len();
        Ok(())
    }
}
