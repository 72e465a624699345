//! Reads the data types of §1.5 from a packet; nothing is indexed, nothing is copied.

use super::variable_byte_integer;
use crate::error::DecodeError;
use crate::types::{PacketIdentifier, string};

/// The part of a packet that is still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[inline]
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// Exactly `len` bytes are left: the packet is all there, and nothing follows it.
    #[inline]
    pub(crate) const fn whole(self, len: u32) -> Result<Self, DecodeError> {
        if self.rest.len() == len as usize {
            Ok(self)
        } else if self.rest.len() < len as usize {
            Err(DecodeError::UnexpectedEnd)
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }

    /// Nothing may follow the last field.
    #[inline]
    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        let (value, len) = variable_byte_integer::decode(self.rest)?.ok_or(DecodeError::UnexpectedEnd)?;
        self.bytes(len)?;
        Ok(value)
    }

    #[inline]
    pub(crate) fn packet_identifier(&mut self) -> Result<PacketIdentifier, DecodeError> {
        PacketIdentifier::new(self.u16()?).ok_or(DecodeError::PacketIdentifierZero)
    }

    /// Binary Data, §1.5.6; a string before it is checked.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.bytes(len as usize)
    }

    /// A string that was checked before.
    pub(crate) fn checked_string(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.binary()?).map_err(|_| DecodeError::InvalidUtf8)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        string::decode(self.binary()?)
    }
}
