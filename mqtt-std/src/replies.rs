//! Who waits for the outcome of which command.

use std::collections::HashMap;

use mqtt_core::{Command, CommandOutcome, Outcome, PacketIdentifier, ReasonCode, ReasonCodes};
use tokio::sync::oneshot;

/// What became of a publish: the broker's answer, or the lack of one.
pub(crate) type Answer = Result<ReasonCode, Outcome>;

/// What became of a subscribe or unsubscribe: the broker's answer for each filter, or the lack of one.
pub(crate) type Answers = Result<Vec<ReasonCode>, Outcome>;

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

    pub(crate) fn published(&mut self, id: PacketIdentifier, reason: ReasonCode) {
        self.resolve_publish(id, Ok(reason));
    }

    pub(crate) fn answered(&mut self, id: PacketIdentifier, codes: ReasonCodes<'_>) {
        self.resolve_request(id, Ok(codes.iter().collect()));
    }

    pub(crate) fn ended(&mut self, ended: CommandOutcome) {
        match ended.command {
            Command::Publish => self.resolve_publish(ended.packet_identifier, Err(ended.outcome)),
            Command::Subscribe | Command::Unsubscribe => {
                self.resolve_request(ended.packet_identifier, Err(ended.outcome));
            }
        }
    }

    /// Publishes without an outcome.
    pub(crate) fn open_publishes(&self) -> usize {
        self.publishes.len()
    }

    fn resolve_publish(&mut self, id: PacketIdentifier, answer: Answer) {
        if let Some(sender) = self.publishes.remove(&id) {
            let _ = sender.send(answer); // whoever asked may have gone
        }
    }

    fn resolve_request(&mut self, id: PacketIdentifier, answers: Answers) {
        if let Some(sender) = self.requests.remove(&id) {
            let _ = sender.send(answers);
        }
    }
}
