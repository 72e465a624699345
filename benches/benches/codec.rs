//! Times of encoding and decoding, all codecs in one run.
//!
//! Ids are `encode/<row>/<codec>` and `decode/<row>/<codec>`, so `cargo bench -- decode/PUBACK` picks some.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_benches::agreement;
use mqtt_benches::codec::Codec;
use mqtt_benches::ours::{self, Ours};
use mqtt_benches::rivals::mqtt_protocol_core::{Framed, Stream};
use mqtt_benches::rivals::{mqtt_protocol_core, mqttbytes, rumqttc};
use mqtt_benches::rows::{self, Row};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn v5(criterion: &mut Criterion) {
    for row in rows::v5() {
        let group = &mut group(criterion, "encode", &row);
        encode::<Ours<ours::V5>>(group, &row);
        encode::<mqttbytes::V5>(group, &row);
        encode::<Stream<mqtt_protocol_core::V5>>(group, &row);
        encode::<rumqttc::V5>(group, &row);
        if row.name == rows::LARGE {
            copy(group, &row);
        }
    }
    for row in rows::v5() {
        let group = &mut group(criterion, "decode", &row);
        decode::<Ours<ours::V5>>(group, &row);
        decode::<mqttbytes::V5>(group, &row);
        decode::<Stream<mqtt_protocol_core::V5>>(group, &row);
        decode::<Framed<mqtt_protocol_core::V5>>(group, &row);
        decode::<rumqttc::V5>(group, &row);
        if row.name == rows::LARGE {
            copy(group, &row);
        }
    }
}

fn v3_1_1(criterion: &mut Criterion) {
    for row in rows::v3_1_1() {
        let group = &mut group(criterion, "encode", &row);
        encode::<Ours<ours::V3>>(group, &row);
        encode::<mqttbytes::V3>(group, &row);
        encode::<Stream<mqtt_protocol_core::V3>>(group, &row);
        encode::<rumqttc::V3>(group, &row);
    }
    for row in rows::v3_1_1() {
        let group = &mut group(criterion, "decode", &row);
        decode::<Ours<ours::V3>>(group, &row);
        decode::<mqttbytes::V3>(group, &row);
        decode::<Stream<mqtt_protocol_core::V3>>(group, &row);
        decode::<Framed<mqtt_protocol_core::V3>>(group, &row);
        decode::<rumqttc::V3>(group, &row);
    }
}

fn group<'a>(criterion: &'a mut Criterion, direction: &str, row: &Row) -> Group<'a> {
    let mut group = criterion.benchmark_group(format!("{direction}/{}", row.name));
    // `summary` divides by the elements: its figures are for one packet.
    group.throughput(Throughput::ElementsAndBytes { elements: row.packets.len() as u64, bytes: row.wire.len() as u64 });
    group
}

/// Into a buffer that is large enough and used again.
fn encode<C: Codec>(group: &mut Group<'_>, row: &Row) {
    agreement::check::<C>(row);
    let packets: Vec<_> = row.packets.iter().map(C::prepare).collect();
    let mut output = C::output(row.wire.len());
    group.bench_function(C::NAME, |bencher| {
        bencher.iter(|| {
            C::encode(black_box(&packets), &mut output);
            black_box(output.as_ref());
        });
    });
}

/// Every decoding has an input of its own, filled just before as a socket would fill it: some codecs take packets out
/// of it. Decoded packets are dropped within the measured time, as they are in an application; what is left of the
/// input is dropped outside of it.
fn decode<C: Codec>(group: &mut Group<'_>, row: &Row) {
    agreement::check::<C>(row);
    // Enough inputs that reading the clock costs a packet next to nothing, but no more than the cache holds: the largest
    // packet is alone, and some 20 ns of its time are the clock's.
    let batch = BatchSize::NumIterations((CACHED / row.wire.len() as u64).clamp(1, 16));
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_batched_ref(
            || C::input(&row.wire),
            |input| C::decode(input, |packet| _ = black_box(packet)),
            batch,
        );
    });
}

/// What a second level cache can be trusted to hold.
const CACHED: u64 = 1 << 20;

/// What cannot be undercut by who copies, and what who does not copy saves.
fn copy(group: &mut Group<'_>, row: &Row) {
    let mut output = vec![0; row.wire.len()];
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| {
            output.copy_from_slice(black_box(&row.wire));
            black_box(&output);
        });
    });
}

criterion_group!(codec, v5, v3_1_1);
criterion_main!(codec);
