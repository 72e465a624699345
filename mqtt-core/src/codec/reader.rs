//! Reads the data types of §1.5 from a packet; nothing is indexed, nothing is copied.

use super::variable_byte_integer;
use crate::error::DecodeError;
use crate::packet::{PacketType, Sender};
use crate::types::{PacketIdentifier, ReasonCode, string};

/// The part of a packet that is still to be read, and what was wrong first.
///
/// Behind the first error nothing is left, and what is read is zero or empty; [`result`](Self::result) and
/// [`finish`](Self::finish) tell of it. One check for a packet instead of one for a field: a third less flash, and no `Result` to
/// be taken apart around each value.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    error: Option<DecodeError>,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, error: None }
    }

    /// What was not read yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Something is wrong with what was read; the first such error stays.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))] // or all of it lies in memory, for the sake of an error
    pub(crate) const fn fail(&mut self, error: DecodeError) {
        if self.error.is_none() {
            self.error = Some(error);
        }
        self.rest = &[];
    }

    /// Fails unless this is so.
    #[inline]
    pub(crate) const fn check(&mut self, so: bool, error: DecodeError) {
        if !so {
            self.fail(error);
        }
    }

    /// The first error, if there was one.
    #[inline]
    pub(crate) const fn result(&self) -> Result<(), DecodeError> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Nothing may follow the last field.
    #[inline]
    pub(crate) const fn finish(&mut self) -> Result<(), DecodeError> {
        self.check(self.rest.is_empty(), DecodeError::TrailingBytes);
        self.result()
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            self.fail(DecodeError::UnexpectedEnd);
            return &[];
        };
        self.rest = rest;
        head
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            self.fail(DecodeError::UnexpectedEnd);
            return [0; N];
        };
        self.rest = rest;
        *head
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn u8(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn variable_byte_integer(&mut self) -> u32 {
        match variable_byte_integer::decode(self.rest) {
            Ok(Some((value, len))) => {
                self.bytes(len);
                value
            }
            Ok(None) => {
                self.fail(DecodeError::UnexpectedEnd);
                0
            }
            Err(error) => {
                self.fail(error);
                0
            }
        }
    }

    #[inline]
    pub(crate) fn packet_identifier(&mut self) -> PacketIdentifier {
        PacketIdentifier::new(self.u16()).unwrap_or_else(|| {
            self.fail(DecodeError::PacketIdentifierZero);
            PacketIdentifier::MAX
        })
    }

    /// A Reason Code that this packet of this sender may carry.
    pub(crate) fn reason_code(&mut self, packet_type: PacketType, sender: Sender) -> ReasonCode {
        let reason_code = ReasonCode::from_u8(self.u8());
        if !reason_code.is_allowed_in(packet_type, sender) {
            self.fail(DecodeError::ReasonCodeNotAllowed(reason_code));
        }
        reason_code
    }

    /// Binary Data, §1.5.6; a string before it is checked.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn binary(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.bytes(len as usize)
    }

    /// A string that was checked before.
    pub(crate) fn checked_string(&mut self) -> &'a str {
        core::str::from_utf8(self.binary()).unwrap_or("")
    }

    pub(crate) fn string(&mut self) -> &'a str {
        let text = string::decode(self.binary());
        text.unwrap_or_else(|error| {
            self.fail(error);
            ""
        })
    }
}
