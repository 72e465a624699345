//! The stair lamp over TCP. Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use board::led::Led;
use board::net;
use board::random::HostRandom;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use mqtt_embedded::{EmbassyClock, Runner, TcpConnector};
use static_cell::ConstStaticCell;

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
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
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let (options, mut random) = (stairlamp::options(net::version(), false), HostRandom);
    let runs = runner.run(&mut connector, &options, &mut random);
    let end = stairlamp::live(MQTT.client(), Led::default(), board::console, runs).await;
    board::end(end, size_of_val(&MQTT));
}
