//! What outlives a connection: the session state of §4.1.
//!
//! A Client's session state is the QoS 1 and 2 messages that it has sent and that are not completely acknowledged, and the
//! QoS 2 messages that it has received and that are not completely acknowledged. [`Session`] holds that, the identifiers,
//! and the numbers of its records, in memory that a [`Storage`] lends. Which subscriptions are to be renewed when the Server
//! loses the session is a list of its own ([`crate::SubscriptionList`]).

mod arena;
mod incoming;
mod list;
mod outgoing;
mod record;
mod storage;
pub(crate) mod stored;
mod table;

pub(crate) use incoming::Verdict;
pub use incoming::{Acknowledgement, Arrival, DeliveryNumber};
pub use outgoing::{Command, CommandOutcome, Exchange, Outcome};
pub(crate) use outgoing::{Source, Stage, Step};
pub use record::{Record, RecordTicket, RecordedMessage};
pub use storage::{ArrayStorage, Storage, StorageFull};
pub use table::{ArrayTable, Table};

use crate::connection::UsageError;
use crate::request::{Body, PublishRequest};
use crate::time::Instant;
use crate::types::{PacketIdentifier, QoS, TopicName};
use incoming::Acknowledgements;
use list::Linked;
use outgoing::Queues;
use record::PendingRecord;

/// The state that client and server share beyond a connection, MQTT 5.0 §4.1, 3.1.1 §4.1.
///
/// A new one has no state. It is used by one [`Connection`](crate::Connection) after another.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Session<S> {
    pub(crate) storage: S,
    pub(crate) queues: Queues,
    acknowledgements: Acknowledgements,
    /// The identifier given out last, if one was.
    last_identifier: Option<PacketIdentifier>,
    last_delivery: DeliveryNumber,
    /// The Server has a session of this one's, and keeps it beyond the connection: CONNACK said so, or the records, or the
    /// caller.
    pub(crate) established: bool,
    /// It is known from the caller alone: no record says so.
    expected: bool,
    durable: bool,
    pending: RecordTicket,
    last_record: u64,
    durable_up_to: u64,
    /// The record that says that the session began. Nothing is published before it is durable: after a crash in between the
    /// session would be taken for the one before.
    started: u64,
    /// Messages up to this number came in sessions before this one.
    began_after: DeliveryNumber,
}

impl<S: Storage> Session<S> {
    /// A session without state, over this storage.
    #[must_use]
    pub const fn new(storage: S) -> Self {
        Self {
            storage,
            queues: Queues::NEW,
            acknowledgements: Acknowledgements::NEW,
            last_identifier: None,
            last_delivery: DeliveryNumber(0),
            established: false,
            expected: false,
            durable: false,
            pending: RecordTicket::NONE,
            last_record: 0,
            durable_up_to: 0,
            started: 0,
            began_after: DeliveryNumber(0),
        }
    }

    /// Makes the session one with a store: it gives out records, and packets wait for theirs.
    pub const fn set_durable(&mut self, durable: bool) {
        self.durable = durable;
    }

