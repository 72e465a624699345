//! A client that is called with anything at all, and a server that says anything at all.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mqtt_core::Property::{
    AuthenticationData, AuthenticationMethod, CorrelationData, ReasonString, ResponseTopic, TopicAlias, UserProperty,
};
use mqtt_core::{
    Ack, AckKind, Acknowledge, Acknowledgement, Auth, Body, Connack, ConnectOptions, DecodeError, Delivery, Disconnect,
    EncodeError, Event, Input, Instant, Packet, PacketIdentifier, Payload, Properties, Property, ProtocolVersion,
    Publish, PublishRequest, QoS, ReasonCode, ReasonCodes, Record, RecordTicket, Sender, Suback, SubscribeRequest,
    Subscription, TopicAliasUse, TopicFilter, TopicName, Unsuback, UnsubscribeRequest, Will,
};

use super::super::*;
use crate::machine::Machine;

/// Stands in every text and payload that can be left out.
pub(super) const SECRET: &str = "hush";

#[derive(Clone, Default)]
struct Film(Arc<Mutex<Vec<u8>>>);

impl Write for Film {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A machine with a tape, and a world that does anything at all.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) tape: Tape,
    film: Film,
    random: u64,
    version: ProtocolVersion,
    now: u64,
    tokens: Vec<Acknowledgement>,
    tickets: Vec<RecordTicket>,
}

fn options() -> Options {
    Options::new("nowhere", 1883).in_flight(6).storage(2_000).topic_alias_maximum(3)
}

impl World {
    pub(super) fn new(seed: u64, redact: Redact) -> Self {
        Self::with(seed, |tape| tape.redact(redact))
    }

    pub(super) fn with(seed: u64, set: impl FnOnce(Tape) -> Tape) -> Self {
        let film = Film::default();
        let tape = set(Tape::to_writer(film.clone()));
        Self {
            machine: Machine::of(&options().tape(&tape)),
            tape,
            film,
            random: seed.wrapping_mul(2).wrapping_add(1),
            version: ProtocolVersion::V5_0,
            now: 1_000,
            tokens: Vec::new(),
            tickets: Vec::new(),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn id(&mut self) -> PacketIdentifier {
        PacketIdentifier::new(1 + self.below(8) as u16).unwrap()
    }

    fn topic(&mut self) -> &'static str {
        ["hush", "hush/a", "hush/b", "hush/a/c", "hush/\u{e4}\u{20ac}\u{1f600}", "$SYS/hush"][self.below(6) as usize]
    }

    /// All that a conversation of so many steps leaves on the tape.
    pub(super) fn play(mut self, steps: u32) -> Vec<u8> {
        for _ in 0..steps {
            self.step();
            while let Some((ticket, _)) = self.machine.poll_record(self.now()) {
                self.tickets.push(ticket);
            }
        }
        self.end()
    }

    /// All that is on the tape.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.machine.end_notes();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.tape.ended());
        self.film.0.lock().unwrap().clone()
    }

