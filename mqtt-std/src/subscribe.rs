//! Asking for messages.

use core::future::{Future, IntoFuture};
use core::pin::Pin;
use std::borrow::Cow;

use mqtt_core::{
    InvalidTopicFilter, Property, QoS, RetainHandling, SubscribeRequest, SubscriptionOptions, TopicFilter,
};

use crate::client::Client;
use crate::delivery::{Acknowledge, Interest, Queue, StreamOptions, WhenFull};
use crate::error::Error;
use crate::subscription::Subscription;

/// A subscription about to be made; see [`Client::subscribe`], [`Client::listen`] and [`Client::listen_unmatched`].
///
/// `.await` waits until the broker has granted it; [`send`](Self::send) until it is asked for. Messages are in the stream from
/// then on. Those of a kept session come at once and fill it: where more than [`Options::in_flight`](crate::Options::in_flight) of
/// them may wait at the broker use `send`, read, and ask [`Subscription::confirmed`] later, since Mosquitto 2.0 answers behind them.
///
/// ```no_run
/// # async fn f(client: mqtt_std::Client) -> Result<(), mqtt_std::Error> {
/// use mqtt_std::{QoS, RetainHandling};
///
/// let mut cellar = client
///     .subscribe("cellar/+/status", QoS::AtLeastOnce)
///     .and("cellar/alarm", QoS::ExactlyOnce)
///     .retain_handling(RetainHandling::SendIfNew)
///     .await?;
/// println!("granted: {:?}", cellar.granted());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a subscription is made by `.await` or `send`"]
pub struct Subscribe<'a> {
    client: &'a Client,
    wanted: Wanted<'a>,
    options: SubscriptionOptions,
    subscription_identifier: Option<u32>,
    user_properties: Vec<Property<'a>>,
    stream: StreamOptions,
}

/// Which messages.
#[derive(Clone, Debug)]
enum Wanted<'a> {
    /// Those that the broker is asked for.
    Subscribed((Cow<'a, str>, QoS), Vec<(Cow<'a, str>, QoS)>),
    /// Those that come anyway.
    Listened(Cow<'a, str>, Vec<Cow<'a, str>>),
    Unmatched,
}

impl<'a> Subscribe<'a> {
    pub(crate) const fn to(client: &'a Client, filter: Cow<'a, str>, qos: QoS) -> Self {
        Self::new(client, Wanted::Subscribed((filter, qos), Vec::new()))
    }

    pub(crate) const fn listen(client: &'a Client, filter: Cow<'a, str>) -> Self {
        Self::new(client, Wanted::Listened(filter, Vec::new()))
    }

    pub(crate) const fn listen_unmatched(client: &'a Client) -> Self {
        Self::new(client, Wanted::Unmatched)
    }

    const fn new(client: &'a Client, wanted: Wanted<'a>) -> Self {
        Self {
            client,
            wanted,
            options: SubscriptionOptions::new(QoS::AtMostOnce),
            subscription_identifier: None,
            user_properties: Vec::new(),
            stream: client.stream_options(),
        }
    }

    /// Adds a filter to the same stream. A message that matches more than one of them is in the stream once for each time the
    /// broker sends it. The stream of [`listen`](Client::listen) has no use for the QoS, that of
    /// [`listen_unmatched`](Client::listen_unmatched) for neither.
    pub fn and(mut self, filter: impl Into<Cow<'a, str>>, qos: QoS) -> Self {
        match &mut self.wanted {
            Wanted::Subscribed(_, more) => more.push((filter.into(), qos)),
            Wanted::Listened(_, more) => more.push(filter.into()),
            Wanted::Unmatched => {}
        }
        self
    }

    /// Leaves out what this client publishes itself (5.0 §3.8.3.1); default: no. Not for shared subscriptions.
    pub const fn no_local(mut self) -> Self {
        self.options.no_local = true;
        self
    }

    /// Keeps the RETAIN flag of messages as they were published (5.0 §3.8.3.1); default: no, it is set only on what the broker
    /// had kept.
    pub const fn retain_as_published(mut self) -> Self {
        self.options.retain_as_published = true;
        self
    }

    /// Sets which of the messages that the broker has kept it sends at once (5.0 §3.8.3.1); default: all.
    pub const fn retain_handling(mut self, retain_handling: RetainHandling) -> Self {
        self.options.retain_handling = retain_handling;
        self
    }

    /// Sets the Subscription Identifier (5.0 §3.8.2.1.2), 1 to 268,435,455, that comes with each message:
    /// [`Message::subscription_identifiers`](crate::Message::subscription_identifiers); default: none.
    pub const fn subscription_identifier(mut self, identifier: u32) -> Self {
        self.subscription_identifier = Some(identifier);
        self
    }

