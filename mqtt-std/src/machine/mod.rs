//! The one way to the machine of [`mqtt_core`]: each call that can change it passes here, so that a tape misses none.
//!
//! The parts of the machine can be looked at, and changed by nothing but these methods.

mod call;
#[cfg(not(feature = "tape"))]
mod unnoted;

pub(crate) use call::Call;

use bytes::Bytes;
use mqtt_core::{
    Acknowledgement, Body, CommandOutcome, ConnectOptions, Connection, ConnectionError, DecodeError, EncodeError,
    Event, Input, Instant, PacketIdentifier, Payload, Property, PublishRequest, ReasonCode, ReceiveError, Record,
    RecordTicket, ServerLimits, Session, StorageFull, SubscribeRequest, Suspicion, TopicFilter, Transmit,
    TransmitPayload, UnsubscribeRequest, UsageError,
};

use crate::options::Options;
use crate::storage::{HeapAliases, HeapStorage, HeapSubscriptions};
#[cfg(feature = "tape")]
use crate::tape::{Note, Notes};
#[cfg(not(feature = "tape"))]
use unnoted::Notes;

/// The machine over this crate's memory.
pub(crate) type Inner = mqtt_core::Machine<HeapStorage, HeapAliases, HeapSubscriptions>;

/// What a machine is built with: the same capacities make the same machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Capacities {
    /// Exchanges of this side's.
    pub(crate) exchanges: u16,
    /// Bytes of messages.
    pub(crate) storage: usize,
    /// Topic Aliases that the Server may use.
    pub(crate) aliases_in: u16,
    /// Topic Aliases that this side uses.
    pub(crate) aliases_out: u16,
    /// See [`Suspicion::new`].
    pub(crate) suspect_after: u8,
}

impl Capacities {
    /// A machine of this size.
    pub(crate) fn build(self) -> Inner {
        let aliases = HeapAliases::new(self.aliases_in, self.aliases_out);
        Inner::with(HeapStorage::new(self.exchanges, self.storage), aliases, HeapSubscriptions::default())
    }
}

/// The machine, what it suspects, and who takes notes of both.
pub(crate) struct Machine {
    inner: Inner,
    /// Which exchange ends all connections.
    suspicion: Suspicion,
    notes: Notes,
}

impl Machine {
    /// The machine of a client with these options.
    pub(crate) fn of(options: &Options) -> Self {
        let capacities = Capacities {
            exchanges: options.in_flight,
            storage: options.storage,
            aliases_in: options.topic_aliases,
            aliases_out: TOPIC_ALIASES,
            suspect_after: options.suspicion(),
        };
        Self::new(capacities, Notes::of(options, capacities))
    }

    /// A machine without state.
    pub(crate) fn new(capacities: Capacities, notes: Notes) -> Self {
        Self { inner: capacities.build(), suspicion: Suspicion::new(capacities.suspect_after), notes }
    }

    /// In a replay: what was noted since.
    #[cfg(feature = "tape")]
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// In a replay: the last note is not wanted.
    #[cfg(feature = "tape")]
    pub(crate) fn drop_note(&mut self) {
        self.notes.drop_last();
    }

    /// In a replay: there was a call here that is not made again.
    #[cfg(feature = "tape")]
    pub(crate) fn note_refused(&mut self) {
        self.notes.refused(&self.inner);
    }

    /// In a replay: notes what the machine has become.
    #[cfg(feature = "tape")]
    pub(crate) fn note_state(&mut self) {
        self.notes.state(&self.inner);
    }

    /// Nothing that comes from here on is noted.
    pub(crate) fn end_notes(&mut self) {
        self.notes.end(&self.inner);
    }

    pub(crate) const fn session(&self) -> &Session<HeapStorage> {
        &self.inner.session
    }

    pub(crate) const fn connection(&self) -> &Connection<HeapAliases> {
        &self.inner.connection
    }

