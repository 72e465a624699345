//! Random conversations, recorded and replayed: whatever is called, and whatever is left out, the rest is the same.

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

use super::format::{Header, Kind, Reader};
use super::*;
use crate::machine::Machine;

/// Stands in every text and payload that can be left out.
const SECRET: &str = "hush";

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
struct World {
    machine: Machine,
    tape: Tape,
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
    fn new(seed: u64, redact: Redact) -> Self {
        Self::with(seed, |tape| tape.redact(redact))
    }

    fn with(seed: u64, set: impl FnOnce(Tape) -> Tape) -> Self {
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
    fn play(mut self, steps: u32) -> Vec<u8> {
        for _ in 0..steps {
            self.step();
            while let Some((ticket, _)) = self.machine.poll_record(self.now()) {
                self.tickets.push(ticket);
            }
        }
        self.end()
    }

    fn end(mut self) -> Vec<u8> {
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

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn whatever_is_called_happens_again() {
    let mut kinds = [false; 256];
    for seed in 0..64 {
        let redact = if seed % 3 == 0 { Redact::ALL } else { Redact::from_u8((seed % 64) as u8).unwrap() };
        let tape = World::new(seed, redact).play(300);
        let replayed = replay(&tape).unwrap_or_else(|error| panic!("seed {seed}, {redact:?}: {error}"));
        assert!(replayed.is_complete() && replayed.states > 0, "seed {seed}: {replayed:?}");
        assert!(renew(&tape).as_ref() == Ok(&tape), "seed {seed}: with the answers of now it is the same");
        if redact == Redact::ALL {
            let found = tape.windows(SECRET.len()).position(|window| window == SECRET.as_bytes());
            let around =
                found.map(|at| tape[at.saturating_sub(40)..tape.len().min(at + 40)].escape_ascii().to_string());
            assert_eq!(around, None, "seed {seed}: what was left out is there");
        } else if redact == Redact::NOTHING {
            assert!(contains(&tape, b"hush-password"), "seed {seed}: nothing was left out");
        }
        let mut reader = Reader(&tape);
        Header::read(&mut reader).unwrap();
        while let Some(entry) = reader.entry() {
            kinds[usize::from(entry[0])] = true;
        }
    }
    let missing: Vec<_> = (0..=u8::MAX).filter(|kind| !kinds[usize::from(*kind)]).filter_map(Kind::from_u8).collect();
    assert!(missing.is_empty(), "not one of {missing:?}");
}

#[test]
fn what_is_left_out_is_not_there_and_the_rest_is() {
    let all =
        ["hush-password", "hush-data", "hushhush", "hush-alice", "hush/a", "hush-name", "hush-value", "hush, a reason"];
    // From the lowest bit: secrets, payloads, user names, topics, User Properties, Reason Strings.
    let gone: [&[&str]; 6] = [&all[..2], &all[2..3], &all[3..4], &all[4..5], &all[5..7], &all[7..]];
    for (bit, gone) in gone.into_iter().enumerate() {
        let redact = Redact::from_u8(1 << bit).unwrap();
        for seed in 0..2 {
            let tape = World::new(seed, redact).play(1_000);
            for text in all {
                assert_eq!(
                    contains(&tape, text.as_bytes()),
                    !gone.contains(&text),
                    "{text:?}, {redact:?}, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn an_answer_that_is_another_is_noticed() {
    let tape = World::new(7, Redact::NOTHING).play(120);
    let mut reader = Reader(&tape);
    Header::read(&mut reader).unwrap();
    while let Some(entry) = reader.entry() {
        // The last byte of an entry is one of its answer, or the length of an empty one.
        let last = tape.len() - reader.0.len() - 1;
        let mut other = tape.clone();
        other[last] ^= 1;
        match Kind::from_u8(entry[0]).unwrap() {
            Kind::Refused => {}
            Kind::End => assert_eq!(replay(&other).unwrap().end, Some(Stop::Limit)),
            kind => assert!(matches!(replay(&other), Err(ReplayError::Different(_))), "{kind:?} {entry:02x?}"),
        }
    }
}

#[test]
fn a_tape_gets_the_answers_of_now() {
    let tape = World::new(7, Redact::ALL).play(100);
    let mut reader = Reader(&tape);
    Header::read(&mut reader).unwrap();
    let mut other = tape.clone();
    while let Some(entry) = reader.entry() {
        if Kind::from_u8(entry[0]).is_some_and(|kind| !matches!(kind, Kind::Refused | Kind::End)) {
            other[tape.len() - reader.0.len() - 1] ^= 1;
        }
    }
    assert!(replay(&other).is_err());
    // The length of an answer that was empty is one now, so entries have other lengths; all of that is made anew.
    assert_eq!(renew(&other), Ok(tape));
}

#[test]
fn what_is_refused_leaves_its_trace() {
    let world = World::new(1, Redact::ALL);
    let (tape, film) = (world.tape.clone(), world.film.clone());
    let mut machine = world.machine;
    let (now, long) = (Instant::from_millis(1), "x".repeat(70_000));
    let mut out = [0; 300];
    let options = ConnectOptions::new("client");
    machine.connect(now, &options, &mut out).unwrap();
    // CONNACK with a Topic Alias Maximum of 2.
    machine.receive(now, Input::Packet(&[0x20, 6, 0, 0, 3, 0x22, 0, 2])).unwrap();
    let bad = [UserProperty(&long, "")];
    for (topic, properties) in [("a", &[][..]), ("b", &[]), ("a", &bad), ("c", &[]), ("a", &[]), ("b", &[])] {
        // The third is refused, but makes `b` the alias that was not used for the longest time, whose place `c` takes.
        let request = PublishRequest::new(TopicName::new(topic).unwrap()).properties(properties);
        let written =
            machine.publish_at_most_once(&request.topic_alias(TopicAliasUse::Automatic), Payload::Bytes(b""), &mut out);
        assert_eq!(written.is_err(), !properties.is_empty());
    }
    // A connection that is begun anew, but is not.
    assert!(machine.connect(now, &options.user_name(&long), &mut out).is_err());
    machine.end_notes();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(tape.ended());
    let bytes = film.0.lock().unwrap().clone();
    let replayed = replay(&bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.refused, replayed.is_complete()), (2, true));
    assert_eq!(renew(&bytes).as_ref(), Ok(&bytes));
}

#[test]
fn any_bytes_are_an_error_or_a_tape() {
    let tape = World::new(3, Redact::SECRETS).play(200);
    let mut random = 1_u64;
    for len in (0..tape.len()).step_by(61) {
        // Cut off: what is whole happens again.
        match replay(&tape[..len]) {
            Ok(replayed) => assert_eq!(replayed.end, None),
            Err(error) => assert_eq!(error, ReplayError::Format, "{len}"),
        }
    }
    for _ in 0..300 {
        let mut other = tape.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (random >> 33) as usize % other.len();
            other[place] = (random >> 24) as u8;
        }
        let _ = replay_and_show(&other, &mut |line| drop(line.to_string()));
    }
    let mut longer = tape.clone();
    longer.push(0);
    assert!(matches!(replay(&longer), Err(ReplayError::Damaged { .. })), "something behind the end");
}

#[test]
fn at_its_limit_a_tape_ends_with_a_mark() {
    let whole = World::new(5, Redact::SECRETS).play(200).len() as u64;
    for limit in [0, 10, 60, 100, whole / 2, whole - 1, whole, whole + 1] {
        let world = World::with(5, |tape| tape.limit(limit));
        let tape = world.tape.clone();
        let bytes = world.play(200);
        let status = tape.status();
        assert!(bytes.len() as u64 <= limit.max(64), "{} of {limit}", bytes.len());
        assert_eq!(status.bytes, bytes.len() as u64);
        let stopped = limit < whole;
        assert_eq!(
            status.progress,
            if stopped { Progress::Stopped(Stop::Limit) } else { Progress::Complete },
            "{limit}"
        );
        let replayed = replay(&bytes).unwrap();
        assert_eq!(replayed.end, Some(if stopped { Stop::Limit } else { Stop::ClientEnded }));
        assert_eq!(replayed.is_complete(), !stopped);
    }
}
