//! The messages of all routes, one stream.

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use mqtt_core::{EncodeError, QoS, TopicName, UsageError};
use tokio::task::JoinSet;

use super::handler::{Call, Ending, Handler, contained};
use super::{Captures, Counters, Route, Router};
use crate::client::Client;
use crate::error::Error;
use crate::message::Message;
use crate::subscription::Subscription;

impl Router {
    /// Subscribes to all patterns and calls the handlers until the client ends: [`subscribe`](Self::subscribe) and
    /// [`Routing::run`] in one.
    ///
    /// Dropped, as there.
    ///
    /// # Errors
    /// As for [`subscribe`](Self::subscribe).
    pub async fn run(&self, client: &Client) -> Result<(), Error> {
        self.subscribe(client).await?.run().await;
        Ok(())
    }

    /// Subscribes to all patterns with one stream, and waits for the broker's answer.
    ///
    /// Dropped half-way, the subscriptions are undone.
    ///
    /// # Errors
    /// As for [`Client::subscribe`]; and there is no handler at all.
    pub async fn subscribe(&self, client: &Client) -> Result<Routing, Error> {
        let mut filters = self.filters().into_iter();
        let (first, qos) = filters.next().ok_or(UsageError::Encode(EncodeError::EmptyPayload))?;
        let subscribe = client.subscribe(first, qos);
        let stream = filters.fold(subscribe, |subscribe, (filter, qos)| subscribe.and(filter, qos)).await?;
        let table = Table {
            routes: self.routes.clone(),
            fallback: self.fallback.clone(),
            first_match: self.first_match,
            counters: Arc::clone(&self.counters),
        };
        let concurrency = self.concurrency.map_or(1, NonZeroUsize::get);
        Ok(Routing { client: client.clone(), stream, table: Arc::new(table), concurrency })
    }

    /// Each once, with the highest QoS that a route has for it.
    fn filters(&self) -> Vec<(&str, QoS)> {
        let mut filters: Vec<(&str, QoS)> = Vec::new();
        for route in &self.routes {
            let filter = route.pattern.filter();
            match filters.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, qos)) => *qos = (*qos).max(route.qos),
                None => filters.push((filter, route.qos)),
            }
        }
        filters
    }
}

/// A router that has subscribed; dropped, it unsubscribes as a [`Subscription`] does.
#[must_use = "a router routes nothing until it runs"]
pub struct Routing {
    client: Client,
    stream: Subscription,
    table: Arc<Table>,
    concurrency: usize,
}

impl Routing {
    /// Calls the handlers until the client ends.
    ///
    /// Dropped, it unsubscribes, and the handlers that run are dropped at their next wait; messages that wait in the stream are
    /// gone, as with a [`Subscription`].
    pub async fn run(mut self) {
        let mut running = JoinSet::new();
        while let Some(message) = self.stream.next().await {
            let call = Arc::clone(&self.table).call(self.client.clone(), message);
            if self.concurrency == 1 {
                call.await;
                continue;
            }
            running.spawn(call);
            while running.len() >= self.concurrency {
                running.join_next().await;
            }
        }
        while running.join_next().await.is_some() {}
    }
}

impl core::fmt::Debug for Routing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Routing").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// What a running router needs.
struct Table {
    routes: Vec<Arc<Route>>,
    fallback: Option<Arc<Handler>>,
    first_match: bool,
    counters: Arc<Counters>,
}

impl Table {
    /// Calls the handlers of a message, one after the other.
    async fn call(self: Arc<Self>, client: Client, message: Message) {
        let mut matched = false;
        for route in &self.routes {
            let matches = TopicName::new(message.topic()).is_ok_and(|topic| route.pattern.matches(topic));
            if !matches {
                continue;
            }
            matched = true;
            let captures = Captures::new(message.clone(), Some(Arc::clone(&route.pattern)));
            let call = Call { client: client.clone(), message: message.clone(), captures };
            self.count(contained(&*route.handler, call).await, route.pattern.filter());
            if self.first_match {
                break;
            }
        }
        if matched {
            return;
        }
        count(&self.counters.unmatched);
        if let Some(handler) = &self.fallback {
            let captures = Captures::new(message.clone(), None);
            self.count(contained(&**handler, Call { client, message, captures }).await, "fallback");
        }
    }

    fn count(&self, ending: Ending, handler: &str) {
        match ending {
            Ending::Handled => count(&self.counters.handled),
            Ending::Failed(error) => {
                tracing::warn!(handler, %error, "a handler failed");
                count(&self.counters.failed);
            }
            Ending::Panicked => {
                tracing::error!(handler, "a handler panicked");
                count(&self.counters.panicked);
            }
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
