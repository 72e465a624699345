//! Random sessions: what is left of their records means the same as all of them.

use super::*;
use bytes::Bytes;
use mqtt_core::{
    Ack, AckKind, Acknowledgement, Body, Connack, ConnectOptions, Delivery, Event, Input, Instant, Machine, NoAliases,
    NoSubscriptions, Packet, Properties, Publish, PublishRequest, QoS, ReasonCode, Sender, TopicName, TransmitPayload,
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
