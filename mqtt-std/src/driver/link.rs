//! One connection: moves bytes between a transport and the machine.

use core::future::Future as _;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::SystemTime;

use mqtt_core::{
    Event, Framing, Input as Framed, Instant, Properties, Property, ProtocolVersion, ReasonCode, ReceiveError,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Sleep, timeout, timeout_at};

use super::authenticate;
use super::buffers;
use super::input::Input;
use super::leap::Watch;
use super::outbox::Leaving;
use super::talk::Talk;
use crate::answer::Answer;
use crate::deadline::deadline;
use crate::error::Error;
use crate::message::Message;
use crate::payload::Inbound;
use crate::state::{Shared, Stalled, State};
use crate::status::{Accepted, Cause, Explanation, Greeting};

/// How a connection ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The client was shut down.
    Shutdown,
    /// Something failed.
    Failed(Cause),
}

/// How a connection ended, and what else is known of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    /// For how long it stood since CONNACK, if there was one.
    pub(crate) stood: Option<Duration>,
    /// What the broker said about its end.
    pub(crate) explanation: Option<Box<Explanation>>,
}

/// A transport and what was read from it.
pub(crate) struct Link<T> {
    pub(super) shared: Arc<Shared>,
    transport: T,
    framing: Framing,
    input: Input,
    leaving: Leaving,
    /// Bytes of the input since it was its turn.
    taken: usize,
    maximum_packet_size: usize,
    stall_timeout: Duration,
    write_timeout: Duration,
    /// The transport takes nothing of what waits, and until when it may.
    blocked_until: Option<tokio::time::Instant>,
    /// How long the server may take for its next word in a re-authentication.
    pub(super) answer_timeout: Duration,
    pub(super) talk: Option<Box<Talk>>,
    pub(super) reauthentication_wanted: bool,
    watch: Watch,
    explanation: Option<Box<Explanation>>,
    connected_at: Option<tokio::time::Instant>,
    disconnecting: bool,
    /// It ends because this side wants it to, and why.
    pub(super) ending: Option<Cause>,
    /// The connection failed, and until when the last packets may take to leave.
    last_words_until: Option<tokio::time::Instant>,
    session_ends: bool,
    /// CONNACK is to be told of.
    announce: Option<Box<Greeting>>,
    on_connected: Box<dyn FnMut(bool, Accepted) + Send>,
}

/// What a link needs to know beside its transport.
pub(crate) struct LinkOptions {
    pub(crate) version: ProtocolVersion,
    pub(crate) maximum_packet_size: usize,
    pub(crate) stall_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    /// DISCONNECT ends the session.
    pub(crate) session_ends: bool,
    /// The conversation that CONNECT has begun.
    pub(crate) talk: Option<Box<Talk>>,
    /// Told of CONNACK and whether the session is present.
    pub(crate) on_connected: Box<dyn FnMut(bool, Accepted) + Send>,
}

/// After so many bytes it is the turn of others.
const AT_ONCE: usize = 64 * 1024;

