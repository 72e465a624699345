//! Publishing: accepted and acknowledged are two steps.

use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{
    EncodeError, Outcome, PacketType, Properties, Property, PublishRequest, QoS, Sender, TopicAliasUse, TopicName,
    UsageError,
};
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::error::Error;
use crate::payload::Source;
use crate::publishing::Publishing;
use crate::state::{Accepted, Clock, Recorded, Shared, State, Turn, Unsent};

/// A message about to be published; see [`Client::publish`](crate::Client::publish).
///
/// `.await` waits until it is delivered; [`send`](Self::send) until it is accepted, and returns the receipt.
#[derive(Debug)]
#[must_use = "a message is published by `.await` or `send`"]
pub struct Publish<'a> {
    shared: &'a Arc<Shared>,
    publication: Publication<'a>,
}

/// A message without a Packet Identifier yet.
#[derive(Clone, Debug)]
pub(crate) struct Publication<'a> {
    topic: Cow<'a, str>,
    pub(crate) payload: Bytes,
    /// Where the payload is read from instead.
    pub(crate) source: Option<Source>,
    qos: QoS,
    retain: bool,
    topic_alias: TopicAliasUse,
    message_expiry_interval: Option<u32>,
    /// When it must have been sent.
    pub(crate) deadline: Option<tokio::time::Instant>,
    properties: PublishProperties<'a>,
}

/// Properties as the caller lends them, or encoded.
#[derive(Clone, Debug)]
enum PublishProperties<'a> {
    Lent(Vec<Property<'a>>),
    Kept(Box<[u8]>),
}

impl Publication<'_> {
    /// Bytes of the payload, wherever they come from.
    pub(crate) fn payload_len(&self) -> u64 {
        self.source.as_ref().map_or(self.payload.len() as u64, Source::length)
    }

    /// The same message, to be kept for later.
    ///
    /// # Errors
    /// A property is not valid.
    pub(crate) fn to_owned(&self) -> Result<Publication<'static>, Error> {
        let Self { topic, payload, source, qos, retain, topic_alias, message_expiry_interval, deadline, .. } = self;
        Ok(Publication {
            topic: Cow::Owned(topic.clone().into_owned()),
            payload: payload.clone(),
            source: source.clone(),
            qos: *qos,
            retain: *retain,
            topic_alias: *topic_alias,
            message_expiry_interval: *message_expiry_interval,
            deadline: *deadline,
            properties: PublishProperties::Kept(self.encoded_properties()?),
        })
    }

    fn encoded_properties(&self) -> Result<Box<[u8]>, UsageError> {
        let properties = self.properties();
        let encode = |out: &mut [u8]| properties.encode(PacketType::Publish, Sender::Client, out);
        let mut encoded = match encode(&mut []) {
            Err(EncodeError::BufferTooSmall { needed }) => vec![0; needed],
            len => vec![0; len?],
        };
        encode(&mut encoded)?;
        Ok(encoded.into())
    }

    fn properties(&self) -> Properties<'_> {
        match &self.properties {
            PublishProperties::Lent(list) => Properties::new(list),
            // It was checked when it was encoded.
            PublishProperties::Kept(encoded) => {
                Properties::from_encoded(PacketType::Publish, Sender::Client, encoded).unwrap_or_default()
            }
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Bytes that it takes while it waits.
    pub(crate) fn len(&self) -> usize {
        let properties = match &self.properties {
            PublishProperties::Lent(_) => 0,
            PublishProperties::Kept(encoded) => encoded.len(),
        };
        self.topic.len().saturating_add(properties).saturating_add(self.payload.len())
    }

    pub(crate) fn request(&self) -> Result<PublishRequest<'_>, Error> {
        let mut request = PublishRequest::new(TopicName::new(&self.topic)?).qos(self.qos).retain(self.retain);
        request.topic_alias = self.topic_alias;
        request.message_expiry_interval = self.message_expiry_interval;
        request.properties = self.properties();
        Ok(request)
    }
}

impl<'a> Publish<'a> {
    pub(crate) const fn new(shared: &'a Arc<Shared>, topic: Cow<'a, str>, payload: Bytes) -> Self {
        let publication = Publication {
            topic,
            payload,
            source: None,
            qos: QoS::AtMostOnce,
            retain: false,
            topic_alias: TopicAliasUse::None,
            message_expiry_interval: None,
            deadline: None,
            properties: PublishProperties::Lent(Vec::new()),
        };
        Self { shared, publication }
    }

    pub(crate) fn read_from(mut self, source: Source) -> Self {
        self.publication.source = Some(source);
        self
    }

