//! What handles and the driver share, behind one lock that is never held across a wait.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt_core::{
    Body, ConnectOptions, Instant, Machine, Payload, Property, PublishRequest, QoS, ReasonCode, Renewal,
    SubscribeRequest, Subscription, SubscriptionList as _, TopicFilter, TransmitPayload, UnsubscribeRequest,
    UsageError,
};
use tokio::sync::{Notify, oneshot};

use crate::early::Early;
use crate::error::Error;
use crate::later::{Later, Locked};
use crate::message::Message;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::publish::Publication;
use crate::replies::{Answer, Answers, Replies};
use crate::routes::{Pushed, Queue, Routes};
use crate::storage::{HeapAliases, HeapStorage, HeapSubscriptions};
use crate::tickets::{Ticket, Tickets};

/// The lock and the signals around it.
pub(crate) struct Shared {
    state: Mutex<State>,
    epoch: tokio::time::Instant,
    /// Room was made for a command that waits.
    pub(crate) room: Notify,
    /// Who waits for room in the queue of QoS 0, one at a time, in the order in which they came.
    pub(crate) queue_turn: Turn,
    /// Who waits for room in the session, as above.
    pub(crate) session_turn: Turn,
    /// Everything is over.
    pub(crate) ended: Notify,
}

pub(crate) type Turn = tokio::sync::Mutex<()>;

pub(crate) struct State {
    pub(crate) machine: Machine<HeapStorage, HeapAliases, HeapSubscriptions>,
    pub(crate) outbox: Outbox,
    /// Messages at QoS 0 that wait for a connection, or behind a large payload.
    queue: VecDeque<Queued>,
    queue_limit: usize,
    pub(crate) replies: Replies,
    pub(crate) routes: Routes,
    /// A message that some full streams have not taken yet. It was received, so it outlives the connection.
    pub(crate) stalled: Option<Stalled>,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) early: Early,
    /// Filters whose streams are gone, until there is room for the UNSUBSCRIBE.
    unwanted: Vec<Box<str>>,
    keep_session: bool,
    /// When messages are looked at for their expiry next; only while some may wait that have one.
    pub(crate) expiry_check: Option<Instant>,
    pub(crate) statistics: Statistics,
    driver: Option<Waker>,
    /// What is left for when the lock is free.
    pub(crate) later: Later,
    pub(crate) shutdown: Option<tokio::time::Instant>,
    pub(crate) closed: bool,
    /// Messages that had no outcome when everything was over.
    pub(crate) undelivered_at_end: usize,
}

/// A message at QoS 0 that waits, and until when it is wanted.
struct Queued {
    publication: Publication,
    since: Instant,
    expires_at: Option<Instant>,
}

/// A message that waits for room in streams, and until when.
pub(crate) struct Stalled {
    pub(crate) message: Message,
    /// That of QoS 1 and 2, from the beginning; otherwise once it is needed.
    pub(crate) ticket: Option<Arc<Ticket>>,
    pub(crate) queues: VecDeque<Arc<Queue>>,
    pub(crate) until: Instant,
}

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received, each once.
    pub received: u64,
    /// Messages that matched no stream.
    pub unrouted: u64,
    /// Messages that a full stream did not take in time, counted for each stream.
    pub dropped: u64,
    /// Messages that were larger than the maximum packet size (3.1.1), skipped and acknowledged.
    pub skipped: u64,
    /// Messages handed to the transport or taken into the session.
    pub published: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Arc<Self> {
        let storage = HeapStorage::new(options.in_flight, options.storage);
        let mut machine = Machine::with(storage, HeapAliases::new(32, 32), HeapSubscriptions::default());
        if options.expect_session {
            machine.session.expect_session_present();
        }
        let state = State {
            machine,
            outbox: Outbox::default(),
            queue: VecDeque::new(),
            queue_limit: options.queue,
            replies: Replies::default(),
            routes: Routes::default(),
            stalled: None,
            tickets: Tickets::new(usize::from(options.in_flight).max(WAITING), options.storage),
            early: Early::new(options.keep_session),
            unwanted: Vec::new(),
            keep_session: options.keep_session,
            expiry_check: None,
            statistics: Statistics::default(),
            driver: None,
            later: Later::default(),
            shutdown: None,
            closed: false,
            undelivered_at_end: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            epoch: tokio::time::Instant::now(),
            room: Notify::new(),
            queue_turn: Turn::default(),
            session_turn: Turn::default(),
            ended: Notify::new(),
        })
    }

    /// A panic elsewhere leaves the state as a call of the machine left it: whole.
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn at(&self, moment: Instant) -> tokio::time::Instant {
        self.epoch + core::time::Duration::from_millis(moment.as_millis())
    }

    /// Changes the state, then wakes the driver if it sleeps.
    pub(crate) fn command<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.now();
        let (value, waker) = {
            let mut state = self.lock();
            let value = change(&mut state, now);
            (value, state.driver.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        value
    }

    /// Changes the state once there is room for it: `change` says `None` as long as there is none. Those who wait take turns,
    /// so that nobody who comes later is served first. May be dropped: nothing has changed then.
    pub(crate) async fn when_room<T>(
        &self,
        turn: &Turn,
        mut change: impl FnMut(&mut State, Instant) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let _turn = turn.lock().await;
        loop {
            let mut room = core::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if let Some(value) = self.command(&mut change)? {
                return Ok(value);
            }
            room.await;
        }
    }

    /// The end: every wait resolves.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.closed = true;
        state.undelivered_at_end = state.undelivered();
        state.machine.session.end();
        state.resolve_outcomes();
        state.later.given_up = Some(core::mem::take(&mut state.replies));
        state.queue.clear();
        state.hand_over_stalled();
        let keep = state.keep_session;
        let State { routes, later, .. } = &mut *state;
        routes.close(keep, later);
        drop(state);
        self.room.notify_waiters();
        self.ended.notify_waiters();
    }
}

