//! The handle that tasks hold.

use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{QoS, Subscription, SubscriptionOptions, TopicFilter, TopicName};

use crate::clock::Clock;
use crate::error::Error;
use crate::publish::{Publish, Receipt};
use crate::resources::{Capacities, Resources};
use crate::state::{Statistics, Status};
use crate::subscriber::Subscriber;

/// A handle to a client: a reference, as cheap to copy. Nothing happens without a [`Runner`](crate::Runner) that runs.
///
/// Every future of it may be dropped while it waits; what that means is said at each.
pub struct Client<'a, M, C, P: Capacities> {
    resources: &'a Resources<M, C, P>,
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

    /// Subscribes to a filter and waits for the Server's answer. Messages wait in the inbox until the subscriber takes them.
    ///
    /// Dropped half-way, the subscription is undone.
    ///
    /// # Errors
    /// The filter is not valid, [`Error::FiltersFull`], a limit of the Server, [`Error::Rejected`], [`Error::Closed`].
    pub async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Subscriber<'a, M, C, P>, Error> {
        let filter = TopicFilter::new(filter)?;
        let subscription = Subscription { filter, options: SubscriptionOptions::new(qos) };
        let (route, receipt) = poll_fn(|cx| {
            self.resources.with(|state, _| match state.subscribe(subscription) {
                Ok(Some(asked)) => Poll::Ready(Ok(asked)),
                Ok(None) => {
                    state.wait(cx.waker());
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await?;
        let mut subscriber = Subscriber::new(self.resources, route);
        let granted = Receipt::new(self.resources, Some(receipt)).answer().await?;
        subscriber.grant(granted);
        Ok(subscriber)
    }

    /// Where the connection stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.resources.with(|state, _| state.status)
    }

    /// Waits until the connection stands as `wanted` says. May be dropped.
    pub async fn wait_for(&self, wanted: impl Fn(Status) -> bool) -> Status {
        poll_fn(|cx| {
            self.resources.with(|state, _| {
                if wanted(state.status) {
                    return Poll::Ready(state.status);
                }
                state.wait(cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.resources.with(|state, _| state.statistics)
    }

    /// Ends the client: accepts nothing more, waits at most so many milliseconds until what was accepted is delivered, and sends
    /// DISCONNECT. The runner ends too.
    ///
    /// Dropped half-way, the client ends all the same.
    pub async fn shutdown(&self, milliseconds: u32) {
        self.resources.with(|state, now| {
            state.shutdown.get_or_insert(now.plus_millis(u64::from(milliseconds)));
            state.wake_runner();
        });
        self.wait_for(|status| status == Status::Closed).await;
    }
}
