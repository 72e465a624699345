//! `mqtt-core`: one set of packets for both versions, borrowed on both ways.

use std::hint::black_box;
use std::marker::PhantomData;

use mqtt_core::{
    Ack, AckKind, Connect, Delivery, Framing, Input, Packet, PacketIdentifier, PacketType, Properties, Property,
    ProtocolVersion, Publish, QoS, ReasonCodes, Sender, Suback, Subscribe, Subscription, Subscriptions, TopicFilter,
    TopicName, Will,
};

use crate::codec::{Codec, Gist};
use crate::packets;

pub struct Ours<V>(PhantomData<V>);

pub trait Version {
    const VERSION: ProtocolVersion;
}

pub struct V5;
pub struct V3;

impl Version for V5 {
    const VERSION: ProtocolVersion = ProtocolVersion::V5_0;
}

impl Version for V3 {
    const VERSION: ProtocolVersion = ProtocolVersion::V3_1_1;
}

/// A lent buffer and how much of it is written.
pub struct Output {
    buffer: Vec<u8>,
    len: usize,
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl<V: Version> Codec for Ours<V> {
    const NAME: &'static str = "mqtt-core";
    type Prepared<'a> = Packet<'a>;
    type Output = Output;
    type Input = Vec<u8>;
    type Decoded<'a> = Packet<'a>;

    fn prepare(packet: &packets::Packet) -> Packet<'_> {
        match packet {
            packets::Packet::Connect(it) => Packet::Connect(connect(it, V::VERSION)),
            packets::Packet::Publish(it) => Packet::Publish(publish(it)),
            packets::Packet::Ack(it) => Packet::Ack(ack(it)),
            packets::Packet::Subscribe(it) => Packet::Subscribe(subscribe(it)),
            packets::Packet::Suback(it) => Packet::Suback(suback(it)),
            packets::Packet::Pingreq => Packet::Pingreq,
        }
    }

    fn output(capacity: usize) -> Output {
        Output { buffer: vec![0; capacity], len: 0 }
    }

    fn encode(packets: &[Packet<'_>], output: &mut Output) {
        output.len = 0;
        for packet in packets {
            let sender = sender(matches!(packet, Packet::Suback(_)));
            output.len += packet.encode(V::VERSION, sender, &mut output.buffer[output.len..]).unwrap();
        }
    }

    fn input(wire: &[u8]) -> Vec<u8> {
        wire.to_vec()
    }

    fn decode(input: &mut Vec<u8>, mut each: impl FnMut(&Packet<'_>)) {
        let capacity = input.len();
        let mut framing = Framing::new(V::VERSION);
        let mut rest = input.as_slice();
        while let Some((Input::Packet(bytes), len)) = framing.next(rest, capacity).unwrap() {
            let sender = sender(bytes[0] >> 4 == PacketType::Suback as u8);
            let packet = Packet::decode(V::VERSION, sender, bytes);
            let packet = packet.as_ref().unwrap();
            visit(packet);
            each(packet);
            rest = &rest[len..];
        }
    }

    fn gist(decoded: &Packet<'_>) -> Gist {
        gist(decoded)
    }
}

/// Our codec refuses what the other side cannot have sent; a row holds packets of both sides, as no connection does.
fn sender(is_from_server: bool) -> Sender {
    if is_from_server { Sender::Server } else { Sender::Client }
}

/// Reads what decoding checked but left encoded, which rivals hand out ready made.
fn visit(packet: &Packet<'_>) {
    let properties = match packet {
        Packet::Connect(connect) => {
            see(connect.will.map_or(Properties::EMPTY, |will| will.properties).iter());
            connect.properties
        }
        Packet::Publish(publish) => publish.properties,
        Packet::Ack(ack) => ack.properties,
        Packet::Suback(suback) => suback.properties,
        Packet::Subscribe(subscribe) => {
            see(subscribe.filters.iter());
            subscribe.properties
        }
        _ => Properties::EMPTY,
    };
    see(properties.iter());
}

fn see<T>(mut values: impl Iterator<Item = T>) {
    while let Some(value) = &values.next() {
        black_box(value);
    }
}

fn gist(decoded: &Packet<'_>) -> Gist {
    let packet_type = decoded.packet_type() as u8;
    let user_property = |properties: Properties<'_>| {
        properties.user_properties().next().map_or_else(Vec::new, |(_, value)| value.into())
    };
    match decoded {
        Packet::Connect(it) => {
            let will = it.will.unwrap();
            Gist {
                packet_type,
                topic: will.topic.as_str().into(),
                payload: will.payload.into(),
                user_property: user_property(it.properties),
                ..Gist::default()
            }
        }
        Packet::Publish(it) => Gist {
            packet_type,
            packet_identifier: it.delivery.packet_identifier().map_or(0, PacketIdentifier::number),
            topic: it.topic.unwrap().as_str().into(),
            payload: it.payload.into(),
            user_property: user_property(it.properties),
        },
        Packet::Ack(it) => Gist { packet_type, packet_identifier: it.packet_identifier.number(), ..Gist::default() },
        Packet::Subscribe(it) => Gist {
            packet_type,
            packet_identifier: it.packet_identifier.number(),
            topic: it.filters.iter().next().unwrap().filter.as_str().into(),
            ..Gist::default()
        },
        Packet::Suback(it) => Gist { packet_type, packet_identifier: it.packet_identifier.number(), ..Gist::default() },
        _ => Gist { packet_type, ..Gist::default() },
    }
}

fn connect(connect: &packets::Connect, version: ProtocolVersion) -> Connect<'_> {
    let will = &connect.will;
    let (name, value) = &connect.user_property;
    Connect {
        version,
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        client_identifier: &connect.client_identifier,
        properties: properties([
            Property::SessionExpiryInterval(connect.session_expiry_interval),
            Property::ReceiveMaximum(connect.receive_maximum),
            Property::MaximumPacketSize(connect.maximum_packet_size),
            Property::TopicAliasMaximum(connect.topic_alias_maximum),
            Property::UserProperty(name, value),
        ]),
        will: Some(Will {
            topic: TopicName::new(&will.topic).unwrap(),
            payload: &will.payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: properties([
                Property::WillDelayInterval(will.delay_interval),
                Property::MessageExpiryInterval(will.message_expiry_interval),
                Property::ContentType(&will.content_type),
            ]),
        }),
        user_name: Some(&connect.user_name),
        password: Some(connect.password.as_bytes()),
    }
}