impl State {
    pub(crate) fn set_driver(&mut self, waker: &Waker) {
        if !self.driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// Ends what has expired, once in a while: a message has seconds to live, and looking at all that wait takes time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.expiry_check.is_none_or(|at| now < at) {
            return;
        }
        self.machine.expire(now);
        let waiting = self.machine.session.outgoing_len() > 0;
        self.expiry_check = waiting.then(|| now.plus_millis(EXPIRY_CHECK));
    }

    /// Takes a message over. `Ok(None)`: no room now.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        publication: &Publication,
    ) -> Result<Option<Option<oneshot::Receiver<Answer>>>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        let request = publication.request()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(now, &request, publication);
        }
        match self.machine.publish(now, &request, Body::Stored(publication.payload.clone())) {
            Ok(id) => {
                self.statistics.published += 1;
                if request.message_expiry_interval.is_some() {
                    self.expiry_check.get_or_insert_with(|| now.plus_millis(EXPIRY_CHECK));
                }
                Ok(Some(Some(self.replies.of_publish(id))))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn publish_at_most_once(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        publication: &Publication,
    ) -> Result<Option<Option<oneshot::Receiver<Answer>>>, Error> {
        let direct = self.machine.is_connected() && self.queue.is_empty() && self.outbox.has_room();
        if direct {
            self.send_at_most_once(request, &publication.payload)?;
        } else if self.queue.len() < self.queue_limit {
            let expires_at = request.message_expiry_interval.map(|seconds| now.plus_secs(seconds));
            self.queue.push_back(Queued { publication: publication.clone(), since: now, expires_at });
        } else {
            return Ok(None);
        }
        self.statistics.published += 1;
        Ok(Some(None))
    }

    fn send_at_most_once(&mut self, request: &PublishRequest<'_>, payload: &Bytes) -> Result<(), UsageError> {
        let machine = &mut self.machine;
        let transmit = self.outbox.encode(|out| {
            let transmit = machine.publish_at_most_once(request, Payload::Bytes(payload), out)?;
            Ok((transmit, transmit.head_len))
        })?;
        if transmit.payload == TransmitPayload::Given {
            self.outbox.set_payload(payload.clone());
        }
        Ok(())
    }

    /// Asks for subscriptions, whose messages go to `queue`. `Ok(None)`: no room now.
    pub(crate) fn subscribe(
        &mut self,
        filters: &[Subscription<'_>],
        queue: &Arc<Queue>,
    ) -> Result<Option<oneshot::Receiver<Answers>>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        match self.machine.subscribe(&SubscribeRequest::new(filters)) {
            Ok(id) => {
                for filter in filters {
                    let text = filter.filter.as_str();
                    self.unwanted.retain(|unwanted| **unwanted != *text);
                    // Before the answer: a retained message comes right behind it.
                    self.routes.add(text, queue);
                    self.early.hand_over(filter.filter, queue, &mut self.later);
                }
                Ok(Some(self.replies.of_request(id)))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells whether it is a lack of room that outcomes mend.
    fn passes(&self, error: UsageError) -> bool {
        let session = &self.machine.session;
        session.outgoing_len() > 0
            && match error {
                UsageError::InFlightFull => true,
                // What is larger than all of it never fits.
                UsageError::StorageFull(full) => full.needed <= session.storage().limit(),
                _ => false,
            }
    }

    /// Without a wait for the answer: the streams are gone.
    pub(crate) fn unsubscribe(&mut self, filters: Vec<Box<str>>) {
        self.unwanted.extend(filters);
        self.send_unsubscribe();
    }

    pub(crate) fn send_unsubscribe(&mut self) {
        if self.unwanted.is_empty() {
            return;
        }
        let filters: Vec<_> = self.unwanted.iter().filter_map(|filter| TopicFilter::new(filter).ok()).collect();
        match self.machine.unsubscribe(&UnsubscribeRequest::new(&filters)) {
            Err(error) if self.passes(error) => return,
            Err(error) => tracing::warn!(%error, "cannot unsubscribe"),
            Ok(_) => {}
        }
        self.unwanted.clear();
    }

    /// Ends the streams of subscriptions that this broker, which lost the session, did not renew.
    pub(crate) fn end_refused(&mut self) {
        let list = &self.machine.subscriptions;
        let refused: Vec<_> = (0..list.len())
            .filter_map(|index| match (list.renewal(index)?, list.get(index)?) {
                (Renewal::Refused(reason), (subscription, _)) => {
                    Some((Box::<str>::from(subscription.filter.as_str()), reason))
                }
                _ => None,
            })
            .collect();
        for (filter, reason) in refused {
            tracing::warn!(%filter, %reason, "a subscription was not renewed");
            let others = self.routes.refuse(&filter, &mut self.later);
            if let Ok(filter) = TopicFilter::new(&filter) {
                self.machine.subscriptions.remove(filter);
            }
            if !others.is_empty() {
                self.unsubscribe(others);
            }
        }
    }

    /// Puts the message that is held up into the streams that have room for it.
    pub(crate) fn unstall(&mut self, now: Instant) {
        let Some(stalled) = &mut self.stalled else { return };
        // At QoS 0 only as long as the reader may wait for an acknowledgement that is behind this message.
        let answer_due = stalled.message.qos() != QoS::AtMostOnce || self.machine.session.outgoing_len() > 0;
        if answer_due && stalled.ticket.is_none() {
            stalled.ticket = Some(self.tickets.give(None, stalled.message.payload().len()));
        }
        let ticket = stalled.ticket.as_ref().filter(|_| answer_due && self.tickets.may_wait());
        let overdue = now >= stalled.until;
        let mut dropped = 0_u64;
        stalled.queues.retain(|queue| match queue.push(&stalled.message, ticket, overdue, &mut self.later) {
            Pushed::Taken => false,
            Pushed::Full => true,
            Pushed::Dropped => {
                dropped = dropped.saturating_add(1);
                false
            }
        });
        if dropped > 0 {
            tracing::warn!(topic = stalled.message.topic(), dropped, "a full stream did not take a message in time");
            self.statistics.dropped = self.statistics.dropped.saturating_add(dropped);
        }
        let free = stalled.queues.is_empty();
        self.machine.set_reading(now, free);
        if free {
            self.stalled = None;
        }
    }

    /// The end: what was received can still be read.
    fn hand_over_stalled(&mut self) {
        let Some(stalled) = self.stalled.take() else { return };
        let ticket = stalled.ticket.unwrap_or_else(|| self.tickets.give(None, 0));
        for queue in &stalled.queues {
            queue.push(&stalled.message, Some(&ticket), false, &mut self.later);
        }
    }

    /// Tells whether a full stream holds up what arrives. Until CONNACK it does not: that is not to wait for a reader.
    pub(crate) fn is_held_up(&self) -> bool {
        self.stalled.is_some() && self.machine.is_connected()
    }

    /// Acknowledges what all streams have taken, and what waits for none any longer.
    pub(crate) fn acknowledge_taken(&mut self, now: Instant) {
        self.statistics.unrouted = self.statistics.unrouted.saturating_add(self.early.expire(now));
        for token in self.tickets.take_returned() {
            // Stale: the connection is another one, and the broker sends it again or has forgotten it.
            let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
        }
    }

    /// Puts what is to be sent into the outbox, as far as it takes.
    pub(crate) fn fill_outbox(&mut self, now: Instant) {
        while self.outbox.has_room() {
            let machine = &mut self.machine;
            let transmit = self.outbox.encode(|out| {
                let transmit = machine.poll_transmit(now, out)?;
                Ok((transmit, transmit.map_or(0, |transmit| transmit.head_len)))
            });
            match transmit {
                Ok(Some(transmit)) => {
                    if let TransmitPayload::Stored(id) = transmit.payload {
                        self.outbox.set_payload(self.machine.session.storage().shared_payload(id));
                    }
                }
                Ok(None) if self.machine.is_connected() => match self.queue.pop_front() {
                    Some(queued) => self.send_queued(now, &queued),
                    None => return,
                },
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "cannot encode");
                    return;
                }
            }
        }
    }

    /// A limit that this broker has may refuse what another would have taken.
    fn send_queued(&mut self, now: Instant, queued: &Queued) {
        let Queued { publication, since, expires_at } = queued;
        if expires_at.is_some_and(|expires_at| now >= expires_at) {
            tracing::debug!(topic = publication.topic(), "a queued message at QoS 0 has expired");
            return;
        }
        let sent = publication.request().and_then(|mut request| {
            let waited = now.secs_since(*since);
            request.message_expiry_interval =
                request.message_expiry_interval.map(|seconds| seconds.saturating_sub(waited).max(1));
            Ok(self.send_at_most_once(&request, &publication.payload)?)
        });
        if let Err(error) = sent {
            tracing::warn!(%error, topic = publication.topic(), "a queued message at QoS 0 was not sent");
        }
    }

    /// Tells those who wait what became of their commands.
    pub(crate) fn resolve_outcomes(&mut self) {
        while let Some(ended) = self.machine.poll_outcome() {
            self.later.due.extend(self.replies.ended(ended));
        }
    }

    /// Begins a connection: CONNECT is in the outbox.
    pub(crate) fn connect(&mut self, now: Instant, options: &ConnectOptions<'_>) -> Result<(), UsageError> {
        self.outbox.clear();
        let machine = &mut self.machine;
        self.outbox.encode(|out| Ok(((), machine.connect(now, options, out)?)))
    }

    /// Ends the connection: DISCONNECT is in the outbox.
    pub(crate) fn disconnect(&mut self, session_ends: bool) {
        let v5 = self.machine.connection.version().is_v5();
        let properties: &[Property<'_>] = if session_ends && v5 { &[Property::SessionExpiryInterval(0)] } else { &[] };
        let machine = &mut self.machine;
        let reason = ReasonCode::NORMAL_DISCONNECTION;
        let written = self.outbox.encode(|out| Ok(((), machine.disconnect(reason, properties, out)?)));
        if let Err(error) = written {
            tracing::warn!(%error, "no DISCONNECT is sent");
        }
    }

    /// What takes room that others may wait for: exchanges, bytes, places in the queue.
    pub(crate) fn load(&self) -> Load {
        let session = &self.machine.session;
        Load { exchanges: session.outgoing_len(), bytes: session.storage().used(), queued: self.queue.len() }
    }

    /// Messages that have no outcome yet.
    pub(crate) fn undelivered(&self) -> usize {
        self.replies.open_publishes() + self.queue.len()
    }

    /// Tells whether everything was sent and answered.
    pub(crate) fn is_drained(&self) -> bool {
        self.machine.session.outgoing_len() == 0 && self.queue.is_empty() && self.outbox.is_empty()
    }
}

/// See [`State::load`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    exchanges: u16,
    bytes: usize,
    queued: usize,
}

impl Load {
    /// Tells whether there is more room than at `before`, of whatever kind.
    pub(crate) const fn is_lighter_than(self, before: Self) -> bool {
        self.exchanges < before.exchanges || self.bytes < before.bytes || self.queued < before.queued
    }
}

/// Milliseconds between two looks at what may have expired.
const EXPIRY_CHECK: u64 = 1_000;

/// At least so many messages may wait beyond the capacity of streams; beyond that nothing is read.
const WAITING: usize = 1024;
