//! The broker's side: what a test lets it send.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Delivery, Disconnect, Packet, Properties, Property, Publish, QoS, ReasonCode,
    ReasonCodes, Sender, Storage, Suback, Unsuback,
};

use super::pair::{Pair, id, topic};

impl<S: Storage> Pair<S> {
    /// The bytes of a packet from the broker.
    pub(crate) fn encode(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut out = vec![0; 70_000];
        let len = packet.encode(self.version, Sender::Server, &mut out).unwrap();
        out.truncate(len);
        out
    }

    /// The broker sends a packet; these events come of it.
    pub(crate) fn send(&mut self, packet: &Packet<'_>) -> Vec<String> {
        let bytes = self.encode(packet);
        self.deliver(&bytes)
    }

    pub(crate) fn connack(&mut self, session_present: bool, properties: &[Property<'_>]) -> Vec<String> {
        let properties = Properties::new(properties);
        self.send(&Packet::Connack(Connack { session_present, reason_code: ReasonCode::SUCCESS, properties }))
    }

    pub(crate) fn refuse(&mut self, reason_code: ReasonCode) -> Vec<String> {
        self.send(&Packet::Connack(Connack { session_present: false, reason_code, properties: Properties::EMPTY }))
    }

    pub(crate) fn ack(&mut self, kind: AckKind, number: u16, code: u8) -> Vec<String> {
        let reason_code = ReasonCode::from_u8(code);
        let ack = Ack { kind, packet_identifier: id(number), reason_code, properties: Properties::EMPTY };
        self.send(&Packet::Ack(ack))
    }

    pub(crate) fn puback(&mut self, number: u16) -> Vec<String> {
        self.ack(AckKind::Puback, number, 0)
    }

    pub(crate) fn pubrec(&mut self, number: u16) -> Vec<String> {
        self.ack(AckKind::Pubrec, number, 0)
    }

    pub(crate) fn pubrel(&mut self, number: u16) -> Vec<String> {
        self.ack(AckKind::Pubrel, number, 0)
    }

    pub(crate) fn pubcomp(&mut self, number: u16) -> Vec<String> {
        self.ack(AckKind::Pubcomp, number, 0)
    }

    pub(crate) fn suback(&mut self, number: u16, codes: &[u8]) -> Vec<String> {
        let reason_codes = ReasonCodes::new(codes);
        self.send(&Packet::Suback(Suback {
            packet_identifier: id(number),
            properties: Properties::EMPTY,
            reason_codes,
        }))
    }

    /// 3.1.1 has no codes.
    pub(crate) fn unsuback(&mut self, number: u16, codes: &[u8]) -> Vec<String> {
        let reason_codes = ReasonCodes::new(if self.version.is_v5() { codes } else { &[] });
        let properties = Properties::EMPTY;
        self.send(&Packet::Unsuback(Unsuback { packet_identifier: id(number), properties, reason_codes }))
    }

    pub(crate) fn pingresp(&mut self) -> Vec<String> {
        self.send(&Packet::Pingresp)
    }

    pub(crate) fn disconnect_in(&mut self, reason_code: ReasonCode) -> Vec<String> {
        self.send(&Packet::Disconnect(Disconnect { reason_code, properties: Properties::EMPTY }))
    }

    pub(crate) fn auth_in(&mut self, code: u8, properties: &[Property<'_>]) -> Vec<String> {
        let reason_code = ReasonCode::from_u8(code);
        self.send(&Packet::Auth(Auth { reason_code, properties: Properties::new(properties) }))
    }

    /// A message to topic `t`; `qos` 0 has no identifier.
    pub(crate) fn message(&mut self, qos: u8, number: u16, payload: &str) -> Vec<String> {
        let bytes = self.message_bytes(qos, number, false, payload.as_bytes());
        self.deliver(&bytes)
    }

    /// The same with DUP.
    pub(crate) fn message_again(&mut self, qos: u8, number: u16, payload: &str) -> Vec<String> {
        let bytes = self.message_bytes(qos, number, true, payload.as_bytes());
        self.deliver(&bytes)
    }

    pub(crate) fn message_bytes(&self, qos: u8, number: u16, dup: bool, payload: &[u8]) -> Vec<u8> {
        self.encode(&Packet::Publish(Publish {
            topic: Some(topic("t")),
            delivery: delivery(qos, number, dup),
            retain: false,
            properties: Properties::EMPTY,
            payload,
        }))
    }

    /// A message at QoS 0 whose topic is said, or stands under an alias, or both.
    pub(crate) fn message_to(&mut self, name: Option<&str>, properties: &[Property<'_>]) -> Vec<String> {
        self.send(&Packet::Publish(Publish {
            topic: name.map(topic),
            delivery: Delivery::AtMostOnce,
            retain: false,
            properties: Properties::new(properties),
            payload: b"x",
        }))
    }
}

pub(crate) fn delivery(qos: u8, number: u16, dup: bool) -> Delivery {
    match QoS::from_u8(qos).unwrap() {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier: id(number), dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier: id(number), dup },
    }
}