    /// Sets the QoS; default: 0.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.publication.qos = qos;
        self
    }

    /// Asks the broker to keep the message for later subscribers.
    pub const fn retain(mut self) -> Self {
        self.publication.retain = true;
        self
    }

    /// Sets after how many seconds the message is no longer wanted: one that was not sent by then is not sent. In 5.0 the broker is
    /// told how many are left (§3.3.2.3.3).
    pub const fn message_expiry_interval(mut self, seconds: u32) -> Self {
        self.publication.message_expiry_interval = Some(seconds);
        self
    }

    /// Sets by when, from now on, the message must have been sent, in every version; default: any time. A message that was
    /// not sent by then is not sent any more, and [`expired`](crate::Outcome::Expired), also while [`send`](Self::send)
    /// waits for room. One that was sent without an answer is sent again after that too. With a store, what the next process
    /// sends has none any more; see [`message_expiry_interval`](Self::message_expiry_interval).
    pub fn deadline(mut self, within: Duration) -> Self {
        // What does not fit is so far that it never comes.
        self.publication.deadline = tokio::time::Instant::now().checked_add(within);
        self
    }

    /// Where it is published. Of an answer ([`Client::respond`](crate::Client::respond)) whoever asks has chosen that.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.publication.topic()
    }

    /// Lets a Topic Alias stand for the topic where the broker allows it (5.0 §3.3.2.3.4); default: none. Worth it for long topics
    /// that are sent often.
    pub const fn topic_alias(mut self, topic_alias: TopicAliasUse) -> Self {
        self.publication.topic_alias = topic_alias;
        self
    }

    /// Says that the payload is text, Payload Format Indicator (5.0 §3.3.2.3.2).
    pub fn payload_is_text(self) -> Self {
        self.property(Property::PayloadFormatIndicator(1))
    }

    /// Says that the payload is bytes of some kind, Payload Format Indicator 0 (5.0 §3.3.2.3.2), which is what it means as well if
    /// nothing is said. It takes the place of [`payload_is_text`](Self::payload_is_text).
    pub fn payload_is_bytes(self) -> Self {
        self.property(Property::PayloadFormatIndicator(0))
    }

    /// Says what kind of payload it is, Content Type (5.0 §3.3.2.3.9).
    pub fn content_type(self, content_type: &'a str) -> Self {
        self.property(Property::ContentType(content_type))
    }

    /// Makes the message a request, to be answered at this topic, Response Topic (5.0 §3.3.2.3.5).
    pub fn response_topic(self, topic: &'a str) -> Self {
        self.property(Property::ResponseTopic(topic))
    }

    /// Says what the answer is to repeat, Correlation Data (5.0 §3.3.2.3.6).
    pub fn correlation_data(self, data: &'a [u8]) -> Self {
        self.property(Property::CorrelationData(data))
    }

    /// Adds a User Property (5.0 §3.3.2.3.7); the same name may come again.
    pub fn user_property(self, name: &'a str, value: &'a str) -> Self {
        self.property(Property::UserProperty(name, value))
    }

    /// Sets a property, in the place of the one that was set before; User Properties are added.
    fn property(mut self, property: Property<'a>) -> Self {
        if let PublishProperties::Lent(list) = &mut self.publication.properties {
            let same = |other: &&mut Property<'_>| other.identifier() == property.identifier();
            match list.iter_mut().find(same).filter(|_| !matches!(property, Property::UserProperty(..))) {
                Some(other) => *other = property,
                None => list.push(property),
            }
        }
        self
    }

    /// Waits until the message is accepted: at QoS 0 for its place in the queue, at QoS 1 and 2 in the session, which keeps it
    /// over reconnects. With a [store](crate::store) it is accepted when it is in the store: from then on it is published, also if
    /// the program is killed. How long the wait may be, and whether there is one: [`deadline`](Self::deadline),
    /// [`Options::overflow`](crate::Options::overflow).
    ///
    /// Messages leave in the order in which they were accepted: those at QoS 1 and 2, and those at QoS 0; between the two there
    /// is no order.
    ///
    /// Dropped before it is done, nothing is published; with a store the message may be all the same.
    ///
    /// # Errors
    /// The topic is not valid; the broker's limits do not allow the message; the store does not take it ([`Error::Store`]:
    /// nothing is published then); the client is closed; [`Error::Full`] with
    /// [`Overflow::Refuse`](crate::Overflow::Refuse); `NotDelivered(Expired)`: there was no room by the deadline.
    pub async fn send(self) -> Result<Receipt, Error> {
        let room = self.shared.when_room(self.turn(), |state, clock| self.accept(state, clock));
        let (receipt, recorded) = match self.publication.deadline {
            None => room.await?,
            Some(deadline) => match tokio::time::timeout_at(deadline, room).await {
                Ok(taken) => taken?,
                Err(_) => return Err(self.shared.change(|state, _| state.expired())),
            },
        };
        if let Some(recorded) = recorded {
            recorded.await.map_err(|_| Error::Closed)??;
        }
        Ok(receipt)
    }

    /// Publishes if there is room, and nobody waits for it who came first. What a store has to take takes its time.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub(crate) fn send_now(&self) -> Result<Option<Taken>, Error> {
        if self.turn().is_taken() {
            return Ok(None);
        }
        self.shared.change(|state, clock| self.accept(state, clock))
    }

    /// `None`: there is no room.
    fn accept(&self, state: &mut State, clock: Clock) -> Result<Option<Taken>, Error> {
        let Some(accepted) = state.publish(clock, &self.publication, true)? else { return Ok(None) };
        let recorded = state.when_recorded(&accepted);
        Ok(Some((Receipt::new(self.shared, accepted), recorded)))
    }

    /// Publishes now or not at all: never waits.
    ///
    /// # Errors
    /// As for [`send`](Self::send); [`Error::Full`] if it would have to wait. It does not wait for a store: if that does not take
    /// the message, the receipt says [`Outcome::StoreFailed`](crate::Outcome::StoreFailed).
    pub fn try_send(self) -> Result<Receipt, Error> {
        // Others wait, and came first.
        if self.turn().is_taken() {
            return Err(Error::Full);
        }
        let accepted = self.shared.change(|state, clock| state.publish(clock, &self.publication, false))?;
        accepted.map(|accepted| Receipt::new(self.shared, accepted)).ok_or(Error::Full)
    }

    /// Who waits for room for such a message.
    fn turn(&self) -> &Turn {
        match self.publication.qos {
            QoS::AtMostOnce => &self.shared.queue_turn,
            _ => &self.shared.session_turn,
        }
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Delivered, Error>;
    type IntoFuture = Publishing<'a>;

    /// Waits until the message is delivered; see [`Receipt`]. Dropped half-way, the message may be published all the same.
    fn into_future(self) -> Self::IntoFuture {
        Publishing::new(self)
    }
}

