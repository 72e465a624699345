//! Files of the host.

use core::ffi::CStr;

use semihosting::fs::File;
use semihosting::io::{Read, Write};

/// Reads a whole file into the buffer; ends the program if it is not there or does not fit.
pub fn read<'b>(path: &CStr, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut file = File::open(path).expect("the file is there");
    let mut len = 0;
    loop {
        assert!(len < buffer.len(), "the file is too large");
        match file.read(&mut buffer[len..]).expect("the file can be read") {
            0 => return &buffer[..len],
            read => len += read,
        }
    }
}

/// A file of the host in place of a bank of flash for programs: written from its start to its end, then read.
#[derive(Debug)]
pub struct Bank {
    path: &'static CStr,
    file: File,
}

/// The host did not do as it was told.
#[derive(Clone, Copy, Debug)]
pub struct HostError;

impl core::fmt::Display for HostError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the host did not do as it was told")
    }
}

impl core::error::Error for HostError {}

impl embedded_io_async::Error for HostError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::Other
    }
}

impl Bank {
    /// An empty one.
    pub fn erase(path: &'static CStr) -> Result<Self, HostError> {
        Ok(Self { path, file: File::create(path).map_err(|_| HostError)? })
    }

    /// Writes behind what was written before.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), HostError> {
        while !bytes.is_empty() {
            let written = self.file.write(bytes).map_err(|_| HostError)?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads from the start.
    pub fn read(&self) -> Result<BankReader, HostError> {
        Ok(BankReader(File::open(self.path).map_err(|_| HostError)?))
    }
}

/// Reads a [`Bank`].
#[derive(Debug)]
pub struct BankReader(File);

impl embedded_io_async::ErrorType for BankReader {
    type Error = HostError;
}

impl embedded_io_async::Read for BankReader {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, HostError> {
        self.0.read(buf).map_err(|_| HostError)
    }
}
