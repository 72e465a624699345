//! Images of firmware, and who has made them.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

/// What stands in front of an image: its version and its length, four bytes each with the highest first, its SHA-256, and over these a
/// signature with ECDSA on P-256 and SHA-256, 64 bytes.
///
/// So it is known who has made an image before any of it is written. That is not all: of a good signature nobody learns whether the image
/// is an old one with a known fault, hence the version.
#[derive(Debug)]
pub struct Header {
    /// Rises with each image.
    pub version: u32,
    /// Bytes of the image, without the header.
    pub length: u32,
    /// What SHA-256 makes of the image.
    pub sum: [u8; 32],
}

/// Bytes of a header.
pub const HEADER: usize = SIGNED + 64;

/// So many of them are signed.
const SIGNED: usize = 4 + 4 + 32;

/// Bytes of a public key: an uncompressed point.
pub const KEY: usize = 65;

impl Header {
    /// Reads a header; `None`: whoever has the key has not made it.
    #[must_use]
    pub fn verified(bytes: &[u8; HEADER], key: &[u8]) -> Option<Self> {
        let (signed, signature) = bytes.split_at(SIGNED);
        let key = VerifyingKey::from_sec1_bytes(key).ok()?;
        key.verify(signed, &Signature::from_slice(signature).ok()?).ok()?;
        let (version, rest) = signed.split_first_chunk()?;
        let (length, sum) = rest.split_first_chunk()?;
        let [version, length] = [version, length].map(|number| u32::from_be_bytes(*number));
        Some(Self { version, length, sum: sum.try_into().ok()? })
    }
}
