//! Requests and their answers, over one subscription.

use core::cell::Cell;
use core::fmt;
use core::future::{Future as _, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{
    AnswerTo, EncodeError, Outcome, PacketType, Properties, Property, QoS, ReasonCode, RequestKey, Sender, TopicName,
    UsageError,
};
use rand_core::RngCore;

use crate::client::Client;
use crate::clock::Clock;
use crate::either::{Either, either};
use crate::error::Error;
use crate::inbox::{Entry, Head, Kind, Messages as _};
use crate::keys::Keys;
use crate::publish::{Publish, Receipt};
use crate::resources::{Capacities, Resources};
use crate::routes::{RouteList as _, bit};
use crate::state::State;
use crate::subscriber::{Message, Subscriber};

/// Sends requests and waits for their answers, from as many tasks as there are; see [`Client::requests`]. At most `N` wait at once,
/// others wait for their turn. Dropped, it unsubscribes.
///
/// In 5.0 a request has a Response Topic and Correlation Data (§4.10), in 3.1.1 its topic says where the answer is wanted; see
/// [`RequestKey`]. [`Client::respond`] and `mqtt-std` know both ways.
///
/// An answer that nobody waits for any more is acknowledged and dropped, and counts as
/// [unrouted](crate::Statistics::unrouted).
pub struct Requests<'a, 't, M: RawMutex, C: Clock, P: Capacities, const N: usize> {
    subscriber: Subscriber<'a, M, C, P>,
    response_topic: TopicName<'t>,
    /// Answers may come below the response topic.
    below: bool,
    table: Mutex<M, Cell<Table<N>>>,
}

/// Who waits.
#[derive(Clone, Copy)]
struct Table<const N: usize> {
    keys: [Option<RequestKey>; N],
    new: Keys,
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Client<'a, M, C, P> {
    /// Prepares for requests: subscribes to `answers`, a topic that no other client uses, with `/#` at its end where 3.1.1 may be
    /// spoken. One of them is enough for many requests.
    ///
    /// `random` makes the keys that tell requests apart: an answer from before a restart is not taken for another one, and who answers
    /// one request cannot guess the key of the next. Who can read the answers' topic, or publish there whatever he has read elsewhere, is
    /// for the Server to decide.
    ///
    /// ```
    /// # use mqtt_embedded::{Capacities, Client, Clock, Error};
    /// # use embassy_sync::blocking_mutex::raw::RawMutex;
    /// async fn ask(
    ///     client: Client<'_, impl RawMutex, impl Clock, impl Capacities>,
    ///     random: &mut impl rand_core::RngCore,
    /// ) -> Result<bool, Error> {
    ///     let requests = client.requests::<4>("response/stairlamp/#", random)?;
    ///     let mut buffer = [0; 128];
    ///     let answer = requests.request("pump/7/start", b"")?.deadline(5_000).answer(&mut buffer).await?;
    ///     Ok(answer.payload() == b"runs")
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`subscribe`](Self::subscribe); [`Error::InvalidTopicName`].
    pub fn requests<'t, const N: usize>(
        &self,
        answers: &'t str,
        random: &mut impl RngCore,
    ) -> Result<Requests<'a, 't, M, C, P, N>, Error> {
        let topic = answers.strip_suffix("/#");
        let response_topic = TopicName::new(topic.unwrap_or(answers))?;
        let subscriber = self.subscribe(answers, QoS::ExactlyOnce)?;
        let table = Mutex::new(Cell::new(Table { keys: [None; N], new: Keys::new(random) }));
        let requests = Requests { subscriber, response_topic, below: topic.is_some(), table };
        requests.with(|state, route| state.stop_listening(route));
        Ok(requests)
    }

    /// Prepares the answer to a request: a message to its Response Topic with its Correlation Data, at its QoS; or to the topic that
    /// its own topic names, as a request of 3.1.1 does. [`Publish::properties`] would take the Correlation Data's place. Whoever asks may name
    /// any topic, one that he may not publish to himself: where that matters look at [`Publish::topic`] first.
    ///
    /// ```
    /// # use mqtt_embedded::{Capacities, Client, Clock, Error, Subscriber};
    /// # use embassy_sync::blocking_mutex::raw::RawMutex;
    /// async fn serve<M: RawMutex, C: Clock, P: Capacities>(
    ///     client: Client<'_, M, C, P>,
    ///     mut requests: Subscriber<'_, M, C, P>, // of `pump/7/start`, and in 3.1.1 of `pump/7/start/request/#`
    /// ) -> Result<(), Error> {
    ///     let mut buffer = [0; 128];
    ///     while let Some(request) = requests.next(&mut buffer).await.transpose()? {
    ///         client.respond(&request, b"runs")?.deliver().await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotARequest`]: it asks for no answer.
    pub fn respond<'p>(&self, request: &Message<'p>, payload: &'p [u8]) -> Result<Publish<'a, 'p, M, C, P>, Error> {
        let topic = TopicName::new(request.topic())?;
        let to = AnswerTo::request(topic, request.properties()).ok_or(Error::NotARequest)?;
        let mut publish = Publish::new(self.resources, to.topic, payload).qos(request.qos());
        publish.request.properties = to.properties;
        Ok(publish)
    }
}

