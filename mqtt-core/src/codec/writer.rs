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

    /// Writes what surely fits.
    pub(crate) const fn over(out: &'b mut [u8]) -> Self {
        Self { rest: out }
    }

    /// Bytes that are not written yet.
    pub(crate) const fn room(&self) -> usize {
        self.rest.len()
    }

    /// Begins a packet whose length was measured: writes its fixed header, §2.1, and tells the bytes of the whole.
    ///
    /// # Errors
    /// `BufferTooSmall`; nothing is written then.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn packet(out: &'b mut [u8], first: u8, remaining_length: u32) -> Result<(Self, usize), EncodeError> {
        let len = packet_len(remaining_length);
        let mut writer = Self::new(out, len)?;
        writer.fixed_header(first, remaining_length);
        Ok((writer, len))
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(rest) = put(core::mem::take(&mut self.rest), bytes) {
            self.rest = rest;
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if cfg!(target_os = "none") {
            return self.bytes(&bytes); // one way to write takes less flash
        }
        if let Some((head, rest)) = core::mem::take(&mut self.rest).split_first_chunk_mut() {
            *head = bytes;
            self.rest = rest;
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn u8(&mut self, value: u8) {
        self.array([value]);
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
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
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
    }

    /// First byte and Remaining Length of the fixed header, §2.1.
    #[inline]
    pub(crate) fn fixed_header(&mut self, first: u8, remaining_length: u32) {
        if remaining_length < 0x80 && !cfg!(target_os = "none") {
            self.array([first, remaining_length as u8]);
        } else if !cfg!(target_os = "none") && remaining_length < 0x4000 {
            self.array([first, remaining_length as u8 | 0x80, (remaining_length >> 7) as u8]);
        } else {
            self.u8(first);
            self.variable_byte_integer(remaining_length);
        }
    }
}

/// Whether a sum of lengths can be too large for a `usize`.
const CAN_WRAP: bool = usize::BITS < u64::BITS;

/// Adds up the bytes of a packet before it is written, and checks what can be wrong with a field; the first error stays and
/// is told at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measure {
    len: usize,
    error: Option<EncodeError>,
}

impl Measure {
    /// Some bytes: few, or such as lie in memory.
    #[inline]
    pub(crate) const fn add(&mut self, bytes: usize) {
        // Sums that wrap around are found before: by `binary`, and by the limits of payloads.
        self.len = self.len.wrapping_add(bytes);
    }

    /// A payload that is perhaps nowhere in memory.
    #[inline]
    pub(crate) const fn payload(&mut self, bytes: u32) {
        self.add(bytes as usize);
        self.check(!CAN_WRAP || bytes <= variable_byte_integer::MAX, EncodeError::PacketTooLarge);
    }

    /// Fails unless this is so; the first error stays.
    #[inline]
    pub(crate) const fn check(&mut self, so: bool, error: EncodeError) {
        if !so {
            self.fail(error);
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))] // or all of it lies in memory, for the sake of an error
    pub(crate) const fn fail(&mut self, error: EncodeError) {
        if self.error.is_none() {
            self.error = Some(error);
        }
        // So that one comparison at the end finds both.
        self.len = variable_byte_integer::MAX as usize + 1;
    }

    /// Binary Data with its length, §1.5.6.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) const fn binary(&mut self, bytes: &[u8]) {
        self.check(bytes.len() <= string::MAX_LEN, EncodeError::FieldTooLong);
        self.check(!CAN_WRAP || self.len <= variable_byte_integer::MAX as usize, EncodeError::PacketTooLarge);
        self.add(2);
        self.add(bytes.len());
    }

    /// A string with its length, §1.5.4; U+0000 is refused.
    pub(crate) fn string(&mut self, text: &str) {
        self.check(!string::contains_null(text.as_bytes()), EncodeError::NullCharacter);
        self.binary(text.as_bytes());
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The sum as the Remaining Length of a packet whose properties have `properties_len` bytes.
    #[inline]
    pub(crate) const fn finish(&self, properties_len: u32) -> Result<Measured, EncodeError> {
        match self.remaining_length() {
            Ok(remaining_length) => Ok(Measured { remaining_length, properties_len }),
            Err(error) => Err(error),
        }
    }

    /// The first error, if there was one.
    #[inline]
    pub(crate) const fn result(&self) -> Result<(), EncodeError> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The sum as a Variable Byte Integer can hold it.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) const fn remaining_length(&self) -> Result<u32, EncodeError> {
        if self.len <= variable_byte_integer::MAX as usize {
            return Ok(self.len as u32);
        }
        Err(match self.error {
            None => EncodeError::PacketTooLarge,
            Some(error) => error,
        })
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
