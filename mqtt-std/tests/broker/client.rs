//! A client of raw packets: it does what the test says, and nothing by itself.

use core::time::Duration;
use std::io::ErrorKind;

use bytes::{Buf, BytesMut};
use mqtt_core::{AckKind, Connect, Framing, Input, Packet, ProtocolVersion, Publish};
use mqtt_std::testkit::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::packets::{ack, connect, describe, encode, id, publish, subscribe, subscription};

pub(crate) struct Client {
    stream: TcpStream,
    version: ProtocolVersion,
    buffer: BytesMut,
    framing: Framing,
    last_identifier: u16,
}

impl Client {
    /// A connection without CONNECT.
    pub(crate) async fn open(broker: &Broker, version: ProtocolVersion) -> Self {
        Self {
            stream: TcpStream::connect(broker.address()).await.unwrap(),
            version,
            buffer: BytesMut::new(),
            framing: Framing::new(version),
            last_identifier: 0,
        }
    }

    /// A connection that has sent this, and the answer.
    pub(crate) async fn connect(broker: &Broker, connect: &Connect<'_>) -> (Self, String) {
        let mut client = Self::open(broker, connect.version).await;
        client.send(&Packet::Connect(*connect)).await;
        let answer = client.receive().await;
        (client, answer)
    }

    /// A connection that was accepted, without or with a session.
    pub(crate) async fn accepted(broker: &Broker, connect: &Connect<'_>) -> Self {
        let (client, answer) = Self::connect(broker, connect).await;
        assert!(answer.starts_with("CONNACK 00") && !answer.contains("present"), "{answer}");
        client
    }

    pub(crate) async fn resumed(broker: &Broker, connect: &Connect<'_>) -> Self {
        let (client, answer) = Self::connect(broker, connect).await;
        // MQTT 3.1 has no place for Session Present.
        assert!(answer.starts_with("CONNACK 00 present") || connect.version == ProtocolVersion::V3_1, "{answer}");
        client
    }

    /// The simplest client there is.
    pub(crate) async fn plain(broker: &Broker, version: ProtocolVersion, client_identifier: &str) -> Self {
        Self::accepted(broker, &connect(version, client_identifier)).await
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        self.send_bytes(&encode(self.version, packet)).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet as a line, or "closed".
    pub(crate) async fn receive(&mut self) -> String {
        timeout(Duration::from_secs(10), self.next()).await.expect("nothing comes")
    }

    async fn next(&mut self) -> String {
        loop {
            if let Some((Input::Packet(packet), consumed)) = self.framing.next(&self.buffer, usize::MAX).unwrap() {
                let line = describe(self.version, packet);
                self.buffer.advance(consumed);
                return line;
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return "closed".to_owned(),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return "closed".to_owned(),
                result => drop(result.unwrap()),
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) -> impl Future<Output = ()> {
        let caller = core::panic::Location::caller();
        async move { assert_eq!(self.receive().await, line, "at {caller}") }
    }

    /// Sends and expects.
    #[track_caller]
    pub(crate) fn exchange(&mut self, packet: &Packet<'_>, line: &str) -> impl Future<Output = ()> {
        let caller = core::panic::Location::caller();
        async move {
            self.send(packet).await;
            assert_eq!(self.receive().await, line, "at {caller}");
        }
    }

    /// Nothing has come but the answer to a PINGREQ, so nothing was sent before it.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) -> impl Future<Output = ()> {
        self.exchange(&Packet::Pingreq, "PINGRESP")
    }

    /// Subscribes; all is granted.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) {
        let list = [subscription(filter, qos)];
        self.exchange(&subscribe(&list, &[]), &format!("SUBACK #900 [{qos:02x}]")).await;
    }

    /// Publishes and waits until the broker has passed the message on; it may have had nobody to give it to.
    pub(crate) async fn publish(&mut self, topic: &str, qos: u8, payload: &str) {
        self.last_identifier += 1;
        self.publish_packet(publish(topic, qos, self.last_identifier, payload)).await;
    }

    pub(crate) async fn publish_packet(&mut self, publish: Publish<'_>) {
        self.send(&Packet::Publish(publish)).await;
        let number = publish.delivery.packet_identifier().unwrap_or(id(1)).number();
        let (name, with_pubrel) = match publish.delivery.qos() as u8 {
            0 => return self.expect_nothing().await,
            1 => ("PUBACK", false),
            _ => ("PUBREC", true),
        };
        let answer = self.receive().await;
        assert!([format!("{name} #{number}"), format!("{name} #{number} 10")].contains(&answer), "{answer}");
        if with_pubrel {
            self.exchange(&ack(AckKind::Pubrel, number), &format!("PUBCOMP #{number}")).await;
        }
    }

    /// Does with a PUBLISH, given as a line, what its QoS asks for; with QoS 2 up to the end of the exchange.
    pub(crate) async fn acknowledge(&mut self, line: &str) {
        let mut words = line.split(' ').skip(2);
        let (qos, identifier) = (words.next().unwrap(), words.next().unwrap());
        let identifier = || identifier.trim_start_matches('#').parse().unwrap();
        match qos {
            "q1" => self.send(&ack(AckKind::Puback, identifier())).await,
            "q2" => {
                let number = identifier();
                self.exchange(&ack(AckKind::Pubrec, number), &format!("PUBREL #{number}")).await;
                self.send(&ack(AckKind::Pubcomp, number)).await;
                // The broker has seen it.
                self.expect_nothing().await;
            }
            _ => {}
        }
    }
}
