//! A good packet of every kind and shape, as value and as bytes.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Connect, Delivery, Disconnect, Packet, Properties, Property, ProtocolVersion, Publish,
    QoS, ReasonCode, ReasonCodes, RetainHandling, Sender, Suback, Subscribe, Subscription, SubscriptionOptions,
    Subscriptions, TopicFilter, TopicFilters, TopicName, Unsuback, Unsubscribe, Will,
};

use super::wire::{ALL, BOTH, CLIENT, SERVER, V3, V5, id, packet};

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [ProtocolVersion],
    pub(crate) senders: &'static [Sender],
    pub(crate) packet: Packet<'static>,
    pub(crate) wire: Vec<u8>,
    /// Where else the part behind the fixed header could end, and be a packet too.
    pub(crate) ends_at: Vec<usize>,
}

impl Sample {
    /// Every version with every sender that the sample stands for.
    pub(crate) fn directions(&self) -> impl Iterator<Item = (ProtocolVersion, Sender)> {
        self.versions.iter().flat_map(|&version| self.senders.iter().map(move |&sender| (version, sender)))
    }
}

/// Leaks; samples live as long as the test.
pub(crate) fn filter(text: &'static str) -> TopicFilter<'static> {
    TopicFilter::new(text).unwrap()
}

pub(crate) fn topic(text: &'static str) -> TopicName<'static> {
    TopicName::new(text).unwrap()
}

pub(crate) const CONNECT: Connect<'static> = Connect {
    version: ProtocolVersion::V5_0,
    clean_start: true,
    keep_alive: 60,
    client_identifier: "pump",
    properties: Properties::EMPTY,
    will: None,
    user_name: None,
    password: None,
};

pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    connects(&mut samples);
    connacks(&mut samples);
    publishes(&mut samples);
    acks(&mut samples);
    subscriptions(&mut samples);
    rest(&mut samples);
    samples
}