    pub(crate) const fn subscriptions(&self) -> &HeapSubscriptions {
        &self.inner.subscriptions
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    pub(crate) const fn limits(&self) -> &ServerLimits {
        self.inner.limits()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    /// [`Suspicion::is_one_at_a_time`].
    pub(crate) const fn is_one_at_a_time(&self) -> bool {
        self.suspicion.is_one_at_a_time()
    }

    pub(crate) fn connect(
        &mut self,
        now: Instant,
        options: &ConnectOptions<'_>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        self.notes.call(&self.inner, || Call::Connect { now, options, room: out.len() });
        let written = self.inner.connect(now, options, out);
        self.notes.wrote(&self.inner, out, written.map(whole));
        written
    }

    pub(crate) fn receive<'a>(&'a mut self, now: Instant, input: Input<'a>) -> Result<Option<Event<'a>>, ReceiveError> {
        self.notes.call(&self.inner, || Call::Receive { now, input });
        let received = self.inner.receive(now, input);
        self.notes.answer(&received);
        received
    }

    pub(crate) fn fail_framing(&mut self, error: DecodeError) {
        self.notes.call(&self.inner, || Call::FailFraming { error });
        let error = self.inner.connection.fail_framing(error);
        self.notes.answer(&error);
    }

    pub(crate) fn bytes_received(&mut self, now: Instant) {
        self.notes.call(&self.inner, || Call::BytesReceived { now });
        self.inner.bytes_received(now);
        self.notes.answer(&());
    }

    pub(crate) fn set_reading(&mut self, now: Instant, reading: bool) {
        self.notes.call(&self.inner, || Call::SetReading { now, reading });
        self.inner.set_reading(now, reading);
        self.notes.answer(&());
    }

    /// [`Suspicion::poll_transmit`].
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Result<Option<Transmit>, EncodeError> {
        self.notes.call(&self.inner, || Call::PollTransmit { now, room: out.len() });
        let written = self.suspicion.poll_transmit(&mut self.inner, now, out);
        self.notes.wrote(&self.inner, out, written);
        written
    }

    pub(crate) fn transmitted(&mut self, now: Instant, bytes: usize) {
        self.notes.call(&self.inner, || Call::Transmitted { now, bytes });
        self.inner.transmitted(now, bytes);
        self.notes.answer(&());
    }

    pub(crate) fn source_waits(&mut self, now: Instant) {
        self.notes.call(&self.inner, || Call::SourceWaits { now });
        self.inner.source_waits(now);
        self.notes.answer(&());
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        self.notes.call(&self.inner, || Call::HandleTimeout { now });
        let handled = self.inner.handle_timeout(now);
        self.notes.answer(&handled);
        handled
    }

    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.notes.call(&self.inner, || Call::Expire { now });
        let expired = self.inner.expire(now);
        self.notes.answer(&expired);
        expired
    }

    pub(crate) fn poll_outcome(&mut self) -> Option<CommandOutcome> {
        self.notes.call(&self.inner, || Call::PollOutcome);
        let outcome = self.inner.poll_outcome();
        self.notes.answer(&outcome);
        outcome
    }

    pub(crate) fn poll_record(&mut self, now: Instant) -> Option<(RecordTicket, Record<'_>)> {
        self.notes.call(&self.inner, || Call::PollRecord { now });
        let record = self.inner.poll_record(now);
        self.notes.answer(&record);
        record
    }

    pub(crate) fn records_durable(&mut self, number: u64) {
        self.notes.call(&self.inner, || Call::RecordsDurable { number });
        self.inner.records_durable(number);
        self.notes.answer(&());
    }

    pub(crate) fn record_failed(&mut self, ticket: RecordTicket) -> Result<(), UsageError> {
        self.notes.call(&self.inner, || Call::RecordFailed { number: ticket.number() });
        let failed = self.inner.record_failed(ticket);
        self.notes.answer(&failed);
        failed
    }

    pub(crate) fn restore(&mut self, now: Instant, record: &Record<'_>) -> Result<(), StorageFull> {
        self.notes.call(&self.inner, || Call::Restore { now, record });
        let restored = self.inner.restore(now, record);
        self.notes.answer(&restored);
        restored
    }

    pub(crate) fn set_durable(&mut self, durable: bool) {
        self.notes.call(&self.inner, || Call::SetDurable { durable });
        self.inner.session.set_durable(durable);
        self.notes.answer(&());
    }

    pub(crate) fn expect_session_present(&mut self) {
        self.notes.call(&self.inner, || Call::ExpectSessionPresent);
        self.inner.session.expect_session_present();
        self.notes.answer(&());
    }

    /// [`Session::end`].
    pub(crate) fn end_session(&mut self) {
        self.notes.call(&self.inner, || Call::EndSession);
        self.inner.session.end();
        self.notes.answer(&());
    }

    pub(crate) fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        payload: Payload<'_>,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        self.notes.call(&self.inner, || Call::PublishAtMostOnce { request, payload, room: out.len() });
        let written = self.inner.publish_at_most_once(request, payload, out);
        self.notes.wrote(&self.inner, out, written.map(Some));
        written
    }

