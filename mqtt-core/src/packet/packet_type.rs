//! The fifteen packet types and who sends them, §2.1.2.

use core::fmt;

use crate::version::ProtocolVersion;

/// Who wrote a packet: several rules differ by that.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sender {
    /// The Client.
    Client,
    /// The Server.
    Server,
}

/// The type of a control packet, §2.1.2.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PacketType {
    /// CONNECT.
    Connect = 1,
    /// CONNACK.
    Connack = 2,
    /// PUBLISH.
    Publish = 3,
    /// PUBACK.
    Puback = 4,
    /// PUBREC.
    Pubrec = 5,
    /// PUBREL.
    Pubrel = 6,
    /// PUBCOMP.
    Pubcomp = 7,
    /// SUBSCRIBE.
    Subscribe = 8,
    /// SUBACK.
    Suback = 9,
    /// UNSUBSCRIBE.
    Unsubscribe = 10,
    /// UNSUBACK.
    Unsuback = 11,
    /// PINGREQ.
    Pingreq = 12,
    /// PINGRESP.
    Pingresp = 13,
    /// DISCONNECT.
    Disconnect = 14,
    /// AUTH, 5.0 only.
    Auth = 15,
}

impl PacketType {
    /// The type in the upper half of a packet's first byte; `None` for the reserved 0.
    #[must_use]
    pub const fn from_first_byte(first: u8) -> Option<Self> {
        Some(match first >> 4 {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The first byte of such a packet; for PUBLISH without its flags.
    pub(crate) const fn first_byte(self) -> u8 {
        // [MQTT-2.1.3-1], Table 2-2: these three have a reserved bit set.
        let flags = if matches!(self, Self::Pubrel | Self::Subscribe | Self::Unsubscribe) { 0b0010 } else { 0 };
        (self as u8) << 4 | flags
    }

    /// Tells whether this side sends such packets in this version, §2.1.2, Table 2-1.
    #[must_use]
    pub const fn is_sent_by(self, sender: Sender, version: ProtocolVersion) -> bool {
        let client = matches!(sender, Sender::Client);
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::Pingreq => client,
            Self::Connack | Self::Suback | Self::Unsuback | Self::Pingresp => !client,
            Self::Publish | Self::Puback | Self::Pubrec | Self::Pubrel | Self::Pubcomp => true,
            Self::Disconnect => client || version.is_v5(),
            Self::Auth => version.is_v5(),
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::Connack => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::Puback => "PUBACK",
            Self::Pubrec => "PUBREC",
            Self::Pubrel => "PUBREL",
            Self::Pubcomp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::Suback => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Unsuback => "UNSUBACK",
            Self::Pingreq => "PINGREQ",
            Self::Pingresp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        })
    }
}
