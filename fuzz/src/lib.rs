//! What the fuzzer calls: the functions that the library's own tests call too.

mod adapter;
#[path = "../../mqtt-core/tests/codec/support/any_bytes.rs"]
mod any_bytes;
#[path = "../../mqtt-core/tests/machine/support/any_steps.rs"]
mod any_steps;
#[path = "../../mqtt-core/tests/codec/support/any_topics.rs"]
mod any_topics;
mod differential;

pub use adapter::{handshakes, store};
pub use differential::differential;

/// What decodes must encode, and decode to the same.
pub fn decode(bytes: &[u8]) {
    any_bytes::decode(bytes);
}

/// Any split of a stream must give the same packets.
pub fn frames(bytes: &[u8]) {
    any_bytes::frames(bytes);
}

/// Any sequence of commands, packets, bytes, records and time must keep the books, and end well.
pub fn connection(bytes: &[u8]) {
    any_steps::steps(bytes);
}

/// Filters match, and cover each other, as a plain model says.
pub fn topics(bytes: &[u8]) {
    any_topics::topics(bytes);
}
