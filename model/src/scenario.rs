//! What is explored: which messages there are, and how much may go wrong.

use mqtt_core::{Acknowledge, ProtocolVersion};

/// How often each thing may still go wrong.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Budget {
    /// The connection is lost, with all that is on the wire.
    pub cuts: u8,
    /// The broker loses the session while there is no connection.
    pub forgets: u8,
    /// The program dies; with a store only.
    pub crashes: u8,
    /// The broker sends a packet again on the same connection.
    pub repeats: u8,
    /// The broker refuses a message.
    pub refusals: u8,
    /// The store cannot write a record.
    pub failures: u8,
}

/// A command of the application's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    Publish(u8),
    Subscribe,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub version: ProtocolVersion,
    /// The QoS of each message that the client publishes.
    pub commands: &'static [Command],
    /// The QoS of each message that the broker sends.
    pub incoming: &'static [u8],
    pub acknowledge: Acknowledge,
    /// Messages of ours in flight.
    pub receive_maximum: u16,
    pub durable: bool,
    /// A QoS 2 message of a session that is gone is published anew, and may arrive twice then.
    pub republish: bool,
    /// Packet Identifiers begin at 65,534.
    pub wrap: bool,
    /// Between two commands as many come and go as there are identifiers.
    pub come_round: bool,
    pub budget: Budget,
}

impl Scenario {
    pub fn is_by_hand(&self) -> bool {
        self.acknowledge == Acknowledge::ByApplication
    }

    /// Names are letters: large ones are ours, small ones the broker's.
    pub fn command(&self, index: usize) -> Option<(u8, Command)> {
        Some((b'A' + u8::try_from(index).ok()?, *self.commands.get(index)?))
    }

    pub fn message(&self, index: usize) -> Option<(u8, u8)> {
        Some((b'a' + u8::try_from(index).ok()?, *self.incoming.get(index)?))
    }

    pub fn qos_of(&self, name: u8) -> u8 {
        if name.is_ascii_uppercase() {
            match self.commands[usize::from(name - b'A')] {
                Command::Publish(qos) => qos,
                Command::Subscribe => 0,
            }
        } else {
            self.incoming[usize::from(name - b'a')]
        }
    }
}
