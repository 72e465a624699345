//! Who waits for the outcome of which command.

use std::collections::HashMap;

use mqtt_core::{Command, CommandOutcome, Outcome, PacketIdentifier, ReasonCode, ReasonCodes};
use tokio::sync::oneshot;

/// What became of a publish: the broker's answer, or the lack of one.
pub(crate) type Answer = Result<ReasonCode, Outcome>;

/// What became of a subscribe or unsubscribe: the broker's answer for each filter, or the lack of one.
pub(crate) type Answers = Result<Vec<ReasonCode>, Outcome>;

/// An answer on its way to whoever asked, who may have gone.
#[derive(Debug)]
pub(crate) enum Due {
    Publish(oneshot::Sender<Answer>, Answer),
    Request(oneshot::Sender<Answers>, Answers),
}

impl Due {
    pub(crate) fn send(self) {
        match self {
            Self::Publish(sender, answer) => drop(sender.send(answer)),
            Self::Request(sender, answers) => drop(sender.send(answers)),
        }
    }
}

/// By the identifier of the exchange, which is its own until the outcome is told here.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    publishes: HashMap<PacketIdentifier, oneshot::Sender<Answer>>,
    requests: HashMap<PacketIdentifier, oneshot::Sender<Answers>>,
}

impl Replies {
    pub(crate) fn of_publish(&mut self, id: PacketIdentifier) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.publishes.insert(id, sender);
        receiver
    }

    pub(crate) fn of_request(&mut self, id: PacketIdentifier) -> oneshot::Receiver<Answers> {
        let (sender, receiver) = oneshot::channel();
        self.requests.insert(id, sender);
        receiver
    }

    /// The broker has answered a publish.
    pub(crate) fn published(&mut self, id: PacketIdentifier, reason: ReasonCode) -> Option<Due> {
        Some(Due::Publish(self.publishes.remove(&id)?, Ok(reason)))
    }

    /// The broker has answered a subscribe or unsubscribe.
    pub(crate) fn answered(&mut self, id: PacketIdentifier, codes: ReasonCodes<'_>) -> Option<Due> {
        Some(Due::Request(self.requests.remove(&id)?, Ok(codes.iter().collect())))
    }

    /// A command ended without an answer.
    pub(crate) fn ended(&mut self, ended: CommandOutcome) -> Option<Due> {
        let id = ended.packet_identifier;
        Some(match ended.command {
            Command::Publish => Due::Publish(self.publishes.remove(&id)?, Err(ended.outcome)),
            Command::Subscribe | Command::Unsubscribe => Due::Request(self.requests.remove(&id)?, Err(ended.outcome)),
        })
    }

    /// Publishes without an outcome.
    pub(crate) fn open_publishes(&self) -> usize {
        self.publishes.len()
    }
}
