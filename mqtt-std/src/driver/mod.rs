//! The task behind a client: one connection after another.

mod attempt;
mod authenticate;
mod buffers;
mod idle;
mod input;
mod leap;
mod link;
mod outbox;
mod servers;
mod talk;

pub(crate) use buffers::keep;
pub(crate) use outbox::Outbox;

use core::time::Duration;
use std::io::ErrorKind;
use std::sync::Arc;

use mqtt_core::{Attempt, ConnectionError, ErrorClass, ProtocolVersion, ReasonCode, Rivalry};
use tokio::sync::watch;

use attempt::Begun;
use link::{End, Ended, Link, LinkOptions};
use servers::Servers;

use crate::contain::contain;
use crate::error::Error;
use crate::options::Options;
use crate::said::Said;
use crate::state::Shared;
use crate::status::{Cause, Explanation, Status};
use crate::transport::{Server, Stream, TransportFault};

pub(crate) struct Driver {
    shared: Arc<Shared>,
    _close: CloseOnDrop,
    options: Options,
    status: Arc<watch::Sender<Status>>,
    servers: Servers,
    /// The transport of the latest attempt was made.
    dialled: bool,
    /// The number of the latest round of failures since the last stable connection, from 0.
    attempt: Option<u32>,
    /// What kind of errors this round over all servers has had.
    round: Option<ErrorClass>,
    rivalry: Rivalry,
    /// A broker has accepted these options once.
    was_accepted: bool,
    /// Something was unanswered when the latest connection ended.
    owed: bool,
    /// The provider is to be told.
    refused_credentials: Option<ReasonCode>,
}

/// Every wait resolves, however the task ends, and if it never begins: a runtime may be gone at any time.
struct CloseOnDrop(Arc<Shared>, Arc<watch::Sender<Status>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.refuse();
        let error = std::thread::panicking().then_some(Cause::Panicked);
        // What it wakes is the application's code.
        let _ = contain(|| {
            self.1.send_if_modified(|status| {
                let open = !matches!(status, Status::Closed { .. });
                if open {
                    *status = Status::closed(error, None);
                }
                open
            })
        });
        let _ = contain(|| self.0.close());
    }
}

