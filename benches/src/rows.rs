//! Which packets are measured together, and their bytes. Nothing here is random: two runs see the same bytes.

use bytes::Bytes;

use crate::codec::Codec;
use crate::packets::{Ack, AckKind, Connect, Delivery, Packet, Publish, PublishProperties, Suback, Subscribe, Will};
use crate::rivals::rumqttc;

pub struct Row {
    pub name: &'static str,
    pub packets: Vec<Packet>,
    /// The packets, one behind the other.
    pub wire: Vec<u8>,
}

impl Row {
    /// `C` writes the bytes; `agreement` shows that it does not matter which codec does.
    fn new<C: Codec>(name: &'static str, packets: Vec<Packet>) -> Self {
        let prepared: Vec<_> = packets.iter().map(C::prepare).collect();
        let mut output = C::output(0);
        C::encode(&prepared, &mut output);
        let wire = output.as_ref().to_vec();
        drop(prepared);
        Self { name, packets, wire }
    }
}

/// MQTT 5.0; the last one is `LARGE`.
pub fn v5() -> Vec<Row> {
    let row = Row::new::<rumqttc::V5>;
    vec![
        row("PUBLISH QoS 0 64 B", vec![telemetry(1)]),
        row("PUBLISH QoS 1 1 KiB 5 properties", vec![request(0x1234)]),
        row("CONNECT", vec![connect()]),
        row("PUBACK", vec![ack(AckKind::Puback, 0x1234)]),
        row("mixed 1000 packets", mixed()),
        row(LARGE, vec![publish(Delivery::AtMostOnce, "firmware/pump-7/image", None, 1 << 20)]),
    ]
}

/// MQTT 3.1.1: one row, since only the properties differ.
pub fn v3_1_1() -> Vec<Row> {
    vec![Row::new::<rumqttc::V3>("PUBLISH QoS 0 64 B, 3.1.1", vec![telemetry(1)])]
}

/// The row that stands beside a plain copy of its bytes.
pub const LARGE: &str = "PUBLISH QoS 0 1 MiB";

/// What a busy client of both directions sees: CONNECT once, then mostly QoS 0, with the acknowledgements of the rest.
fn mixed() -> Vec<Packet> {
    let mut packets = Vec::with_capacity(1000);
    for round in 0..40u16 {
        let identifier = |n: u16| 1 + round * 16 + n;
        packets.extend((0..10).map(|n| telemetry(round * 10 + n)));
        packets.extend([
            publish(Delivery::AtLeastOnce(identifier(0)), "site/4/line/2/alarm", None, 256),
            ack(AckKind::Puback, identifier(0)),
            publish(Delivery::AtLeastOnce(identifier(1)), "site/4/line/2/alarm", None, 256),
            ack(AckKind::Puback, identifier(1)),
            request(identifier(2)),
            ack(AckKind::Puback, identifier(2)),
            request(identifier(3)),
            ack(AckKind::Puback, identifier(3)),
            publish(Delivery::ExactlyOnce(identifier(4)), "site/4/line/2/batch/done", None, 128),
            ack(AckKind::Pubrec, identifier(4)),
            ack(AckKind::Pubrel, identifier(4)),
            ack(AckKind::Pubcomp, identifier(4)),
            subscribe(identifier(5)),
            Packet::Suback(Suback { packet_identifier: identifier(5), topic_filters: 3 }),
            Packet::Pingreq,
        ]);
    }
    packets[0] = connect();
    packets
}

fn telemetry(sensor: u16) -> Packet {
    publish(Delivery::AtMostOnce, &format!("site/4/line/2/sensor/{sensor}/temperature"), None, 64)
}

fn request(packet_identifier: u16) -> Packet {
    let properties = PublishProperties {
        payload_is_text: false,
        message_expiry_interval: 3_600,
        response_topic: "site/4/line/2/response/pump-7".into(),
        correlation_data: bytes(16),
        user_property: ("traceparent".into(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    };
    publish(Delivery::AtLeastOnce(packet_identifier), "site/4/line/2/request/pump-7", Some(properties), 1024)
}

fn publish(delivery: Delivery, topic: &str, properties: Option<PublishProperties>, len: usize) -> Packet {
    Packet::Publish(Publish { delivery, topic: topic.into(), properties, payload: bytes(len) })
}

fn ack(kind: AckKind, packet_identifier: u16) -> Packet {
    Packet::Ack(Ack { kind, packet_identifier })
}

fn subscribe(packet_identifier: u16) -> Packet {
    let topic_filters = ["site/4/line/2/command/#", "site/4/+/broadcast", "$share/workers/site/4/job/+"];
    Packet::Subscribe(Subscribe { packet_identifier, topic_filters: topic_filters.map(String::from).to_vec() })
}

fn connect() -> Packet {
    Packet::Connect(Connect {
        clean_start: true,
        keep_alive: 30,
        session_expiry_interval: 3_600,
        receive_maximum: 32,
        maximum_packet_size: 65_536,
        topic_alias_maximum: 16,
        user_property: ("model".into(), "pump mk 3".into()),
        client_identifier: "site-4-line-2-pump-7".into(),
        will: Will {
            delay_interval: 10,
            message_expiry_interval: 86_400,
            content_type: "application/json".into(),
            topic: "site/4/line/2/state/pump-7".into(),
            payload: Bytes::from_static(br#"{"state":"lost"}"#),
        },
        user_name: "pump-7".into(),
        password: "correct horse battery staple".into(),
    })
}

/// Bytes without a pattern that a copy or a check could profit from (a linear congruential generator, after Knuth).
fn bytes(len: usize) -> Bytes {
    let mut state: u64 = 7;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
