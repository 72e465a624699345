//! Long sequences against a plain model of a broker: commands, packets, cuts, crashes and time, in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_core::{Acknowledge, Acknowledgement, ConnectOptions, Property, ProtocolVersion, ReasonCode, Record};
use proptest::prelude::*;

use crate::seeds;
use crate::support::{FromBroker, Model, Pair, Small, any_steps, any_version, options};

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(u8),
    Subscribe,
    Unsubscribe,
    /// The broker publishes.
    Message(u8),
    /// A packet leaves the machine, and is on the wire.
    Transmit,
    ToBroker,
    ToClient,
    Cut {
        present: bool,
    },
    /// The application acknowledges one of the messages it holds.
    Acknowledge(usize),
    Cancel(u16),
    Time(u64),
    TakeOutcome,
    /// The store has written so many of its records.
    Durable(usize),
    Crash,
    /// The broker is rude: an answer to nothing.
    Stray(u8, u16),
}

struct World {
    pair: Pair,
    broker: Model,
    options: ConnectOptions<'static>,
    quota: u16,
    /// On the wire to the broker.
    wire: VecDeque<String>,
    /// Commands without an outcome, and what they publish.
    open: BTreeMap<u16, (&'static str, String)>,
    /// PUBLISHes on this connection without a final answer.
    in_flight: BTreeSet<u16>,
    /// What arrived on this connection and is to be acknowledged in this order.
    pubacks: VecDeque<u16>,
    pubrecs: VecDeque<u16>,
    /// What the application has: payload by delivery number.
    taken: BTreeMap<u64, String>,
    tokens: Vec<Acknowledgement>,
    /// Messages whose records are written and not durable yet: not handed over.
    waiting: Vec<(u64, String, Acknowledgement)>,
    /// Outcomes of success.
    succeeded: BTreeSet<String>,
    durable: usize,
    next_payload: u32,
}

impl World {
    fn new(version: ProtocolVersion, by_hand: bool, durable: bool, quota: u16) -> Self {
        let pair = if durable { Pair::durable(version) } else { Pair::new(version) };
        let acknowledge = if by_hand { Acknowledge::ByApplication } else { Acknowledge::AtOnce };
        let options = options(version).acknowledge(acknowledge).send_maximum(quota).keep_alive(30);
        let mut world = Self {
            pair,
            broker: Model::default(),
            options,
            quota,
            wire: VecDeque::new(),
            open: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            taken: BTreeMap::new(),
            tokens: Vec::new(),
            waiting: Vec::new(),
            succeeded: BTreeSet::new(),
            durable: 0,
            next_payload: 0,
        };
        world.pair.sync = false;
        world.connect(false);
        world
    }

    fn connect(&mut self, present: bool) {
        self.wire.clear();
        self.in_flight.clear();
        self.pubacks.clear();
        self.pubrecs.clear();
        // Who does not ask for the old session does not get it.
        let clean = self.pair.connect(&self.options).ends_with("clean");
        let present = present && !clean;
        self.broker.reconnected(present);
        let limits = [Property::ReceiveMaximum(self.quota)];
        let events = self.pair.connack(present, if self.options.version.is_v5() { &limits } else { &[] });
        assert!(events[0].starts_with("Connected"), "{events:?}");
        if !present {
            self.tokens.clear();
        }
        self.happened(&events);
    }

