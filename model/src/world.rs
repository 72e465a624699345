//! Client, broker and wire; every step that one of them can take; and what must be true whatever happens.

use std::collections::VecDeque;

use stateright::{Model, Property};

use crate::broker::Broker;
use crate::client::{Client, Fate, RECEIVE_MAXIMUM};
use crate::scenario::{Budget, Command, Scenario};
use crate::wire::{FromBroker, FromClient};

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct World {
    pub client: Client,
    pub broker: Broker,
    up: VecDeque<FromClient>,
    down: VecDeque<FromBroker>,
    /// There is a network connection.
    joined: bool,
    begun: u8,
    sent: u8,
    budget: Budget,
    /// The first rule that was broken.
    fault: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The application gives its next command.
    Command,
    /// The broker sends its next message.
    Message,
    Transmit,
    BrokerTakes {
        refuse: bool,
    },
    ClientTakes,
    Cut,
    Forget,
    Reconnect,
    Acknowledge(usize),
    Durable,
    RecordFails,
    Crash {
        more: usize,
    },
    Repeat(usize),
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            client: Client::new(self),
            broker: Broker::default(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            joined: false,
            begun: 0,
            sent: 0,
            budget: self.budget,
            fault: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.fault.is_some() {
            return;
        }
        let budget = &world.budget;
        actions.push(Action::Command);
        actions.extend((0..world.client.tokens.len()).map(Action::Acknowledge));
        if world.client.undurable() > 0 {
            actions.push(Action::Durable);
            if budget.failures > 0 {
                actions.push(Action::RecordFails);
            }
        }
        if budget.crashes > 0 {
            actions.extend((0..=world.client.undurable()).map(|more| Action::Crash { more }));
        }
        if !world.joined {
            actions.push(Action::Reconnect);
            if budget.forgets > 0 && world.broker.session {
                actions.push(Action::Forget);
            }
            return;
        }
        actions.extend([Action::Message, Action::Transmit]);
        if let Some(packet) = world.up.front() {
            actions.push(Action::BrokerTakes { refuse: false });
            if budget.refusals > 0 && matches!(packet, FromClient::Publish(_)) && self.version.is_v5() {
                actions.push(Action::BrokerTakes { refuse: true });
            }
        }
        if !world.down.is_empty() {
            actions.push(Action::ClientTakes);
        }
        if budget.cuts > 0 {
            actions.push(Action::Cut);
        }
        if budget.repeats > 0 && world.broker.connected {
            actions.extend((0..world.broker.sent.len()).map(Action::Repeat));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.step(self, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rule is broken", |_, world: &World| world.fault.is_none()),
            Property::always("outcomes are true", |scenario: &Self, world: &World| world.outcomes_are_true(scenario)),
            Property::always("exactly once, at QoS 2", |scenario: &Self, world: &World| {
                world.is_exactly_once(scenario)
            }),
            Property::always("in order", |scenario: &Self, world: &World| world.is_in_order(scenario)),
            Property::always("what is in hand is bounded", |scenario: &Self, world: &World| world.is_bounded(scenario)),
            Property::always("with a working broker everything ends", |scenario: &Self, world: &World| {
                world.fault.is_some() || world.clone().ends(scenario)
            }),
            Property::sometimes("everything was done", |scenario: &Self, world: &World| {
                world.client.commands.len() == scenario.commands.len()
                    && world.client.commands.iter().all(|(_, fate)| *fate == Fate::Success)
                    && (0..scenario.incoming.len())
                        .all(|index| scenario.message(index).is_some_and(|(name, _)| world.times_handed(name) > 0))
            }),
        ]
    }
}

impl World {
    /// For a reader of a way that went wrong.
    pub fn line(&self) -> String {
        let fault = self.fault.map_or(String::new(), |fault| format!(" FAULT {fault}"));
        format!("{}\n    up {:?} down {:?}{fault}", self.client.line(), self.up, self.down)
    }

    /// `None`: it cannot be taken now.
    fn step(&mut self, scenario: &Scenario, action: Action) -> Option<()> {
        match action {
            Action::Command => {
                let (name, command) = scenario.command(self.begun.into())?;
                if scenario.come_round {
                    self.client.come_round();
                }
                match command {
                    Command::Publish(qos) => self.client.publish(name, qos)?,
                    Command::Subscribe => self.client.subscribe(name)?,
                }
                self.begun += 1;
            }
            Action::Message => {
                let (name, qos) = scenario.message(self.sent.into())?;
                if !self.broker.may_send(RECEIVE_MAXIMUM) {
                    return None;
                }
                self.broker.send(name, qos, &mut self.down);
                self.sent += 1;
            }
            Action::Transmit => self.up.push_back(self.client.transmit(scenario.version)?),
            Action::BrokerTakes { refuse } => {
                let packet = self.up.pop_front()?;
                self.budget.refusals -= u8::from(refuse);
                let maximum = scenario.receive_maximum.into();
                let taken = self.broker.take(packet, refuse, maximum, &mut self.down);
                self.note(taken);
            }
            Action::ClientTakes => {
                let packet = self.down.pop_front()?;
                match self.client.receive(packet, scenario) {
                    Ok(false) => return None,
                    Ok(true) => {}
                    Err(fault) => self.note(Err(fault)),
                }
            }
            Action::Cut => {
                self.budget.cuts -= 1;
                self.cut();
            }
            Action::Forget => {
                self.budget.forgets -= 1;
                self.broker.forget();
            }
            Action::Reconnect => {
                self.up.push_back(self.client.connect(scenario));
                self.joined = true;
            }
            Action::Acknowledge(index) => self.client.acknowledge(index),
            Action::Durable => self.client.record_durable(),
            Action::RecordFails => {
                self.budget.failures -= 1;
                self.client.record_failed();
            }
            Action::Crash { more } => {
                self.budget.crashes -= 1;
                self.cut();
                // Who dies before it has noted that a session began cannot tell it from the one before, and nor can MQTT: that
                // this does no harm is not claimed.
                if self.client.crash(scenario, more) {
                    self.broker.forget();
                }
            }
            Action::Repeat(index) => {
                self.budget.repeats -= 1;
                self.down.push_back(self.broker.repeat(index));
            }
        }
        Some(())
    }

    fn cut(&mut self) {
        // A CONNACK that would have said that the session was lost, and is lost itself: the next one says "session present" of a
        // session that the client never had. MQTT has no means against it, so that it does no harm is not claimed.
        if self.down.contains(&FromBroker::Connack { present: false }) {
            self.broker.forget();
        }
        self.joined = false;
        self.up.clear();
        self.down.clear();
        self.broker.cut();
        self.client.lost();
    }

    fn note(&mut self, result: Result<(), &'static str>) {
        self.fault = self.fault.or(result.err());
    }

    fn times_published(&self, name: u8) -> usize {
        self.broker.published.iter().filter(|published| **published == name).count()
    }

    fn times_handed(&self, name: u8) -> usize {
        self.client.handed.iter().filter(|(handed, _)| *handed == name).count()
    }

    /// A receipt tells the truth.
    fn outcomes_are_true(&self, scenario: &Scenario) -> bool {
        self.client.commands.iter().all(|(name, fate)| {
            let times = self.times_published(*name);
            match fate {
                Fate::Success => {
                    times > 0
                        || scenario
                            .command(usize::from(name - b'A'))
                            .is_some_and(|(_, command)| command == Command::Subscribe)
                }
                Fate::Refused => self.broker.refused.contains(name),
                Fate::NotSent | Fate::StoreFailed | Fate::Forgotten => times == 0,
                Fate::Unknown | Fate::Open { .. } => true,
            }
        })
    }

    fn is_exactly_once(&self, scenario: &Scenario) -> bool {
        let ours = (b'A'..).take(scenario.commands.len());
        let theirs = (b'a'..).take(scenario.incoming.len());
        ours.filter(|name| scenario.qos_of(*name) == 2 && !scenario.republish).all(|name| self.times_published(name) <= 1)
            && theirs.filter(|name| scenario.qos_of(*name) == 2).all(|name| self.times_handed(name) <= 1)
            // A delivery number names one message.
            && self.client.handed.iter().enumerate().all(|(index, (name, number))| {
                number.is_none() || self.client.handed.iter().skip(index + 1).all(|other| other.1 != *number || other.0 == *name)
            })
    }

    /// By QoS, both ways; only the first time counts. A message that could not be recorded comes later.
    fn is_in_order(&self, scenario: &Scenario) -> bool {
        let handed = self.client.handed.iter().filter(|_| self.client.failures == 0);
        let handed: Vec<u8> = handed.map(|(name, _)| *name).collect();
        [&self.broker.published, &handed].into_iter().all(|names| {
            [1, 2].into_iter().all(|qos| {
                let mut highest = 0;
                names.iter().enumerate().filter(|(_, name)| scenario.qos_of(**name) == qos).all(|(index, name)| {
                    let first = !names[..index].contains(name);
                    let right = !first || *name > highest;
                    highest = highest.max(*name);
                    right
                })
            })
        })
    }

    /// The Server's quota bounds what the application has and has not acknowledged; on a new connection it begins anew.
    fn is_bounded(&self, scenario: &Scenario) -> bool {
        self.budget != scenario.budget || self.client.tokens.len() <= RECEIVE_MAXIMUM
    }

    /// From here on nothing goes wrong: every command has its outcome, every message arrives, and nobody owes anything.
    fn ends(&mut self, scenario: &Scenario) -> bool {
        self.budget = Budget::default();
        // 3.1.1 cannot refuse a message that could not be recorded: it comes again on the next connection.
        let mut cut = self.client.failures == 0;
        for _ in 0..200 {
            let mut moved = false;
            let steps = [
                Action::Reconnect,
                Action::Durable,
                Action::Acknowledge(0),
                Action::Message,
                Action::Transmit,
                Action::BrokerTakes { refuse: false },
                Action::ClientTakes,
            ];
            for action in steps {
                let can = match action {
                    Action::Reconnect => !self.joined,
                    Action::Durable => self.client.undurable() > 0,
                    Action::Acknowledge(_) => !self.client.tokens.is_empty(),
                    Action::ClientTakes => self.joined && self.is_client_ready(scenario),
                    _ => self.joined,
                };
                moved |= can && self.step(scenario, action).is_some();
            }
            if !moved && !cut {
                self.cut();
                cut = true;
            } else if !moved {
                return self.fault.is_none() && self.is_settled(scenario);
            }
        }
        false
    }

    /// A packet that the client is not ready for stays on the wire.
    fn is_client_ready(&self, scenario: &Scenario) -> bool {
        self.down.front().is_some_and(|packet| self.client.clone().receive(*packet, scenario) != Ok(false))
    }

    fn is_settled(&mut self, scenario: &Scenario) -> bool {
        let all_handed = (0..usize::from(self.sent))
            .filter_map(|index| scenario.message(index))
            .all(|(name, _)| self.times_handed(name) > 0 || self.broker.excused.contains(&name));
        all_handed
            && !self.client.has_open_commands()
            && self.client.machine.session.is_idle()
            && self.broker.sent.is_empty()
            && self.outcomes_are_true(scenario)
            && self.is_exactly_once(scenario)
            && self.is_in_order(scenario)
            && self.has_whole_quota(scenario)
    }

    /// As many messages leave without an answer as the Receive Maximum allows, and no more.
    fn has_whole_quota(&mut self, scenario: &Scenario) -> bool {
        let first = self.client.commands.len();
        let wanted = usize::from(scenario.receive_maximum) + 1;
        for _ in 0..wanted {
            if self.client.publish(b'~', 2).is_none() {
                break;
            }
        }
        let given = self.client.commands.len() - first;
        while self.client.undurable() > 0 {
            self.client.record_durable();
        }
        let mut left = 0;
        while self.client.transmit(scenario.version).is_some() {
            left += 1;
        }
        left == given.min(scenario.receive_maximum.into())
    }
}
