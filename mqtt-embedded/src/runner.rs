//! The future that owns the transport: one connection after another.

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Read, Write};
use mqtt_core::{
    Attempt, ConnectOptions, ConnectionError, ErrorClass, Frames, Input, Instant, ProtocolVersion, QoS, Record,
};
use rand_core::RngCore;

use crate::clock::Clock;
use crate::error::Failure;
use crate::options::Options;
use crate::resources::{Capacities, Resources};
use crate::state::Status;
use crate::store::Store;
use crate::transport::{Connect, Open, Transport};

/// Drives a client: owns the transport, the clock and the reconnecting. One for each [`Resources`].
pub struct Runner<'a, M, C, P: Capacities> {
    resources: &'a Resources<M, C, P>,
    receive: &'a mut [u8],
    transmit: &'a mut [u8],
}

/// How long a DISCONNECT may take to leave, in milliseconds.
pub(crate) const LAST_WORDS: u64 = 500;

/// How long nothing is written behind a record that could not be, in milliseconds.
const STORE_PAUSE: u64 = 1_000;

/// How a connection ended.
enum End {
    Shutdown,
    Failed(Failure),
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Runner<'a, M, C, P> {
    /// A runner over this memory.
    ///
    /// `receive` holds the largest packet that is received whole, which the Server is told (5.0), or with streaming the largest
    /// head of a PUBLISH; `transmit` the largest CONNECT, SUBSCRIBE, or head of a PUBLISH that is sent.
    #[must_use]
    pub const fn new(resources: &'a Resources<M, C, P>, receive: &'a mut [u8], transmit: &'a mut [u8]) -> Self {
        Self { resources, receive, transmit }
    }

    /// As [`run`](Self::run), with a session that is kept in a store; the memory is [`Resources::durable`]. `record` holds the
    /// largest record: topic, properties, payload and about 32 bytes.
    ///
    /// # Errors
    /// As for [`run`](Self::run), and [`Failure::Store`] when the store cannot be loaded.
    pub async fn run_durable<T: Connect>(
        &mut self,
        connector: &mut T,
        options: &Options<'_>,
        random: &mut impl RngCore,
        store: &mut impl Store,
        record: &mut [u8],
    ) -> Result<(), Failure> {
        let resources = self.resources;
        let mut restore = |record: &Record<'_>| resources.with(|state, now| state.restore(now, record));
        if resources.with(|state, _| state.loading) {
            store.load(&mut restore).await.map_err(|_| Failure::Store)?;
            resources.with(|state, _| state.begin_durable());
        }
        // What is being written is not dropped with a connection.
        match either(self.run(connector, options, random), keep(resources, store, record)).await {
            Either::First(end) => end,
            Either::Second(never) => match never {},
        }
    }

    /// Connects, works, and connects again, until the client is shut down or trying again cannot help.
    ///
    /// `random` is asked for one number before each wait, so that many devices do not come back at once.
    ///
    /// Dropped, the transport is dropped with it; the session stays and goes on with the next `run`.
    ///
    /// # Errors
    /// Why it gave up: what [`ErrorClass::Stop`](mqtt_core::ErrorClass::Stop) names, or options that cannot be said;
    /// [`Failure::Store`] for memory that is [`Resources::durable`].
    pub async fn run<T: Connect>(
        &mut self,
        connector: &mut T,
        options: &Options<'_>,
        random: &mut impl RngCore,
    ) -> Result<(), Failure> {
        if self.resources.with(|state, _| state.loading) {
            return Err(Failure::Store);
        }
        self.resources.with(|state, _| state.patience = options.stall_timeout);
        let end = self.connections(connector, options, random).await;
        self.resources.with(|state, _| state.close());
        end
    }

