//! Requests and their answers, over one subscription.

mod respond;
mod table;

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::{Pin, pin};
use core::task::{Poll, ready};
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{AnswerTo, Outcome, QoS, ReasonCode, RequestKey, TopicName};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::message::Message;
use crate::publish::{Delivered, Publish, Receipt};
use crate::status::Status;
use crate::subscription::Subscription;
use table::{Expected, Table};

/// Sends requests and waits for their answers; see [`Client::requests`]. Cheap to clone.
///
/// One subscription serves all requests. In 5.0 a request has a Response Topic and Correlation Data (§4.10). In 3.1.1, where a
/// message cannot have them, the topic says where the answer is wanted: the request for `pump/start` is published to
/// `pump/start/request/{response topic}`, and what follows `/request/` is different for each request. Those who
/// answer with [`Client::respond`] or [`Router::on_request`](crate::Router::on_request) know both ways, whichever version they speak.
///
/// Whoever sends a request says where the answer goes: a broker lets the responder publish there, or does not.
///
/// A request that is dropped, or not answered in time, is forgotten: an answer that comes later counts as
/// [unknown](RequestStatistics::unknown). When the last clone is gone the subscription ends.
///
/// ```
/// use std::time::Duration;
/// use mqtt_std::{Client, QoS, Router};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = mqtt_std::testkit::Broker::start(Default::default()).await?;
/// # let url = broker.url();
/// let pump = Client::connect(url.as_str()).await?;
/// let router = Router::new().on_request("pump/{name}/start", |_, captures| async move {
///     format!("{} runs", captures.get("name").unwrap_or_default())
/// })?;
/// tokio::spawn(router.subscribe(&pump).await?.run());
///
/// let client = Client::connect(url.as_str()).await?;
/// let requests = client.requests().await?;
/// let answer = requests.request("pump/7/start", "").deadline(Duration::from_secs(5)).await?;
/// assert_eq!(answer.payload_str()?, "7 runs");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Requests {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// Where answers come; with more levels, too.
    response_topic: String,
    table: Arc<Table>,
    room: Semaphore,
    reader: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Client {
    /// Prepares for requests: `.await` subscribes to the answers. One of them is enough for many requests; each has a topic for
    /// the answers of its own.
    pub const fn requests(&self) -> StartRequests<'_> {
        StartRequests { client: self, response_topic: None, at_once: 1_024 }
    }
}

/// Requests about to be possible; see [`Client::requests`].
#[derive(Clone, Debug)]
#[must_use = "it subscribes by `.await`"]
pub struct StartRequests<'a> {
    client: &'a Client,
    response_topic: Option<Cow<'a, str>>,
    at_once: usize,
}

impl<'a> StartRequests<'a> {
    /// Sets where answers come: at this topic, and in 3.1.1 one level below it. No other client should use it. In 3.1.1 it has no
    /// level `request` in its middle.
    ///
    /// Default: what the broker gives as Response Information (5.0 §3.2.2.3.15, if it was
    /// [asked for](crate::Options::request_response_information)) and a random level, or else `response`, the Client
    /// Identifier and a random level; without the random level where the session is to be kept.
    pub fn response_topic(mut self, topic: impl Into<Cow<'a, str>>) -> Self {
        self.response_topic = Some(topic.into());
        self
    }

    /// Sets how many requests may wait for their answers at once; default: 1,024; 0 counts as 1. Others wait until it is their turn.
    pub const fn at_once(mut self, requests: usize) -> Self {
        self.at_once = if requests == 0 { 1 } else { requests };
        self
    }

