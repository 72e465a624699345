//! The machine, and the wire to its broker.

use std::collections::HashMap;

use mqtt_core::{
    Acknowledgement, ArrayAliases, ArrayStorage, ArraySubscriptions, Body, CommandOutcome, ConnectOptions, Event,
    Frames, Input, Instant, Machine, Packet, PacketIdentifier, Payload, ProtocolVersion, PublishRequest, QoS,
    ReceiveError, Record, RecordTicket, Sender, Session, Storage, SubscribeRequest, Subscription, TopicFilter,
    TopicName, TransmitPayload, UnsubscribeRequest, UsageError,
};

use super::lines::{event_line, outcome_line, packet_line};

pub(crate) type Small = ArrayStorage<16, 16, 4096>;
pub(crate) type Aliases = ArrayAliases<3, 2, 16>;
pub(crate) type Subscriptions = ArraySubscriptions<6, 32>;

/// A machine joined with a scripted broker by a wire that the test holds.
pub(crate) struct Pair<S = Small> {
    pub(crate) machine: Machine<S, Aliases, Subscriptions>,
    pub(crate) version: ProtocolVersion,
    pub(crate) now: Instant,
    frames: Frames<'static>,
    /// Bytes a read gives at most.
    pub(crate) split: usize,
    /// Bytes of the buffer that packets are written to.
    pub(crate) out: usize,
    /// The rights to acknowledge what was handed over.
    pub(crate) tokens: Vec<Acknowledgement>,
    /// Payloads that are read from outside, by their keys.
    pub(crate) sources: HashMap<u32, Vec<u8>>,
    /// What was made durable or is about to be: a record's number, its ticket, its bytes.
    pub(crate) log: Vec<(RecordTicket, Vec<u8>)>,
    /// Records of programs before this one.
    pub(crate) old_log: Vec<Vec<u8>>,
    /// Records are durable as soon as they are written.
    pub(crate) sync: bool,
    /// What left while the machine was made ready to receive.
    early: Vec<Vec<u8>>,
}

pub(crate) fn any_version() -> [ProtocolVersion; 2] {
    [ProtocolVersion::V3_1_1, ProtocolVersion::V5_0]
}

pub(crate) fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

pub(crate) fn topic(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

/// A session that outlives its connection, in either version.
pub(crate) fn options(version: ProtocolVersion) -> ConnectOptions<'static> {
    ConnectOptions::new("c").version(version).keep_session(!version.is_v5())
}

impl Pair {
    pub(crate) fn new(version: ProtocolVersion) -> Self {
        Self::with(version, Small::new())
    }

    /// CONNACK has said: no session present.
    pub(crate) fn connected(version: ProtocolVersion) -> Self {
        Self::connected_as(&options(version))
    }

    pub(crate) fn connected_as(options: &ConnectOptions<'_>) -> Self {
        let mut pair = Self::new(options.version);
        pair.connect(options);
        assert_eq!(pair.connack(false, &[]), ["Connected"]);
        pair
    }

    /// 5.0, and CONNACK has these properties.
    pub(crate) fn limited(properties: &[mqtt_core::Property<'_>]) -> Self {
        let mut pair = Self::new(ProtocolVersion::V5_0);
        pair.connect(&options(ProtocolVersion::V5_0));
        assert_eq!(pair.connack(false, properties), ["Connected"]);
        pair
    }

    /// The session has a store.
    pub(crate) fn durable(version: ProtocolVersion) -> Self {
        let mut pair = Self::new(version);
        pair.machine.session.set_durable(true);
        pair
    }
}

impl<S: Storage> Pair<S> {
    pub(crate) fn with(version: ProtocolVersion, storage: S) -> Self {
        Self {
            machine: Machine::with(storage, Aliases::new(), Subscriptions::new()),
            version,
            now: Instant::from_millis(1_000_000),
            frames: frames(version, 1024),
            split: usize::MAX,
            out: 2048,
            tokens: Vec::new(),
            sources: HashMap::new(),
            log: Vec::new(),
            old_log: Vec::new(),
            sync: true,
            early: Vec::new(),
        }
    }

    /// Packets above this size come in parts.
    pub(crate) fn receive_buffer(&mut self, bytes: usize) {
        self.frames = frames(self.version, bytes);
    }

    // The connection.

    /// A new connection begins, whatever became of the one before: what was on the wire is lost. Returns CONNECT.
    pub(crate) fn connect(&mut self, options: &ConnectOptions<'_>) -> String {
        self.try_connect(options).unwrap()
    }

    pub(crate) fn try_connect(&mut self, options: &ConnectOptions<'_>) -> Result<String, UsageError> {
        let mut out = vec![0; 1024];
        let len = self.machine.connect(self.now, options, &mut out)?;
        self.version = options.version;
        self.frames.reset(options.version);
        self.early.clear();
        self.machine.transmitted(self.now, len);
        out.truncate(len);
        Ok(self.line(&out))
    }

