//! The stair lamp over TCP. Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use board::lamp;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use mqtt_embedded::TcpConnector;
use static_cell::ConstStaticCell;

static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = lamp::network(spawner).await;
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    lamp::run(spawner, &mut TcpConnector::new(&tcp, &dns, lamp::HOST, lamp::port())).await;
}
