//! The future that owns the transport: one connection after another.

use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Read, Write};
use mqtt_core::{Frames, Instant, Record};
use rand_core::RngCore;

use crate::clock::Clock;
use crate::error::Failure;
use crate::moment::Moment;
use crate::options::Options;
use crate::resources::{Capacities, Resources};
use crate::state::{Attempts, Outgoing, Over, Turn};
use crate::store::Store;
use crate::transport::{Connect, Open, Transport};

/// Drives a client: owns the transport, the clock and the reconnecting. One for each [`Resources`].
pub struct Runner<'a, M, C, P: Capacities> {
    resources: &'a Resources<M, C, P>,
    receive: &'a mut [u8],
    transmit: &'a mut [u8],
}

/// How long nothing is written behind a record that could not be, in milliseconds.
const STORE_PAUSE: u64 = 1_000;

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
        if resources.locked(|state| state.loading) {
            store.load(&mut restore).await.map_err(|_| Failure::Store)?;
            resources.locked(|state| state.begin_durable());
        }
        // What is being written is not dropped with a connection.
        let keep = pin!(async { match keep(resources, store, record).await {} });
        race(pin!(self.run(connector, options, random)), keep).await
    }

    /// Connects, works, and connects again, until the client is shut down or trying again cannot help.
    ///
    /// `random` is asked for a number before and after each attempt, so that many devices do not come back at once.
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
        let resources = self.resources;
        let mut attempts = resources.locked(|state| state.begin(options))?;
        let mut over = Over::Told;
        loop {
            let random = random.next_u64();
            let turn = resources.with(|state, now| state.turn(now, options, &mut attempts, over, random));
            if let Turn::End = turn {
                return resources.locked(|state| state.end);
            }
            let attempt = pin!(async {
                match turn {
                    Turn::Connect => self.attempt(connector, options, &attempts).await,
                    _ => pending().await,
                }
            });
            // Time first: what it finds is for those who are asked after it, in the same turn.
            over = race(pin!(time(resources)), attempt).await;
        }
    }

    /// Makes one connection, and serves it to its end.
    async fn attempt<T: Connect>(&mut self, connector: &mut T, options: &Options<'_>, attempts: &Attempts) -> Over {
        let resources = self.resources;
        let Ok(mut dialled) = connector.connect().await else { return Over::Transport };
        let Ok(mut transport) = dialled.open().await else { return Over::Handshake };
        let (capacity, mut outgoing) = (self.receive.len(), Outgoing::new(self.transmit));
        if !resources.with(|state, now| state.connect(now, options, attempts, capacity, &mut outgoing)) {
            return Over::Told;
        }
        // The read and the write live as long as the connection, and end together with it.
        let over = {
            let (mut reader, mut writer) = transport.split();
            let mut frames = Frames::new(self.receive, attempts.version());
            let read = pin!(read(resources, &mut reader, &mut frames));
            let write = pin!(write(resources, &mut writer, &mut outgoing));
            race(read, write).await
        };
        if resources.with(|state, now| state.leave(now, over)) {
            transport.close().await;
        }
        Over::Told
    }
}

/// Waits until what the runner is at has lasted as long as it may.
async fn time<M: RawMutex, C: Clock, P: Capacities>(resources: &Resources<M, C, P>) -> Over {
    let mut at = Moment::NONE;
    let mut over = false;
    while !over {
        let mut sleep = pin!(resources.clock.sleep_until(at.get().unwrap_or(Instant::ZERO)));
        let next = poll_fn(|cx| {
            let next = resources.with(|state, now| state.poll_time(cx, now, &mut at));
            if next.is_pending() && at != Moment::NONE {
                return sleep.as_mut().poll(cx).map(|()| false);
            }
            next
        });
        over = next.await;
    }
    Over::Told
}

/// Reads, until the transport fails. After any other end it only waits: a pending read is dropped with the transport.
async fn read<M: RawMutex, C: Clock, P: Capacities>(
    resources: &Resources<M, C, P>,
    reader: &mut impl Read,
    frames: &mut Frames<'_>,
) -> Over {
    let mut heard = false;
    loop {
        let found = frames.next();
        poll_fn(|cx| resources.with(|state, now| state.poll_take(cx, now, &found, &mut heard))).await;
        if let Ok(None) = found {
            match reader.read(frames.space()).await {
                Ok(0) => return Over::Lost,
                Ok(len) => frames.filled(len),
                Err(_) => return Over::Transport,
            }
            heard = true;
            // Where more is there already what is to be written has its turn, and time, and other tasks.
            give_way().await;
        }
    }
}

/// Lets everybody else run once.
async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Writes what there is to write, until nothing more is to come.
async fn write<M: RawMutex, C: Clock, P: Capacities>(
    resources: &Resources<M, C, P>,
    writer: &mut impl Write,
    outgoing: &mut Outgoing<'_>,
) -> Over {
    while poll_fn(|cx| resources.with(|state, now| state.poll_write(cx, now, outgoing))).await {
        let rest = outgoing.rest();
        if rest.is_empty() {
            if writer.flush().await.is_err() {
                return Over::Transport;
            }
        } else {
            match writer.write(rest).await {
                Ok(0) => return Over::Lost,
                Ok(written) => outgoing.written = written,
                Err(_) => return Over::Transport,
            }
        }
    }
    Over::Told
}

/// Writes records as they come. After one that failed there is a pause: its next try is another record.
async fn keep<M: RawMutex, C: Clock, P: Capacities>(
    resources: &Resources<M, C, P>,
    store: &mut impl Store,
    out: &mut [u8],
) -> Infallible {
    loop {
        let next = poll_fn(|cx| resources.with(|state, now| state.poll_store(cx, now, out)));
        let (ticket, len) = next.await;
        let durable = match out.get(..len).filter(|record| !record.is_empty()) {
            Some(record) => store.append(record).await.is_ok(),
            None => false,
        };
        resources.locked(|state| state.recorded(ticket, durable));
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

/// Polls both until one ends, the first one first. They stay where they are: what is moved is in memory twice.
fn race<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = T> {
    poll_fn(move |cx| match first.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => second.as_mut().poll(cx),
    })
}
