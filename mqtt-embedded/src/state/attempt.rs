//! One connection after another: how far an attempt is, what time demands, how it ends.

use core::task::{Context, Poll};

use mqtt_core::{Acknowledge, Attempt, ConnectionError, ErrorClass, Instant, ProtocolVersion};

use super::{Outgoing, State, Status};
use crate::error::Failure;
use crate::moment::Moment;
use crate::options::Options;
use crate::resources::Capacities;
use crate::trace::{Notice, tell};

/// How long a DISCONNECT may take to leave, in milliseconds.
const LAST_WORDS: u64 = 500;

/// How far an attempt is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nothing is under way.
    Away,
    /// A transport is being made.
    Dialling,
    /// CONNECT is on its way, or was.
    Linked,
    /// Only the transport is still to be closed.
    Leaving,
}

/// What the runner does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// It connects.
    Connect,
    /// It waits until it may.
    Wait,
    /// It ends.
    End,
}

/// Why an attempt is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// The state knows it.
    Told,
    /// The transport could not be made, or has failed.
    Transport,
    /// It could not be opened.
    Handshake,
    /// The Server has closed it.
    Lost,
}

/// What is remembered from one attempt to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts {
    version: ProtocolVersion,
    /// The number of the last one that failed since a connection was stable.
    failed: Option<u32>,
}

impl Attempts {
    /// What is spoken in this one.
    pub(crate) const fn version(&self) -> ProtocolVersion {
        self.version
    }
}

impl<P: Capacities> State<P> {
    /// A runner begins.
    pub(crate) fn begin(&mut self, options: &Options<'_>) -> Result<Attempts, Failure> {
        if self.loading {
            return Err(Failure::Store);
        }
        self.patience = options.stall_timeout;
        // One that was dropped before has left its connection behind.
        self.stage = Stage::Away;
        self.stage_until = Moment::NONE;
        self.transport_lost();
        Ok(Attempts { version: options.connect.version, failed: None })
    }

