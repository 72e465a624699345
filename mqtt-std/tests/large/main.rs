//! Payloads of any size in constant memory.
//!
//! One test, in a process of its own, because it looks at the memory of the whole process. 64 MB are enough to tell; with
//! `MQTT_TEST_LARGE=256000000` it is as much as that.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(target_os = "linux")]

mod far;

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use bytes::Bytes;
use mqtt_std::{Client, Opening, Options, PayloadSource, ProtocolVersion, QoS, Source};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use far::{Far, Pattern};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What all that is held of a payload may take, stacks and the like included.
const BOUND: usize = 6 << 20;

fn length() -> usize {
    std::env::var("MQTT_TEST_LARGE").map_or(64_000_000, |length| length.parse().unwrap())
}

/// The pattern, to be sent.
#[derive(Clone)]
struct Made(usize);

struct Making {
    pattern: Pattern,
    left: usize,
}

impl PayloadSource for Made {
    fn length(&self) -> u64 {
        self.0 as u64
    }

    fn open(&self) -> Opening {
        let making = self.reader();
        Box::pin(async { Ok(Box::pin(making) as _) })
    }
}

impl Made {
    fn reader(&self) -> Making {
        Making { pattern: Pattern::default(), left: self.0 }
    }
}

impl AsyncRead for Making {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = self.left.min(buffer.remaining());
        let this = &mut *self;
        this.pattern.next(len, |piece| buffer.put_slice(piece));
        this.left -= len;
        Poll::Ready(Ok(()))
    }
}

/// Tells by how much the memory of the process grew at most.
async fn growth(work: impl Future<Output = ()>) -> usize {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    work.await;
    memory("VmHWM:").saturating_sub(before)
}

fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

async fn connect(far: &Far) -> Client {
    let options = Options::new("127.0.0.1", far.port()).version(far.version());
    Client::connect(options.maximum_packet_size(64 * 1024).streaming()).await.unwrap()
}

async fn out(far: &Far, length: usize) {
    let client = connect(far).await;
    for qos in QOS {
        let grown = growth(async {
            client.publish_from("t", Made(length)).qos(qos).await.unwrap();
        });
        let grown = grown.await;
        println!("{:?} out, {qos:?}: {} KiB", far.version(), grown / 1024);
        assert!(grown < BOUND, "{qos:?}: {grown}");
    }
    let grown = growth(async {
        client.publish_from("t", Source::once(Made(length).reader(), length as u64)).await.unwrap();
    });
    assert!(grown.await < BOUND);
    // At QoS 0 the transport has all of it, the broker soon.
    while far.received() < 4 * length as u64 {
        tokio::task::yield_now().await;
    }
    // What is in memory already is not copied.
    let mut all = Vec::with_capacity(length);
    Pattern::default().next(length, |piece| all.extend_from_slice(piece));
    let all = Bytes::from(all);
    for qos in QOS {
        let grown = growth(async {
            client.publish("t", all.clone()).qos(qos).await.unwrap();
        });
        let grown = grown.await;
        println!("{:?} out from memory, {qos:?}: {} KiB", far.version(), grown / 1024);
        assert!(grown < BOUND, "{qos:?}: {grown}");
    }
}

async fn in_parts(far: &Far, length: usize) {
    let client = connect(far).await;
    let mut stream = client.subscribe("t", QoS::ExactlyOnce).streamed().await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    for qos in QOS {
        far.send(qos, length);
        let grown = growth(async {
            let message = stream.next().await.unwrap();
            assert_eq!((message.qos(), message.payload_len()), (qos, length));
            let (mut reader, mut pattern, mut found) = (message.reader(), Pattern::default(), 0);
            loop {
                let len = reader.read(&mut piece).await.unwrap();
                if len == 0 {
                    break;
                }
                let mut rest = &piece[..len];
                pattern.next(len, |expected| {
                    assert!(rest.starts_with(expected), "at {found}");
                    rest = &rest[expected.len()..];
                });
                found += len;
            }
            assert_eq!(found, length);
        });
        let grown = grown.await;
        println!("{:?} in, {qos:?}: {} KiB", far.version(), grown / 1024);
        assert!(grown < BOUND, "{qos:?}: {grown}");
        far.answered();
    }
    assert_eq!(client.statistics().received, 3);
}

#[test]
fn a_payload_of_any_size_takes_constant_memory_both_ways() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let held =
            growth(async { assert_eq!(vec![1; 4 * BOUND].iter().filter(|byte| **byte == 1).count(), 4 * BOUND) });
        assert!(held.await > 3 * BOUND, "what is held is seen");
        for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
            // What it takes for the first time, whatever the size.
            out(&Far::start(version), 1_000_000).await;
            in_parts(&Far::start(version), 1_000_000).await;
            out(&Far::start(version), length()).await;
            in_parts(&Far::start(version), length()).await;
        }
    });
}