fn publish(publish: &packets::Publish) -> Publish<'_> {
    Publish {
        topic: Some(TopicName::new(&publish.topic).unwrap()),
        delivery: match publish.delivery {
            packets::Delivery::AtMostOnce => Delivery::AtMostOnce,
            packets::Delivery::AtLeastOnce(number) => {
                Delivery::AtLeastOnce { packet_identifier: packet_identifier(number), dup: false }
            }
            packets::Delivery::ExactlyOnce(number) => {
                Delivery::ExactlyOnce { packet_identifier: packet_identifier(number), dup: false }
            }
        },
        retain: false,
        properties: publish.properties.as_ref().map_or(Properties::EMPTY, |it| {
            properties([
                Property::PayloadFormatIndicator(it.payload_is_text.into()),
                Property::MessageExpiryInterval(it.message_expiry_interval),
                Property::ResponseTopic(&it.response_topic),
                Property::CorrelationData(&it.correlation_data),
                Property::UserProperty(&it.user_property.0, &it.user_property.1),
            ])
        }),
        payload: &publish.payload,
    }
}

fn ack(ack: &packets::Ack) -> Ack<'static> {
    let kind = match ack.kind {
        packets::AckKind::Puback => AckKind::Puback,
        packets::AckKind::Pubrec => AckKind::Pubrec,
        packets::AckKind::Pubrel => AckKind::Pubrel,
        packets::AckKind::Pubcomp => AckKind::Pubcomp,
    };
    Ack::new(kind, packet_identifier(ack.packet_identifier))
}

fn subscribe(subscribe: &packets::Subscribe) -> Subscribe<'_> {
    let filters = subscribe.topic_filters.iter();
    let filters = filters.map(|filter| Subscription::new(TopicFilter::new(filter).unwrap(), QoS::AtLeastOnce));
    Subscribe {
        packet_identifier: packet_identifier(subscribe.packet_identifier),
        properties: Properties::EMPTY,
        filters: Subscriptions::new(lent(filters.collect::<Vec<_>>())),
    }
}

fn suback(suback: &packets::Suback) -> Suback<'static> {
    Suback {
        packet_identifier: packet_identifier(suback.packet_identifier),
        properties: Properties::EMPTY,
        reason_codes: ReasonCodes::new(lent(vec![QoS::AtLeastOnce as u8; suback.topic_filters])),
    }
}

fn packet_identifier(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn properties<'a, const N: usize>(list: [Property<'a>; N]) -> Properties<'a> {
    Properties::new(lent(list))
}

/// Packets borrow their lists; here nobody stays to own them, and the process ends soon.
fn lent<'a, T: 'a>(list: impl Into<Box<[T]>>) -> &'a [T] {
    Box::leak(list.into())
}
