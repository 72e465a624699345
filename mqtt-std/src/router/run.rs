//! The messages of all routes, one stream.

use core::num::NonZeroUsize;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Poll;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_core::Stream as _;
use mqtt_core::{QoS, ReasonCode, TopicFilter};
use tokio::task::JoinSet;

use super::handler::{Call, Ending, Handler, contained};
use super::pattern::Pattern;
use super::{Captures, Counters, Mode, OnFailure, Route, Router};
use crate::client::Client;
use crate::delivery::{Acknowledge, Trie};
use crate::error::Error;
use crate::message::Message;
use crate::subscribe::Subscribe;
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
    /// As for [`Client::subscribe`].
    pub async fn subscribe(&self, client: &Client) -> Result<Routing, Error> {
        let acknowledge = match self.acknowledge {
            Mode::Stream(acknowledge) => acknowledge,
            Mode::Handled(_) => Acknowledge::ByHand,
        };
        let mut streams = Vec::new();
        let mut filters = self.filters().into_iter();
        if let Some((first, qos)) = filters.next() {
            let subscribe = client.subscribe(first, qos);
            let subscribe = filters.fold(subscribe, |subscribe, (filter, qos)| subscribe.and(filter, qos));
            streams.push(self.changed(subscribe).acknowledge(acknowledge).await?);
        }
        if self.fallback.is_some() {
            streams.push(self.changed(client.listen_unmatched()).acknowledge(acknowledge).await?);
        }
        let mut by_filter = Trie::default();
        for (index, route) in self.routes.iter().enumerate() {
            by_filter.insert(route.pattern.filter(), index);
        }
        let table = Table {
            client: client.clone(),
            routes: self.routes.clone(),
            by_filter,
            fallback: self.fallback.clone(),
            first_match: self.first_match,
            on_failure: match self.acknowledge {
                Mode::Stream(_) => None,
                Mode::Handled(on_failure) => Some(on_failure),
            },
            counters: Arc::clone(&self.counters),
        };
        let concurrency = self.concurrency.map_or(1, NonZeroUsize::get);
        Ok(Routing { streams, next: 0, table: Arc::new(table), concurrency })
    }

    fn changed<'a>(&self, subscribe: Subscribe<'a>) -> Subscribe<'a> {
        match &self.change {
            Some(change) => change(subscribe),
            None => subscribe,
        }
    }

    /// What to subscribe to: not what another filter covers, because a broker may send a message once for each. The QoS is the
    /// highest that a route has for what a filter covers.
    fn filters(&self) -> Vec<(&str, QoS)> {
        let mut highest: BTreeMap<&str, QoS> = BTreeMap::new();
        for route in &self.routes {
            let qos = highest.entry(route.pattern.filter()).or_insert(route.qos);
            *qos = (*qos).max(route.qos);
        }
        let checked = highest.keys().filter_map(|text| TopicFilter::new(text).ok());
        let general: Vec<_> = checked.filter(|filter| filter.has_wildcard()).collect();
        let mut filters: BTreeMap<&str, QoS> = BTreeMap::new();
        for (text, qos) in highest {
            let Ok(filter) = TopicFilter::new(text) else { continue };
            // What covers the one found so far covers those before it too.
            let most = general.iter().fold(filter, |found, other| if other.covers(found) { *other } else { found });
            let known = filters.entry(most.as_str()).or_insert(qos);
            *known = (*known).max(qos);
        }
        filters.into_iter().collect()
    }
}

