//! What handles and the runner share, behind one lock that is never held across a wait.
//!
//! Everything is decided here, in plain functions that are in the image once; the futures around them only wait and move bytes.
//! Those that futures call are not inlined: in one large function there are too few registers, which cost 1.3 KB of flash.

mod attempt;
mod commands;
mod way_in;
mod way_out;

use core::task::{Context, Poll, Waker};

use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use mqtt_core::{Instant, Machine, PacketIdentifier};

use attempt::Stage;
pub(crate) use attempt::{Attempts, Over, Turn};
pub(crate) use way_out::{Outgoing, copy};

use crate::durable::Unwritten;
use crate::error::{Error, Failure};
use crate::moment::Moment;
use crate::receipts;
use crate::resources::Capacities;
use crate::routes::RouteList as _;
use crate::source::Inflow;

/// The state of a client.
pub(crate) struct State<P: Capacities> {
    pub(crate) machine: Machine<P::Storage, P::Aliases, P::Routes>,
    pub(crate) inbox: P::Inbox,
    receipts: P::Receipts,
    /// Whole packets at QoS 0; the first `queued` bytes are to be sent.
    pub(crate) queue: P::Queue,
    pub(crate) queued: usize,
    /// A payload that is sent from where it is stored, and how much of it is out.
    sending: Option<(PacketIdentifier, usize)>,
    /// A payload that is read from a source; the queue has what was read.
    pub(crate) inflow: Inflow,
    /// A message at QoS 1 or 2 found no room: it and those behind it are passed over, unacknowledged. Once there is nothing more to
    /// be taken the connection is made anew, and the Server sends them again; from this moment on, once there is room.
    overflowed: Moment,
    /// So many bytes of it.
    needed: usize,
    /// The rest of a payload whose head was passed over.
    passing_over: bool,
    /// Until when what has arrived waits for room.
    stalled_until: Moment,
    /// The last message was dropped, and that was told: a flood is not told message by message.
    dropping: bool,
    /// Whom the message is for that arrives in parts.
    pub(crate) streaming: u32,
    /// The Server keeps that message until it is acknowledged.
    keeps_stream: bool,
    /// Who waits for the next part of a message whose connection is lost.
    aborted: u32,
    /// Whose messages nobody waits for.
    pub(crate) deaf: u32,
    /// Filters without a subscriber, until there is room for the UNSUBSCRIBE.
    unwanted: u32,
    /// Until when messages of a session that was there before wait for those who will subscribe to them.
    early_until: Moment,
    /// For how many milliseconds they do, and what has arrived waits for room.
    pub(crate) patience: u32,
    /// There is a store, and the session is not here yet.
    pub(crate) loading: bool,
    pub(crate) unwritten: Unwritten,
    pub(crate) status: Status,
    stage: Stage,
    /// When the stage is over, whatever comes.
    stage_until: Moment,
    /// How the attempt ends if it is over now.
    pub(crate) end: Result<(), Failure>,
    connected_at: Moment,
    shutdown: Moment,
    pub(crate) statistics: Statistics,
    runner: WakerRegistration,
    readers: P::Readers,
    waiting: MultiWakerRegistration<8>,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)] // the first one is zero: memory that begins empty takes no flash
pub enum Status {
    /// No [`Runner`](crate::Runner) has run yet, or an attempt is under way.
    Connecting,
    /// The Server has accepted the connection.
    Connected {
        /// It has resumed the session.
        session_present: bool,
    },
    /// The connection is lost, or an attempt has failed; the next one follows.
    Waiting(Failure),
    /// The client has ended.
    Closed,
}

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received, each once.
    pub received: u32,
    /// Messages for which there is no subscriber.
    pub unrouted: u32,
    /// Messages at QoS 0 that found no room in the inbox in time, or never could.
    pub dropped: u32,
    /// Messages larger than the receive buffer, skipped and acknowledged.
    pub skipped: u32,
    /// Connections that the Server accepted.
    pub connections: u32,
}

