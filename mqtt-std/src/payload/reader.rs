//! A payload as it is read.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::pipe::ReadEnd;

/// Reads the payload of a message; see [`Message::reader`](crate::Message::reader).
///
/// A read may be dropped at any moment: it takes bytes or none.
#[derive(Debug)]
pub struct PayloadReader(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Bytes),
    Streamed(Arc<ReadEnd>),
}

impl PayloadReader {
    pub(crate) const fn whole(payload: Bytes) -> Self {
        Self(Inner::Whole(payload))
    }

    pub(crate) const fn streamed(read_end: Arc<ReadEnd>) -> Self {
        Self(Inner::Streamed(read_end))
    }

    /// Bytes that were not read yet, whether they have arrived or not.
    #[must_use]
    pub fn remaining(&self) -> usize {
        match &self.0 {
            Inner::Whole(payload) => payload.len(),
            Inner::Streamed(read_end) => read_end.unread() as usize,
        }
    }
}

impl AsyncRead for PayloadReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Whole(payload) => {
                let len = payload.len().min(buffer.remaining());
                buffer.put_slice(payload.get(..len).unwrap_or_default());
                payload.advance(len);
                Poll::Ready(Ok(()))
            }
            Inner::Streamed(read_end) => read_end.poll_read(cx, buffer),
        }
    }
}
