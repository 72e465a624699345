//! What the fuzzer found, without it.

use crate::seeds;
use crate::support::{any_bytes, any_topics};

#[test]
fn packets_that_were_fuzzed_are_read_and_written() {
    seeds::each(include_str!("../seeds/decode.hex"), any_bytes::decode);
}

#[test]
fn streams_that_were_fuzzed_are_framed_in_any_split() {
    seeds::each(include_str!("../seeds/frames.hex"), any_bytes::frames);
}

#[test]
fn filters_that_were_fuzzed_match_as_a_plain_model_does() {
    seeds::each(include_str!("../seeds/topics.hex"), any_topics::topics);
}
