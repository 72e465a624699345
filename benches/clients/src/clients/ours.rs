//! `mqtt-std`: handles, receipts and bounded streams.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mqtt_std::{Client, Options, QoS, Receipt};

use super::{Done, SETTLE, block_on};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

fn options(task: &Task) -> Options {
    Options::new("127.0.0.1", task.port).session_expiry_interval(0)
}

fn qos(task: &Task) -> QoS {
    match task.qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

pub fn publish(task: &Task) -> Done {
    block_on(async {
        let client = Client::connect(options(task)).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let qos = qos(task);
        let watch = Stopwatch::start();
        if task.qos == 0 {
            for _ in 0..task.count {
                client.publish(COUNT, payload.clone()).send().await?;
            }
            client.publish(COUNT, "").qos(QoS::AtLeastOnce).await?;
            return Ok(watch.stop(task.count));
        }
        let mut receipts = VecDeque::with_capacity(WINDOW);
        for _ in 0..task.count {
            if receipts.len() == WINDOW {
                next(&mut receipts).await?;
            }
            receipts.push_back(client.publish(COUNT, payload.clone()).qos(qos).send().await?);
        }
        while !receipts.is_empty() {
            next(&mut receipts).await?;
        }
        Ok(watch.stop(task.count))
    })
}

/// The oldest receipt.
async fn next(receipts: &mut VecDeque<Receipt>) -> Result<(), mqtt_std::Error> {
    if let Some(receipt) = receipts.pop_front() {
        receipt.await?;
    }
    Ok(())
}

pub fn receive(task: &Task) -> Done {
    block_on(async {
        let client = Client::connect(options(task)).await?;
        let watch = Stopwatch::start();
        let mut stream = client.subscribe(task.flood(), qos(task)).await?;
        for _ in 0..task.count {
            stream.next().await.ok_or("stream ended")?;
        }
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    block_on(async {
        let client = Client::connect(options(task)).await?;
        let mut stream = client.subscribe(ECHO, QoS::AtMostOnce).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let mut trips = RoundTrips::start(task.count);
        for _ in 0..task.count {
            client.publish(ECHO, payload.clone()).send().await?;
            stream.next().await.ok_or("stream ended")?;
            trips.lap();
        }
        Ok(trips.stop())
    })
}

pub fn idle(task: &Task, used: bool) -> Done {
    block_on(async {
        let memory = Memory::before();
        let mut clients = Vec::new();
        for _ in 0..task.count {
            let client = Client::connect(options(task)).await?;
            if used {
                let payload = Bytes::from(vec![b'x'; 16 * 1024]);
                let mut stream = client.subscribe(ECHO, QoS::AtMostOnce).await?;
                client.publish(COUNT, payload.clone()).qos(QoS::ExactlyOnce).await?;
                client.publish(ECHO, payload).send().await?;
                stream.next().await.ok_or("stream ended")?;
            }
            clients.push(client);
        }
        tokio::time::sleep(SETTLE + if used { Duration::from_secs(5) } else { Duration::ZERO }).await;
        Ok(memory.after(task.count))
    })
}
