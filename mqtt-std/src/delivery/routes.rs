//! Which stream gets which message.
//!
//! The topic says it. Where filters overlap, some brokers send a copy for each subscription; if all that match were made with a
//! Subscription Identifier, those of the message tell whom this copy is for. One that is not known, of a session of long ago
//! perhaps, tells nothing.

use std::sync::Arc;

use mqtt_core::{QoS, TopicFilter, TopicName};

use super::queue::Queue;
use crate::state::Later;

/// The streams there are, by their filters.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Those that get what matches no other.
    unmatched: Vec<Arc<Queue>>,
    /// Only the first stream whose filter matches gets a message.
    first_match: bool,
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

#[derive(Debug)]
struct Route {
    filter: Box<str>,
    queue: Arc<Queue>,
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
        let queue = Arc::clone(queue);
        match interest {
            Interest::Filter(filter) => {
                self.routes.push(Route { filter: filter.as_str().into(), queue, asked: None, identifier: None });
            }
            Interest::Unmatched => self.unmatched.push(queue),
        }
    }

    /// The broker was asked for this filter of the stream, with this Subscription Identifier for all that have it.
    pub(crate) fn asked(&mut self, filter: TopicFilter<'_>, queue: &Arc<Queue>, qos: QoS, identifier: Option<u32>) {
        self.set_identifier(filter, identifier);
        for route in &mut self.routes {
            if Arc::ptr_eq(&route.queue, queue) && *route.filter == *filter.as_str() {
                route.asked = route.asked.max(Some(qos));
            }
        }
    }

    pub(crate) fn set_identifier(&mut self, filter: TopicFilter<'_>, identifier: Option<u32>) {
        for route in self.routes.iter_mut().filter(|route| *route.filter == *filter.as_str()) {
            route.identifier = identifier;
        }
    }

    /// The highest QoS that the broker was asked for with this filter.
    pub(crate) fn asked_qos(&self, filter: TopicFilter<'_>) -> QoS {
        let same = self.routes.iter().filter(|route| *route.filter == *filter.as_str());
        same.filter_map(|route| route.asked).max().unwrap_or_default()
    }

    /// Takes a stream out; returns those of its filters that the broker was asked for, and not by another stream.
    pub(crate) fn remove(&mut self, queue: &Arc<Queue>) -> Vec<Box<str>> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.routes).into_iter().partition(|route| Arc::ptr_eq(&route.queue, queue));
        self.routes = kept;
        self.unmatched.retain(|other| !Arc::ptr_eq(other, queue));
        let alone = |route: &Route| {
            let mut others = self.routes.iter().filter(|other| other.asked.is_some());
            route.asked.is_some() && !others.any(|other| other.filter == route.filter)
        };
        gone.into_iter().filter(alone).map(|route| route.filter).collect()
    }

    /// The broker has no subscription with this filter any more: streams that have it end once their messages are read. Other
    /// filters of theirs are returned as by [`remove`](Self::remove).
    pub(crate) fn refuse(&mut self, filter: &str, later: &mut Later) -> Vec<Box<str>> {
        let asked = self.routes.iter().filter(|route| *route.filter == *filter && route.asked.is_some());
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
        &self,
        topic: TopicName<'_>,
        identifiers: impl Iterator<Item = u32> + Clone,
    ) -> Option<Vec<Arc<Queue>>> {
        let matches = |route: &&Route| TopicFilter::new(&route.filter).is_ok_and(|filter| filter.matches(topic));
        let matching: Vec<&Route> = self.routes.iter().filter(matches).collect();
        let has = |identifier| matching.iter().any(|route| route.identifier == Some(identifier));
        let exact = matching.len() > 1
            && identifiers.clone().next().is_some()
            && identifiers.clone().all(has)
            && matching.iter().all(|route| route.asked.is_none() || route.identifier.is_some());
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for route in &matching {
            let meant = !exact || route.asked.is_none() || identifiers.clone().any(|id| route.identifier == Some(id));
            if meant && !queues.iter().any(|queue| Arc::ptr_eq(queue, &route.queue)) {
                queues.push(Arc::clone(&route.queue));
            }
            if self.first_match {
                break;
            }
        }
        match (queues.is_empty(), matching.is_empty()) {
            (true, true) => Some(self.unmatched.clone()),
            (true, false) => None,
            (false, _) => Some(queues),
        }
    }

    /// How many messages wait in all streams.
    pub(crate) fn waiting(&self) -> u64 {
        let mut queues: Vec<_> = self.routes.iter().map(|route| &route.queue).chain(&self.unmatched).collect();
        queues.sort_by_key(|queue| Arc::as_ptr(queue));
        queues.dedup_by(|one, other| Arc::ptr_eq(one, other));
        queues.iter().map(|queue| queue.len() as u64).sum()
    }

    /// No more messages will come. `keep`: a broker that keeps the session sends again what is not acknowledged.
    pub(crate) fn close(&mut self, keep: bool, later: &mut Later) {
        for route in core::mem::take(&mut self.routes) {
            route.queue.close(keep, later);
        }
        for queue in core::mem::take(&mut self.unmatched) {
            queue.close(keep, later);
        }
    }
}
