//! A broker as a plain model: what it keeps, what it answers, what it sends again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_core::Storage;

use super::pair::Pair;

/// What the broker sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FromBroker {
    Ack(&'static str, u16),
    Suback(u16, usize),
    Unsuback(u16, usize),
    Pingresp,
    Message { qos: u8, number: u16, again: bool, payload: String },
}

/// A broker that keeps to the standard, with one client.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Identifiers of QoS 2 messages that it has and that were not released.
    received: BTreeSet<u16>,
    /// What it took over from the client, with how often.
    pub(crate) published: BTreeMap<String, u32>,
    /// Its own messages in flight, in their order: identifier, QoS, payload, and whether PUBREC has been here.
    pub(crate) out: VecDeque<(u16, u8, String, bool)>,
    last: u16,
    /// On the wire to the client.
    pub(crate) wire: VecDeque<FromBroker>,
}

impl Model {
    pub(crate) fn send(&mut self, qos: u8, payload: String) {
        let mut number = 0;
        if qos > 0 {
            self.last = self.last % 7 + 1;
            number = self.last;
            self.out.push_back((number, qos, payload.clone(), false));
        }
        self.wire.push_back(FromBroker::Message { qos, number, again: false, payload });
    }

    /// Tells whether the identifier that comes next is free, and Receive Maximum leaves room.
    pub(crate) fn may_send(&self) -> bool {
        let next = self.last % 7 + 1;
        self.out.len() < 6 && self.out.iter().all(|(number, ..)| *number != next)
    }

    /// A packet of the client's arrives.
    pub(crate) fn take(&mut self, packet: &str) {
        let words: Vec<&str> = packet.split(' ').collect();
        let number: u16 = words.get(1).and_then(|word| word.strip_prefix('#')).map_or(0, |word| word.parse().unwrap());
        match words[0] {
            "PUBLISH" => {
                let qos = words.iter().find(|word| ["q0", "q1", "q2"].contains(word)).unwrap();
                if *qos != "q2" || self.received.insert(number) {
                    *self.published.entry((*words.last().unwrap()).into()).or_default() += 1;
                }
                match *qos {
                    "q1" => self.wire.push_back(FromBroker::Ack("PUBACK", number)),
                    "q2" => self.wire.push_back(FromBroker::Ack("PUBREC", number)),
                    _ => {}
                }
            }
            "PUBREL" => {
                self.received.remove(&number);
                self.wire.push_back(FromBroker::Ack("PUBCOMP", number));
            }
            "PUBACK" => self.out.retain(|(id, qos, ..)| (*id, *qos) != (number, 1)),
            "PUBCOMP" => self.out.retain(|(id, qos, ..)| (*id, *qos) != (number, 2)),
            "PUBREC" => {
                if let Some(message) = self.out.iter_mut().find(|(id, qos, ..)| (*id, *qos) == (number, 2)) {
                    message.3 = true;
                }
                self.wire.push_back(FromBroker::Ack("PUBREL", number));
            }
            "SUBSCRIBE" => self.wire.push_back(FromBroker::Suback(number, words.len() - 2)),
            "UNSUBSCRIBE" => self.wire.push_back(FromBroker::Unsuback(number, words.len() - 2)),
            "PINGREQ" => self.wire.push_back(FromBroker::Pingresp),
            _ => {}
        }
    }

    /// The connection was cut; on the next one the broker resumes the session or has lost it.
    pub(crate) fn reconnected(&mut self, present: bool) {
        self.wire.clear();
        if !present {
            self.received.clear();
            self.out.clear();
            return;
        }
        for (number, qos, payload, pubrec) in &self.out {
            self.wire.push_back(if *pubrec {
                FromBroker::Ack("PUBREL", *number)
            } else {
                FromBroker::Message { qos: *qos, number: *number, again: true, payload: payload.clone() }
            });
        }
    }

    /// The next packet on the wire reaches the client.
    pub(crate) fn deliver<S: Storage>(&mut self, pair: &mut Pair<S>) -> Vec<String> {
        let Some(packet) = self.wire.pop_front() else { return Vec::new() };
        match packet {
            FromBroker::Ack("PUBACK", number) => pair.puback(number),
            FromBroker::Ack("PUBREC", number) => pair.pubrec(number),
            FromBroker::Ack("PUBREL", number) => pair.pubrel(number),
            FromBroker::Ack(_, number) => pair.pubcomp(number),
            FromBroker::Suback(number, filters) => pair.suback(number, &vec![0; filters]),
            FromBroker::Unsuback(number, filters) => pair.unsuback(number, &vec![0; filters]),
            FromBroker::Pingresp => pair.pingresp(),
            FromBroker::Message { qos, number, again, payload } => {
                let bytes = pair.message_bytes(qos, number, again, payload.as_bytes());
                pair.deliver(&bytes)
            }
        }
    }
}
