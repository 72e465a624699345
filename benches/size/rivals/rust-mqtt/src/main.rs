//! The job with `rust-mqtt`.

#![no_std]
#![no_main]

use core::convert::Infallible;
use core::pin::pin;

use embedded_io_async::{ErrorType, Read, Write};
use rust_mqtt::Bytes;
use rust_mqtt::buffer::BumpBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{
    ConnectOptions, PublicationOptions, SubscriptionOptions, TopicReference, WillOptions,
};
use rust_mqtt::config::KeepAlive;
use rust_mqtt::types::{MqttBinary, MqttString, TopicFilter, TopicName};
use world::World;

struct Wire;

impl ErrorType for Wire {
    type Error = Infallible;
}

impl Read for Wire {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        Ok(World.receive(buf).await)
    }
}

impl Write for Wire {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        World.write(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

static mut PACKETS: [u8; world::PACKETS] = [0; world::PACKETS];

/// One SUBSCRIBE, one message in each direction, no Topic Alias and no property of many values.
type Mqtt<'c, 'b> = Client<'c, 'b, Wire, BumpBuffer<'b>, 1, 1, 1, 0, 0, 0, 0>;

fn name(text: &'static str) -> Option<TopicName<'static>> {
    TopicName::new(MqttString::from_str(text).ok()?)
}

async fn application() -> Option<()> {
    // SAFETY: this runs once.
    let mut buffer = BumpBuffer::new(unsafe { &mut *&raw mut PACKETS });
    let mut client = Mqtt::new(&mut buffer);
    let will =
        WillOptions::new(name(world::TOPIC)?, MqttBinary::from_slice(world::WILL).ok()?).at_least_once().retain();
    let keep_alive = KeepAlive::Seconds(core::num::NonZero::new(world::KEEP_ALIVE)?);
    let options = ConnectOptions::new().clean_start().keep_alive(keep_alive).will(will);
    client.connect(Wire, &options, Some(MqttString::from_str(world::CLIENT).ok()?)).await.ok()?;
    let filter = TopicFilter::new(MqttString::from_str(world::FILTER).ok()?)?;
    client.subscribe(filter, &SubscriptionOptions::new().at_least_once()).await.ok()?;
    until(&mut client, |event| matches!(event, Event::Suback(_))).await?;
    loop {
        let publication = PublicationOptions::new(TopicReference::Name(name(world::TOPIC)?)).retain();
        match World.command() {
            world::RECEIVE => until(&mut client, |event| matches!(event, Event::Publish(_))).await?,
            world::PUBLISH_QOS_1 => {
                client.publish(&publication.at_least_once(), Bytes::from(&world::PAYLOAD[..])).await.ok()?;
                until(&mut client, |event| matches!(event, Event::PublishAcknowledged(_))).await?;
            }
            world::PUBLISH_QOS_0 if world::COUNTED => {
                client.publish(&publication, Bytes::from(&world::PAYLOAD[..])).await.ok()?;
            }
            world::PING => {
                client.ping().await.ok()?;
                until(&mut client, |event| matches!(event, Event::Pingresp)).await?;
            }
            _ => {}
        }
    }
}

/// Takes what comes until it is that.
async fn until(client: &mut Mqtt<'_, '_>, wanted: impl Fn(&Event<'_, 0, 0>) -> bool) -> Option<()> {
    loop {
        let found = {
            let event = client.poll().await.ok()?;
            if let Event::Publish(message) = &event {
                if let TopicReference::Name(topic) = &message.topic {
                    World.take(topic.as_ref().as_str().as_bytes());
                }
                World.take(message.message.as_bytes());
            }
            wanted(&event)
        };
        // SAFETY: nothing refers to the buffer any more.
        unsafe { client.buffer_mut().reset() };
        if found {
            return Some(());
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let task = pin!(async {
        application().await;
    });
    world::run(&mut [task])
}