    fn step(&mut self) {
        let now = self.now();
        let mut out = [0; 300];
        match self.below(32) {
            0 => self.connect(),
            1 => self.accept(),
            2..=8 => self.arrive(),
            9..=12 => drop(self.machine.poll_transmit(now, &mut out)),
            13..=15 => self.publish(),
            16 => self.subscribe(),
            17 => {
                let filters: Vec<_> = (0..self.below(3)).map(|_| TopicFilter::new(self.topic()).unwrap()).collect();
                let _ = self.machine.unsubscribe(&UnsubscribeRequest::new(&filters).properties(&[USER]));
            }
            18 | 19 => {
                if let Some(token) = self.tokens.pop() {
                    let reason = if self.below(4) == 0 { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
                    let _ = self.machine.acknowledge(token, reason);
                }
            }
            20 => {
                self.now += self.below(20_000);
                let _ = self.machine.handle_timeout(self.now());
                self.machine.expire(self.now());
            }
            21 => {
                let bytes = self.below(100) as usize;
                self.machine.transmitted(now, bytes);
                self.machine.bytes_received(now);
                self.machine.source_waits(now);
                let reading = self.below(2) == 0;
                self.machine.set_reading(now, reading);
            }
            22 => {
                let up_to = self.tickets.last().map_or(0, |ticket| ticket.number());
                if self.below(2) == 0 {
                    self.machine.records_durable(up_to);
                } else if let Some(ticket) = self.tickets.pop() {
                    let _ = self.machine.record_failed(ticket);
                }
            }
            23 => {
                let durable = self.below(3) > 0;
                self.machine.set_durable(durable);
            }
            24 => {
                let id = self.id();
                match self.below(3) {
                    0 => drop(self.machine.cancel(id)),
                    1 => self.machine.source_failed(Some(id)),
                    _ => self.machine.source_failed(None),
                }
            }
            25 => {
                self.machine.choose_identifier(3);
                self.machine.next_identifier();
                let filter = self.topic();
                self.machine.remove_subscription(TopicFilter::new(filter).unwrap());
            }
            26 => {
                let reason =
                    if self.below(2) == 0 { ReasonCode::DISCONNECT_WITH_WILL_MESSAGE } else { ReasonCode::SUCCESS };
                let _ = self.machine.disconnect(reason, &[USER, REASON], &mut out);
            }
            27 => {
                let properties = [METHOD, DATA];
                let _ = self.machine.authenticate(&properties, &mut out);
                let _ = self.machine.reauthenticate(&properties[..1], &mut out);
                let _ = self.machine.ping();
            }
            28 => {
                self.machine.fail_framing(DecodeError::InvalidFlags);
                self.machine.connection_died();
            }
            29 => self.machine.transport_lost(),
            30 => {
                let message = mqtt_core::RecordedMessage {
                    topic: TopicName::new(self.topic()).unwrap(),
                    retain: false,
                    properties: Properties::new(&[USER]),
                    payload: SECRET.as_bytes(),
                };
                let record = Record::Published {
                    packet_identifier: self.id(),
                    message,
                    exactly_once: true,
                    expires_in: None,
                    source: None,
                };
                let _ = self.machine.restore(now, &record);
            }
            _ => {
                self.machine.end_session();
                self.machine.expect_session_present();
            }
        }
        while self.machine.poll_outcome().is_some() {}
    }

    fn connect(&mut self) {
        self.version = [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1, ProtocolVersion::V3_1][self.below(3) as usize];
        let properties = [USER, METHOD, DATA];
        let will = Will {
            topic: TopicName::new("hush/will").unwrap(),
            payload: b"hush, I am gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: if self.version.is_v5() { Properties::new(&[USER]) } else { Properties::EMPTY },
        };
        let mut options = ConnectOptions::new("client").version(self.version).keep_alive(10).will(will);
        options = options.user_name("hush-alice").password(b"hush-password").acknowledge(Acknowledge::ByApplication);
        options.streaming = self.below(2) == 0;
        options.receive_maximum = Some(4);
        if self.version.is_v5() {
            options.properties = &properties;
        }
        let mut out = [0; 400];
        self.machine.connect(self.now(), &options, &mut out).unwrap();
        self.machine.set_identifiers_available(self.version.is_v5());
        self.accept();
    }

    fn accept(&mut self) {
        let properties = [Property::TopicAliasMaximum(2), REASON, METHOD, DATA];
        let properties = if self.version.is_v5() { &properties[..] } else { &[] };
        let session_present = self.below(2) == 0;
        self.packet(&Packet::Connack(Connack {
            session_present,
            reason_code: ReasonCode::SUCCESS,
            properties: Properties::new(properties),
        }));
    }

    fn publish(&mut self) {
        let list = [USER, ResponseTopic("hush/answers"), CorrelationData(b"hush")];
        let long = "hush".repeat(20_000);
        let too_long = [UserProperty(&long, "")];
        let mut request = PublishRequest::new(TopicName::new(self.topic()).unwrap());
        request.retain = self.below(2) == 0;
        request.topic_alias =
            [TopicAliasUse::None, TopicAliasUse::Automatic, TopicAliasUse::Number(2)][self.below(3) as usize];
        request.message_expiry_interval = (self.below(2) == 0).then_some(5);
        request.properties = match self.below(8) {
            0 if self.version.is_v5() => Properties::new(&list),
            1 => Properties::new(&too_long), // no packet can say that
            _ => Properties::EMPTY,
        };
        let payload = SECRET.repeat(self.below(40) as usize);
        let mut out = [0; 200];
        let qos = self.below(3) as u8;
        if qos == 0 {
            let payload =
                if self.below(5) == 0 { Payload::Source { length: 7 } } else { Payload::Bytes(payload.as_bytes()) };
            let _ = self.machine.publish_at_most_once(&request, payload, &mut out);
            return;
        }
        request.qos = QoS::from_u8(qos).unwrap();
        let source = Body::Source { length: 9, key: 1 };
        let body = if self.below(5) == 0 { source } else { Body::Stored(Bytes::from(payload)) };
        let _ = self.machine.publish(self.now(), &request, body);
    }

    fn subscribe(&mut self) {
        let qos = QoS::from_u8(self.below(3) as u8).unwrap();
        // Without a filter it is no packet.
        let filters: Vec<_> =
            (0..self.below(3)).map(|_| Subscription::new(TopicFilter::new(self.topic()).unwrap(), qos)).collect();
        let mut request = SubscribeRequest::new(&filters);
        if self.version.is_v5() {
            request.subscription_identifier = self.machine.next_identifier();
            request.properties = &[USER];
        }
        let _ = self.machine.subscribe(&request);
    }

    /// A packet of the server's, of which most is right; or something else.
    fn arrive(&mut self) {
        let v5 = self.version.is_v5();
        let packet_identifier = self.id();
        let reason_code = if v5 && self.below(5) == 0 { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
        let said = if v5 { &[REASON, USER][..] } else { &[] };
        let properties = Properties::new(said);
        let codes = [[0], [1], [0x80]][self.below(3) as usize];
        let kinds = [AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp];
        match self.below(10) {
            0..=3 => self.message(packet_identifier),
            4..=6 => {
                let kind = kinds[self.below(4) as usize];
                self.packet(&Packet::Ack(Ack {
                    kind,
                    packet_identifier,
                    reason_code: ReasonCode::SUCCESS,
                    properties,
                }));
            }
            7 => {
                let reason_codes = ReasonCodes::new(&codes);
                self.packet(&Packet::Suback(Suback { packet_identifier, reason_codes, properties }));
            }
            8 => {
                let reason_codes = ReasonCodes::new(if v5 { &[0] } else { &[] });
                self.packet(&Packet::Unsuback(Unsuback { packet_identifier, reason_codes, properties }));
            }
            _ if v5 && self.below(2) == 0 => {
                let reason_code = ReasonCode::CONTINUE_AUTHENTICATION;
                let said = [METHOD, DATA, REASON];
                self.packet(&Packet::Auth(Auth { reason_code, properties: Properties::new(&said) }));
            }
            _ if v5 => self.packet(&Packet::Disconnect(Disconnect { reason_code, properties })),
            _ => self.packet(&Packet::Pingresp),
        }
    }

    fn message(&mut self, packet_identifier: PacketIdentifier) {
        let topic = Some(TopicName::new(self.topic()).unwrap()).filter(|_| self.below(4) > 0);
        let list = [TopicAlias(1), USER, ResponseTopic("hush/answers"), CorrelationData(b"hush")];
        let from = usize::from(topic.is_some() && self.below(2) == 0);
        let list = if self.version.is_v5() { &list[from..] } else { &[] };
        let (payload, dup) = (SECRET.repeat(self.below(20) as usize), self.below(4) == 0);
        let delivery = match self.below(3) {
            0 => Delivery::AtMostOnce,
            1 => Delivery::AtLeastOnce { packet_identifier, dup },
            _ => Delivery::ExactlyOnce { packet_identifier, dup },
        };
        let properties = Properties::new(list);
        let publish = Publish { topic, delivery, retain: false, properties, payload: payload.as_bytes() };
        if self.below(3) > 0 || payload.is_empty() {
            return self.packet(&Packet::Publish(publish));
        }
        // In parts: the head says how long it is with the payload.
        let Some(bytes) = self.encoded(&Packet::Publish(publish)) else { return };
        let (head, payload) = bytes.split_at(bytes.len() - payload.len());
        self.give(Input::PublishHead { head, payload_len: payload.len() as u32 });
        let (first, last) = payload.split_at(payload.len() / 2);
        self.give(Input::PublishPayload { bytes: first, last: false });
        self.give(Input::PublishPayload { bytes: last, last: true });
    }

    /// `None`: it cannot be said in this version.
    fn encoded(&self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let len = packet.encoded_len(self.version, Sender::Server);
        assert!(matches!(len, Ok(_) | Err(EncodeError::TopicMissing)), "{len:?}: {packet:?}");
        let mut bytes = vec![0; len.ok()?];
        packet.encode(self.version, Sender::Server, &mut bytes).unwrap();
        Some(bytes)
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let Some(mut bytes) = self.encoded(packet) else { return };
        if self.below(8) == 0 {
            // One byte behind the Remaining Length is another one, or all from there on is missing.
            let from = 2 + usize::from(bytes.len() > 129);
            let place = from + self.below((bytes.len() - from).max(1) as u64) as usize;
            if let Some(byte) = bytes.get_mut(place) {
                *byte = self.below(256) as u8;
            }
        }
        self.give(Input::Packet(&bytes));
    }

    fn give(&mut self, input: Input<'_>) {
        let now = Instant::from_millis(self.now);
        match self.machine.receive(now, input) {
            Ok(Some(Event::Message(message))) => {
                self.tokens.extend(message.acknowledgement);
                self.tickets.extend(message.record_ticket);
            }
            Ok(Some(Event::MessageEnds { acknowledgement, record, .. })) => {
                self.tokens.extend(acknowledgement);
                self.tickets.extend(record);
            }
            _ => {}
        }
    }
}

const USER: Property<'_> = UserProperty("hush-name", "hush-value");
const REASON: Property<'_> = ReasonString("hush, a reason");
const METHOD: Property<'_> = AuthenticationMethod("METHOD");
const DATA: Property<'_> = AuthenticationData(b"hush-data");