fn connects(samples: &mut Vec<Sample>) {
    let mut add = |name, packet, wire| {
        samples.push(Sample {
            name,
            versions: ALL,
            senders: CLIENT,
            packet: Packet::Connect(packet),
            wire,
            ends_at: vec![],
        });
    };
    let will = Will {
        topic: topic("w"),
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    let v3 = Connect { version: ProtocolVersion::V3_1_1, ..CONNECT };
    add("CONNECT 5.0", CONNECT, packet(0x10, b"\0\x04MQTT\x05\x02\0\x3c\0\0\x04pump"));
    add("CONNECT 3.1.1", v3, packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x04pump"));
    add(
        "CONNECT 3.1",
        Connect { version: ProtocolVersion::V3_1, clean_start: false, ..CONNECT },
        packet(0x10, b"\0\x06MQIsdp\x03\0\0\x3c\0\x04pump"),
    );
    add(
        "CONNECT 3.1.1 with everything",
        Connect { will: Some(will), user_name: Some("u"), password: Some(b"\xff"), ..v3 },
        packet(0x10, b"\0\x04MQTT\x04\xee\0\x3c\0\x04pump\0\x01w\0\x04gone\0\x01u\0\x01\xff"),
    );
    add(
        "CONNECT 5.0 with everything",
        Connect {
            clean_start: false,
            keep_alive: 0xffff,
            client_identifier: "",
            properties: Properties::new(&[
                Property::SessionExpiryInterval(0x0102_0304),
                Property::ReceiveMaximum(0x0506),
                Property::AuthenticationMethod("m"),
                Property::AuthenticationData(b"\0"),
                Property::UserProperty("k", "v"),
                Property::UserProperty("k", "v"),
            ]),
            will: Some(Will {
                qos: QoS::ExactlyOnce,
                retain: false,
                payload: b"",
                properties: Properties::new(&[Property::WillDelayInterval(5), Property::ContentType("")]),
                ..will
            }),
            user_name: Some(""),
            password: Some(b""),
            ..CONNECT
        },
        packet(
            0x10,
            b"\0\x04MQTT\x05\xd4\xff\xff\
            \x1e\x11\x01\x02\x03\x04\x21\x05\x06\x15\0\x01m\x16\0\x01\0\x26\0\x01k\0\x01v\x26\0\x01k\0\x01v\
            \0\0\x08\x18\0\0\0\x05\x03\0\0\0\x01w\0\0\0\0\0\0",
        ),
    );
    add(
        "CONNECT 5.0 with a password alone",
        Connect { password: Some(b"key"), ..CONNECT },
        packet(0x10, b"\0\x04MQTT\x05\x42\0\x3c\0\0\x04pump\0\x03key"),
    );
}

fn connacks(samples: &mut Vec<Sample>) {
    let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY };
    let refused = Connack { reason_code: ReasonCode::NOT_AUTHORIZED, ..connack };
    let mut add = |name, versions, packet, wire| {
        samples.push(Sample {
            name,
            versions,
            senders: SERVER,
            packet: Packet::Connack(packet),
            wire,
            ends_at: vec![],
        });
    };
    add("CONNACK 3", V3, connack, packet(0x20, b"\0\0"));
    add("CONNACK 3, refused", V3, refused, packet(0x20, b"\0\x05"));
    add("CONNACK 5", V5, connack, packet(0x20, b"\0\0\0"));
    add("CONNACK 5, refused", V5, refused, packet(0x20, b"\0\x87\0"));
    add(
        "CONNACK 3.1.1, session present",
        &[ProtocolVersion::V3_1_1],
        Connack { session_present: true, ..connack },
        packet(0x20, b"\x01\0"),
    );
    add(
        "CONNACK 5, session present and properties",
        V5,
        Connack {
            session_present: true,
            properties: Properties::new(&[Property::ServerKeepAlive(10), Property::MaximumQoS(1)]),
            ..connack
        },
        packet(0x20, b"\x01\0\x05\x13\0\x0a\x24\x01"),
    );
}

fn publishes(samples: &mut Vec<Sample>) {
    let qos_0 = Publish {
        topic: Some(topic("a/b")),
        delivery: Delivery::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        payload: b"hi",
    };
    let qos_1 = Publish { delivery: Delivery::AtLeastOnce { packet_identifier: id(0x0102), dup: false }, ..qos_0 };
    let qos_2 = Publish {
        delivery: Delivery::ExactlyOnce { packet_identifier: id(0xffff), dup: true },
        retain: true,
        payload: b"",
        ..qos_0
    };
    let mut add = |name, versions, packet: Publish<'static>, wire: Vec<u8>| {
        let body = wire.len() - 2;
        // A payload may end anywhere.
        let ends_at = (body - packet.payload.len()..body).collect();
        samples.push(Sample { name, versions, senders: BOTH, packet: Packet::Publish(packet), wire, ends_at });
    };
    add("PUBLISH 3, QoS 0", V3, qos_0, packet(0x30, b"\0\x03a/bhi"));
    add("PUBLISH 3, QoS 1", V3, qos_1, packet(0x32, b"\0\x03a/b\x01\x02hi"));
    add("PUBLISH 3, QoS 2", V3, qos_2, packet(0x3d, b"\0\x03a/b\xff\xff"));
    add("PUBLISH 5, QoS 0", V5, qos_0, packet(0x30, b"\0\x03a/b\0hi"));
    add("PUBLISH 5, QoS 1", V5, qos_1, packet(0x32, b"\0\x03a/b\x01\x02\0hi"));
    add("PUBLISH 5, QoS 2", V5, qos_2, packet(0x3d, b"\0\x03a/b\xff\xff\0"));
    add(
        "PUBLISH 5, topic by alias",
        V5,
        Publish { topic: None, properties: Properties::new(&[Property::TopicAlias(7)]), ..qos_0 },
        packet(0x30, b"\0\0\x03\x23\0\x07hi"),
    );
    add(
        "PUBLISH 5 with properties",
        V5,
        Publish {
            properties: Properties::new(&[
                Property::PayloadFormatIndicator(1),
                Property::MessageExpiryInterval(9),
                Property::ContentType("ü"),
                Property::ResponseTopic("r"),
                Property::CorrelationData(b"c"),
                Property::UserProperty("", ""),
            ]),
            ..qos_1
        },
        packet(
            0x32,
            b"\0\x03a/b\x01\x02\x19\x01\x01\x02\0\0\0\x09\x03\0\x02\xc3\xbc\x08\0\x01r\x09\0\x01c\x26\0\0\0\0hi",
        ),
    );
    let identified = &[Property::SubscriptionIdentifier(128), Property::SubscriptionIdentifier(1)];
    samples.push(Sample {
        name: "PUBLISH 5 for two subscriptions",
        versions: V5,
        senders: SERVER,
        packet: Packet::Publish(Publish { properties: Properties::new(identified), payload: b"", ..qos_0 }),
        wire: packet(0x30, b"\0\x03a/b\x05\x0b\x80\x01\x0b\x01"),
        ends_at: vec![],
    });
}

