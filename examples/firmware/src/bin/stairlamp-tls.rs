//! The stair lamp over TLS: the broker has a certificate of the CA in the file `ca.der` of the host, the lamp one in `lamp.der`
//! with its key in `lamp.key.der`; or, with `psk=KEY`, both know that key, whose identity is `lamp`.
//!
//! Further arguments: `port=8883`, `version=5` or `311`, `time=` seconds since 1970.

#![no_std]
#![no_main]

use board::led::Led;
use board::random::HostRandom;
use board::{args, files, net};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use mqtt_embedded::tls::{TlsConnector, TlsOptions};
use mqtt_embedded::{EmbassyClock, Runner, TcpConnector};
use static_cell::ConstStaticCell;

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static RECORDS_IN: ConstStaticCell<[u8; 16_640]> = ConstStaticCell::new([0; 16_640]);
static RECORDS_OUT: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
static CA: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
static CERTIFICATE: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
static KEY: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let tcp = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
    let psk = args::get("psk");
    let options = match &psk {
        Some(key) => TlsOptions::with_psk(b"lamp", key.as_str().as_bytes()),
        None => {
            let ca = files::read(c"ca.der", CA.take());
            let certificate = files::read(c"lamp.der", CERTIFICATE.take());
            TlsOptions::with_ca(ca, now).client_certificate(certificate, files::read(c"lamp.key.der", KEY.take()))
        }
    };
    let mut connector = TlsConnector::new(tcp, options, RECORDS_IN.take(), RECORDS_OUT.take(), HostRandom);
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let (options, mut random) = (stairlamp::options(net::version(), false), HostRandom);
    let runs = runner.run(&mut connector, &options, &mut random);
    let end = stairlamp::live(MQTT.client(), Led::default(), board::console, runs).await;
    board::end(end, size_of_val(&MQTT));
}

/// The board has no calendar; the host has.
fn now() -> u64 {
    args::number("time").map_or(0, u64::from)
}
