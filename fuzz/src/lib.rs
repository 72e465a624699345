//! What the fuzzer calls: the functions that the libraries' own tests call too.

use std::sync::OnceLock;

#[path = "../../mqtt-std/tests/seeds/any_answer.rs"]
mod any_answer;
#[path = "../../mqtt-core/tests/codec/support/any_bytes.rs"]
mod any_bytes;
#[path = "../../mqtt-std/tests/seeds/any_damage.rs"]
mod any_damage;
#[path = "../../mqtt-core/tests/machine/support/any_steps.rs"]
mod any_steps;
#[path = "../../mqtt-core/tests/codec/support/any_topics.rs"]
mod any_topics;
mod differential;

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

/// A damaged log gives its first records, or an error.
pub fn store(bytes: &[u8]) {
    static LOG: OnceLock<any_damage::Log> = OnceLock::new();
    // Who starts the fuzzer says where that is, and removes it.
    let directory = || std::env::temp_dir().join(format!("mqtt-fuzz-{}", std::process::id()));
    LOG.get_or_init(|| any_damage::Log::new(&directory())).damage(bytes);
}

/// A server answers a handshake with any bytes, and the attempt to connect ends.
pub fn handshakes(bytes: &[u8]) {
    any_answer::handshakes(bytes);
}
