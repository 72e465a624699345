//! How often the client allocates for a message once it has run for a while. The broker has a thread of its own: what this
//! thread allocates is the client's, and the runtime's.

#![allow(clippy::unwrap_used)] // the lints' configuration exempts test functions, not their helpers

use std::sync::mpsc;

use bytes::Bytes;
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, QoS, Subscription};
use tokio::runtime::{Builder, Runtime};

const MESSAGES: u64 = 2_000;

struct Pair {
    runtime: Runtime,
    client: Client,
    /// Dropped, it ends the broker.
    _broker: mpsc::Sender<()>,
}

impl Pair {
    fn new() -> Self {
        let (broker, end) = mpsc::channel();
        let (tell, url) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let broker = runtime.block_on(Broker::start(BrokerOptions::new())).unwrap();
            tell.send(broker.url()).unwrap();
            let _ = end.recv();
        });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(Client::connect(url.recv().unwrap().as_str())).unwrap();
        Self { runtime, client, _broker: broker }
    }

    /// Allocations for each message, after as many that are not counted.
    fn count(&self, mut messages: impl AsyncFnMut(&Client)) -> f64 {
        self.runtime.block_on(messages(&self.client));
        let counted = allocation_counter::measure(|| self.runtime.block_on(messages(&self.client)));
        counted.count_total as f64 / MESSAGES as f64
    }
}

async fn publish(client: &Client, qos: QoS) {
    for _ in 0..MESSAGES {
        client.publish("allocations/out", Bytes::from_static(b"21.5")).qos(qos).await.unwrap();
    }
}

#[test]
fn a_published_message_allocates_nothing_beyond_its_payload() {
    let pair = Pair::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let each = pair.count(async |client| publish(client, qos).await);
        println!("published {qos:?}: {each:.3} allocations");
        assert!(each < 0.05, "{qos:?}: {each} allocations for each message");
    }
}

#[test]
fn a_received_message_allocates_once() {
    let pair = Pair::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut messages: Subscription =
            pair.runtime.block_on(async { pair.client.subscribe("in/#", qos).await.unwrap() });
        let publishing = pair.count(async |client| {
            for _ in 0..MESSAGES {
                client.publish("out", Bytes::from_static(b"21.5")).qos(qos).await.unwrap();
            }
        });
        let both = pair.count(async |client| {
            for _ in 0..MESSAGES {
                client.publish("in/cellar", Bytes::from_static(b"21.5")).qos(qos).await.unwrap();
                messages.next().await.unwrap();
            }
        });
        let each = both - publishing;
        println!("received {qos:?}: {each:.3} allocations");
        assert!(each < 1.05, "{qos:?}: {each} allocations for each message");
    }
}
