//! The standard's tables, written down a second time: tests compare the library's own with these.

use mqtt_core::PacketType::{self, *};
use mqtt_core::PropertyIdentifier::{self, *};
use mqtt_core::Sender;

/// What a block of properties belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Block {
    Of(PacketType, Sender),
    OfWill,
}

/// All blocks that there are.
pub(crate) fn blocks() -> Vec<Block> {
    let mut blocks = vec![Block::OfWill];
    for packet_type in (1..=15).filter_map(|number| PacketType::from_first_byte(number << 4)) {
        for sender in [Sender::Client, Sender::Server] {
            let has_properties = !matches!(packet_type, Pingreq | Pingresp);
            if has_properties && packet_type.is_sent_by(sender, mqtt_core::ProtocolVersion::V5_0) {
                blocks.push(Block::Of(packet_type, sender));
            }
        }
    }
    blocks
}

/// Number, name, a good value as bytes, the packets that may carry it, and whether the Will may have it too.
type PropertyRow = (u8, PropertyIdentifier, &'static [u8], &'static [PacketType], bool);

/// MQTT 5.0 §2.2.2.2, Table 2-4. What is said of one sender only stands in [`is_allowed`].
pub(crate) const PROPERTIES: [PropertyRow; 27] = [
    (0x01, PayloadFormatIndicator, b"\x01", &[Publish], true),
    (0x02, MessageExpiryInterval, b"\0\0\0\x01", &[Publish], true),
    (0x03, ContentType, b"\0\x01a", &[Publish], true),
    (0x08, ResponseTopic, b"\0\x01a", &[Publish], true),
    (0x09, CorrelationData, b"\0\x01\xff", &[Publish], true),
    (0x0b, SubscriptionIdentifier, b"\x01", &[Publish, Subscribe], false),
    (0x11, SessionExpiryInterval, b"\0\0\0\x01", &[Connect, Connack, Disconnect], false),
    (0x12, AssignedClientIdentifier, b"\0\x01a", &[Connack], false),
    (0x13, ServerKeepAlive, b"\0\x01", &[Connack], false),
    (0x15, AuthenticationMethod, b"\0\x01a", &[Connect, Connack, Auth], false),
    (0x16, AuthenticationData, b"\0\x01\xff", &[Connect, Connack, Auth], false),
    (0x17, RequestProblemInformation, b"\x01", &[Connect], false),
    (0x18, WillDelayInterval, b"\0\0\0\x01", &[], true),
    (0x19, RequestResponseInformation, b"\x01", &[Connect], false),
    (0x1a, ResponseInformation, b"\0\x01a", &[Connack], false),
    (0x1c, ServerReference, b"\0\x01a", &[Connack, Disconnect], false),
    (
        0x1f,
        ReasonString,
        b"\0\x01a",
        &[Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth],
        false,
    ),
    (0x21, ReceiveMaximum, b"\0\x01", &[Connect, Connack], false),
    (0x22, TopicAliasMaximum, b"\0\x01", &[Connect, Connack], false),
    (0x23, TopicAlias, b"\0\x01", &[Publish], false),
    (0x24, MaximumQoS, b"\x01", &[Connack], false),
    (0x25, RetainAvailable, b"\x01", &[Connack], false),
    (
        0x26,
        UserProperty,
        b"\0\x01a\0\x01b",
        &[
            Connect,
            Connack,
            Publish,
            Puback,
            Pubrec,
            Pubrel,
            Pubcomp,
            Subscribe,
            Suback,
            Unsubscribe,
            Unsuback,
            Disconnect,
            Auth,
        ],
        true,
    ),
    (0x27, MaximumPacketSize, b"\0\0\0\x01", &[Connect, Connack], false),
    (0x28, WildcardSubscriptionAvailable, b"\x01", &[Connack], false),
    (0x29, SubscriptionIdentifierAvailable, b"\x01", &[Connack], false),
    (0x2a, SharedSubscriptionAvailable, b"\x01", &[Connack], false),
];

/// Tells whether the block may have the property.
pub(crate) fn is_allowed(property: PropertyIdentifier, block: Block) -> bool {
    let (_, _, _, packets, in_will) = PROPERTIES.iter().find(|row| row.1 == property).unwrap();
    match block {
        Block::OfWill => *in_will,
        Block::Of(packet_type, sender) => {
            let one_side_only = match (property, packet_type) {
                (SubscriptionIdentifier, Publish) => Some(Sender::Server), // §3.3.4
                (SessionExpiryInterval, Disconnect) => Some(Sender::Client), // §3.14.2.2.2
                (ServerReference, Disconnect) => Some(Sender::Server),     // §3.14.2.2.5
                _ => None,
            };
            packets.contains(&packet_type) && one_side_only.is_none_or(|side| side == sender)
        }
    }
}