    async fn start(self) -> Result<Requests, Error> {
        let response_topic = match self.response_topic {
            Some(topic) => topic.into_owned(),
            None => response_topic(self.client).await?,
        };
        TopicName::new(&response_topic)?;
        let mut stream = self.client.subscribe(format!("{response_topic}/#"), QoS::ExactlyOnce).await?;
        // What waits for an answer does not outlive the program.
        stream.unsubscribe_when_dropped();
        let table = Arc::new(Table::new());
        let reader = tokio::spawn(read(stream, response_topic.clone(), Arc::clone(&table))).abort_handle();
        let (client, room) = (self.client.clone(), Semaphore::new(self.at_once.min(Semaphore::MAX_PERMITS)));
        Ok(Requests { inner: Arc::new(Inner { client, response_topic, table, room, reader }) })
    }
}

impl<'a> IntoFuture for StartRequests<'a> {
    type Output = Result<Requests, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Subscribes to the answers. It must run on a tokio runtime, where a task takes them in.
    ///
    /// Dropped half-way, the subscription is undone. Errors are those of [`Client::subscribe`].
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

/// A topic that is this client's own: with a level that is new each time, unless a kept session would gather them.
async fn response_topic(client: &Client) -> Result<String, Error> {
    let is_known = |status: &Status| matches!(status, Status::Connected { .. } | Status::Closed { .. });
    client.status().wait_for(is_known).await.map_err(|_| Error::Closed)?;
    let own = format!("{:016x}", crate::random::seed());
    let (identifier, information) = client.identity();
    let begin = match information {
        Some(information) => information,
        None => format!("response/{identifier}"),
    };
    let begin = begin.trim_end_matches('/');
    let lasts = client.keeps_session() && !identifier.is_empty();
    let topic = if lasts { begin.to_owned() } else { format!("{begin}/{own}") };
    // What is in the way may be in it: it is only a name that people know.
    let usable = TopicName::new(&topic).is_ok() && !topic.contains(AnswerTo::REQUEST);
    Ok(if usable { topic } else { format!("response/{own}") })
}

/// Hands answers to those who wait for them.
async fn read(mut stream: Subscription, response_topic: String, table: Arc<Table>) {
    let _closed = table.close_on_drop();
    while let Some(message) = stream.next().await {
        let names = TopicName::new(&response_topic).ok().zip(TopicName::new(message.topic()).ok());
        let key = names.and_then(|(to, topic)| RequestKey::of_answer(to, topic, message.properties()));
        table.answer(key.map(RequestKey::number), message);
    }
}

impl Requests {
    /// Prepares a request; `.await` sends it and waits for the answer.
    pub fn request<'a>(&'a self, topic: impl Into<Cow<'a, str>>, payload: impl Into<Bytes>) -> Request<'a> {
        let (topic, payload) = (topic.into(), payload.into());
        Request { requests: self, topic, payload, qos: QoS::AtLeastOnce, deadline: DEADLINE, change: None }
    }

    /// Prepares a request whose payload is a value as JSON; the answer may be read with [`Message::json`].
    ///
    /// # Errors
    /// [`Error::Json`]: the value cannot be told in JSON.
    #[cfg(feature = "serde")]
    pub fn request_json<'a>(
        &'a self,
        topic: impl Into<Cow<'a, str>>,
        value: &(impl serde::Serialize + ?Sized),
    ) -> Result<Request<'a>, Error> {
        Ok(self.request(topic, serde_json::to_vec(value).map_err(Error::Json)?))
    }

    /// Where answers come.
    #[must_use]
    pub fn response_topic(&self) -> &str {
        &self.inner.response_topic
    }

    /// What has become of the requests so far.
    #[must_use]
    pub fn statistics(&self) -> RequestStatistics {
        self.inner.table.statistics()
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("response_topic", &self.inner.response_topic).finish_non_exhaustive()
    }
}

/// What has become of requests so far; see [`Requests::statistics`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestStatistics {
    /// Requests that wait for their answers.
    pub waiting: usize,
    /// Requests that were answered.
    pub answered: u64,
    /// Answers that nobody waited for: too late, the second to the same request, or to none of these.
    pub unknown: u64,
}

