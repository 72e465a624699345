//! Packets as the tests write them, and as they read them: a line of text.

use mqtt_core::{
    Ack, AckKind, Connect, Delivery, Disconnect, Packet, PacketIdentifier, Properties, Property, ProtocolVersion,
    Publish, QoS, ReasonCode, Sender, Subscribe, Subscription, Subscriptions, TopicFilter, TopicFilters, TopicName,
    Unsubscribe, Will,
};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const VERSIONS: [ProtocolVersion; 3] = [ProtocolVersion::V3_1, V3, V5];

/// A CONNECT without anything that can be left out; Clean Start.
pub(crate) const fn connect(version: ProtocolVersion, client_identifier: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        client_identifier,
        properties: Properties::EMPTY,
        will: None,
        user_name: None,
        password: None,
    }
}

/// A CONNECT for a session that is kept for an hour, or on 3.1.1 for ever.
pub(crate) const fn connect_kept(version: ProtocolVersion, client_identifier: &str) -> Connect<'_> {
    let properties =
        if version.is_v5() { Properties::new(&[Property::SessionExpiryInterval(3_600)]) } else { Properties::EMPTY };
    Connect { clean_start: false, properties, ..connect(version, client_identifier) }
}

pub(crate) fn will<'a>(topic: &'a str, payload: &'a str) -> Will<'a> {
    Will {
        topic: TopicName::new(topic).unwrap(),
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::EMPTY,
    }
}

pub(crate) const fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

/// A PUBLISH; with QoS 0 the identifier is not used.
pub(crate) fn publish<'a>(topic: &'a str, qos: u8, identifier: u16, payload: &'a str) -> Publish<'a> {
    let delivery = match qos {
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce { packet_identifier: id(identifier), dup: false },
        _ => Delivery::ExactlyOnce { packet_identifier: id(identifier), dup: false },
    };
    let topic = (!topic.is_empty()).then(|| TopicName::new(topic).unwrap());
    Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload: payload.as_bytes() }
}

pub(crate) fn retained<'a>(topic: &'a str, qos: u8, identifier: u16, payload: &'a str) -> Publish<'a> {
    Publish { retain: true, ..publish(topic, qos, identifier, payload) }
}

pub(crate) const fn ack(kind: AckKind, identifier: u16) -> Packet<'static> {
    let (reason_code, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
    Packet::Ack(Ack { kind, packet_identifier: id(identifier), reason_code, properties })
}

pub(crate) const DISCONNECT: Packet<'static> = disconnect(ReasonCode::NORMAL_DISCONNECTION);

pub(crate) const fn disconnect(reason_code: ReasonCode) -> Packet<'static> {
    Packet::Disconnect(Disconnect { reason_code, properties: Properties::EMPTY })
}

pub(crate) fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

pub(crate) fn subscription(topic_filter: &str, qos: u8) -> Subscription<'_> {
    Subscription::new(filter(topic_filter), QoS::from_u8(qos).unwrap())
}

/// A SUBSCRIBE with the identifier 900.
pub(crate) const fn subscribe<'a>(subscriptions: &'a [Subscription<'a>], properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Subscribe(Subscribe {
        packet_identifier: id(900),
        properties: Properties::new(properties),
        filters: Subscriptions::new(subscriptions),
    })
}

/// An UNSUBSCRIBE with the identifier 901.
pub(crate) const fn unsubscribe<'a>(filters: &'a [TopicFilter<'a>]) -> Packet<'a> {
    Packet::Unsubscribe(Unsubscribe {
        packet_identifier: id(901),
        properties: Properties::EMPTY,
        filters: TopicFilters::new(filters),
    })
}

pub(crate) fn encode(version: ProtocolVersion, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = vec![0; packet.encoded_len(version, Sender::Client).unwrap()];
    packet.encode(version, Sender::Client, &mut bytes).unwrap();
    bytes
}

/// A packet of the broker as a line: its name, then what is not as usual.
///
/// ```text
/// CONNACK 00 present              SUBACK #900 [01, 80]
/// PUBLISH a/b q1 #7 dup "hello"   PUBACK #7            DISCONNECT 8e
/// ```
pub(crate) fn describe(version: ProtocolVersion, bytes: &[u8]) -> String {
    let packet = Packet::decode(version, Sender::Server, bytes).unwrap();
    let mut line = packet.packet_type().to_string();
    let properties = match packet {
        Packet::Connack(connack) => {
            line += &format!(" {:02x}", connack.reason_code.as_u8());
            line += if connack.session_present { " present" } else { "" };
            connack.properties
        }
        Packet::Publish(publish) => {
            line += &describe_publish(&publish);
            publish.properties
        }
        Packet::Ack(ack) => {
            line += &format!(" #{}", ack.packet_identifier);
            if ack.reason_code != ReasonCode::SUCCESS {
                line += &format!(" {:02x}", ack.reason_code.as_u8());
            }
            ack.properties
        }
        Packet::Suback(suback) => {
            line += &format!(" #{} {:02x?}", suback.packet_identifier, suback.reason_codes.as_bytes());
            suback.properties
        }
        Packet::Unsuback(unsuback) => {
            line += &format!(" #{} {:02x?}", unsuback.packet_identifier, unsuback.reason_codes.as_bytes());
            unsuback.properties
        }
        Packet::Disconnect(disconnect) => {
            line += &format!(" {:02x}", disconnect.reason_code.as_u8());
            disconnect.properties
        }
        _ => Properties::EMPTY,
    };
    if !properties.is_empty() {
        line += &format!(" {properties:?}");
    }
    line
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let mut line = format!(" {} q{}", publish.topic.map_or("", |topic| topic.as_str()), publish.delivery.qos() as u8);
    if let Some(identifier) = publish.delivery.packet_identifier() {
        line += &format!(" #{identifier}");
    }
    line += if publish.delivery.dup() { " dup" } else { "" };
    line += if publish.retain { " retain" } else { "" };
    line + &format!(" {:?}", String::from_utf8_lossy(publish.payload))
}
