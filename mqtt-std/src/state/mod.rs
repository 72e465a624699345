//! What handles and the driver share, behind one lock that is never held across a wait.

mod counting;
mod deadlines;
mod deliver;
mod durable;
mod inbound;
mod later;
mod publish;
mod replies;
mod sources;
mod subscribe;
mod transmit;
mod waiting;

pub(crate) use deadlines::Unsent;
pub(crate) use deliver::Stalled;
pub(crate) use durable::{Durable, Recorded};
pub(crate) use later::{Later, Locked};
pub(crate) use publish::Accepted;
pub(crate) use replies::{Published, Requested};

use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mqtt_core::{Command, Instant, Outcome, PacketIdentifier, UsageError};
use tokio::sync::{Notify, oneshot};

use crate::contain::contain;
use crate::delivery::{Early, Routes, Tickets};
use crate::driver::Outbox;
use crate::error::Error;
use crate::machine::Machine;
use crate::options::{Farewell, Options, Overflow};
use crate::payload::{Inbound, Sources};
use crate::statistics::Counters;
use replies::Replies;
use waiting::Waiting;

/// The lock and the signals around it.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// Room was made for a command that waits.
    room: Notify,
    /// Who waits for room in the queue of QoS 0, one at a time, in the order in which they came.
    pub(crate) queue_turn: Turn,
    /// Who waits for room in the session, as above.
    pub(crate) session_turn: Turn,
    /// Everything is over.
    pub(crate) ended: Notify,
    /// The store is closed.
    store_ended: Notify,
}

/// Those who wait for room do so one behind the other, so that nobody who comes later is served first.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    first: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

/// Counts one that waits, as long as it lives.
struct Waits<'a>(&'a AtomicUsize);

impl Turn {
    /// Tells whether somebody waits.
    pub(crate) fn is_taken(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn wait(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(&self.waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Told how a re-authentication has ended.
pub(crate) type Reauthentication = oneshot::Sender<Result<(), Error>>;

/// The machine's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn microseconds(self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// That moment, rounded up to a millisecond.
    pub(crate) fn of(self, moment: tokio::time::Instant) -> Instant {
        let nanos = moment.saturating_duration_since(self.epoch).as_nanos();
        Instant::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    pub(crate) fn at(self, moment: Instant) -> tokio::time::Instant {
        self.epoch + Duration::from_millis(moment.as_millis())
    }
}

pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) outbox: Outbox,
    /// Messages at QoS 0 that wait for a connection, or behind a large payload.
    waiting: Waiting,
    overflow: Overflow,
    /// The latest publish at QoS 1 or 2 of each topic, where only that is wanted; some are over.
    latest: HashMap<Box<str>, PacketIdentifier>,
    pub(crate) replies: Replies,
    pub(crate) sources: Sources,
    /// How long a source, or a full stream, may hold up the connection.
    stall_timeout: Duration,
    pub(crate) routes: Routes,
    /// A message that some full streams have not taken yet. It was received, so it outlives the connection.
    pub(crate) stalled: Option<Stalled>,
    /// A stream was full for too long: the connection is to be given up.
    pub(crate) overrun: bool,
    /// The message that the connection is in the middle of.
    pub(crate) inbound: Option<Inbound>,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) early: Early,
    /// Filters whose streams are gone, until there is room for the UNSUBSCRIBE.
    unwanted: Vec<Box<str>>,
    keep_session: bool,
    /// With a store.
    pub(crate) durable: Option<Durable>,
    /// When messages are looked at for their expiry next; only while some may wait that have one.
    expiry_check: Option<Instant>,
    pub(crate) statistics: Counters,
    /// The basis for Response Topics that the broker gave, of the latest connection.
    pub(crate) response_information: Option<Box<str>>,
    /// Who waits for a re-authentication.
    pub(crate) reauthentications: Vec<Reauthentication>,
    driver: Option<Waker>,
    /// What is left for when the lock is free.
    pub(crate) later: Later,
    pub(crate) shutdown: Option<tokio::time::Instant>,
    /// What DISCONNECT says then.
    farewell: Farewell,
    pub(crate) closed: bool,
    /// Messages at QoS 0 from a source that the end of the last connection cut.
    cut_at_end: usize,
    /// Messages that had no outcome when everything was over.
    pub(crate) undelivered_at_end: usize,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Arc<Self> {
        let mut machine = Machine::of(options);
        if options.expect_session {
            machine.expect_session_present();
        }
        let state = State {
            machine,
            outbox: Outbox::default(),
            waiting: Waiting::new(options.queue),
            overflow: options.queue.overflow,
            latest: HashMap::new(),
            replies: Replies::default(),
            sources: Sources::new(options.sources.clone()),
            stall_timeout: options.stall_timeout,
            routes: Routes::new(options.first_match),
            stalled: None,
            overrun: false,
            inbound: None,
            tickets: Tickets::new(usize::from(options.in_flight).max(WAITING), options.storage),
            early: Early::new(options.keep_session),
            unwanted: Vec::new(),
            keep_session: options.keep_session,
            durable: None,
            expiry_check: None,
            statistics: Counters::default(),
            response_information: None,
            reauthentications: Vec::new(),
            driver: None,
            later: Later::default(),
            shutdown: None,
            farewell: options.farewell.clone(),
            closed: false,
            cut_at_end: 0,
            undelivered_at_end: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock: Clock { epoch: tokio::time::Instant::now() },
            room: Notify::new(),
            queue_turn: Turn::default(),
            session_turn: Turn::default(),
            ended: Notify::new(),
            store_ended: Notify::new(),
        })
    }

