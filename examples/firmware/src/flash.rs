//! Flash in a file of the host, so that it outlives QEMU: killing QEMU is a loss of power, starting it again a boot.

use core::ffi::CStr;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom, Write};

use crate::files::HostError;

/// Pages of 4 KiB.
pub const PAGES: usize = 4;
const PAGE: usize = 4096;

/// A file that holds what the flash holds.
#[derive(Debug)]
pub struct FileFlash(File);

impl NorFlashError for HostError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl FileFlash {
    /// Opens the file, which is there and has the right size.
    #[must_use]
    pub fn open(path: &CStr) -> Self {
        Self(File::options().read(true).write(true).open(path).expect("the file is there"))
    }

    /// All of it.
    #[must_use]
    pub const fn range() -> core::ops::Range<u32> {
        0..(PAGES * PAGE) as u32
    }

    fn seek(&mut self, offset: u32) -> Result<(), HostError> {
        self.0.seek(SeekFrom::Start(u64::from(offset))).map(drop).map_err(|_| HostError)
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), HostError> {
        while !bytes.is_empty() {
            let written = self.0.write(bytes).map_err(|_| HostError)?;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

impl ErrorType for FileFlash {
    type Error = HostError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), HostError> {
        self.seek(offset)?;
        let mut filled = 0;
        while filled < bytes.len() {
            match self.0.read(&mut bytes[filled..]).map_err(|_| HostError)? {
                0 => return Err(HostError),
                read => filled += read,
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        PAGES * PAGE
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), HostError> {
        self.seek(from)?;
        for _ in (from..to).step_by(64) {
            self.write_all(&[0xFF; 64])?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), HostError> {
        // Bits are only ever cleared.
        for (index, chunk) in bytes.chunks(64).enumerate() {
            let at = offset + (index * 64) as u32;
            let mut now = [0; 64];
            let now = &mut now[..chunk.len()];
            self.read(at, now).await?;
            for (bits, byte) in now.iter_mut().zip(chunk) {
                *bits &= byte;
            }
            self.seek(at)?;
            self.write_all(now)?;
        }
        Ok(())
    }
}
