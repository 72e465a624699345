//! The session's records: on their way to the store, and back after a restart.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mqtt_core::{
    Acknowledgement, DeliveryNumber, Instant, Message as Received, PacketIdentifier, QoS, Record, RecordTicket,
    RecordedMessage, TopicName,
};
use tokio::sync::oneshot;

use super::{Accepted, Shared, Stalled, State, Unsent};
use crate::error::Error;
use crate::message::Message;
use crate::options::Options;
use crate::store::{Journal, Loaded, Restored, Store, StoreError, Written};

/// Who waits for a record, and what became of it.
pub(crate) type Recorded = Result<(), StoreError>;

/// What a client with a store has beside.
pub(crate) struct Durable {
    journal: Arc<Journal>,
    /// The number of the latest record.
    latest: u64,
    /// All up to this number are in the store, or failed.
    written: u64,
    /// Messages at QoS 2 whose records are on their way, by number: until then their delivery numbers may come again.
    arrived: VecDeque<(u64, Message, Acknowledgement)>,
    /// Bytes of these messages, and beyond how many nothing more is read: a store is slower than a network, or does not work.
    arrived_bytes: usize,
    maximum_bytes: usize,
    /// Publishes whose records are on their way, by number.
    accepting: VecDeque<(u64, oneshot::Sender<Recorded>)>,
    /// Publishes of a program before that have no outcome yet: nobody waits for theirs.
    publishes: HashSet<PacketIdentifier>,
    restored: Restored,
    /// The store is closed.
    ended: bool,
}

impl Shared {
    /// Rebuilds the session from a store, which then keeps it. Reads all of it: call it before anything else.
    pub(crate) fn restore(self: &Arc<Self>, mut store: Box<dyn Store>, options: &mut Options) -> Result<(), Error> {
        let now = self.now();
        let mut state = self.lock();
        let mut back = Back::default();
        let mut result = Ok(());
        let loaded = store.load(&mut |record| {
            if result.is_ok() {
                result = state.machine.restore(now, record).map_err(|_| StoreError::SessionTooLarge);
                back.take(record);
            }
        })?;
        result?;
        let known = loaded.client_identifier.as_deref();
        let identifier = match known {
            Some(known) if options.client_identifier_is_generated || options.client_identifier == known => known,
            Some(_) => return Err(StoreError::OtherClient.into()),
            None if options.client_identifier_is_generated || options.client_identifier.is_empty() => {
                return Err(StoreError::NoClientIdentifier.into());
            }
            None => {
                store.claim(&options.client_identifier)?;
                options.client_identifier.as_str()
            }
        };
        options.client_identifier = identifier.to_owned();
        state.machine.set_durable(true);
        let restored = back.restored(&loaded);
        let shared = Arc::clone(self);
        let journal = Journal::start(store, move |written| shared.recorded(written)).map_err(StoreError::from)?;
        for (message, token) in back.messages.into_values() {
            let ticket = state.tickets.give_again(token);
            state.early.push_again(message, ticket);
        }
        state.durable = Some(Durable {
            journal,
            latest: 0,
            written: 0,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
            maximum_bytes: options.storage,
            accepting: VecDeque::new(),
            publishes: back.publishes,
            restored,
            ended: false,
        });
        Ok(())
    }

