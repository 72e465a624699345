//! The machine as it is shipped, with an application and a store around it that remember everything.

use mqtt_core::{
    Acknowledgement, ArrayStorage, Body, CleanStart, CommandOutcome, ConnectOptions, Event, Input, Instant, Machine,
    NoAliases, NoSubscriptions, Outcome, ProtocolVersion, PublishRequest, ReasonCode, ReceiveError, Record,
    RecordTicket, SubscribeRequest, Subscription, TopicFilter, TopicName, TransmitPayload, UsageError,
};

use crate::scenario::Scenario;
use crate::wire::{FromBroker, FromClient, TOPIC, qos};

/// Room for three exchanges of ours and two of the broker's.
type Storage = ArrayStorage<3, 2, 48>;

/// Of messages from the broker, as the client announces it.
pub const RECEIVE_MAXIMUM: usize = 2;

const NOW: Instant = Instant::from_millis(0);

/// What became of a command.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    Open {
        id: u16,
    },
    Success,
    Refused,
    NotSent,
    Unknown,
    StoreFailed,
    /// The program died before the message was accepted: its record was not durable.
    Forgotten,
}

/// A record as it was given to the store.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Written {
    ticket: RecordTicket,
    bytes: Vec<u8>,
    failed: bool,
}

impl Written {
    fn new(ticket: RecordTicket, record: &Record<'_>) -> Self {
        let mut bytes = vec![0; 64];
        let len = record.encode(&mut bytes).expect("room");
        bytes.truncate(len);
        Self { ticket, bytes, failed: false }
    }

    fn record(&self) -> Record<'_> {
        Record::decode(&self.bytes).expect("a record")
    }
}

/// A QoS 2 message whose record is not durable: it is handed over afterwards.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Waiting {
    record: u64,
    name: u8,
    token: Acknowledgement,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Client {
    pub machine: Machine<Storage, NoAliases, NoSubscriptions>,
    /// Of each command, in the order in which they were given: its name and what became of it.
    pub commands: Vec<(u8, Fate)>,
    /// What the application was handed: name and, at QoS 2, delivery number.
    pub handed: Vec<(u8, Option<u64>)>,
    pub tokens: Vec<Acknowledgement>,
    waiting: Vec<Waiting>,
    /// Of programs before this one.
    old_log: Vec<Vec<u8>>,
    log: Vec<Written>,
    /// So many of them the machine knows to be durable.
    told: usize,
    /// So many of them the store could not write.
    pub failures: u8,
}

impl Client {
    pub fn new(scenario: &Scenario) -> Self {
        let mut machine = Machine::new(Storage::new());
        if scenario.wrap {
            use_up(&mut machine, 65_533);
        }
        machine.session.set_durable(scenario.durable);
        Self {
            machine,
            commands: Vec::new(),
            handed: Vec::new(),
            tokens: Vec::new(),
            waiting: Vec::new(),
            old_log: Vec::new(),
            log: Vec::new(),
            told: 0,
            failures: 0,
        }
    }

    /// The next identifier would be that of the first open command.
    pub fn come_round(&mut self) {
        let open =
            self.commands.iter().find_map(|(_, fate)| if let Fate::Open { id } = fate { Some(*id) } else { None });
        if let Some(id) = open {
            use_up(&mut self.machine, if id == 1 { u16::MAX } else { id - 1 });
        }
    }

    pub fn connect(&mut self, scenario: &Scenario) -> FromClient {
        let options = ConnectOptions::new("c")
            .version(scenario.version)
            .keep_session(!scenario.version.is_v5())
            .clean_start(CleanStart::First)
            .keep_alive(0)
            .acknowledge(scenario.acknowledge)
            .republish_exactly_once(scenario.republish)
            .send_maximum(scenario.receive_maximum);
        let mut out = [0; 64];
        let len = self.machine.connect(NOW, &options, &mut out).expect("CONNECT can be written");
        self.machine.transmitted(NOW, len);
        self.settle_books();
        FromClient::read(scenario.version, &out[..len])
    }

    pub fn lost(&mut self) {
        self.machine.transport_lost();
        self.settle_books();
    }

    /// `None`: there is no room now.
    pub fn publish(&mut self, name: u8, of: u8) -> Option<()> {
        let request = PublishRequest::new(TopicName::new(TOPIC).expect("a topic")).qos(qos(of));
        self.began(name, |machine| machine.publish(NOW, &request, Body::Stored(&[name])))
    }

    pub fn subscribe(&mut self, name: u8) -> Option<()> {
        let filter = [Subscription::new(TopicFilter::new(TOPIC).expect("a filter"), qos(0))];
        self.began(name, |machine| machine.subscribe(&SubscribeRequest::new(&filter)))
    }

