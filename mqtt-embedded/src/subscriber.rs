//! Messages of one subscription.

use core::fmt;
use core::future::poll_fn;
use core::str::Utf8Error;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{Acknowledgement, DeliveryNumber, PacketType, Properties, QoS, ReasonCode, Sender, UsageError};

use crate::clock::Clock;
use crate::error::Error;
use crate::inbox::{Head, Kind};
use crate::resources::{Capacities, Resources};

/// The messages of one filter, in the order of their arrival. Dropped, it unsubscribes.
pub struct Subscriber<'a, M: RawMutex, C: Clock, P: Capacities> {
    resources: &'a Resources<M, C, P>,
    route: u8,
    /// The last part of a message has not been read.
    in_parts: bool,
    by_hand: bool,
    /// What acknowledges the message in parts that was read last.
    streamed: Option<Acknowledgement>,
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Subscriber<'a, M, C, P> {
    pub(crate) const fn new(resources: &'a Resources<M, C, P>, route: u8) -> Self {
        Self { resources, route, in_parts: false, by_hand: false, streamed: None }
    }

    pub(crate) const fn route(&self) -> u8 {
        self.route
    }

    pub(crate) const fn resources(&self) -> &'a Resources<M, C, P> {
        self.resources
    }

    /// Messages at QoS 1 and 2 are acknowledged by [`acknowledge`](Self::acknowledge) instead of when they are taken. With a store
    /// one that was not acknowledged comes again after a loss of power, with the same delivery number.
    ///
    /// A message keeps its room in the inbox until then, and at QoS 1 and 2 the Server sends no more than the inbox holds. One that
    /// is not acknowledged holds back the acknowledgements of those behind it. Of a subscriber that is dropped with it
    /// in hand it comes again at QoS 1, for which the connection is made anew; at QoS 2 without a store it counts as acknowledged.
    #[must_use]
    pub const fn by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }

    /// Acknowledges a message that this subscriber was handed; one at QoS 0 needs none. One in parts can be acknowledged once its
    /// last part was read, until the next message is taken.
    ///
    /// # Errors
    /// `Usage(Stale)`: it was acknowledged before, or is not yet to be.
    pub fn acknowledge(&self, message: &Message<'_>) -> Result<(), Error> {
        let Some(token) = self.token(message)? else { return Ok(()) };
        let acknowledged = self.resources.locked(|state| state.acknowledge(self.route, token));
        if acknowledged { Ok(()) } else { Err(UsageError::Stale.into()) }
    }

    /// Refuses a message that this subscriber was handed, with a failing Reason Code that PUBACK and PUBREC know (5.0 §3.4.2.1,
    /// §3.5.2.1), in place of [`acknowledge`](Self::acknowledge). The Server does not send it again. It is refused at once, also for
    /// other subscribers who have it: what they say then is of no account. At QoS 0 it does nothing.
    ///
    /// ```
    /// # use mqtt_embedded::{Capacities, Clock, Error, ReasonCode, Subscriber};
    /// # use embassy_sync::blocking_mutex::raw::RawMutex;
    /// async fn obey(mut commands: Subscriber<'_, impl RawMutex, impl Clock, impl Capacities>) -> Result<(), Error> {
    ///     // `commands` is a subscriber that acknowledges `by_hand`.
    ///     let mut buffer = [0; 64];
    ///     while let Some(command) = commands.next(&mut buffer).await.transpose()? {
    ///         match command.payload() {
    ///             b"on" => commands.acknowledge(&command)?,
    ///             _ => commands.reject(&command, ReasonCode::PAYLOAD_FORMAT_INVALID)?,
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// `Usage`: `NotInVersion` in 3.1.1, `Encode(ReasonCodeNotAllowed)`, and `AlreadyAcknowledged` at QoS 2 with a store; it can still
    /// be acknowledged. `Stale`, as there. [`Error::WouldWait`]: the store is busy, try again.
    pub fn reject(&self, message: &Message<'_>, reason: ReasonCode) -> Result<(), Error> {
        let Some(token) = self.token(message)? else { return Ok(()) };
        self.resources.locked(|state| state.reject(self.route, token, reason))
    }

    /// What acknowledges a message; `None`: nothing does.
    fn token(&self, message: &Message<'_>) -> Result<Option<Acknowledgement>, Error> {
        match message.head.kind {
            // It came with the last part.
            Kind::Begins if message.head.qos != QoS::AtMostOnce => Ok(Some(self.streamed.ok_or(UsageError::Stale)?)),
            _ => Ok(message.head.acknowledgement),
        }
    }

    /// Waits for the Server's answer: the QoS that it granted. May be dropped and asked again.
    ///
    /// Whoever waits here takes no messages: where many may be waiting already, take them first.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::NotDelivered`], [`Error::Closed`].
    pub async fn granted(&self) -> Result<ReasonCode, Error> {
        poll_fn(|cx| self.resources.locked(|state| state.poll_granted(cx, self.route))).await
    }

    /// Waits for the next message and copies it into `buffer`: topic, properties and payload. At QoS 1 and 2 it is acknowledged with
    /// that. `None`: no more will come, because the client has ended or the Server has refused the subscription, as
    /// [`granted`](Self::granted) tells, or to renew it.
    ///
    /// Of a message that comes in parts ([`Message::payload_len`] is larger than its payload) the rest is read with
    /// [`read`](Self::read); what is not read is skipped.
    ///
    /// May be dropped at any moment: no message is lost.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`]: the message waits for another try with a larger one.
    pub async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Result<Message<'b>, Error>> {
        self.in_parts = false;
        self.streamed = None;
        let head = match poll_fn(|cx| self.poll(cx, buffer)).await? {
            Ok(head) => head,
            Err(error) => return Some(Err(error)),
        };
        self.in_parts = head.kind.begins();
        Some(Ok(Message::new(head, buffer)))
    }

    /// Waits for the next part of the payload of a message that comes in parts, and copies it into `buffer`, which holds
    /// at least what the runner's receive buffer holds; 0: the message is complete. At QoS 1 and 2 it is acknowledged when its last part was read.
    ///
    /// May be dropped at any moment: nothing is lost.
    ///
    /// # Errors
    /// [`Error::Aborted`]: the connection was lost in the middle, or the parts were not read in time. [`Error::BufferTooSmall`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while self.in_parts {
            match poll_fn(|cx| self.poll(cx, buffer)).await {
                Some(Ok(head)) => {
                    self.in_parts = head.kind != Kind::Last;
                    self.streamed = head.acknowledgement.filter(|_| self.by_hand);
                    if head.payload_len > 0 {
                        return Ok(head.payload_len as usize);
                    }
                }
                Some(Err(error)) => {
                    self.in_parts &= error != Error::Aborted;
                    return Err(error);
                }
                None => return Err(Error::Closed),
            }
        }
        Ok(0)
    }

    fn poll(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<Option<Result<Head, Error>>> {
        self.resources.locked(|state| state.poll_message(cx, self.route, (self.in_parts, self.by_hand), buffer))
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Drop for Subscriber<'_, M, C, P> {
    fn drop(&mut self) {
        self.resources.with(|state, now| state.unsubscribe(now, self.route));
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> fmt::Debug for Subscriber<'_, M, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("route", &self.route).finish_non_exhaustive()
    }
}

/// A message in the buffer that was lent for it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'b> {
    head: Head,
    bytes: &'b [u8],
}