impl<'a, 't, M: RawMutex, C: Clock, P: Capacities, const N: usize> Requests<'a, 't, M, C, P, N> {
    /// Waits for the Server's answer to the subscription; see [`Subscriber::granted`]. Requests need not wait for it.
    ///
    /// # Errors
    /// As there.
    pub async fn granted(&self) -> Result<ReasonCode, Error> {
        self.subscriber.granted().await
    }

    /// Where answers come.
    #[must_use]
    pub const fn response_topic(&self) -> &'t str {
        self.response_topic.as_str()
    }

    /// Prepares a request; [`Request::answer`] sends it.
    ///
    /// # Errors
    /// The topic is no Topic Name.
    pub fn request<'r>(&'r self, topic: &'r str, payload: &'r [u8]) -> Result<Request<'r, 'a, 't, M, C, P, N>, Error> {
        let topic = TopicName::new(topic)?;
        Ok(Request { requests: self, topic, payload, qos: QoS::AtLeastOnce, deadline: DEADLINE })
    }

    fn with<T: crate::busy::Busy>(&self, change: impl FnOnce(&mut State<P>, u8) -> T) -> T {
        let route = self.subscriber.route();
        self.subscriber.resources().locked(|state| change(state, route))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table<N>) -> T) -> T {
        self.table.lock(|cell| {
            let mut table = cell.get();
            let result = change(&mut table);
            cell.set(table);
            result
        })
    }

    /// Waits for a connection, since its version says how a request is written, and for a place.
    fn poll_place(&self, cx: &Context<'_>) -> Poll<Result<Waiting<'_, 'a, 't, M, C, P, N>, Error>> {
        let key = self.with(|state, route| {
            if let Err(error) = state.check_open() {
                return Poll::Ready(Err(error));
            }
            let connected = state.machine.is_connected();
            match connected.then(|| self.change(Table::take_place)).flatten() {
                Some(key) => {
                    state.listen(route);
                    Poll::Ready(Ok((key, state.machine.connection.version().is_v5())))
                }
                None => state.wait(cx.waker()),
            }
        });
        key.map(|key| key.map(|(key, v5)| Waiting { requests: self, key, v5 }))
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Drop for Requests<'_, '_, M, C, P, N> {
    fn drop(&mut self) {
        // Its place may be another subscriber's next.
        self.with(|state, route| state.listen(route));
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> fmt::Debug for Requests<'_, '_, M, C, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("response_topic", &self.response_topic).finish_non_exhaustive()
    }
}

impl<const N: usize> Table<N> {
    fn take_place(&mut self) -> Option<RequestKey> {
        let free = self.keys.iter_mut().find(|key| key.is_none())?;
        let key = self.new.make();
        *free = Some(key);
        Some(key)
    }

    /// Tells whether nobody else waits.
    fn give_back(&mut self, key: RequestKey) -> bool {
        for place in self.keys.iter_mut().filter(|place| **place == Some(key)) {
            *place = None;
        }
        self.keys.iter().all(Option::is_none)
    }
}

/// A request that waits for its answer; dropped, it is forgotten.
struct Waiting<'r, 'a, 't, M: RawMutex, C: Clock, P: Capacities, const N: usize> {
    requests: &'r Requests<'a, 't, M, C, P, N>,
    key: RequestKey,
    v5: bool,
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Waiting<'_, '_, '_, M, C, P, N> {
    fn poll(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<Result<Head, Error>> {
        self.requests.with(|state, route| {
            let keys = self.requests.change(|table| table.keys);
            state.poll_answer(cx, route, self.requests.response_topic, &keys, self.key, buffer)
        })
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Drop for Waiting<'_, '_, '_, M, C, P, N> {
    fn drop(&mut self) {
        self.requests.with(|state, route| {
            if self.requests.change(|table| table.give_back(self.key)) {
                state.stop_listening(route);
            }
            state.wake_handles();
        });
    }
}

/// A request that is on its way; dropped, it is taken back if it was not sent.
struct Sent<'a, M: RawMutex, C: Clock, P: Capacities>(Receipt<'a, M, C, P>);

impl<M: RawMutex, C: Clock, P: Capacities> Drop for Sent<'_, M, C, P> {
    fn drop(&mut self) {
        if let Some(place) = self.0.place() {
            self.0.resources().locked(|state| state.take_back(place));
        }
    }
}

/// A request about to be sent; see [`Requests::request`].
#[must_use = "a request is sent by `answer`"]
pub struct Request<'r, 'a, 't, M: RawMutex, C: Clock, P: Capacities, const N: usize> {
    requests: &'r Requests<'a, 't, M, C, P, N>,
    topic: TopicName<'r>,
    payload: &'r [u8],
    qos: QoS,
    deadline: u32,
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Request<'_, '_, '_, M, C, P, N> {
    /// Sets the QoS; default: 1. Answers have the same, if [`Client::respond`] gives them.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Sets for how many milliseconds the answer is waited for; default: 30,000. By then the request is not sent any more, and the
    /// Server is told so, in seconds rounded up, as its Message Expiry Interval.
    pub const fn deadline(mut self, milliseconds: u32) -> Self {
        self.deadline = milliseconds;
        self
    }

    /// Sends the request, waits for the answer and copies it into `buffer`: topic, properties and payload. In 3.1.1 the buffer holds
    /// the request's topic first, which is longer by the response topic and 26 bytes.
    ///
    /// Dropped half-way, the request is forgotten, and not sent if it was not yet.
    ///
    /// # Errors
    /// [`Error::Timeout`]: there is no answer in time. [`Error::Rejected`]: by the Server, which may know that nobody is there to answer
    /// (5.0, QoS 1 and 2). [`Error::BufferTooSmall`]: an answer that does not fit is gone. `Usage(NotInVersion)`: 3.1.1 is spoken, and
    /// there is no `/#` behind the response topic. What [`Publish::deliver`] and [`Subscriber::granted`] say.
    pub async fn answer<'b>(self, buffer: &'b mut [u8]) -> Result<Message<'b>, Error> {
        let resources = self.requests.subscriber.resources();
        let until = resources.with(|_, now| now.plus_millis(u64::from(self.deadline)));
        match either(self.exchange(resources, &mut *buffer), resources.clock.sleep_until(until)).await {
            Either::First(Ok(head)) => Ok(Message::new(head, buffer)),
            Either::First(Err(Error::NotDelivered(Outcome::Expired))) | Either::Second(()) => Err(Error::Timeout),
            Either::First(Err(error)) => Err(error),
        }
    }

    async fn exchange(&self, resources: &Resources<M, C, P>, buffer: &mut [u8]) -> Result<Head, Error> {
        let requests = self.requests;
        let waiting = poll_fn(|cx| requests.poll_place(cx)).await?;
        let data = waiting.key.correlation_data();
        let list = [Property::ResponseTopic(requests.response_topic()), Property::CorrelationData(&data)];
        let seconds = self.deadline.div_ceil(1_000).max(1);
        let topic = match (waiting.v5, requests.below) {
            (true, _) => self.topic,
            (false, true) => {
                waiting.key.request_topic(self.topic, requests.response_topic, buffer).map_err(too_small)?
            }
            (false, false) => return Err(UsageError::NotInVersion.into()),
        };
        let publish = Publish::new(resources, topic, self.payload).qos(self.qos).message_expiry_interval(seconds);
        let publish = if waiting.v5 { publish.properties(&list) } else { publish };
        let mut sent = Some(Sent(publish.send().await?));
        poll_fn(|cx| {
            // The answer may be quicker than the acknowledgement.
            if let Poll::Ready(answer) = waiting.poll(cx, buffer) {
                return Poll::Ready(answer);
            }
            let Some(Sent(receipt)) = &mut sent else { return Poll::Pending };
            let Poll::Ready(outcome) = Pin::new(receipt).poll(cx) else { return Poll::Pending };
            match outcome {
                Ok(reason) if reason == ReasonCode::NO_MATCHING_SUBSCRIBERS => {
                    return Poll::Ready(Err(Error::Rejected(reason)));
                }
                Ok(_) => sent = None,
                Err(error) => return Poll::Ready(Err(error)),
            }
            Poll::Pending
        })
        .await
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> fmt::Debug for Request<'_, '_, '_, M, C, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("topic", &self.topic).field("qos", &self.qos).finish_non_exhaustive()
    }
}

