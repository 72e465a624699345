//! `gneiss-mqtt`: futures for each operation, events through a callback.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gneiss_mqtt::client::config::{ConnectOptions, TokioOptions};
use gneiss_mqtt::client::{AsyncClient, AsyncClientHandle, AsyncPublishResult, ClientEvent, TokioClientBuilder};
use gneiss_mqtt::mqtt::{PublishPacket, QualityOfService, SubscribePacket};
use tokio::sync::Notify;

use super::{Done, NOT_MEASURED, SETTLE, block_on};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

#[derive(Default)]
struct Received {
    connected: Notify,
    count: AtomicUsize,
    wanted: AtomicUsize,
    enough: Notify,
}

impl Received {
    fn event(&self, event: &ClientEvent) {
        match event {
            ClientEvent::ConnectionSuccess(_) => self.connected.notify_one(),
            ClientEvent::PublishReceived(_) => {
                if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted.load(Ordering::Relaxed) {
                    self.enough.notify_one();
                }
            }
            _ => {}
        }
    }

    async fn until(&self, count: usize) {
        self.wanted.store(count, Ordering::Relaxed);
        while self.count.load(Ordering::Relaxed) < count {
            self.enough.notified().await;
        }
    }
}

async fn connect(task: &Task, number: usize, received: &Arc<Received>) -> Result<AsyncClientHandle, Box<dyn Error>> {
    let connect = ConnectOptions::builder()
        .with_client_id(&format!("bench-{number}"))
        .with_receive_maximum(WINDOW as u16)
        .build();
    let runtime = TokioOptions::builder(tokio::runtime::Handle::current()).build();
    let client = TokioClientBuilder::new("127.0.0.1", task.port)
        .with_connect_options(connect)
        .with_tokio_options(runtime)
        .build()?;
    let listener = Arc::clone(received);
    client.start(Some(Arc::new(move |event: Arc<ClientEvent>| listener.event(&event))))?;
    received.connected.notified().await;
    Ok(client)
}

fn qos(qos: u8) -> QualityOfService {
    match qos {
        0 => QualityOfService::AtMostOnce,
        1 => QualityOfService::AtLeastOnce,
        _ => QualityOfService::ExactlyOnce,
    }
}

fn packet(topic: &str, at: u8, payload: &[u8]) -> PublishPacket {
    PublishPacket::builder(topic.to_owned(), qos(at)).with_payload(payload.to_vec()).build()
}

pub fn publish(task: &Task) -> Done {
    block_on(async {
        let client = connect(task, 0, &Arc::default()).await?;
        let payload = vec![b'x'; task.payload];
        let watch = Stopwatch::start();
        let mut results = VecDeque::with_capacity(WINDOW);
        for _ in 0..task.count {
            if results.len() == WINDOW {
                next(&mut results).await?;
            }
            results.push_back(client.publish(packet(COUNT, task.qos, &payload), None));
        }
        while !results.is_empty() {
            next(&mut results).await?;
        }
        if task.qos == 0 {
            client.publish(packet(COUNT, 1, &[]), None).await?;
        }
        Ok(watch.stop(task.count))
    })
}

async fn next(results: &mut VecDeque<AsyncPublishResult>) -> Result<(), Box<dyn Error>> {
    if let Some(result) = results.pop_front() {
        result.await?;
    }
    Ok(())
}

async fn subscribe(client: &AsyncClientHandle, filter: &str, at: u8) -> Result<(), Box<dyn Error>> {
    let packet = SubscribePacket::builder().with_subscription_simple(filter.to_owned(), qos(at)).build();
    client.subscribe(packet, None).await?;
    Ok(())
}

pub fn receive(task: &Task) -> Done {
    block_on(async {
        let received = Arc::default();
        let client = connect(task, 0, &received).await?;
        let watch = Stopwatch::start();
        subscribe(&client, &task.flood(), task.qos).await?;
        received.until(task.count).await;
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    block_on(async {
        let received = Arc::default();
        let client = connect(task, 0, &received).await?;
        subscribe(&client, ECHO, 0).await?;
        let payload = vec![b'x'; task.payload];
        let mut trips = RoundTrips::start(task.count);
        for number in 1..=task.count {
            drop(client.publish(packet(ECHO, 0, &payload), None));
            received.until(number).await;
            trips.lap();
        }
        Ok(trips.stop())
    })
}

pub fn idle(task: &Task, used: bool) -> Done {
    if used {
        return Err(NOT_MEASURED.into());
    }
    block_on(async {
        let received = Arc::default();
        let memory = Memory::before();
        let mut clients = Vec::new();
        for number in 1..=task.count {
            clients.push(connect(task, number, &received).await?);
        }
        tokio::time::sleep(SETTLE).await;
        Ok(memory.after(task.count))
    })
}