/// What comes after a connection, or an attempt at one.
enum Next {
    /// Another version, or another server.
    Now,
    After(Duration),
    Never,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, options: Options, status: watch::Sender<Status>) -> Self {
        let status = Arc::new(status);
        let close = CloseOnDrop(Arc::clone(&shared), Arc::clone(&status));
        let (first, others) = (options.server.clone(), options.other_servers.clone());
        Self {
            shared,
            _close: close,
            servers: Servers::new(first, others, options.version, options.redirects),
            options,
            status,
            dialled: false,
            attempt: None,
            round: None,
            rivalry: Rivalry::NONE,
            was_accepted: false,
            owed: false,
            refused_credentials: None,
        }
    }

    /// In a box: a future would hold the driver twice.
    pub(crate) async fn run(mut self: Box<Self>) -> Result<(), Error> {
        let (error, explanation) = loop {
            let server = self.servers.current();
            let ended = self.connection(&server).await;
            let explanation = ended.explanation.clone().map(Arc::from);
            let End::Failed(cause) = &ended.end else { break (None, None) };
            let (cause, next) = self.after(cause.clone(), &ended);
            let client = &*self.options.client_identifier;
            match next {
                Next::Now => tracing::info!(client, %server, %cause, "connection failed, trying otherwise"),
                Next::Never => {
                    tracing::warn!(client, %server, %cause, "connection failed, giving up");
                    break (Some(cause), explanation);
                }
                Next::After(delay) => {
                    let attempt = self.attempt_number();
                    tracing::info!(client, %server, %cause, attempt, retry_in = ?delay, "connection failed, trying again");
                    let status = Status::Waiting { error: cause, server, explanation, retry_in: delay, attempt };
                    self.tell(status);
                    if self.unless_shut_down(tokio::time::sleep(delay)).await.is_none() {
                        break (None, None);
                    }
                }
            }
        };
        let error = error.or_else(|| self.shared.store_panicked().then_some(Cause::Panicked));
        tracing::debug!(client = &*self.options.client_identifier, "closed");
        self.shared.refuse();
        // First, so that who waits for the end finds it there.
        self.tell(Status::closed(error.clone(), explanation));
        self.shared.close();
        self.shared.store_ended().await;
        error.map_or(Ok(()), |cause| Err(cause.to_error()))
    }

    /// How many rounds have failed since the last stable connection.
    fn attempt_number(&self) -> u32 {
        self.attempt.map_or(0, |attempt| attempt.saturating_add(1))
    }

    fn tell(&self, status: Status) {
        // Who watches is woken: the application's code.
        let _ = contain(|| self.status.send_replace(status));
    }

    /// One connection, from its attempt to its end.
    async fn connection(&mut self, server: &Server) -> Ended {
        let attempt = self.attempt_number();
        tracing::debug!(client = &*self.options.client_identifier, %server, attempt, "connecting");
        self.tell(Status::Connecting { server: server.clone(), attempt });
        self.dialled = false;
        self.shared.lock().statistics.attempts += 1;
        // Both in boxes: a client that is idle keeps nothing of the attempt.
        let begun = Box::pin(self.attempt(server)).await;
        let mut link = match begun {
            Ok(begun) => self.link(server, begun),
            Err(end) => return Ended { end, stood: None, explanation: None },
        };
        let ended = link.run().await;
        drop(link);
        let mut state = self.shared.lock();
        self.owed = state.machine.session().outgoing_len() > 0;
        state.count_input();
        state.statistics.disconnected(ended.stood.is_some() && matches!(ended.end, End::Failed(_)));
        state.machine.transport_lost();
        state.clear_outbox();
        state.cut_inbound();
        if by_the_peer(&ended.end) {
            state.suspect_of_death();
        }
        drop(state);
        // Who waited for room on the way out finds some in the queue.
        self.shared.room_was_made();
        ended
    }

    fn link(&self, server: &Server, begun: Begun) -> Box<Link<Box<dyn Stream>>> {
        let Begun { transport, loss, talk } = begun;
        Box::new(Link::new(Arc::clone(&self.shared), transport, self.link_options(server, loss, talk)))
    }

    fn link_options(&self, server: &Server, loss: mqtt_core::Loss, talk: Option<Box<talk::Talk>>) -> LinkOptions {
        let (status, version, server) = (Arc::clone(&self.status), self.servers.version(), server.clone());
        let client: Box<str> = self.options.client_identifier.as_str().into();
        LinkOptions {
            version,
            maximum_packet_size: self.options.maximum_packet_size as usize,
            stall_timeout: self.options.stall_timeout,
            write_timeout: self.options.write_timeout,
            answer_timeout: self.options.connect_timeout,
            session_ends: !self.options.keep_session && self.options.session_expiry_interval != 0,
            talk,
            on_connected: Box::new(move |session_present, accepted| {
                let version_name = version.level();
                tracing::info!(client = &*client, %server, version = version_name, session_present, "connected");
                let (server, accepted) = (server.clone(), Arc::new(accepted));
                let connected = Status::Connected { server, version, session_present, loss, accepted };
                let _ = contain(|| status.send_replace(connected));
            }),
        }
    }

    /// What the core's policy says comes next; and the cause, which may have got another name.
    fn after(&mut self, cause: Cause, ended: &Ended) -> (Cause, Next) {
        let accepted = ended.stood.is_some();
        self.was_accepted |= accepted;
        let stood = u64::try_from(ended.stood.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let stable = accepted && self.options.backoff.next_attempt(1, stood) == 0;
        if stable {
            self.servers.was_stable();
            self.round = None;
        }
        if let Some(version) = self.other_version(&cause, accepted) {
            self.servers.set_version(version);
            return (cause, Next::Now);
        }
        if self.is_redirected(&cause, ended.explanation.as_deref()) {
            return (cause, Next::Now);
        }
        let mut class = self.class(&cause);
        let (times, cause) = self.rivals(cause, ended, stable);
        if times > 0 {
            let client = &*self.options.client_identifier;
            tracing::warn!(client, times, "another client seems to use the same client identifier");
            if self.options.stop_when_taken_over {
                class = ErrorClass::Stop;
            }
        }

        let round = self.round.map_or(class, |round| together(round, class));
        self.round = Some(round);
        if times > 0 || stable {
            // Another server would be no better; and after a stable connection the first one is the best again.
            self.servers.begin_anew();
        } else if !self.servers.advance(accepted) {
            return (cause, Next::Now);
        }
        self.round = None;
        let attempt = self.attempt.map_or(0, |attempt| self.options.backoff.next_attempt(attempt, stood));
        // However long each of two clients lets the other be.
        let attempt = attempt.max(times.saturating_sub(1));
        self.attempt = Some(attempt);
        let delay = self.options.backoff.delay(round, attempt, crate::random::seed());
        (cause, delay.map_or(Next::Never, |delay| Next::After(Duration::from_millis(u64::from(delay)))))
    }

    fn other_version(&self, cause: &Cause, accepted: bool) -> Option<ProtocolVersion> {
        let attempt = match cause {
            Cause::Connection(ConnectionError::Refused(reason)) => Attempt::Refused(*reason),
            Cause::ConnectionLost if self.dialled && !accepted => Attempt::ClosedWithoutConnack,
            // What else ends a transport has nothing to do with the version.
            Cause::Transport(error) if self.dialled && !accepted && error.fault() == TransportFault::Io => {
                Attempt::ClosedWithoutConnack
            }
            _ => return None,
        };
        self.options.fallback.next_version(self.servers.version(), attempt)
    }

    fn is_redirected(&mut self, cause: &Cause, explanation: Option<&Explanation>) -> bool {
        let Cause::Connection(ConnectionError::Refused(reason) | ConnectionError::Disconnected(reason)) = cause else {
            return false;
        };
        if !matches!(*reason, ReasonCode::USE_ANOTHER_SERVER | ReasonCode::SERVER_MOVED) {
            return false;
        }
        let reference = explanation.and_then(|explanation| explanation.server_reference.as_deref());
        let client = &*self.options.client_identifier;
        let redirected = self.servers.redirect(*reason, reference);
        if redirected {
            tracing::info!(client, server = %self.servers.current(), %reason, "sent to another server");
        } else {
            let reference = reference.map(|reference| tracing::field::display(Said(reference)));
            tracing::warn!(client, %reason, reference, "the server names another one, which is not gone to");
        }
        redirected
    }

    fn class(&mut self, cause: &Cause) -> ErrorClass {
        match cause {
            // Others may be good.
            Cause::Connection(ConnectionError::Refused(reason) | ConnectionError::Disconnected(reason))
                if self.note_refusal(*reason) =>
            {
                ErrorClass::Retry
            }
            Cause::Connection(error) => ErrorClass::of_error(*error),
            Cause::Usage(_) | Cause::Panicked => ErrorClass::Stop,
            // What once was good is not given up for a word that anybody on the way can have said: an alert that TLS does not
            // protect yet, a proxy's answer.
            Cause::Transport(error) if self.was_accepted => together(error.class(), ErrorClass::Retry),
            Cause::Transport(error) => error.class(),
            Cause::Authentication(_) | Cause::TakenOver { .. } => ErrorClass::RetrySlowly,
            Cause::ConnectTimeout
            | Cause::WriteTimeout
            | Cause::ConnectionLost
            | Cause::Overrun
            | Cause::Credentials(_) => ErrorClass::Retry,
        }
    }

    /// Tells how often in a row another client seems to have ended the connection, and names that as the cause.
    fn rivals(&mut self, cause: Cause, ended: &Ended, stable: bool) -> (u32, Cause) {
        let Some(stood) = ended.stood else { return (0, cause) };
        if stood >= CALM {
            self.rivalry.calm();
        }
        let error = match &cause {
            Cause::Connection(error) => *error,
            _ if by_the_peer(&ended.end) => ConnectionError::TransportLost,
            _ => ConnectionError::Closed,
        };
        let times = self.rivalry.connection_ended(error, !stable && !self.owed);
        (times, if times > 0 { Cause::TakenOver { times } } else { cause })
    }
}

/// Tells whether the peer has ended the connection, and not the network or this side.
fn by_the_peer(end: &End) -> bool {
    match end {
        End::Failed(Cause::ConnectionLost | Cause::Connection(_)) => true,
        End::Failed(Cause::Transport(error)) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

/// What a round is that has both: it stops if all do.
const fn together(one: ErrorClass, other: ErrorClass) -> ErrorClass {
    match (one, other) {
        (ErrorClass::Stop, ErrorClass::Stop) => ErrorClass::Stop,
        (ErrorClass::Retry, ErrorClass::Retry) => ErrorClass::Retry,
        _ => ErrorClass::RetrySlowly,
    }
}

/// A connection that stood for so long has left a quarrel with another client behind.
const CALM: Duration = Duration::from_secs(600);