    /// What the store's thread tells; `None`: it is over.
    fn recorded(&self, written: Option<Written>) {
        let Some(written) = written else {
            self.command(|state, _| {
                let State { durable: Some(durable), later, .. } = &mut *state else { return };
                durable.ended = true;
                later.recorded.extend(durable.accepting.drain(..).map(|(_, sender)| (sender, None)));
                if !state.closed {
                    tracing::error!("the store panicked: the client ends");
                    state.shutdown = Some(tokio::time::Instant::now());
                }
            });
            self.store_ended.notify_waiters();
            return;
        };
        let lighter = self.command(|state, now| {
            let load = state.load();
            state.machine.records_durable(written.up_to);
            for failed in &written.failed {
                // Nothing is pending: every record is taken at once.
                let _ = state.machine.record_failed(failed.ticket);
            }
            let State { durable: Some(durable), later, .. } = state else { return false };
            durable.written = durable.written.max(written.up_to);
            if let Some(first) = written.failed.first() {
                tracing::warn!(error = %first.error, messages = written.failed.len(), "the store does not take messages");
                // They may be many: none is looked for alone.
                let failed = written.failed.iter().map(|failed| (failed.ticket.number(), failed.error));
                let failed: HashMap<_, _> = failed.collect();
                durable.arrived.retain(|(number, ..)| !failed.contains_key(number));
                durable.arrived_bytes = durable.arrived.iter().map(|(_, message, _)| message.len()).sum();
                for (number, sender) in core::mem::take(&mut durable.accepting) {
                    match failed.get(&number) {
                        Some(error) => later.recorded.push((sender, Some(Err(*error)))),
                        None => durable.accepting.push_back((number, sender)),
                    }
                }
            }
            let done = durable.accepting.partition_point(|(number, _)| *number <= written.up_to);
            later.recorded.extend(durable.accepting.drain(..done).map(|(_, sender)| (sender, Some(Ok(())))));
            state.hand_over_recorded(now);
            state.resolve_outcomes();
            state.load().is_lighter_than(load)
        });
        if lighter {
            self.room_was_made();
        }
    }

    /// Tells whether the store has ended before the client has.
    pub(crate) fn store_panicked(&self) -> bool {
        let state = self.lock();
        !state.closed && state.durable.as_ref().is_some_and(|durable| durable.ended)
    }

    /// Waits until the store, if there is one, is closed. May be dropped.
    pub(crate) async fn store_ended(&self) {
        loop {
            let mut ended = core::pin::pin!(self.store_ended.notified());
            ended.as_mut().enable();
            if self.lock().durable.as_ref().is_none_or(|durable| durable.ended) {
                return;
            }
            ended.await;
        }
    }
}

impl State {
    /// Takes the record that the last call of the machine made to the store's thread. After each call that may make one.
    pub(crate) fn take_record(&mut self, now: Instant) {
        let Some(durable) = &mut self.durable else { return };
        if let Some((ticket, record)) = self.machine.poll_record(now) {
            durable.latest = ticket.number();
            if let Err(error) = durable.journal.push(ticket, &record) {
                tracing::error!(%error, "a record cannot be encoded");
                let _ = self.machine.record_failed(ticket);
            }
        }
    }

    /// Tells when the record that was just taken is in the store; `None`: there is no store, or the message is not for it.
    pub(crate) fn when_recorded(&mut self, accepted: &Accepted) -> Option<oneshot::Receiver<Recorded>> {
        let durable = self.durable.as_mut().filter(|_| matches!(accepted, Accepted::Kept(_, Unsent::Exchange(_))))?;
        let (sender, receiver) = oneshot::channel();
        durable.accepting.push_back((durable.latest, sender));
        Some(receiver)
    }

    /// Puts the messages whose records are in the store into the streams, as long as none is full.
    pub(crate) fn hand_over_recorded(&mut self, now: Instant) {
        while self.stalled.is_none() {
            let Some(durable) = &mut self.durable else { return };
            if durable.arrived.front().is_none_or(|(number, ..)| *number > durable.written) {
                return;
            }
            let Some((_, message, token)) = durable.arrived.pop_front() else { return };
            durable.arrived_bytes = durable.arrived_bytes.saturating_sub(message.len());
            let ticket = self.tickets.give_durable(token, message.len());
            let renewed = self.machine.subscriptions().is_renewed();
            let queues = match TopicName::new(message.topic()) {
                Ok(topic) => self.routes.matching(topic, message.subscription_identifiers().filter(|_| renewed)),
                Err(_) => Some(&[][..]),
            };
            let Some(queues) = queues else { continue };
            if !queues.is_empty() {
                let patience = u64::try_from(self.stall_timeout.as_millis()).unwrap_or(u64::MAX);
                let (ticket, queues, until) =
                    (Some(ticket), queues.iter().cloned().collect(), now.plus_millis(patience));
                self.stalled = Some(Stalled { message, ticket, queues, until, patience });
                self.unstall(now);
            } else if self.early.may_wait(now) && self.tickets.may_wait() {
                self.early.push(message, ticket);
            } else {
                self.statistics.unrouted = self.statistics.unrouted.saturating_add(1);
            }
        }
    }

