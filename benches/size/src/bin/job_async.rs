//! The job of `job` with the async client: a runner, which also reconnects, and a task that publishes and receives. The runner pings
//! by itself.

#![no_std]
#![no_main]

use core::convert::Infallible;
use core::pin::pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_embedded::mqtt_core::TopicName;
use mqtt_embedded::{
    Client, Clock, Connect, ConnectOptions, Instant, Options, Properties, QoS, Resources, Runner, Shared, Sizes, Will,
    size as bytes_of,
};
use size::World;

/// Exchanges begun here and the bytes of their messages; messages to us, and the bytes of those that wait; messages at QoS 0 on
/// their way out.
const OUT: usize = 1;
const BYTES: usize = 128;
const IN: usize = 1;
const INBOX: usize = 256;
const QUEUE: usize = 128;
/// What is lent for packets in each direction: all in all as much as the others have.
const PACKET: usize = (size::PACKETS - BYTES - INBOX - QUEUE) / 2;

type Memory = Sizes<OUT, BYTES, IN, INBOX, QUEUE, 1, 16>;
type Mqtt = Resources<NoopRawMutex, Time, Memory>;

static mut MQTT: Mqtt = Resources::new(Time);
static mut RECEIVED: [u8; PACKET] = [0; PACKET];
static mut OUTGOING: [u8; PACKET] = [0; PACKET];

/// As `client` has it: session and connection are inside the machine here, which is told as the whole.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".sizes")]
static MQTT_SIZES: [u32; 5] =
    [0, 0, bytes_of::<NoopRawMutex, Time, Memory>() as u32, 2 * PACKET as u32, (BYTES + INBOX + QUEUE) as u32];

struct Time;

impl Clock for Time {
    fn now(&self) -> Instant {
        Instant::from_millis(World.now())
    }

    async fn sleep_until(&self, at: Instant) {
        World.sleep_until(at.as_millis()).await;
    }
}

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

struct Dial;

impl Connect for Dial {
    type Error = Infallible;
    type Dialled<'a> = Shared<Wire>;

    async fn connect(&mut self) -> Result<Shared<Wire>, Infallible> {
        Ok(Shared::new(Wire))
    }
}

struct Dice;

impl rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        World.now() as u32
    }

    fn next_u64(&mut self) -> u64 {
        World.now()
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {}

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
        Ok(())
    }
}

const WILL_TOPIC: TopicName<'_> = match TopicName::new(size::TOPIC) {
    Ok(topic) => topic,
    Err(_) => panic!(),
};

const OPTIONS: Options<'_> = Options::new(ConnectOptions::new(size::CLIENT).keep_alive(size::KEEP_ALIVE).will(Will {
    topic: WILL_TOPIC,
    payload: size::WILL,
    qos: QoS::AtLeastOnce,
    retain: true,
    properties: Properties::EMPTY,
}));

async fn application(client: Client<'_, NoopRawMutex, Time, Memory>) -> Option<()> {
    let mut messages = client.subscribe(size::FILTER, QoS::AtLeastOnce).ok()?;
    messages.granted().await.ok()?;
    let mut buffer = [0; 96];
    loop {
        match World.command() {
            size::RECEIVE => {
                let message = messages.next(&mut buffer).await?.ok()?;
                World.take(message.topic().as_bytes());
                World.take(message.payload());
            }
            size::PUBLISH_QOS_1 => {
                let publish = client.publish(size::TOPIC, size::PAYLOAD).ok()?;
                publish.qos(QoS::AtLeastOnce).retain().deliver().await.ok()?;
            }
            size::PUBLISH_QOS_0 if size::COUNTED => {
                client.publish(size::TOPIC, size::PAYLOAD).ok()?.retain().send().await.ok()?;
            }
            _ => {}
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: this runs once.
    let (mqtt, received, out) = unsafe { (&*&raw const MQTT, &mut *&raw mut RECEIVED, &mut *&raw mut OUTGOING) };
    let mut runner = Runner::new(mqtt, received, out);
    let mut dial = Dial;
    let mut dice = Dice;
    let driver = pin!(async {
        let _ = runner.run(&mut dial, &OPTIONS, &mut dice).await;
    });
    let application = pin!(async {
        application(mqtt.client()).await;
    });
    size::run(&mut [driver, application])
}