    /// The wire is cut, and a new connection resumes the session or does not.
    pub(crate) fn reconnect(&mut self, session_present: bool) -> Vec<String> {
        self.connect(&options(self.version));
        self.connack(session_present, &[])
    }

    /// Bytes arrive; these events come of them. An error is the last line.
    pub(crate) fn deliver(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for part in bytes.chunks(self.split) {
            let mut part = part;
            while !part.is_empty() {
                let space = self.frames.space();
                let len = part.len().min(space.len());
                space[..len].copy_from_slice(&part[..len]);
                part = &part[len..];
                self.frames.filled(len);
                self.machine.bytes_received(self.now);
                loop {
                    let input = match self.frames.next() {
                        Ok(Some(input)) => Held::from(input),
                        Ok(None) => break,
                        Err(error) => {
                            let error = self.machine.connection.fail_framing(error);
                            events.push(format!("error {error:?}"));
                            return events;
                        }
                    };
                    if let Err(error) = self.receive(&input, &mut events) {
                        events.push(format!("error {error:?}"));
                        return events;
                    }
                }
            }
        }
        events
    }

    /// Gives an input; what it waits for is done first.
    fn receive(&mut self, input: &Held, events: &mut Vec<String>) -> Result<(), mqtt_core::ConnectionError> {
        for _ in 0..100 {
            match self.machine.receive(self.now, input.as_input()) {
                Ok(event) => {
                    if let Some(event) = event {
                        events.push(event_line(&event));
                        let (token, record) = match &event {
                            Event::Message(message) => (message.acknowledgement, message.record()),
                            Event::MessageEnds { acknowledgement, .. } => (*acknowledgement, None),
                            _ => (None, None),
                        };
                        self.tokens.extend(token);
                        if let Some((ticket, record)) = record {
                            self.log.push((ticket, bytes_of(&record)));
                            if self.sync {
                                self.machine.records_durable(ticket.number());
                            }
                        }
                    }
                    self.write_records();
                    return Ok(());
                }
                Err(ReceiveError::NotReady) => {
                    self.write_records();
                    let Some(packet) = self.next_packet() else { panic!("not ready, and nothing to send: {input:?}") };
                    self.early.push(packet);
                }
                Err(ReceiveError::Connection(error)) => return Err(error),
            }
        }
        panic!("never ready");
    }

    /// Tells whether an input would have to wait.
    pub(crate) fn is_held_back(&self, packet: &[u8]) -> bool
    where
        S: Clone,
    {
        self.machine.clone().receive(self.now, Input::Packet(packet)) == Err(ReceiveError::NotReady)
    }

    fn line(&self, bytes: &[u8]) -> String {
        packet_line(&Packet::decode(self.version, Sender::Client, bytes).unwrap())
    }

    /// All that leaves now, packet by packet.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        self.sent_bytes().iter().map(|packet| self.line(packet)).collect()
    }

    pub(crate) fn sent_bytes(&mut self) -> Vec<Vec<u8>> {
        let mut packets = core::mem::take(&mut self.early);
        while let Some(packet) = self.next_packet() {
            packets.push(packet);
        }
        packets
    }

    /// What left while the machine was made ready to receive, and what was sent at QoS 0.
    pub(crate) fn early(&mut self) -> Vec<String> {
        core::mem::take(&mut self.early).iter().map(|packet| self.line(packet)).collect()
    }

    pub(crate) fn next_line(&mut self) -> Option<String> {
        self.next_packet().map(|packet| self.line(&packet))
    }

    /// One packet, sent at once.
    pub(crate) fn next_packet(&mut self) -> Option<Vec<u8>> {
        let packet = self.given_out()?;
        self.machine.transmitted(self.now, packet.len());
        Some(packet)
    }

    /// One packet that is not sent yet.
    pub(crate) fn given_out(&mut self) -> Option<Vec<u8>> {
        let mut out = vec![0; self.out];
        let transmit = self.machine.poll_transmit(self.now, &mut out).unwrap();
        self.write_records();
        let transmit = transmit?;
        out.truncate(transmit.head_len);
        match transmit.payload {
            TransmitPayload::None => {}
            TransmitPayload::Given => panic!("nobody gave a payload"),
            TransmitPayload::Stored(id) => out.extend_from_slice(self.machine.session.storage().payload(id)),
            TransmitPayload::Source { key, length, .. } => {
                let source = &self.sources[&key];
                assert_eq!(source.len(), length as usize);
                out.extend_from_slice(source);
            }
        }
        Some(out)
    }

    // Commands.

    pub(crate) fn publish(&mut self, qos: u8, payload: &str) -> Result<u16, UsageError> {
        let request = PublishRequest::new(topic("t")).qos(QoS::from_u8(qos).unwrap());
        self.publish_request(&request, payload.as_bytes())
    }

