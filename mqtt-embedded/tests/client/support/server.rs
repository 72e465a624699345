//! The Server's side of a link: packets of the core in and out.

use embedded_io_async::{Read, Write};
use mqtt_embedded::ProtocolVersion;
use mqtt_embedded::mqtt_core::{
    Ack, AckKind, Connack, Delivery, Framing, Input, Packet, PacketIdentifier, Properties, Property, Publish,
    ReasonCode, ReasonCodes, Sender, Suback, TopicName, Unsuback,
};

use super::{Wire, WireEnd};

/// One connection, as the Server sees it.
pub(crate) struct Server {
    pub(crate) wire: WireEnd,
    pub(crate) version: ProtocolVersion,
    input: Vec<u8>,
}

/// What a Server says by itself.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Acknowledge,
}

impl Server {
    /// Takes the next connection and its CONNECT.
    pub(crate) async fn connecting(wire: &Wire, version: ProtocolVersion) -> Self {
        let mut server = Self { wire: wire.accept().await, version, input: Vec::new() };
        let connect = server.receive(|packet| matches!(packet, Packet::Connect(_))).await;
        assert!(connect, "a connection begins with CONNECT");
        server
    }

    /// Takes the next connection and its CONNECT, and accepts it.
    pub(crate) async fn accept(wire: &Wire, version: ProtocolVersion, session_present: bool) -> Self {
        let mut server = Self::connecting(wire, version).await;
        let connack = Connack { session_present, reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY };
        server.send(&Packet::Connack(connack)).await;
        server
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = vec![0; packet.encoded_len(self.version, Sender::Server).unwrap()];
        packet.encode(self.version, Sender::Server, &mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.wire.write(&bytes[sent..]).await {
                Ok(len) => sent += len,
                Err(_) => return, // the client has gone
            }
        }
    }

    /// The next packet, handed to `look`. Panics when the client has gone.
    pub(crate) async fn receive<T>(&mut self, look: impl FnOnce(Packet<'_>) -> T) -> T {
        self.poll(look).await.expect("the client is there")
    }

    /// The next packet; `None`: the client has gone.
    pub(crate) async fn poll<T>(&mut self, look: impl FnOnce(Packet<'_>) -> T) -> Option<T> {
        let mut framing = Framing::new(self.version);
        loop {
            if let Some((Input::Packet(packet), len)) = framing.next(&self.input, usize::MAX).unwrap() {
                let packet = packet.to_vec();
                self.input.drain(..len);
                return Some(look(Packet::decode(self.version, Sender::Client, &packet).unwrap()));
            }
            let mut buffer = [0; 512];
            match self.wire.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.input.extend(&buffer[..len]),
            }
        }
    }

    /// The client subscribes, and is granted what it asks for.
    pub(crate) async fn subscribed(&mut self) {
        self.serve_until(|packet| matches!(packet, Packet::Subscribe(_))).await;
    }

    pub(crate) async fn grant(&mut self, packet_identifier: PacketIdentifier, codes: &[u8]) {
        let (properties, reason_codes) = (Properties::EMPTY, ReasonCodes::new(codes));
        self.send(&Packet::Suback(Suback { packet_identifier, properties, reason_codes })).await;
    }

    /// Answers what a Server answers, up to a packet.
    pub(crate) async fn serve_until(&mut self, mut last: impl FnMut(&Packet<'_>) -> bool) {
        let mut over = false;
        while !over {
            let mut look = |packet: &Packet<'_>| {
                over = last(packet);
                Answer::Acknowledge
            };
            assert!(self.step(&mut look).await, "the client has gone");
        }
    }

    pub(crate) async fn acknowledge(&mut self, kind: AckKind, packet_identifier: PacketIdentifier) {
        let reason_code = ReasonCode::SUCCESS;
        self.send(&Packet::Ack(Ack { kind, packet_identifier, reason_code, properties: Properties::EMPTY })).await;
    }

    /// Answers what a Server answers, and tells of each packet, until the client has gone.
    pub(crate) async fn serve(&mut self, mut seen: impl FnMut(&Packet<'_>) -> Answer) {
        while self.step(&mut seen).await {}
    }

    /// Answers everything up to a packet, and not that one.
    pub(crate) async fn serve_until_seen(&mut self, mut last: impl FnMut(&Packet<'_>) -> bool) {
        let mut over = false;
        while !over {
            let mut look = |packet: &Packet<'_>| {
                over = last(packet);
                if over { Answer::Nothing } else { Answer::Acknowledge }
            };
            assert!(self.step(&mut look).await, "the client has gone");
        }
    }

    /// One packet of [`serve`](Self::serve); `false`: the client has gone.
    pub(crate) async fn step_with(&mut self, seen: &mut impl FnMut(&Packet<'_>) -> Answer) -> bool {
        self.step(seen).await
    }

    pub(crate) async fn publish_at_least_once(&mut self, topic: &str, payload: &[u8], id: u16) {
        let packet_identifier = PacketIdentifier::new(id).unwrap();
        let delivery = Delivery::AtLeastOnce { packet_identifier, dup: false };
        let topic = Some(TopicName::new(topic).unwrap());
        let properties = Properties::EMPTY;
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, properties, payload })).await;
    }