    fn payload(&mut self) -> String {
        self.next_payload += 1;
        format!("m{}", self.next_payload)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(qos) => {
                let payload = self.payload();
                if let Ok(number) = self.pair.publish(qos, &payload)
                    && qos > 0
                {
                    self.opens(number, "Publish", payload);
                }
            }
            Step::Subscribe => {
                if let Ok(number) = self.pair.subscribe(&[("t", 2), ("u", 1)]) {
                    self.opens(number, "Subscribe", String::new());
                }
            }
            Step::Unsubscribe => {
                if let Ok(number) = self.pair.unsubscribe(&["t"]) {
                    self.opens(number, "Unsubscribe", String::new());
                }
            }
            Step::Message(qos) => {
                if self.broker.may_send() {
                    let payload = self.payload();
                    self.broker.send(qos, payload);
                }
            }
            Step::Transmit => self.transmit(),
            Step::ToBroker => {
                if let Some(packet) = self.wire.pop_front() {
                    self.broker.take(&packet);
                }
            }
            Step::ToClient => {
                let packet = self.broker.wire.front().cloned();
                let events = self.broker.deliver(&mut self.pair);
                self.happened(&events);
                // A duplicate at QoS 2 is no event, and owes a PUBREC.
                if let (Some(FromBroker::Message { qos: 2, number, .. }), []) = (packet, events.as_slice()) {
                    self.pubrecs.push_back(number);
                }
            }
            Step::Cut { present } => self.connect(present),
            Step::Acknowledge(which) => {
                if !self.tokens.is_empty() {
                    let token = self.tokens.remove(which % self.tokens.len());
                    // A token may have become stale; it says so.
                    let _ = self.pair.machine.acknowledge(token, ReasonCode::SUCCESS);
                    self.pair.write_records();
                }
            }
            Step::Cancel(number) => {
                if let Some(id) = mqtt_core::PacketIdentifier::new(number) {
                    self.pair.machine.cancel(id);
                }
            }
            Step::Time(milliseconds) => {
                self.pair.pass(milliseconds);
                if self.pair.machine.handle_timeout(self.pair.now).is_err() {
                    self.connect(true);
                }
            }
            Step::TakeOutcome => self.take_outcome(),
            Step::Durable(records) => self.make_durable(records),
            Step::Crash => self.crash(),
            Step::Stray(kind, number) => {
                let events = match kind % 4 {
                    0 => self.pair.puback(number + 1_000),
                    1 => self.pair.pubrec(number + 1_000),
                    2 => self.pair.pubrel(number + 1_000),
                    _ => self.pair.pubcomp(number + 1_000),
                };
                assert!(events.is_empty(), "{events:?}");
            }
        }
        self.early();
        assert!(self.in_flight.len() <= self.quota.into(), "Receive Maximum {}: {:?}", self.quota, self.in_flight);
        assert_eq!(self.pair.machine.connection.failure(), None);
    }

    fn opens(&mut self, number: u16, command: &'static str, payload: String) {
        let old = self.open.insert(number, (command, payload));
        assert_eq!(old, None, "#{number} is in use");
    }

    fn closes(&mut self, number: u16, command: &str) -> String {
        let Some((opened, payload)) = self.open.remove(&number) else { panic!("a second outcome of #{number}") };
        assert_eq!(opened, command);
        payload
    }

    /// What left while the machine was made ready to receive.
    fn early(&mut self) {
        for packet in self.pair.early() {
            self.left(packet);
        }
    }

    fn transmit(&mut self) {
        self.early();
        if let Some(packet) = self.pair.next_line() {
            self.left(packet);
        }
    }

    fn left(&mut self, packet: String) {
        let mut words = packet.split(' ');
        let kind = words.next().unwrap();
        let number = words.next().and_then(|word| word.strip_prefix('#')).map_or(0, |word| word.parse().unwrap());
        match kind {
            "PUBLISH" if number > 0 => {
                assert!(self.in_flight.insert(number), "#{number} is sent twice on one connection");
                assert!(self.open.contains_key(&number));
            }
            "PUBREL" if number < 1_000 => assert!(self.open.contains_key(&number), "{packet}"),
            // In the order in which their PUBLISHes arrived.
            "PUBACK" => assert_eq!(self.pubacks.pop_front(), Some(number)),
            "PUBREC" => assert_eq!(self.pubrecs.pop_front(), Some(number)),
            _ => {}
        }
        self.wire.push_back(packet);
    }

