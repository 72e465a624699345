//! Exchanges that this side begins: PUBLISH at QoS 1 and 2 (§4.3), SUBSCRIBE and UNSUBSCRIBE.

use super::Session;
use super::list::{Link, Linked, List};
use super::record::PendingRecord;
use super::storage::Storage;
use super::stored;
use super::table::Table;
use crate::connection::UsageError;
use crate::packet::{AckKind, TopicFilters};
use crate::request::TopicAliasUse;
use crate::time::{Deadline, Instant};
use crate::types::{PacketIdentifier, QoS, ReasonCode, TopicFilter};

/// One exchange that has no outcome yet.
///
/// ```text
/// QoS 1:      Publish --PUBACK--> done
/// QoS 2:      Publish --PUBREC--> AwaitPubcomp --PUBCOMP--> done
///                     --PUBREC, failure--> done
/// requests:   Subscribe --SUBACK--> done      Unsubscribe --UNSUBACK--> done
/// any of them, without an answer: Ended, until its outcome is taken
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Exchange {
    link: Link,
    pub(crate) stage: Stage,
    /// Of one that is ended. Apart from the stage, which is a word without it.
    outcome: Outcome,
    /// Its PUBLISH was sent at some time: sending it again is a re-delivery, with DUP [MQTT-3.3.1-1].
    pub(crate) sent: bool,
    /// Its packet was sent before: a PUBREL, so that the Server may have forgotten the exchange by now; a PUBLISH, if only in a
    /// session that the Server has lost, so that it may have arrived though it is published anew.
    pub(crate) resent: bool,
    /// Its latest packet was sent on the connection there is now.
    pub(crate) in_flight: bool,
    pub(crate) retain: bool,
    pub(crate) alias: TopicAliasUse,
    pub(crate) expires_at: Deadline,
    pub(crate) source: Option<Source>,
    /// The record that must be durable before the next packet may leave.
    pub(crate) record: u64,
}

/// A payload that is read from outside whenever it is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Source {
    pub(crate) length: u32,
    pub(crate) key: u32,
    /// It can be read no more.
    pub(crate) gone: bool,
}

/// What the exchange waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Stage {
    /// PUBLISH waits to be sent or for PUBACK (QoS 1) or PUBREC (QoS 2).
    Publish(QoS),
    /// PUBREL waits to be sent or for PUBCOMP.
    AwaitPubcomp,
    Subscribe {
        filters: u16,
    },
    Unsubscribe {
        filters: u16,
    },
    /// A SUBSCRIBE for filters whose subscriptions the Server lost.
    Renewal {
        filters: u16,
    },
    /// Its outcome waits to be taken.
    Ended(Command),
}

impl Stage {
    const fn subscribed_filters(self) -> u16 {
        match self {
            Self::Subscribe { filters } => filters,
            _ => 0,
        }
    }
}

impl Exchange {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self {
            link: Link::NONE,
            stage,
            outcome: Outcome::NotSent,
            sent: false,
            resent: false,
            in_flight: false,
            retain: false,
            alias: TopicAliasUse::None,
            expires_at: Deadline::NONE,
            source: None,
            record: 0,
        }
    }
}

impl Exchange {
    /// What was sent before is never given up [MQTT-4.3.3-7].
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        !self.sent && self.expires_at.get().is_some_and(|at| now >= at)
    }

    /// Its PUBLISH left at some time, in this session or in one that the Server has lost.
    pub(crate) const fn was_published(&self) -> bool {
        self.sent || self.resent
    }

    /// What is told of one that has expired.
    pub(crate) const fn expiry(&self) -> Outcome {
        if self.was_published() { Outcome::Unknown } else { Outcome::Expired }
    }

    /// Its payload cannot be read again.
    pub(crate) fn has_lost_source(&self) -> bool {
        cfg!(feature = "streaming") && self.source.is_some_and(|source| source.gone)
    }
}

impl Linked for Exchange {
    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }

    fn link(&self) -> Link {
        self.link
    }
}

/// The verbs that have an outcome.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Command {
    /// A publish at QoS 1 or 2.
    Publish,
    /// A subscribe.
    Subscribe,
    /// An unsubscribe.
    Unsubscribe,
}

