//! What handles and the runner share, behind one lock that is never held across a wait.

use core::task::{Context, Poll, Waker};

use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use mqtt_core::{
    Acknowledgement, Body, ConnectionError, Delivery, Event, Input, Instant, Machine, Message, Outcome,
    PacketIdentifier, Payload, Property, ProtocolVersion, Publish, PublishRequest, QoS, ReasonCode, ReceiveError,
    Sender, Storage as _, SubscribeRequest, Subscription, TransmitPayload, UnsubscribeRequest, UsageError,
};

use crate::error::{Error, Failure};
use crate::inbox::{Entry, Kind, Messages as _};
use crate::receipts::{self, Answer};
use crate::resources::Capacities;
use crate::routes::{Request, RouteList as _, bit};
use crate::runner::LAST_WORDS;
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
    /// be taken the connection is made anew, and the Server sends them again.
    pub(crate) overflowed: bool,
    /// Whom the message is for that arrives in parts.
    streaming: u32,
    /// Who waits for the next part of a message whose connection is lost.
    aborted: u32,
    /// Filters without a subscriber, until there is room for the UNSUBSCRIBE.
    unwanted: u32,
    /// Until when messages of a session that was there before wait for those who will subscribe to them.
    pub(crate) early_until: Option<Instant>,
    /// For how many milliseconds they do.
    pub(crate) patience: u32,
    /// There is a store, and the session is not here yet.
    pub(crate) loading: bool,
    pub(crate) status: Status,
    pub(crate) connected_at: Option<Instant>,
    pub(crate) shutdown: Option<Instant>,
    pub(crate) statistics: Statistics,
    pub(crate) writer: WakerRegistration,
    pub(crate) reader: WakerRegistration,
    pub(crate) timer: WakerRegistration,
    pub(crate) store: WakerRegistration,
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
            overflowed: false,
            streaming: 0,
            aborted: 0,
            unwanted: 0,
            early_until: None,
            patience: 0,
            loading,
            status: Status::Connecting,
            connected_at: None,
            shutdown: None,
            statistics: Statistics { received: 0, unrouted: 0, dropped: 0, skipped: 0, connections: 0 },
            writer: WakerRegistration::new(),
            reader: WakerRegistration::new(),
            timer: WakerRegistration::new(),
            store: WakerRegistration::new(),
            waiting: MultiWakerRegistration::new(),
        }
    }

    /// Handles that wait look again: for room, an answer, a message, the status.
    pub(crate) fn wake_handles(&mut self) {
        self.waiting.wake();
    }

    /// Says where the connection stands.
    pub(crate) fn set_status(&mut self, status: Status) {
        self.status = status;
        self.wake_handles();
    }

    pub(crate) fn wait(&mut self, waker: &Waker) {
        self.waiting.register(waker);
    }

    /// There is something to send, or to decide.
    pub(crate) fn wake_runner(&mut self) {
        self.writer.wake();
        self.timer.wake();
        self.store.wake();
    }

    fn is_closed(&self) -> bool {
        matches!(self.status, Status::Closed)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() || self.shutdown.is_some() { Err(Error::Closed) } else { Ok(()) }
    }

    /// A place for the outcome of the next command; `Ok(false)`: not now.
    pub(crate) fn has_receipt(&mut self) -> Result<bool, Error> {
        let receipts = self.receipts.as_mut();
        if receipts::vacant(receipts).is_some() {
            return Ok(true);
        }
        let waits = receipts.iter().any(|receipt| matches!(receipt, receipts::Receipt::Waiting(_)));
        if waits { Ok(false) } else { Err(Error::ReceiptsFull) }
    }

    /// Tells whether it is a lack of room that outcomes mend.
    pub(crate) fn passes(&self, error: UsageError) -> bool {
        self.machine.session.outgoing_len() > 0
            && matches!(error, UsageError::InFlightFull | UsageError::StorageFull(_))
            || matches!(error, UsageError::RecordPending)
    }

    /// Takes a message over. `Ok(None)`: no room now.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        payload: &[u8],
    ) -> Result<Option<Option<u8>>, Error> {
        self.check_open()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(request, payload);
        }
        if self.loading || !self.has_receipt()? {
            return Ok(None);
        }
        match self.machine.publish(now, request, Body::Stored(payload)) {
            Ok(id) => Ok(Some(self.accepted(id))),
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn accepted(&mut self, id: PacketIdentifier) -> Option<u8> {
        self.wake_runner();
        receipts::open(self.receipts.as_mut(), id)
    }

    /// Encoded once, here; only while connected: it waits for no connection.
    fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        payload: &[u8],
    ) -> Result<Option<Option<u8>>, Error> {
        if !self.machine.is_connected() || self.inflow.is_open() {
            return Ok(None);
        }
        let queue = self.queue.as_mut();
        let capacity = queue.len();
        let room = queue.get_mut(self.queued..).unwrap_or_default();
        let needed = packet_len(request, payload, self.machine.connection.version());
        if needed > room.len() {
            return if needed > capacity { Err(Error::BufferTooSmall { needed }) } else { Ok(None) };
        }
        let transmit = self.machine.publish_at_most_once(request, Payload::Bytes(payload), room)?;
        self.queued = self.queued.saturating_add(transmit.head_len);
        self.wake_runner();
        Ok(Some(None))
    }

    /// Takes a place for a subscription, which is asked for as soon as there is room; what waits for it is its own from now on.
    pub(crate) fn subscribe(&mut self, subscription: Subscription<'_>) -> Result<u8, Error> {
        self.check_open()?;
        let route = self.machine.subscriptions.open(subscription).ok_or(Error::FiltersFull)?;
        self.unwanted &= !bit(route);
        self.claim(route, subscription.filter);
        self.wake_runner();
        Ok(route)
    }

    /// Waits for the Server's answer to a subscription.
    pub(crate) fn poll_granted(&mut self, cx: &Context<'_>, route: u8) -> Poll<Result<ReasonCode, Error>> {
        match self.machine.subscriptions.request(route) {
            Some(Request::Answered(Ok(reason))) if reason.is_failure() => Poll::Ready(Err(Error::Rejected(reason))),
            Some(Request::Answered(Ok(reason))) => Poll::Ready(Ok(reason)),
            Some(Request::Answered(Err(outcome))) => Poll::Ready(Err(Error::NotDelivered(outcome))),
            _ if self.is_closed() => Poll::Ready(Err(Error::Closed)),
            _ => {
                self.waiting.register(cx.waker());
                Poll::Pending
            }
        }
    }

    /// The subscriber is gone: what it did not take is given up, and the Server is told.
    pub(crate) fn unsubscribe(&mut self, route: u8) {
        let reader = bit(route);
        // What is in its hands and was not acknowledged is not, as of now: it comes again.
        while let Some((index, entry, _)) = self.inbox.parts().find(|entry| entry.handed & entry.readers & reader != 0)
        {
            if entry.readers == reader {
                self.inbox.parts().remove(index);
            } else {
                self.inbox.parts().take(index, reader);
            }
        }
        while let Some(index) = self.inbox.parts().position(reader) {
            self.take(index, reader);
        }
        self.aborted &= !reader;
        // Also where it was asked for and the answer is still to come.
        self.machine.subscriptions.close(route);
        self.unwanted |= reader;
        self.wake_runner();
    }

    /// Gives the machine what is to be subscribed to and unsubscribed from, as far as it has room.
    fn send_requests(&mut self) {
        if self.loading {
            return;
        }
        let Machine { connection, session, subscriptions } = &mut self.machine;
        while self.unwanted != 0 {
            let index = self.unwanted.trailing_zeros() as u8;
            if let Some(subscription) = subscriptions.subscription(index) {
                let filters = [subscription.filter];
                let asked = connection.unsubscribe(session, &UnsubscribeRequest::new(&filters));
                if let Err(UsageError::InFlightFull | UsageError::StorageFull(_) | UsageError::RecordPending) = asked {
                    return;
                }
            }
            self.unwanted &= !bit(index);
        }
        while let Some(index) = subscriptions.wanted() {
            let Some(subscription) = subscriptions.subscription(index) else { return };
            let filters = [subscription];
            let request = match connection.subscribe(session, subscriptions, &SubscribeRequest::new(&filters)) {
                Ok(id) => Request::Asked(id),
                Err(UsageError::InFlightFull | UsageError::StorageFull(_)) if session.outgoing_len() > 0 => return,
                Err(UsageError::RecordPending) => return,
                Err(error) => {
                    self.waiting.wake();
                    Request::Answered(Err(Outcome::Refused(error)))
                }
            };
            subscriptions.set_request(index, request);
        }
    }

    /// These readers have taken an entry.
    fn take(&mut self, index: usize, readers: u32) {
        if self.inbox.parts().take(index, readers) {
            self.settle(index);
        }
        self.reader.wake();
    }

    /// Everybody has taken an entry: it is acknowledged, and gone. Where another record is in the way it waits for that.
    pub(crate) fn settle(&mut self, index: usize) -> bool {
        let Some(token) = self.inbox.parts().acknowledgement(index) else {
            self.inbox.parts().remove(index);
            return true;
        };
        // Stale: the connection is another one, and the Server sends it again or has forgotten it.
        if let Err(UsageError::RecordPending) = self.machine.acknowledge(token, ReasonCode::SUCCESS) {
            return false;
        }
        self.inbox.parts().remove(index);
        self.wake_runner();
        true
    }

    /// The next entry for a subscriber, copied into `buffer`.
    pub(crate) fn poll_message(
        &mut self,
        cx: &Context<'_>,
        route: u8,
        (in_parts, by_hand): (bool, bool),
        buffer: &mut [u8],
    ) -> Poll<Result<Option<Entry>, Error>> {
        let reader = bit(route);
        let next = |entry: &Entry| entry.readers & !entry.handed & reader != 0 && entry.record.is_none();
        let Some((index, entry, bytes)) = self.inbox.parts().find(next) else {
            let aborted = self.aborted & reader != 0;
            self.aborted &= !reader;
            if aborted && in_parts {
                return Poll::Ready(Err(Error::Aborted));
            }
            if self.is_closed() || self.machine.subscriptions.is_lost(route) {
                return Poll::Ready(Ok(None));
            }
            self.waiting.register(cx.waker());
            return Poll::Pending;
        };
        // Another message begins before the last part of this one came.
        if in_parts && !matches!(entry.kind, Kind::Part { .. }) {
            self.aborted &= !reader;
            return Poll::Ready(Err(Error::Aborted));
        }
        if !in_parts && matches!(entry.kind, Kind::Part { .. }) {
            // The rest of a message whose reader has lost interest.
            self.take(index, reader);
            return self.poll_message(cx, route, (in_parts, by_hand), buffer);
        }
        let Some(room) = buffer.get_mut(..bytes.len()) else {
            return Poll::Ready(Err(Error::BufferTooSmall { needed: bytes.len() }));
        };
        room.copy_from_slice(bytes);
        let entry = *entry;
        if by_hand && entry.acknowledgement.is_some() {
            self.inbox.parts().hand_over(index, reader);
        } else {
            self.take(index, reader);
        }
        Poll::Ready(Ok(Some(entry)))
    }

    /// A message that was handed over is acknowledged by its reader; `false`: it is not there any more.
    pub(crate) fn acknowledge(&mut self, route: u8, token: Acknowledgement) -> bool {
        let reader = bit(route);
        let of_it = |entry: &Entry| entry.handed & entry.readers & reader != 0 && entry.acknowledgement == Some(token);
        let Some((index, ..)) = self.inbox.parts().find(of_it) else { return false };
        self.take(index, reader);
        self.wake_handles();
        true
    }

    /// The message that a receipt waits for.
    pub(crate) fn waiting_for(&mut self, receipt: u8) -> Option<PacketIdentifier> {
        match self.receipts.as_mut().get(usize::from(receipt)) {
            Some(receipts::Receipt::Waiting(id)) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn poll_receipt(&mut self, cx: &Context<'_>, receipt: u8) -> Poll<Answer> {
        match receipts::take(self.receipts.as_mut(), receipt) {
            Some(answer) => {
                self.wake_handles();
                Poll::Ready(answer)
            }
            None => {
                self.waiting.register(cx.waker());
                Poll::Pending
            }
        }
    }

    /// With a store: waits until the record of the command behind a receipt is durable; tells whether it is now.
    pub(crate) fn poll_recorded(&mut self, cx: &Context<'_>, receipt: u8) -> Poll<bool> {
        let recorded = match self.receipts.as_mut().get(usize::from(receipt)) {
            Some(receipts::Receipt::Waiting(id)) => self.machine.session.is_recorded(*id),
            Some(receipts::Receipt::Done(Err(Outcome::StoreFailed))) => return Poll::Ready(false),
            _ => true,
        };
        if recorded {
            return Poll::Ready(true);
        }
        self.waiting.register(cx.waker());
        Poll::Pending
    }

    pub(crate) fn close_receipt(&mut self, receipt: u8) {
        receipts::close(self.receipts.as_mut(), receipt);
        self.wake_handles();
    }

    /// Tells whether what arrives next can be taken now: a message finds room in the inbox.
    pub(crate) fn has_room_for(&mut self, input: &Input<'_>) -> bool {
        let len = match input {
            Input::Packet(_) if input.message_qos().is_none() => return true,
            Input::Packet(packet) => packet.len(),
            Input::PublishHead { head, .. } => head.len(),
            Input::PublishPayload { bytes, .. } if self.streaming != 0 => bytes.len(),
            Input::PublishPayload { .. } => return true,
        };
        let inbox = self.inbox.parts();
        (inbox.has_room(len) || !inbox.could_hold(len)) && self.machine.has_room_for(input)
    }

    /// Tells whether everything was taken that was received before one was passed over.
    pub(crate) fn is_to_begin_anew(&mut self) -> bool {
        self.overflowed && self.inbox.parts().is_empty()
    }

    /// Gives what was found to the machine. `false`: the same again later.
    pub(crate) fn receive(&mut self, now: Instant, input: Input<'_>) -> bool {
        let Machine { connection, session, subscriptions } = &mut self.machine;
        let statistics = &mut self.statistics;
        let (mut arrived, mut unrecorded) = (None, None);
        match connection.receive(session, subscriptions, now, input) {
            Ok(Some(Event::Message(message))) => {
                statistics.received = statistics.received.wrapping_add(1);
                let readers = subscriptions.matching(message.topic);
                let early = readers == 0 && self.early_until.is_some_and(|until| now < until);
                let mut entry = entry(Kind::Message, &message, readers, message.payload);
                entry.unclaimed = early && message.acknowledgement.is_some();
                arrived = Some(self.inbox.parts().offer(entry, pieces(&message), statistics));
            }
            Ok(Some(Event::MessageBegins { message, payload_len })) => {
                statistics.received = statistics.received.wrapping_add(1);
                let readers = subscriptions.matching(message.topic);
                let entry = entry(Kind::Begins(payload_len), &message, readers, &[]);
                let offered = self.inbox.parts().offer(entry, pieces(&message), statistics);
                self.streaming = if offered.taken { readers } else { 0 };
                self.aborted &= !readers;
            }
            Ok(Some(Event::Fragment(fragment))) => {
                let entry = part(false, self.streaming, fragment, None);
                let offered = self.inbox.parts().offer_part(entry, fragment);
                self.streaming = if offered.taken { self.streaming } else { 0 };
            }
            Ok(Some(Event::MessageEnds { fragment, acknowledgement, record })) => {
                unrecorded = record;
                let entry = part(true, self.streaming, fragment, acknowledgement);
                arrived = Some(self.inbox.parts().offer_part(entry, fragment));
                self.streaming = 0;
            }
            Ok(Some(Event::Skipped { .. })) => statistics.skipped = statistics.skipped.wrapping_add(1),
            Ok(Some(Event::Published { packet_identifier, reason_code, .. })) => {
                receipts::resolve(self.receipts.as_mut(), packet_identifier, Ok(reason_code));
            }
            Ok(Some(Event::Subscribed { packet_identifier, reason_codes, .. })) => {
                let first = reason_codes.iter().next().unwrap_or(ReasonCode::SUCCESS);
                subscriptions.answer(packet_identifier, Ok(first));
            }
            Ok(Some(Event::Connected(connected))) => {
                statistics.connections = statistics.connections.wrapping_add(1);
                self.connected_at = Some(now);
                if connected.session_present {
                    self.early_until.get_or_insert(now.plus_millis(u64::from(self.patience)));
                }
                self.status = Status::Connected { session_present: connected.session_present };
            }
            Err(ReceiveError::NotReady) => return false,
            // What ends the connection is found by the writer.
            Ok(_) | Err(ReceiveError::Connection(_)) => {}
        }
        if let Some(token) = arrived.and_then(|offered| offered.acknowledge) {
            let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
        }
        if let Some(ticket) = unrecorded {
            // A payload in parts is in no record.
            self.machine.records_durable(ticket.number());
        }
        self.wake_runner();
        self.wake_handles();
        true
    }

    /// Writes what is sent next to the start of `out`, as far as it fits; 0: nothing now.
    pub(crate) fn fill(&mut self, now: Instant, out: &mut [u8]) -> Result<usize, UsageError> {
        self.machine.expire(now);
        self.send_requests();
        let mut len = 0_usize;
        loop {
            let room = out.get_mut(len..).unwrap_or_default();
            if let Some((id, sent)) = self.sending {
                // A large payload goes out from where it is kept, and nothing inside it.
                let rest = self.machine.session.storage().payload(id).get(sent..).unwrap_or_default();
                let copied = copy(rest, room);
                self.sending = (copied < rest.len()).then_some((id, sent.saturating_add(copied)));
                len = len.saturating_add(copied);
                if self.sending.is_some() {
                    return Ok(len);
                }
                continue;
            }
            if self.queued > 0 {
                // Given out by the machine before what it gives out next.
                let queue = self.queue.as_mut();
                let copied = copy(queue.get(..self.queued).unwrap_or_default(), room);
                if copied <= self.queued && self.queued <= queue.len() {
                    queue.copy_within(copied..self.queued, 0);
                }
                self.queued = self.queued.saturating_sub(copied);
                len = len.saturating_add(copied);
                if self.queued > 0 {
                    return Ok(len);
                }
                self.wake_handles();
                continue;
            }
            if self.inflow.is_open() {
                if len == 0 {
                    self.machine.source_waits(now);
                }
                break;
            }
            match self.machine.poll_transmit(now, room) {
                Ok(Some(transmit)) => {
                    len = len.saturating_add(transmit.head_len);
                    match transmit.payload {
                        TransmitPayload::Stored(id) => self.sending = Some((id, 0)),
                        TransmitPayload::Source { packet_identifier, length, .. } if cfg!(feature = "streaming") => {
                            self.inflow.begin(Some(packet_identifier), length);
                            self.wake_handles();
                        }
                        _ => {}
                    }
                }
                Ok(None) => break,
                Err(_) if len > 0 => break,
                Err(error) => {
                    // It will never fit: who waits for it is told, and the others go on.
                    if !self.machine.give_up_next() {
                        return Err(error.into());
                    }
                }
            }
        }
        self.resolve_outcomes();
        Ok(len)
    }

    /// Ends the connection on this side: DISCONNECT is in `out`.
    pub(crate) fn disconnect(&mut self, session_ends: bool, out: &mut [u8]) -> usize {
        if self.inflow.is_open() {
            return 0; // it cannot go inside a packet
        }
        let v5 = self.machine.connection.version().is_v5();
        let properties: &[Property<'_>] = if session_ends && v5 { &[Property::SessionExpiryInterval(0)] } else { &[] };
        self.machine.disconnect(ReasonCode::NORMAL_DISCONNECTION, properties, out).unwrap_or(0)
    }

    /// Tells those who wait what became of their commands.
    pub(crate) fn resolve_outcomes(&mut self) {
        while let Some(ended) = self.machine.poll_outcome() {
            receipts::resolve(self.receipts.as_mut(), ended.packet_identifier, Err(ended.outcome));
            self.machine.subscriptions.answer(ended.packet_identifier, Err(ended.outcome));
            self.waiting.wake();
        }
    }

    /// The transport is gone: what was half-way through it is forgotten or will be sent again.
    pub(crate) fn transport_lost(&mut self) -> ConnectionError {
        self.sending = None;
        self.inflow.close();
        self.queued = 0;
        self.overflowed = false;
        self.aborted |= core::mem::take(&mut self.streaming);
        let error = self.machine.transport_lost();
        self.resolve_outcomes();
        self.wake_handles();
        error
    }

    /// The earliest moment at which there is something to do on a connection, which may have failed at a time.
    pub(crate) fn deadline(&self, now: Instant, failed_at: Option<Instant>) -> Option<Instant> {
        let machine = self.machine.poll_timeout();
        let last_words = failed_at.map(|at| at.plus_millis(LAST_WORDS));
        let shutdown = self.shutdown.filter(|at| *at > now);
        let early = self.early_until.filter(|until| *until > now);
        [machine, last_words, shutdown, early].into_iter().flatten().min()
    }

    /// Tells whether everything was sent and answered.
    pub(crate) fn is_drained(&self) -> bool {
        self.machine.session.outgoing_len() == 0 && self.queued == 0 && self.sending.is_none() && !self.inflow.is_open()
    }

    /// Gives up messages that nobody has subscribed to in time; those from records wait for ever.
    pub(crate) fn expire_early(&mut self, now: Instant) {
        if self.early_until.is_none_or(|until| now < until) {
            return;
        }
        let statistics = &mut self.statistics;
        self.inbox.parts().each(|entry, _| {
            if entry.unclaimed && !entry.again {
                entry.unclaimed = false;
                statistics.unrouted = statistics.unrouted.wrapping_add(1);
            }
        });
        self.settle_all();
    }

    /// Acknowledges what everybody has taken and another record was in the way of.
    pub(crate) fn settle_all(&mut self) {
        let over = |entry: &Entry| entry.readers == 0 && !entry.unclaimed && entry.record.is_none();
        while let Some((index, ..)) = self.inbox.parts().find(over) {
            if !self.settle(index) {
                return;
            }
        }
    }

    /// The end: every wait resolves.
    pub(crate) fn close(&mut self) {
        self.machine.session.end();
        self.resolve_outcomes();
        self.set_status(Status::Closed);
    }
}

/// Copies as much as fits.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        to.copy_from_slice(from);
    }
    len
}

