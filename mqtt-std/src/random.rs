//! Randomness for identifiers, delays, and keys that others should not guess; no encryption rests on it.

use core::hash::{BuildHasher, Hasher};
use std::collections::hash_map::RandomState;

/// 64 bits, from the keys that the standard library asks the system for.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(crate) fn bytes() -> [u8; 16] {
    (u128::from(seed()) << 64 | u128::from(seed())).to_be_bytes()
}
