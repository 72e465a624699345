//! The job with `mountain-mqtt`.

#![no_std]
#![no_main]

use core::convert::Infallible;
use core::pin::pin;

use embedded_hal_async::delay::DelayNs;
use embedded_io::ReadReady;
use embedded_io_async::{ErrorType, Read, Write};
use heapless::Vec;
use mountain_mqtt::client::{
    Client, ClientNoQueue, ClientReceivedEvent, ConnectionSettings, EventHandler, EventHandlerError,
};
use mountain_mqtt::data::quality_of_service::QualityOfService;
use mountain_mqtt::embedded_hal_async::DelayEmbedded;
use mountain_mqtt::embedded_io_async::ConnectionEmbedded;
use mountain_mqtt::packets::connect::Will;
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

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(World.readable())
    }
}

impl Write for Wire {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        World.write(buf);
        Ok(buf.len())
    }
}

struct Wait;

impl DelayNs for Wait {
    async fn delay_ns(&mut self, ns: u32) {
        let until = World.now() + u64::from(ns.div_ceil(1_000_000));
        World.sleep_until(until).await;
    }

    async fn delay_us(&mut self, us: u32) {
        let until = World.now() + u64::from(us.div_ceil(1_000));
        World.sleep_until(until).await;
    }
}

/// Properties in a message.
const PROPERTIES: usize = 4;

struct Take;

impl EventHandler<PROPERTIES> for Take {
    async fn handle_event(&mut self, event: ClientReceivedEvent<'_, PROPERTIES>) -> Result<(), EventHandlerError> {
        if let ClientReceivedEvent::ApplicationMessage(message) = event {
            World.take(message.topic_name.as_bytes());
            World.take(message.payload);
        }
        Ok(())
    }
}

static mut PACKETS: [u8; world::PACKETS] = [0; world::PACKETS];

async fn application() -> Option<()> {
    // SAFETY: this runs once.
    let buffer = unsafe { &mut *&raw mut PACKETS };
    let mut client = ClientNoQueue::new(ConnectionEmbedded::new(Wire), buffer, DelayEmbedded::new(Wait), 5_000, Take);
    let will = Will::<0>::new(QualityOfService::Qos1, true, world::TOPIC, world::WILL, Vec::new());
    client.connect_with_will(&ConnectionSettings::unauthenticated(world::CLIENT), Some(will)).await.ok()?;
    client.subscribe(world::FILTER, QualityOfService::Qos1).await.ok()?;
    loop {
        match World.command() {
            world::RECEIVE => {
                client.poll(true).await.ok()?;
            }
            world::PUBLISH_QOS_1 => {
                client.publish(world::TOPIC, world::PAYLOAD, QualityOfService::Qos1, true).await.ok()?;
            }
            world::PUBLISH_QOS_0 if world::COUNTED => {
                client.publish(world::TOPIC, world::PAYLOAD, QualityOfService::Qos0, true).await.ok()?;
            }
            world::PING => {
                client.send_ping().await.ok()?;
                client.poll(true).await.ok()?;
            }
            _ => {}
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
