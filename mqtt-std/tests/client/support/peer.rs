//! A broker that does what the test says, and nothing by itself.

use std::io::ErrorKind;

use bytes::{Buf, BytesMut};
use mqtt_core::{
    Ack, AckKind, Connack, Delivery, Framing, Input, Packet, PacketIdentifier, Properties, ProtocolVersion, Publish,
    QoS, ReasonCode, ReasonCodes, Sender, Suback, TopicName, Unsuback,
};
use mqtt_std::{Client, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens.
pub(crate) struct Peer {
    listener: TcpListener,
    version: ProtocolVersion,
}

/// One connection of a client.
pub(crate) struct Link {
    stream: TcpStream,
    version: ProtocolVersion,
    framing: Framing,
    buffer: BytesMut,
}

impl Peer {
    pub(crate) async fn new(version: ProtocolVersion) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), version)
    }

    pub(crate) const fn on(listener: TcpListener, version: ProtocolVersion) -> Self {
        Self { listener, version }
    }

    pub(crate) fn options(&self) -> Options {
        let port = self.listener.local_addr().unwrap().port();
        let backoff = mqtt_std::Backoff::new().minimum(1).maximum(20);
        Options::new("127.0.0.1", port).client_identifier("client").version(self.version).backoff(backoff)
    }

    /// A connection that has said nothing.
    pub(crate) async fn accept(&self) -> Link {
        let (stream, _) = self.listener.accept().await.unwrap();
        let _ = stream.set_nodelay(true);
        let (version, buffer) = (self.version, BytesMut::new());
        Link { stream, version, framing: Framing::new(version), buffer }
    }

    /// A connection that has sent CONNECT, and gets this answer.
    pub(crate) async fn welcome(&self, session_present: bool) -> Link {
        let mut link = self.accept().await;
        let connect = link.receive().await;
        assert!(connect.starts_with("CONNECT"), "{connect}");
        link.connack(session_present, ReasonCode::SUCCESS).await;
        link
    }

    /// A client with these options, and its connection.
    pub(crate) async fn connect(&self, options: Options) -> (Client, Link) {
        let (client, link) = tokio::join!(Client::connect(options), self.welcome(false));
        (client.unwrap(), link)
    }
}

impl Link {
    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        let bytes = self.encode(packet);
        self.send_bytes(&bytes).await;
    }

    pub(crate) fn encode(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = vec![0; packet.encoded_len(self.version, Sender::Server).unwrap()];
        packet.encode(self.version, Sender::Server, &mut bytes).unwrap();
        bytes
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn connack(&mut self, session_present: bool, reason_code: ReasonCode) {
        self.send(&connack(session_present, reason_code)).await;
    }

    /// A message for the client; with QoS 0 the number is not used.
    pub(crate) async fn publish(&mut self, topic: &str, qos: QoS, number: u16, payload: &str) {
        self.send(&message(topic, qos, number, false, payload)).await;
    }

    pub(crate) async fn publish_again(&mut self, topic: &str, qos: QoS, number: u16, payload: &str) {
        self.send(&message(topic, qos, number, true, payload)).await;
    }

    pub(crate) async fn ack(&mut self, kind: AckKind, number: u16, reason_code: ReasonCode) {
        self.send(&ack(kind, number, reason_code)).await;
    }

    pub(crate) async fn suback(&mut self, number: u16, codes: &[u8]) {
        let (packet_identifier, properties) = (id(number), Properties::EMPTY);
        let reason_codes = ReasonCodes::new(codes);
        self.send(&Packet::Suback(Suback { packet_identifier, properties, reason_codes })).await;
    }

    pub(crate) async fn unsuback(&mut self, number: u16, codes: &[u8]) {
        let (packet_identifier, properties) = (id(number), Properties::EMPTY);
        let reason_codes = ReasonCodes::new(if self.version.is_v5() { codes } else { &[] });
        self.send(&Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes })).await;
    }

    /// Takes a SUBSCRIBE, grants it, and returns its number.
    pub(crate) async fn grant(&mut self, filters: &str) -> u16 {
        let line = self.receive().await;
        assert!(line.starts_with("SUBSCRIBE") && line.ends_with(filters), "{line}");
        let number = number(&line);
        let codes = vec![2; filters.matches(" q").count()];
        self.suback(number, &codes).await;
        number
    }

    /// The next packet as a line, or "closed", or "reset".
    pub(crate) async fn receive(&mut self) -> String {
        loop {
            if let Some(line) = self.whole_packet() {
                return line;
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return "closed".to_owned(),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return "reset".to_owned(),
                result => drop(result.unwrap()),
            }
        }
    }

    fn whole_packet(&mut self) -> Option<String> {
        let (input, consumed) = self.framing.next(&self.buffer, usize::MAX).unwrap()?;
        let Input::Packet(packet) = input else { panic!("a packet in parts") };
        let line = describe(self.version, packet);
        self.buffer.advance(consumed);
        Some(line)
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) -> impl Future<Output = ()> {
        let caller = core::panic::Location::caller();
        async move { assert_eq!(self.receive().await, line, "at {caller}") }
    }

    /// Nothing has come.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => panic!("closed"),
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert_eq!(self.whole_packet(), None);
        assert!(self.buffer.is_empty());
    }

    /// Reads some bytes, and does not look at them.
    pub(crate) async fn read_some(&mut self) {
        let _ = self.stream.read(&mut [0; 4096]).await.unwrap();
    }

    /// So many bytes, and not one more.
    pub(crate) async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// All bytes to the end.
    pub(crate) async fn read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Closes such that the client finds its connection reset.
    #[allow(deprecated)] // it waits for nothing with a linger of 0
    pub(crate) fn reset(self) {
        self.stream.set_linger(Some(core::time::Duration::ZERO)).unwrap();
    }
}

