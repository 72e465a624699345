//! `mqttbytes`: the codec that rumqttc once had, as a crate of its own.

use bytes::BytesMut;
use mqttbytes::{Protocol, QoS, v4, v5};

use super::read_buffer;
use crate::codec::{Codec, Gist};
use crate::packets::{AckKind, Connect, Delivery, Packet, Publish, Suback, Subscribe};

pub struct V5;

impl Codec for V5 {
    const NAME: &'static str = "mqttbytes";
    type Prepared<'a> = v5::Packet;
    type Output = BytesMut;
    type Input = BytesMut;
    type Decoded<'a> = v5::Packet;

    fn prepare(packet: &Packet) -> v5::Packet {
        match packet {
            Packet::Connect(it) => v5::Packet::Connect(connect(it)),
            Packet::Publish(it) => v5::Packet::Publish(publish(it)),
            Packet::Ack(it) => match it.kind {
                AckKind::Puback => v5::Packet::PubAck(v5::PubAck::new(it.packet_identifier)),
                AckKind::Pubrec => v5::Packet::PubRec(v5::PubRec::new(it.packet_identifier)),
                AckKind::Pubrel => v5::Packet::PubRel(v5::PubRel::new(it.packet_identifier)),
                AckKind::Pubcomp => v5::Packet::PubComp(v5::PubComp::new(it.packet_identifier)),
            },
            Packet::Subscribe(it) => v5::Packet::Subscribe(subscribe(it)),
            Packet::Suback(it) => v5::Packet::SubAck(suback(it)),
            Packet::Pingreq => v5::Packet::PingReq,
        }
    }

    fn output(capacity: usize) -> BytesMut {
        BytesMut::with_capacity(capacity)
    }

    fn encode(packets: &[v5::Packet], output: &mut BytesMut) {
        output.clear();
        for packet in packets {
            // The crate leaves this match to its users.
            let written = match packet {
                v5::Packet::Connect(it) => it.write(output),
                v5::Packet::Publish(it) => it.write(output),
                v5::Packet::PubAck(it) => it.write(output),
                v5::Packet::PubRec(it) => it.write(output),
                v5::Packet::PubRel(it) => it.write(output),
                v5::Packet::PubComp(it) => it.write(output),
                v5::Packet::Subscribe(it) => it.write(output),
                v5::Packet::SubAck(it) => it.write(output),
                v5::Packet::PingReq => v5::PingReq.write(output),
                other => panic!("in no row: {other:?}"),
            };
            written.unwrap();
        }
    }

    fn input(wire: &[u8]) -> BytesMut {
        read_buffer(wire)
    }

    fn decode(input: &mut BytesMut, mut each: impl FnMut(&v5::Packet)) {
        while !input.is_empty() {
            each(v5::read(input, usize::MAX).as_ref().unwrap());
        }
    }

    fn gist(decoded: &v5::Packet) -> Gist {
        let ack = |packet_type, packet_identifier| Gist { packet_type, packet_identifier, ..Gist::default() };
        match decoded {
            v5::Packet::Connect(it) => {
                let will = it.last_will.as_ref().unwrap();
                Gist {
                    packet_type: 1,
                    topic: will.topic.clone().into(),
                    payload: will.message.to_vec(),
                    user_property: it.properties.as_ref().unwrap().user_properties[0].1.clone().into(),
                    ..Gist::default()
                }
            }
            v5::Packet::Publish(it) => Gist {
                packet_type: 3,
                packet_identifier: it.pkid,
                topic: it.topic.clone().into(),
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
            v5::Packet::PingReq => ack(12, 0),
            other => panic!("in no row: {other:?}"),
        }
    }
}

fn connect(connect: &Connect) -> v5::Connect {
    let will = &connect.will;
    v5::Connect {
        protocol: Protocol::V5,
        keep_alive: connect.keep_alive,
        client_id: connect.client_identifier.clone(),
        clean_session: connect.clean_start,
        last_will: Some(v5::LastWill {
            topic: will.topic.clone(),
            message: will.payload.clone(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Some(v5::WillProperties {
                delay_interval: Some(will.delay_interval),
                payload_format_indicator: None,
                message_expiry_interval: Some(will.message_expiry_interval),
                content_type: Some(will.content_type.clone()),
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            }),
        }),
        login: Some(v5::Login { username: connect.user_name.clone(), password: connect.password.clone() }),
        properties: Some(v5::ConnectProperties {
            session_expiry_interval: Some(connect.session_expiry_interval),
            receive_maximum: Some(connect.receive_maximum),
            max_packet_size: Some(connect.maximum_packet_size),
            topic_alias_max: Some(connect.topic_alias_maximum),
            user_properties: vec![connect.user_property.clone()],
            request_response_info: None,
            request_problem_info: None,
            authentication_method: None,
            authentication_data: None,
        }),
    }
}

fn publish(publish: &Publish) -> v5::Publish {
    v5::Publish {
        dup: false,
        qos: qos(publish.delivery),
        retain: false,
        topic: publish.topic.clone(),
        pkid: publish.delivery.packet_identifier(),
        properties: publish.properties.as_ref().map(|properties| v5::PublishProperties {
            payload_format_indicator: Some(properties.payload_is_text.into()),
            message_expiry_interval: Some(properties.message_expiry_interval),
            topic_alias: None,
            response_topic: Some(properties.response_topic.clone()),
            correlation_data: Some(properties.correlation_data.clone()),
            user_properties: vec![properties.user_property.clone()],
            subscription_identifiers: Vec::new(),
            content_type: None,
        }),
        payload: publish.payload.clone(),
    }
}

fn subscribe(subscribe: &Subscribe) -> v5::Subscribe {
    let filters = subscribe.topic_filters.iter().cloned();
    v5::Subscribe {
        pkid: subscribe.packet_identifier,
        filters: filters.map(|filter| v5::SubscribeFilter::new(filter, QoS::AtLeastOnce)).collect(),
        properties: None,
    }
}

fn suback(suback: &Suback) -> v5::SubAck {
    v5::SubAck::new(suback.packet_identifier, vec![v5::SubscribeReasonCode::QoS1; suback.topic_filters])
}

fn qos(delivery: Delivery) -> QoS {
    match delivery {
        Delivery::AtMostOnce => QoS::AtMostOnce,
        Delivery::AtLeastOnce(_) => QoS::AtLeastOnce,
        Delivery::ExactlyOnce(_) => QoS::ExactlyOnce,
    }
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
            qos: qos(publish.delivery),
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
            each(v4::read(input, usize::MAX).as_ref().unwrap());
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
