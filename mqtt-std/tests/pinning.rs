//! A small message that is kept does not keep what was read together with it. trap C7
//!
//! In a process of its own, because it looks at the memory of the process.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use mqtt_std::testkit::{Conditions, Expect, Network, Peer};
use mqtt_std::{Client, Options, ProtocolVersion, QoS};

const KEPT: usize = 10_000;
const LARGE: usize = 16 * 1024;

/// KiB of resident memory.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<usize>().ok()? * 4)
}

#[tokio::test]
async fn ten_thousand_small_messages_from_large_reads_take_little_memory() {
    let network = Network::with(Conditions::new().capacity(1024 * 1024));
    let peer = Peer::in_memory(&network, ProtocolVersion::V5_0);
    let options = Options::new("memory", 1883).connector(network);
    let (client, conversation) = tokio::join!(Client::connect(options), peer.welcome(false));
    let (client, mut conversation) = (client.unwrap(), conversation.unwrap());
    let subscribed = async {
        conversation.expect(&Expect::subscribe("#")).await.unwrap();
        conversation.answer().await.unwrap();
    };
    let (stream, ()) = tokio::join!(client.subscribe("#", QoS::AtMostOnce), subscribed);
    let mut stream = stream.unwrap();

    let before = resident();
    let large = vec![b'x'; LARGE];
    let send = async {
        for _ in 0..KEPT {
            conversation.publish("large", QoS::AtMostOnce, 0, &large).await.unwrap();
            conversation.publish("small", QoS::AtMostOnce, 0, b"a small payload").await.unwrap();
        }
    };
    let keep = async {
        let mut kept = Vec::new();
        while kept.len() < KEPT {
            kept.extend(stream.next().await.filter(|message| message.topic() == "small"));
        }
        kept
    };
    let ((), kept) = tokio::join!(send, keep);
    assert!(kept.iter().all(|message| message.payload() == b"a small payload"));
    let Some((before, after)) = before.zip(resident()) else { return };
    // Together they were read with 160 MB; themselves they are some 100 bytes each.
    let grown = after.saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for {KEPT} small messages");
}