    fn happened(&mut self, events: &[String]) {
        for event in events {
            let words: Vec<&str> = event.split(' ').collect();
            let number = words.get(1).and_then(|word| word.strip_prefix('#')).map_or(0, |word| word.parse().unwrap());
            match words[0] {
                "Published" => {
                    self.in_flight.remove(&number);
                    let payload = self.closes(number, "Publish");
                    self.succeeded.insert(payload);
                }
                "Subscribed" => drop(self.closes(number, "Subscribe")),
                "Unsubscribed" => drop(self.closes(number, "Unsubscribe")),
                "Message" if words[1] != "q0" => {
                    let token = self.pair.tokens.pop().unwrap();
                    let payload = (*words.last().unwrap()).to_owned();
                    let number = token.packet_identifier().number();
                    if words[1] == "q1" {
                        self.pubacks.push_back(number);
                        self.tokens.push(token);
                    } else {
                        self.pubrecs.push_back(number);
                        let delivery = token.delivery_number().0;
                        if self.pair.session().is_durable() {
                            self.waiting.push((self.pair.log.last().unwrap().0.number(), payload, token));
                        } else {
                            self.take(delivery, payload);
                            self.tokens.push(token);
                        }
                    }
                }
                "Message" | "Connected" | "Pong" | "Renewed" => {}
                _ => panic!("{event}"),
            }
        }
    }

    fn take(&mut self, delivery: u64, payload: String) {
        let old = self.taken.insert(delivery, payload.clone());
        assert!(old.is_none() || old == Some(payload), "two messages with number {delivery}");
    }

    fn take_outcome(&mut self) {
        if let Some(outcome) = self.pair.next_outcome() {
            let command = format!("{:?}", outcome.command);
            self.closes(outcome.packet_identifier.number(), &command);
        }
    }

    fn make_durable(&mut self, records: usize) {
        self.durable = (self.durable + records).min(self.pair.log.len());
        self.pair.make_durable(self.durable);
        let Some(last) = self.durable.checked_sub(1).map(|index| self.pair.log[index].0.number()) else { return };
        let (ready, waiting) = core::mem::take(&mut self.waiting).into_iter().partition(|(number, ..)| *number <= last);
        self.waiting = waiting;
        let ready: Vec<(u64, String, Acknowledgement)> = ready;
        for (_, payload, token) in ready {
            self.take(token.delivery_number().0, payload);
            self.tokens.push(token);
        }
    }

    fn crash(&mut self) {
        if !self.pair.session().is_durable() {
            return;
        }
        // Whoever dies before it has noted that a session began cannot tell it from the one before; nor can MQTT.
        let noted = self.pair.log[self.durable..]
            .iter()
            .all(|(_, bytes)| !matches!(Record::decode(bytes), Ok(Record::SessionStarted { .. })));
        self.pair.crash(self.durable, Small::new());
        self.waiting.clear();
        self.tokens.clear();
        // What was accepted and has no outcome that is durable is open again.
        self.open.clear();
        let mut kept = BTreeMap::new();
        let mut unconfirmed = BTreeMap::new();
        // Record numbers begin again with the program.
        self.pair.begin_log_anew();
        self.durable = 0;
        for bytes in &self.pair.old_log {
            match Record::decode(bytes).unwrap() {
                Record::Published { packet_identifier, message, .. } => {
                    let payload = core::str::from_utf8(message.payload).unwrap().to_owned();
                    kept.insert(packet_identifier.number(), ("Publish", payload));
                }
                Record::Completed { packet_identifier } => {
                    kept.remove(&packet_identifier.number());
                }
                Record::Received { delivery, message, .. } => {
                    unconfirmed.insert(delivery.0, core::str::from_utf8(message.payload).unwrap().to_owned());
                }
                Record::Confirmed { delivery } => drop(unconfirmed.remove(&delivery.0)),
                _ => {}
            }
        }
        self.open = kept;
        // They come again, with their numbers.
        for (delivery, payload) in unconfirmed {
            self.take(delivery, payload);
        }
        self.connect(noted);
    }

