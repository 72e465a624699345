//! How a client gets into memory.

use core::time::Duration;

use mqtt_std::testkit::Network;
use mqtt_std::{Backoff, Options, ProtocolVersion, QoS};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const BOTH: [ProtocolVersion; 2] = [V5, V3];
pub(crate) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A time that does not end within a test.
pub(crate) const LONG: Duration = Duration::from_secs(1_000_000);

/// A client of the network that comes back soon.
pub(crate) fn options(network: &Network, version: ProtocolVersion) -> Options {
    Options::new("memory", 1883)
        .connector(network.clone())
        .client_identifier("client")
        .version(version)
        .backoff(Backoff::new().minimum(10).maximum(1_000))
}