/// How long a DISCONNECT may take to leave, and then the broker to close.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl<T: AsyncRead + AsyncWrite + Unpin> Link<T> {
    pub(crate) fn new(shared: Arc<Shared>, transport: T, options: LinkOptions) -> Self {
        Self {
            shared,
            transport,
            framing: Framing::new(options.version),
            input: Input::default(),
            leaving: Leaving::default(),
            taken: 0,
            maximum_packet_size: options.maximum_packet_size,
            stall_timeout: options.stall_timeout,
            write_timeout: options.write_timeout,
            blocked_until: None,
            answer_timeout: options.answer_timeout,
            talk: options.talk,
            reauthentication_wanted: false,
            watch: Watch::new(SystemTime::now(), tokio::time::Instant::now()),
            explanation: None,
            connected_at: None,
            disconnecting: false,
            ending: None,
            last_words_until: None,
            session_ends: options.session_ends,
            announce: None,
            on_connected: options.on_connected,
        }
    }

    /// Drives the connection to its end.
    pub(crate) async fn run(&mut self) -> Ended {
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        let end = core::future::poll_fn(|cx| self.poll(cx, sleep.as_mut())).await;
        let disconnected = match &end {
            End::Shutdown => self.disconnecting,
            End::Failed(Cause::Connection(error)) => error.disconnect_reason().is_some(),
            End::Failed(Cause::Overrun | Cause::Authentication(_)) => self.connected_at.is_some(),
            End::Failed(_) => false,
        };
        if disconnected && self.shared.lock().outbox.is_empty() {
            // It has a buffer, for which an idle client has no use.
            Box::pin(self.close()).await;
        }
        authenticate::answer(&self.shared, || Err(Error::ConnectionLost));
        let stood = self.connected_at.map(|since| since.elapsed());
        Ended { end, stood, explanation: self.explanation.take() }
    }

    /// Lets the DISCONNECT arrive: a socket that is closed with unread bytes resets the connection, and what was written may
    /// be lost with it.
    async fn close(&mut self) {
        let shutdown = self.shared.lock().shutdown;
        let read_to_end = async {
            self.transport.shutdown().await?;
            while self.transport.read(&mut [0; 1024]).await? > 0 {
                // There may always be more.
                tokio::task::consume_budget().await;
            }
            std::io::Result::Ok(())
        };
        // However that ends, the transport is closed now.
        let _ = match shutdown {
            Some(deadline) => timeout_at(deadline, timeout(LAST_WORDS, read_to_end)).await.is_ok(),
            None => timeout(LAST_WORDS, read_to_end).await.is_ok(),
        };
    }

    fn poll(&mut self, cx: &mut Context<'_>, mut sleep: Pin<&mut Sleep>) -> Poll<End> {
        // What has arrived counts before the time that has passed: while the machine was suspended, say.
        if let Err(error) = self.poll_read(cx) {
            return Poll::Ready(End::Failed(error));
        }
        self.taken = 0;
        loop {
            if let Some(end) = self.work(cx) {
                return Poll::Ready(end);
            }
            let (said, wrote) = match (self.converse(cx), self.poll_write(cx)) {
                (Err(error), _) | (_, Err(error)) => return Poll::Ready(End::Failed(error)),
                (Ok(said), Ok(wrote)) => (said, wrote),
            };
            if self.taken >= AT_ONCE {
                // There may always be more to read.
                if !said && !wrote {
                    if let Some(end) = self.give_up() {
                        return Poll::Ready(end);
                    }
                }
                // Those who read the messages come first: what waits for them stays little.
                let _ = pin!(tokio::task::yield_now()).poll(cx);
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Err(error) => return Poll::Ready(End::Failed(error)),
                Ok(read) if said | wrote | read => continue,
                Ok(_) => {}
            }
            // The transport takes nothing more now.
            self.input.shrink();
            if let Some(end) = self.give_up() {
                return Poll::Ready(end);
            }
            let Some(deadline) = self.deadline() else { return Poll::Pending };
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.look_at_the_clock();
        }
    }

    /// Where the machine slept, the link may be dead: better ask at once.
    fn look_at_the_clock(&mut self) {
        if self.watch.has_leapt(SystemTime::now(), tokio::time::Instant::now()) {
            tracing::info!("the clock has leapt: asking the broker for a sign of life");
            // Not connected: there is a deadline for that.
            let _ = self.shared.lock().machine.ping();
        }
    }

    /// Everything that needs no transport: what was read, outcomes, what is to be written, the end.
    fn work(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.set_driver(cx.waker());
        let (microseconds, load) = (shared.microseconds(), state.load());
        let now = Instant::from_millis(microseconds / 1000);
        state.begin_turn(microseconds);
        state.poll_source(cx, now);
        // Also while there is always something to read or to write. What it finds is found below.
        let _ = state.machine.handle_timeout(now);
        state.expire(now);
        state.unstall(now);
        state.hand_over_recorded(now);
        self.take_input(&mut state, now);
        state.count_input();
        state.acknowledge_taken(now);
        state.resolve_outcomes();
        state.send_unsubscribe();
        let refused = state.machine.connection().refused_renewals();
        state.fill_outbox(now);
        state.statistics.filled();
        if state.machine.connection().refused_renewals() != refused {
            state.end_refused();
        }
        // What could not be sent has its outcome by now, and may be asked for in another way.
        while state.resolve_outcomes() {
            state.fill_outbox(now);
        }
        let end = self.check_end(&mut state);
        let lighter = state.load().is_lighter_than(load);
        self.reauthentication_wanted = !state.reauthentications.is_empty() && state.machine.is_connected();
        let limits = *state.machine.limits();
        drop(state);
        if let Some(greeting) = self.announce.take() {
            (self.on_connected)(greeting.session_present, greeting.with_limits(limits));
        }
        if lighter {
            shared.room_was_made();
        }
        end
    }

    /// Gives what was read to the machine, as long as nothing holds it up.
    fn take_input(&mut self, state: &mut State, now: Instant) {
        let patience = u64::try_from(self.stall_timeout.as_millis()).unwrap_or(u64::MAX);
        let until = now.plus_millis(patience);
        while !state.is_held_up() {
            // An input that is given again begins here again.
            let before = self.framing;
            let (input, len) = match self.framing.next(self.input.bytes(), self.maximum_packet_size) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    state.machine.fail_framing(error);
                    break;
                }
            };
            if let Some(talk) = &mut self.talk {
                if talk.holds(&input, state.machine.is_connected()) {
                    self.framing = before;
                    break;
                }
            }
            if let Framed::PublishPayload { bytes, last: true } = input {
                if !state.may_end_inbound(now, bytes) {
                    self.framing = before;
                    break;
                }
            }
            let State {
                inbound,
                machine,
                routes,
                replies,
                sources,
                statistics,
                stalled,
                tickets,
                early,
                later,
                durable,
                ..
            } = state;
            let response_information = &mut state.response_information;
            let renewed = machine.subscriptions().is_renewed();
            match machine.receive(now, input) {
                Ok(Some(Event::Message(message))) if message.record_ticket.is_some() => {
                    statistics.received(message.qos, message.payload.len() as u64);
                    if let Some(durable) = durable {
                        durable.arrived(&message);
                    }
                }
                Ok(Some(Event::Message(message))) => {
                    statistics.received(message.qos, message.payload.len() as u64);
                    let token = message.acknowledgement;
                    let queues = routes.matching(message.topic, identifiers(message.properties, renewed));
                    // Without streams: it is for one that gets another copy.
                    let mut arrived = queues.map(|_| Message::new(&message));
                    let queues = queues.unwrap_or_default();
                    // Mostly there is one stream, and it has room.
                    if let [queue] = queues {
                        arrived = arrived.and_then(|message| queue.take_in(message, later).err());
                    }
                    match (arrived, token) {
                        (None, Some(token)) => drop(machine.acknowledge(token, ReasonCode::SUCCESS)),
                        (None, None) => {}
                        (Some(message), token) => {
                            // Without a stream it comes back at once.
                            let ticket = token.map(|token| tickets.give(Some(token), message.len()));
                            match ticket {
                                ticket if !queues.is_empty() => {
                                    let queues = queues.iter().cloned().collect();
                                    *stalled = Some(Stalled { message, ticket, queues, until, patience });
                                }
                                Some(ticket) if early.may_wait(now) && tickets.may_wait() => {
                                    early.push(message, ticket);
                                }
                                _ => statistics.unrouted += 1,
                            }
                        }
                    }
                }
                Ok(Some(Event::MessageBegins { message, payload_len })) => {
                    let queues =
                        routes.matching(message.topic, identifiers(message.properties, renewed)).unwrap_or_default();
                    let queues = queues.to_vec();
                    let message = Message::new(&message);
                    state.begin_inbound(now, message, payload_len, &queues);
                }
                Ok(Some(Event::Fragment(bytes))) => {
                    if let Some(inbound) = inbound {
                        inbound.push(bytes, later);
                    }
                }
                Ok(Some(Event::MessageEnds { fragment, acknowledgement, record })) => {
                    if let Some(inbound) = inbound {
                        inbound.end(fragment, later);
                    }
                    state.end_inbound(&self.shared, now, acknowledgement, record);
                }
                Ok(Some(Event::Published { packet_identifier, reason_code, properties })) => {
                    if let Some(durable) = durable {
                        durable.is_over(packet_identifier, !reason_code.is_failure());
                    }
                    later.sources.extend(sources.remove(packet_identifier));
                    statistics.answered(packet_identifier, reason_code.is_failure());
                    let answer = Answer::new(reason_code, properties);
                    later.wakers.extend(replies.published(packet_identifier, Ok(answer)));
                }
                Ok(Some(
                    Event::Subscribed { packet_identifier, reason_codes, properties }
                    | Event::Unsubscribed { packet_identifier, reason_codes, properties },
                )) => {
                    later.due.extend(replies.answered(packet_identifier, reason_codes, properties));
                }
                Ok(Some(Event::Connected(connected))) => {
                    statistics.connections += 1;
                    early.connected(until);
                    self.connected_at = Some(tokio::time::Instant::now());
                    *response_information = connected.properties.iter().find_map(|property| match property {
                        Property::ResponseInformation(text) => Some(text.into()),
                        _ => None,
                    });
                    self.announce = Some(Greeting::new(connected.session_present, connected.properties).into());
                    let identifiers = machine.connection().version().is_v5()
                        && machine.connection().limits().subscription_identifier_available;
                    machine.set_identifiers_available(identifiers);
                }
                Ok(Some(Event::Refused(connack))) => {
                    self.explanation = Some(Explanation::new(connack.reason_code, connack.properties).into());
                }
                Ok(Some(Event::Disconnected(disconnect))) => {
                    self.explanation = Some(Explanation::new(disconnect.reason_code, disconnect.properties).into());
                }
                Ok(Some(Event::Authentication(auth))) => {
                    if let Some(talk) = &mut self.talk {
                        talk.hear(auth.reason_code, auth.properties);
                    }
                }
                Ok(Some(Event::Skipped { message, payload_len })) => {
                    tracing::warn!(topic = message.topic.as_str(), payload_len, "message is too large and was skipped");
                    statistics.skipped += 1;
                }
                Ok(Some(Event::Renewed { refused, .. })) if refused > 0 => state.end_refused(),
                // What ends the connection is found by `check_end`.
                Ok(_) | Err(ReceiveError::Connection(_)) => {}
                Err(ReceiveError::NotReady) => {
                    self.framing = before;
                    break;
                }
            }
            self.input.advance(len);
            self.taken = self.taken.saturating_add(len);
            state.take_record(now);
            state.unstall(now);
        }
    }

    fn check_end(&mut self, state: &mut State) -> Option<End> {
        let open = !self.disconnecting && state.machine.connection().failure().is_none();
        let due = |deadline| state.is_drained() || tokio::time::Instant::now() >= deadline;
        if open && state.outbox.takes_last() && state.shutdown.is_some_and(due) {
            self.disconnecting = true;
            state.say_goodbye(self.session_ends);
        } else if open && state.outbox.takes_last() && core::mem::take(&mut state.overrun) {
            self.ending = Some(Cause::Overrun);
            state.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        }
        if !state.machine.is_closed() || !state.outbox.is_empty() {
            return None;
        }
        if let Some(cause) = self.ending.take() {
            return Some(End::Failed(cause));
        }
        match state.machine.connection().failure() {
            _ if self.disconnecting => Some(End::Shutdown),
            Some(error) => Some(End::Failed(Cause::Connection(error))),
            None => Some(End::Failed(Cause::ConnectionLost)),
        }
    }

    /// The end of a connection whose last packets do not leave: there is a time for that, or nothing is to be said any more.
    fn give_up(&mut self) -> Option<End> {
        let (failure, shutdown) = {
            let state = self.shared.lock();
            (state.machine.connection().failure(), state.shutdown)
        };
        let now = tokio::time::Instant::now();
        if shutdown.is_some_and(|deadline| now >= deadline) {
            return Some(End::Shutdown);
        }
        if self.blocked_until.is_some_and(|until| now >= until) {
            return Some(End::Failed(Cause::WriteTimeout));
        }
        if let Some(cause) = self.ending.take().or_else(|| self.check_answer(now)) {
            return Some(End::Failed(cause));
        }
        let error = failure.filter(|_| !self.disconnecting)?;
        let until = *self.last_words_until.get_or_insert(now + LAST_WORDS);
        let silent = error.disconnect_reason().is_none();
        (silent || now >= until).then_some(End::Failed(Cause::Connection(error)))
    }

    /// Writes what the transport takes; tells whether it took something.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        let (full, room) = {
            let mut state = self.shared.lock();
            let full = !state.outbox.has_room();
            state.outbox.take(&mut self.leaving);
            (full, state.outbox.has_room())
        };
        if full && room {
            self.shared.room_was_made();
        }
        if self.leaving.is_empty() {
            self.blocked_until = None;
            let _ = Pin::new(&mut self.transport).poll_flush(cx).map_err(io_cause)?;
            return Ok(false);
        }
        let (bytes, payload) = self.leaving.parts();
        let slices = [IoSlice::new(bytes), IoSlice::new(payload)];
        match Pin::new(&mut self.transport).poll_write_vectored(cx, &slices) {
            Poll::Ready(Ok(0)) => Err(Cause::ConnectionLost),
            Poll::Ready(Ok(len)) => {
                self.blocked_until = None;
                let now = self.shared.now();
                self.leaving.advance(len);
                let mut state = self.shared.lock();
                state.outbox.written(len);
                state.machine.transmitted(now, len);
                state.statistics.sent(len);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(io_cause(error)),
            Poll::Pending => {
                self.blocked_until.get_or_insert_with(|| deadline(self.write_timeout));
                Ok(false)
            }
        }
    }

    /// Reads what there is, unless a stream is full; tells whether there was something.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        if self.shared.lock().is_held_up() || self.input.len() >= self.maximum_packet_size.max(buffers::SIZE) {
            return Ok(false);
        }
        match self.input.poll_read(Pin::new(&mut self.transport), cx) {
            Poll::Ready(Ok(0)) => Err(Cause::ConnectionLost),
            Poll::Ready(Ok(filled)) => {
                let now = self.shared.now();
                let mut state = self.shared.lock();
                state.machine.bytes_received(now);
                state.statistics.taken(filled);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(io_cause(error)),
            Poll::Pending => Ok(false),
        }
    }

    /// The earliest moment at which there is something to do.
    fn deadline(&self) -> Option<tokio::time::Instant> {
        let state = self.shared.lock();
        let machine = state.machine.poll_timeout();
        let stall = state.stalled.as_ref().map(|stalled| stalled.until);
        let held = state.inbound.as_ref().and_then(Inbound::held_until);
        let moments = [machine, stall, held, state.early.deadline(), state.next_expiry()];
        let moments = moments.into_iter().flatten().map(|moment| self.shared.at(moment));
        let answer = self.talk.as_ref().and_then(|talk| talk.until);
        // Without a Keep Alive nobody asks whether the link is alive.
        let watch = machine.map(|_| self.watch.due());
        moments
            .chain(state.shutdown)
            .chain(self.last_words_until)
            .chain(self.blocked_until)
            .chain(answer)
            .chain(watch)
            .min()
    }
}

fn io_cause(error: std::io::Error) -> Cause {
    match error.kind() {
        // TLS without the last word that it should have: what MQTT misses, it misses anyhow.
        std::io::ErrorKind::UnexpectedEof => Cause::ConnectionLost,
        _ => Cause::Transport(error.into()),
    }
}

/// The Subscription Identifiers of a message. As long as the broker does not have all subscriptions again, they do not tell who
/// has the others.
fn identifiers(properties: Properties<'_>, renewed: bool) -> impl Iterator<Item = u32> + Clone {
    properties.iter().filter_map(move |property| match property {
        Property::SubscriptionIdentifier(identifier) if renewed => Some(identifier),
        _ => None,
    })
}