fn entry(kind: Kind, message: &Message<'_>, readers: u32, payload: &[u8]) -> Entry {
    Entry {
        kind,
        topic_len: message.topic.as_str().len() as u16,
        properties_len: message.properties.as_encoded().len() as u16,
        payload_len: payload.len() as u16,
        qos: message.qos,
        retain: message.retain,
        dup: message.dup,
        readers,
        acknowledgement: message.acknowledgement,
        record: message.record_ticket,
        ..Entry::EMPTY
    }
}

fn pieces<'a>(message: &Message<'a>) -> [&'a [u8]; 3] {
    [message.topic.as_str().as_bytes(), message.properties.as_encoded(), message.payload]
}

fn part(last: bool, readers: u32, fragment: &[u8], acknowledgement: Option<Acknowledgement>) -> Entry {
    Entry { kind: Kind::Part { last }, payload_len: fragment.len() as u16, readers, acknowledgement, ..Entry::EMPTY }
}

/// As many bytes as the packet takes at the most.
pub(crate) fn packet_len(request: &PublishRequest<'_>, payload: &[u8], version: ProtocolVersion) -> usize {
    /// Message Expiry Interval and Topic Alias.
    const OWN_PROPERTIES: usize = 8;
    let publish = Publish {
        topic: Some(request.topic),
        delivery: Delivery::AtMostOnce,
        retain: request.retain,
        properties: request.properties,
        payload,
    };
    let len = publish.encoded_len(version, Sender::Client).unwrap_or(0);
    len.saturating_add(OWN_PROPERTIES)
}
