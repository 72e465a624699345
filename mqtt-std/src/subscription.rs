//! A stream of messages.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use futures_core::Stream;
use mqtt_core::ReasonCode;

use crate::client::Alive;
use crate::delivery::{Queue, Taken};
use crate::message::Message;
use crate::state::Shared;

/// The messages of one subscription, in the order of their arrival; see [`Client::subscribe`](crate::Client::subscribe).
///
/// The stream is bounded, and a slow reader slows the broker down: see
/// [`Options::stream_capacity`](crate::Options::stream_capacity). Dropping it unsubscribes, unless the session is to be kept or another stream has the same filter.
#[derive(Debug)]
#[must_use = "messages are in the stream"]
pub struct Subscription {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    granted: Vec<ReasonCode>,
    keep: bool,
    _alive: Arc<Alive>,
}

impl Subscription {
    pub(crate) const fn new(shared: Arc<Shared>, queue: Arc<Queue>, keep: bool, alive: Arc<Alive>) -> Self {
        Self { shared, queue, granted: Vec::new(), keep, _alive: alive }
    }

    pub(crate) fn grant(&mut self, granted: Vec<ReasonCode>) {
        self.granted = granted;
    }

    /// The QoS that the broker granted, for each filter in its order.
    #[must_use]
    pub fn granted(&self) -> &[ReasonCode] {
        &self.granted
    }

    /// Waits for the next message; `None` once all messages were taken and no more will come: the client is closed, or a broker
    /// that lost the session has refused to renew the subscription.
    ///
    /// May be dropped at any moment: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        core::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        match self.queue.pop(cx.waker()) {
            Taken::Message { message, ticket, unblocks } => {
                if unblocks || ticket.is_some() {
                    drop(ticket);
                    self.shared.command(|state, now| state.unstall(now));
                }
                Poll::Ready(Some(message))
            }
            Taken::Empty => Poll::Pending,
            Taken::Closed => Poll::Ready(None),
        }
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.discard();
        self.shared.command(|state, _| {
            let alone = state.routes.remove(&self.queue);
            if !self.keep && !state.closed {
                state.unsubscribe(alone);
            }
        });
    }
}