impl<'b> Message<'b> {
    /// Of what was copied to the start of the buffer.
    pub(crate) fn new(head: Head, buffer: &'b [u8]) -> Self {
        Self { head, bytes: buffer.get(..head.len()).unwrap_or_default() }
    }

    /// Bytes that hold it whole.
    pub(crate) fn needed(&self) -> usize {
        self.payload_at().saturating_add(self.payload_len() as usize)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'b str {
        // It was text when it arrived.
        core::str::from_utf8(self.bytes.get(..self.properties_at()).unwrap_or_default()).unwrap_or_default()
    }

    /// The payload; empty where it comes in parts.
    #[must_use]
    pub fn payload(&self) -> &'b [u8] {
        self.bytes.get(self.payload_at()..).unwrap_or_default()
    }

    /// The payload as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn payload_str(&self) -> Result<&'b str, Utf8Error> {
        core::str::from_utf8(self.payload())
    }

    /// Bytes of the payload, also of one that comes in parts.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.head.payload_len
    }

    /// The properties; none in 3.1.1.
    #[must_use]
    pub fn properties(&self) -> Properties<'b> {
        let encoded = self.bytes.get(self.properties_at()..self.payload_at()).unwrap_or_default();
        // They were good when they arrived.
        Properties::from_encoded(PacketType::Publish, Sender::Server, encoded).unwrap_or(Properties::EMPTY)
    }

    /// Where the answer is wanted, if the message is a request of 5.0: Response Topic, §3.3.2.3.5. [`Client::respond`](crate::Client::respond)
    /// knows other requests, too.
    #[must_use]
    pub fn response_topic(&self) -> Option<&'b str> {
        self.properties().response_topic()
    }

    /// What the answer is to repeat, Correlation Data, §3.3.2.3.6.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&'b [u8]> {
        self.properties().correlation_data()
    }

    /// The QoS it was sent with: at most that of the subscription.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.head.qos
    }

    /// Whether the Server had kept it for later subscribers.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.head.retain
    }

    /// Whether the Server may have sent it before.
    #[must_use]
    pub const fn dup(&self) -> bool {
        self.head.dup
    }

    /// The number of a message at QoS 1 and 2; with a store, and at QoS 2, it is the same when the message comes again: commit it
    /// together with what the message does, to do that once.
    #[must_use]
    pub fn delivery_number(&self) -> Option<DeliveryNumber> {
        self.head.acknowledgement.map(Acknowledgement::delivery_number)
    }

    /// Whether it was handed over before a loss of power, or may have been.
    #[must_use]
    pub const fn redelivered(&self) -> bool {
        self.head.again
    }

    fn properties_at(&self) -> usize {
        usize::from(self.head.topic_len)
    }

    fn payload_at(&self) -> usize {
        self.properties_at().saturating_add(self.head.properties_len as usize)
    }
}