/// What became of a command that no packet of the Server answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Outcome {
    /// It was never sent: cancelled before its turn, or the session ended.
    NotSent,
    /// It was sent, and whether the Server took it over will not be known: the Server lost the session.
    Unknown,
    /// Its expiry passed before it was sent.
    Expired,
    /// The Server that is connected now cannot take it; the limit is named. If it was sent on an earlier connection, it may
    /// have arrived there.
    Refused(UsageError),
    /// The source of its payload ended early, failed, or is gone. If it was sent on an earlier connection, it may have arrived there.
    SourceFailed,
    /// Its record could not be made durable; it was not sent.
    StoreFailed,
    /// It was given up, see [`Suspicion`](crate::Suspicion): each connection on which it was sent has died, the last ones with nothing
    /// else in flight. It may have arrived.
    GivenUp,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CommandOutcome {
    /// The identifier that the command returned; free from here on.
    pub packet_identifier: PacketIdentifier,
    /// Which verb.
    pub command: Command,
    /// What became of it.
    pub outcome: Outcome,
}

/// Queues over the table of exchanges. An exchange is on exactly one of them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Queues {
    /// PUBLISHes to send, in the order of their first sending, then of their commands [MQTT-4.6.0-1].
    pub(crate) publishes: List,
    sent_publishes: List,
    /// PUBRELs to send, in the order in which their PUBRECs arrived [MQTT-4.6.0-4].
    pub(crate) pubrels: List,
    sent_pubrels: List,
    /// SUBSCRIBEs and UNSUBSCRIBEs to send.
    pub(crate) requests: List,
    sent_requests: List,
    ended: List,
    /// PUBLISHes sent on this connection without a final answer, and all PUBRELs: what counts against the Server's
    /// Receive Maximum (§4.9).
    pub(crate) unacknowledged: u16,
    pubrel_count: u16,
    /// Filters that SUBSCRIBEs without an answer ask for.
    pub(crate) subscribing: u16,
}

impl Queues {
    pub(super) const NEW: Self = Self {
        publishes: List::NEW,
        sent_publishes: List::NEW,
        pubrels: List::NEW,
        sent_pubrels: List::NEW,
        requests: List::NEW,
        sent_requests: List::NEW,
        ended: List::NEW,
        unacknowledged: 0,
        pubrel_count: 0,
        subscribing: 0,
    };
}

/// What an acknowledgement means for the exchange it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// The exchange is complete.
    Done,
    /// The next packet is due.
    SendPubrel,
    /// No exchange waits for this; it is answered or counted, not fatal.
    Unexpected,
}

impl<S: Storage> Session<S> {
    /// An identifier for a new exchange: in increasing order, past those in use [MQTT-2.2.1-3].
    pub(crate) fn vacant_identifier(&self) -> Option<PacketIdentifier> {
        self.storage.outgoing().vacant_after(self.last_identifier.unwrap_or(PacketIdentifier::MAX))
    }

    pub(crate) fn begin(&mut self, id: PacketIdentifier, stage: Stage) -> bool {
        let request = !matches!(stage, Stage::Publish(_));
        let filters = stage.subscribed_filters();
        if !self.storage.outgoing_mut().insert(id, Exchange::new(stage)) {
            return false;
        }
        self.last_identifier = Some(id);
        self.queues.subscribing = self.queues.subscribing.saturating_add(filters);
        let queue = if request { &mut self.queues.requests } else { &mut self.queues.publishes };
        queue.push_back(self.storage.outgoing_mut(), id);
        true
    }

    pub(crate) fn exchange(&self, id: PacketIdentifier) -> Option<&Exchange> {
        self.storage.outgoing().get(id)
    }

    /// Tells whether there is such an exchange, and no outcome of it.
    pub(crate) fn is_open(&self, id: PacketIdentifier) -> bool {
        self.exchange(id).is_some_and(|exchange| !matches!(exchange.stage, Stage::Ended(_)))
    }

    pub(crate) fn is_in_flight(&self, id: PacketIdentifier) -> bool {
        self.exchange(id).is_some_and(|exchange| exchange.in_flight)
    }

    /// The first PUBREL, request and PUBLISH of the connection there is, or was, that have no answer.
    pub(crate) const fn unanswered(&self) -> [Option<PacketIdentifier>; 3] {
        let queues = &self.queues;
        [queues.sent_pubrels.first(), queues.sent_requests.first(), queues.sent_publishes.first()]
    }

    /// Of those without an answer the one whose turn comes last on another connection. Renewals do not count.
    pub(crate) fn last_unanswered(&self) -> Option<PacketIdentifier> {
        let queues = &self.queues;
        queues.sent_publishes.last().or(queues.sent_requests.last()).or(queues.sent_pubrels.last())
    }