/// A router that has subscribed; dropped, it unsubscribes as a [`Subscription`] does.
#[must_use = "a router routes nothing until it runs"]
pub struct Routing {
    /// That of all routes, and that of what no stream matches.
    streams: Vec<Subscription>,
    /// Which of them is asked first next time.
    next: usize,
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
        while let Some(message) = self.message().await {
            let call = Arc::clone(&self.table).call(message);
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

    /// The next message of one of the streams; `None`: all have ended.
    async fn message(&mut self) -> Option<Message> {
        core::future::poll_fn(|cx| {
            let mut ended = true;
            let count = self.streams.len();
            for turn in 0..count {
                let index = (self.next + turn) % count;
                let Some(stream) = self.streams.get_mut(index) else { continue };
                match Pin::new(stream).poll_next(cx) {
                    Poll::Ready(Some(message)) => {
                        self.next = index + 1;
                        return Poll::Ready(Some(message));
                    }
                    Poll::Ready(None) => {}
                    Poll::Pending => ended = false,
                }
            }
            if ended { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

impl core::fmt::Debug for Routing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Routing").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// What a running router needs.
struct Table {
    client: Client,
    routes: Vec<Arc<Route>>,
    /// Their indices.
    by_filter: Trie<usize>,
    fallback: Option<Arc<Handler>>,
    first_match: bool,
    /// With it messages are acknowledged here.
    on_failure: Option<OnFailure>,
    counters: Arc<Counters>,
}

impl Table {
    /// Calls the handlers of a message, one after the other.
    async fn call(self: Arc<Self>, message: Message) {
        let mut matching = Vec::new();
        self.by_filter.for_each_match(message.topic(), |index| matching.push(*index));
        matching.sort_unstable();
        if self.first_match {
            matching.truncate(1);
        }
        let mut handled = true;
        for index in &matching {
            let Some(route) = self.routes.get(*index) else { continue };
            handled &= self.handle(&message, &*route.handler, Some(&route.pattern)).await;
        }
        if matching.is_empty() {
            count(&self.counters.unmatched);
            if let Some(handler) = &self.fallback {
                handled &= self.handle(&message, &**handler, None).await;
            }
        }
        if let Some(on_failure) = self.on_failure {
            acknowledge(&message, handled, on_failure);
        }
    }

    /// Calls one handler, and tells whether it ended well.
    async fn handle(&self, message: &Message, handler: &Handler, pattern: Option<&Arc<Pattern>>) -> bool {
        let captures = Captures::new(message.clone(), pattern.cloned());
        let call = Call { client: self.client.clone(), message: message.clone(), captures };
        let name = pattern.map_or("fallback", |pattern| pattern.filter());
        match contained(handler, call).await {
            Ending::Handled => {
                count(&self.counters.handled);
                return true;
            }
            Ending::Failed(error) => {
                tracing::warn!(handler = name, %error, "a handler failed");
                count(&self.counters.failed);
            }
            Ending::Panicked => {
                tracing::error!(handler = name, "a handler panicked");
                count(&self.counters.panicked);
            }
        }
        false
    }
}

/// Says what became of a message. One that is stale by now comes again, or was acknowledged by its handler.
fn acknowledge(message: &Message, handled: bool, on_failure: OnFailure) {
    let acknowledged = match on_failure {
        _ if handled => true,
        OnFailure::Keep => false,
        // 3.1.1 has no way to say so, and a message with a store is past it.
        OnFailure::Reject => {
            matches!(message.reject(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR), Err(Error::Usage(_)))
        }
    };
    if acknowledged {
        let _ = message.acknowledge();
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_filter_covers_is_not_subscribed_to() {
        use QoS::{AtLeastOnce as Q1, AtMostOnce as Q0, ExactlyOnce as Q2};
        for (routes, filters) in [
            (&[("a/{b}", Q1), ("a/{c}", Q2)][..], &[("a/+", Q2)][..]),
            (&[("a/b/c", Q2), ("a/#", Q0), ("a/{b..}", Q0), ("a/+/c", Q1)], &[("a/#", Q2)]),
            (&[("#", Q0), ("$SYS/#", Q1), ("a", Q1)], &[("#", Q1), ("$SYS/#", Q1)]),
            (&[("#", Q0), ("{a}/#", Q1)], &[("+/#", Q1)]),
            (&[("a/+", Q0), ("+/b", Q1), ("a/b", Q0)], &[("+/b", Q1), ("a/+", Q0)]),
            (&[("$share/g/a", Q0), ("a", Q1), ("#", Q0)], &[("#", Q1), ("$share/g/a", Q0)]),
        ] {
            let router = routes.iter().fold(Router::new(), |router, route| router.on_sync(*route, |_, _| {}).unwrap());
            let mut found = router.filters();
            found.sort_unstable();
            let mut expected = filters.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{routes:?}");
        }
    }
}
