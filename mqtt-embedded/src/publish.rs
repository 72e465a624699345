//! Publishing: accepted and acknowledged are two steps.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{Property, PublishRequest, QoS, ReasonCode, TopicAliasUse, TopicName};

use crate::clock::Clock;
use crate::error::Error;
use crate::resources::{Capacities, Resources};

/// A message about to be published; see [`Client::publish`](crate::Client::publish) and, where the payload is read from a source,
/// [`Client::publish_from`](crate::Client::publish_from).
#[must_use = "a message is published by `send`, `deliver` or `try_send`"]
pub struct Publish<'a, 'p, M, C, P: Capacities, B = &'p [u8]> {
    pub(crate) resources: &'a Resources<M, C, P>,
    pub(crate) request: PublishRequest<'p>,
    pub(crate) body: B,
}

impl<'a, 'p, M: RawMutex, C: Clock, P: Capacities, B> Publish<'a, 'p, M, C, P, B> {
    pub(crate) const fn new(resources: &'a Resources<M, C, P>, topic: TopicName<'p>, body: B) -> Self {
        Self { resources, request: PublishRequest::new(topic), body }
    }

    /// Sets the QoS; default: 0.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.request.qos = qos;
        self
    }

    /// Asks the Server to keep the message for later subscribers.
    pub const fn retain(mut self) -> Self {
        self.request.retain = true;
        self
    }

    /// Sets after how many seconds the message is no longer wanted; see [`PublishRequest::message_expiry_interval`].
    pub const fn message_expiry_interval(mut self, seconds: u32) -> Self {
        self.request.message_expiry_interval = Some(seconds);
        self
    }

    /// Where it is published. Of an answer ([`Client::respond`](crate::Client::respond)) whoever asks has chosen that.
    #[must_use]
    pub const fn topic(&self) -> &'p str {
        self.request.topic.as_str()
    }

    /// Lets a Topic Alias stand for the topic (5.0).
    pub const fn topic_alias(mut self) -> Self {
        self.request.topic_alias = TopicAliasUse::Automatic;
        self
    }

    /// Sets further properties (5.0).
    pub const fn properties(mut self, properties: &'p [Property<'p>]) -> Self {
        self.request = self.request.properties(properties);
        self
    }
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Publish<'a, '_, M, C, P> {
    /// Waits until the message is accepted: at QoS 0 for the connection and its place in the queue, at QoS 1 and 2 in the
    /// session, which keeps it over reconnects, and with a store over a loss of power.
    ///
    /// Dropped before it is done, nothing is published; with a store it may be published all the same.
    ///
    /// # Errors
    /// A limit of the Server, what does not fit the memory at all, [`Error::ReceiptsFull`], [`Error::Closed`];
    /// `NotDelivered(StoreFailed)` when a store does not take it.
    pub async fn send(self) -> Result<Receipt<'a, M, C, P>, Error> {
        let (resources, mut receipt) = (self.resources, Receipt::new(self.resources, None));
        let mut begun = false;
        poll_fn(|cx| {
            let place = &mut receipt.place;
            resources.with(|state, now| state.poll_send(cx, now, (&self.request, self.body), &mut begun, place))
        })
        .await?;
        Ok(receipt)
    }

    /// Waits until the message is delivered. Dropped half-way, it may be published all the same.
    ///
    /// # Errors
    /// As for [`send`](Self::send), [`Error::Rejected`], [`Error::NotDelivered`].
    pub async fn deliver(self) -> Result<ReasonCode, Error> {
        let (resources, mut receipt) = (self.resources, Receipt::new(self.resources, None));
        let mut begun = false;
        poll_fn(|cx| {
            let place = &mut receipt.place;
            resources.with(|state, now| state.poll_deliver(cx, now, (&self.request, self.body), &mut begun, place))
        })
        .await
    }

    /// Publishes now or not at all: never waits.
    ///
    /// # Errors
    /// As for [`send`](Self::send), and [`Error::WouldWait`].
    pub fn try_send(self) -> Result<Receipt<'a, M, C, P>, Error> {
        let place = self.resources.with(|state, now| state.publish(now, &self.request, self.body))?;
        Ok(Receipt::new(self.resources, place))
    }
}

impl<M, C, P: Capacities, B> fmt::Debug for Publish<'_, '_, M, C, P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Tells what became of an accepted message: the Reason Code of its acknowledgement, success at QoS 0.
///
/// Always resolves. Dropped, it changes nothing for the message. Kept without a look it takes one of the places that `OUT` of
/// [`Sizes`](crate::Sizes) gives.
pub struct Receipt<'a, M: RawMutex, C: Clock, P: Capacities> {
    resources: &'a Resources<M, C, P>,
    /// `None`: QoS 0, which nobody acknowledges; or the answer was taken.
    place: Option<u8>,
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Receipt<'a, M, C, P> {
    pub(crate) const fn new(resources: &'a Resources<M, C, P>, place: Option<u8>) -> Self {
        Self { resources, place }
    }

    pub(crate) const fn place(&self) -> Option<u8> {
        self.place
    }

    pub(crate) const fn resources(&self) -> &'a Resources<M, C, P> {
        self.resources
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Future for Receipt<'_, M, C, P> {
    type Output = Result<ReasonCode, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (resources, place) = (self.resources, &mut self.place);
        resources.locked(|state| state.poll_receipt(cx, place))
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Drop for Receipt<'_, M, C, P> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.resources.locked(|state| state.close_receipt(place));
        }
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> fmt::Debug for Receipt<'_, M, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("place", &self.place).finish_non_exhaustive()
    }
}
