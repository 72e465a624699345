//! Who waits for the outcome of which command.

use std::collections::HashMap;

use mqtt_core::{Command, CommandOutcome, Outcome, PacketIdentifier, Properties, ReasonCode, ReasonCodes};
use tokio::sync::oneshot;

use crate::answer::Answer;

/// What became of a publish: the broker's answer, or the lack of one.
pub(crate) type Published = Result<Answer, Outcome>;

/// What became of a subscribe or unsubscribe: the broker's answer for each filter, or the lack of one.
pub(crate) type Requested = Result<Answers, Outcome>;

/// A Reason Code for each filter, and what else the broker says.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) codes: Vec<ReasonCode>,
    whole: Answer,
}

impl Answers {
    /// The first failure, if there is one.
    pub(crate) fn refusal(&self) -> Option<Answer> {
        let refused = self.codes.iter().find(|code| code.is_failure())?;
        Some(self.whole.with_reason(*refused))
    }
}

/// An answer on its way to whoever asked, who may have gone.
#[derive(Debug)]
pub(crate) enum Due {
    Publish(oneshot::Sender<Published>, Published),
    Request(oneshot::Sender<Requested>, Requested),
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
    publishes: HashMap<PacketIdentifier, oneshot::Sender<Published>>,
    requests: HashMap<PacketIdentifier, oneshot::Sender<Requested>>,
    /// Those who wait for an UNSUBSCRIBE that there is no room for yet, and its filters.
    pub(super) farewells: Vec<(Vec<Box<str>>, oneshot::Sender<Requested>)>,
}

impl Replies {
    pub(crate) fn of_publish(&mut self, id: PacketIdentifier) -> oneshot::Receiver<Published> {
        let (sender, receiver) = oneshot::channel();
        self.publishes.insert(id, sender);
        receiver
    }

    pub(crate) fn of_request(&mut self, id: PacketIdentifier) -> oneshot::Receiver<Requested> {
        let (sender, receiver) = oneshot::channel();
        self.tell_request(id, sender);
        receiver
    }

    pub(super) fn tell_request(&mut self, id: PacketIdentifier, sender: oneshot::Sender<Requested>) {
        self.requests.insert(id, sender);
    }

    /// The broker has answered a publish.
    pub(crate) fn published(&mut self, id: PacketIdentifier, reason: ReasonCode, more: Properties<'_>) -> Option<Due> {
        Some(Due::Publish(self.publishes.remove(&id)?, Ok(Answer::new(reason, more))))
    }

    /// The broker has answered a subscribe or unsubscribe.
    pub(crate) fn answered(
        &mut self,
        id: PacketIdentifier,
        codes: ReasonCodes<'_>,
        more: Properties<'_>,
    ) -> Option<Due> {
        let sender = self.requests.remove(&id)?;
        let answers = Answers { codes: codes.iter().collect(), whole: Answer::new(ReasonCode::SUCCESS, more) };
        Some(Due::Request(sender, Ok(answers)))
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
