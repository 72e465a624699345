//! Bytes on their way to the transport, in order.

use core::task::{Context, Poll, ready};

use bytes::Bytes;
use mqtt_core::{EncodeError, UsageError};

use crate::payload::{Inflow, SourceFailed};

/// Packets one behind the other, then the payload of the last one where it is sent from where it is kept, or as it comes from
/// its source.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The first `len` are packets; the others are kept to be written over, so that they are filled with zeros once.
    bytes: Vec<u8>,
    len: usize,
    /// Comes behind the packets.
    payload: Bytes,
    /// What comes behind that.
    inflow: Option<Inflow>,
    /// Sent of both together.
    sent: usize,
}

/// Beyond this many bytes nothing more is put in.
const LIMIT: usize = 64 * 1024;

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

    pub(crate) fn remaining(&self) -> usize {
        self.len.saturating_add(self.payload.len()).saturating_sub(self.sent)
    }

    /// Lets `encode` write a packet, or its head, behind what is there; with more room if it needs more. `encode` says how many
    /// bytes it wrote.
    pub(crate) fn encode<T>(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<(T, usize), UsageError>,
    ) -> Result<T, UsageError> {
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

    /// Takes what a source has ready, once what came before has left. `Ready`: all of the payload has left, or its source failed.
    pub(crate) fn poll_inflow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SourceFailed>> {
        loop {
            let drained = self.remaining() == 0;
            let Some(inflow) = self.inflow.as_mut().filter(|_| drained || self.payload.is_empty()) else {
                return Poll::Pending;
            };
            match ready!(inflow.poll_chunk(cx))? {
                Some(chunk) if drained => (self.len, self.sent, self.payload) = (0, 0, chunk),
                Some(chunk) => self.payload = chunk,
                None if drained => return Poll::Ready(Ok(())),
                None => return Poll::Pending, // the head of an empty payload has not left yet
            }
        }
    }

    /// Takes out the source of the payload that is on its way.
    pub(crate) const fn take_inflow(&mut self) -> Option<Inflow> {
        self.inflow.take()
    }

    /// Both parts as far as they are not sent, for one vectored write.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        let bytes = self.bytes.get(self.sent..self.len).unwrap_or(&[]);
        let payload = self.payload.get(self.sent.saturating_sub(self.len)..).unwrap_or(&[]);
        (bytes, payload)
    }

    pub(crate) fn advance(&mut self, sent: usize) {
        self.sent = self.sent.saturating_add(sent);
        if self.remaining() == 0 {
            self.clear();
        }
    }

    /// Forgets all bytes: the connection is over, and no packet goes on in another one.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.payload = Bytes::new();
        self.sent = 0;
    }
}
