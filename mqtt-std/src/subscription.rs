//! A stream of messages.

use core::future::Future as _;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use futures_core::Stream;
use mqtt_core::{QoS, ReasonCode};
use tokio::sync::oneshot;

use crate::client::Alive;
use crate::delivery::{Acknowledge, Hand, Queue, Taken};
use crate::error::Error;
use crate::message::Message;
use crate::state::{Requested, Shared, State};

/// The messages of one subscription, in the order of their arrival; see [`Client::subscribe`](crate::Client::subscribe).
///
/// The stream is bounded, and a slow reader slows the broker down: see
/// [`Options::stream_capacity`](crate::Options::stream_capacity). Dropping it unsubscribes, unless the session is to be kept or
/// another subscription has the same filter; see [`unsubscribe`](Self::unsubscribe). Messages that nobody has read are
/// acknowledged and gone; those to be acknowledged [by hand](Acknowledge::ByHand) are not acknowledged, and hold back later
/// acknowledgements until the next connection.
#[derive(Debug)]
#[must_use = "messages are in the stream"]
pub struct Subscription {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    grant: Grant,
    /// Dropping it does not unsubscribe.
    keep: bool,
    _alive: Arc<Alive>,
}

/// What the broker says to the SUBSCRIBE.
#[derive(Debug)]
enum Grant {
    /// Nothing was asked.
    None,
    /// Nothing yet.
    Due(oneshot::Receiver<Requested>),
    Granted(Vec<ReasonCode>),
    /// The subscription is undone. Why, until it is told.
    Refused(Option<Error>),
}

impl Subscription {
    pub(crate) const fn new(shared: Arc<Shared>, queue: Arc<Queue>, keep: bool, alive: Arc<Alive>) -> Self {
        Self { shared, queue, grant: Grant::None, keep, _alive: alive }
    }

    /// Dropping it unsubscribes also where the session is kept.
    pub(crate) const fn unsubscribe_when_dropped(&mut self) {
        self.keep = false;
    }

    pub(crate) fn expect(&mut self, answer: oneshot::Receiver<Requested>) {
        self.grant = Grant::Due(answer);
    }

    /// As [`confirmed`](Self::confirmed); dropped half-way, the subscription is undone when it is dropped.
    pub(crate) async fn grant(&mut self) -> Result<(), Error> {
        let keep = core::mem::take(&mut self.keep);
        self.confirmed().await?;
        self.keep = keep;
        Ok(())
    }

    /// Waits until the broker has answered, and returns what it granted, as [`granted`](Self::granted) does.
    ///
    /// May be dropped at any moment.
    ///
    /// # Errors
    /// The broker refuses one of the filters ([`Error::Rejected`]), or cannot serve one ([`Error::NotDelivered`]): the
    /// others are undone, and the stream has ended. The client is closed.
    pub async fn confirmed(&mut self) -> Result<&[ReasonCode], Error> {
        core::future::poll_fn(|cx| self.poll_grant(cx)).await;
        match &mut self.grant {
            Grant::Refused(error) => Err(error.take().unwrap_or(Error::Closed)),
            Grant::None | Grant::Due(_) | Grant::Granted(_) => Ok(self.granted()),
        }
    }

    /// Waits for the answer; a refusal ends the stream.
    fn poll_grant(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Grant::Due(answer) = &mut self.grant else { return Poll::Ready(()) };
        let answer = ready!(Pin::new(answer).poll(cx));
        let error = match answer {
            Ok(Ok(answers)) => match answers.refusal() {
                None => {
                    self.grant = Grant::Granted(answers.codes);
                    return Poll::Ready(());
                }
                Some(refusal) => Error::Rejected(refusal),
            },
            Ok(Err(outcome)) => Error::NotDelivered(outcome),
            Err(_) => Error::Closed,
        };
        // What has come before the end of the client can be read.
        if !self.shared.lock().closed {
            self.end();
        }
        self.grant = Grant::Refused(Some(error));
        Poll::Ready(())
    }

    /// The QoS that the broker granted, for each filter in its order; nothing as long as it has not answered.
    #[must_use]
    pub fn granted(&self) -> &[ReasonCode] {
        match &self.grant {
            Grant::Granted(codes) => codes,
            Grant::None | Grant::Due(_) | Grant::Refused(_) => &[],
        }
    }

    /// Waits for the next message; `None` once all messages were taken and no more will come: the client is closed, or a broker
    /// has refused the subscription, perhaps when it had lost the session and was asked again. Why the first one did,
    /// [`confirmed`](Self::confirmed) tells.
    ///
    /// May be dropped at any moment: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        core::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        // The answer may come, or not yet.
        let _ = self.poll_grant(cx);
        match self.queue.pop(cx.waker()) {
            Taken::Message { message, ticket, wake } => {
                let by_hand = self.queue.acknowledge() == Acknowledge::ByHand && message.qos() != QoS::AtMostOnce;
                let message = match ticket {
                    Some(ticket) if by_hand => message.with_hand(Hand::new(&self.shared, ticket)),
                    // What was taken is acknowledged, once the driver is woken.
                    ticket => {
                        drop(ticket);
                        message
                    }
                };
                if wake {
                    self.shared.command(|state, now| state.unstall(now));
                }
                Poll::Ready(Some(message))
            }
            Taken::Empty => Poll::Pending,
            Taken::Closed => Poll::Ready(None),
        }
    }

    /// Ends the subscription, also where the session is kept, and waits for the broker's answer. Filters that another
    /// subscription of this client has too stay at the broker. What becomes of messages that nobody has read is said
    /// [above](Self).
    ///
    /// Dropped half-way, the subscription ends all the same.
    ///
    /// # Errors
    /// The broker refuses ([`Error::Rejected`]); the client is closed.
    pub async fn unsubscribe(self) -> Result<(), Error> {
        let answer = self.leave(|state, filters| state.unsubscribe_and_tell(filters, Vec::new()));
        // The client goes on until then.
        let _alive = Arc::clone(&self._alive);
        drop(self);
        told(answer).await
    }

    /// Takes the stream out, and does what is to be done with the filters that nobody wants any more; the second time there are
    /// none. At once: whoever subscribes to them next does so behind the UNSUBSCRIBE.
    fn leave<T>(&self, unwanted: impl FnOnce(&mut State, Vec<Box<str>>) -> T) -> T {
        self.queue.discard();
        self.shared.command(|state, _| {
            let alone = state.routes.remove(&self.queue);
            unwanted(state, alone)
        })
    }

    fn end(&self) {
        self.leave(State::unsubscribe);
    }
}

/// What the broker says to an UNSUBSCRIBE, if it is asked.
pub(crate) async fn told(answer: Option<oneshot::Receiver<Requested>>) -> Result<(), Error> {
    let Some(answer) = answer else { return Ok(()) };
    let answers = answer.await.map_err(|_| Error::Closed)?.map_err(Error::NotDelivered)?;
    answers.refusal().map_or(Ok(()), |refusal| Err(Error::Rejected(refusal)))
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.keep {
            self.leave(|_, _| ());
        } else {
            self.end();
        }
    }
}