    /// Tells whether the session has a store.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.durable
    }

    /// States that the Server may have a session although this side has no state of it, as after a restart without a store:
    /// a session present is welcome then. Without this, a session present that this side knows nothing of closes the
    /// connection, as the standard demands.
    pub const fn expect_session_present(&mut self) {
        self.expected = !self.established;
        self.established = true;
    }

    /// The memory that the session lives in.
    #[must_use]
    pub const fn storage(&self) -> &S {
        &self.storage
    }

    /// The memory that the session lives in, for what an adapter keeps beside; the session's own parts are not to be changed.
    pub const fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// How many exchanges that this side began have no outcome taken yet.
    #[must_use]
    pub fn outgoing_len(&self) -> u16 {
        self.storage.outgoing().len()
    }

    /// How many messages from the Server have an exchange that is not over.
    #[must_use]
    pub fn incoming_len(&self) -> u16 {
        self.storage.incoming().len()
    }

    /// Tells whether neither side owes the other anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.storage.outgoing().is_empty() && self.storage.incoming().is_empty()
    }

    /// Keeps a message at QoS 1 or 2 until it is acknowledged.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        body: Body<S::Payload<'_>>,
    ) -> Result<PacketIdentifier, UsageError> {
        let id = self.vacant_identifier().ok_or(UsageError::InFlightFull)?;
        let (payload, source) = match body {
            Body::Stored(payload) => (payload, None),
            Body::Source { length, key } => (S::payload_from(&[]), Some(Source { length, key, gone: false })),
        };
        stored::store_publish(&mut self.storage, id, request.topic, request.properties, payload)?;
        if !self.begin(id, Stage::Publish(request.qos)) {
            self.storage.release(id);
            return Err(UsageError::InFlightFull);
        }
        let record = self.pend(PendingRecord::Published(id));
        if let Some(exchange) = self.storage.outgoing_mut().get_mut(id) {
            exchange.retain = request.retain;
            exchange.alias = request.topic_alias;
            exchange.expires_at = now.deadline_in(request.message_expiry_interval);
            exchange.source = source;
            exchange.record = record;
        }
        Ok(id)
    }

    /// Begins a SUBSCRIBE or UNSUBSCRIBE whose text is stored.
    pub(crate) fn accept_request(&mut self, id: PacketIdentifier, stage: Stage) -> Result<(), UsageError> {
        if self.begin(id, stage) {
            return Ok(());
        }
        self.storage.release(id);
        Err(UsageError::InFlightFull)
    }

    /// Tells whether there is a record that was not polled: the call before is not finished.
    #[must_use]
    pub const fn has_pending_record(&self) -> bool {
        self.pending.number != 0
    }

    /// Tells whether the Server may have a session under this Client Identifier; an empty one stands for that of before.
    pub(crate) fn is_known_as(&self, client_identifier: &str) -> bool {
        self.established && !self.is_other(client_identifier)
    }

    /// Tells whether the state here is that of another Client Identifier.
    fn is_other(&self, client_identifier: &str) -> bool {
        let known = self.storage.client_identifier();
        !known.is_empty() && !client_identifier.is_empty() && client_identifier != known
    }

    /// A new connection begins with this Client Identifier; an empty one stands for that of before. It is the key of the state
    /// [MQTT-3.1.3-2]: state of another identifier is not carried over.
    pub(crate) fn begin_connection(
        &mut self,
        client_identifier: &str,
        clean: bool,
        republish_exactly_once: bool,
    ) -> Result<(), UsageError> {
        let other = self.is_other(client_identifier);
        if !client_identifier.is_empty() {
            self.storage.set_client_identifier(client_identifier)?;
        }
        self.requeue_sent();
        self.forget_acknowledgements();
        if other {
            self.established = false;
            self.restart_outgoing(republish_exactly_once);
        }
        if other || clean {
            self.forget_arrivals();
        }
        Ok(())
    }

    /// CONNACK says that the Server has no session of ours [MQTT-3.2.2-5].
    pub(crate) fn start_anew(&mut self, republish_exactly_once: bool) {
        self.forget_arrivals();
        self.restart_outgoing(republish_exactly_once);
        self.expected = false;
        self.began_after = self.last_delivery;
        self.started = self.pend(PendingRecord::SessionStarted);
    }

    /// CONNACK says that the Server has a session. Where this side knew of none (3.1.1 lets it be), or only from the caller, its
    /// records begin here.
    pub(crate) fn resume(&mut self) {
        if !self.established || self.expected {
            self.expected = false;
            self.started = self.pend(PendingRecord::SessionStarted);
        }
    }

    /// The record of this ticket could not be made durable. The connection lives: a publish fails with
    /// [`Outcome::StoreFailed`], a message from the Server counts as not received, any other record is due again as long as what it
    /// says is true.
    ///
    /// `v5`: the version of the connection there is now.
    pub(crate) fn fail_record(&mut self, ticket: RecordTicket, v5: bool) {
        match ticket.kind {
            PendingRecord::Published(id) => {
                if self.exchange(id).is_some_and(|exchange| exchange.record == ticket.number) {
                    self.end_exchange(id, Outcome::StoreFailed);
                }
            }
            PendingRecord::Received(id) => self.arrival_record_failed(id, ticket.number, v5),
            // It gets a new number: those that come behind it may be durable before it is.
            kind => {
                if self.is_due_again(ticket) {
                    let record = self.pend(kind);
                    self.await_record(kind, record);
                }
            }
        }
    }

    /// Confirms that the application has taken a message over that came again after a crash, from its record, with this number:
    /// its token died with the program.
    ///
    /// # Errors
    /// `RecordPending`.
    pub fn confirm(&mut self, delivery: DeliveryNumber) -> Result<(), UsageError> {
        if self.has_pending_record() {
            return Err(UsageError::RecordPending);
        }
        self.pend(PendingRecord::Confirmed(delivery));
        Ok(())
    }

    /// Ends every publish that was never sent and whose expiry has passed, with [`Outcome::Expired`]; tells whether there was
    /// one. What is published anew, since the Server has lost the session in which it was sent, ends so with
    /// [`Outcome::Unknown`]. Otherwise that is found out when its turn comes, which without a connection may be late.
    ///
    /// It looks at all publishes that wait. While some have a Message Expiry Interval, call it every second or so.
    pub fn expire(&mut self, now: Instant) -> bool {
        let mut expired = false;
        let mut next = self.queues.publishes.first();
        while let Some((id, exchange)) = next.and_then(|id| Some((id, self.exchange(id)?))) {
            next = exchange.link().next();
            if exchange.is_expired(now) {
                let outcome = exchange.expiry();
                self.end_exchange(id, outcome);
                expired = true;
            }
        }
        expired
    }

    /// Ends the session on this side: every command gets its outcome, told by [`poll_outcome`](Self::poll_outcome).
    pub fn end(&mut self) {
        self.end_all();
        self.forget_arrivals();
        self.established = false;
    }

    /// Tells whether the record of a publish is durable, or there is none to wait for: with a store the message is accepted from
    /// then on.
    #[must_use]
    pub fn is_recorded(&self, id: PacketIdentifier) -> bool {
        self.exchange(id).is_none_or(|exchange| self.may_leave(exchange.record))
    }

    /// The oldest publish at QoS 1 or 2 that was never sent.
    #[must_use]
    pub fn next_unsent(&self) -> Option<PacketIdentifier> {
        // Those to be sent again come first.
        let mut next = self.queues.publishes.first();
        while let Some(exchange) = next.and_then(|id| self.exchange(id)).filter(|exchange| exchange.was_published()) {
            next = exchange.link().next();
        }
        next
    }

    /// The topic of a publish at QoS 1 or 2 that was never sent; `None` for every other exchange.
    #[must_use]
    pub fn unsent_topic(&self, id: PacketIdentifier) -> Option<TopicName<'_>> {
        let exchange = self.exchange(id)?;
        if exchange.was_published() || !matches!(exchange.stage, Stage::Publish(_)) {
            return None;
        }
        Some(stored::publish(self.storage.head(id))?.0)
    }

    /// The QoS of a publish that has no outcome yet.
    #[must_use]
    pub fn publish_qos(&self, id: PacketIdentifier) -> Option<QoS> {
        match self.exchange(id)?.stage {
            Stage::Publish(qos) => Some(qos),
            Stage::AwaitPubcomp => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}