    /// A panic elsewhere leaves the state as a call of the machine left it: whole.
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The same time as [`now`](Self::now), to be counted with.
    pub(crate) fn microseconds(&self) -> u64 {
        self.clock.microseconds()
    }

    pub(crate) fn at(&self, moment: Instant) -> tokio::time::Instant {
        self.clock.at(moment)
    }

    /// Changes the state, then wakes the driver if it sleeps.
    pub(crate) fn command<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.now();
        self.change(|state, _| change(state, now))
    }

    /// As [`command`](Self::command), for those who seldom need the time: reading it costs more than the lock.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Clock) -> T) -> T {
        let (value, waker) = {
            let mut state = self.lock();
            let value = change(&mut state, self.clock);
            (value, state.driver.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        value
    }

    /// Wakes those who wait for room.
    pub(crate) fn room_was_made(&self) {
        // Theirs is code of the application.
        let _ = contain(|| self.room.notify_waiters());
    }

    /// Changes the state once there is room for it: `change` says `None` as long as there is none. Those who wait take turns,
    /// so that nobody who comes later is served first. May be dropped: nothing has changed then.
    pub(crate) async fn when_room<T>(
        &self,
        turn: &Turn,
        mut change: impl FnMut(&mut State, Clock) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        // Mostly there is room, and nobody to wait for.
        if !turn.is_taken() {
            if let Some(value) = self.change(&mut change)? {
                return Ok(value);
            }
        }
        let _waits = turn.wait();
        let _turn = turn.first.lock().await;
        loop {
            let mut room = core::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if let Some(value) = self.change(&mut change)? {
                return Ok(value);
            }
            room.await;
        }
    }

    /// The end has begun: nothing more is accepted.
    pub(crate) fn refuse(&self) {
        self.lock().shutdown.get_or_insert_with(tokio::time::Instant::now);
    }

    /// The end: every wait resolves.
    pub(crate) fn close(&self) {
        let now = self.now();
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.closed = true;
        state.undelivered_at_end = state.undelivered();
        // What is in a store goes on with the next client.
        if !state.close_store(now) {
            state.machine.end_session();
            state.resolve_outcomes();
        }
        let sources = state.sources.take();
        state.later.sources.extend(sources);
        state.give_up_queue();
        let (wakers, requests) = state.replies.close();
        state.later.wakers.extend(wakers);
        state.later.given_up = Some(requests);
        state.later.reauthentications = core::mem::take(&mut state.reauthentications);
        state.clear_outbox();
        state.hand_over_stalled();
        state.cut_inbound();
        let keep = state.keep_session;
        let State { routes, later, .. } = &mut *state;
        routes.close(keep, later);
        state.machine.end_notes();
        drop(state);
        self.room_was_made();
        let _ = contain(|| self.ended.notify_waiters());
    }
}