fn acks(samples: &mut Vec<Sample>) {
    for (first, kind, failure) in [
        (0x40, AckKind::Puback, ReasonCode::QUOTA_EXCEEDED),
        (0x50, AckKind::Pubrec, ReasonCode::NOT_AUTHORIZED),
        (0x62, AckKind::Pubrel, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND),
        (0x70, AckKind::Pubcomp, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND),
    ] {
        let success = Ack::new(kind, id(0x0a0b));
        let code = failure.as_u8();
        let mut add = |name, versions, ack, wire, ends_at| {
            samples.push(Sample { name, versions, senders: BOTH, packet: Packet::Ack(ack), wire, ends_at });
        };
        add("ack, success", ALL, success, packet(first, b"\x0a\x0b"), vec![]);
        add("ack 5, failure", V5, Ack { reason_code: failure, ..success }, packet(first, &[0x0a, 0x0b, code]), vec![2]);
        add(
            "ack 5, failure with properties",
            V5,
            Ack { reason_code: failure, properties: Properties::new(&[Property::ReasonString("no")]), ..success },
            packet(first, &[0x0a, 0x0b, code, 5, 0x1f, 0, 2, b'n', b'o']),
            vec![2, 3],
        );
        add(
            "ack 5, success with properties",
            V5,
            Ack { properties: Properties::new(&[Property::UserProperty("k", "")]), ..success },
            packet(first, &[0x0a, 0x0b, 0, 6, 0x26, 0, 1, b'k', 0, 0]),
            vec![2, 3],
        );
    }
}

fn subscriptions(samples: &mut Vec<Sample>) {
    let one: &'static [_] = vec![Subscription::new(filter("a/+"), QoS::AtLeastOnce)].leak();
    let two: &'static [_] = vec![
        Subscription::new(filter("#"), QoS::AtMostOnce),
        Subscription {
            filter: filter("$share/g/a"),
            options: SubscriptionOptions {
                qos: QoS::ExactlyOnce,
                no_local: false,
                retain_as_published: true,
                retain_handling: RetainHandling::DoNotSend,
            },
        },
        Subscription {
            filter: filter("b"),
            options: SubscriptionOptions {
                no_local: true,
                retain_handling: RetainHandling::SendIfNew,
                ..SubscriptionOptions::new(QoS::AtMostOnce)
            },
        },
    ]
    .leak();
    let filters: &'static [_] = vec![filter("a/+"), filter("$share/g/a")].leak();
    let properties = Properties::new(&[Property::UserProperty("k", "v")]);
    let subscribe =
        Subscribe { packet_identifier: id(1), properties: Properties::EMPTY, filters: Subscriptions::new(one) };
    let unsubscribe =
        Unsubscribe { packet_identifier: id(2), properties: Properties::EMPTY, filters: TopicFilters::new(filters) };
    let suback =
        Suback { packet_identifier: id(1), properties: Properties::EMPTY, reason_codes: ReasonCodes::new(&[1, 0x80]) };
    let unsuback =
        Unsuback { packet_identifier: id(2), properties: Properties::EMPTY, reason_codes: ReasonCodes::new(&[]) };
    let mut add = |name, versions, senders, packet, wire, ends_at| {
        samples.push(Sample { name, versions, senders, packet, wire, ends_at });
    };
    add("SUBSCRIBE 3", V3, CLIENT, Packet::Subscribe(subscribe), packet(0x82, b"\0\x01\0\x03a/+\x01"), vec![]);
    add("SUBSCRIBE 5", V5, CLIENT, Packet::Subscribe(subscribe), packet(0x82, b"\0\x01\0\0\x03a/+\x01"), vec![]);
    add(
        "SUBSCRIBE 5 with options",
        V5,
        CLIENT,
        Packet::Subscribe(Subscribe {
            properties: Properties::new(&[Property::SubscriptionIdentifier(268_435_455)]),
            filters: Subscriptions::new(two),
            ..subscribe
        }),
        packet(0x82, b"\0\x01\x05\x0b\xff\xff\xff\x7f\0\x01#\x00\0\x0a$share/g/a\x2a\0\x01b\x14"),
        vec![12, 25],
    );
    add("SUBACK 3", V3, SERVER, Packet::Suback(suback), packet(0x90, b"\0\x01\x01\x80"), vec![3]);
    add(
        "SUBACK 5",
        V5,
        SERVER,
        Packet::Suback(Suback {
            properties: Properties::new(&[Property::ReasonString("r")]),
            reason_codes: ReasonCodes::new(&[2, 0x97]),
            ..suback
        }),
        packet(0x90, b"\0\x01\x04\x1f\0\x01r\x02\x97"),
        vec![8],
    );
    add(
        "UNSUBSCRIBE 3",
        V3,
        CLIENT,
        Packet::Unsubscribe(unsubscribe),
        packet(0xa2, b"\0\x02\0\x03a/+\0\x0a$share/g/a"),
        vec![7],
    );
    add(
        "UNSUBSCRIBE 5",
        V5,
        CLIENT,
        Packet::Unsubscribe(Unsubscribe { properties, ..unsubscribe }),
        packet(0xa2, b"\0\x02\x07\x26\0\x01k\0\x01v\0\x03a/+\0\x0a$share/g/a"),
        vec![15],
    );
    add("UNSUBACK 3", V3, SERVER, Packet::Unsuback(unsuback), packet(0xb0, b"\0\x02"), vec![]);
    add(
        "UNSUBACK 5",
        V5,
        SERVER,
        Packet::Unsuback(Unsuback { properties, reason_codes: ReasonCodes::new(&[0, 0x11]), ..unsuback }),
        packet(0xb0, b"\0\x02\x07\x26\0\x01k\0\x01v\0\x11"),
        vec![11],
    );
}