pub(crate) const fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

pub(crate) const fn connack(session_present: bool, reason_code: ReasonCode) -> Packet<'static> {
    Packet::Connack(Connack { session_present, reason_code, properties: Properties::EMPTY })
}

pub(crate) const fn ack(kind: AckKind, number: u16, reason_code: ReasonCode) -> Packet<'static> {
    Packet::Ack(Ack { kind, packet_identifier: id(number), reason_code, properties: Properties::EMPTY })
}

pub(crate) fn message<'a>(topic: &'a str, qos: QoS, number: u16, dup: bool, payload: &'a str) -> Packet<'a> {
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier: id(number), dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier: id(number), dup },
    };
    let (topic, payload) = (Some(TopicName::new(topic).unwrap()), payload.as_bytes());
    Packet::Publish(Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload })
}

/// The number in a line: that of `PUBLISH q1 #7 t "x"` is 7.
pub(crate) fn number(line: &str) -> u16 {
    let word = line.split(' ').find_map(|word| word.strip_prefix('#'));
    word.unwrap_or_else(|| panic!("no number in {line}")).parse().unwrap()
}

/// A packet of the client as a line: its name, then what is not as usual.
///
/// ```text
/// CONNECT 4 client clean     SUBSCRIBE #1 a/+ q1, b q2     UNSUBSCRIBE #2 a/+, b
/// PUBLISH q1 #7 dup t "x"    PUBACK #7                     DISCONNECT 00
/// ```
fn describe(version: ProtocolVersion, bytes: &[u8]) -> String {
    let version = if bytes[0] == 0x10 { bytes_version(bytes).unwrap_or(version) } else { version };
    let packet = Packet::decode(version, Sender::Client, bytes).unwrap();
    let mut line = packet.packet_type().to_string();
    match packet {
        Packet::Connect(connect) => {
            line += &format!(" {} {}", connect.version.level(), connect.client_identifier);
            line += if connect.clean_start { " clean" } else { "" };
        }
        Packet::Publish(publish) => {
            line += &format!(" q{}", publish.delivery.qos() as u8);
            if let Some(identifier) = publish.delivery.packet_identifier() {
                line += &format!(" #{identifier}");
            }
            line += if publish.delivery.dup() { " dup" } else { "" };
            line += if publish.retain { " retain" } else { "" };
            let topic = publish.topic.map_or("", |topic| topic.as_str());
            line += &format!(" {topic} {:?}", String::from_utf8_lossy(publish.payload));
            if !publish.properties.is_empty() {
                line += &format!(" {:?}", publish.properties);
            }
        }
        Packet::Ack(ack) => {
            line += &format!(" #{}", ack.packet_identifier);
            if ack.reason_code != ReasonCode::SUCCESS {
                line += &format!(" {:02x}", ack.reason_code.as_u8());
            }
        }
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter();
            let filters = filters.map(|entry| format!("{} q{}", entry.filter.as_str(), entry.options.qos as u8));
            line += &format!(" #{} {}", subscribe.packet_identifier, filters.collect::<Vec<_>>().join(", "));
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.filters.iter().map(|filter| filter.as_str().to_owned());
            line += &format!(" #{} {}", unsubscribe.packet_identifier, filters.collect::<Vec<_>>().join(", "));
        }
        Packet::Disconnect(disconnect) => {
            line += &format!(" {:02x}", disconnect.reason_code.as_u8());
            if !disconnect.properties.is_empty() {
                line += &format!(" {:?}", disconnect.properties);
            }
        }
        _ => {}
    }
    line
}

/// The version that a CONNECT asks for, which need not be the peer's: it stands behind the Protocol Name.
fn bytes_version(connect: &[u8]) -> Option<ProtocolVersion> {
    let at = connect.windows(4).position(|window| window == b"MQTT")? + 4;
    match connect.get(at)? {
        5 => Some(ProtocolVersion::V5_0),
        4 => Some(ProtocolVersion::V3_1_1),
        _ => None,
    }
}
