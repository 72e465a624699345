//! Handlers by filter.
//!
//! ```
//! use mqtt_std::testkit::{Broker, BrokerOptions};
//! use mqtt_std::{Client, QoS, Router};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = Broker::start(BrokerOptions::new()).await?;
//! # let url = broker.url();
//! let client = Client::connect(url.as_str()).await?;
//! let publisher = client.clone();
//! let router = Router::new()
//!     .on("cellar/{name}/cmd", move |message, captures| {
//!         let publisher = publisher.clone();
//!         async move {
//!             let topic = format!("cellar/{}/status", captures.get("name").unwrap_or_default());
//!             publisher.publish(&topic, message.payload_bytes()).qos(QoS::ExactlyOnce).await.map(drop)
//!         }
//!     })?
//!     .on_sync("log/{what..}", |message, captures| println!("{:?} {:?}", captures.get("what"), message.payload()))?;
//!
//! let mut status = client.subscribe("cellar/+/status", QoS::AtLeastOnce).await?;
//! let routing = router.subscribe(&client).await?; // or `run`, which subscribes too and ends with the client
//! tokio::spawn(routing.run());
//! client.publish("cellar/stairlamp/cmd", "on").await?;
//! assert_eq!(status.next().await.unwrap().topic(), "cellar/stairlamp/status");
//! # Ok(())
//! # }
//! ```

mod handler;
mod pattern;
mod run;

use core::future::Future;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use mqtt_core::{AnswerTo, QoS};

use crate::delivery::Acknowledge;
use crate::message::Message;
use crate::subscribe::Subscribe;
use handler::{Call, Handler};
use pattern::Pattern;

pub use handler::{Handled, HandlerError, Reply};
pub use pattern::{Captures, InvalidPattern, InvalidPatternReason};
pub use run::Routing;

/// Calls handlers for messages, by patterns of their topics.
///
/// A pattern is a Topic Filter (§4.7) whose wildcards may have names: `{name}` is one whole level as `+` is, `{rest..}` at the
/// end is all that follows as `#` is. A literal brace is doubled: `{{` or `}}`. Shared subscriptions are patterns too:
/// `$share/workers/jobs/{id}`.
///
/// Of several patterns that match a topic all have their handlers called, one after the other in the order in which they were
/// added; with [`first_match`](Self::first_match) the first only.
///
/// All is one subscription of the client. What another pattern covers, as `a/#` does `a/{b}`, is not asked for on its own, and
/// comes with the higher QoS of both. Of filters that overlap otherwise, as `a/+` and `+/b`, a broker may send a message once for
/// each; the handlers are then called for each copy.
///
/// A handler that fails or panics is counted ([`statistics`](Self::statistics)) and logged, and the others go on.
#[derive(Default)]
pub struct Router {
    routes: Vec<Arc<Route>>,
    fallback: Option<Arc<Handler>>,
    first_match: bool,
    /// `None`: one.
    concurrency: Option<NonZeroUsize>,
    acknowledge: Mode,
    change: Option<Arc<Change>>,
    counters: Arc<Counters>,
}

/// Sets options of the subscription.
type Change = dyn for<'a> Fn(Subscribe<'a>) -> Subscribe<'a> + Send + Sync;

/// Who acknowledges messages.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// The stream, or the handlers.
    Stream(Acknowledge),
    /// The router, when all handlers of a message have ended.
    Handled(OnFailure),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Stream(Acknowledge::default())
    }
}

/// What becomes of a message whose handler fails or panics; see [`Router::acknowledge_handled`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// It is refused, with Reason Code 0x83; in 3.1.1, which cannot say so, it is acknowledged. It does not come again.
    Reject,
    /// It is not acknowledged, and comes again on the next connection if the session is still there, at QoS 2 only if the program
    /// has ended. Until then it holds back the acknowledgements of later messages: see [`Acknowledge::ByHand`].
    Keep,
}

struct Route {
    pattern: Arc<Pattern>,
    qos: QoS,
    handler: Arc<Handler>,
}

impl Router {
    /// A router without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler. The pattern is subscribed to at QoS 1, unless one is given: `("cellar/{name}/cmd", QoS::ExactlyOnce)`.
    ///
    /// # Errors
    /// The pattern cannot be used; says why and where.
    pub fn on<F, H>(self, pattern: impl AsRoute, handler: H) -> Result<Self, InvalidPattern>
    where
        H: Fn(Message, Captures) -> F + Send + Sync + 'static,
        F: Future<Output: Handled> + Send + 'static,
    {
        self.add(pattern, boxed(handler))
    }

    /// Adds a handler that does not wait. It is called on the task that runs the router: what takes long belongs elsewhere.
    ///
    /// # Errors
    /// As for [`on`](Self::on).
    pub fn on_sync<T, H>(self, pattern: impl AsRoute, handler: H) -> Result<Self, InvalidPattern>
    where
        H: Fn(Message, Captures) -> T + Send + Sync + 'static,
        T: Handled,
    {
        self.add(
            pattern,
            Arc::new(move |call: Call| {
                let handled = handler(call.message, call.captures).handled();
                Box::pin(core::future::ready(handled))
            }),
        )
    }

