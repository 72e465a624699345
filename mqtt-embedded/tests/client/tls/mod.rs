//! TLS: who a server must be, and what becomes of bytes when futures are dropped.

mod certificates;
mod injected;
mod proof;
mod script;
mod slow;
mod terminator;
mod traffic;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use embedded_io_async::ErrorKind;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use mqtt_embedded::tls::{TlsConnector, TlsOptions};
use mqtt_embedded::{Backoff, ConnectOptions, Options, ProtocolVersion, Runner, TcpConnector};

use crate::support::{Closing, Dice, Small, Wire, World};

const NAME: &str = "broker.example";

impl rand_core::CryptoRng for Dice {}

impl TcpConnect for Wire {
    type Error = ErrorKind;
    type Connection<'a> = Closing;

    async fn connect(&self, _: SocketAddr) -> Result<Closing, ErrorKind> {
        Ok(self.dial())
    }
}

/// Every name has an address.
struct Names;

impl Dns for Names {
    type Error = ErrorKind;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ErrorKind> {
        Ok(Ipv4Addr::LOCALHOST.into())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::Unsupported)
    }
}

/// A client over TLS, a server's side, and what an application does, until that is done.
fn play<'a, T>(
    resources: &'a Small,
    version: ProtocolVersion,
    tls: TlsOptions<'a>,
    wire: &Wire,
    servers: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>>,
    application: impl Future<Output = T>,
) -> T {
    let mut world = World::new(resources.clock());
    let wire = wire.clone();
    world.spawn(async move {
        let (mut records_in, mut records_out) = ([0; 4096], [0; 2048]);
        let tcp = TcpConnector::new(&wire, &Names, NAME, 8883);
        let mut connector = TlsConnector::new(tcp, tls, &mut records_in, &mut records_out, Dice);
        let (mut receive, mut transmit) = ([0; 256], [0; 256]);
        let mut runner = Runner::new(resources, &mut receive, &mut transmit);
        let connect = ConnectOptions::new("pump-7").version(version).keep_alive(1);
        let options = Options::new(connect).backoff(Backoff::new().minimum(60_000).maximum(60_000));
        let _ = runner.run(&mut connector, &options, &mut Dice).await;
    });
    for server in servers {
        world.spawn(server);
    }
    world.run(application)
}
