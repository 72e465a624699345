//! What the fuzzer found, without it.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod any_answer;
mod any_damage;
#[path = "../../../mqtt-core/tests/seeds/mod.rs"]
mod seeds;

#[test]
fn answers_that_were_fuzzed_end_the_attempt_to_connect() {
    seeds::each(include_str!("handshakes.hex"), any_answer::handshakes);
}

#[test]
fn logs_that_were_fuzzed_give_their_first_records_or_an_error() {
    let directory = std::env::temp_dir().join(format!("mqtt-std-seeds-{}", std::process::id()));
    let log = any_damage::Log::new(&directory);
    seeds::each(include_str!("store.hex"), |edits| log.damage(edits));
    std::fs::remove_dir_all(directory).expect("it is there");
}
