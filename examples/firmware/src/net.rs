//! The network, and what the host says about it.

use embassy_executor::Spawner;
use embassy_net::{Config, Runner, Stack, StackResources};
use mqtt_embedded::ProtocolVersion;
use rand_core::RngCore as _;
use static_cell::StaticCell;

use crate::args;
use crate::ethernet::Ethernet;
use crate::random::HostRandom;

static NET: StaticCell<StackResources<5>> = StaticCell::new();

/// The host, as the guest sees it.
pub const HOST: &str = "10.0.2.2";

/// Starts the network; returns once there is an address.
pub async fn start(spawner: Spawner) -> Stack<'static> {
    let config = Config::dhcpv4(embassy_net::DhcpConfig::default());
    // Another number each time, or a board that was reset would begin with the ports of its last life.
    let seed = HostRandom.next_u64();
    let (stack, net) = embassy_net::new(Ethernet::start(), config, NET.init(StackResources::new()), seed);
    spawner.spawn(drive(net).expect("it is started once"));
    stack.wait_config_up().await;
    stack
}

#[embassy_executor::task]
async fn drive(mut net: Runner<'static, Ethernet>) {
    net.run().await;
}

/// The port of the broker on the host: the argument `port`.
#[must_use]
pub fn port() -> u16 {
    port_of("port")
}

/// The port that an argument names.
#[must_use]
pub fn port_of(argument: &str) -> u16 {
    args::number(argument).and_then(|port| u16::try_from(port).ok()).unwrap_or(1883)
}

/// The version to speak: the argument `version`, 5 or 311.
#[must_use]
pub fn version() -> ProtocolVersion {
    match args::number("version") {
        Some(311) => ProtocolVersion::V3_1_1,
        _ => ProtocolVersion::V5_0,
    }
}