impl<P: Capacities> State<P> {
    pub(crate) const fn new(loading: bool) -> Self {
        Self {
            machine: Machine::with(P::STORAGE, P::ALIASES, P::ROUTES),
            inbox: P::INBOX,
            receipts: P::RECEIPTS,
            queue: P::QUEUE,
            queued: 0,
            sending: None,
            inflow: Inflow::NONE,
            overflowed: Moment::NONE,
            needed: 0,
            passing_over: false,
            stalled_until: Moment::NONE,
            dropping: false,
            streaming: 0,
            keeps_stream: false,
            aborted: 0,
            deaf: 0,
            unwanted: 0,
            early_until: Moment::NONE,
            patience: 0,
            loading,
            unwritten: Unwritten::Nothing,
            status: Status::Connecting,
            stage: Stage::Away,
            stage_until: Moment::NONE,
            end: Err(Failure::Transport),
            connected_at: Moment::NONE,
            shutdown: Moment::NONE,
            statistics: Statistics { received: 0, unrouted: 0, dropped: 0, skipped: 0, connections: 0 },
            runner: WakerRegistration::new(),
            readers: P::READERS,
            waiting: MultiWakerRegistration::new(),
        }
    }

    /// Handles that wait look again: for room, an answer, a message, the status.
    pub(crate) fn wake_handles(&mut self) {
        self.waiting.wake();
        wake_readers(self.readers.as_mut());
    }

    fn set_status(&mut self, status: Status) {
        self.status = status;
        self.wake_handles();
    }

    /// A handle is woken when something has changed.
    pub(crate) fn wait<T>(&mut self, waker: &Waker) -> Poll<T> {
        self.waiting.register(waker);
        Poll::Pending
    }

    /// As [`wait`](Self::wait), for the one who reads here.
    pub(crate) fn wait_as_reader<T>(&mut self, route: u8, waker: &Waker) -> Poll<T> {
        if let Some(place) = self.readers.as_mut().get_mut(usize::from(route)) {
            match place {
                Some(known) => known.clone_from(waker),
                None => *place = Some(waker.clone()),
            }
        }
        Poll::Pending
    }

    /// There is something to send, or to decide.
    pub(crate) fn wake_runner(&mut self) {
        self.runner.wake();
    }

    /// The runner is woken when something has changed.
    pub(crate) fn wait_as_runner<T>(&mut self, waker: &Waker) -> Poll<T> {
        self.runner.register(waker);
        Poll::Pending
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_closed() { Poll::Ready(()) } else { self.wait(cx.waker()) }
    }

    fn is_closed(&self) -> bool {
        matches!(self.status, Status::Closed)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() || self.shutdown != Moment::NONE { Err(Error::Closed) } else { Ok(()) }
    }

    /// Nothing more is accepted, and what was is given so long.
    pub(crate) fn shut_down(&mut self, now: Instant, milliseconds: u32) {
        if self.shutdown == Moment::NONE {
            self.shutdown = Moment::at(now.plus_millis(u64::from(milliseconds)));
        }
        self.wake_runner();
    }

    /// Tells whether everything was sent and answered, and is on record.
    fn is_drained(&mut self) -> bool {
        let session = &self.machine.session;
        let recorded = self.unwritten.get().is_none() && !session.has_pending_record();
        let idle = session.outgoing_len() == 0 && self.queued == 0 && self.sending.is_none() && !self.inflow.is_open();
        recorded && idle && !self.has_unsettled()
    }

    /// Tells those who wait what became of their commands.
    pub(crate) fn resolve_outcomes(&mut self) {
        while let Some(ended) = self.machine.poll_outcome() {
            receipts::resolve(self.receipts.as_mut(), ended.packet_identifier, Err(ended.outcome));
            self.machine.subscriptions.answer(ended.packet_identifier, Err(ended.outcome));
            self.wake_handles();
        }
    }

    /// The transport is gone: what was half-way through it is forgotten or will be sent again.
    fn transport_lost(&mut self) {
        self.sending = None;
        self.inflow.close();
        self.queued = 0;
        self.overflowed = Moment::NONE;
        self.passing_over = false;
        self.stalled_until = Moment::NONE;
        self.abort_stream();
        self.machine.transport_lost();
        self.resolve_outcomes();
        self.wake_handles();
    }
}

fn wake_readers(readers: &mut [Option<Waker>]) {
    readers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
}