    fn began(
        &mut self,
        name: u8,
        begin: impl FnOnce(&mut Machine<Storage>) -> Result<mqtt_core::PacketIdentifier, UsageError>,
    ) -> Option<()> {
        let id = match begin(&mut self.machine) {
            Ok(id) => id.number(),
            Err(UsageError::InFlightFull | UsageError::StorageFull(_)) => return None,
            Err(error) => panic!("a command that can be given: {error:?}"),
        };
        assert!(!self.is_open(id), "an identifier in use was given out");
        self.commands.push((name, Fate::Open { id }));
        self.settle_books();
        Some(())
    }

    /// The next packet to send.
    pub fn transmit(&mut self, version: ProtocolVersion) -> Option<FromClient> {
        let mut out = [0; 64];
        let transmit = self.machine.poll_transmit(NOW, &mut out).expect("room")?;
        assert_eq!(transmit.payload, TransmitPayload::None, "it fits");
        self.machine.transmitted(NOW, transmit.head_len);
        self.settle_books();
        Some(FromClient::read(version, &out[..transmit.head_len]))
    }

    /// # Errors
    /// The connection is over, or an answer came to what was not asked. `Ok(false)`: not ready, give it again.
    pub fn receive(&mut self, packet: FromBroker, scenario: &Scenario) -> Result<bool, &'static str> {
        let bytes = packet.write(scenario.version);
        self.machine.bytes_received(NOW);
        let mut answered = None;
        match self.machine.receive(NOW, Input::Packet(&bytes)) {
            Err(ReceiveError::NotReady) => return Ok(false),
            Err(ReceiveError::Connection(_)) => return Err("the client ends a connection that is in order"),
            Ok(Some(Event::Message(message))) => {
                let name = message.payload[0];
                let delivery = message.acknowledgement.filter(|_| message.qos == qos(2));
                let delivery = delivery.map(|token| token.delivery_number().0);
                if let (Some((ticket, record)), Some(token)) = (message.record(), message.acknowledgement) {
                    self.waiting.push(Waiting { record: ticket.number(), name, token });
                    self.log.push(Written::new(ticket, &record));
                } else {
                    self.handed.push((name, delivery));
                    self.tokens.extend(message.acknowledgement.filter(|_| scenario.is_by_hand()));
                }
            }
            Ok(Some(Event::Published { packet_identifier, reason_code, .. })) => {
                let fate = if reason_code.is_failure() { Fate::Refused } else { Fate::Success };
                answered = Some((packet_identifier.number(), fate));
            }
            Ok(Some(Event::Subscribed { packet_identifier, .. })) => {
                answered = Some((packet_identifier.number(), Fate::Success));
            }
            Ok(Some(Event::Connected(_)) | None) => {}
            Ok(Some(event)) => panic!("nothing in the model makes it say {event:?}"),
        }
        if let Some((id, fate)) = answered {
            self.ended(id, fate)?;
        }
        // Tokens of what came again, or of a session that is gone, are void.
        let machine = &self.machine;
        self.tokens.retain(|token| machine.session.awaits(*token));
        self.settle_books();
        Ok(true)
    }

    pub fn acknowledge(&mut self, index: usize) {
        let token = self.tokens.remove(index);
        // Of a connection that is gone it may be void, and says so.
        let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
        self.settle_books();
    }

    /// Takes what the last call made: records and outcomes.
    fn settle_books(&mut self) {
        loop {
            while let Some((ticket, record)) = self.machine.poll_record(NOW) {
                let written = Written::new(ticket, &record);
                self.log.push(written);
            }
            let Some(CommandOutcome { packet_identifier, outcome, .. }) = self.machine.poll_outcome() else { break };
            let fate = match outcome {
                Outcome::NotSent => Fate::NotSent,
                Outcome::Unknown => Fate::Unknown,
                Outcome::StoreFailed => Fate::StoreFailed,
                other => panic!("nothing in the model makes it {other:?}"),
            };
            self.ended(packet_identifier.number(), fate).expect("an outcome of a command");
        }
    }

    fn is_open(&self, id: u16) -> bool {
        self.commands.iter().any(|(_, fate)| *fate == Fate::Open { id })
    }

    fn ended(&mut self, id: u16, fate: Fate) -> Result<(), &'static str> {
        let command = self.commands.iter_mut().find(|(_, open)| *open == Fate::Open { id });
        command.ok_or("an outcome of nothing")?.1 = fate;
        Ok(())
    }

    /// How many records the machine does not know to be durable.
    pub fn undurable(&self) -> usize {
        self.log.len() - self.told
    }

    /// The machine learns that the next record is durable.
    pub fn record_durable(&mut self) {
        let number = self.log[self.told].ticket.number();
        self.told += 1;
        self.machine.records_durable(number);
        let (ready, waiting) = self.waiting.iter().partition(|waiting| waiting.record <= number);
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        for Waiting { name, token, .. } in ready {
            self.hand_over(name, token);
        }
        self.settle_books();
    }

    /// The store could not write the next record.
    pub fn record_failed(&mut self) {
        let written = &mut self.log[self.told];
        let ticket = written.ticket;
        written.failed = true;
        self.failures += 1;
        self.waiting.retain(|waiting| waiting.record != ticket.number());
        self.machine.record_failed(ticket).expect("no record waits");
        // Those that the store had to write again come behind; the number counts as dealt with.
        self.told += 1;
        self.machine.records_durable(ticket.number());
        self.settle_books();
    }

    /// By its number the application knows what it has.
    fn hand_over(&mut self, name: u8, token: Acknowledgement) {
        let delivery = token.delivery_number().0;
        if !self.handed.contains(&(name, Some(delivery))) {
            self.handed.push((name, Some(delivery)));
        }
        self.tokens.push(token);
    }

    /// The program dies and begins again. Beyond the records that the machine knows to be durable, `more` are. Tells whether the
    /// record of a session's beginning was lost.
    pub fn crash(&mut self, scenario: &Scenario, more: usize) -> bool {
        let kept = self.told + more;
        let began = |written: &&Written| matches!(written.record(), Record::SessionStarted { .. });
        let last = self.log.iter().rposition(|written| began(&written));
        let lost = last.is_some_and(|last| last >= kept || self.log[last].failed);
        let log = self.log.drain(..).take(kept).filter(|written| !written.failed).map(|written| written.bytes);
        self.old_log.extend(log);
        self.told = 0;
        self.waiting.clear();
        self.tokens.clear();
        let mut machine = Machine::new(Storage::new());
        let mut open = Vec::new();
        let mut unconfirmed = Vec::new();
        for bytes in &self.old_log {
            let record = Record::decode(bytes).expect("a record");
            machine.restore(NOW, &record).expect("room");
            match record {
                Record::Published { packet_identifier, message, .. } => {
                    open.push((packet_identifier.number(), message.payload[0]));
                }
                Record::Completed { packet_identifier } => open.retain(|(id, _)| *id != packet_identifier.number()),
                Record::Received { delivery, packet_identifier, message } => {
                    let token = Acknowledgement::of_record(delivery, packet_identifier);
                    unconfirmed.push((message.payload[0], token));
                }
                Record::Confirmed { delivery } => unconfirmed.retain(|(_, token)| token.delivery_number() != delivery),
                _ => {}
            }
        }
        machine.session.set_durable(true);
        self.machine = machine;
        for (name, fate) in &mut self.commands {
            let kept = open.iter().find(|(_, open)| open == name);
            *fate = match (kept, *fate) {
                (Some((id, _)), _) => Fate::Open { id: *id },
                (None, Fate::Open { .. }) => Fate::Forgotten,
                (None, fate) => fate,
            };
        }
        for (name, token) in unconfirmed {
            self.hand_over(name, token);
            if !scenario.is_by_hand() {
                self.tokens.pop();
                let _ = self.machine.confirm(token.delivery_number());
                self.settle_books();
            }
        }
        self.settle_books();
        lost
    }

    /// For a reader of a way that went wrong: the log with `x` for what failed and `|` behind what is durable, and what was handed
    /// over.
    pub fn line(&self) -> String {
        let mut line = String::new();
        for (index, written) in self.log.iter().enumerate() {
            let kind = match written.record() {
                Record::SessionStarted { .. } => "session".to_owned(),
                Record::Published { message, .. } => format!("published {}", char::from(message.payload[0])),
                Record::PubrecReceived { packet_identifier } => format!("pubrec #{packet_identifier}"),
                Record::Completed { packet_identifier } => format!("completed #{packet_identifier}"),
                Record::Received { message, delivery, .. } => {
                    format!("received {} as {}", char::from(message.payload[0]), delivery.0)
                }
                Record::Released { packet_identifier } => format!("released #{packet_identifier}"),
                Record::Confirmed { delivery } => format!("confirmed {}", delivery.0),
                other => format!("{other:?}"),
            };
            let durable = if index + 1 == self.told { " |" } else { "" };
            line += &format!("{kind}{}{durable}, ", if written.failed { " x" } else { "" });
        }
        format!("log {line}handed {:?}, commands {:?}", self.handed, self.commands)
    }

    pub fn has_open_commands(&self) -> bool {
        self.commands.iter().any(|(_, fate)| matches!(fate, Fate::Open { .. }))
    }
}

/// Gives out identifiers, to messages that are taken back, until this one was given out.
fn use_up(machine: &mut Machine<Storage>, last: u16) {
    let request = PublishRequest::new(TopicName::new(TOPIC).expect("a topic")).qos(qos(1));
    loop {
        let id = machine.publish(NOW, &request, Body::Stored(b"")).expect("room");
        machine.cancel(id);
        machine.poll_outcome();
        if id.number() == last {
            return;
        }
    }
}
