//! Our decoder beside another codec, on what the fuzzer found and on what they are known to differ in.

#[allow(dead_code)] // the model is wanted, not what it is for
#[path = "../../mqtt-core/tests/codec/support/any_topics.rs"]
mod any_topics;
#[path = "../../fuzz/src/differential/mod.rs"]
mod differential;
#[path = "../../mqtt-core/tests/seeds/mod.rs"]
mod seeds;

#[test]
fn codecs_agree_on_packets_that_were_fuzzed() {
    seeds::each(include_str!("../../mqtt-core/tests/seeds/decode.hex"), differential::differential);
}