    /// One connection after another.
    async fn connections<T: Connect>(
        &mut self,
        connector: &mut T,
        options: &Options<'_>,
        random: &mut impl RngCore,
    ) -> Result<(), Failure> {
        let mut version = options.connect.version;
        let mut attempt: Option<u32> = None;
        loop {
            self.resources.with(|state, _| state.set_status(Status::Connecting));
            let (end, dialled, stood) = self.connection(connector, options, version).await;
            let End::Failed(failure) = end else { return Ok(()) };
            if let Some(other) =
                fallback(failure, dialled, stood).and_then(|it| options.fallback.next_version(version, it))
            {
                version = other;
                continue;
            }
            let number = attempt.map_or(0, |attempt| options.backoff.next_attempt(attempt, stood.unwrap_or(0)));
            attempt = Some(number);
            let Some(delay) = options.backoff.delay(class(failure), number, random.next_u64()) else {
                return Err(failure);
            };
            self.resources.with(|state, _| state.set_status(Status::Waiting(failure)));
            let until = self.resources.clock.now().plus_millis(u64::from(delay));
            if self.unless_shut_down(self.resources.clock.sleep_until(until)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// One connection; tells also whether a transport was made, and for how many milliseconds it stood since CONNACK.
    async fn connection<T: Connect>(
        &mut self,
        connector: &mut T,
        options: &Options<'_>,
        version: ProtocolVersion,
    ) -> (End, bool, Option<u64>) {
        let resources = self.resources;
        let until = resources.clock.now().plus_millis(u64::from(options.connect_timeout));
        let attempt = either(connector.connect(), resources.clock.sleep_until(until));
        let mut dialled = match self.unless_shut_down(attempt).await {
            None => return (End::Shutdown, false, None),
            Some(Either::First(Ok(dialled))) => dialled,
            Some(Either::First(Err(_))) => return (End::Failed(Failure::Transport), false, None),
            Some(Either::Second(())) => return (End::Failed(Failure::ConnectTimeout), false, None),
        };
        let attempt = either(dialled.open(), resources.clock.sleep_until(until));
        let mut transport = match self.unless_shut_down(attempt).await {
            None => return (End::Shutdown, true, None),
            Some(Either::First(Ok(transport))) => transport,
            Some(Either::First(Err(_))) => return (End::Failed(Failure::Handshake), false, None),
            Some(Either::Second(())) => return (End::Failed(Failure::ConnectTimeout), false, None),
        };
        let connect = self.connect_options(options, version);
        let connect_len = match resources.with(|state, now| state.machine.connect(now, &connect, self.transmit)) {
            Ok(len) => len,
            Err(error) => return (End::Failed(Failure::Usage(error)), false, None),
        };
        let session_ends = connect.session_expiry_interval != 0 && !connect.keep_session;
        let link = Link { resources, stall_timeout: options.stall_timeout };
        let (reader, writer) = transport.split();
        let frames = Frames::new(self.receive, version);
        // The read, the write and the timer live as long as the connection, and end together with it.
        let end = {
            let read = pin!(link.read(reader, frames));
            let write = pin!(link.write(writer, self.transmit, connect_len, session_ends));
            let time = pin!(link.time());
            match either(either(read, write), time).await {
                Either::First(Either::First(failure)) | Either::Second(failure) => End::Failed(failure),
                Either::First(Either::Second(end)) => end,
            }
        };
        let said_goodbye = match end {
            End::Shutdown => true,
            End::Failed(Failure::Connection(error)) => error.disconnect_reason().is_some(),
            End::Failed(_) => false,
        };
        if said_goodbye {
            let until = resources.clock.now().plus_millis(LAST_WORDS);
            either(transport.close(), resources.clock.sleep_until(until)).await;
        }
        let stood = resources.with(|state, now| {
            state.transport_lost();
            state.connected_at.take().map(|since| now.millis_since(since))
        });
        (end, true, stood)
    }

    /// CONNECT as this version and this memory have it.
    fn connect_options<'o>(&self, options: &Options<'o>, version: ProtocolVersion) -> ConnectOptions<'o> {
        let mut connect = options.connect.acknowledge(mqtt_core::Acknowledge::ByApplication);
        if !connect.streaming && connect.maximum_packet_size.is_none() {
            connect.maximum_packet_size = u32::try_from(self.receive.len()).ok();
        }
        connect.for_version(version).0
    }

    /// Waits for something that needs no connection; `None`: the client is shut down first.
    async fn unless_shut_down<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let resources = self.resources;
        let over = async {
            let (at, drained) = poll_fn(|cx| {
                resources.with(|state, _| match state.shutdown {
                    Some(at) => Poll::Ready((at, state.is_drained())),
                    None => {
                        state.timer.register(cx.waker());
                        Poll::Pending
                    }
                })
            })
            .await;
            if !drained {
                resources.clock.sleep_until(at).await;
            }
        };
        match either(future, over).await {
            Either::First(value) => Some(value),
            Either::Second(()) => None,
        }
    }
}

