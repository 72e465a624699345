//! Counts messages exactly once, over losses of power: each that arrives on `cellar/counter/in` at QoS 2 is told on the console with
//! its delivery number, and sent on to `cellar/counter/out` at QoS 2. The session is in the file `flash` of the host.
//!
//! Arguments: `port=1883` of the broker on the host, `version=5` or `311`. The message `quit` ends the run with success.

#![no_std]
#![no_main]

use board::flash::FileFlash;
use board::{args, net, println};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mqtt_embedded::{
    Backoff, CleanStart, Client, ConnectOptions, EmbassyClock, FlashStore, Options, QoS, Resources, Runner, Sizes,
    Status, TcpConnector,
};
use static_cell::ConstStaticCell;

/// 4 exchanges in flight with 512 bytes, 4 messages to us with 512 bytes, 64 bytes at QoS 0, 1 filter of 32 bytes.
type Memory = Sizes<4, 512, 4, 512, 64, 1, 32>;

static MQTT: Resources<CriticalSectionRawMutex, EmbassyClock, Memory> = Resources::durable(EmbassyClock);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static RECEIVE: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
static TRANSMIT: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
static RECORD: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    spawner.spawn(watch(MQTT.client()).expect("it is started once"));
    spawner.spawn(count(MQTT.client()).expect("it is started once"));
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
    let connect = ConnectOptions::new("counter").version(net::version()).keep_alive(10);
    let connect = connect.keep_session(true).session_expiry_interval(3_600).clean_start(CleanStart::Never);
    let options = Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000));
    let store = FlashStore::<_, 4, 8, 256>::new(FileFlash::open(c"flash"), FileFlash::range());
    let mut store = store.expect("the flash has pages");
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let mut random = board::random::HostRandom;
    let end = runner.run_durable(&mut connector, &options, &mut random, &mut store, RECORD.take()).await;
    board::end(end, size_of_val(&MQTT));
}

/// Says how the connection is.
#[embassy_executor::task]
async fn watch(client: Client<'static, CriticalSectionRawMutex, EmbassyClock, Memory>) {
    let mut last = Status::Connecting;
    loop {
        last = client.wait_for(|status| status != last && status != Status::Connecting).await;
        println!("{last:?}");
        if last == Status::Closed {
            return;
        }
    }
}

#[embassy_executor::task]
async fn count(client: Client<'static, CriticalSectionRawMutex, EmbassyClock, Memory>) {
    let mut messages = client.subscribe("cellar/counter/in", QoS::ExactlyOnce).expect("it may subscribe").by_hand();
    println!("boot {}", args::number("boot").unwrap_or(0));
    let mut buffer = [0; 128];
    while let Some(Ok(message)) = messages.next(&mut buffer).await {
        if message.payload() == b"quit" {
            messages.acknowledge(&message).expect("it was handed over");
            client.shutdown(5_000).await;
            return;
        }
        // Accepted is durable: from here on it is sent, whatever happens.
        let out = client.publish("cellar/counter/out", message.payload()).expect("it is a topic");
        if let Err(error) = out.qos(QoS::ExactlyOnce).send().await {
            println!("not sent on: {error}");
            continue;
        }
        let number = message.delivery_number().map_or(0, |number| number.0);
        println!("counted {} as {}", message.payload_str().unwrap_or("?"), number);
        if let Err(error) = messages.acknowledge(&message) {
            println!("not acknowledged: {error}");
        }
    }
}
