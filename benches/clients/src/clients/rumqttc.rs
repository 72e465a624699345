//! `rumqttc`: a channel to an event loop that the application polls.

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use super::{Done, NOT_MEASURED, SETTLE, block_on};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

fn connect(task: &Task, number: usize) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(format!("bench-{number}"), "127.0.0.1", task.port);
    options.set_outgoing_inflight_upper_limit(WINDOW as u16);
    options.set_receive_maximum(Some(WINDOW as u16));
    options.set_max_packet_size(Some(1 << 20));
    AsyncClient::new(options, if number == 0 { WINDOW } else { 10 })
}

fn qos(task: &Task) -> QoS {
    match task.qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// Polls until `done` has seen enough.
async fn until(
    event_loop: &mut EventLoop,
    mut done: impl FnMut(&Packet) -> bool,
) -> Result<(), Box<dyn std::error::Error>> {
    loop {
        if let Event::Incoming(packet) = event_loop.poll().await?
            && done(&packet)
        {
            return Ok(());
        }
    }
}

pub fn publish(task: &Task) -> Done {
    let task = task.clone();
    block_on(async {
        let (client, mut event_loop) = connect(&task, 0);
        until(&mut event_loop, |packet| matches!(packet, Packet::ConnAck(_))).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let watch = Stopwatch::start();
        let (qos, count) = (qos(&task), task.count);
        tokio::spawn(async move {
            for _ in 0..count {
                client.publish(COUNT, qos, false, payload.clone()).await.ok();
            }
            if qos == QoS::AtMostOnce {
                client.publish(COUNT, QoS::AtLeastOnce, false, Bytes::new()).await.ok();
            }
            // The event loop ends with its last client.
            std::future::pending::<()>().await;
            drop(client);
        });
        let mut left = if task.qos == 0 { 1 } else { count };
        until(&mut event_loop, |packet| {
            left -= usize::from(matches!(packet, Packet::PubAck(_) | Packet::PubComp(_)));
            left == 0
        })
        .await?;
        Ok(watch.stop(task.count))
    })
}

pub fn receive(task: &Task) -> Done {
    block_on(async {
        let (client, mut event_loop) = connect(task, 0);
        until(&mut event_loop, |packet| matches!(packet, Packet::ConnAck(_))).await?;
        let watch = Stopwatch::start();
        client.subscribe(task.flood(), qos(task)).await?;
        let mut left = task.count;
        until(&mut event_loop, |packet| {
            left -= usize::from(matches!(packet, Packet::Publish(_)));
            left == 0
        })
        .await?;
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    block_on(async {
        let (client, mut event_loop) = connect(task, 0);
        client.subscribe(ECHO, QoS::AtMostOnce).await?;
        until(&mut event_loop, |packet| matches!(packet, Packet::SubAck(_))).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let mut trips = RoundTrips::start(task.count);
        for _ in 0..task.count {
            client.publish(ECHO, QoS::AtMostOnce, false, payload.clone()).await?;
            until(&mut event_loop, |packet| matches!(packet, Packet::Publish(_))).await?;
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
            let (client, mut event_loop) = connect(task, number);
            until(&mut event_loop, |packet| matches!(packet, Packet::ConnAck(_))).await?;
            clients.push(client);
            tokio::spawn(async move { while event_loop.poll().await.is_ok() {} });
        }
        tokio::time::sleep(SETTLE).await;
        Ok(memory.after(task.count))
    })
}
