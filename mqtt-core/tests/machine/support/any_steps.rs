//! What must hold whatever a broker sends and an application asks for: the fuzzer calls this, and so does a test.

use std::collections::BTreeSet;

use mqtt_core::{
    Acknowledge, Acknowledgement, ArrayAliases, ArrayStorage, ArraySubscriptions, Body, ConnectOptions,
    ConnectionError, DeliveryNumber, Event, Framing, Input, Instant, Machine, Packet, PacketIdentifier, Payload,
    Property, ProtocolVersion, PublishRequest, QoS, ReasonCode, ReceiveError, Record, RecordTicket, Sender,
    SubscribeRequest, Subscription, TopicAliasUse, TopicFilter, TopicName, Transmit, TransmitPayload,
    UnsubscribeRequest, UsageError,
};

const OUTGOING: u16 = 4;
const INCOMING: u16 = 3;
/// Larger packets come in parts.
const BUFFER: usize = 96;
/// Enhanced authentication, where it is configured.
const METHOD: &[Property<'static>] = &[Property::AuthenticationMethod("m")];

type Small = ArrayStorage<{ OUTGOING as usize }, { INCOMING as usize }, 160>;
type AnyMachine = Machine<Small, ArrayAliases<2, 2, 16>, ArraySubscriptions<3, 16>>;

/// Takes a configuration and steps from the bytes. At the end a broker that keeps to the standard takes over: every command
/// has its outcome then.
pub(crate) fn steps(bytes: &[u8]) {
    let mut bytes = Cursor(bytes);
    let mut world = World::new(bytes.byte());
    while !bytes.0.is_empty() {
        world.step(&mut bytes);
        world.check();
    }
    world.settle();
}

/// What is left of the input; behind its end there are zeros.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> u8 {
        let [byte] = self.take(1) else { return 0 };
        *byte
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct World {
    machine: AnyMachine,
    options: ConnectOptions<'static>,
    now: Instant,
    framing: Framing,
    /// What arrived and was not framed yet.
    arrived: Vec<u8>,
    /// Identifiers of commands without an outcome.
    open: BTreeSet<u16>,
    /// PUBLISHes of this connection without a final answer.
    in_flight: BTreeSet<u16>,
    tokens: Vec<Acknowledgement>,
    log: Vec<(RecordTicket, Vec<u8>)>,
    durable: usize,
    /// What ended the connection; it stays.
    failure: Option<ConnectionError>,
    /// A message arrives in parts; nobody takes its rest.
    in_parts: bool,
    passed_over: bool,
    /// Sources of payloads cannot be read.
    sources_fail: bool,
}

impl World {
    fn new(configuration: u8) -> Self {
        let is_set = |bit: u8| configuration & 1 << bit != 0;
        let version = if is_set(0) { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 };
        let acknowledge = if is_set(1) { Acknowledge::ByApplication } else { Acknowledge::AtOnce };
        let options = ConnectOptions::new("c").version(version).acknowledge(acknowledge);
        let options = options.keep_session(!is_set(0)).keep_alive(30).streaming(is_set(2));
        let options = if is_set(0) && is_set(4) { options.properties(METHOD) } else { options };
        let mut machine = Machine::with(Small::new(), ArrayAliases::new(), ArraySubscriptions::new());
        machine.session.set_durable(is_set(3));
        let mut world = Self {
            machine,
            options,
            now: Instant::from_millis(1_000),
            framing: Framing::new(version),
            arrived: Vec::new(),
            open: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            tokens: Vec::new(),
            log: Vec::new(),
            durable: 0,
            failure: None,
            in_parts: false,
            passed_over: false,
            sources_fail: false,
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        let mut out = [0; 128];
        let len = self.machine.connect(self.now, &self.options, &mut out).expect("CONNECT can be written");
        self.transmitted(&out[..len]);
        self.framing = Framing::new(self.options.version);
        self.arrived.clear();
        self.in_flight.clear();
        self.failure = None;
        (self.in_parts, self.passed_over) = (false, false);
        self.books();
    }

    fn step(&mut self, bytes: &mut Cursor<'_>) {
        let step = bytes.byte();
        match step % 16 {
            0 | 1 => self.publish(step / 16, bytes.byte()),
            2 => self.request(bytes.byte()),
            3 | 4 => drop(self.transmit()),
            // The broker says anything at all,
            5 => {
                let len = usize::from(bytes.byte() % 64);
                let arrived = bytes.take(len);
                self.receive(arrived);
            }
            // or a packet of which most is right,
            6 => self.receive(&[0x20, 2, bytes.byte() & 1, 0][..]),
            7 => self.accept(step / 16, bytes.byte()),
            8 | 9 => self.answer(step / 16, 1 + bytes.byte() % 6),
            10 | 11 => {
                // PUBLISH to `t`, with or without topic, identifier and properties, of any length.
                let flags = bytes.byte();
                let mut body = if flags & 32 != 0 { vec![0, 0] } else { vec![0, 1, b't'] };
                if flags & 6 != 0 {
                    body.extend([0, 1 + step / 16 % 5]);
                }
                if self.options.version.is_v5() {
                    let properties: &[u8] = if flags & 16 != 0 { &[3, 0x23, 0, 1] } else { &[0] };
                    body.extend(properties);
                }
                body.extend(vec![b'p'; usize::from(bytes.byte() % 100)]);
                let len = u8::try_from(body.len()).expect("short");
                self.receive(&[&[0x30 | flags & 0x0F, len][..], &body].concat());
            }
            12 => self.pass(u64::from(bytes.byte()) * 250),
            13 => self.application(step / 16, bytes.byte()),
            14 => self.store(step / 16, bytes.byte()),
            _ => {
                self.machine.transport_lost();
                self.connect();
            }
        }
        self.books();
    }

    /// CONNACK of 5.0, with limits.
    fn accept(&mut self, which: u8, number: u8) {
        let mut properties = vec![0x21, 0, 1 + number % 4];
        let limits: [&[u8]; 3] = [&[0x22, 0, 2], &[0x27, 0, 0, 0, 60], &[0x24, 1]];
        for (bit, limit) in [2, 4, 8].into_iter().zip(limits) {
            if which & bit != 0 {
                properties.extend(limit);
            }
        }
        if !self.options.properties.is_empty() {
            properties.extend([0x15, 0, 1, b'm']);
        }
        let len = u8::try_from(properties.len()).expect("short");
        self.receive(&[&[0x20, len + 3, which & 1, 0, len][..], &properties].concat());
    }

    /// The broker answers something, whether it was asked or not.
    fn answer(&mut self, which: u8, id: u8) {
        let v5 = self.options.version.is_v5();
        let code = [0, 0x80][usize::from(which / 8 % 2)];
        match which % 8 {
            2 if v5 => self.receive(&[0x90, 4, 0, id, 0, code]),
            2 => self.receive(&[0x90, 3, 0, id, code]),
            3 if v5 => self.receive(&[0xB0, 4, 0, id, 0, code]),
            3 => self.receive(&[0xB0, 2, 0, id]),
            other => self.receive(&[[0x40, 0x50, 0, 0, 0x40, 0x50, 0x62, 0x70][usize::from(other)], 2, 0, id]),
        }
    }

    fn publish(&mut self, kind: u8, length: u8) {
        let topic = TopicName::new(["t", "a/b", "t"][usize::from(kind % 3)]).expect("a topic");
        let mut request = PublishRequest::new(topic).qos(QoS::from_u8(kind % 3).expect("a QoS"));
        if kind / 3 % 2 == 1 {
            request = request.topic_alias(TopicAliasUse::Automatic);
        }
        if kind / 6 % 2 == 1 {
            request = request.message_expiry_interval(1);
        }
        let from_source = kind >= 12;
        let payload = payload(length % 48);
        if kind % 3 == 0 {
            let mut out = [0; 128];
            let source = Payload::Source { length: length.into() };
            let given = if from_source { source } else { Payload::Bytes(&payload) };
            if let Ok(transmit) = self.machine.publish_at_most_once(&request, given, &mut out) {
                let behind = match transmit.payload {
                    TransmitPayload::Given if from_source => self::payload(length),
                    TransmitPayload::Given => payload,
                    _ => Vec::new(),
                };
                self.transmitted(&[&out[..transmit.head_len], &behind].concat());
            }
        } else {
            let source = Body::Source { length: length.into(), key: length.into() };
            let body = if from_source { source } else { Body::Stored(&payload[..]) };
            let accepted = self.machine.publish(self.now, &request, body);
            self.begun(accepted);
        }
    }

    fn request(&mut self, kind: u8) {
        let filter = TopicFilter::new(["t", "a/+", "#", "b/c"][usize::from(kind / 2 % 4)]).expect("a filter");
        let accepted = if kind % 2 == 0 {
            let filters = [Subscription::new(filter, QoS::from_u8(kind / 8 % 3).expect("a QoS"))];
            self.machine.subscribe(&SubscribeRequest::new(&filters))
        } else {
            self.machine.unsubscribe(&UnsubscribeRequest::new(&[filter]))
        };
        self.begun(accepted);
    }

    fn begun(&mut self, accepted: Result<PacketIdentifier, UsageError>) {
        if let Ok(id) = accepted {
            assert!(self.open.insert(id.number()), "#{id} is in use");
        }
    }

    /// One packet leaves; whatever was received, it can be read.
    fn transmit(&mut self) -> Option<Vec<u8>> {
        let mut out = [0; 512];
        let Transmit { head_len, payload: behind, .. } =
            self.machine.poll_transmit(self.now, &mut out).expect("room")?;
        let behind = match behind {
            TransmitPayload::Source { packet_identifier, .. } if self.sources_fail => {
                self.machine.source_failed(Some(packet_identifier));
                self.failure = self.machine.connection.failure();
                return None;
            }
            TransmitPayload::Source { key, length, .. } => {
                assert_eq!(key, length);
                payload(u8::try_from(length).expect("as it was given"))
            }
            other => {
                assert_eq!(other, TransmitPayload::None, "it fits");
                Vec::new()
            }
        };
        let packet = [&out[..head_len], &behind].concat();
        self.transmitted(&packet);
        Some(packet)
    }

    fn transmitted(&mut self, packet: &[u8]) {
        self.machine.transmitted(self.now, packet.len());
        let decoded = Packet::decode(self.options.version, Sender::Client, packet).expect("it can be read");
        if let Packet::Publish(publish) = decoded {
            if let Some(id) = publish.delivery.packet_identifier() {
                assert!(self.in_flight.insert(id.number()), "#{id} is sent twice on one connection");
                assert!(self.open.contains(&id.number()), "#{id} belongs to no command");
                let maximum = self.machine.limits().receive_maximum;
                assert!(self.in_flight.len() <= usize::from(maximum), "more than the Receive Maximum");
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.arrived.extend(bytes);
        self.machine.bytes_received(self.now);
        // An input for which there is no room stays, as the rest behind it.
        for _ in 0..64 {
            let before = self.framing;
            let (input, len) = match self.framing.next(&self.arrived, BUFFER) {
                Ok(Some(found)) => found,
                Ok(None) => return,
                Err(error) => {
                    self.machine.connection.fail_framing(error);
                    return;
                }
            };
            let _ = self.machine.has_room_for(&input);
            if let (true, Input::PublishPayload { last, .. }) = (self.passed_over, input) {
                (self.in_parts, self.passed_over) = (!last, !last);
                self.arrived.drain(..len);
                continue;
            }
            match take(&mut self.machine, self.now, input) {
                Ok(Taken { ended, token, record, in_parts }) => {
                    self.in_parts = in_parts.unwrap_or(self.in_parts);
                    if let Some(id) = ended {
                        self.in_flight.remove(&id);
                        assert!(self.open.remove(&id), "a second outcome of #{id}");
                    }
                    self.tokens.extend(token);
                    self.log.extend(record);
                }
                Err(ReceiveError::NotReady) => {
                    self.framing = before;
                    return;
                }
                Err(ReceiveError::Connection(_)) => return,
            }
            self.arrived.drain(..len);
            self.books();
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus_millis(milliseconds);
        let _ = self.machine.handle_timeout(self.now);
    }

    fn application(&mut self, kind: u8, which: u8) {
        let mut out = [0; 128];
        match kind {
            0 | 1 | 4 if !self.tokens.is_empty() => {
                let token = self.tokens.remove(usize::from(which) % self.tokens.len());
                let reason = if kind % 4 == 0 { ReasonCode::SUCCESS } else { ReasonCode::QUOTA_EXCEEDED };
                let _ = self.machine.session.awaits(token);
                let _ = self.machine.acknowledge(token, reason);
            }
            2 => drop(PacketIdentifier::new(which.into()).map(|id| self.machine.cancel(id))),
            5 => drop(self.machine.confirm(DeliveryNumber(which.into()))),
            6 => self.machine.set_reading(self.now, which % 2 == 0),
            7 => drop(self.machine.expire(self.now)),
            8 => {
                let written = self.machine.disconnect(ReasonCode::NORMAL_DISCONNECTION, &[], &mut out);
                // Before CONNACK 3.1.1 has none.
                if let Some(len) = written.ok().filter(|len| *len > 0) {
                    self.transmitted(&out[..len]);
                }
            }
            9 => {
                let written = match which % 2 {
                    0 => self.machine.authenticate(METHOD, &mut out),
                    _ => self.machine.reauthenticate(METHOD, &mut out),
                };
                if let Ok(len) = written {
                    self.transmitted(&out[..len]);
                }
            }
            10 => drop(PacketIdentifier::new(which.into()).map(|id| self.machine.forget_source(id))),
            11 if self.in_parts => {
                self.machine.pass_over_rest();
                self.passed_over = true;
            }
            12 => self.machine.source_waits(self.now),
            13 => self.sources_fail = which % 2 == 0,
            _ => drop(self.machine.ping()),
        }
    }

    /// Records become durable, or fail, or the program dies with those that are.
    fn store(&mut self, kind: u8, which: u8) {
        match kind % 4 {
            0 | 1 => self.make_durable(usize::from(which % 8)),
            2 => {
                if let Some((ticket, _)) = self.log.get(self.durable) {
                    let _ = self.machine.record_failed(*ticket);
                    self.log.remove(self.durable);
                }
            }
            _ if self.machine.session.is_durable() => self.crash(),
            _ => {}
        }
    }

    fn make_durable(&mut self, records: usize) {
        self.durable = (self.durable + records).min(self.log.len());
        if let Some((ticket, _)) = self.durable.checked_sub(1).and_then(|last| self.log.get(last)) {
            self.machine.records_durable(ticket.number());
        }
    }

    fn crash(&mut self) {
        self.log.truncate(self.durable);
        let mut machine = Machine::with(Small::new(), ArrayAliases::new(), ArraySubscriptions::new());
        self.open.clear();
        for (_, bytes) in &self.log {
            let record = Record::decode(bytes).expect("a record");
            // An exchange of before may have its place still.
            let restored = machine.restore(self.now, &record).is_ok();
            if let Record::Published { packet_identifier, .. } = record {
                self.open.extend(restored.then_some(packet_identifier.number()));
            } else if let Record::Completed { packet_identifier } = record {
                self.open.remove(&packet_identifier.number());
            }
        }
        machine.session.set_durable(true);
        self.machine = machine;
        self.tokens.clear();
        // Numbers begin again; what is there already is not looked at again.
        self.log.clear();
        self.durable = 0;
        self.connect();
    }

    /// Takes what the last call made.
    fn books(&mut self) {
        for _ in 0..64 {
            while let Some((ticket, record)) = self.machine.poll_record(self.now) {
                let mut bytes = vec![0; record.encoded_len().expect("it can be written")];
                assert_eq!(record.encode(&mut bytes), Ok(bytes.len()));
                assert_eq!(Record::decode(&bytes), Ok(record));
                self.log.push((ticket, bytes));
            }
            let Some(outcome) = self.machine.poll_outcome() else { return };
            let id = outcome.packet_identifier.number();
            self.in_flight.remove(&id);
            assert!(self.open.remove(&id), "a second outcome of #{id}");
        }
    }

    fn check(&mut self) {
        assert!(self.machine.session.outgoing_len() <= OUTGOING && self.machine.session.incoming_len() <= INCOMING);
        let failure = self.machine.connection.failure();
        assert!(self.failure.is_none() || self.failure == failure, "the first error stays");
        self.failure = failure;
        if self.machine.is_closed() {
            assert_eq!(self.machine.poll_timeout(), None, "nothing to wait for");
        }
    }

    /// A new connection, to a broker that has lost the session and does as it should.
    fn settle(mut self) {
        self.machine.transport_lost();
        self.sources_fail = false;
        self.connect();
        self.machine.set_reading(self.now, true);
        let accepted: &[u8] = match self.options {
            options if !options.version.is_v5() => &[0x20, 2, 0, 0],
            options if options.properties.is_empty() => &[0x20, 3, 0, 0, 0],
            _ => &[0x20, 7, 0, 0, 4, 0x15, 0, 1, b'm'],
        };
        self.receive(accepted);
        for _ in 0..64 {
            self.books();
            self.make_durable(usize::MAX / 2);
            let Some(packet) = self.transmit() else { continue };
            let answer = answer(self.options.version, &packet);
            self.receive(&answer);
        }
        self.books();
        assert_eq!(self.machine.connection.failure(), None);
        assert!(self.open.is_empty(), "without an outcome: {:?}", self.open);
        assert!(self.machine.session.is_idle());
    }
}

/// What became of an input, without the borrow.
#[derive(Default)]
struct Taken {
    ended: Option<u16>,
    token: Option<Acknowledgement>,
    record: Option<(RecordTicket, Vec<u8>)>,
    /// A message in parts goes on, or has ended.
    in_parts: Option<bool>,
}

/// What a source gives.
fn payload(length: u8) -> Vec<u8> {
    vec![b'x'; length.into()]
}

fn take(machine: &mut AnyMachine, now: Instant, input: Input<'_>) -> Result<Taken, ReceiveError> {
    let mut taken = Taken::default();
    match machine.receive(now, input)? {
        Some(Event::Message(message)) => {
            taken.token = message.acknowledgement;
            taken.record = message.record().map(|(ticket, record)| {
                let mut bytes = vec![0; record.encoded_len().expect("it can be written")];
                assert_eq!(record.encode(&mut bytes), Ok(bytes.len()));
                (ticket, bytes)
            });
        }
        Some(Event::MessageBegins { .. } | Event::Skipped { .. }) => taken.in_parts = Some(true),
        Some(Event::MessageEnds { acknowledgement, .. }) => {
            (taken.token, taken.in_parts) = (acknowledgement, Some(false));
        }
        Some(
            Event::Published { packet_identifier, .. }
            | Event::Subscribed { packet_identifier, .. }
            | Event::Unsubscribed { packet_identifier, .. },
        ) => taken.ended = Some(packet_identifier.number()),
        _ => {}
    }
    Ok(taken)
}

/// What a broker answers.
fn answer(version: ProtocolVersion, packet: &[u8]) -> Vec<u8> {
    let [high, low] = match Packet::decode(version, Sender::Client, packet).expect("it was read before") {
        Packet::Publish(publish) => publish.delivery.packet_identifier().map_or(0, PacketIdentifier::number),
        Packet::Ack(ack) => ack.packet_identifier.number(),
        Packet::Subscribe(subscribe) => subscribe.packet_identifier.number(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.packet_identifier.number(),
        _ => 0,
    }
    .to_be_bytes();
    let v5 = version.is_v5();
    match packet[0] {
        0x32..=0x33 | 0x3A..=0x3B => vec![0x40, 2, high, low],
        0x34..=0x35 | 0x3C..=0x3D => vec![0x50, 2, high, low],
        0x62 => vec![0x70, 2, high, low],
        0x82 if v5 => vec![0x90, 4, high, low, 0, 0],
        0x82 => vec![0x90, 3, high, low, 0],
        0xA2 if v5 => vec![0xB0, 4, high, low, 0, 0],
        0xA2 => vec![0xB0, 2, high, low],
        0xC0 => vec![0xD0, 0],
        _ => Vec::new(),
    }
}