/// Writes records as they come. After one that failed there is a pause: its next try is another record.
async fn keep<M: RawMutex, C: Clock, P: Capacities>(
    resources: &Resources<M, C, P>,
    store: &mut impl Store,
    out: &mut [u8],
) -> Infallible {
    let mut failed = None;
    loop {
        let next = poll_fn(|cx| resources.with(|state, now| state.poll_store(cx, now, &mut failed, out)));
        let (ticket, len) = next.await;
        let durable = match out.get(..len).filter(|record| !record.is_empty()) {
            Some(record) => store.append(record).await.is_ok(),
            None => false,
        };
        resources.with(|state, _| state.recorded(ticket, durable, &mut failed));
        if !durable {
            let until = resources.clock.now().plus_millis(STORE_PAUSE);
            resources.clock.sleep_until(until).await;
        }
    }
}

impl<M, C, P: Capacities> core::fmt::Debug for Runner<'_, M, C, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

fn fallback(failure: Failure, dialled: bool, stood: Option<u64>) -> Option<Attempt> {
    match failure {
        Failure::Connection(ConnectionError::Refused(reason)) => Some(Attempt::Refused(reason)),
        Failure::ConnectionLost | Failure::Transport if dialled && stood.is_none() => {
            Some(Attempt::ClosedWithoutConnack)
        }
        _ => None,
    }
}

const fn class(failure: Failure) -> ErrorClass {
    match failure {
        Failure::Connection(error) => ErrorClass::of_error(error),
        Failure::Usage(_) | Failure::Store => ErrorClass::Stop,
        Failure::Transport
        | Failure::Handshake
        | Failure::ConnectTimeout
        | Failure::ConnectionLost
        | Failure::SlowConsumer => ErrorClass::Retry,
    }
}

/// The loops of one connection.
struct Link<'a, M, C, P: Capacities> {
    resources: &'a Resources<M, C, P>,
    stall_timeout: u32,
}

