//! Bytes on their way to the transport, in order.

use bytes::Bytes;
use mqtt_core::{EncodeError, UsageError};

/// Packets one behind the other, then the payload of the last one where it is sent from where it is kept.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The first `len` are packets; the others are kept to be written over, so that they are filled with zeros once.
    bytes: Vec<u8>,
    len: usize,
    /// Comes behind the packets.
    payload: Bytes,
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
        self.payload.is_empty() && self.len < LIMIT
    }

    /// Tells whether a last packet can be put in, however much there is.
    pub(crate) const fn takes_last(&self) -> bool {
        self.payload.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0
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

    /// Forgets everything: the connection is over, and no packet goes on in another one.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.payload = Bytes::new();
        self.sent = 0;
    }
}
