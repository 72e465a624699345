//! The small owner of the three values that adapters lock together.

use crate::codec::framing::Input;
use crate::connection::{
    Aliases, Connection, ConnectionError, Event, NoAliases, ReceiveError, ServerLimits, Transmit, UsageError,
};
use crate::error::EncodeError;
use crate::options::ConnectOptions;
use crate::property::Property;
use crate::request::{Body, Payload, PublishRequest, SubscribeRequest, UnsubscribeRequest};
use crate::session::{
    Acknowledgement, ArrayStorage, CommandOutcome, DeliveryNumber, Record, RecordTicket, Session, Storage, StorageFull,
};
use crate::subscription_list::{NoSubscriptions, SubscriptionList};
use crate::time::Instant;
use crate::types::{PacketIdentifier, ReasonCode, TopicFilter};

/// A client without its socket: a [`Session`], one [`Connection`] after another, and the subscriptions to renew.
///
/// Bytes and the time go in; bytes, events and the next deadline come out. Nothing here waits, allocates or reads a clock.
/// Each call is that of the part that it names; see there.
///
/// ```
/// use mqtt_core::{ArrayStorage, ConnectOptions, Instant, Machine, QoS, PublishRequest, TopicName, Body};
///
/// let mut machine = Machine::new(ArrayStorage::<4, 4, 512>::new());
/// let now = Instant::from_millis(0);
/// // Before the connection: it waits in the session.
/// let topic = TopicName::new("cellar/pump").unwrap();
/// let request = PublishRequest::new(topic).qos(QoS::AtLeastOnce);
/// machine.publish(now, &request, Body::Stored(b"on"))?;
///
/// let mut out = [0; 128];
/// let len = machine.connect(now, &ConnectOptions::new("pump-7"), &mut out)?;
/// assert_eq!(out[0], 0x10, "a CONNECT to send");
/// # let _ = len;
/// # Ok::<(), mqtt_core::UsageError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Machine<S, A = NoAliases, L = NoSubscriptions> {
    /// What outlives a connection.
    pub session: Session<S>,
    /// The connection there is, or was, or will be.
    pub connection: Connection<A>,
    /// The subscriptions to renew when the Server loses the session.
    pub subscriptions: L,
}

impl<S: Storage> Machine<S> {
    /// A client without state, without Topic Aliases, that renews no subscriptions.
    #[must_use]
    pub const fn new(storage: S) -> Self {
        Self::with(storage, NoAliases, NoSubscriptions)
    }
}

impl<S: Storage, A: Aliases, L: SubscriptionList> Machine<S, A, L> {
    /// A client without state, in this memory.
    #[must_use]
    pub const fn with(storage: S, aliases: A, subscriptions: L) -> Self {
        Self { session: Session::new(storage), connection: Connection::new(aliases), subscriptions }
    }

    /// Begins a new connection: [`Connection::reset`], then [`Connection::connect`].
    ///
    /// # Errors
    /// As for [`Connection::connect`].
    pub fn connect(&mut self, now: Instant, options: &ConnectOptions<'_>, out: &mut [u8]) -> Result<usize, UsageError> {
        self.connection.reset();
        self.connection.connect(&mut self.session, now, options, out)
    }

    /// [`Connection::receive`].
    ///
    /// # Errors
    /// As there.
    pub fn receive<'a>(&'a mut self, now: Instant, input: Input<'a>) -> Result<Option<Event<'a>>, ReceiveError> {
        self.connection.receive(&mut self.session, &mut self.subscriptions, now, input)
    }

    /// [`Connection::has_room_for`].
    #[must_use]
    pub fn has_room_for(&self, input: &Input<'_>) -> bool {
        self.connection.has_room_for(&self.session, input)
    }

    /// [`Connection::pass_over_rest`].
    pub const fn pass_over_rest(&mut self) {
        self.connection.pass_over_rest();
    }

    /// [`Connection::bytes_received`].
    pub fn bytes_received(&mut self, now: Instant) {
        self.connection.bytes_received(now);
    }

    /// [`Connection::set_reading`].
    pub fn set_reading(&mut self, now: Instant, reading: bool) {
        self.connection.set_reading(now, reading);
    }