    /// Takes back what would be lost with the end of the client, and lets the thread end.
    pub(super) fn close_store(&mut self, now: Instant) -> bool {
        if self.durable.is_some() {
            self.acknowledge_taken(now);
            self.machine.set_durable(false);
        }
        let Self { durable: Some(durable), later, .. } = self else { return false };
        durable.journal.close();
        durable.arrived.clear();
        durable.arrived_bytes = 0;
        // What is in the store by now is not known.
        later.recorded.extend(durable.accepting.drain(..).map(|(_, sender)| (sender, None)));
        true
    }

    pub(crate) fn restored(&self) -> Restored {
        let Some(durable) = &self.durable else { return Restored::default() };
        Restored { publishes: durable.publishes.len(), messages: self.early.again(), ..durable.restored }
    }
}

impl Durable {
    /// A message at QoS 2 has arrived, which is handed over when its record is in the store.
    pub(crate) fn arrived(&mut self, message: &Received<'_>) {
        let (Some((ticket, record)), Some(token)) = (message.record(), message.acknowledgement) else { return };
        self.latest = ticket.number();
        match self.journal.push(ticket, &record) {
            Ok(()) => {
                let message = Message::new(message).with_delivery(token.delivery_number(), false);
                self.arrived_bytes = self.arrived_bytes.saturating_add(message.len());
                self.arrived.push_back((ticket.number(), message, token));
            }
            // It was decoded from the same fields.
            Err(error) => tracing::error!(%error, "a record cannot be encoded"),
        }
    }

    /// Tells whether as many bytes wait for the store as may.
    pub(crate) const fn is_behind(&self) -> bool {
        self.arrived_bytes > self.maximum_bytes
    }

    /// A message at QoS 2 was read by the application as it arrived: that it has it is all there is to record.
    pub(crate) fn streamed(&mut self, ticket: RecordTicket, token: Acknowledgement, head: &Message) {
        self.latest = ticket.number();
        let Ok(topic) = TopicName::new(head.topic()) else { return };
        let message = RecordedMessage { topic, retain: head.retain(), properties: head.properties(), payload: &[] };
        let (delivery, packet_identifier) = (token.delivery_number(), token.packet_identifier());
        if let Err(error) = self.journal.push(ticket, &Record::Received { delivery, packet_identifier, message }) {
            tracing::error!(%error, "a record cannot be encoded");
        }
    }

    /// A publish has its outcome.
    pub(crate) fn is_over(&mut self, id: PacketIdentifier, delivered: bool) {
        if !self.publishes.is_empty() && self.publishes.remove(&id) && !delivered {
            tracing::error!(%id, "a message that was stored by a program before is not delivered");
            self.restored.failed = self.restored.failed.saturating_add(1);
        }
    }

    /// Publishes of a program before that have no outcome.
    pub(crate) fn open_publishes(&self) -> usize {
        self.publishes.len()
    }
}

/// What comes back from a store, beside the session.
#[derive(Default)]
struct Back {
    /// Not confirmed, in their order.
    messages: BTreeMap<DeliveryNumber, (Message, Acknowledgement)>,
    publishes: HashSet<PacketIdentifier>,
}

impl Back {
    fn take(&mut self, record: &Record<'_>) {
        match *record {
            Record::Published { packet_identifier, .. } => {
                self.publishes.insert(packet_identifier);
            }
            Record::Completed { packet_identifier } => {
                self.publishes.remove(&packet_identifier);
            }
            Record::Received { delivery, packet_identifier, message } => {
                let token = Acknowledgement::of_record(delivery, packet_identifier);
                self.messages.insert(delivery, (again(delivery, &message), token));
            }
            Record::Confirmed { delivery } => {
                self.messages.remove(&delivery);
            }
            _ => {}
        }
    }

    fn restored(&self, loaded: &Loaded) -> Restored {
        Restored {
            publishes: self.publishes.len(),
            messages: self.messages.len(),
            failed: 0,
            cut: loaded.cut,
            skipped: loaded.skipped,
        }
    }
}

/// A message that comes again from its record.
fn again(delivery: DeliveryNumber, message: &RecordedMessage<'_>) -> Message {
    let RecordedMessage { topic, retain, properties, payload } = *message;
    let received = Received {
        topic,
        qos: QoS::ExactlyOnce,
        retain,
        dup: true,
        properties,
        payload,
        acknowledgement: None,
        record_ticket: None,
    };
    Message::new(&received).with_delivery(delivery, true)
}
