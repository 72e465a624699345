//! The handle that tasks hold.

use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{QoS, Subscription, SubscriptionOptions, TopicFilter, TopicName};

use crate::clock::Clock;
use crate::error::Error;
use crate::publish::Publish;
use crate::resources::{Capacities, Resources};
use crate::state::{Statistics, Status};
use crate::subscriber::Subscriber;

/// A handle to a client: a reference, as cheap to copy. Nothing happens without a [`Runner`](crate::Runner) that runs.
///
/// Every future of it may be dropped while it waits; what that means is said at each.
pub struct Client<'a, M, C, P: Capacities> {
    pub(crate) resources: &'a Resources<M, C, P>,
}

impl<M, C, P: Capacities> Clone for Client<'_, M, C, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, C, P: Capacities> Copy for Client<'_, M, C, P> {}

impl<M, C, P: Capacities> fmt::Debug for Client<'_, M, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<'a, M: RawMutex, C: Clock, P: Capacities> Client<'a, M, C, P> {
    pub(crate) const fn new(resources: &'a Resources<M, C, P>) -> Self {
        Self { resources }
    }

    /// Publishes a message: [`Publish::send`] waits until it is accepted and gives a receipt, [`Publish::deliver`] until it is
    /// delivered.
    ///
    /// # Errors
    /// The topic is no Topic Name.
    pub fn publish<'p>(&self, topic: &'p str, payload: &'p [u8]) -> Result<Publish<'a, 'p, M, C, P>, Error> {
        Ok(Publish::new(self.resources, TopicName::new(topic)?, payload))
    }

    /// Subscribes to a filter. It is asked for as soon as there is a connection and room; [`Subscriber::granted`] waits for the
    /// Server's answer. Messages wait in the inbox until the subscriber takes them.
    ///
    /// # Errors
    /// The filter is not valid; [`Error::FiltersFull`]; [`Error::Closed`].
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<Subscriber<'a, M, C, P>, Error> {
        self.subscribe_with(filter, SubscriptionOptions::new(qos))
    }

    /// As [`subscribe`](Self::subscribe), with all options of §3.8.3.1.
    ///
    /// # Errors
    /// As there.
    pub fn subscribe_with(&self, filter: &str, options: SubscriptionOptions) -> Result<Subscriber<'a, M, C, P>, Error> {
        let subscription = Subscription { filter: TopicFilter::new(filter)?, options };
        let route = self.resources.locked(|state| state.subscribe(subscription))?;
        Ok(Subscriber::new(self.resources, route))
    }

    /// Where the connection stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.resources.locked(|state| state.status)
    }

    /// Waits until the connection stands as `wanted` says. May be dropped.
    pub async fn wait_for(&self, wanted: impl Fn(Status) -> bool) -> Status {
        poll_fn(|cx| {
            // The closure is somebody else's code: it does not run under the lock.
            let status = self.resources.locked(|state| {
                let _: Poll<()> = state.wait(cx.waker());
                state.status
            });
            if wanted(status) { Poll::Ready(status) } else { Poll::Pending }
        })
        .await
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.resources.locked(|state| state.statistics)
    }

    /// Ends the client: accepts nothing more, waits at most so many milliseconds until what was accepted is delivered, and sends
    /// DISCONNECT. The runner ends too.
    ///
    /// Dropped half-way, the client ends all the same.
    pub async fn shutdown(&self, milliseconds: u32) {
        self.resources.with(|state, now| state.shut_down(now, milliseconds));
        poll_fn(|cx| self.resources.locked(|state| state.poll_closed(cx))).await;
    }
}
