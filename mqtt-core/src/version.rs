//! The versions of the protocol.

/// A version of MQTT that this library speaks.
///
/// The version is a value; packets and state machines have one set of types for all of them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProtocolVersion {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3, Client Identifiers of 1 to 23 characters.
    V3_1 = 2,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V3_1_1 = 1,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5_0 = 0, // what a new connection has: see `Maybe`
}

impl ProtocolVersion {
    /// Tells whether packets have the shape of MQTT 5.0.
    ///
    /// Constant where only one of the features `v5` and `v3` is on, so that the other's code disappears.
    #[inline]
    #[must_use]
    pub const fn is_v5(self) -> bool {
        cfg!(feature = "v5") && (!cfg!(feature = "v3") || matches!(self, Self::V5_0))
    }

    /// Tells whether this build speaks the version: features `v5` and `v3`.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        match self {
            Self::V5_0 => cfg!(feature = "v5"),
            Self::V3_1 | Self::V3_1_1 => cfg!(feature = "v3"),
        }
    }

    /// The Protocol Level (3.1.1) or Protocol Version (5.0) byte of CONNECT, §3.1.2.2.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V3_1 => 3,
            Self::V3_1_1 => 4,
            Self::V5_0 => 5,
        }
    }

    /// The Protocol Name of CONNECT, §3.1.2.1.
    #[must_use]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V3_1 => "MQIsdp",
            Self::V3_1_1 | Self::V5_0 => "MQTT",
        }
    }
}

impl Ord for ProtocolVersion {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.level().cmp(&other.level())
    }
}

impl PartialOrd for ProtocolVersion {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