impl<M: RawMutex, C: Clock, P: Capacities> Link<'_, M, C, P> {
    /// Reads, until the transport fails. After any other end it only waits: a pending read is dropped with the transport.
    async fn read(&self, mut reader: impl Read, mut frames: Frames<'_>) -> Failure {
        // The rest of a payload whose head was passed over.
        let mut passing_over = false;
        loop {
            loop {
                match frames.next() {
                    Ok(Some(Input::PublishPayload { last, .. })) if passing_over => passing_over = !last,
                    Ok(Some(input)) => {
                        let taken = self.take(input).await;
                        passing_over = !taken && matches!(input, Input::PublishHead { .. });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.resources.with(|state, _| {
                            state.machine.connection.fail_framing(error);
                            state.wake_runner();
                        });
                        core::future::pending::<Infallible>().await;
                    }
                }
            }
            if self.resources.with(|state, _| state.machine.connection.failure().is_some()) {
                core::future::pending::<Infallible>().await;
            }
            match reader.read(frames.space()).await {
                Ok(0) => return Failure::ConnectionLost,
                Ok(len) => {
                    frames.filled(len);
                    self.resources.with(|state, now| state.machine.bytes_received(now));
                }
                Err(_) => return Failure::Transport,
            }
        }
    }

    /// Gives an input to the machine once there is room for it; `false`: there was none in time, and it is passed over.
    async fn take(&self, input: Input<'_>) -> bool {
        // The Server keeps it until it is acknowledged.
        let keeps = matches!(input.message_qos(), Some(QoS::AtLeastOnce | QoS::ExactlyOnce));
        if keeps && self.resources.with(|state, _| state.overflowed) {
            return false;
        }
        let room = self.resources.with(|state, _| state.has_room_for(&input)) || self.wait_for_room(&input).await;
        if !room && keeps {
            self.resources.with(|state, _| state.overflowed = true);
            return false;
        }
        poll_fn(|cx| {
            self.resources.with(|state, now| {
                if state.receive(now, input) {
                    return Poll::Ready(());
                }
                state.reader.register(cx.waker());
                Poll::Pending
            })
        })
        .await;
        true
    }

    /// Reads nothing more until the input has room; `false`: it has none in time.
    async fn wait_for_room(&self, input: &Input<'_>) -> bool {
        self.resources.with(|state, now| state.machine.set_reading(now, false));
        let room = poll_fn(|cx| {
            self.resources.with(|state, _| {
                if state.has_room_for(input) {
                    return Poll::Ready(());
                }
                state.reader.register(cx.waker());
                Poll::Pending
            })
        });
        // Where an acknowledgement may be behind it that somebody waits for before he reads on, that is sooner.
        let awaited = self.resources.with(|state, _| state.machine.session.outgoing_len() > 0);
        let patience = if awaited { self.stall_timeout / 10 } else { self.stall_timeout };
        let until = self.resources.clock.now().plus_millis(u64::from(patience));
        let timely = matches!(either(room, self.resources.clock.sleep_until(until)).await, Either::First(()));
        self.resources.with(|state, now| state.machine.set_reading(now, true));
        timely
    }

    /// Writes what there is to write, until nothing more is to come.
    async fn write(&self, mut writer: impl Write, out: &mut [u8], connect_len: usize, session_ends: bool) -> End {
        let mut len = connect_len;
        let mut disconnecting = false;
        loop {
            let mut sent = 0;
            while let Some(rest) = out.get(sent..len).filter(|rest| !rest.is_empty()) {
                match writer.write(rest).await {
                    Ok(0) => return End::Failed(Failure::ConnectionLost),
                    Ok(written) => {
                        sent = sent.saturating_add(written);
                        self.resources.with(|state, now| {
                            state.machine.transmitted(now, written);
                            state.timer.wake();
                            state.reader.wake();
                        });
                    }
                    Err(_) => return End::Failed(Failure::Transport),
                }
            }
            if len > 0 && writer.flush().await.is_err() {
                return End::Failed(Failure::Transport);
            }
            let next = poll_fn(|cx| {
                self.resources.with(|state, now| {
                    match state.fill(now, out) {
                        Ok(0) => {}
                        Ok(len) => return Poll::Ready(Ok(len)),
                        Err(error) => return Poll::Ready(Err(End::Failed(Failure::Usage(error)))),
                    }
                    if disconnecting {
                        return Poll::Ready(Err(End::Shutdown));
                    }
                    if state.is_to_begin_anew() {
                        return Poll::Ready(Err(End::Failed(Failure::SlowConsumer)));
                    }
                    if state.machine.is_closed() {
                        let failure = state.machine.connection.failure();
                        let failure = failure.map_or(Failure::ConnectionLost, Failure::Connection);
                        return Poll::Ready(Err(End::Failed(failure)));
                    }
                    let due = |at| now >= at || state.is_drained();
                    if state.shutdown.is_some_and(due) {
                        disconnecting = true;
                        return Poll::Ready(Ok(state.disconnect(session_ends, out)));
                    }
                    state.writer.register(cx.waker());
                    Poll::Pending
                })
            });
            len = match next.await {
                Ok(len) => len,
                Err(end) => return end,
            };
        }
    }

    /// Does what time demands; ends when the last words of a failed connection do not leave.
    async fn time(&self) -> Failure {
        let mut failed_at: Option<Instant> = None;
        loop {
            let (deadline, failure) = self.resources.with(|state, now| {
                if state.machine.poll_timeout().is_some_and(|at| now >= at) {
                    // What it finds is told by the writer.
                    let _ = state.machine.handle_timeout(now);
                    state.writer.wake();
                }
                if state.shutdown.is_some_and(|at| now >= at) {
                    state.writer.wake();
                }
                state.expire_early(now);
                let failure = state.machine.connection.failure();
                if failure.is_some() {
                    failed_at.get_or_insert(now);
                }
                let over = failed_at.is_some_and(|at| now >= at.plus_millis(LAST_WORDS));
                (state.deadline(now, failed_at), failure.filter(|_| over))
            });
            if let Some(failure) = failure {
                return Failure::Connection(failure);
            }
            let changed = poll_fn(|cx| {
                self.resources.with(|state, now| {
                    let failed = failed_at.is_none() && state.machine.connection.failure().is_some();
                    if failed || state.deadline(now, failed_at) != deadline {
                        return Poll::Ready(());
                    }
                    state.timer.register(cx.waker());
                    Poll::Pending
                })
            });
            let sleep = async {
                match deadline {
                    Some(at) => self.resources.clock.sleep_until(at).await,
                    None => core::future::pending().await,
                }
            };
            either(changed, sleep).await;
        }
    }
}

/// What ended first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Polls both until one ends, the first one first.
pub(crate) async fn either<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
