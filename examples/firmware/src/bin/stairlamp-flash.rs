//! The stair lamp with its session in the file `flash` of the host: a reset in the middle of QoS 2 loses and doubles nothing.
//!
//! Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use board::flash::FileFlash;
use board::led::Led;
use board::net;
use board::random::HostRandom;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use mqtt_embedded::{EmbassyClock, FlashStore, Runner, TcpConnector};
use static_cell::ConstStaticCell;

static MQTT: stairlamp::Resources = stairlamp::Resources::durable(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static RECORD: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
    let store = FlashStore::<_, 4, 8, 256>::new(FileFlash::open(c"flash"), FileFlash::range());
    let mut store = store.expect("the flash has pages");
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let (options, mut random) = (stairlamp::options(net::version(), true), HostRandom);
    let runs = runner.run_durable(&mut connector, &options, &mut random, &mut store, RECORD.take());
    let end = stairlamp::live(MQTT.client(), Led::default(), board::console, runs).await;
    board::end(end, size_of_val(&MQTT));
}
