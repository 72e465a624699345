//! Which records are still needed: the rule at the top of the core's `session::record`, stated for stores.

use std::collections::{BTreeMap, HashMap};

use mqtt_core::{DeliveryNumber, PacketIdentifier, Record};

/// What a store has to know of a record to tell when it may be forgotten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Note {
    SessionStarted,
    Published(PacketIdentifier),
    PubrecReceived(PacketIdentifier),
    Completed(PacketIdentifier),
    Received(DeliveryNumber, PacketIdentifier),
    Released(PacketIdentifier),
    Confirmed(DeliveryNumber),
    /// Of a later version: it is kept.
    Unknown,
}

impl Note {
    pub(super) fn of(record: &Record<'_>) -> Self {
        match *record {
            Record::SessionStarted { .. } => Self::SessionStarted,
            Record::Published { packet_identifier, .. } => Self::Published(packet_identifier),
            Record::PubrecReceived { packet_identifier } => Self::PubrecReceived(packet_identifier),
            Record::Completed { packet_identifier } => Self::Completed(packet_identifier),
            Record::Received { delivery, packet_identifier, .. } => Self::Received(delivery, packet_identifier),
            Record::Released { packet_identifier } => Self::Released(packet_identifier),
            Record::Confirmed { delivery } => Self::Confirmed(delivery),
            _ => Self::Unknown,
        }
    }

    /// Of an encoded record.
    pub(super) fn of_encoded(record: &[u8]) -> Self {
        Record::decode(record).map_or(Self::Unknown, |record| Self::of(&record))
    }

    /// It stands for something that was asked for, and can fail alone. The others tell what has happened.
    pub(super) const fn is_command(self) -> bool {
        matches!(self, Self::Published(_) | Self::Received(..))
    }
}

/// The records that are needed, in their order, each with its place `P` in the store.
#[derive(Debug)]
pub(super) struct Ledger<P> {
    live: BTreeMap<u64, (Kind, P)>,
    next: u64,
    outgoing: HashMap<PacketIdentifier, Outgoing>,
    received: HashMap<DeliveryNumber, Received>,
    /// The messages whose identifiers are not released.
    unreleased: HashMap<PacketIdentifier, DeliveryNumber>,
    /// The record with the highest delivery number is kept: numbers go on behind it.
    highest: DeliveryNumber,
    /// Kept for that number alone.
    marker: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    SessionStarted,
    Published,
    Other,
}

#[derive(Debug, Default)]
struct Outgoing {
    published: Option<u64>,
    pubrec: Option<u64>,
}

#[derive(Debug)]
struct Received {
    received: u64,
    released: Option<u64>,
    /// Its identifier is free, by its own record or because a session began.
    is_released: bool,
    confirmed: Option<u64>,
}

impl<P> Default for Ledger<P> {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            next: 0,
            outgoing: HashMap::new(),
            received: HashMap::new(),
            unreleased: HashMap::new(),
            highest: DeliveryNumber(0),
            marker: None,
        }
    }
}

