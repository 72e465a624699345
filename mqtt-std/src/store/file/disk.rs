//! The little of a file system that a log needs; tests bring one that fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::super::for_the_owner;

/// The files of one directory.
pub(super) trait Disk: Send {
    /// A file of it.
    type File: DiskFile;

    /// Opens a file for reading and writing; `None`: there is none.
    fn open(&mut self, name: &str) -> io::Result<Option<Self::File>>;

    /// Makes an empty file, in the place of one that is there.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Puts a file in the place of another, at once.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file.
pub(super) trait DiskFile: Send {
    /// How many bytes there are.
    fn size(&mut self) -> io::Result<u64>;

    /// Fills the buffer with the bytes from this one on.
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes all of the bytes from this one on, in one piece as far as the system does.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off.
    fn truncate(&mut self, size: u64) -> io::Result<()>;

    /// Makes the contents durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory, locked against others as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// A file of its own: the log is replaced by another one now and then.
    lock: File,
}

impl Directory {
    /// Makes the directory if there is none, and locks it; `None`: somebody has it.
    pub(super) fn lock(path: &Path) -> io::Result<Option<Self>> {
        let mut maker = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        maker.recursive(true).create(path)?;
        let lock = for_the_owner().write(true).create(true).truncate(false).open(path.join("lock"))?;
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), lock })),
            Err(fs4::TryLockError::WouldBlock) => Ok(None),
            Err(fs4::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that is being started has the file too, until it becomes another program.
        let _ = fs4::FileExt::unlock(&self.lock);
    }
}

impl Disk for Directory {
    type File = File;

    fn open(&mut self, name: &str) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).write(true).open(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        // A new one: what is there may be a link to elsewhere, or readable for others.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for_the_owner().read(true).write(true).create_new(true).open(path)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync(&mut self) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file, and renaming is durable by itself as far as it can be.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

impl DiskFile for File {
    fn size(&mut self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.read_exact(bytes)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.write_all(bytes)
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
