//! The job with `mqttrust`: its stack and its client, each a task. It sends PINGREQ by itself, and reconnects.

#![no_std]
#![no_main]

use core::convert::Infallible;
use core::net::{Ipv4Addr, SocketAddr};
use core::pin::pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;
use mqttrust::transport::embedded_nal::NalTransport;
use mqttrust::{Config, IpBroker, LastWill, MqttClient, Publish, QoS, State, Subscribe, SubscribeTopic};
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

struct Network;

impl TcpConnect for Network {
    type Error = Infallible;
    type Connection<'a> = Wire;

    async fn connect(&self, _: SocketAddr) -> Result<Wire, Infallible> {
        Ok(Wire)
    }
}

static mut STATE: State<NoopRawMutex, { world::PACKETS / 2 }, { world::PACKETS / 2 }> = State::new();

async fn application(client: &MqttClient<'_, NoopRawMutex>) -> Option<()> {
    let filters = [SubscribeTopic::builder().topic_path(world::FILTER).build()];
    let mut messages = client.subscribe::<1>(Subscribe::builder().topics(&filters).build()).await.ok()?;
    loop {
        match World.command() {
            world::RECEIVE => {
                let message = messages.next_message().await?;
                World.take(message.topic_name().as_bytes());
                World.take(message.payload());
            }
            world::PUBLISH_QOS_1 => {
                let publish = Publish::builder().topic_name(world::TOPIC).payload(&world::PAYLOAD[..]).retain(true);
                client.publish(publish.build()).await.ok()?;
            }
            world::PUBLISH_QOS_0 if world::COUNTED => {
                let publish = Publish::builder().topic_name(world::TOPIC).payload(&world::PAYLOAD[..]).retain(true);
                client.publish(publish.qos(QoS::AtMostOnce).build()).await.ok()?;
            }
            _ => {}
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let will = LastWill::builder().topic(world::TOPIC).data(world::WILL).retained(true).build();
    let Ok(client_identifier) = world::CLIENT.try_into() else { loop {} };
    let config = Config::builder()
        .client_id(client_identifier)
        .keepalive_interval(Duration::from_secs(world::KEEP_ALIVE.into()))
        .last_will(will)
        .build();
    // SAFETY: this runs once.
    let (mut stack, client) = mqttrust::new(unsafe { &mut *&raw mut STATE }, config);
    let network = Network;
    let mut transport = NalTransport::new(&network, IpBroker::new(Ipv4Addr::LOCALHOST, 1883));
    let stack = pin!(stack.run(&mut transport));
    let application = pin!(async {
        application(&client).await;
    });
    world::run(&mut [stack, application])
}