impl State {
    pub(crate) fn set_driver(&mut self, waker: &Waker) {
        if !self.driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.later.forgotten.extend(self.driver.replace(waker.clone()));
        }
    }

    /// When [`expire`](Self::expire) has work.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry_check.into_iter().chain(self.replies.deadlines.first()).min()
    }

    /// Ends what was not sent by its deadline; and what has expired, once in a while: a message has seconds to live, and looking
    /// at all that wait takes time.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(unsent) = self.replies.deadlines.due(now) {
            self.take_back(unsent, Outcome::Expired);
        }
        if self.expiry_check.is_none_or(|at| now < at) {
            return;
        }
        self.machine.expire(now);
        let waiting = self.machine.session().outgoing_len() > 0;
        self.expiry_check = waiting.then(|| now.plus_millis(EXPIRY_CHECK));
    }

    /// Tells whether it is a lack of room that outcomes mend.
    fn passes(&self, error: UsageError) -> bool {
        let session = self.machine.session();
        session.outgoing_len() > 0
            && match error {
                UsageError::InFlightFull => true,
                // What is larger than all of it never fits.
                UsageError::StorageFull(full) => full.needed <= session.storage().limit(),
                _ => false,
            }
    }

    /// Tells those who wait what became of their commands. Returns whether something is asked for anew, and to be sent.
    pub(crate) fn resolve_outcomes(&mut self) -> bool {
        let mut anew = false;
        while let Some(ended) = self.machine.poll_outcome() {
            // Its record does not depend on the time.
            self.take_record(Instant::from_millis(0));
            if let Some(durable) = &mut self.durable {
                durable.is_over(ended.packet_identifier, false);
            }
            let (id, outcome) = (ended.packet_identifier, ended.outcome);
            self.later.sources.extend(self.sources.remove(id));
            match ended.command {
                Command::Publish => {
                    self.statistics.unanswered(id);
                    // What was taken back is told already.
                    if outcome != Outcome::NotSent || self.replies.has(id) {
                        self.statistics.ended(outcome);
                    }
                    self.later.wakers.extend(self.replies.published(id, Err(outcome)));
                }
                Command::Subscribe if self.ask_plainly(id, outcome) => anew = true,
                Command::Subscribe | Command::Unsubscribe => {
                    self.later.due.extend(self.replies.unanswered(id, outcome));
                }
            }
        }
        anew
    }

    /// What takes room that others may wait for: exchanges, bytes, places in the queue, the outbox.
    pub(crate) fn load(&self) -> Load {
        let session = self.machine.session();
        let (exchanges, bytes) = (session.outgoing_len(), session.storage().used());
        Load { exchanges, bytes, queued: self.waiting.len(), outbox_is_full: !self.outbox.has_room() }
    }

    /// Messages that have no outcome yet.
    pub(crate) fn undelivered(&self) -> usize {
        let restored = self.durable.as_ref().map_or(0, Durable::open_publishes);
        restored + self.replies.open_publishes() + self.waiting.len() + self.cut_at_end
    }

    /// Tells whether everything was sent and answered.
    pub(crate) fn is_drained(&self) -> bool {
        self.machine.session().outgoing_len() == 0 && self.waiting.is_empty() && self.outbox.is_empty()
    }
}

/// See [`State::load`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    exchanges: u16,
    bytes: usize,
    queued: usize,
    outbox_is_full: bool,
}

impl Load {
    /// Tells whether there is more room than at `before`, of whatever kind.
    pub(crate) const fn is_lighter_than(self, before: Self) -> bool {
        self.exchanges < before.exchanges
            || self.bytes < before.bytes
            || self.queued < before.queued
            || before.outbox_is_full && !self.outbox_is_full
    }
}

/// Milliseconds between two looks at what may have expired.
const EXPIRY_CHECK: u64 = 1_000;

/// At least so many messages may wait beyond the capacity of streams; beyond that nothing is read.
const WAITING: usize = 1024;
