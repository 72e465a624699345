//! Finds packets in the bytes that a transport delivers, in whatever pieces.

use crate::codec::bytes::move_to_front;
use crate::codec::variable_byte_integer;
use crate::error::DecodeError;
use crate::packet::PacketType;
use crate::packet::fixed_header::{FixedHeader, qos};
use crate::types::QoS;
use crate::version::ProtocolVersion;

/// What framing found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Input<'a> {
    /// A whole packet.
    Packet(&'a [u8]),
    /// The head of a PUBLISH that is larger than the buffer.
    PublishHead {
        /// Everything before the payload.
        head: &'a [u8],
        /// Bytes of the payload, at least one; they follow as [`PublishPayload`](Self::PublishPayload).
        payload_len: u32,
    },
    /// The next part of that payload.
    PublishPayload {
        /// The part, at least one byte.
        bytes: &'a [u8],
        /// Tells whether the payload ends here.
        last: bool,
    },
}

impl Input<'_> {
    /// The QoS of the message that begins here; `None`: no message does.
    #[must_use]
    pub fn message_qos(&self) -> Option<QoS> {
        let (Self::Packet(bytes) | Self::PublishHead { head: bytes, .. }) = self else { return None };
        let header = FixedHeader::decode(bytes).ok()??;
        if matches!(header.packet_type, PacketType::Publish) { qos(header.flags) } else { None }
    }
}

/// Finds packets in a stream of bytes that the caller keeps in a buffer; holds no bytes itself.
///
/// A packet that fits the buffer is given whole, however it came. A PUBLISH that does not fit is given in parts: its
/// head, which must fit, and then its payload as it arrives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Framing {
    version: ProtocolVersion,
    /// Bytes of a payload given in parts that are still to come.
    payload_left: u32,
}

impl Framing {
    /// Begins with the first byte of a connection that speaks this version: only 5.0 has properties in its heads.
    #[must_use]
    pub const fn new(version: ProtocolVersion) -> Self {
        Self { version, payload_left: 0 }
    }