/// Who may say a Reason Code in a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    Client,
    Server,
    Either,
}

use By::{Client as C, Either as E, Server as S};

/// MQTT 5.0 §2.4, Table 2-6, and the tables of the packets. 0x8C in DISCONNECT is in the former only, which does not say whose it
/// is there: the Server's, as in CONNACK.
pub(crate) const REASON_CODES: &[(u8, &[(PacketType, By)])] = &[
    (
        0x00,
        &[
            (Connack, S),
            (Puback, E),
            (Pubrec, E),
            (Pubrel, E),
            (Pubcomp, E),
            (Suback, S),
            (Unsuback, S),
            (Auth, S),
            (Disconnect, E),
        ],
    ),
    (0x01, &[(Suback, S)]),
    (0x02, &[(Suback, S)]),
    (0x04, &[(Disconnect, C)]),
    (0x10, &[(Puback, S), (Pubrec, S)]),
    (0x11, &[(Unsuback, S)]),
    (0x18, &[(Auth, E)]),
    (0x19, &[(Auth, C)]),
    (0x80, &[(Connack, S), (Puback, E), (Pubrec, E), (Suback, S), (Unsuback, S), (Disconnect, E)]),
    (0x81, &[(Connack, S), (Disconnect, E)]),
    (0x82, &[(Connack, S), (Disconnect, E)]),
    (0x83, &[(Connack, S), (Puback, E), (Pubrec, E), (Suback, S), (Unsuback, S), (Disconnect, E)]),
    (0x84, &[(Connack, S)]),
    (0x85, &[(Connack, S)]),
    (0x86, &[(Connack, S)]),
    (0x87, &[(Connack, S), (Puback, E), (Pubrec, E), (Suback, S), (Unsuback, S), (Disconnect, S)]),
    (0x88, &[(Connack, S)]),
    (0x89, &[(Connack, S), (Disconnect, S)]),
    (0x8a, &[(Connack, S)]),
    (0x8b, &[(Disconnect, S)]),
    (0x8c, &[(Connack, S), (Disconnect, S)]),
    (0x8d, &[(Disconnect, S)]),
    (0x8e, &[(Disconnect, S)]),
    (0x8f, &[(Suback, S), (Unsuback, S), (Disconnect, S)]),
    (0x90, &[(Connack, S), (Puback, E), (Pubrec, E), (Disconnect, E)]),
    (0x91, &[(Puback, E), (Pubrec, E), (Suback, S), (Unsuback, S)]),
    (0x92, &[(Pubrel, E), (Pubcomp, E)]),
    (0x93, &[(Disconnect, E)]),
    (0x94, &[(Disconnect, E)]),
    (0x95, &[(Connack, S), (Disconnect, E)]),
    (0x96, &[(Disconnect, E)]),
    (0x97, &[(Connack, S), (Puback, E), (Pubrec, E), (Suback, S), (Disconnect, E)]),
    (0x98, &[(Disconnect, E)]),
    (0x99, &[(Connack, S), (Puback, E), (Pubrec, E), (Disconnect, E)]),
    (0x9a, &[(Connack, S), (Disconnect, S)]),
    (0x9b, &[(Connack, S), (Disconnect, S)]),
    (0x9c, &[(Connack, S), (Disconnect, S)]),
    (0x9d, &[(Connack, S), (Disconnect, S)]),
    (0x9e, &[(Suback, S), (Disconnect, S)]),
    (0x9f, &[(Connack, S), (Disconnect, S)]),
    (0xa0, &[(Disconnect, S)]),
    (0xa1, &[(Suback, S), (Disconnect, S)]),
    (0xa2, &[(Suback, S), (Disconnect, S)]),
];

/// Tells whether this side may say the code in such a packet.
pub(crate) fn is_code_of(code: u8, packet_type: PacketType, sender: Sender) -> bool {
    let rows = REASON_CODES.iter().filter(|row| row.0 == code).flat_map(|row| row.1);
    rows.into_iter().any(|&(packet, by)| {
        packet == packet_type
            && match by {
                By::Client => sender == Sender::Client,
                By::Server => sender == Sender::Server,
                By::Either => true,
            }
    })
}