impl<P> Ledger<P> {
    /// The records that are needed, oldest first.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &P)> {
        self.live.iter().map(|(number, (_, place))| (*number, place))
    }

    /// Their places, to be changed.
    pub(super) fn places_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.live.values_mut().map(|(_, place)| place)
    }

    /// Takes a record down at its place; `forget` is told of those that are no longer needed, perhaps this one.
    pub(super) fn note(&mut self, note: Note, place: P, forget: &mut impl FnMut(u64, P)) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let kind = match note {
            Note::SessionStarted => Kind::SessionStarted,
            Note::Published(_) => Kind::Published,
            _ => Kind::Other,
        };
        self.live.insert(number, (kind, place));
        match note {
            Note::SessionStarted => self.session_started(forget),
            Note::Published(id) => {
                self.completed(id, forget);
                self.outgoing.insert(id, Outgoing { published: Some(number), pubrec: None });
            }
            Note::PubrecReceived(id) => match self.outgoing.get_mut(&id) {
                Some(exchange) => {
                    let before = exchange.pubrec.replace(number);
                    self.drop_all([before], forget);
                }
                None => self.drop_all([Some(number)], forget),
            },
            Note::Completed(id) => {
                self.completed(id, forget);
                self.drop_all([Some(number)], forget);
            }
            Note::Received(delivery, id) => {
                let received = Received { received: number, released: None, is_released: false, confirmed: None };
                self.received.insert(delivery, received);
                // The one before with this identifier is not in its place any more.
                if let Some(before) = self.unreleased.insert(id, delivery) {
                    self.release(before, None, forget);
                }
                self.number_used(delivery, number, false, forget);
            }
            Note::Released(id) => match self.unreleased.remove(&id) {
                Some(delivery) => self.release(delivery, Some(number), forget),
                None => self.drop_all([Some(number)], forget),
            },
            Note::Confirmed(delivery) => {
                let unconfirmed = self.received.get_mut(&delivery).filter(|received| received.confirmed.is_none());
                if let Some(received) = unconfirmed {
                    received.confirmed = Some(number);
                    self.settle(delivery, forget);
                } else if !self.number_used(delivery, number, true, forget) {
                    self.drop_all([Some(number)], forget);
                }
            }
            Note::Unknown => {}
        }
        number
    }

    /// Forgets records about the beginning of sessions that say nothing more: to be called before what is needed is copied.
    pub(super) fn thin_out(&mut self, forget: &mut impl FnMut(u64, P)) {
        let mut dead = Vec::new();
        // Of some in a row the first tells what was sent before it, the last which session it is.
        let (mut row, mut published): (Vec<u64>, bool) = (Vec::new(), false);
        for (number, (kind, _)) in &self.live {
            if *kind == Kind::SessionStarted {
                row.push(*number);
                continue;
            }
            dead.extend(superfluous(&mut row, published));
            published |= *kind == Kind::Published;
        }
        dead.extend(superfluous(&mut row, published));
        self.drop_all(dead.into_iter().map(Some), forget);
    }

    /// The Server has a new session: identifiers of received messages mean nothing any more.
    fn session_started(&mut self, forget: &mut impl FnMut(u64, P)) {
        for delivery in core::mem::take(&mut self.unreleased).into_values() {
            self.release(delivery, None, forget);
        }
    }

    fn completed(&mut self, id: PacketIdentifier, forget: &mut impl FnMut(u64, P)) {
        if let Some(exchange) = self.outgoing.remove(&id) {
            self.drop_all([exchange.published, exchange.pubrec], forget);
        }
    }

    fn release(&mut self, delivery: DeliveryNumber, record: Option<u64>, forget: &mut impl FnMut(u64, P)) {
        if let Some(received) = self.received.get_mut(&delivery) {
            received.is_released = true;
            received.released = record;
        }
        self.settle(delivery, forget);
    }

    /// Forgets a received message that is released and confirmed.
    fn settle(&mut self, delivery: DeliveryNumber, forget: &mut impl FnMut(u64, P)) {
        let over = |received: &Received| received.is_released && received.confirmed.is_some();
        if !self.received.get(&delivery).is_some_and(over) {
            return;
        }
        let Some(received) = self.received.remove(&delivery) else { return };
        self.drop_all([Some(received.received), received.released], forget);
        match received.confirmed {
            Some(confirmed) if !self.number_used(delivery, confirmed, true, forget) => {
                self.drop_all([Some(confirmed)], forget);
            }
            _ => {}
        }
    }

    /// A record has this delivery number. Tells whether it is kept for that: it is if the number is the highest, and nothing
    /// else keeps it (`alone`).
    fn number_used(
        &mut self,
        delivery: DeliveryNumber,
        number: u64,
        alone: bool,
        forget: &mut impl FnMut(u64, P),
    ) -> bool {
        if delivery < self.highest {
            return false;
        }
        self.highest = delivery;
        let before = core::mem::replace(&mut self.marker, alone.then_some(number));
        self.drop_all([before], forget);
        alone
    }

    fn drop_all(&mut self, numbers: impl IntoIterator<Item = Option<u64>>, forget: &mut impl FnMut(u64, P)) {
        for number in numbers.into_iter().flatten() {
            if let Some((_, place)) = self.live.remove(&number) {
                forget(number, place);
            }
        }
    }
}

