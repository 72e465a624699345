//! Payloads that are read from a source while they are sent.
//!
//! The task that publishes owns the source and a buffer. Once the head of its packet is on its way it reads and puts what it has
//! into the queue that the runner sends from, as far as there is room: the memory between source and transport is that queue.

use core::convert::Infallible;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Read, Seek};
use mqtt_core::{
    Body, Delivery, Instant, Outcome, PacketIdentifier, Payload, ProtocolVersion, Publish as Packet, PublishRequest,
    QoS, ReasonCode, Sender, TopicName, UsageError,
};

use crate::client::Client;
use crate::clock::Clock;
use crate::either::{Either, either};
use crate::error::Error;
use crate::publish::{Publish, Receipt};
use crate::resources::{Capacities, Resources};
use crate::state::{State, copy};

/// A payload that can be read again from its start, for a message that is sent again after a reconnect.
///
/// What it gives must be the same each time, until the message has its outcome. Bytes in memory are such a source, and a
/// [`PayloadFile`]: an image in flash that the processor sees needs no room in the session.
///
/// ```
/// use core::convert::Infallible;
///
/// /// So many bytes of a memory chip, from an address on.
/// struct Image {
///     address: u32,
///     length: u32,
/// }
///
/// struct Reader(u32);
/// # impl embedded_io_async::ErrorType for Reader { type Error = Infallible; }
/// # impl embedded_io_async::Read for Reader {
/// #     async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> { self.0 += buf.len() as u32; Ok(buf.len()) }
/// # }
///
/// impl mqtt_embedded::PayloadSource for Image {
///     type Error = Infallible;
///     type Reader<'s> = Reader;
///
///     fn length(&self) -> u32 {
///         self.length
///     }
///
///     async fn open(&mut self) -> Result<Reader, Infallible> {
///         Ok(Reader(self.address))
///     }
/// }
/// ```
pub trait PayloadSource {
    /// Why it cannot be opened.
    type Error: fmt::Debug;
    /// What reads it. Dropped while it reads when the connection is lost.
    type Reader<'s>: Read
    where
        Self: 's;

    /// `false`: it is read once, and so for QoS 0 only.
    const REWINDABLE: bool = true;

    /// Bytes of the payload: as many are read, what is behind them is not looked at.
    fn length(&self) -> u32;

    /// Begins to read from the start: called whenever the message is sent. Dropped when the connection is lost.
    fn open(&mut self) -> impl Future<Output = Result<Self::Reader<'_>, Self::Error>>;
}

impl PayloadSource for &[u8] {
    type Error = Infallible;
    type Reader<'s>
        = &'s [u8]
    where
        Self: 's;

    fn length(&self) -> u32 {
        // Too many for a packet in any case.
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    async fn open(&mut self) -> Result<&[u8], Infallible> {
        Ok(self)
    }
}

/// A reader that can be read once: a payload for QoS 0.
#[derive(Clone, Copy, Debug)]
pub struct Source<R> {
    reader: R,
    length: u32,
}

impl<R: Read> Source<R> {
    /// The next `length` bytes of a reader. What is behind them is not looked at.
    #[must_use]
    pub const fn once(reader: R, length: u32) -> Self {
        Self { reader, length }
    }
}

impl<R: Read> PayloadSource for Source<R> {
    type Error = Infallible;
    type Reader<'s>
        = &'s mut R
    where
        Self: 's;
    const REWINDABLE: bool = false;

    fn length(&self) -> u32 {
        self.length
    }

    async fn open(&mut self) -> Result<&mut R, Infallible> {
        Ok(&mut self.reader)
    }
}

/// A file, or whatever else can be read and has positions: a payload for any QoS, from its first byte on.
///
/// ```
/// # use mqtt_embedded::{Capacities, Client, Clock, Error, PayloadFile, QoS};
/// # use embassy_sync::blocking_mutex::raw::RawMutex;
/// # use embedded_io_async::{Read, Seek};
/// async fn upload<F: Read + Seek>(
///     client: Client<'_, impl RawMutex, impl Clock, impl Capacities>,
///     file: F,
///     length: u32,
/// ) -> Result<(), Error> {
///     let publish = client.publish_from("cellar/camera", PayloadFile::new(file, length))?;
///     publish.qos(QoS::AtLeastOnce).deliver(&mut [0; 512]).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PayloadFile<F> {
    file: F,
    length: u32,
}

impl<F: Read + Seek> PayloadFile<F> {
    /// The first `length` bytes of a file. What is behind them is not looked at.
    #[must_use]
    pub const fn new(file: F, length: u32) -> Self {
        Self { file, length }
    }
}