    /// Looks at what is buffered, for a buffer of at most `capacity` bytes.
    ///
    /// `None`: more bytes are needed. Otherwise the caller drops as many bytes from the front as the number says, once
    /// it is done with the input, and asks again.
    ///
    /// # Errors
    /// A fixed header that is malformed (what can be wrong with its first byte is found as soon as that is there);
    /// `PacketTooLarge` if the packet, or the head of a PUBLISH, is larger than `capacity`. The connection is over then.
    #[inline]
    pub fn next<'a>(&mut self, buffered: &'a [u8], capacity: usize) -> Result<Option<(Input<'a>, usize)>, DecodeError> {
        if self.payload_left != 0 {
            return Ok(self.next_payload(buffered));
        }
        // What a larger buffer would hold beyond the capacity changes nothing.
        let visible = buffered.get(..capacity).unwrap_or(buffered);
        let Some(header) = FixedHeader::decode(visible)? else {
            return need_more(visible, capacity);
        };
        let needed = header.packet_len();
        if needed as usize > capacity {
            return self.next_head(header, visible, capacity);
        }
        Ok(buffered.get(..needed as usize).map(|packet| (Input::Packet(packet), needed as usize)))
    }

    fn next_payload<'a>(&mut self, buffered: &'a [u8]) -> Option<(Input<'a>, usize)> {
        if buffered.is_empty() {
            return None;
        }
        let bytes = buffered.get(..self.payload_left as usize).unwrap_or(buffered);
        self.payload_left = self.payload_left.saturating_sub(bytes.len() as u32);
        Some((Input::PublishPayload { bytes, last: self.payload_left == 0 }, bytes.len()))
    }

    /// The packet does not fit: its head must.
    fn next_head<'a>(
        &mut self,
        header: FixedHeader,
        visible: &'a [u8],
        capacity: usize,
    ) -> Result<Option<(Input<'a>, usize)>, DecodeError> {
        let needed = header.packet_len();
        if !matches!(header.packet_type, PacketType::Publish) {
            return Err(DecodeError::PacketTooLarge);
        }
        let Some(head_len) = self.head_len(header, visible)? else {
            return need_more(visible, capacity);
        };
        let payload_len = (needed as usize).checked_sub(head_len).ok_or(DecodeError::UnexpectedEnd)?;
        let Some(head) = visible.get(..head_len) else {
            return if head_len > capacity { Err(DecodeError::PacketTooLarge) } else { Ok(None) };
        };
        self.payload_left = payload_len as u32;
        Ok(Some((Input::PublishHead { head, payload_len: payload_len as u32 }, head_len)))
    }

    /// Bytes of a PUBLISH before its payload; `None`: too little of it is there to tell.
    fn head_len(self, header: FixedHeader, visible: &[u8]) -> Result<Option<usize>, DecodeError> {
        let Some(topic_len) = visible.get(header.len..).and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        let mut len = header.len.saturating_add(2).saturating_add(u16::from_be_bytes(*topic_len) as usize);
        if !matches!(qos(header.flags), Some(QoS::AtMostOnce)) {
            len = len.saturating_add(2);
        }
        if self.version.is_v5() {
            let Some(rest) = visible.get(len..) else {
                return Ok(None);
            };
            let Some((properties_len, prefix)) = variable_byte_integer::decode(rest)? else {
                return Ok(None);
            };
            len = len.saturating_add(prefix).saturating_add(properties_len as usize);
        }
        Ok(Some(len))
    }

    /// Bytes of the packet at the front of `buffered`, if its fixed header is there and can be read: what a buffer that
    /// can grow grows to. Only between packets, not within the payload of one that is given in parts.
    #[must_use]
    pub fn packet_len(buffered: &[u8]) -> Option<usize> {
        match FixedHeader::decode(buffered) {
            Ok(Some(header)) => Some(header.packet_len() as usize),
            _ => None,
        }
    }
}

/// More bytes are needed, if they will fit.
const fn need_more<'a>(visible: &[u8], capacity: usize) -> Result<Option<(Input<'a>, usize)>, DecodeError> {
    if visible.len() < capacity { Ok(None) } else { Err(DecodeError::PacketTooLarge) }
}

/// Framing over a lent buffer.
///
/// Read into [`space`](Self::space), report with [`filled`](Self::filled), then call [`next`](Self::next) until it
/// returns `None`.
#[derive(Debug)]
pub struct Frames<'b> {
    buffer: &'b mut [u8],
    /// What was received and not given out yet.
    start: usize,
    end: usize,
    framing: Framing,
}

impl<'b> Frames<'b> {
    /// Begins with the first byte of a connection that speaks this version.
    ///
    /// The buffer holds the largest packet, or the largest head of a PUBLISH where payloads are taken in parts.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8], version: ProtocolVersion) -> Self {
        Self { buffer, start: 0, end: 0, framing: Framing::new(version) }
    }

    /// The free part of the buffer, to read into; what is in the buffer moves to its front.
    ///
    /// Never empty once [`next`](Self::next) has returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start != 0 {
            move_to_front(self.buffer, self.start..self.end);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes note that `len` bytes were read into [`space`](Self::space).
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// What comes next; `None`: more bytes are needed.
    ///
    /// # Errors
    /// Those of [`Framing::next`]; the connection is over then.
    #[allow(clippy::should_implement_trait)] // an iterator cannot lend
    pub fn next(&mut self) -> Result<Option<Input<'_>>, DecodeError> {
        let buffered = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((input, consumed)) = self.framing.next(buffered, self.buffer.len())? else {
            return Ok(None);
        };
        self.start = self.start.saturating_add(consumed);
        Ok(Some(input))
    }

    /// Forgets what was received: a new connection begins, in this version.
    pub const fn reset(&mut self, version: ProtocolVersion) {
        self.start = 0;
        self.end = 0;
        self.framing = Framing::new(version);
    }
}