    /// Adds a handler of requests, whose value is the answer: see [`Client::respond`](crate::Client::respond).
    ///
    /// Requests of 3.1.1 have a longer topic (see [`Requests`](crate::Requests)), so the pattern with `/request/#` behind it is
    /// subscribed to as well; a pattern that ends with `#` or `{rest..}` covers it, and takes in all of that topic. A message that asks for
    /// no answer is handled, and the value dropped.
    ///
    /// # Errors
    /// As for [`on`](Self::on).
    pub fn on_request<F, H>(mut self, pattern: impl AsRoute, handler: H) -> Result<Self, InvalidPattern>
    where
        H: Fn(Message, Captures) -> F + Send + Sync + 'static,
        F: Future<Output: Reply> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |call: Call| {
            let Call { client, message, captures } = call;
            let future = handler(message.clone(), captures);
            Box::pin(async move {
                let payload = future.await.reply()?;
                match client.respond(&message, payload) {
                    Ok(publish) => drop(publish.send().await?),
                    Err(error) => tracing::debug!(%error, topic = message.topic(), "no answer"),
                }
                Ok(())
            })
        });
        let (text, qos) = pattern.as_route();
        let pattern = Pattern::parse(text)?;
        if !pattern.has_tail() {
            self = self.add((format!("{text}{}#", AnswerTo::REQUEST), qos), Arc::clone(&handler))?;
        }
        self.routes.push(Arc::new(Route { pattern: Arc::new(pattern), qos, handler }));
        Ok(self)
    }

    /// Sets the handler of what matches no pattern: it gets every message of the client that no other stream takes.
    #[must_use]
    pub fn fallback<F, H>(mut self, handler: H) -> Self
    where
        H: Fn(Message, Captures) -> F + Send + Sync + 'static,
        F: Future<Output: Handled> + Send + 'static,
    {
        self.fallback = Some(boxed(handler));
        self
    }

    /// Has only the first of several handlers called that match; default: all of them.
    #[must_use]
    pub const fn first_match(mut self) -> Self {
        self.first_match = true;
        self
    }

    /// Sets options of the subscription that the router makes, those for [`capacity`](Subscribe::capacity) or
    /// [`no_local`](Subscribe::no_local), for instance. When messages are acknowledged is for the router to say.
    ///
    /// ```
    /// let router = mqtt_std::Router::new().subscribe_with(|subscribe| subscribe.no_local().capacity(16));
    /// ```
    #[must_use]
    pub fn subscribe_with(
        mut self,
        change: impl for<'a> Fn(Subscribe<'a>) -> Subscribe<'a> + Send + Sync + 'static,
    ) -> Self {
        self.change = Some(Arc::new(change));
        self
    }

    /// Sets when messages are acknowledged; default: [`Acknowledge::OnArrival`]. By hand it is for the handlers to do.
    #[must_use]
    pub const fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.acknowledge = Mode::Stream(acknowledge);
        self
    }

    /// Acknowledges each message when all its handlers have ended well; a handler that acknowledges or rejects it itself has the
    /// first word. If the program ends before, or the router is dropped, the message comes again.
    #[must_use]
    pub const fn acknowledge_handled(mut self, on_failure: OnFailure) -> Self {
        self.acknowledge = Mode::Handled(on_failure);
        self
    }

    /// Sets for how many messages handlers may run at once; default: 1, which keeps their order; 0 counts as 1.
    ///
    /// With more, handlers run on tasks of their own, and in no order. As long as all are busy messages wait in the stream, which
    /// pushes back to the broker.
    #[must_use]
    pub const fn concurrency(mut self, messages: usize) -> Self {
        self.concurrency = NonZeroUsize::new(messages);
        self
    }

    /// What the router has done so far.
    #[must_use]
    pub fn statistics(&self) -> RouterStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { handled, failed, panicked, unmatched } = &*self.counters;
        RouterStatistics {
            handled: read(handled),
            failed: read(failed),
            panicked: read(panicked),
            unmatched: read(unmatched),
        }
    }

    fn add(mut self, pattern: impl AsRoute, handler: Arc<Handler>) -> Result<Self, InvalidPattern> {
        let (text, qos) = pattern.as_route();
        let pattern = Arc::new(Pattern::parse(text)?);
        self.routes.push(Arc::new(Route { pattern, qos, handler }));
        Ok(self)
    }
}

fn boxed<F, H>(handler: H) -> Arc<Handler>
where
    H: Fn(Message, Captures) -> F + Send + Sync + 'static,
    F: Future<Output: Handled> + Send + 'static,
{
    Arc::new(move |call: Call| {
        let future = handler(call.message, call.captures);
        Box::pin(async move { future.await.handled() })
    })
}

/// What a route can be made from: a pattern, which is subscribed to at QoS 1, or a pattern and a QoS.
pub trait AsRoute {
    /// The pattern and the QoS.
    fn as_route(&self) -> (&str, QoS);
}

impl AsRoute for &str {
    fn as_route(&self) -> (&str, QoS) {
        (self, QoS::AtLeastOnce)
    }
}

impl AsRoute for String {
    fn as_route(&self) -> (&str, QoS) {
        (self, QoS::AtLeastOnce)
    }
}

impl<T: AsRef<str>> AsRoute for (T, QoS) {
    fn as_route(&self) -> (&str, QoS) {
        (self.0.as_ref(), self.1)
    }
}

#[derive(Debug, Default)]
struct Counters {
    handled: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    unmatched: AtomicU64,
}

/// What a router has done so far: calls of handlers, by their end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RouterStatistics {
    /// Calls that ended well.
    pub handled: u64,
    /// Calls that ended with an error.
    pub failed: u64,
    /// Calls that ended with a panic.
    pub panicked: u64,
    /// Messages that matched no pattern.
    pub unmatched: u64,
}

impl core::fmt::Debug for Router {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let patterns = self.routes.iter().map(|route| route.pattern.filter());
        f.debug_list().entries(patterns).finish()
    }
}
