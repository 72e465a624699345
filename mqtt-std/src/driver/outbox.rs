//! Bytes on their way to the transport, in order.

use core::task::{Context, Poll, ready};

use bytes::Bytes;
use mqtt_core::{EncodeError, UsageError};

use super::buffers::{self, Buffer};
use crate::payload::{Inflow, SourceFailed};

/// Packets one behind the other, then the payload of the last one where it is sent from where it is kept, or as it comes from
/// its source.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The first `len` are packets.
    bytes: Buffer,
    len: usize,
    /// Comes behind the packets.
    payload: Bytes,
    /// What comes behind that.
    inflow: Option<Inflow>,
    /// Taken out to be written, and not written yet.
    leaving: usize,
}

/// What is written now, while others fill the outbox.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    bytes: Buffer,
    len: usize,
    payload: Bytes,
    /// Written of both together.
    written: usize,
}

/// Beyond this many bytes nothing more is put in.
const LIMIT: usize = buffers::SIZE - SPARE;

/// A packet up to this many bytes is copied; a larger payload is not.
const SPARE: usize = 4 * 1024;

impl Outbox {
    /// Tells whether another packet can be put in now. None can behind a payload that is kept apart.
    pub(crate) fn has_room(&self) -> bool {
        self.takes_last() && self.len < LIMIT
    }

    /// Tells whether a last packet can be put in, however much there is.
    pub(crate) const fn takes_last(&self) -> bool {
        self.payload.is_empty() && self.inflow.is_none()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0 && self.inflow.is_none()
    }

    fn remaining(&self) -> usize {
        self.len.saturating_add(self.payload.len()).saturating_add(self.leaving)
    }

    /// Lets `encode` write a packet, or its head, behind what is there; with more room if it needs more. `encode` says how many
    /// bytes it wrote.
    pub(crate) fn encode<T>(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<(T, usize), UsageError>,
    ) -> Result<T, UsageError> {
        if self.bytes.is_empty() {
            self.bytes = buffers::take();
        }
        let mut spare = SPARE;
        loop {
            let end = self.len.saturating_add(spare);
            if self.bytes.len() < end {
                self.bytes.resize(end, 0);
            }
            match encode(self.bytes.get_mut(self.len..end).unwrap_or(&mut [])) {
                // Once: the error says how much is enough.
                Err(UsageError::Encode(EncodeError::BufferTooSmall { needed })) if needed > spare => spare = needed,
                result => {
                    let (value, written) = result?;
                    self.len = self.len.saturating_add(written);
                    return Ok(value);
                }
            }
        }
    }

    /// The payload of the packet whose head was written last.
    pub(crate) fn set_payload(&mut self, payload: Bytes) {
        self.payload = payload;
    }

    /// As [`set_payload`](Self::set_payload), from a source.
    pub(crate) fn set_inflow(&mut self, inflow: Inflow) {
        self.inflow = Some(inflow);
    }

    /// Tells whether everything has left but what a source has still to give.
    pub(crate) fn awaits_source(&self) -> bool {
        self.remaining() == 0 && self.inflow.is_some()
    }

    /// Takes what a source has ready, one part at a time. `Ready`: all of the payload has left, or its source failed.
    pub(crate) fn poll_inflow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SourceFailed>> {
        let Some(inflow) = self.inflow.as_mut().filter(|_| self.payload.is_empty()) else { return Poll::Pending };
        match ready!(inflow.poll_chunk(cx))? {
            Some(chunk) => self.payload = chunk,
            None if self.remaining() == 0 => return Poll::Ready(Ok(())),
            None => {}
        }
        Poll::Pending
    }

    /// Takes out the source of the payload that is on its way.
    pub(crate) const fn take_inflow(&mut self) -> Option<Inflow> {
        self.inflow.take()
    }

    /// Forgets all bytes: the connection is over, and no packet goes on in another one.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.payload = Bytes::new();
        self.leaving = 0;
        self.shrink();
    }

    /// Without packets there is no buffer.
    fn shrink(&mut self) {
        if self.len == 0 {
            buffers::give_back(core::mem::take(&mut self.bytes));
        }
    }

    /// Takes out what is to be written, once what was taken before is written.
    pub(super) fn take(&mut self, leaving: &mut Leaving) {
        if self.leaving > 0 {
            return;
        }
        self.leaving = self.remaining();
        leaving.clear();
        if self.leaving > 0 {
            leaving.bytes = core::mem::take(&mut self.bytes);
            leaving.len = core::mem::take(&mut self.len);
            leaving.payload = core::mem::take(&mut self.payload);
        }
        self.shrink(); // what could not be encoded leaves an empty one behind
    }

    /// So many bytes of what was taken out are written.
    pub(super) const fn written(&mut self, len: usize) {
        self.leaving = self.leaving.saturating_sub(len);
    }
}

impl Leaving {
    pub(super) fn is_empty(&self) -> bool {
        self.written >= self.len.saturating_add(self.payload.len())
    }

    /// Both parts as far as they are not written, for one vectored write.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let bytes = self.bytes.get(self.written..self.len).unwrap_or(&[]);
        let payload = self.payload.get(self.written.saturating_sub(self.len)..).unwrap_or(&[]);
        (bytes, payload)
    }

    pub(super) fn advance(&mut self, len: usize) {
        self.written = self.written.saturating_add(len);
        if self.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        let Self { bytes, .. } = core::mem::take(self);
        buffers::give_back(bytes);
    }
}