fn rest(samples: &mut Vec<Sample>) {
    let mut add = |name, versions, senders, packet, wire, ends_at| {
        samples.push(Sample { name, versions, senders, packet, wire, ends_at });
    };
    let normal = Disconnect { reason_code: ReasonCode::NORMAL_DISCONNECTION, properties: Properties::EMPTY };
    add("PINGREQ", ALL, CLIENT, Packet::Pingreq, packet(0xc0, b""), vec![]);
    add("PINGRESP", ALL, SERVER, Packet::Pingresp, packet(0xd0, b""), vec![]);
    add("DISCONNECT", ALL, CLIENT, Packet::Disconnect(normal), packet(0xe0, b""), vec![]);
    add("DISCONNECT 5 from the Server", V5, SERVER, Packet::Disconnect(normal), packet(0xe0, b""), vec![]);
    add(
        "DISCONNECT 5 with the Will",
        V5,
        CLIENT,
        Packet::Disconnect(Disconnect { reason_code: ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, ..normal }),
        packet(0xe0, b"\x04\0"),
        vec![0, 1],
    );
    add(
        "DISCONNECT 5 with properties",
        V5,
        CLIENT,
        Packet::Disconnect(Disconnect { properties: Properties::new(&[Property::SessionExpiryInterval(1)]), ..normal }),
        packet(0xe0, b"\0\x05\x11\0\0\0\x01"),
        vec![0, 1],
    );
    add(
        "DISCONNECT 5 to another Server",
        V5,
        SERVER,
        Packet::Disconnect(Disconnect {
            reason_code: ReasonCode::SERVER_MOVED,
            properties: Properties::new(&[Property::ServerReference("s")]),
        }),
        packet(0xe0, b"\x9d\x04\x1c\0\x01s"),
        vec![0, 1],
    );
    let method = &[Property::AuthenticationMethod("m"), Property::AuthenticationData(b"")];
    let step = Auth { reason_code: ReasonCode::CONTINUE_AUTHENTICATION, properties: Properties::new(method) };
    let step_wire = packet(0xf0, b"\x18\x07\x15\0\x01m\x16\0\0");
    add("AUTH from the Client", V5, CLIENT, Packet::Auth(step), step_wire.clone(), vec![]);
    add("AUTH from the Server", V5, SERVER, Packet::Auth(step), step_wire, vec![0]);
    add(
        "AUTH again",
        V5,
        CLIENT,
        Packet::Auth(Auth { reason_code: ReasonCode::RE_AUTHENTICATE, ..step }),
        packet(0xf0, b"\x19\x07\x15\0\x01m\x16\0\0"),
        vec![],
    );
    add(
        "AUTH, success",
        V5,
        SERVER,
        Packet::Auth(Auth { reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY }),
        packet(0xf0, b""),
        vec![],
    );
}