    pub(crate) fn publish_request(&mut self, request: &PublishRequest<'_>, payload: &[u8]) -> Result<u16, UsageError> {
        if request.qos == QoS::AtMostOnce {
            let mut out = vec![0; self.out];
            let transmit = self.machine.publish_at_most_once(request, Payload::Bytes(payload), &mut out)?;
            assert_eq!(transmit.payload, TransmitPayload::None);
            out.truncate(transmit.head_len);
            self.machine.transmitted(self.now, out.len());
            self.early.push(out);
            return Ok(0);
        }
        let id = self.machine.publish(self.now, request, Body::Stored(S::payload_from(payload)))?;
        self.write_records();
        Ok(id.number())
    }

    pub(crate) fn subscribe(&mut self, filters: &[(&str, u8)]) -> Result<u16, UsageError> {
        let filters: Vec<_> = filters
            .iter()
            .map(|(filter, qos)| Subscription::new(TopicFilter::new(filter).unwrap(), QoS::from_u8(*qos).unwrap()))
            .collect();
        Ok(self.machine.subscribe(&SubscribeRequest::new(&filters))?.number())
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Result<u16, UsageError> {
        let filters: Vec<_> = filters.iter().map(|filter| TopicFilter::new(filter).unwrap()).collect();
        Ok(self.machine.unsubscribe(&UnsubscribeRequest::new(&filters))?.number())
    }

    /// DISCONNECT, as it is sent.
    pub(crate) fn disconnect(
        &mut self,
        reason_code: mqtt_core::ReasonCode,
        properties: &[mqtt_core::Property<'_>],
    ) -> Result<String, UsageError> {
        let mut out = vec![0; 1024];
        let len = self.machine.disconnect(reason_code, properties, &mut out)?;
        Ok(if len == 0 { String::new() } else { self.line(&out[..len]) })
    }

    pub(crate) fn outcomes(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(outcome) = self.next_outcome() {
            lines.push(outcome_line(&outcome));
        }
        lines
    }

    pub(crate) fn next_outcome(&mut self) -> Option<CommandOutcome> {
        let outcome = self.machine.poll_outcome();
        self.write_records();
        outcome
    }

    // Time.

    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus_millis(milliseconds);
    }

    /// Jumps to the next deadline and lets the machine do what it demands; returns the milliseconds until then.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        let deadline = self.machine.poll_timeout()?;
        let waited = deadline.millis_since(self.now);
        self.now = deadline.max(self.now);
        let _ = self.machine.handle_timeout(self.now);
        Some(waited)
    }

    // Records.

    pub(crate) fn write_records(&mut self) {
        while let Some((ticket, record)) = self.machine.poll_record(self.now) {
            let bytes = bytes_of(&record);
            self.log.push((ticket, bytes));
            if self.sync {
                self.machine.records_durable(ticket.number());
            }
        }
    }

    /// The store has written this record and all before it.
    pub(crate) fn make_durable(&mut self, records: usize) {
        if let Some((ticket, _)) = self.log.get(records.wrapping_sub(1)) {
            self.machine.records_durable(ticket.number());
        }
    }

    /// The program dies, and a new one begins with the first records of the log.
    pub(crate) fn crash(&mut self, records: usize, storage: S) {
        self.log.truncate(records);
        self.machine = Machine::with(storage, Aliases::new(), Subscriptions::new());
        for bytes in self.old_log.iter().chain(self.log.iter().map(|(_, bytes)| bytes)) {
            let record = Record::decode(bytes).unwrap();
            self.machine.restore(self.now, &record).unwrap();
        }
        self.machine.session.set_durable(true);
        self.early.clear();
        self.tokens.clear();
    }

    /// What is in the log is that of a program before.
    pub(crate) fn begin_log_anew(&mut self) {
        self.old_log.extend(self.log.drain(..).map(|(_, bytes)| bytes));
    }

    pub(crate) fn session(&self) -> &Session<S> {
        &self.machine.session
    }
}

fn frames(version: ProtocolVersion, bytes: usize) -> Frames<'static> {
    Frames::new(Box::leak(vec![0; bytes].into_boxed_slice()), version)
}

fn bytes_of(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = vec![0; record.encoded_len().unwrap()];
    assert_eq!(record.encode(&mut bytes), Ok(bytes.len()));
    bytes
}

/// An input that can be given again.
#[derive(Debug)]
enum Held {
    Packet(Vec<u8>),
    Head(Vec<u8>, u32),
    Payload(Vec<u8>, bool),
}

impl From<Input<'_>> for Held {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Packet(bytes) => Self::Packet(bytes.into()),
            Input::PublishHead { head, payload_len } => Self::Head(head.into(), payload_len),
            Input::PublishPayload { bytes, last } => Self::Payload(bytes.into(), last),
        }
    }
}

impl Held {
    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Packet(bytes) => Input::Packet(bytes),
            Self::Head(head, payload_len) => Input::PublishHead { head, payload_len: *payload_len },
            Self::Payload(bytes, last) => Input::PublishPayload { bytes, last: *last },
        }
    }
}