    /// [`Connection::poll_transmit`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Result<Option<Transmit>, EncodeError> {
        self.connection.poll_transmit(&mut self.session, &mut self.subscriptions, now, out)
    }

    /// [`Connection::transmitted`].
    pub fn transmitted(&mut self, now: Instant, bytes: usize) {
        self.connection.transmitted(now, bytes);
    }

    /// [`Connection::source_waits`].
    pub fn source_waits(&mut self, now: Instant) {
        self.connection.source_waits(now);
    }

    /// [`Connection::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    /// [`Connection::handle_timeout`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        self.connection.handle_timeout(now)
    }

    /// [`Session::poll_outcome`].
    pub fn poll_outcome(&mut self) -> Option<CommandOutcome> {
        self.session.poll_outcome()
    }

    /// [`Session::poll_record`].
    pub fn poll_record(&mut self, now: Instant) -> Option<(RecordTicket, Record<'_>)> {
        self.session.poll_record(now)
    }

    /// [`Session::records_durable`].
    pub fn records_durable(&mut self, number: u64) {
        self.session.records_durable(number);
    }

    /// [`Connection::record_failed`].
    ///
    /// # Errors
    /// As there.
    pub fn record_failed(&mut self, ticket: RecordTicket) -> Result<(), UsageError> {
        self.connection.record_failed(&mut self.session, ticket)
    }

    /// [`Session::confirm`].
    ///
    /// # Errors
    /// As there.
    pub fn confirm(&mut self, delivery: DeliveryNumber) -> Result<(), UsageError> {
        self.session.confirm(delivery)
    }

    /// [`Session::restore`].
    ///
    /// # Errors
    /// As there.
    pub fn restore(&mut self, now: Instant, record: &Record<'_>) -> Result<(), StorageFull> {
        self.session.restore(now, record)
    }

    /// [`Connection::publish_at_most_once`].
    ///
    /// # Errors
    /// As there.
    pub fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        payload: Payload<'_>,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        self.connection.publish_at_most_once(request, payload, out)
    }

    /// [`Connection::publish`].
    ///
    /// # Errors
    /// As there.
    pub fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        body: Body<S::Payload<'_>>,
    ) -> Result<PacketIdentifier, UsageError> {
        self.connection.publish(&mut self.session, now, request, body)
    }

    /// [`Connection::subscribe`].
    ///
    /// # Errors
    /// As there.
    pub fn subscribe(&mut self, request: &SubscribeRequest<'_>) -> Result<PacketIdentifier, UsageError> {
        self.connection.subscribe(&mut self.session, &self.subscriptions, request)
    }

    /// Takes a subscription out of the list: it is not renewed, one whose renewal was refused for instance. In the list itself others
    /// would be passed over that have moved to a place where renewal has been.
    pub fn remove_subscription(&mut self, filter: TopicFilter<'_>) {
        self.subscriptions.remove(filter);
        self.connection.look_for_renewals_again();
    }

    /// [`Connection::unsubscribe`].
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe(&mut self, request: &UnsubscribeRequest<'_>) -> Result<PacketIdentifier, UsageError> {
        self.connection.unsubscribe(&mut self.session, request)
    }

    /// [`Connection::acknowledge`].
    ///
    /// # Errors
    /// As there.
    pub fn acknowledge(&mut self, token: Acknowledgement, reason_code: ReasonCode) -> Result<(), UsageError> {
        self.connection.acknowledge(&mut self.session, token, reason_code)
    }

    /// [`Connection::ping`].
    ///
    /// # Errors
    /// As there.
    pub fn ping(&mut self) -> Result<(), UsageError> {
        self.connection.ping()
    }

    /// [`Connection::authenticate`].
    ///
    /// # Errors
    /// As there.
    pub fn authenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        self.connection.authenticate(properties, out)
    }

    /// [`Connection::reauthenticate`].
    ///
    /// # Errors
    /// As there.
    pub fn reauthenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        self.connection.reauthenticate(properties, out)
    }

    /// [`Connection::disconnect`].
    ///
    /// # Errors
    /// As there.
    pub fn disconnect(
        &mut self,
        reason_code: ReasonCode,
        properties: &[Property<'_>],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        self.connection.disconnect(&mut self.session, reason_code, properties, out)
    }

    /// [`Connection::transport_lost`].
    pub fn transport_lost(&mut self) -> ConnectionError {
        self.connection.transport_lost()
    }

    /// [`Connection::source_failed`].
    pub fn source_failed(&mut self, packet_identifier: Option<PacketIdentifier>) {
        self.connection.source_failed(&mut self.session, packet_identifier);
    }

    /// [`Session::forget_source`].
    pub fn forget_source(&mut self, packet_identifier: PacketIdentifier) {
        self.session.forget_source(packet_identifier);
    }

    /// [`Session::cancel`].
    pub fn cancel(&mut self, packet_identifier: PacketIdentifier) -> bool {
        self.session.cancel(packet_identifier)
    }

    /// [`Session::expire`].
    pub fn expire(&mut self, now: Instant) -> bool {
        self.session.expire(now)
    }

    /// [`Connection::is_connected`].
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    /// [`Connection::is_closed`].
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// [`Connection::refused_renewals`].
    #[must_use]
    pub const fn refused_renewals(&self) -> u16 {
        self.connection.refused_renewals()
    }

    /// [`Connection::limits`].
    #[must_use]
    pub const fn limits(&self) -> &ServerLimits {
        self.connection.limits()
    }
}

/// The bytes that a [`Session`] takes with [`ArrayStorage`] of these capacities.
///
/// With room for 4 exchanges in each direction and 512 bytes of messages it is 1,192 on a processor of 32 bits
/// (`benches/size/run`).
///
/// ```
/// // On a processor of 32 bits it is less: pointers play no part, alignment does.
/// assert!(mqtt_core::session_size::<8, 8, 1024>() < 3 * 1024);
/// ```
#[must_use]
pub const fn session_size<const OUT: usize, const IN: usize, const BYTES: usize>() -> usize {
    size_of::<Session<ArrayStorage<OUT, IN, BYTES>>>()
}

/// The bytes that a [`Connection`] takes with [`ArrayAliases`](crate::ArrayAliases) of these capacities.
///
/// Without aliases it is 216 on a processor of 32 bits, with two of 32 bytes in each direction 376 (`benches/size/run`).
///
/// ```
/// assert!(mqtt_core::connection_size::<0, 0, 0>() < 512);
/// ```
#[must_use]
pub const fn connection_size<const IN: usize, const OUT: usize, const LEN: usize>() -> usize {
    size_of::<Connection<crate::connection::ArrayAliases<IN, OUT, LEN>>>()
}
