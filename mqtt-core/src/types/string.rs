//! UTF-8 strings as MQTT defines them, MQTT 5.0 §1.5.4, MQTT 3.1.1 §1.5.3.

use crate::error::DecodeError;

/// Checks that the bytes are well-formed UTF-8 without U+0000.
///
/// U+FEFF is an ordinary character, wherever it stands [MQTT-1.5.4-3]. Surrogates are not well-formed UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = core::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidUtf8)?;
    if contains_null(bytes) { Err(DecodeError::NullCharacter) } else { Ok(text) }
}

/// Tells whether U+0000 is among the bytes, which are UTF-8: no other character has a zero byte.
pub(crate) fn contains_null(bytes: &[u8]) -> bool {
    // Without an early end the loop becomes a few vector instructions.
    bytes.iter().fold(false, |found, &byte| found | (byte == 0))
}

/// The most bytes a string or binary field can hold: its length is a Two Byte Integer.
pub(crate) const MAX_LEN: usize = u16::MAX as usize;
