//! Which stream gets which message.

use std::sync::Arc;

use mqtt_core::{TopicFilter, TopicName};

use super::queue::Queue;
use crate::state::Later;

/// The streams there are, by their filters.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    filter: Box<str>,
    queue: Arc<Queue>,
}

impl Routes {
    pub(crate) fn add(&mut self, filter: &str, queue: &Arc<Queue>) {
        self.routes.push(Route { filter: filter.into(), queue: Arc::clone(queue) });
    }

    /// Takes a stream out; returns those of its filters that no other stream has.
    pub(crate) fn remove(&mut self, queue: &Arc<Queue>) -> Vec<Box<str>> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.routes).into_iter().partition(|route| Arc::ptr_eq(&route.queue, queue));
        self.routes = kept;
        let alone = |route: &Route| !self.routes.iter().any(|other| other.filter == route.filter);
        gone.into_iter().filter(alone).map(|route| route.filter).collect()
    }

    /// The broker has no subscription with this filter any more: streams that have it end once their messages are read. Other
    /// filters of theirs are returned as by [`remove`](Self::remove).
    pub(crate) fn refuse(&mut self, filter: &str, later: &mut Later) -> Vec<Box<str>> {
        let refused: Vec<_> =
            self.routes.iter().filter(|route| *route.filter == *filter).map(|route| Arc::clone(&route.queue)).collect();
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
        queues
    }

    /// No more messages will come. `keep`: a broker that keeps the session sends again what is not acknowledged.
    pub(crate) fn close(&mut self, keep: bool, later: &mut Later) {
        for route in core::mem::take(&mut self.routes) {
            route.queue.close(keep, later);
        }
    }
}