    pub(crate) fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        body: Body<Bytes>,
    ) -> Result<PacketIdentifier, UsageError> {
        self.notes.call(&self.inner, || {
            let body = match &body {
                Body::Stored(payload) => Body::Stored(&payload[..]),
                Body::Source { length, key } => Body::Source { length: *length, key: *key },
            };
            Call::Publish { now, request, body }
        });
        let accepted = self.inner.publish(now, request, body);
        self.notes.answer(&accepted);
        accepted
    }

    pub(crate) fn subscribe(&mut self, request: &SubscribeRequest<'_>) -> Result<PacketIdentifier, UsageError> {
        self.notes.call(&self.inner, || Call::Subscribe { request });
        let accepted = self.inner.subscribe(request);
        self.notes.answer(&accepted);
        accepted
    }

    pub(crate) fn unsubscribe(&mut self, request: &UnsubscribeRequest<'_>) -> Result<PacketIdentifier, UsageError> {
        self.notes.call(&self.inner, || Call::Unsubscribe { request });
        let accepted = self.inner.unsubscribe(request);
        self.notes.answer(&accepted);
        accepted
    }

    pub(crate) fn acknowledge(&mut self, token: Acknowledgement, reason_code: ReasonCode) -> Result<(), UsageError> {
        self.notes.call(&self.inner, || Call::Acknowledge { token, reason_code });
        let acknowledged = self.inner.acknowledge(token, reason_code);
        self.notes.answer(&acknowledged);
        acknowledged
    }

    pub(crate) fn ping(&mut self) -> Result<(), UsageError> {
        self.notes.call(&self.inner, || Call::Ping);
        let asked = self.inner.ping();
        self.notes.answer(&asked);
        asked
    }

    pub(crate) fn authenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        self.notes.call(&self.inner, || Call::Authenticate { properties, room: out.len() });
        let written = self.inner.authenticate(properties, out);
        self.notes.wrote(&self.inner, out, written.map(whole));
        written
    }

    pub(crate) fn reauthenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        self.notes.call(&self.inner, || Call::Reauthenticate { properties, room: out.len() });
        let written = self.inner.reauthenticate(properties, out);
        self.notes.wrote(&self.inner, out, written.map(whole));
        written
    }

    pub(crate) fn disconnect(
        &mut self,
        reason_code: ReasonCode,
        properties: &[Property<'_>],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        self.notes.call(&self.inner, || Call::Disconnect { reason_code, properties, room: out.len() });
        let written = self.inner.disconnect(reason_code, properties, out);
        self.notes.wrote(&self.inner, out, written.map(whole));
        written
    }

    pub(crate) fn transport_lost(&mut self) {
        self.notes.call(&self.inner, || Call::TransportLost);
        let error = self.inner.transport_lost();
        self.notes.answer(&error);
    }

    /// [`Suspicion::connection_died`].
    pub(crate) fn connection_died(&mut self) -> bool {
        self.notes.call(&self.inner, || Call::ConnectionDied);
        let given_up = self.suspicion.connection_died(&mut self.inner);
        self.notes.answer(&given_up);
        given_up
    }

    pub(crate) fn source_failed(&mut self, packet_identifier: Option<PacketIdentifier>) {
        self.notes.call(&self.inner, || Call::SourceFailed { packet_identifier });
        self.inner.source_failed(packet_identifier);
        self.notes.answer(&());
    }

    pub(crate) fn cancel(&mut self, packet_identifier: PacketIdentifier) -> bool {
        self.notes.call(&self.inner, || Call::Cancel { packet_identifier });
        let cancelled = self.inner.cancel(packet_identifier);
        self.notes.answer(&cancelled);
        cancelled
    }

    /// [`HeapSubscriptions::set_identifiers_available`].
    pub(crate) fn set_identifiers_available(&mut self, available: bool) {
        self.notes.call(&self.inner, || Call::SetIdentifiersAvailable { available });
        self.inner.subscriptions.set_identifiers_available(available);
        self.notes.answer(&());
    }

    /// [`HeapSubscriptions::choose_identifier`].
    pub(crate) fn choose_identifier(&mut self, identifier: u32) {
        self.notes.call(&self.inner, || Call::ChooseIdentifier { identifier });
        self.inner.subscriptions.choose_identifier(identifier);
        self.notes.answer(&());
    }

    /// [`HeapSubscriptions::next_identifier`].
    pub(crate) fn next_identifier(&mut self) -> Option<u32> {
        self.notes.call(&self.inner, || Call::NextIdentifier);
        let identifier = self.inner.subscriptions.next_identifier();
        self.notes.answer(&identifier);
        identifier
    }

    /// Renews it no more.
    pub(crate) fn remove_subscription(&mut self, filter: TopicFilter<'_>) {
        self.notes.call(&self.inner, || Call::RemoveSubscription { filter });
        self.inner.remove_subscription(filter);
        self.notes.answer(&());
    }
}

/// How many Topic Aliases this side uses, where the Server allows as many.
const TOPIC_ALIASES: u16 = 32;

/// A packet that is in the buffer as a whole; without bytes there is none.
pub(crate) fn whole(head_len: usize) -> Option<Transmit> {
    (head_len > 0).then_some(Transmit { head_len, payload: TransmitPayload::None })
}
