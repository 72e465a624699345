//! What is on the wire, as the other side reads it. The bytes are those of the library's codec.

use mqtt_core::{
    Ack, AckKind, Connack, Delivery, Packet, PacketIdentifier, Properties, ProtocolVersion, Publish, QoS, ReasonCode,
    ReasonCodes, Sender, Suback, TopicName,
};

/// The messages have one topic and a payload of one byte, which names them.
pub const TOPIC: &str = "t";

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Message {
    pub qos: u8,
    pub id: u16,
    pub dup: bool,
    pub name: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FromClient {
    Connect {
        clean: bool,
    },
    Publish(Message),
    /// With a Reason Code.
    Ack(Kind, u16, u8),
    Subscribe(u16),
    /// It ends the connection, for a Reason Code.
    Disconnect(u8),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FromBroker {
    Connack {
        present: bool,
    },
    Publish(Message),
    /// With a Reason Code.
    Ack(Kind, u16, u8),
    Suback(u16),
}

impl FromClient {
    /// Reads a packet; the payload stands apart where the machine did not copy it.
    pub fn read(version: ProtocolVersion, bytes: &[u8]) -> Self {
        match Packet::decode(version, Sender::Client, bytes).expect("the machine writes what can be read") {
            Packet::Connect(connect) => Self::Connect { clean: connect.clean_start },
            Packet::Publish(publish) => {
                let (qos, id, dup) = match publish.delivery {
                    Delivery::AtMostOnce => (0, 0, false),
                    Delivery::AtLeastOnce { packet_identifier, dup } => (1, packet_identifier.number(), dup),
                    Delivery::ExactlyOnce { packet_identifier, dup } => (2, packet_identifier.number(), dup),
                };
                Self::Publish(Message { qos, id, dup, name: publish.payload[0] })
            }
            Packet::Ack(ack) => Self::Ack(kind_of(ack.kind), ack.packet_identifier.number(), ack.reason_code.as_u8()),
            Packet::Subscribe(subscribe) => Self::Subscribe(subscribe.packet_identifier.number()),
            Packet::Disconnect(disconnect) => Self::Disconnect(disconnect.reason_code.as_u8()),
            other => panic!("nothing makes it send {other:?}"),
        }
    }
}

impl FromBroker {
    pub fn write(self, version: ProtocolVersion) -> Vec<u8> {
        let packet = match self {
            Self::Connack { present } => Packet::Connack(Connack {
                session_present: present,
                reason_code: ReasonCode::SUCCESS,
                properties: Properties::EMPTY,
            }),
            Self::Publish(Message { qos, id, dup, ref name }) => Packet::Publish(Publish {
                topic: Some(TopicName::new(TOPIC).expect("a topic")),
                delivery: match qos {
                    0 => Delivery::AtMostOnce,
                    1 => Delivery::AtLeastOnce { packet_identifier: identifier(id), dup },
                    _ => Delivery::ExactlyOnce { packet_identifier: identifier(id), dup },
                },
                retain: false,
                properties: Properties::EMPTY,
                payload: core::slice::from_ref(name),
            }),
            Self::Ack(kind, id, code) => Packet::Ack(Ack {
                kind: match kind {
                    Kind::Puback => AckKind::Puback,
                    Kind::Pubrec => AckKind::Pubrec,
                    Kind::Pubrel => AckKind::Pubrel,
                    Kind::Pubcomp => AckKind::Pubcomp,
                },
                packet_identifier: identifier(id),
                reason_code: ReasonCode::from_u8(code),
                properties: Properties::EMPTY,
            }),
            Self::Suback(id) => Packet::Suback(Suback {
                packet_identifier: identifier(id),
                properties: Properties::EMPTY,
                reason_codes: ReasonCodes::new(&[0]),
            }),
        };
        let mut out = vec![0; 64];
        let len = packet.encode(version, Sender::Server, &mut out).expect("room");
        out.truncate(len);
        out
    }
}

pub fn identifier(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).expect("not 0")
}

pub fn qos(number: u8) -> QoS {
    QoS::from_u8(number).expect("0, 1 or 2")
}

fn kind_of(kind: AckKind) -> Kind {
    match kind {
        AckKind::Puback => Kind::Puback,
        AckKind::Pubrec => Kind::Pubrec,
        AckKind::Pubrel => Kind::Pubrel,
        AckKind::Pubcomp => Kind::Pubcomp,
    }
}