    /// The packet that the exchange waited to send has been given out.
    pub(crate) fn mark_sent(&mut self, id: PacketIdentifier) {
        let Some(exchange) = self.storage.outgoing_mut().get_mut(id) else { return };
        exchange.in_flight = true;
        exchange.resent = exchange.sent;
        exchange.sent = true;
        let (from, to) = match exchange.stage {
            Stage::Publish(_) => {
                self.queues.unacknowledged = self.queues.unacknowledged.saturating_add(1);
                (&mut self.queues.publishes, &mut self.queues.sent_publishes)
            }
            Stage::AwaitPubcomp if cfg!(feature = "qos2") => (&mut self.queues.pubrels, &mut self.queues.sent_pubrels),
            _ => (&mut self.queues.requests, &mut self.queues.sent_requests),
        };
        from.remove(self.storage.outgoing_mut(), id);
        to.push_back(self.storage.outgoing_mut(), id);
    }

    /// PUBACK, PUBREC or PUBCOMP has arrived. A refused PUBLISH counts as acknowledged; sending it again is forbidden
    /// [MQTT-4.4.0-2]. RabbitMQ answers a QoS 2 PUBLISH of 3.1.1 with PUBACK, which is borne.
    pub(crate) fn acknowledged(
        &mut self,
        id: PacketIdentifier,
        kind: AckKind,
        reason_code: ReasonCode,
        v5: bool,
    ) -> Step {
        let Some(exchange) = self.storage.outgoing().get(id) else { return Step::Unexpected };
        match (exchange.stage, kind) {
            // The answer to a PUBLISH of the connection before may come before it is sent again.
            (Stage::Publish(_), _) if !exchange.sent => Step::Unexpected,
            (Stage::Publish(_), AckKind::Puback) if !cfg!(feature = "qos2") => {
                self.complete(id);
                Step::Done
            }
            _ if !cfg!(feature = "qos2") => Step::Unexpected,
            (Stage::Publish(QoS::ExactlyOnce), AckKind::Pubrec) if !reason_code.is_failure() => {
                self.await_pubcomp(id);
                Step::SendPubrel
            }
            // The Server repeats itself: so do we.
            (Stage::AwaitPubcomp, AckKind::Pubrec) if !reason_code.is_failure() => {
                self.repeat_pubrel(id);
                Step::SendPubrel
            }
            (Stage::Publish(QoS::ExactlyOnce) | Stage::AwaitPubcomp, AckKind::Pubrec)
            | (Stage::Publish(QoS::AtLeastOnce), AckKind::Puback)
            | (Stage::AwaitPubcomp, AckKind::Pubcomp) => {
                self.complete(id);
                Step::Done
            }
            (Stage::Publish(QoS::ExactlyOnce), AckKind::Puback) if !v5 => {
                self.complete(id);
                Step::Done
            }
            _ => Step::Unexpected,
        }
    }

    /// From now on the PUBLISH is never sent again, the PUBREL is [MQTT-4.3.3-6]; its payload is no longer needed.
    fn await_pubcomp(&mut self, id: PacketIdentifier) {
        self.storage.release(id);
        let record = self.pend(PendingRecord::PubrecReceived(id));
        let Some(exchange) = self.storage.outgoing_mut().get_mut(id) else { return };
        exchange.stage = Stage::AwaitPubcomp;
        exchange.record = record;
        let queue = if exchange.in_flight {
            &mut self.queues.sent_publishes
        } else {
            self.queues.unacknowledged = self.queues.unacknowledged.saturating_add(1);
            &mut self.queues.publishes
        };
        exchange.in_flight = false;
        exchange.sent = false; // now of the PUBREL
        queue.remove(self.storage.outgoing_mut(), id);
        self.queues.pubrels.push_back(self.storage.outgoing_mut(), id);
        self.queues.pubrel_count = self.queues.pubrel_count.saturating_add(1);
    }

    /// A record says that PUBREC had arrived before the crash; the PUBREL may have been sent.
    pub(super) fn restore_pubrel(&mut self, id: PacketIdentifier) {
        if !cfg!(feature = "qos2") {
            return;
        }
        self.unqueue(id);
        self.storage.release(id);
        let Some(exchange) = self.storage.outgoing_mut().get_mut(id) else { return };
        exchange.stage = Stage::AwaitPubcomp;
        exchange.sent = true;
        self.queues.pubrels.push_back(self.storage.outgoing_mut(), id);
        self.queues.pubrel_count = self.queues.pubrel_count.saturating_add(1);
    }