    /// All that is under way comes to its end, and the books are right.
    fn settle(mut self) {
        self.make_durable(usize::MAX / 2);
        self.connect(true);
        for _ in 0..400 {
            self.make_durable(usize::MAX / 2);
            self.step(Step::Acknowledge(0));
            self.step(Step::Transmit);
            self.step(Step::ToBroker);
            self.step(Step::ToClient);
            self.step(Step::TakeOutcome);
        }
        assert!(self.open.is_empty(), "without an outcome: {:?}", self.open);
        assert!(self.broker.out.is_empty(), "without an end: {:?}", self.broker.out);
        assert!(self.pair.session().is_idle());
        assert!(self.in_flight.is_empty());
        for payload in &self.succeeded {
            let times = self.broker.published.get(payload);
            assert!(payload.is_empty() || times.is_some(), "{payload} was acknowledged and is not there");
        }
        // The quota did not leak.
        for _ in 0..self.quota {
            self.step(Step::Publish(2));
        }
        for _ in 0..self.quota {
            self.make_durable(usize::MAX / 2);
            self.step(Step::Transmit);
        }
        assert_eq!(self.in_flight.len(), usize::from(self.quota));
    }

    /// Never twice, by payload: what the broker took over, and what the application did.
    fn check_exactly_once(&self, exactly_once: &BTreeSet<String>) {
        for (payload, times) in &self.broker.published {
            assert!(*times == 1 || !exactly_once.contains(payload), "{payload} was published {times} times");
        }
        let mut seen = BTreeSet::new();
        for payload in self.taken.values() {
            assert!(seen.insert(payload), "{payload} was handed over twice");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8).prop_map(Step::Publish),
        1 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        3 => (0..3_u8).prop_map(Step::Message),
        9 => Just(Step::Transmit),
        8 => Just(Step::ToBroker),
        8 => Just(Step::ToClient),
        1 => prop::bool::weighted(0.8).prop_map(|present| Step::Cut { present }),
        3 => (0..20_usize).prop_map(Step::Acknowledge),
        1 => (1..20_u16).prop_map(Step::Cancel),
        1 => (0..12_000_u64).prop_map(Step::Time),
        2 => Just(Step::TakeOutcome),
        4 => (1..4_usize).prop_map(Step::Durable),
        1 => Just(Step::Crash),
        1 => (0..4_u8, 0..9_u16).prop_map(|(kind, number)| Step::Stray(kind, number)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // trap P1, trap P2, trap P4, trap Q7, trap R5
    #[test]
    fn any_sequence_keeps_the_books(
        v5: bool,
        by_hand: bool,
        durable: bool,
        quota in 1..6_u16,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let version = if v5 { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 };
        let mut world = World::new(version, by_hand, durable, quota);
        let mut exactly_once = BTreeSet::new();
        for step in steps {
            if let Step::Publish(2) = step {
                exactly_once.insert(format!("m{}", world.next_payload + 1));
            }
            world.step(step);
            world.check_exactly_once(&exactly_once);
        }
        world.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    // trap P4
    #[test]
    fn whatever_a_broker_sends_every_command_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        any_steps::steps(&bytes);
    }
}

#[test]
fn steps_that_were_fuzzed_end_well() {
    seeds::each(include_str!("../seeds/connection.hex"), any_steps::steps);
}

// trap Q7, trap R5: a cut, or a crash, behind every step of every exchange, and the broker resumes or forgets.
#[test]
fn a_cut_or_a_crash_at_every_step_wedges_nothing_and_doubles_nothing() {
    for version in any_version() {
        for (out, incoming) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
            for by_hand in [false, true] {
                let way = [Step::Durable(9), Step::Transmit, Step::ToBroker, Step::ToClient, Step::Acknowledge(0)];
                for cut_at in 0..40 {
                    for what in [Step::Cut { present: true }, Step::Cut { present: false }, Step::Crash] {
                        let durable = matches!(what, Step::Crash);
                        let mut world = World::new(version, by_hand, durable, 1);
                        for step in [Step::Publish(out), Step::Message(incoming), Step::Publish(out), Step::Subscribe] {
                            world.step(step);
                        }
                        for (index, step) in way.iter().cycle().take(60).enumerate() {
                            if index == cut_at {
                                world.step(what);
                            }
                            world.step(*step);
                        }
                        let mut exactly_once = BTreeSet::new();
                        if out == 2 {
                            exactly_once.extend(["m1".to_owned(), "m3".to_owned()]);
                        }
                        world.check_exactly_once(&exactly_once);
                        world.settle();
                    }
                }
            }
        }
    }
}
