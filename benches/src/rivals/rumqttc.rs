//! The codec inside `rumqttc`, the most used Rust client. Its 5.0 side does not check that a topic is UTF-8.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{QoS, v5};

use super::read_buffer;
use crate::codec::{Codec, Gist};
use crate::packets::{AckKind, Connect, Delivery, Packet, Publish, Suback, Subscribe};

pub struct V5;

impl Codec for V5 {
    const NAME: &'static str = "rumqttc";
    type Prepared<'a> = v5::Packet;
    type Output = BytesMut;
    type Input = BytesMut;
    type Decoded<'a> = v5::Packet;

    fn prepare(packet: &Packet) -> v5::Packet {
        match packet {
            Packet::Connect(it) => connect(it),
            Packet::Publish(it) => v5::Packet::Publish(publish(it)),
            Packet::Ack(it) => match it.kind {
                AckKind::Puback => v5::Packet::PubAck(v5::PubAck::new(it.packet_identifier, None)),
                AckKind::Pubrec => v5::Packet::PubRec(v5::PubRec::new(it.packet_identifier, None)),
                AckKind::Pubrel => v5::Packet::PubRel(v5::PubRel::new(it.packet_identifier, None)),
                AckKind::Pubcomp => v5::Packet::PubComp(v5::PubComp::new(it.packet_identifier, None)),
            },
            Packet::Subscribe(it) => v5::Packet::Subscribe(subscribe(it)),
            Packet::Suback(it) => v5::Packet::SubAck(suback(it)),
            Packet::Pingreq => v5::Packet::PingReq(v5::PingReq),
        }
    }

    fn output(capacity: usize) -> BytesMut {
        BytesMut::with_capacity(capacity)
    }

    fn encode(packets: &[v5::Packet], output: &mut BytesMut) {
        output.clear();
        for packet in packets {
            // No limit, which also saves it from counting the length twice.
            packet.write(output, None).unwrap();
        }
    }

    fn input(wire: &[u8]) -> BytesMut {
        read_buffer(wire)
    }

    fn decode(input: &mut BytesMut, mut each: impl FnMut(&v5::Packet)) {
        while !input.is_empty() {
            each(v5::Packet::read(input, None).as_ref().unwrap());
        }
    }

    fn gist(decoded: &v5::Packet) -> Gist {
        let ack = |packet_type, packet_identifier| Gist { packet_type, packet_identifier, ..Gist::default() };
        match decoded {
            v5::Packet::Connect(it, Some(will), _) => Gist {
                packet_type: 1,
                topic: will.topic.to_vec(),
                payload: will.message.to_vec(),
                user_property: it.properties.as_ref().unwrap().user_properties[0].1.clone().into(),
                ..Gist::default()
            },
            v5::Packet::Publish(it) => Gist {
                packet_type: 3,
                packet_identifier: it.pkid,
                topic: it.topic.to_vec(),
                payload: it.payload.to_vec(),
                user_property: it
                    .properties
                    .as_ref()
                    .map_or_else(Vec::new, |properties| properties.user_properties[0].1.clone().into()),
            },
            v5::Packet::PubAck(it) => ack(4, it.pkid),
            v5::Packet::PubRec(it) => ack(5, it.pkid),
            v5::Packet::PubRel(it) => ack(6, it.pkid),
            v5::Packet::PubComp(it) => ack(7, it.pkid),
            v5::Packet::Subscribe(it) => Gist { topic: it.filters[0].path.clone().into(), ..ack(8, it.pkid) },
            v5::Packet::SubAck(it) => ack(9, it.pkid),
            v5::Packet::PingReq(_) => ack(12, 0),
            other => panic!("in no row: {other:?}"),
        }
    }
}

