//! The control packets of all versions, borrowed from the bytes they came from or from what is to be written.
//!
//! Both directions are here, the Client's and the Server's side of every packet: tests, simulators and test kits need
//! the Server's.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
pub(crate) mod fixed_header;
mod packet_type;
mod publish;
mod suback;
mod subscribe;
mod unsubscribe;
mod within;

pub use ack::{Ack, AckKind};
pub use auth::Auth;
pub use connack::Connack;
pub(crate) use connect::Parts as ConnectParts;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use packet_type::{PacketType, Sender};
pub use publish::{Delivery, Publish};
pub use suback::{Suback, Unsuback};
pub use subscribe::{RetainHandling, Subscribe, Subscription, SubscriptionOptions, Subscriptions};
pub use unsubscribe::{TopicFilters, Unsubscribe};

use crate::codec::reader::Reader;
use crate::codec::writer::Writer;
use crate::error::{DecodeError, EncodeError};
use crate::version::ProtocolVersion;
use fixed_header::{FixedHeader, check_sender};

/// Any control packet, §2.1.2.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Packet<'a> {
    /// CONNECT, from the Client.
    Connect(Connect<'a>),
    /// CONNACK, from the Server.
    Connack(Connack<'a>),
    /// PUBLISH, from either side.
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, from either side.
    Ack(Ack<'a>),
    /// SUBSCRIBE, from the Client.
    Subscribe(Subscribe<'a>),
    /// SUBACK, from the Server.
    Suback(Suback<'a>),
    /// UNSUBSCRIBE, from the Client.
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK, from the Server.
    Unsuback(Unsuback<'a>),
    /// PINGREQ, from the Client.
    Pingreq,
    /// PINGRESP, from the Server.
    Pingresp,
    /// DISCONNECT, from the Client, and in 5.0 from the Server.
    Disconnect(Disconnect<'a>),
    /// AUTH, 5.0, from either side.
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Decodes one whole packet, its fixed header included; nothing may follow it.
    ///
    /// CONNECT says its own version, all others are read as `version`.
    ///
    /// # Errors
    /// Names what is wrong with the bytes.
    pub fn decode(version: ProtocolVersion, sender: Sender, packet: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, body) = FixedHeader::split(packet, 0)?;
        // CONNECT says its own version.
        if !version.is_supported() && !matches!(header.packet_type, PacketType::Connect) {
            return Err(DecodeError::UnsupportedProtocolVersion(version.level()));
        }
        check_received(header.packet_type, version, sender)?;
        if matches!(header.packet_type, PacketType::Publish) {
            Self::decode_publish(version, sender, header.flags, body)
        } else if let Some(kind) = AckKind::of(header.packet_type) {
            Self::decode_ack(kind, version, sender, body)
        } else {
            Self::decode_rare(header.packet_type, version, sender, body)
        }
    }

    /// A function of its own writes its packet to where it is wanted; in one with others it is copied once more.
    #[inline(never)]
    fn decode_publish(
        version: ProtocolVersion,
        sender: Sender,
        flags: u8,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        Publish::decode(version, sender, flags, &mut Reader::new(body), false).map(Self::Publish)
    }

    /// Likewise.
    #[inline(never)]
    fn decode_ack(
        kind: AckKind,
        version: ProtocolVersion,
        sender: Sender,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        Ack::decode(kind, version, sender, &mut Reader::new(body)).map(Self::Ack)
    }

    /// Decodes what there is little of. Apart from the others, it does not slow them down.
    #[inline(never)]
    fn decode_rare(
        packet_type: PacketType,
        version: ProtocolVersion,
        sender: Sender,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(body);
        // Who sent it was checked before; said again, a client's image has no decoder for what only clients send.
        let from_client = matches!(sender, Sender::Client);
        match packet_type {
            PacketType::Connect if from_client => Connect::decode(reader).map(Self::Connect),
            PacketType::Connack if !from_client => Connack::decode(version, reader).map(Self::Connack),
            PacketType::Subscribe if from_client => Subscribe::decode(version, reader).map(Self::Subscribe),
            PacketType::Suback if !from_client => Suback::decode(version, reader).map(Self::Suback),
            PacketType::Unsubscribe if from_client => Unsubscribe::decode(version, reader).map(Self::Unsubscribe),
            PacketType::Unsuback if !from_client => Unsuback::decode(version, reader).map(Self::Unsuback),
            PacketType::Pingreq if from_client => reader.finish().map(|()| Self::Pingreq),
            PacketType::Pingresp if !from_client => reader.finish().map(|()| Self::Pingresp),
            PacketType::Disconnect if from_client || version.is_v5() => {
                Disconnect::decode(version, sender, reader).map(Self::Disconnect)
            }
            PacketType::Auth if version.is_v5() => Auth::decode(version, sender, reader).map(Self::Auth),
            // The others are not rare and were decoded before.
            other => Err(DecodeError::PacketNotAllowed(other)),
        }
    }

    /// The type on the wire.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::Connack(_) => PacketType::Connack,
            Self::Publish(_) => PacketType::Publish,
            Self::Ack(ack) => ack.kind.packet_type(),
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::Suback(_) => PacketType::Suback,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::Unsuback(_) => PacketType::Unsuback,
            Self::Pingreq => PacketType::Pingreq,
            Self::Pingresp => PacketType::Pingresp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.encoded_len(version, sender),
            Self::Connack(connack) => connack.encoded_len(version, sender),
            Self::Publish(publish) => publish.encoded_len(version, sender),
            Self::Ack(ack) => ack.encoded_len(version, sender),
            Self::Subscribe(subscribe) => subscribe.encoded_len(version, sender),
            Self::Suback(suback) => suback.encoded_len(version, sender),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encoded_len(version, sender),
            Self::Unsuback(unsuback) => unsuback.encoded_len(version, sender),
            Self::Pingreq | Self::Pingresp => {
                check_sender(self.packet_type(), version, sender)?;
                Ok(PING_LEN)
            }
            Self::Disconnect(disconnect) => disconnect.encoded_len(version, sender),
            Self::Auth(auth) => auth.encoded_len(version, sender),
        }
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// Names what cannot be written, or how many bytes `out` must have. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.encode(version, sender, out),
            Self::Connack(connack) => connack.encode(version, sender, out),
            Self::Publish(publish) => publish.encode(version, sender, out),
            Self::Ack(ack) => ack.encode(version, sender, out),
            Self::Subscribe(subscribe) => subscribe.encode(version, sender, out),
            Self::Suback(suback) => suback.encode(version, sender, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encode(version, sender, out),
            Self::Unsuback(unsuback) => unsuback.encode(version, sender, out),
            Self::Pingreq | Self::Pingresp => {
                let packet_type = self.packet_type();
                check_sender(packet_type, version, sender)?;
                Writer::packet(out, packet_type.first_byte(), 0).map(|(_, len)| len)
            }
            Self::Disconnect(disconnect) => disconnect.encode(version, sender, out),
            Self::Auth(auth) => auth.encode(version, sender, out),
        }
    }
}

/// PINGREQ and PINGRESP are a fixed header alone, §3.12 and §3.13.
const PING_LEN: usize = 2;

/// Refuses what this side does not send, or not in this version.
#[inline]
pub(crate) const fn check_received(
    packet_type: PacketType,
    version: ProtocolVersion,
    sender: Sender,
) -> Result<(), DecodeError> {
    if matches!(packet_type, PacketType::Auth) && !version.is_v5() {
        Err(DecodeError::ReservedPacketType)
    } else if !packet_type.is_sent_by(sender, version) {
        Err(DecodeError::PacketNotAllowed(packet_type))
    } else {
        Ok(())
    }
}
