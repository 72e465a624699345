//! Writes the data types of §1.5 into a lent buffer.

use super::bytes::put;
use super::variable_byte_integer;
use crate::error::EncodeError;
use crate::types::string;

/// A lent buffer and how much of it is written.
///
/// Packets are measured before the first byte is written ([`Writer::new`] refuses a buffer that is too small), so no
/// single write can fail. Should a measure be wrong, the packet is cut, not the program.
pub(crate) struct Writer<'b> {
    rest: &'b mut [u8],
}

impl<'b> Writer<'b> {
    /// Writes `len` bytes, which were measured, to the start of `out`.
    ///
    /// # Errors
    /// `BufferTooSmall`; nothing is written then.
    pub(crate) fn new(out: &'b mut [u8], len: usize) -> Result<Self, EncodeError> {
        match out.get_mut(..len) {
            Some(rest) => Ok(Self { rest }),
            None => Err(EncodeError::BufferTooSmall { needed: len }),
        }
    }

    /// Begins a packet whose length was measured: writes its fixed header, §2.1, and tells the bytes of the whole.
    ///
    /// # Errors
    /// `BufferTooSmall`; nothing is written then.
    #[inline]
    pub(crate) fn packet(out: &'b mut [u8], first: u8, remaining_length: u32) -> Result<(Self, usize), EncodeError> {
        let len = packet_len(remaining_length);
        let mut writer = Self::new(out, len)?;
        writer.fixed_header(first, remaining_length);
        Ok((writer, len))
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(rest) = put(core::mem::take(&mut self.rest), bytes) {
            self.rest = rest;
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((head, rest)) = core::mem::take(&mut self.rest).split_first_chunk_mut() {
            *head = bytes;
            self.rest = rest;
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) {
        self.array([value]);
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.array(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) {
        self.array(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn variable_byte_integer(&mut self, value: u32) {
        let mut rest = value;
        while rest >= 0x80 {
            self.u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    /// A string or binary field whose length was checked when it was measured.
    #[inline]
    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
    }

    /// First byte and Remaining Length of the fixed header, §2.1.
    #[inline]
    pub(crate) fn fixed_header(&mut self, first: u8, remaining_length: u32) {
        if remaining_length < 0x80 {
            self.array([first, remaining_length as u8]);
        } else if remaining_length < 0x4000 {
            self.array([first, remaining_length as u8 | 0x80, (remaining_length >> 7) as u8]);
        } else {
            self.u8(first);
            self.variable_byte_integer(remaining_length);
        }
    }
}

/// Adds up the bytes of a packet before it is written, and checks what can be wrong with a field.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measure {
    len: usize,
}

impl Measure {
    #[inline]
    pub(crate) const fn add(&mut self, bytes: usize) {
        self.len = self.len.saturating_add(bytes);
    }

    /// Binary Data with its length, §1.5.6.
    #[inline]
    pub(crate) const fn binary(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > string::MAX_LEN {
            return Err(EncodeError::FieldTooLong);
        }
        self.add(2);
        self.add(bytes.len());
        Ok(())
    }

    /// A string with its length, §1.5.4; U+0000 is refused.
    pub(crate) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        if string::contains_null(text.as_bytes()) {
            return Err(EncodeError::NullCharacter);
        }
        self.binary(text.as_bytes())
    }

    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// The sum as the Remaining Length of a packet whose properties have `properties_len` bytes.
    #[inline]
    pub(crate) const fn finish(self, properties_len: u32) -> Result<Measured, EncodeError> {
        match self.remaining_length() {
            Ok(remaining_length) => Ok(Measured { remaining_length, properties_len }),
            Err(error) => Err(error),
        }
    }

    /// The sum as a Variable Byte Integer can hold it.
    #[inline]
    pub(crate) const fn remaining_length(self) -> Result<u32, EncodeError> {
        if self.len > variable_byte_integer::MAX as usize {
            Err(EncodeError::PacketTooLarge)
        } else {
            Ok(self.len as u32)
        }
    }
}

/// The lengths of a packet that can be written.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) remaining_length: u32,
    /// Bytes of the properties without their length.
    pub(crate) properties_len: u32,
}

impl Measured {
    /// Nothing behind the fixed header.
    pub(crate) const EMPTY: Self = Self { remaining_length: 0, properties_len: 0 };

    #[inline]
    pub(crate) const fn packet_len(self) -> usize {
        packet_len(self.remaining_length)
    }
}

/// The bytes of a whole packet with this Remaining Length.
#[inline]
pub(crate) const fn packet_len(remaining_length: u32) -> usize {
    (remaining_length as usize).saturating_add(1).saturating_add(variable_byte_integer::encoded_len(remaining_length))
}