    /// Adds a User Property of the SUBSCRIBE (5.0), for the broker.
    pub fn user_property(mut self, name: &'a str, value: &'a str) -> Self {
        self.user_properties.push(Property::UserProperty(name, value));
        self
    }

    /// Sets how many messages wait in the stream; default:
    /// [`Options::stream_capacity`](crate::Options::stream_capacity), where it stands what happens beyond.
    pub const fn capacity(mut self, messages: usize) -> Self {
        self.stream.capacity = if messages == 0 { 1 } else { messages };
        self
    }

    /// Sets how many bytes of messages wait in the stream; default: [`Options::stream_bytes`](crate::Options::stream_bytes).
    /// One message may be larger.
    pub const fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.stream.bytes = bytes;
        self
    }

    /// Sets when messages at QoS 1 and 2 are acknowledged; default: [`Acknowledge::OnArrival`].
    ///
    /// ```no_run
    /// # fn work(_: &mqtt_std::Message) -> bool { true }
    /// # async fn f(client: mqtt_std::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use mqtt_std::{Acknowledge, QoS, ReasonCode};
    ///
    /// let mut orders = client.subscribe("orders", QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand).await?;
    /// while let Some(order) = orders.next().await {
    ///     if work(&order) {
    ///         order.acknowledge()?;
    ///     } else {
    ///         order.reject(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR)?; // 5.0
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub const fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.stream.acknowledge = acknowledge;
        self
    }

    /// Sets what becomes of messages if the stream is full for longer than
    /// [`Options::stall_timeout`](crate::Options::stall_timeout); default: [`WhenFull::Drop`].
    pub const fn when_full(mut self, when_full: WhenFull) -> Self {
        self.stream.when_full = when_full;
        self
    }

    /// Takes messages that are too large for memory as well: they are in the stream as soon as they begin, and their payload is
    /// read as it arrives, [`Message::reader`](crate::Message::reader); default: no. The client must have
    /// [`Options::streaming`](crate::Options::streaming).
    ///
    /// Such a message is acknowledged once its last byte was read, by hand or not. A full stream holds it up, and so does a
    /// reader with too much before it: after [`Options::stall_timeout`](crate::Options::stall_timeout) without a read
    /// [`when_full`](Self::when_full) says what becomes of it.
    pub const fn streamed(mut self) -> Self {
        self.stream.streamed = true;
        self
    }

    /// Waits until the stream is there and the broker is asked, which may be before there is a connection. Its answer comes
    /// later: [`Subscription::confirmed`]. With [`listen`](Client::listen) nothing is waited for.
    ///
    /// Dropped before it is done, nothing has changed.
    ///
    /// # Errors
    /// A filter is not valid; the broker's limits do not allow it; the client is closed.
    pub async fn send(self) -> Result<Subscription, Error> {
        let queue = Queue::new(self.stream);
        let mut subscription = self.client.subscription(&queue);
        match &self.wanted {
            Wanted::Subscribed(first, more) => {
                let filters = core::iter::once(first).chain(more);
                let filters = filters.map(|(filter, qos)| {
                    let filter = TopicFilter::new(filter)?;
                    Ok(mqtt_core::Subscription { filter, options: SubscriptionOptions { qos: *qos, ..self.options } })
                });
                let filters = filters.collect::<Result<Vec<_>, InvalidTopicFilter>>()?;
                let mut request = SubscribeRequest::new(&filters).properties(&self.user_properties);
                request.subscription_identifier = self.subscription_identifier;
                let shared = self.client.shared();
                let answer =
                    shared.when_room(&shared.session_turn, |state, _| state.subscribe(&request, &queue)).await?;
                subscription.expect(answer);
            }
            Wanted::Listened(first, more) => {
                let filters = core::iter::once(first).chain(more).map(|filter| TopicFilter::new(filter));
                let filters = filters.collect::<Result<Vec<_>, InvalidTopicFilter>>()?;
                let interest = filters.into_iter().map(Interest::Filter);
                self.client.shared().command(|state, _| state.listen(interest, &queue))?;
            }
            Wanted::Unmatched => {
                let interest = core::iter::once(Interest::Unmatched);
                self.client.shared().command(|state, _| state.listen(interest, &queue))?;
            }
        }
        Ok(subscription)
    }
}

impl<'a> IntoFuture for Subscribe<'a> {
    type Output = Result<Subscription, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Waits until the broker has granted the subscription.
    ///
    /// Dropped half-way, the subscription is undone, also where the session is kept.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut subscription = self.send().await?;
            subscription.grant().await?;
            Ok(subscription)
        })
    }
}
