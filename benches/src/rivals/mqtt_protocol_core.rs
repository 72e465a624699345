//! `mqtt-protocol-core`: a Sans-I/O library of both sides and versions.
//!
//! It encodes to a `Vec` of its own making, or to a list of slices; it reads through a `PacketBuilder`, which copies
//! each packet's body out of the stream. So it stands in the decode rows twice: from the stream as the others, and, as
//! `…-framed`, from bodies that were found and copied beforehand, which is the least its `parse` functions need.

use std::marker::PhantomData;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData, RawPacket};
use mqtt_protocol_core::mqtt::packet::{
    self, ContentType, CorrelationData, GenericPacketTrait, MaximumPacketSize, MessageExpiryInterval, PayloadFormat,
    PayloadFormatIndicator, Property, Qos, ReceiveMaximum, ResponseTopic, SessionExpiryInterval, SubEntry, SubOpts,
    TopicAliasMaximum, UserProperty, WillDelayInterval, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::SubackReasonCode;

use crate::codec::{Codec, Gist};
use crate::packets::{AckKind, Connect, Delivery, Packet, Publish, Suback, Subscribe};

/// Reads from the stream.
pub struct Stream<V>(PhantomData<V>);

/// Reads bodies already found.
pub struct Framed<V>(PhantomData<V>);

/// Its two sets of packets.
pub trait Version {
    fn prepare(packet: &Packet) -> packet::Packet;
    fn parse(raw: &RawPacket) -> packet::Packet;
}

impl<V: Version> Codec for Stream<V> {
    const NAME: &'static str = "mqtt-protocol-core";
    type Prepared<'a> = packet::Packet;
    type Output = Vec<u8>;
    type Input = Bytes;
    type Decoded<'a> = packet::Packet;

    fn prepare(packet: &Packet) -> packet::Packet {
        V::prepare(packet)
    }

    fn output(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    fn encode(packets: &[packet::Packet], output: &mut Vec<u8>) {
        write(packets, output);
    }

    fn input(wire: &[u8]) -> Bytes {
        Bytes::copy_from_slice(wire)
    }

    fn decode(input: &mut Bytes, mut each: impl FnMut(&packet::Packet)) {
        frame(input, |raw| each(&V::parse(&raw)));
    }

    fn gist(decoded: &packet::Packet) -> Gist {
        gist(decoded)
    }
}

impl<V: Version> Codec for Framed<V> {
    const NAME: &'static str = "mqtt-protocol-core-framed";
    type Prepared<'a> = packet::Packet;
    type Output = Vec<u8>;
    type Input = Vec<RawPacket>;
    type Decoded<'a> = packet::Packet;

    fn prepare(packet: &Packet) -> packet::Packet {
        V::prepare(packet)
    }

    fn output(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    fn encode(packets: &[packet::Packet], output: &mut Vec<u8>) {
        write(packets, output);
    }

    fn input(wire: &[u8]) -> Vec<RawPacket> {
        let mut frames = Vec::new();
        frame(wire, |raw| frames.push(raw));
        frames
    }

    fn decode(input: &mut Vec<RawPacket>, mut each: impl FnMut(&packet::Packet)) {
        for raw in input {
            each(&V::parse(raw));
        }
    }

    fn gist(decoded: &packet::Packet) -> Gist {
        gist(decoded)
    }
}

/// Gathers the slices of each packet in one buffer that is used again: quicker than `to_continuous_buffer`, whose
/// `Vec` starts small and grows.
fn write(packets: &[packet::Packet], output: &mut Vec<u8>) {
    output.clear();
    for packet in packets {
        for slice in packet.to_buffers() {
            output.extend_from_slice(&slice);
        }
    }
}

fn frame(wire: &[u8], mut each: impl FnMut(RawPacket)) {
    let mut builder = PacketBuilder::new();
    let mut cursor = Cursor::new(wire);
    while !cursor.remaining_slice().is_empty() {
        match builder.feed(&mut cursor) {
            PacketBuildResult::Complete(raw) => each(raw),
            PacketBuildResult::Incomplete => {}
            PacketBuildResult::Error(error) => panic!("{error}"),
        }
    }
}

pub struct V5;

impl Version for V5 {
    fn prepare(packet: &Packet) -> packet::Packet {
        match packet {
            Packet::Connect(it) => connect(it).into(),
            Packet::Publish(it) => publish(it).into(),
            Packet::Ack(it) => match it.kind {
                AckKind::Puback => v5_0::Puback::builder().packet_id(it.packet_identifier).build().unwrap().into(),
                AckKind::Pubrec => v5_0::Pubrec::builder().packet_id(it.packet_identifier).build().unwrap().into(),
                AckKind::Pubrel => v5_0::Pubrel::builder().packet_id(it.packet_identifier).build().unwrap().into(),
                AckKind::Pubcomp => v5_0::Pubcomp::builder().packet_id(it.packet_identifier).build().unwrap().into(),
            },
            Packet::Subscribe(it) => subscribe(it).into(),
            Packet::Suback(it) => suback(it).into(),
            Packet::Pingreq => v5_0::Pingreq::new().into(),
        }
    }

    fn parse(raw: &RawPacket) -> packet::Packet {
        // As its `Connection` does it, whose own match is private.
        match (raw.packet_type(), &raw.data) {
            (3, PacketData::Publish(body)) => v5_0::Publish::parse(raw.flags(), body.clone()).unwrap().0.into(),
            (1, _) => raw.parse_exact(v5_0::Connect::parse).unwrap().into(),
            (4, _) => raw.parse_exact(v5_0::Puback::parse).unwrap().into(),
            (5, _) => raw.parse_exact(v5_0::Pubrec::parse).unwrap().into(),
            (6, _) => raw.parse_exact(v5_0::Pubrel::parse).unwrap().into(),
            (7, _) => raw.parse_exact(v5_0::Pubcomp::parse).unwrap().into(),
            (8, _) => raw.parse_exact(v5_0::Subscribe::parse).unwrap().into(),
            (9, _) => raw.parse_exact(v5_0::Suback::parse).unwrap().into(),
            (12, _) => raw.parse_exact(v5_0::Pingreq::parse).unwrap().into(),
            (other, _) => panic!("in no row: {other}"),
        }
    }
}

pub struct V3;

impl Version for V3 {
    fn prepare(packet: &Packet) -> packet::Packet {
        let Packet::Publish(publish) = packet else { panic!("in no row of 3.1.1") };
        let builder = v3_1_1::Publish::builder()
            .qos(qos(publish.delivery))
            .topic_name(publish.topic.as_str())
            .unwrap()
            .payload(publish.payload.as_ref());
        match publish.delivery {
            Delivery::AtMostOnce => builder,
            Delivery::AtLeastOnce(packet_identifier) | Delivery::ExactlyOnce(packet_identifier) => {
                builder.packet_id(packet_identifier)
            }
        }
        .build()
        .unwrap()
        .into()
    }

    fn parse(raw: &RawPacket) -> packet::Packet {
        let PacketData::Publish(body) = &raw.data else { panic!("in no row of 3.1.1") };
        v3_1_1::Publish::parse(raw.flags(), body.clone()).unwrap().0.into()
    }
}

fn gist(decoded: &packet::Packet) -> Gist {
    let ack = |packet_type, packet_identifier| Gist { packet_type, packet_identifier, ..Gist::default() };
    let user_property = |properties: &[Property]| {
        let value = properties.iter().find_map(|property| match property {
            Property::UserProperty(it) => Some(it.val().into()),
            _ => None,
        });
        value.unwrap_or_default()
    };
    match decoded {
        packet::Packet::V5_0Connect(it) => Gist {
            packet_type: 1,
            topic: it.will_topic().unwrap().into(),
            payload: it.will_payload().unwrap().into(),
            user_property: user_property(it.props()),
            ..Gist::default()
        },
        packet::Packet::V5_0Publish(it) => Gist {
            packet_type: 3,
            packet_identifier: it.packet_id().unwrap_or_default(),
            topic: it.topic_name().into(),
            payload: it.payload().as_slice().into(),
            user_property: user_property(it.props()),
        },
        packet::Packet::V3_1_1Publish(it) => Gist {
            packet_type: 3,
            packet_identifier: it.packet_id().unwrap_or_default(),
            topic: it.topic_name().into(),
            payload: it.payload().as_slice().into(),
            ..Gist::default()
        },
        packet::Packet::V5_0Puback(it) => ack(4, it.packet_id()),
        packet::Packet::V5_0Pubrec(it) => ack(5, it.packet_id()),
        packet::Packet::V5_0Pubrel(it) => ack(6, it.packet_id()),
        packet::Packet::V5_0Pubcomp(it) => ack(7, it.packet_id()),
        packet::Packet::V5_0Subscribe(it) => {
            Gist { topic: it.entries()[0].topic_filter().into(), ..ack(8, it.packet_id()) }
        }
        packet::Packet::V5_0Suback(it) => ack(9, it.packet_id()),
        packet::Packet::V5_0Pingreq(_) => ack(12, 0),
        other => panic!("in no row: {other}"),
    }
}

fn connect(connect: &Connect) -> v5_0::Connect {
    let will = &connect.will;
    let (key, value) = &connect.user_property;
    v5_0::Connect::builder()
        .clean_start(connect.clean_start)
        .keep_alive(connect.keep_alive)
        .client_id(connect.client_identifier.as_str())
        .unwrap()
        .will_message(will.topic.as_str(), will.payload.to_vec(), Qos::AtLeastOnce, false)
        .unwrap()
        .user_name(connect.user_name.as_str())
        .unwrap()
        .password(connect.password.as_str())
        .unwrap()
        .props(vec![
            SessionExpiryInterval::new(connect.session_expiry_interval).unwrap().into(),
            ReceiveMaximum::new(connect.receive_maximum).unwrap().into(),
            MaximumPacketSize::new(connect.maximum_packet_size).unwrap().into(),
            TopicAliasMaximum::new(connect.topic_alias_maximum).unwrap().into(),
            UserProperty::new(key.as_str(), value.as_str()).unwrap().into(),
        ])
        .will_props(vec![
            WillDelayInterval::new(will.delay_interval).unwrap().into(),
            MessageExpiryInterval::new(will.message_expiry_interval).unwrap().into(),
            ContentType::new(will.content_type.as_str()).unwrap().into(),
        ])
        .build()
        .unwrap()
}

fn publish(publish: &Publish) -> v5_0::Publish {
    let builder = v5_0::Publish::builder()
        .qos(qos(publish.delivery))
        .topic_name(publish.topic.as_str())
        .unwrap()
        .payload(publish.payload.as_ref());
    let builder = match publish.delivery {
        Delivery::AtMostOnce => builder,
        Delivery::AtLeastOnce(packet_identifier) | Delivery::ExactlyOnce(packet_identifier) => {
            builder.packet_id(packet_identifier)
        }
    };
    let builder = match &publish.properties {
        None => builder,
        Some(properties) => {
            let (key, value) = &properties.user_property;
            let format = if properties.payload_is_text { PayloadFormat::String } else { PayloadFormat::Binary };
            builder.props(vec![
                PayloadFormatIndicator::new(format).unwrap().into(),
                MessageExpiryInterval::new(properties.message_expiry_interval).unwrap().into(),
                ResponseTopic::new(properties.response_topic.as_str()).unwrap().into(),
                CorrelationData::new(properties.correlation_data.to_vec()).unwrap().into(),
                UserProperty::new(key.as_str(), value.as_str()).unwrap().into(),
            ])
        }
    };
    builder.build().unwrap()
}

fn subscribe(subscribe: &Subscribe) -> v5_0::Subscribe {
    let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
    let entries = subscribe.topic_filters.iter().map(|filter| SubEntry::new(filter.as_str(), options).unwrap());
    v5_0::Subscribe::builder()
        .packet_id(subscribe.packet_identifier)
        .entries(entries.collect::<Vec<_>>())
        .build()
        .unwrap()
}

fn suback(suback: &Suback) -> v5_0::Suback {
    v5_0::Suback::builder()
        .packet_id(suback.packet_identifier)
        .reason_codes(vec![SubackReasonCode::GrantedQos1; suback.topic_filters])
        .build()
        .unwrap()
}

fn qos(delivery: Delivery) -> Qos {
    match delivery {
        Delivery::AtMostOnce => Qos::AtMostOnce,
        Delivery::AtLeastOnce(_) => Qos::AtLeastOnce,
        Delivery::ExactlyOnce(_) => Qos::ExactlyOnce,
    }
}
