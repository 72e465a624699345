//! `mqtt5`: a publish resolves once it is acknowledged, so many tasks publish at once; messages come through a callback.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt5::{ConnectOptions, MqttClient, PublishOptions, QoS, SubscribeOptions};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Done, NOT_MEASURED, SETTLE, block_on};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

async fn connect(task: &Task, number: usize) -> Result<MqttClient, Box<dyn Error>> {
    let options = ConnectOptions::new(format!("bench-{number}"))
        .with_keep_alive(Duration::from_secs(60))
        .with_receive_maximum(WINDOW as u16);
    let client = MqttClient::with_options(options);
    client.connect(&format!("mqtt://127.0.0.1:{}", task.port)).await?;
    Ok(client)
}

fn qos(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn at(level: u8) -> PublishOptions {
    PublishOptions { qos: qos(level), ..PublishOptions::default() }
}

pub fn publish(task: &Task) -> Done {
    block_on(async {
        let client = connect(task, 0).await?;
        let payload = vec![b'x'; task.payload];
        let watch = Stopwatch::start();
        if task.qos == 0 {
            for _ in 0..task.count {
                client.publish_with_options(COUNT, payload.clone(), at(0)).await?;
            }
            client.publish_with_options(COUNT, Vec::new(), at(1)).await?;
            return Ok(watch.stop(task.count));
        }
        let at_once = 256.min(task.count);
        let mut tasks = JoinSet::new();
        for number in 0..at_once {
            let (client, payload, level) = (client.clone(), payload.clone(), task.qos);
            let count = (task.count + number) / at_once;
            tasks.spawn(async move {
                for _ in 0..count {
                    if let Err(error) = client.publish_with_options(COUNT, payload.clone(), at(level)).await {
                        return Some(error.to_string());
                    }
                }
                None
            });
        }
        while let Some(done) = tasks.join_next().await {
            if let Some(error) = done? {
                return Err(error.into());
            }
        }
        Ok(watch.stop(task.count))
    })
}

#[derive(Default)]
struct Received {
    count: AtomicUsize,
    wanted: AtomicUsize,
    enough: Notify,
}

impl Received {
    async fn until(&self, count: usize) {
        self.wanted.store(count, Ordering::Relaxed);
        while self.count.load(Ordering::Relaxed) < count {
            self.enough.notified().await;
        }
    }
}

async fn subscribe(client: &MqttClient, filter: &str, level: u8) -> Result<Arc<Received>, Box<dyn Error>> {
    let received = Arc::new(Received::default());
    let counter = Arc::clone(&received);
    let options = SubscribeOptions { qos: qos(level), ..SubscribeOptions::default() };
    let on_message = move |_message| {
        if counter.count.fetch_add(1, Ordering::Relaxed) + 1 == counter.wanted.load(Ordering::Relaxed) {
            counter.enough.notify_one();
        }
    };
    client.subscribe_with_options(filter, options, on_message).await?;
    Ok(received)
}

pub fn receive(task: &Task) -> Done {
    block_on(async {
        let client = connect(task, 0).await?;
        let watch = Stopwatch::start();
        let received = subscribe(&client, &task.flood(), task.qos).await?;
        received.until(task.count).await;
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    block_on(async {
        let client = connect(task, 0).await?;
        let received = subscribe(&client, ECHO, 0).await?;
        let payload = vec![b'x'; task.payload];
        let mut trips = RoundTrips::start(task.count);
        for number in 1..=task.count {
            client.publish_with_options(ECHO, payload.clone(), at(0)).await?;
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
        let memory = Memory::before();
        let mut clients = Vec::new();
        for number in 1..=task.count {
            clients.push(connect(task, number).await?);
        }
        tokio::time::sleep(SETTLE).await;
        Ok(memory.after(task.count))
    })
}
