//! What handles and the driver share, behind one lock that is never held across a wait.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mqtt_core::{
    Body, ConnectOptions, EncodeError, Instant, Machine, Property, PublishRequest, QoS, ReasonCode, SubscribeRequest,
    Subscription, TransmitPayload, UnsubscribeRequest, UsageError,
};
use tokio::sync::{Notify, oneshot};

use crate::error::Error;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::publish::Publication;
use crate::replies::{Answer, Answers, Replies};
use crate::routes::Routes;
use crate::storage::{HeapAliases, HeapStorage, HeapSubscriptions};

/// The lock and the signals around it.
pub(crate) struct Shared {
    state: Mutex<State>,
    epoch: tokio::time::Instant,
    /// Room was made for a publish that waits.
    pub(crate) room: Notify,
    /// Everything is over.
    pub(crate) ended: Notify,
}

pub(crate) struct State {
    pub(crate) machine: Machine<HeapStorage, HeapAliases, HeapSubscriptions>,
    pub(crate) outbox: Outbox,
    /// Messages at QoS 0 that wait for a connection, or behind a large payload.
    queue: VecDeque<Publication>,
    queue_limit: usize,
    pub(crate) replies: Replies,
    pub(crate) routes: Routes,
    pub(crate) statistics: Statistics,
    driver: Option<Waker>,
    pub(crate) shutdown: Option<tokio::time::Instant>,
    pub(crate) closed: bool,
    /// Messages that had no outcome when everything was over.
    pub(crate) undelivered_at_end: usize,
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
            statistics: Statistics::default(),
            driver: None,
            shutdown: None,
            closed: false,
            undelivered_at_end: 0,
        };
        let epoch = tokio::time::Instant::now();
        Arc::new(Self { state: Mutex::new(state), epoch, room: Notify::new(), ended: Notify::new() })
    }

    /// A panic elsewhere leaves the state as a call of the machine left it: whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The end: every wait resolves.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.undelivered_at_end = state.undelivered();
        state.machine.session.end();
        state.resolve_outcomes();
        state.replies = Replies::default();
        state.queue.clear();
        state.routes.close();
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
            return self.publish_at_most_once(&request, publication);
        }
        match self.machine.publish(now, &request, Body::Stored(publication.payload.clone())) {
            Ok(id) => {
                self.statistics.published += 1;
                Ok(Some(Some(self.replies.of_publish(id))))
            }
            Err(UsageError::InFlightFull) => Ok(None),
            // It may fit later, unless it never can.
            Err(UsageError::StorageFull(_)) if !self.machine.session.is_idle() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        publication: &Publication,
    ) -> Result<Option<Option<oneshot::Receiver<Answer>>>, Error> {
        let direct = self.machine.is_connected() && self.queue.is_empty() && self.outbox.has_room();
        if direct {
            self.send_at_most_once(request, &publication.payload)?;
        } else if self.queue.len() < self.queue_limit {
            self.queue.push_back(publication.clone());
        } else {
            return Ok(None);
        }
        self.statistics.published += 1;
        Ok(Some(None))
    }

    fn send_at_most_once(&mut self, request: &PublishRequest<'_>, payload: &Bytes) -> Result<(), UsageError> {
        let machine = &mut self.machine;
        let transmit = self.outbox.encode(|out| match machine.publish_at_most_once(request, Ok(payload), out) {
            Ok(transmit) => Ok((Ok(transmit), transmit.head_len)),
            Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => Err(error),
            Err(error) => Ok((Err(error), 0)),
        });
        if transmit??.payload == TransmitPayload::Given {
            self.outbox.set_payload(payload.clone());
        }
        Ok(())
    }

    pub(crate) fn subscribe(&mut self, filters: &[Subscription<'_>]) -> Result<oneshot::Receiver<Answers>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        let id = self.machine.subscribe(&SubscribeRequest::new(filters))?;
        Ok(self.replies.of_request(id))
    }

    /// Without a wait for the answer: the stream is gone.
    pub(crate) fn unsubscribe(&mut self, filter: &str) {
        let Ok(filter) = mqtt_core::TopicFilter::new(filter) else { return };
        if let Err(error) = self.machine.unsubscribe(&UnsubscribeRequest::new(&[filter])) {
            tracing::warn!(%error, "cannot unsubscribe");
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
                Ok(None) => match self.queue.pop_front() {
                    Some(publication) if self.machine.is_connected() => self.send_queued(&publication),
                    Some(publication) => {
                        self.queue.push_front(publication);
                        return;
                    }
                    None => return,
                },
                Err(error) => {
                    tracing::error!(%error, "cannot encode");
                    return;
                }
            }
        }
    }

    /// A limit that this broker has may refuse what another would have taken.
    fn send_queued(&mut self, publication: &Publication) {
        let sent = publication.request().and_then(|request| Ok(self.send_at_most_once(&request, &publication.payload)?));
        if let Err(error) = sent {
            tracing::warn!(%error, topic = publication.topic(), "a queued message at QoS 0 was not sent");
        }
    }

    /// Tells those who wait what became of their commands; whether there was anything to tell.
    pub(crate) fn resolve_outcomes(&mut self) -> bool {
        let mut any = false;
        while let Some(ended) = self.machine.poll_outcome() {
            any = true;
            self.replies.ended(ended);
        }
        any
    }

    /// Begins a connection: CONNECT is in the outbox.
    pub(crate) fn connect(&mut self, now: Instant, options: &ConnectOptions<'_>) -> Result<(), UsageError> {
        self.outbox.clear();
        let machine = &mut self.machine;
        let written = self.outbox.encode(|out| match machine.connect(now, options, out) {
            Ok(len) => Ok((Ok(()), len)),
            Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => Err(error),
            Err(error) => Ok((Err(error), 0)),
        });
        written?
    }

    /// Ends the connection: DISCONNECT is in the outbox.
    pub(crate) fn disconnect(&mut self, session_ends: bool) {
        let v5 = self.machine.connection.version().is_v5();
        let properties: &[Property<'_>] = if session_ends && v5 { &[Property::SessionExpiryInterval(0)] } else { &[] };
        let machine = &mut self.machine;
        let written = self.outbox.encode(|out| {
            match machine.disconnect(ReasonCode::NORMAL_DISCONNECTION, properties, out) {
                Ok(len) => Ok(((), len)),
                Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => Err(error),
                Err(error) => {
                    tracing::warn!(%error, "no DISCONNECT is sent");
                    Ok(((), 0))
                }
            }
        });
        if let Err(error) = written {
            tracing::warn!(%error, "no DISCONNECT is sent");
        }
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
