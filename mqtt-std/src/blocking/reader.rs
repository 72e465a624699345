//! A payload, read without `async`.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::Last;
use super::park::Until;

/// Reads the payload of a message, streamed or not; see [`Message::reader`](crate::Message::reader), where it stands how a
/// read fails.
#[derive(Debug)]
pub struct PayloadReader {
    inner: crate::PayloadReader,
    last: Arc<Last>,
}

impl PayloadReader {
    pub(super) const fn new(inner: crate::PayloadReader, last: Arc<Last>) -> Self {
        Self { inner, last }
    }

    /// Bytes that were not read yet, whether they have arrived or not.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.inner.remaining()
    }
}

impl Read for PayloadReader {
    /// Waits for bytes. On the thread that it would wait for (see [`Client::wait`](super::Client::wait)) it fails.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.last.home.wait(self.inner.read(buffer), Until::DONE).map_err(io::Error::other)?
    }
}