/// A message that was taken over; with a store, also who tells when it is in there.
pub(crate) type Taken = (Receipt, Option<oneshot::Receiver<Recorded>>);

/// Tells what became of an accepted message. Always resolves; dropping it changes nothing for the message.
#[derive(Debug)]
pub struct Receipt {
    accepted: Accepted,
    /// Where the answer to what is kept comes; none is awaited any more without it.
    shared: Option<Arc<Shared>>,
}

impl Receipt {
    fn new(shared: &Arc<Shared>, accepted: Accepted) -> Self {
        let shared = matches!(accepted, Accepted::Kept(..) | Accepted::Source(_)).then(|| Arc::clone(shared));
        Self { accepted, shared }
    }

    /// Takes the message back if it was never sent; tells whether it did. Its outcome is then
    /// [`NotSent`](crate::Outcome::NotSent). A message from a [`Source`] at QoS 0 cannot be taken back.
    #[allow(clippy::must_use_candidate)] // the outcome tells it too
    pub fn cancel(&self) -> bool {
        let (Accepted::Kept(key, unsent), Some(shared)) = (&self.accepted, &self.shared) else { return false };
        let cancelled = shared.change(|state, _| state.cancel(*key, *unsent));
        if cancelled {
            shared.room_was_made();
        }
        cancelled
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let (Accepted::Kept(key, _), Some(shared)) = (&self.accepted, &self.shared) {
            let waker = shared.lock().replies.forget(*key);
            drop(waker); // somebody else's code: not under the lock
        }
    }
}

/// How a message was delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// QoS 0: it is on its way, all of it, once; nobody acknowledges it.
    Sent,
    /// QoS 1 and 2: the broker has it. The Reason Code is success, or says that nobody was there to get it.
    Acknowledged(Answer),
}

impl Future for Receipt {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let key = match (&mut this.accepted, &this.shared) {
            (Accepted::Kept(key, _), Some(_)) => *key,
            (Accepted::Source(end), Some(_)) => {
                let end = ready!(Pin::new(end).poll(cx));
                this.shared = None; // it is told
                return Poll::Ready(match end {
                    Ok(Ok(_)) => Ok(Delivered::Sent),
                    Ok(Err(outcome)) => Err(Error::NotDelivered(outcome)),
                    Err(_) => Err(Error::Closed),
                });
            }
            (Accepted::Dropped, _) => return Poll::Ready(Err(Error::NotDelivered(Outcome::NotSent))),
            (Accepted::Sent, _) => return Poll::Ready(Ok(Delivered::Sent)),
            (Accepted::Kept(..) | Accepted::Source(_), None) => return Poll::Ready(Err(Error::Closed)), // asked again
        };
        let Some(shared) = &this.shared else { return Poll::Ready(Err(Error::Closed)) };
        let (answer, waker) = shared.lock().replies.poll(key, cx.waker());
        drop(waker); // somebody else's code: not under the lock
        let answer = ready!(answer);
        this.shared = None; // the key is used
        let at_most_once = matches!(this.accepted, Accepted::Kept(_, Unsent::Queued(_)));
        Poll::Ready(match answer {
            Some(Ok(answer)) if answer.reason().is_failure() => Err(Error::Rejected(answer)),
            Some(Ok(_)) if at_most_once => Ok(Delivered::Sent),
            Some(Ok(answer)) => Ok(Delivered::Acknowledged(answer)),
            Some(Err(outcome)) => Err(Error::NotDelivered(outcome)),
            None => Err(Error::Closed),
        })
    }
}
