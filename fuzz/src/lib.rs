//! What the fuzzer calls: the functions that the library's own tests call too.

#[path = "../../mqtt-core/tests/codec/support/any_bytes.rs"]
mod any_bytes;

/// What decodes must encode, and decode to the same.
pub fn decode(bytes: &[u8]) {
    any_bytes::decode(bytes);
}

/// Any split of a stream must give the same packets.
pub fn frames(bytes: &[u8]) {
    any_bytes::frames(bytes);
}
