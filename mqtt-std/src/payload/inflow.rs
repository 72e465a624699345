//! Reads a source ahead of the connection that sends it.

use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;

use bytes::{Bytes, BytesMut};
use mqtt_core::PacketIdentifier;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::source::Source;
use crate::state::Published;

/// The payload of the packet whose head was written last, as it comes from its source.
///
/// A task of its own reads, so that a source which blocks or panics does neither to the connection. It stays a few chunks
/// ahead, and ends with this value.
#[derive(Debug)]
pub(crate) struct Inflow {
    source: Source,
    owner: Owner,
    /// Bytes that did not come out yet.
    left: u32,
    /// How long one read may take.
    patience: Duration,
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    chunks: mpsc::Receiver<Bytes>,
    task: AbortHandle,
}

/// Whose payload it is.
#[derive(Debug)]
pub(crate) enum Owner {
    /// A message's at QoS 1 or 2.
    Exchange(PacketIdentifier),
    /// A message's at QoS 0, and who waits for its end.
    AtMostOnce(oneshot::Sender<Published>),
}

/// The source gave less than it should, or more, or an error, or nothing for too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceFailed;

/// Bytes of one read.
pub(super) const CHUNK: usize = 64 * 1024;

/// How many chunks are read ahead.
const AHEAD: usize = 4;

impl Inflow {
    pub(crate) const fn new(source: Source, length: u32, owner: Owner, patience: Duration) -> Self {
        Self { source, owner, left: length, patience, reading: None }
    }

    /// The next bytes; `None` behind the last ones.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, SourceFailed>> {
        if self.left == 0 {
            return Poll::Ready(Ok(None));
        }
        let (source, left, patience) = (&self.source, self.left, self.patience);
        let reading = self.reading.get_or_insert_with(|| Reading::begin(source.clone(), left, patience));
        // The task says nothing more where it has failed.
        let chunk = ready!(reading.chunks.poll_recv(cx)).ok_or(SourceFailed)?;
        self.left = u32::try_from(chunk.len()).ok().and_then(|len| self.left.checked_sub(len)).ok_or(SourceFailed)?;
        Poll::Ready(Ok(Some(chunk)))
    }

    pub(crate) fn into_parts(self) -> (Owner, Source) {
        (self.owner, self.source)
    }
}

impl Reading {
    fn begin(source: Source, length: u32, patience: Duration) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            if let Err(error) = read(&source, length, patience, &sender).await {
                tracing::warn!(%error, "the source of a payload failed");
            }
        });
        Self { chunks, task: task.abort_handle() }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads to the end. The last chunk is held back until nothing is found behind it: a packet that was finished is believed.
async fn read(source: &Source, length: u32, patience: Duration, chunks: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let (mut reader, ends) = timeout(patience, source.open()).await??;
    let mut left = length;
    while left > 0 {
        let room = CHUNK.min(left as usize);
        let mut chunk = BytesMut::with_capacity(room);
        let len = timeout(patience, (&mut reader).take(room as u64).read_buf(&mut chunk)).await??;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left = left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        if left == 0 && ends && timeout(patience, reader.read(&mut [0])).await?? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than it said"));
        }
        if chunks.send(chunk.freeze()).await.is_err() {
            break; // nobody wants it any more
        }
    }
    Ok(())
}
