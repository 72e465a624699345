//! Variable Byte Integers, MQTT 5.0 §1.5.5, and Remaining Length, MQTT 3.1.1 §2.2.3.

use crate::error::DecodeError;

/// The largest value: 28 bits.
pub(crate) const MAX: u32 = 268_435_455;

/// How many bytes the value takes, 1 to 4.
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) const fn encoded_len(value: u32) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// Reads a value and says how many bytes it took; `None`: its last byte is not there yet.
///
/// Only the shortest form is accepted [MQTT-1.5.5-1].
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    // Most are short, and a host has room for a way of their own.
    match *bytes {
        _ if cfg!(target_os = "none") => {}
        [a, ..] if a < 0x80 => return Ok(Some((a as u32, 1))),
        [a, b, ..] if b < 0x80 => {
            return if b == 0 {
                Err(DecodeError::VariableByteInteger)
            } else {
                Ok(Some((a as u32 & 0x7f | (b as u32) << 7, 2)))
            };
        }
        _ => {}
    }
    let mut value = 0_u32;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= (byte as u32 & 0x7f).wrapping_shl(7 * index as u32);
        if byte < 0x80 {
            let minimal = index == 0 || byte != 0;
            return if minimal { Ok(Some((value, index + 1))) } else { Err(DecodeError::VariableByteInteger) };
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(DecodeError::VariableByteInteger) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // [v5 MQTT-1.5.5-1]
    #[test]
    fn each_row_of_the_table_at_both_ends() {
        for (encoded, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x80, 0x01], 128),
            (&[0xff, 0x7f], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xff, 0xff, 0x7f], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xff, 0xff, 0xff, 0x7f], MAX),
        ] {
            assert_eq!(decode(encoded), Ok(Some((value, encoded.len()))), "{encoded:02x?}");
            assert_eq!(encoded_len(value), encoded.len(), "{value}");
            for short in 0..encoded.len() {
                assert_eq!(decode(&encoded[..short]), Ok(None), "{short} of {encoded:02x?}");
            }
        }
    }

    // [v5 MQTT-1.5.5-1]
    #[test]
    fn longer_than_needed_and_longer_than_four_bytes_are_refused() {
        for encoded in [
            &[0x80, 0x00][..],
            &[0xff, 0x00],
            &[0x80, 0x80, 0x00],
            &[0xff, 0xff, 0xff, 0x00],
            &[0x80, 0x80, 0x80, 0x80],
            &[0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            assert_eq!(decode(encoded), Err(DecodeError::VariableByteInteger), "{encoded:02x?}");
        }
    }
}
