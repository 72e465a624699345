//! The test kit's peer, for tests that want no errors and packets as lines.

use std::sync::{Arc, Mutex};

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Delivery, Disconnect, Packet, PacketIdentifier, Properties, Property, ProtocolVersion,
    Publish, QoS, ReasonCode, ReasonCodes, Suback, TopicName, Unsuback,
};
use mqtt_std::testkit::{self, Conversation, Received};
use mqtt_std::transport::Server;
use mqtt_std::{Client, Options};
use tokio::net::TcpListener;

/// Listens.
pub(crate) struct Peer(testkit::Peer);

/// One connection of a client.
pub(crate) struct Link {
    conversation: Conversation,
    version: ProtocolVersion,
}

impl Peer {
    pub(crate) async fn new(version: ProtocolVersion) -> Self {
        Self(testkit::Peer::listen(version).await.unwrap())
    }

    pub(crate) const fn on(listener: TcpListener, version: ProtocolVersion) -> Self {
        Self(testkit::Peer::on(listener, version))
    }

    pub(crate) fn options(&self) -> Options {
        self.nameless().client_identifier("client")
    }

    /// Without a Client Identifier of the test's.
    pub(crate) fn nameless(&self) -> Options {
        let port = self.0.address().unwrap().port();
        let backoff = mqtt_std::Backoff::new().minimum(1).maximum(20);
        Options::new("127.0.0.1", port).version(self.0.version()).backoff(backoff)
    }

    /// Where it is, as an address.
    pub(crate) fn server(&self) -> Server {
        format!("mqtt://127.0.0.1:{}", self.port()).parse().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.address().unwrap().port()
    }

    /// A connection that has said nothing.
    pub(crate) async fn accept(&self) -> Link {
        Link { conversation: self.0.accept().await.unwrap(), version: self.0.version() }
    }

    /// A connection that has sent CONNECT, and gets this answer.
    pub(crate) async fn welcome(&self, session_present: bool) -> Link {
        Link { conversation: self.0.welcome(session_present).await.unwrap(), version: self.0.version() }
    }

    /// A client with these options, and its connection.
    pub(crate) async fn connect(&self, options: Options) -> (Client, Link) {
        let (client, link) = tokio::join!(Client::connect(options), self.welcome(false));
        (client.unwrap(), link)
    }
}

impl Link {
    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        self.conversation.send(packet).await.unwrap();
    }

    /// CONNACK that refuses, and says more.
    pub(crate) async fn refuse(&mut self, reason_code: ReasonCode, properties: &[Property<'_>]) {
        let properties = Properties::new(properties);
        self.send(&Packet::Connack(Connack { session_present: false, reason_code, properties })).await;
    }

    /// CONNACK that accepts, and says more.
    pub(crate) async fn accept(&mut self, properties: &[Property<'_>]) {
        self.refuse(ReasonCode::SUCCESS, properties).await;
    }

    pub(crate) async fn disconnect(&mut self, reason_code: ReasonCode, properties: &[Property<'_>]) {
        let properties = Properties::new(properties);
        self.send(&Packet::Disconnect(Disconnect { reason_code, properties })).await;
    }

    pub(crate) async fn auth(&mut self, reason_code: ReasonCode, properties: &[Property<'_>]) {
        let properties = Properties::new(properties);
        self.send(&Packet::Auth(Auth { reason_code, properties })).await;
    }

    /// The next packet as it is.
    pub(crate) async fn packet(&mut self) -> Received {
        self.conversation.receive().await.unwrap().expect("a packet")
    }

    pub(crate) fn encode(&self, packet: &Packet<'_>) -> Vec<u8> {
        self.conversation.encode(packet).unwrap()
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.conversation.send_bytes(bytes).await.unwrap();
    }

    /// Sends what the connection takes now; tells how much that is.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) -> usize {
        self.conversation.send_some(bytes).unwrap()
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
        match self.conversation.receive().await {
            Ok(Some(received)) => received.to_string(),
            Ok(None) => "closed".to_owned(),
            Err(failure) if failure.got() == "reset" => "reset".to_owned(),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Answers everything as a broker does, and notes what came, on a task of its own, to the end of the connection.
    pub(crate) fn serve(mut self) -> Noted {
        let noted = Noted::default();
        let lines = noted.clone();
        tokio::spawn(async move {
            loop {
                let line = self.receive().await;
                let over = line == "closed" || line == "reset";
                self.answer(&line).await;
                lines.0.lock().unwrap().push(line);
                if over {
                    return;
                }
            }
        });
        noted
    }

    async fn answer(&mut self, line: &str) {
        let success = ReasonCode::SUCCESS;
        match line.split(' ').next().unwrap() {
            "PUBLISH" if line.starts_with("PUBLISH q1") => self.ack(AckKind::Puback, number(line), success).await,
            "PUBLISH" if line.starts_with("PUBLISH q2") => self.ack(AckKind::Pubrec, number(line), success).await,
            "PUBREL" => self.ack(AckKind::Pubcomp, number(line), success).await,
            "SUBSCRIBE" => self.suback(number(line), &vec![2; line.matches(" q").count()]).await,
            "UNSUBSCRIBE" => self.unsuback(number(line), &vec![0; line.matches(',').count() + 1]).await,
            "PINGREQ" => self.send(&Packet::Pingresp).await,
            _ => {}
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) -> impl Future<Output = ()> {
        let caller = core::panic::Location::caller();
        async move { assert_eq!(self.receive().await, line, "at {caller}") }
    }

    /// Nothing has come.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.conversation.expect_nothing().unwrap();
    }

    /// Reads some bytes, and does not look at them.
    pub(crate) async fn read_some(&mut self) {
        self.conversation.read_some().await.unwrap();
    }

    /// So many bytes, and not one more.
    pub(crate) async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        self.conversation.read_exact(count).await.unwrap()
    }

    /// Bytes that are here.
    pub(crate) fn read_available(&mut self) -> Vec<u8> {
        self.conversation.read_available().unwrap()
    }

    /// All bytes to the end.
    pub(crate) async fn read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        self.conversation.read_to_end().await
    }

    /// Closes such that the client finds it reset.
    pub(crate) fn reset(self) {
        self.conversation.reset();
    }
}

/// What a client has sent.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    /// How many lines have this in them.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }

    /// How many packets of this kind there are.
    pub(crate) fn packets(&self, kind: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.split(' ').next() == Some(kind)).count()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
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
