//! One client, used from tasks that run in an interrupt and from tasks that they preempt.
//!
//! A task in the interrupt publishes a pulse every few milliseconds, at QoS 1, on `cellar/pulse`, and hears it there itself; a task of the
//! thread computes without a pause, and publishes as fast as it can, on `cellar/work`. Each numbers its messages.
//!
//! Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use board::random::HostRandom;
use board::{net, println};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::Timer;
use mqtt_embedded::{
    Backoff, Client, ConnectOptions, EmbassyClock, Error, Options, QoS, Resources, Runner, Sizes, Status, TcpConnector,
};
use static_cell::ConstStaticCell;

/// 8 exchanges in flight with 512 bytes, 8 messages to us with 512 bytes, 64 bytes at QoS 0, 1 filter of 32 bytes.
type Memory = Sizes<8, 512, 8, 512, 64, 1, 32>;
type Mqtt = Client<'static, CriticalSectionRawMutex, EmbassyClock, Memory>;

static MQTT: Resources<CriticalSectionRawMutex, EmbassyClock, Memory> = Resources::new(EmbassyClock);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static RECEIVE: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
static TRANSMIT: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);

const PULSE: &str = "cellar/pulse";

/// As many pulses, preemptions, and messages from the thread are enough.
const LEAST: u32 = 100;

/// A task of the thread is running just now.
static WORKING: AtomicBool = AtomicBool::new(false);
/// How often the interrupt's task ran in the middle of that.
static PREEMPTED: AtomicU32 = AtomicU32::new(0);
/// How many messages the thread's task has published.
static WORKED: AtomicU32 = AtomicU32::new(0);
/// Enough has happened.
static DONE: AtomicBool = AtomicBool::new(false);

#[entry]
fn main() -> ! {
    board::init();
    let in_interrupt = board::executor::start_in_interrupt();
    in_interrupt.spawn(beat(MQTT.client()).expect("it is started once"));
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    spawner.spawn(work(MQTT.client()).expect("it is started once"));
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
    let connect = ConnectOptions::new("pulse").version(net::version()).keep_alive(10);
    let options = Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000));
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let end = runner.run(&mut connector, &options, &mut HostRandom).await;
    println!("preempted {} times", PREEMPTED.load(Ordering::Relaxed));
    board::end(end, size_of_val(&MQTT));
}

/// In the interrupt: sends pulses, and hears each of them, until enough has happened.
#[embassy_executor::task]
async fn beat(client: Mqtt) {
    client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
    let mut pulses = client.subscribe(PULSE, QoS::AtLeastOnce).expect("there is a place for a filter");
    pulses.granted().await.expect("the broker grants it");
    let mut buffer = [0; 64];
    for number in 0_u32.. {
        if number >= LEAST && PREEMPTED.load(Ordering::Relaxed) >= LEAST && WORKED.load(Ordering::Relaxed) >= LEAST {
            println!("{number} pulses heard");
            break;
        }
        // Never in step with the thread.
        Timer::after_micros(u64::from(500 + number * 331 % 3_000)).await;
        if WORKING.load(Ordering::Relaxed) {
            PREEMPTED.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(error) = publish(client, PULSE, number).await {
            println!("pulse {number}: {error}");
        }
        let pulse = pulses.next(&mut buffer).await.expect("the client lives").expect("the buffer is large enough");
        let heard = pulse.payload_str().ok().and_then(|text| text.parse().ok());
        if heard != Some(number) {
            println!("heard {heard:?} instead of {number}");
        }
    }
    DONE.store(true, Ordering::Relaxed);
    client.shutdown(2_000).await;
}

/// In the thread: computes, and publishes, and is preempted in both.
#[embassy_executor::task]
async fn work(client: Mqtt) {
    while !DONE.load(Ordering::Relaxed) {
        WORKING.store(true, Ordering::Relaxed);
        let mut result = 0;
        for step in 0..200_000_u32 {
            result = core::hint::black_box(result ^ step);
        }
        // Most of these find no room, and the machine is asked all the same.
        for _ in 0..20 {
            let number = WORKED.load(Ordering::Relaxed);
            match try_publish(client, "cellar/work", number) {
                Ok(()) => WORKED.store(number + 1, Ordering::Relaxed),
                Err(Error::WouldWait | Error::ReceiptsFull) => {}
                Err(Error::Closed) => return,
                Err(error) => println!("work {number}: {error}"),
            }
        }
        WORKING.store(false, Ordering::Relaxed);
        Timer::after_micros(100).await;
    }
}

async fn publish(client: Mqtt, topic: &str, number: u32) -> Result<(), Error> {
    let text = Number::from(number);
    client.publish(topic, text.as_bytes())?.qos(QoS::AtLeastOnce).send().await.map(drop)
}

fn try_publish(client: Mqtt, topic: &str, number: u32) -> Result<(), Error> {
    let text = Number::from(number);
    client.publish(topic, text.as_bytes())?.qos(QoS::AtLeastOnce).try_send().map(drop)
}

/// A number as text.
struct Number {
    bytes: [u8; 10],
    len: usize,
}

impl Number {
    fn from(number: u32) -> Self {
        let mut text = Self { bytes: [0; 10], len: 0 };
        let _ = write!(text, "{number}"); // ten digits are enough for all
        text
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl core::fmt::Write for Number {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
