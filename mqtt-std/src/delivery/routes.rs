//! Which stream gets which message.

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
}

impl Routes {
    pub(crate) fn add(&mut self, interest: Interest<'_>, queue: &Arc<Queue>) {
        let queue = Arc::clone(queue);
        match interest {
            Interest::Filter(filter) => {
                self.routes.push(Route { filter: filter.as_str().into(), queue, asked: None });
            }
            Interest::Unmatched => self.unmatched.push(queue),
        }
    }

    /// The broker was asked for this filter of the stream.
    pub(crate) fn asked(&mut self, filter: TopicFilter<'_>, queue: &Arc<Queue>, qos: QoS) {
        for route in &mut self.routes {
            if Arc::ptr_eq(&route.queue, queue) && *route.filter == *filter.as_str() {
                route.asked = route.asked.max(Some(qos));
            }
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

    /// The streams that get a message with this topic, each once.
    pub(crate) fn matching(&self, topic: TopicName<'_>) -> Vec<Arc<Queue>> {
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for route in &self.routes {
            let matches = TopicFilter::new(&route.filter).is_ok_and(|filter| filter.matches(topic));
            if matches && !queues.iter().any(|queue| Arc::ptr_eq(queue, &route.queue)) {
                queues.push(Arc::clone(&route.queue));
            }
        }
        if queues.is_empty() { self.unmatched.clone() } else { queues }
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
