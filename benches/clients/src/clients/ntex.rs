//! `ntex-mqtt`: a sink and a handler on one thread of its own runtime.

use std::cell::Cell;
use std::rc::Rc;

use ntex::util::{ByteString, Bytes};
use ntex::{Pipeline, SharedCfg};
use ntex_mqtt::v5;
use ntex_mqtt::v5::client::ProtocolMessage;
use tokio::sync::Notify;

use super::{Done, NOT_MEASURED, SETTLE};
use crate::measure::{COUNT, ECHO, Memory, RoundTrips, Stopwatch, Task, WINDOW};

/// Messages that have come, and who waits for them.
#[derive(Default)]
struct Received {
    count: Cell<usize>,
    wanted: Cell<usize>,
    enough: Notify,
}

impl Received {
    fn one(&self) {
        self.count.set(self.count.get() + 1);
        if self.count.get() == self.wanted.get() {
            self.enough.notify_one();
        }
    }

    async fn until(&self, count: usize) {
        self.wanted.set(count);
        while self.count.get() < count {
            self.enough.notified().await;
        }
    }
}

async fn connect(
    task: &Task,
    number: usize,
    received: &Rc<Received>,
) -> Result<v5::MqttSink, Box<dyn std::error::Error>> {
    let connect = v5::client::Connect::new(format!("127.0.0.1:{}", task.port))
        .client_id(format!("bench-{number}"))
        .max_receive(WINDOW as u16);
    let connector = Pipeline::new(SharedCfg::default(), v5::client::MqttConnector::new());
    let client = connector.call(connect).await.map_err(|error| format!("{error:?}"))?;
    let sink = client.sink();
    let received = Rc::clone(received);
    ntex::rt::spawn(client.start(async move |message: ProtocolMessage| match message {
        ProtocolMessage::Publish(publish) => {
            // The payload may come in parts.
            let _payload = publish.read_all().await;
            received.one();
            Ok::<_, ()>(publish.ack(v5::codec::PublishAckReason::Success))
        }
        ProtocolMessage::PublishRelease(message) => Ok(message.ack()),
        ProtocolMessage::Disconnect(message) => Ok(message.ack()),
        message => Ok(message.ack()),
    }));
    Ok(sink)
}

fn block_on<F: Future<Output = Done> + 'static>(future: F) -> Done {
    ntex::rt::System::new("bench", ntex::rt::DefaultRuntime).block_on(future)
}

async fn subscribe(sink: &v5::MqttSink, filter: &str, qos: v5::codec::QoS) -> Result<(), Box<dyn std::error::Error>> {
    let options = v5::codec::SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: v5::codec::RetainHandling::AtSubscribe,
    };
    sink.subscribe(None).topic_filter(filter.into(), options).send().await.map_err(|error| format!("{error:?}"))?;
    Ok(())
}

async fn publish_one(sink: v5::MqttSink, payload: Bytes) -> Result<(), String> {
    let publish = sink.publish(ByteString::from_static(COUNT));
    publish.send_at_least_once(payload).await.map(drop).map_err(|error| format!("{error:?}"))
}

pub fn publish(task: &Task) -> Done {
    if task.qos == 2 {
        // Its sink has room for one that waits for PUBCOMP; a second one waits for ever.
        return Err(NOT_MEASURED.into());
    }
    let task = task.clone();
    block_on(async move {
        let sink = connect(&task, 0, &Rc::default()).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let watch = Stopwatch::start();
        if task.qos == 0 {
            for _ in 0..task.count {
                if !sink.is_ready() {
                    sink.ready().await;
                }
                let publish = sink.publish(ByteString::from_static(COUNT));
                publish.send_at_most_once(payload.clone()).map_err(|error| format!("{error:?}"))?;
            }
            publish_one(sink, Bytes::new()).await?;
            return Ok(watch.stop(task.count));
        }
        let acknowledged = Rc::new(Received::default());
        let counter = Rc::clone(&acknowledged);
        sink.publish_ack_cb(move |_, _| counter.one());
        for _ in 0..task.count {
            if !sink.is_ready() {
                sink.ready().await;
            }
            let publish = sink.publish(ByteString::from_static(COUNT));
            publish.send_at_least_once_no_block(payload.clone()).map_err(|error| format!("{error:?}"))?;
        }
        acknowledged.until(task.count).await;
        Ok(watch.stop(task.count))
    })
}

pub fn receive(task: &Task) -> Done {
    let task = task.clone();
    block_on(async move {
        let received = Rc::default();
        let sink = connect(&task, 0, &received).await?;
        let qos = match task.qos {
            0 => v5::codec::QoS::AtMostOnce,
            1 => v5::codec::QoS::AtLeastOnce,
            _ => v5::codec::QoS::ExactlyOnce,
        };
        let watch = Stopwatch::start();
        subscribe(&sink, &task.flood(), qos).await?;
        received.until(task.count).await;
        Ok(watch.stop(task.count))
    })
}

pub fn round_trip(task: &Task) -> Done {
    let task = task.clone();
    block_on(async move {
        let received = Rc::default();
        let sink = connect(&task, 0, &received).await?;
        subscribe(&sink, ECHO, v5::codec::QoS::AtMostOnce).await?;
        let payload = Bytes::from(vec![b'x'; task.payload]);
        let mut trips = RoundTrips::start(task.count);
        for number in 1..=task.count {
            let publish = sink.publish(ByteString::from_static(ECHO));
            publish.send_at_most_once(payload.clone()).map_err(|error| format!("{error:?}"))?;
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
    let task = task.clone();
    block_on(async move {
        let received = Rc::default();
        let memory = Memory::before();
        let mut clients = Vec::new();
        for number in 1..=task.count {
            clients.push(connect(&task, number, &received).await?);
        }
        ntex::time::sleep(ntex::time::Millis(SETTLE.as_millis() as u32)).await;
        Ok(memory.after(task.count))
    })
}