    /// A record says that a session began before the crash. What was published in one before it has an unknown outcome at
    /// QoS 2. Whether the rest was sent since is not known, so it is marked as if it had been.
    pub(super) fn restore_start(&mut self) {
        self.restart_outgoing(false);
        let mut next = self.queues.publishes.first();
        while let Some(exchange) = next.and_then(|id| self.storage.outgoing_mut().get_mut(id)) {
            exchange.sent = true;
            next = exchange.link.next();
        }
    }

    fn repeat_pubrel(&mut self, id: PacketIdentifier) {
        let Some(exchange) = self.storage.outgoing_mut().get_mut(id).filter(|exchange| exchange.in_flight) else {
            return;
        };
        exchange.in_flight = false;
        self.queues.sent_pubrels.remove(self.storage.outgoing_mut(), id);
        self.queues.pubrels.push_back(self.storage.outgoing_mut(), id);
    }

    /// The exchange is over and its outcome told; its identifier can be used again.
    pub(crate) fn complete(&mut self, id: PacketIdentifier) {
        if self.unqueue(id) {
            self.pend(PendingRecord::Completed(id));
        }
        self.storage.release(id);
        self.storage.outgoing_mut().remove(id);
    }

    /// The exchange is over, and its outcome waits to be taken; until then its identifier stays in use.
    pub(crate) fn end_exchange(&mut self, id: PacketIdentifier, outcome: Outcome) {
        let Some(exchange) = self.exchange(id) else { return };
        let command = match exchange.stage {
            Stage::Publish(_) | Stage::AwaitPubcomp => Some(Command::Publish),
            Stage::Subscribe { .. } => Some(Command::Subscribe),
            Stage::Unsubscribe { .. } => Some(Command::Unsubscribe),
            Stage::Renewal { .. } => None,
            // The first outcome stays.
            Stage::Ended(_) => return,
        };
        self.unqueue(id);
        self.storage.release(id);
        let Some((command, exchange)) = command.zip(self.storage.outgoing_mut().get_mut(id)) else {
            self.storage.outgoing_mut().remove(id);
            return;
        };
        exchange.stage = Stage::Ended(command);
        exchange.outcome = outcome;
        self.queues.ended.push_back(self.storage.outgoing_mut(), id);
    }

    /// Takes the exchange off its list; tells whether it is one that has a record.
    fn unqueue(&mut self, id: PacketIdentifier) -> bool {
        let Some(exchange) = self.storage.outgoing().get(id) else { return false };
        let (stage, in_flight) = (exchange.stage, exchange.in_flight);
        let queues = &mut self.queues;
        let (queue, publish) = match (stage, in_flight) {
            (Stage::Publish(_), false) => (&mut queues.publishes, true),
            (Stage::Publish(_), true) => (&mut queues.sent_publishes, true),
            (Stage::AwaitPubcomp, false) if cfg!(feature = "qos2") => (&mut queues.pubrels, true),
            (Stage::AwaitPubcomp, true) if cfg!(feature = "qos2") => (&mut queues.sent_pubrels, true),
            (Stage::Ended(command), _) => (&mut queues.ended, matches!(command, Command::Publish)),
            (_, false) => (&mut queues.requests, false),
            (_, true) => (&mut queues.sent_requests, false),
        };
        queues.subscribing = queues.subscribing.saturating_sub(stage.subscribed_filters());
        let pubrel = cfg!(feature = "qos2") && matches!(stage, Stage::AwaitPubcomp);
        if pubrel || in_flight && matches!(stage, Stage::Publish(_)) {
            queues.unacknowledged = queues.unacknowledged.saturating_sub(1);
        }
        if pubrel {
            queues.pubrel_count = queues.pubrel_count.saturating_sub(1);
        }
        queue.remove(self.storage.outgoing_mut(), id);
        publish
    }

    /// What became of a command that no packet of the Server answered, one a call: a lost session ends many at once.
    pub fn poll_outcome(&mut self) -> Option<CommandOutcome> {
        if self.has_pending_record() {
            return None;
        }
        let packet_identifier = self.queues.ended.first()?;
        let exchange = self.exchange(packet_identifier)?;
        let Stage::Ended(command) = exchange.stage else { return None };
        let outcome = exchange.outcome;
        self.complete(packet_identifier);
        Some(CommandOutcome { packet_identifier, command, outcome })
    }

