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
#[inline]
pub(crate) const fn contains_null(bytes: &[u8]) -> bool {
    contains(bytes, [0; 3])
}

/// Tells whether one of these three is among the bytes: a word at a time, since every string comes by here.
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) const fn contains(bytes: &[u8], wanted: [u8; 3]) -> bool {
    if cfg!(target_os = "none") {
        return contains_slowly(bytes, wanted); // 150 bytes of flash
    }
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if word_contains(*word, wanted) {
            return true;
        }
        rest = behind;
    }
    // The last word overlaps the one before.
    let Some((_, last)) = bytes.split_at_checked(bytes.len().wrapping_sub(size_of::<Word>())) else {
        return contains_slowly(rest, wanted);
    };
    match last.first_chunk() {
        Some(word) => word_contains(*word, wanted),
        None => false,
    }
}

const fn contains_slowly(bytes: &[u8], [a, b, c]: [u8; 3]) -> bool {
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        if byte == a || byte == b || byte == c {
            return true;
        }
        rest = behind;
    }
    false
}

#[inline]
const fn word_contains(word: Word, [a, b, c]: [u8; 3]) -> bool {
    let word = usize::from_ne_bytes(word);
    has_zero(word ^ repeat(a)) || has_zero(word ^ repeat(b)) || has_zero(word ^ repeat(c))
}

type Word = [u8; size_of::<usize>()];

/// A word of this byte.
#[inline]
const fn repeat(byte: u8) -> usize {
    usize::from_ne_bytes([byte; size_of::<usize>()])
}

/// Tells whether a byte of the word is zero: only then does a borrow reach a high bit that was not set.
#[inline]
const fn has_zero(word: usize) -> bool {
    word.wrapping_sub(repeat(0x01)) & !word & repeat(0x80) != 0
}

/// The most bytes a string or binary field can hold: its length is a Two Byte Integer.
pub(crate) const MAX_LEN: usize = u16::MAX as usize;

#[cfg(test)]
mod tests {
    use super::{contains, contains_slowly};
    use std::vec;

    #[test]
    fn each_byte_is_found_at_every_place_and_no_other_is() {
        for len in 0..40 {
            for place in 0..len {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'x'; len];
                    bytes[place] = byte;
                    let found = matches!(byte, 0 | b'#' | b'+');
                    for wanted in [[0, b'#', b'+'], [b'#', b'+', 0], [b'+', 0, b'#']] {
                        assert_eq!(contains(&bytes, wanted), found, "{byte} at {place} of {len}");
                        // As bare metal does it.
                        assert_eq!(contains_slowly(&bytes, wanted), found, "{byte} at {place} of {len}");
                    }
                }
            }
        }
    }
}
