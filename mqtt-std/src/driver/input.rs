//! Bytes that were read and are not taken yet.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use tokio::io::{AsyncRead, ReadBuf};

use super::buffers::{self, Buffer};

/// Mostly empty, and then without a buffer: what is read is taken before the next connection reads.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: Buffer,
    start: usize,
    end: usize,
}

/// As much as is kept in a buffer of its own size while the rest of the packet is on its way.
const SMALL: usize = 4 * 1024;

impl Input {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    pub(super) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// The first bytes are taken.
    pub(super) const fn advance(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
    }

    /// Reads behind what is there; tells how much that was, and whether there was as much as could be read.
    pub(super) fn poll_read(
        &mut self,
        transport: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut space = ReadBuf::new(self.buffer.get_mut(self.end..).unwrap_or(&mut []));
        let polled = transport.poll_read(cx, &mut space);
        let filled = space.filled().len();
        self.end = self.end.saturating_add(filled);
        polled.map_ok(|()| filled)
    }

    /// A packet that has begun is moved to the front, and gets a larger buffer if it fills this one.
    fn make_room(&mut self) {
        let len = self.len();
        if self.buffer.len() < buffers::SIZE {
            let small = core::mem::replace(&mut self.buffer, buffers::take());
            let kept = small.get(self.start..self.end).unwrap_or(&[]);
            if let Some(front) = self.buffer.get_mut(..kept.len()) {
                front.copy_from_slice(kept);
            }
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, len);
        if self.end.saturating_add(SMALL) > self.buffer.len() {
            self.buffer.resize(self.buffer.len().saturating_mul(2), 0);
        }
    }

    /// Nothing more can be taken or read now: the buffer goes to others, as far as it is not needed.
    pub(super) fn shrink(&mut self) {
        if self.buffer.is_empty() || self.len() > SMALL {
            return;
        }
        let kept: Buffer = self.bytes().into();
        if self.buffer.len() >= buffers::SIZE {
            buffers::give_back(core::mem::replace(&mut self.buffer, kept));
            (self.start, self.end) = (0, self.buffer.len());
        }
    }
}
