//! Which stream gets which message.
//!
//! The topic says it. Where filters overlap, some brokers send a copy for each subscription; if all that match were made with a
//! Subscription Identifier, those of the message tell whom this copy is for. One that is not known, of a session of long ago
//! perhaps, tells nothing.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_core::{QoS, TopicFilter, TopicName};

use super::queue::Queue;
use super::trie::Trie;
use crate::state::Later;

/// The streams there are, by their filters.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Trie<Route>,
    /// The filters of each stream.
    filters: HashMap<Address, Vec<Box<str>>>,
    /// Those that get what matches no other.
    unmatched: Vec<Arc<Queue>>,
    /// Only the first stream whose filter matches gets a message.
    first_match: bool,
    /// How many filters have come so far.
    count: u64,
    recent: Recent,
}

/// Where a stream is, as long as it is here.
type Address = usize;

fn address(queue: &Arc<Queue>) -> Address {
    Arc::as_ptr(queue).addr()
}

/// What matches the latest topic: the next message often has the same.
#[derive(Debug, Default)]
struct Recent {
    /// Empty: none, which no topic is.
    topic: String,
    routes: Vec<Route>,
    /// Their streams, each once.
    queues: Vec<Arc<Queue>>,
    /// Those of them that the latest message was for.
    meant: Vec<Arc<Queue>>,
}

impl Recent {
    fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Which messages a stream gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest<'a> {
    Filter(TopicFilter<'a>),
    /// What matches the filter of no other stream.
    Unmatched,
}

impl Interest<'_> {
    /// Tells whether a message with this topic that no stream matches so far is meant.
    pub(crate) fn includes(self, topic: &str) -> bool {
        match self {
            Self::Filter(filter) => TopicName::new(topic).is_ok_and(|topic| filter.matches(topic)),
            Self::Unmatched => true,
        }
    }
}

/// A filter of a stream.
#[derive(Clone, Debug)]
struct Route {
    filter: Arc<str>,
    queue: Arc<Queue>,
    /// How many came before.
    order: u64,
    /// What the broker was asked for; `None`: the stream only listens.
    asked: Option<QoS>,
    /// That of the subscription at the broker.
    identifier: Option<u32>,
}

impl Routes {
    pub(crate) fn new(first_match: bool) -> Self {
        Self { first_match, ..Self::default() }
    }

    pub(crate) fn add(&mut self, interest: Interest<'_>, queue: &Arc<Queue>) {
        self.recent.forget();
        let filter = match interest {
            Interest::Filter(filter) => filter.as_str(),
            Interest::Unmatched => {
                self.unmatched.push(Arc::clone(queue));
                return;
            }
        };
        let (order, queue) = (self.count, Arc::clone(queue));
        self.count = order.saturating_add(1);
        self.filters.entry(address(&queue)).or_default().push(filter.into());
        self.routes.insert(filter, Route { filter: filter.into(), queue, order, asked: None, identifier: None });
    }

    /// The broker was asked for this filter of the stream, with this Subscription Identifier for all that have it.
    pub(crate) fn asked(&mut self, filter: TopicFilter<'_>, queue: &Arc<Queue>, qos: QoS, identifier: Option<u32>) {
        self.set_identifier(filter, identifier);
        for route in self.routes.get_mut(filter.as_str()) {
            if Arc::ptr_eq(&route.queue, queue) && *route.filter == *filter.as_str() {
                route.asked = route.asked.max(Some(qos));
            }
        }
    }

    pub(crate) fn set_identifier(&mut self, filter: TopicFilter<'_>, identifier: Option<u32>) {
        self.recent.forget();
        for route in self.routes.get_mut(filter.as_str()) {
            if *route.filter == *filter.as_str() {
                route.identifier = identifier;
            }
        }
    }

    fn with_filter<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a Route> {
        self.routes.get(filter).iter().filter(move |route| *route.filter == *filter)
    }

    /// The highest QoS that the broker was asked for with this filter.
    pub(crate) fn asked_qos(&self, filter: TopicFilter<'_>) -> QoS {
        self.with_filter(filter.as_str()).filter_map(|route| route.asked).max().unwrap_or_default()
    }