    /// Takes back a publish that was never sent, or a request that is not in flight; tells whether it did. Its outcome is told
    /// by [`poll_outcome`](Self::poll_outcome).
    pub fn cancel(&mut self, id: PacketIdentifier) -> bool {
        let Some(exchange) = self.exchange(id) else { return false };
        let outcome = match exchange.stage {
            Stage::Publish(_) if !exchange.was_published() => Outcome::NotSent,
            Stage::Subscribe { .. } | Stage::Unsubscribe { .. } if !exchange.in_flight => {
                if exchange.sent {
                    Outcome::Unknown
                } else {
                    Outcome::NotSent
                }
            }
            _ => return false,
        };
        self.end_exchange(id, outcome);
        true
    }

    /// The source of a publish's payload can be read no more: instead of being sent, or sent again, it ends with
    /// [`Outcome::SourceFailed`]. What is in flight may still be acknowledged; what was never sent can be [cancelled](Self::cancel).
    ///
    /// Where the payload is on its way, and is not complete, that is for
    /// [`Connection::source_failed`](crate::Connection::source_failed).
    pub fn forget_source(&mut self, id: PacketIdentifier) {
        let exchange = self.storage.outgoing_mut().get_mut(id);
        if let Some(source) = exchange.and_then(|exchange| exchange.source.as_mut()) {
            source.gone = true;
        }
    }

    /// Tells whether an UNSUBSCRIBE for this filter has been sent and has no answer yet.
    pub(crate) fn is_unsubscribing(&self, filter: TopicFilter<'_>) -> bool {
        let mut next = self.queues.sent_requests.first();
        while let Some((id, exchange)) = next.and_then(|id| Some((id, self.exchange(id)?))) {
            next = exchange.link.next();
            let names = |filters: TopicFilters<'_>| filters.iter().any(|named| named == filter);
            if matches!(exchange.stage, Stage::Unsubscribe { .. })
                && stored::unsubscribe(self.storage.head(id)).is_some_and(|(_, filters)| names(filters))
            {
                return true;
            }
        }
        false
    }

    /// A new connection: what was sent on the one before is to be sent again, in the same order, before all else.
    pub(super) fn requeue_sent(&mut self) {
        let table = self.storage.outgoing_mut();
        let queues = &mut self.queues;
        for (sent, waiting) in [
            (&mut queues.sent_publishes, &mut queues.publishes),
            (&mut queues.sent_pubrels, &mut queues.pubrels),
            (&mut queues.sent_requests, &mut queues.requests),
        ] {
            let mut next = sent.first();
            while let Some(exchange) = next.and_then(|id| table.get_mut(id)) {
                exchange.in_flight = false;
                next = exchange.link.next();
            }
            waiting.prepend(table, sent);
        }
        queues.unacknowledged = queues.pubrel_count;
        // Renewals are made anew from the list of subscriptions.
        let mut next = queues.requests.first();
        while let Some((id, exchange)) = next.and_then(|id| Some((id, self.storage.outgoing().get(id)?))) {
            next = exchange.link.next();
            if matches!(exchange.stage, Stage::Renewal { .. }) {
                self.complete(id);
            }
        }
    }

    /// The Server lost the session: QoS 1 is published anew; what was sent at QoS 2 has an unknown outcome, or is published
    /// anew as well where its PUBLISH is still here and that is wanted.
    pub(super) fn restart_outgoing(&mut self, republish_exactly_once: bool) {
        while let Some(id) = self.queues.pubrels.first().filter(|_| cfg!(feature = "qos2")) {
            self.end_exchange(id, Outcome::Unknown);
        }
        let mut next = self.queues.publishes.first();
        while let Some(id) = next {
            let Some(exchange) = self.storage.outgoing_mut().get_mut(id) else { break };
            next = exchange.link.next();
            if !exchange.sent {
                continue;
            }
            if matches!(exchange.stage, Stage::Publish(QoS::AtLeastOnce)) || republish_exactly_once {
                (exchange.sent, exchange.resent) = (false, true);
            } else {
                self.end_exchange(id, Outcome::Unknown);
            }
        }
    }

    /// The session is over on this side: everything gets its outcome.
    pub(crate) fn end_all(&mut self) {
        self.requeue_sent();
        for queue in [self.queues.publishes, self.queues.pubrels, self.queues.requests] {
            let mut next = queue.first();
            while let Some(id) = next {
                let Some(exchange) = self.storage.outgoing().get(id) else { break };
                next = exchange.link.next();
                let unsent = !exchange.was_published() && !matches!(exchange.stage, Stage::AwaitPubcomp);
                self.end_exchange(id, if unsent { Outcome::NotSent } else { Outcome::Unknown });
            }
        }
    }
}