    /// Publishes an answer, at QoS 1, with this Correlation Data.
    pub(crate) async fn answer(&mut self, topic: &str, data: Option<&[u8]>, payload: &[u8], id: u16) {
        let list: Vec<_> = data.into_iter().map(Property::CorrelationData).collect();
        let packet_identifier = PacketIdentifier::new(id).unwrap();
        let delivery = Delivery::AtLeastOnce { packet_identifier, dup: false };
        let (topic, properties) = (Some(TopicName::new(topic).unwrap()), Properties::new(&list));
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, properties, payload })).await;
    }

    async fn step(&mut self, seen: &mut impl FnMut(&Packet<'_>) -> Answer) -> bool {
        enum Reply {
            None,
            Ack(AckKind, PacketIdentifier),
            Suback(PacketIdentifier, Vec<u8>),
            Unsuback(PacketIdentifier, Vec<u8>),
            Pong,
        }
        let reply = self
            .poll(|packet| {
                if seen(&packet) == Answer::Nothing {
                    return Reply::None;
                }
                match packet {
                    Packet::Publish(Publish { delivery, .. }) => match delivery.packet_identifier() {
                        Some(id) if delivery.qos() == mqtt_embedded::QoS::AtLeastOnce => {
                            Reply::Ack(AckKind::Puback, id)
                        }
                        Some(id) => Reply::Ack(AckKind::Pubrec, id),
                        None => Reply::None,
                    },
                    Packet::Ack(Ack { kind: AckKind::Pubrel, packet_identifier, .. }) => {
                        Reply::Ack(AckKind::Pubcomp, packet_identifier)
                    }
                    Packet::Ack(Ack { kind: AckKind::Pubrec, packet_identifier, .. }) => {
                        Reply::Ack(AckKind::Pubrel, packet_identifier)
                    }
                    Packet::Subscribe(subscribe) => Reply::Suback(
                        subscribe.packet_identifier,
                        subscribe.filters.iter().map(|filter| filter.options.qos as u8).collect(),
                    ),
                    Packet::Unsubscribe(unsubscribe) => {
                        Reply::Unsuback(unsubscribe.packet_identifier, unsubscribe.filters.iter().map(|_| 0).collect())
                    }
                    Packet::Pingreq => Reply::Pong,
                    _ => Reply::None,
                }
            })
            .await;
        match reply {
            None => return false,
            Some(Reply::None) => {}
            Some(Reply::Ack(kind, id)) => self.acknowledge(kind, id).await,
            Some(Reply::Pong) => self.send(&Packet::Pingresp).await,
            Some(Reply::Suback(packet_identifier, codes)) => {
                self.grant(packet_identifier, &codes).await;
            }
            Some(Reply::Unsuback(packet_identifier, codes)) => {
                let v5 = self.version == ProtocolVersion::V5_0;
                let reason_codes = ReasonCodes::new(if v5 { &codes } else { &[] });
                let properties = Properties::EMPTY;
                self.send(&Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes })).await;
            }
        }
        true
    }
}