/// Of records in a row that sessions began, those that are not needed.
fn superfluous(row: &mut Vec<u64>, published: bool) -> Vec<u64> {
    let mut row = core::mem::take(row);
    row.pop();
    if published && !row.is_empty() {
        row.remove(0);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mqtt_core::{
        Ack, AckKind, Acknowledgement, Body, Connack, ConnectOptions, Delivery, Event, Input, Instant, Machine,
        NoAliases, NoSubscriptions, Packet, Properties, Publish, PublishRequest, QoS, ReasonCode, Sender, TopicName,
        TransmitPayload,
    };

    use crate::storage::HeapStorage;

    const NOW: Instant = Instant::from_millis(0);
    const V5: mqtt_core::ProtocolVersion = mqtt_core::ProtocolVersion::V5_0;

    type Session = Machine<HeapStorage, NoAliases, NoSubscriptions>;

    fn id(number: u16) -> PacketIdentifier {
        PacketIdentifier::new(number).unwrap()
    }

    fn machine() -> Session {
        Machine::with(HeapStorage::new(100, 100_000), NoAliases, NoSubscriptions)
    }

    /// A client with a store, and a broker that behaves at random.
    struct Pair {
        machine: Session,
        records: Vec<Vec<u8>>,
        tokens: Vec<Acknowledgement>,
        sent: Vec<(u16, AckKind)>,
        arrivals: u16,
    }

    impl Pair {
        fn take_record(&mut self) {
            if let Some((ticket, record)) = self.machine.poll_record(NOW) {
                let mut bytes = vec![0; record.encoded_len().unwrap()];
                record.encode(&mut bytes).unwrap();
                self.records.push(bytes);
                self.machine.records_durable(ticket.number());
            }
        }

        fn receive(&mut self, packet: &Packet<'_>) {
            let mut bytes = vec![0; packet.encoded_len(V5, Sender::Server).unwrap()];
            packet.encode(V5, Sender::Server, &mut bytes).unwrap();
            if let Ok(Some(Event::Message(message))) = self.machine.receive(NOW, Input::Packet(&bytes)) {
                if let Some((ticket, record)) = message.record() {
                    let mut bytes = vec![0; record.encoded_len().unwrap()];
                    record.encode(&mut bytes).unwrap();
                    self.records.push(bytes);
                    self.tokens.extend(message.acknowledgement);
                    self.machine.records_durable(ticket.number());
                }
            }
            self.take_record();
        }

        fn connect(&mut self, session_present: bool) {
            let options = ConnectOptions::new("c").clean_start(mqtt_core::CleanStart::Never);
            self.machine.connect(NOW, &options, &mut [0; 100]).unwrap();
            let (reason_code, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
            self.receive(&Packet::Connack(Connack { session_present, reason_code, properties }));
            while self.machine.poll_outcome().is_some() {
                self.take_record();
            }
            self.sent.clear();
        }

        /// What leaves, and what the broker could answer.
        fn transmit(&mut self) {
            let mut out = [0; 200];
            while let Some(transmit) = self.machine.poll_transmit(NOW, &mut out).unwrap() {
                let stored = matches!(transmit.payload, TransmitPayload::Stored(_));
                let number = || u16::from_be_bytes([out[5], out[6]]);
                match out[0] >> 4 {
                    // The topic is one letter.
                    3 if stored && out[0] & 4 != 0 => self.sent.push((number(), AckKind::Pubrec)),
                    3 if stored => self.sent.push((number(), AckKind::Puback)),
                    6 => self.sent.push((u16::from_be_bytes([out[2], out[3]]), AckKind::Pubcomp)),
                    _ => {}
                }
            }
        }
    }

    /// What a machine does that was rebuilt from these records, when the broker still has the session and when it has not.
    fn behaviour(records: &[Vec<u8>]) -> Vec<String> {
        let mut found = Vec::new();
        for session_present in [true, false] {
            let mut pair =
                Pair { machine: machine(), records: Vec::new(), tokens: Vec::new(), sent: Vec::new(), arrivals: 0 };
            let mut unconfirmed = BTreeMap::new();
            for bytes in records {
                let record = Record::decode(bytes).unwrap();
                pair.machine.restore(NOW, &record).unwrap();
                match record {
                    Record::Received { delivery, message, .. } => drop(unconfirmed.insert(delivery, message.payload)),
                    Record::Confirmed { delivery } => drop(unconfirmed.remove(&delivery)),
                    _ => {}
                }
            }
            found.push(format!("again {unconfirmed:?}"));
            pair.machine.session.set_durable(true);
            let options = ConnectOptions::new("c").clean_start(mqtt_core::CleanStart::Never);
            // Without state the broker's session is not taken up.
            if pair.machine.connect(NOW, &options, &mut [0; 100]).is_err() {
                continue;
            }
            let (reason_code, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
            pair.receive(&Packet::Connack(Connack { session_present, reason_code, properties }));
            while let Some(outcome) = pair.machine.poll_outcome() {
                found.push(format!("{outcome:?}"));
                pair.take_record();
            }
            let mut out = [0; 200];
            while let Some(transmit) = pair.machine.poll_transmit(NOW, &mut out).unwrap() {
                found.push(format!("{:?} {:?}", &out[..transmit.head_len], transmit.payload));
            }
            // Which identifiers the broker may use anew, and how the numbers go on.
            for number in 1..20 {
                pair.receive(&Packet::Publish(message(number, b"new")));
            }
            found.push(format!("{:?}", pair.tokens));
        }
        found
    }

    fn message(number: u16, payload: &[u8]) -> Publish<'_> {
        let topic = Some(TopicName::new("t").unwrap());
        let delivery = Delivery::ExactlyOnce { packet_identifier: id(number), dup: false };
        Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload }
    }

    // Random sessions: what is left of their records means the same as all of them.
    #[test]
    fn what_is_forgotten_is_not_missed() {
        let mut forgotten = 0;
        for seed in 0..300_u64 {
            let mut random = seed;
            let mut up_to = |limit: usize| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as usize % limit.max(1)
            };
            let mut pair =
                Pair { machine: machine(), records: Vec::new(), tokens: Vec::new(), sent: Vec::new(), arrivals: 0 };
            pair.machine.session.set_durable(true);
            for _ in 0..up_to(120) {
                match up_to(12) {
                    0 => pair.connect(up_to(3) > 0 && pair.records.iter().any(|record| record[0] == 1)),
                    1..=3 => {
                        let qos = if up_to(2) == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                        let request = PublishRequest::new(TopicName::new("t").unwrap()).qos(qos);
                        let _ = pair.machine.publish(NOW, &request, Body::Stored(Bytes::from_static(b"out")));
                        pair.take_record();
                    }
                    4..=6 if !pair.sent.is_empty() => {
                        let (number, kind) = pair.sent.remove(up_to(pair.sent.len()));
                        let (reason_code, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
                        let ack = Ack { kind, packet_identifier: id(number), reason_code, properties };
                        pair.receive(&Packet::Ack(ack));
                    }
                    7 | 8 => {
                        pair.arrivals += 1;
                        let payload = pair.arrivals.to_be_bytes();
                        pair.receive(&Packet::Publish(message(up_to(6) as u16 + 1, &payload)));
                    }
                    9 => {
                        let (reason_code, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
                        let packet_identifier = id(up_to(6) as u16 + 1);
                        let ack = Ack { kind: AckKind::Pubrel, packet_identifier, reason_code, properties };
                        pair.receive(&Packet::Ack(ack));
                    }
                    10 if !pair.tokens.is_empty() => {
                        let at = up_to(pair.tokens.len());
                        let token = pair.tokens.remove(at);
                        let _ = pair.machine.acknowledge(token, ReasonCode::SUCCESS);
                        pair.take_record();
                    }
                    _ => {}
                }
                pair.transmit();
            }
            // The program dies at some moment.
            pair.records.truncate(pair.records.len() - up_to(8).min(pair.records.len()));
            let mut ledger = Ledger::default();
            for (at, record) in pair.records.iter().enumerate() {
                ledger.note(Note::of_encoded(record), at, &mut |_, _| {});
            }
            ledger.thin_out(&mut |_, _| {});
            let left: Vec<_> = ledger.live().map(|(_, at)| pair.records[*at].clone()).collect();
            forgotten += pair.records.len() - left.len();
            assert_eq!(behaviour(&left), behaviour(&pair.records), "seed {seed}");
        }
        assert!(forgotten > 2_000, "{forgotten}");
    }
}