    /// Takes a stream out; returns those of its filters that the broker was asked for, and not by another stream.
    pub(crate) fn remove(&mut self, queue: &Arc<Queue>) -> Vec<Box<str>> {
        self.recent.forget();
        self.unmatched.retain(|other| !Arc::ptr_eq(other, queue));
        let mut alone = self.filters.remove(&address(queue)).unwrap_or_default();
        alone.sort_unstable();
        alone.dedup();
        alone.retain(|filter| {
            let is_asked = |route: &Route| route.asked.is_some();
            let (own, others): (Vec<_>, Vec<_>) =
                self.with_filter(filter).partition(|route| Arc::ptr_eq(&route.queue, queue));
            let alone = own.into_iter().any(is_asked) && !others.into_iter().any(is_asked);
            self.routes.retain(filter, |route| !Arc::ptr_eq(&route.queue, queue));
            alone
        });
        alone
    }

    /// The broker has no subscription with this filter any more: streams that have it end once their messages are read. Other
    /// filters of theirs are returned as by [`remove`](Self::remove).
    pub(crate) fn refuse(&mut self, filter: &str, later: &mut Later) -> Vec<Box<str>> {
        let asked = self.with_filter(filter).filter(|route| route.asked.is_some());
        let refused: Vec<_> = asked.map(|route| Arc::clone(&route.queue)).collect();
        let mut others = Vec::new();
        for queue in refused {
            queue.close(false, later);
            others.extend(self.remove(&queue));
        }
        others.retain(|other| **other != *filter);
        others
    }

    /// The streams that get a message with this topic and these Subscription Identifiers, each once. `None`: another copy of it
    /// is for the first stream, which is to get it alone.
    pub(crate) fn matching(
        &mut self,
        topic: TopicName<'_>,
        identifiers: impl Iterator<Item = u32> + Clone,
    ) -> Option<&[Arc<Queue>]> {
        self.look_up(topic.as_str());
        let Recent { routes, queues, meant, .. } = &mut self.recent;
        if routes.len() < 2 || identifiers.clone().next().is_none() {
            return Some(queues);
        }
        // Each subscription has one: more than there are would only take time.
        let too_many = identifiers.clone().nth(routes.len()).is_some();
        let has = |identifier| routes.iter().any(|route| route.identifier == Some(identifier));
        let exact = !too_many
            && identifiers.clone().all(has)
            && routes.iter().all(|route| route.asked.is_none() || route.identifier.is_some());
        if !exact {
            return Some(queues);
        }
        let is_meant = |route: &Route| {
            route.asked.is_none() || identifiers.clone().any(|identifier| route.identifier == Some(identifier))
        };
        meant.clear();
        streams(routes, self.first_match, is_meant, meant);
        if meant.is_empty() { None } else { Some(meant) }
    }

    fn look_up(&mut self, topic: &str) {
        let Self { routes, unmatched, first_match, recent, .. } = self;
        if recent.topic == topic {
            return;
        }
        recent.forget();
        routes.for_each_match(topic, |route| recent.routes.push(route.clone()));
        recent.routes.sort_unstable_by_key(|route| route.order);
        streams(&recent.routes, *first_match, |_| true, &mut recent.queues);
        if recent.routes.is_empty() {
            recent.queues.extend(unmatched.iter().cloned());
        }
        topic.clone_into(&mut recent.topic);
    }

    /// Messages that wait in all streams.
    pub(crate) fn waiting(&self) -> u64 {
        let mut queues = self.unmatched.clone();
        self.routes.for_each(|route| queues.push(Arc::clone(&route.queue)));
        queues.sort_by_key(Arc::as_ptr);
        queues.dedup_by(|one, other| Arc::ptr_eq(one, other));
        queues.iter().map(|queue| queue.len() as u64).sum()
    }

    /// No more messages will come. `keep`: a broker that keeps the session sends again what is not acknowledged.
    pub(crate) fn close(&mut self, keep: bool, later: &mut Later) {
        let Self { routes, unmatched, .. } = core::mem::take(self);
        routes.for_each(|route| route.queue.close(keep, later));
        for queue in unmatched {
            queue.close(keep, later);
        }
    }
}

/// The streams of those routes that are meant, each once.
fn streams(routes: &[Route], first_only: bool, is_meant: impl Fn(&Route) -> bool, queues: &mut Vec<Arc<Queue>>) {
    for route in routes.get(..if first_only { 1 } else { routes.len() }).unwrap_or_default() {
        if is_meant(route) && !queues.iter().any(|queue| Arc::ptr_eq(queue, &route.queue)) {
            queues.push(Arc::clone(&route.queue));
        }
    }
}