impl<F: Read + Seek> PayloadSource for PayloadFile<F> {
    type Error = F::Error;
    type Reader<'s>
        = &'s mut F
    where
        Self: 's;

    fn length(&self) -> u32 {
        self.length
    }

    async fn open(&mut self) -> Result<&mut F, F::Error> {
        self.file.rewind().await?;
        Ok(&mut self.file)
    }
}

/// The payload of a [`Publish`] that is read from a source.
#[derive(Clone, Copy, Debug)]
pub struct FromSource<S>(S);

impl<'a, M: RawMutex, C: Clock, P: Capacities> Client<'a, M, C, P> {
    /// Publishes a payload that is read from a source when it is sent, in parts: it may be larger than all memory. A
    /// [`PayloadSource`] is for any QoS, what can be read only once, [`Source::once`], for QoS 0. [`Publish::deliver`] does it.
    ///
    /// # Errors
    /// The topic is no Topic Name.
    pub fn publish_from<'p, S: PayloadSource>(
        &self,
        topic: &'p str,
        source: S,
    ) -> Result<Publish<'a, 'p, M, C, P, FromSource<S>>, Error> {
        Ok(Publish::new(self.resources, TopicName::new(topic)?, FromSource(source)))
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, S: PayloadSource> Publish<'_, '_, M, C, P, FromSource<S>> {
    /// Publishes the message, and waits until it is delivered: at QoS 0 until the payload has been read, and at QoS 1 and 2
    /// for the Server's answer. It reads through `buffer`, of one byte at least, into the queue for QoS 0
    /// (`QUEUE` of [`Sizes`](crate::Sizes)), which must hold the head of such a packet; nothing else is sent between the head and the
    /// last byte.
    ///
    /// When a connection is lost before the answer, QoS 1 and 2 are sent again on the next one, from the source's start. At QoS 0 a
    /// payload that is cut off ends with `Unknown`.
    ///
    /// A source that fails, ends early, or gives nothing for [`Options::stall_timeout`](crate::Options::stall_timeout) costs the
    /// connection, because a packet that was begun cannot be taken back: the message ends with `SourceFailed`, all others go on
    /// over the next connection.
    ///
    /// Dropped before its packet is begun, nothing is published. Dropped in the middle of the payload, it is as if the source had
    /// failed. Dropped later the message may be delivered, but it is not sent again: with the connection it ends. With a store, a
    /// loss of power ends it too.
    ///
    /// ```
    /// # use mqtt_embedded::{Capacities, Client, Clock, Error, QoS};
    /// # use embassy_sync::blocking_mutex::raw::RawMutex;
    /// static IMAGE: [u8; 100_000] = [0; 100_000];
    ///
    /// async fn upload(client: Client<'_, impl RawMutex, impl Clock, impl Capacities>) -> Result<(), Error> {
    ///     let mut buffer = [0; 512];
    ///     client.publish_from("cellar/camera", IMAGE.as_slice())?.qos(QoS::AtLeastOnce).deliver(&mut buffer).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// `Usage(WrongQoS)` for a source that is read once at QoS 1 and 2, `Usage(FeatureAbsent)` without `streaming`,
    /// [`Error::BufferTooSmall`] for `buffer` or the queue, a limit of the Server, [`Error::ReceiptsFull`], [`Error::Closed`],
    /// [`Error::Rejected`], [`Error::NotDelivered`].
    pub async fn deliver(self, buffer: &mut [u8]) -> Result<ReasonCode, Error> {
        let (resources, request, mut source) = (self.resources, self.request, self.body.0);
        let (length, kept) = (source.length(), request.qos != QoS::AtMostOnce);
        if !cfg!(feature = "streaming") {
            return Err(UsageError::FeatureAbsent.into());
        }
        if kept && !S::REWINDABLE {
            return Err(UsageError::WrongQoS.into());
        }
        if buffer.is_empty() {
            return Err(Error::BufferTooSmall { needed: 1 });
        }
        let mut owner = poll_fn(|cx| {
            resources.with(|state, now| match state.accept_source(now, &request, length) {
                Ok(Some(Accepted { place, turn })) => {
                    Poll::Ready(Ok(Owner { receipt: Receipt::new(resources, place), turn }))
                }
                Ok(None) => state.wait(cx.waker()),
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await?;
        loop {
            let turn = match owner.turn.filter(|_| !kept) {
                Some(turn) => turn,
                None => match poll_fn(|cx| owner.poll(cx)).await {
                    Either::First(answer) => return answer,
                    Either::Second(turn) => turn,
                },
            };
            let given = give(resources, turn, &mut source, length, buffer).await;
            if let Err(Cut::Failed) = given {
                resources.locked(|state| state.fail_source(turn));
            }
            if !kept {
                owner.turn = None;
                return match given {
                    Ok(()) => Ok(ReasonCode::SUCCESS),
                    Err(Cut::Lost) => Err(Error::NotDelivered(Outcome::Unknown)),
                    Err(Cut::Failed) => Err(Error::NotDelivered(Outcome::SourceFailed)),
                };
            }
        }
    }
}

/// Who reads a source, as long as its message has no outcome.
struct Owner<'a, M: RawMutex, C: Clock, P: Capacities> {
    receipt: Receipt<'a, M, C, P>,
    /// At QoS 0: the one there is, until it is over.
    turn: Option<u32>,
}

impl<M: RawMutex, C: Clock, P: Capacities> Owner<'_, M, C, P> {
    /// Waits for the answer, or for the next time that the payload is sent.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Either<Result<ReasonCode, Error>, u32>> {
        let place = self.receipt.place();
        if let Poll::Ready(answer) = Pin::new(&mut self.receipt).poll(cx) {
            return Poll::Ready(Either::First(answer));
        }
        // What wakes the one wakes the other.
        match place.and_then(|place| self.receipt.resources().locked(|state| state.turn_of(place))) {
            Some(turn) => Poll::Ready(Either::Second(turn)),
            None => Poll::Pending,
        }
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Drop for Owner<'_, M, C, P> {
    fn drop(&mut self) {
        let place = self.receipt.place();
        if place.is_some() || self.turn.is_some() {
            self.receipt.resources().locked(|state| state.leave_source(place, self.turn));
        }
    }
}

/// Why a payload was not given whole.
enum Cut {
    /// The connection is gone.
    Lost,
    /// The source has failed.
    Failed,
}

/// Reads a payload from its start and gives it to the runner.
async fn give<M: RawMutex, C: Clock, P: Capacities, S: PayloadSource>(
    resources: &Resources<M, C, P>,
    turn: u32,
    source: &mut S,
    length: u32,
    buffer: &mut [u8],
) -> Result<(), Cut> {
    let mut left = length as usize;
    let mut reader = in_time(resources, turn, source.open()).await?.map_err(|_| Cut::Failed)?;
    while left > 0 {
        let part = buffer.len().min(left);
        let read = in_time(resources, turn, reader.read(buffer.get_mut(..part).unwrap_or_default())).await?;
        let read = read.ok().filter(|read| (1..=part).contains(read)).ok_or(Cut::Failed)?;
        left = left.saturating_sub(read);
        let mut ready = buffer.get(..read).unwrap_or_default();
        while !ready.is_empty() {
            let taken = poll_fn(|cx| resources.locked(|state| state.poll_give(cx, turn, ready))).await?;
            ready = ready.get(taken..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Waits for a source, for as long as the connection lasts, and no longer than a source may take.
async fn in_time<M: RawMutex, C: Clock, P: Capacities, T>(
    resources: &Resources<M, C, P>,
    turn: u32,
    source: impl Future<Output = T>,
) -> Result<T, Cut> {
    let lost = poll_fn(|cx| resources.locked(|state| state.poll_lost(cx, turn)));
    let until = resources.with(|state, now| now.plus_millis(u64::from(state.patience)));
    match either(source, either(lost, resources.clock.sleep_until(until))).await {
        Either::First(value) => Ok(value),
        Either::Second(Either::First(())) => Err(Cut::Lost),
        Either::Second(Either::Second(())) => Err(Cut::Failed),
    }
}

/// A message whose payload is to be read.
struct Accepted {
    /// Of its receipt, at QoS 1 and 2.
    place: Option<u8>,
    /// At QoS 0: it has begun.
    turn: Option<u32>,
}

/// The payload that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inflow {
    /// Rises with each payload that is begun.
    turn: u32,
    /// At QoS 1 and 2.
    owner: Option<PacketIdentifier>,
    /// Bytes that are still to be given.
    left: u32,
}

impl Inflow {
    pub(crate) const NONE: Self = Self { turn: 0, owner: None, left: 0 };

    /// Nothing but the rest of a payload may be sent now.
    pub(crate) const fn is_open(&self) -> bool {
        cfg!(feature = "streaming") && self.left > 0
    }

    pub(crate) const fn begin(&mut self, owner: Option<PacketIdentifier>, length: u32) {
        *self = Self { turn: self.turn.wrapping_add(1), owner, left: length };
    }

    /// The connection is gone.
    pub(crate) const fn close(&mut self) {
        self.left = 0;
    }
}

impl<P: Capacities> State<P> {
    /// Takes a message over whose payload is read later. `Ok(None)`: no room now.
    fn accept_source(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        length: u32,
    ) -> Result<Option<Accepted>, Error> {
        /// Of the Remaining Length, beyond the one byte of a packet without a payload.
        const LENGTH: usize = 3;
        self.check_open()?;
        let (kept, capacity) = (request.qos != QoS::AtMostOnce, self.queue.as_mut().len());
        // Only at QoS 0 the head is in there.
        let head = head_len(request, self.machine.connection.version()).saturating_add(LENGTH);
        let needed = if kept { 1 } else { head };
        if needed > capacity {
            return Err(Error::BufferTooSmall { needed });
        }
        if kept {
            if self.loading || !self.has_receipt()? {
                return Ok(None);
            }
            return match self.machine.publish(now, request, Body::Source { length, key: 0 }) {
                Ok(id) => Ok(Some(Accepted { place: self.accepted(id), turn: None })),
                Err(error) if self.passes(error) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        if !self.machine.is_connected() || self.inflow.is_open() || needed > capacity.saturating_sub(self.queued) {
            return Ok(None);
        }
        let room = self.queue.as_mut().get_mut(self.queued..).unwrap_or_default();
        let transmit = self.machine.publish_at_most_once(request, Payload::Source { length }, room)?;
        self.queued = self.queued.saturating_add(transmit.head_len);
        self.inflow.begin(None, length);
        self.wake_runner();
        Ok(Some(Accepted { place: None, turn: Some(self.inflow.turn) }))
    }

    /// The message behind a receipt, and whether its payload is being read.
    fn source_of(&mut self, place: u8) -> Option<(PacketIdentifier, bool)> {
        let id = self.waiting_for(place)?;
        Some((id, self.inflow.is_open() && self.inflow.owner == Some(id)))
    }

    /// The payload of the message behind a receipt is to be read.
    fn turn_of(&mut self, place: u8) -> Option<u32> {
        self.source_of(place).filter(|(_, reads)| *reads).map(|_| self.inflow.turn)
    }

    const fn is_turn(&self, turn: u32) -> bool {
        self.inflow.is_open() && self.inflow.turn == turn
    }

    fn poll_lost(&mut self, cx: &Context<'_>, turn: u32) -> Poll<()> {
        if !self.is_turn(turn) {
            return Poll::Ready(());
        }
        self.wait(cx.waker())
    }

    /// Takes as much of a payload as there is room for.
    fn poll_give(&mut self, cx: &Context<'_>, turn: u32, bytes: &[u8]) -> Poll<Result<usize, Cut>> {
        if !self.is_turn(turn) {
            return Poll::Ready(Err(Cut::Lost));
        }
        let room = self.queue.as_mut().get_mut(self.queued..).unwrap_or_default();
        let taken = copy(bytes, room);
        if taken == 0 {
            return self.wait(cx.waker());
        }
        self.queued = self.queued.saturating_add(taken);
        self.inflow.left = self.inflow.left.saturating_sub(taken as u32);
        self.wake_runner();
        Poll::Ready(Ok(taken))
    }

    /// The packet cannot be finished: the connection is over.
    fn fail_source(&mut self, turn: u32) {
        if self.is_turn(turn) {
            self.machine.source_failed(self.inflow.owner);
            self.inflow.close();
            self.resolve_outcomes();
            self.wake_runner();
        }
    }

    /// Whoever read a source is gone.
    fn leave_source(&mut self, place: Option<u8>, turn: Option<u32>) {
        match place.and_then(|place| self.source_of(place)) {
            Some((_, true)) => self.fail_source(self.inflow.turn),
            Some((id, false)) => {
                if !self.machine.cancel(id) {
                    self.machine.forget_source(id);
                }
                self.resolve_outcomes();
                self.wake_runner();
            }
            None => {
                if let Some(turn) = turn {
                    self.fail_source(turn);
                }
            }
        }
    }
}

/// As many bytes as the packet takes at the most without its payload.
fn head_len(request: &PublishRequest<'_>, version: ProtocolVersion) -> usize {
    /// Message Expiry Interval and Topic Alias.
    const OWN_PROPERTIES: usize = 8;
    let publish = Packet {
        topic: Some(request.topic),
        delivery: Delivery::AtMostOnce,
        retain: request.retain,
        properties: request.properties,
        payload: &[],
    };
    let len = publish.encoded_len(version, Sender::Client).unwrap_or(0);
    len.saturating_add(OWN_PROPERTIES)
}