    /// What there was is over: an attempt, or the wait before one.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        options: &Options<'_>,
        attempts: &mut Attempts,
        over: Over,
        random: u64,
    ) -> Turn {
        if self.stage == Stage::Away {
            if self.is_to_end(now) {
                self.end = Ok(());
                return self.close();
            }
            self.enter(Stage::Dialling, now, u64::from(options.connect_timeout));
            self.end = Err(Failure::ConnectTimeout);
            self.set_status(Status::Connecting);
            return Turn::Connect;
        }
        let linked = self.stage != Stage::Dialling;
        let stood = self.connected_at.get().map(|since| now.millis_since(since));
        self.connected_at = Moment::NONE;
        self.transport_lost();
        self.enter(Stage::Away, now, 0);
        self.conclude(over);
        let Err(failure) = &self.end else { return self.close() };
        let refused = match failure {
            Failure::Connection(ConnectionError::Refused(reason)) => Some(Attempt::Refused(*reason)),
            Failure::ConnectionLost | Failure::Transport if linked && stood.is_none() => {
                Some(Attempt::ClosedWithoutConnack)
            }
            _ => None,
        };
        if let Some(other) = refused.and_then(|it| options.fallback.next_version(attempts.version, it)) {
            attempts.version = other;
            return Turn::Wait;
        }
        let number = attempts.failed.map_or(0, |failed| options.backoff.next_attempt(failed, stood.unwrap_or(0)));
        attempts.failed = Some(number);
        let Some(delay) = options.backoff.delay(class(failure), number, random) else {
            tell(Notice::GivenUp(*failure));
            return self.close();
        };
        tell(Notice::Waiting(*failure, delay));
        self.set_status(Status::Waiting(*failure));
        self.enter(Stage::Away, now, u64::from(delay));
        Turn::Wait
    }

    /// The end: every wait resolves.
    fn close(&mut self) -> Turn {
        self.machine.session.end();
        self.resolve_outcomes();
        self.set_status(Status::Closed);
        Turn::End
    }

    fn conclude(&mut self, over: Over) {
        self.end = Err(match over {
            Over::Told => return,
            Over::Transport => Failure::Transport,
            Over::Handshake => Failure::Handshake,
            Over::Lost => Failure::ConnectionLost,
        });
    }

    fn enter(&mut self, stage: Stage, now: Instant, milliseconds: u64) {
        self.stage = stage;
        self.stage_until = Moment::at(now.plus_millis(milliseconds));
    }

    /// Tells whether the client is shut down, where nothing can be sent any more.
    pub(super) fn is_to_end(&mut self, now: Instant) -> bool {
        self.shutdown != Moment::NONE && (self.shutdown.is_past(now) || self.is_drained())
    }

    /// There is a transport: CONNECT is the first to go out, as this version and this memory have it. `false`: it
    /// cannot be said.
    #[inline(never)]
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        options: &Options<'_>,
        attempts: &Attempts,
        capacity: usize,
        outgoing: &mut Outgoing<'_>,
    ) -> bool {
        let mut connect = options.connect;
        connect.acknowledge = Acknowledge::ByApplication;
        if !connect.streaming && connect.maximum_packet_size.is_none() {
            connect.maximum_packet_size = u32::try_from(capacity).ok();
        }
        if cfg!(feature = "v3") {
            connect = connect.for_version(attempts.version).0;
        }
        outgoing.session_ends = connect.session_expiry_interval != 0 && !connect.keep_session;
        match self.machine.connect(now, &connect, outgoing.out) {
            Ok(len) => outgoing.len = len,
            Err(error) => {
                self.end = Err(Failure::Usage(error));
                return false;
            }
        }
        self.stage = Stage::Linked;
        self.stage_until = Moment::NONE;
        true
    }

    /// Nothing more is read or written. Tells whether there is something that is still to leave.
    pub(crate) fn leave(&mut self, now: Instant, over: Over) -> bool {
        self.conclude(over);
        self.enter(Stage::Leaving, now, LAST_WORDS);
        matches!(self.end, Ok(()) | Err(Failure::Connection(_)))
    }

    /// Does what time demands. `true`: what the runner is at is over; `false`: it has another moment to sleep for.
    #[inline(never)]
    pub(crate) fn poll_time(&mut self, cx: &Context<'_>, now: Instant, slept_for: &mut Moment) -> Poll<bool> {
        // What this finds the writer tells, who is asked next.
        let _ = self.machine.handle_timeout(now);
        self.expire_early(now);
        match (self.stage, self.machine.connection.failure()) {
            (Stage::Away | Stage::Dialling, _) if self.is_to_end(now) => {
                self.end = Ok(());
                return Poll::Ready(true);
            }
            (Stage::Linked, Some(failure)) if self.stage_until == Moment::NONE => {
                self.end = if self.shutdown == Moment::NONE { Err(Failure::Connection(failure)) } else { Ok(()) };
                self.enter(Stage::Linked, now, LAST_WORDS);
            }
            _ => {}
        }
        if self.stage_until.is_past(now) {
            return Poll::Ready(true);
        }
        let machine = self.machine.poll_timeout().map_or(Moment::NONE, Moment::at);
        let mut next = Moment::NONE;
        for moment in [machine, self.stage_until, self.shutdown, self.early_until, self.stalled_until, self.overflowed]
        {
            if moment.is_ahead(now) {
                next = next.earlier(moment);
            }
        }
        if next != *slept_for {
            *slept_for = next;
            return Poll::Ready(false);
        }
        self.wait_as_runner(cx.waker())
    }
}

const fn class(failure: &Failure) -> ErrorClass {
    match *failure {
        Failure::Connection(error) => ErrorClass::of_error(error),
        Failure::Usage(_) | Failure::Store => ErrorClass::Stop,
        Failure::Transport
        | Failure::Handshake
        | Failure::ConnectTimeout
        | Failure::ConnectionLost
        | Failure::SlowConsumer => ErrorClass::Retry,
    }
}
