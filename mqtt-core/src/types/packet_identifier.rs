//! Packet Identifiers, MQTT 5.0 §2.2.1, MQTT 3.1.1 §2.3.1.

use core::fmt;
use core::num::NonZeroU16;

/// Identifies one exchange in flight; never zero.
///
/// MQTT 5.0 §2.2.1 [MQTT-2.2.1-3], MQTT 3.1.1 §2.3.1 [MQTT-2.3.1-1].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketIdentifier(NonZeroU16);

impl PacketIdentifier {
    /// The largest identifier, 65,535.
    pub const MAX: Self = Self(NonZeroU16::MAX);

    /// The identifier with this number; `None` for 0.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire, 1 to 65,535.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// The identifier that follows: after 65,535 comes 1.
    #[must_use]
    pub const fn next(self) -> Self {
        match NonZeroU16::new(self.0.get().wrapping_add(1)) {
            Some(number) => Self(number),
            None => Self(NonZeroU16::MIN),
        }
    }
}

impl fmt::Display for PacketIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for PacketIdentifier {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u16}", self.number());
    }
}