fn connect(connect: &Connect) -> v5::Packet {
    let will = &connect.will;
    v5::Packet::Connect(
        v5::Connect {
            keep_alive: connect.keep_alive,
            client_id: connect.client_identifier.clone(),
            clean_start: connect.clean_start,
            properties: Some(v5::ConnectProperties {
                session_expiry_interval: Some(connect.session_expiry_interval),
                receive_maximum: Some(connect.receive_maximum),
                max_packet_size: Some(connect.maximum_packet_size),
                topic_alias_max: Some(connect.topic_alias_maximum),
                user_properties: vec![connect.user_property.clone()],
                ..v5::ConnectProperties::new()
            }),
        },
        Some(v5::LastWill {
            topic: Bytes::copy_from_slice(will.topic.as_bytes()),
            message: will.payload.clone(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Some(v5::LastWillProperties {
                delay_interval: Some(will.delay_interval),
                payload_format_indicator: None,
                message_expiry_interval: Some(will.message_expiry_interval),
                content_type: Some(will.content_type.clone()),
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            }),
        }),
        Some(v5::Login::new(connect.user_name.clone(), connect.password.clone())),
    )
}

fn publish(publish: &Publish) -> v5::Publish {
    v5::Publish {
        dup: false,
        qos: match publish.delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce(_) => QoS::AtLeastOnce,
            Delivery::ExactlyOnce(_) => QoS::ExactlyOnce,
        },
        retain: false,
        topic: Bytes::copy_from_slice(publish.topic.as_bytes()),
        pkid: publish.delivery.packet_identifier(),
        properties: publish.properties.as_ref().map(|properties| v5::PublishProperties {
            payload_format_indicator: Some(properties.payload_is_text.into()),
            message_expiry_interval: Some(properties.message_expiry_interval),
            response_topic: Some(properties.response_topic.clone()),
            correlation_data: Some(properties.correlation_data.clone()),
            user_properties: vec![properties.user_property.clone()],
            ..v5::PublishProperties::default()
        }),
        payload: publish.payload.clone(),
    }
}

fn subscribe(subscribe: &Subscribe) -> v5::Subscribe {
    let filters = subscribe.topic_filters.iter();
    let filters = filters.map(|filter| v5::Filter::new(filter, QoS::AtLeastOnce));
    v5::Subscribe { pkid: subscribe.packet_identifier, ..v5::Subscribe::new_many(filters, None) }
}

fn suback(suback: &Suback) -> v5::SubAck {
    let return_codes = vec![v5::SubscribeReasonCode::Success(QoS::AtLeastOnce); suback.topic_filters];
    v5::SubAck { pkid: suback.packet_identifier, return_codes, properties: None }
}

pub struct V3;

impl Codec for V3 {
    const NAME: &'static str = V5::NAME;
    type Prepared<'a> = v4::Publish;
    type Output = BytesMut;
    type Input = BytesMut;
    type Decoded<'a> = v4::Packet;

    fn prepare(packet: &Packet) -> v4::Publish {
        let Packet::Publish(publish) = packet else { panic!("in no row of 3.1.1") };
        v4::Publish {
            dup: false,
            qos: match publish.delivery {
                Delivery::AtMostOnce => mqttbytes::QoS::AtMostOnce,
                Delivery::AtLeastOnce(_) => mqttbytes::QoS::AtLeastOnce,
                Delivery::ExactlyOnce(_) => mqttbytes::QoS::ExactlyOnce,
            },
            retain: false,
            topic: publish.topic.clone(),
            pkid: publish.delivery.packet_identifier(),
            payload: publish.payload.clone(),
        }
    }

    fn output(capacity: usize) -> BytesMut {
        BytesMut::with_capacity(capacity)
    }

    fn encode(packets: &[v4::Publish], output: &mut BytesMut) {
        output.clear();
        for packet in packets {
            packet.write(output).unwrap();
        }
    }

    fn input(wire: &[u8]) -> BytesMut {
        read_buffer(wire)
    }

    fn decode(input: &mut BytesMut, mut each: impl FnMut(&v4::Packet)) {
        while !input.is_empty() {
            each(v4::Packet::read(input, usize::MAX).as_ref().unwrap());
        }
    }

    fn gist(decoded: &v4::Packet) -> Gist {
        let v4::Packet::Publish(publish) = decoded else { panic!("in no row of 3.1.1") };
        Gist {
            packet_type: 3,
            packet_identifier: publish.pkid,
            topic: publish.topic.clone().into(),
            payload: publish.payload.to_vec(),
            ..Gist::default()
        }
    }
}
