//! `paho-mqtt`: the C library, whose threads are its own.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use paho_mqtt as paho;

use super::{Done, NOT_MEASURED, SETTLE, block_on};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

async fn connect(task: &Task, number: usize) -> Result<paho::AsyncClient, Box<dyn Error>> {
    let create = paho::CreateOptionsBuilder::new()
        .server_uri(format!("mqtt://127.0.0.1:{}", task.port))
        .client_id(format!("bench-{number}"))
        .mqtt_version(paho::MQTT_VERSION_5)
        .persistence(paho::PersistenceType::None)
        .max_buffered_messages(2 * WINDOW as i32)
        .finalize();
    let client = paho::AsyncClient::new(create)?;
    let mut properties = paho::Properties::new();
    properties.push_u16(paho::PropertyCode::ReceiveMaximum, WINDOW as u16)?;
    let connect = paho::ConnectOptionsBuilder::new_v5()
        .keep_alive_interval(Duration::from_secs(60))
        .clean_start(true)
        .max_inflight(WINDOW as i32)
        .properties(properties)
        .finalize();
    client.connect(connect).await?;
    Ok(client)
}

pub fn publish(task: &Task) -> Done {
    block_on(async {
        let client = connect(task, 0).await?;
        let payload = vec![b'x'; task.payload];
        let watch = Stopwatch::start();
        let mut tokens = VecDeque::with_capacity(WINDOW);
        for _ in 0..task.count {
            if tokens.len() == WINDOW {
                next(&mut tokens).await?;
            }
            let message = paho::Message::new(COUNT, payload.as_slice(), i32::from(task.qos));
            tokens.push_back(client.publish(message));
        }
        while !tokens.is_empty() {
            next(&mut tokens).await?;
        }
        if task.qos == 0 {
            client.publish(paho::Message::new(COUNT, [], 1)).await?;
        }
        Ok(watch.stop(task.count))
    })
}

async fn next(tokens: &mut VecDeque<paho::DeliveryToken>) -> Result<(), paho::Error> {
    match tokens.pop_front() {
        Some(token) => token.await,
        None => Ok(()),
    }
}

pub fn receive(task: &Task) -> Done {
    block_on(async {
        let mut client = connect(task, 0).await?;
        let stream = client.get_stream(None);
        let watch = Stopwatch::start();
        client.subscribe(task.flood(), i32::from(task.qos)).await?;
        for _ in 0..task.count {
            stream.recv().await?.ok_or("connection lost")?;
        }
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    block_on(async {
        let mut client = connect(task, 0).await?;
        let stream = client.get_stream(None);
        client.subscribe(ECHO, 0).await?;
        let payload = vec![b'x'; task.payload];
        let mut trips = RoundTrips::start(task.count);
        for _ in 0..task.count {
            drop(client.publish(paho::Message::new(ECHO, payload.as_slice(), 0)));
            stream.recv().await?.ok_or("connection lost")?;
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