const DEADLINE: u32 = 30_000;

const fn too_small(error: EncodeError) -> Error {
    match error {
        EncodeError::BufferTooSmall { needed } => Error::BufferTooSmall { needed },
        error => Error::Usage(UsageError::Encode(error)),
    }
}

impl<P: Capacities> State<P> {
    /// Somebody waits for what this subscription brings.
    fn listen(&mut self, route: u8) {
        self.deaf &= !bit(route);
    }

    /// Nobody does: what has come is dropped, and what comes is not kept.
    fn stop_listening(&mut self, route: u8) {
        self.deaf |= bit(route);
        self.streaming &= !bit(route);
        while let Some(index) = self.inbox.parts().position(bit(route)) {
            self.drop_answer(index, route);
        }
    }

    fn drop_answer(&mut self, index: usize, route: u8) {
        self.statistics.unrouted = self.statistics.unrouted.wrapping_add(1);
        self.take(index, bit(route));
    }

    /// A message that nobody waits for any more is not sent, if it was not yet.
    fn take_back(&mut self, receipt: u8) {
        if let Some(id) = self.waiting_for(receipt) {
            if self.machine.cancel(id) {
                self.resolve_outcomes();
                self.wake_runner();
            }
        }
    }

    /// The answer with this key, copied into `buffer`. Those with keys that nobody waits for are dropped on the way.
    fn poll_answer(
        &mut self,
        cx: &Context<'_>,
        route: u8,
        response_topic: TopicName<'_>,
        keys: &[Option<RequestKey>],
        mine: RequestKey,
        buffer: &mut [u8],
    ) -> Poll<Result<Head, Error>> {
        let reader = bit(route);
        let mut others = 0_usize;
        loop {
            let left = Cell::new(others);
            let next = |entry: &Entry| {
                let of_it = entry.readers & reader != 0 && entry.record.is_none();
                let skipped = left.get();
                left.set(skipped.saturating_sub(usize::from(of_it)));
                of_it && skipped == 0
            };
            let Some((index, entry, bytes)) = self.inbox.parts().find(next) else { break };
            let head = entry.head;
            let key = key_of(response_topic, &head, bytes);
            if key == Some(mine) {
                let whole = buffer.get_mut(..bytes.len()).filter(|_| head.kind == Kind::Message);
                let copied = whole.map(|whole| crate::state::copy(bytes, whole)).is_some();
                self.take(index, reader);
                let needed = Message::new(head, &[]).needed();
                return Poll::Ready(if copied { Ok(head) } else { Err(Error::BufferTooSmall { needed }) });
            }
            if keys.iter().any(|waits| key.is_some() && *waits == key) {
                others = others.saturating_add(1);
            } else {
                self.drop_answer(index, route);
            }
        }
        if self.machine.subscriptions.is_lost(route) {
            return Poll::Ready(Err(Error::Closed));
        }
        match self.poll_granted(cx, route) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => match self.check_open() {
                Err(error) => Poll::Ready(Err(error)),
                Ok(()) => self.wait(cx.waker()),
            },
        }
    }
}

/// The key that an answer names; parts of one name none.
fn key_of(response_topic: TopicName<'_>, head: &Head, bytes: &[u8]) -> Option<RequestKey> {
    let (topic, rest) = bytes.split_at_checked(usize::from(head.topic_len))?;
    let topic = TopicName::new(core::str::from_utf8(topic).ok()?).ok()?;
    let properties = rest.get(..head.properties_len as usize)?;
    let properties = Properties::from_encoded(PacketType::Publish, Sender::Server, properties).ok()?;
    RequestKey::of_answer(response_topic, topic, properties)
}