type Change<'a> = Box<dyn for<'p> FnOnce(Publish<'p>) -> Publish<'p> + Send + 'a>;

/// A request about to be sent; see [`Requests::request`].
#[must_use = "a request is sent by `.await`"]
pub struct Request<'a> {
    requests: &'a Requests,
    topic: Cow<'a, str>,
    payload: Bytes,
    qos: QoS,
    deadline: Duration,
    change: Option<Change<'a>>,
}

impl<'a> Request<'a> {
    /// Sets the QoS; default: 1. Answers have the same, if [`Client::respond`] gives them.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Sets for how long the answer is waited for, from the first poll on; default: 30 s. By then the request is not sent any more,
    /// and the broker is told so, in seconds rounded up, as its Message Expiry Interval.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Changes what is published: other properties, for instance.
    pub fn with(mut self, change: impl for<'p> FnOnce(Publish<'p>) -> Publish<'p> + Send + 'a) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    async fn answer(self) -> Result<Message, Error> {
        let until = Instant::now().checked_add(self.deadline);
        let Some(until) = until else { return self.exchange(None).await };
        tokio::time::timeout_at(until, self.exchange(Some(until))).await.map_err(|_| Error::Timeout)?
    }

    async fn exchange(self, until: Option<Instant>) -> Result<Message, Error> {
        let inner = &*self.requests.inner;
        let _room = inner.room.acquire().await.map_err(|_| Error::Closed)?;
        let mut expected = inner.table.expect()?;
        let (key, client) = (expected.key(), &inner.client);
        let correlation_data = key.to_be_bytes();
        let publish = if client.speaks_v5() {
            let publish = client.publish(&*self.topic, self.payload);
            publish.response_topic(&inner.response_topic).correlation_data(&correlation_data)
        } else {
            let topic = format!("{}{}{}/{key:016x}", self.topic, AnswerTo::REQUEST, inner.response_topic);
            client.publish(topic, self.payload)
        };
        let mut publish = publish.qos(self.qos);
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            let seconds = left.as_millis().div_ceil(1_000).max(1);
            publish = publish.deadline(left).message_expiry_interval(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        let publish = match self.change {
            Some(change) => change(publish),
            None => publish,
        };
        match sent_and_answered(publish, &mut expected).await {
            Err(Error::NotDelivered(Outcome::Expired)) => Err(Error::Timeout),
            answer => answer,
        }
    }
}

/// Waits for the answer, which may be quicker than the acknowledgement, and no longer than there is hope for one.
async fn sent_and_answered(publish: Publish<'_>, expected: &mut Expected<'_>) -> Result<Message, Error> {
    let mut sending = pin!(publish.send());
    let mut request = Unanswered::default();
    core::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = expected.poll(cx) {
            return Poll::Ready(answer);
        }
        if !request.is_accepted {
            request.receipt = Some(ready!(sending.as_mut().poll(cx))?);
            request.is_accepted = true;
        }
        let Some(receipt) = &mut request.receipt else { return Poll::Pending };
        match ready!(Pin::new(receipt).poll(cx))? {
            Delivered::Acknowledged(answer) if answer == ReasonCode::NO_MATCHING_SUBSCRIBERS => {
                Poll::Ready(Err(Error::Rejected(answer)))
            }
            _ => {
                request.receipt = None;
                Poll::Pending
            }
        }
    })
    .await
}

/// A request that nobody waits for any more is taken back, if it was not sent.
#[derive(Default)]
struct Unanswered {
    is_accepted: bool,
    receipt: Option<Receipt>,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(receipt) = &self.receipt {
            receipt.cancel();
        }
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Message, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Sends the request and waits for the answer. Dropped half-way, the request is forgotten, and not sent if it was not yet.
    ///
    /// Errors are those of [`Publish`]; [`Error::Rejected`] too when the broker says that nobody is there to
    /// answer (5.0, QoS 1 and 2); [`Error::Timeout`]: there is no answer in time.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answer())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("topic", &self.topic).field("qos", &self.qos).finish_non_exhaustive()
    }
}

const DEADLINE: Duration = Duration::from_secs(30);
