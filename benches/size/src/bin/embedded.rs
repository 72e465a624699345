//! The async client: a runner and handles, for the same job as `client`: connect with a Will, subscribe, publish at each QoS with
//! receipts, receive, ping, disconnect, connect again.

#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_embedded::mqtt_core::TopicName;
use mqtt_embedded::{
    Client, Clock, Connect, ConnectOptions, Instant, Options, Properties, QoS, Resources, Runner, Shared, Sizes, Will,
    size as bytes_of,
};
use size::World;

/// As `client` has them; a message to us has 512 bytes until it is taken, one at QoS 0 on its way out 128.
const OUT: usize = 4;
const IN: usize = 4;
const BYTES: usize = 512;
const INBOX: usize = 512;
const QUEUE: usize = 128;
const SUBSCRIPTIONS: usize = 4;
const LEN: usize = 32;
const PACKET: usize = 256;

type Memory = Sizes<OUT, BYTES, IN, INBOX, QUEUE, SUBSCRIPTIONS, LEN>;
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
        core::future::poll_fn(|_| if World.now() >= at.as_millis() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

struct Wire;

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        core::future::poll_fn(|_| match World.read(buf) {
            0 => Poll::Pending,
            read => Poll::Ready(Ok(read)),
        })
        .await
    }
}

impl Write for Wire {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        World.write(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Dial;

impl Connect for Dial {
    type Error = ErrorKind;
    type Dialled<'a> = Shared<Wire>;

    async fn connect(&mut self) -> Result<Shared<Wire>, ErrorKind> {
        Ok(Shared::new(Wire))
    }
}

struct Dice;

impl rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        World.command()
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(World.command())
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {}

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
        Ok(())
    }
}

const fn topic(text: &str) -> TopicName<'_> {
    match TopicName::new(text) {
        Ok(topic) => topic,
        Err(_) => panic!(),
    }
}

const OPTIONS: Options<'_> =
    Options::new(ConnectOptions::new("pump-7").keep_alive(30).user_name("pump").password(b"secret").will(Will {
        topic: topic("cellar/pump/status"),
        payload: b"lost",
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    }));

async fn application(client: Client<'_, NoopRawMutex, Time, Memory>) {
    let Ok(mut commands) = client.subscribe("cellar/+/command", QoS::AtLeastOnce) else { return };
    let mut buffer = [0; 128];
    while let Some(message) = commands.next(&mut buffer).await {
        let Ok(message) = message else { return };
        World.write(message.topic().as_bytes());
        World.write(message.payload());
        let qos = match World.command() {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 if cfg!(feature = "qos2") => QoS::ExactlyOnce,
            _ => {
                client.shutdown(1_000).await;
                return;
            }
        };
        if let Ok(publish) = client.publish("cellar/pump/status", message.payload()) {
            let _ = black_box(publish.qos(qos).retain().deliver().await);
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
    let mut driver = pin!(runner.run(&mut dial, &OPTIONS, &mut dice));
    let mut application = pin!(application(mqtt.client()));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let _ = black_box(driver.as_mut().poll(&mut cx).is_ready());
        let _ = black_box(application.as_mut().poll(&mut cx).is_ready());
    }
}
