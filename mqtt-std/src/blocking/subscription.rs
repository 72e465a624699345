//! A stream of messages, as an iterator.

use core::time::Duration;
use std::sync::Arc;

use mqtt_core::ReasonCode;

use super::Last;
use super::park::Until;
use crate::error::Error;
use crate::message::Message;

/// The messages of one subscription, in the order of their arrival: an iterator that waits for the next, and ends with the
/// client or when a broker does not renew the subscription.
///
/// As with the asynchronous [`Subscription`](crate::Subscription), a slow reader slows the broker down, and dropping it unsubscribes.
#[derive(Debug)]
#[must_use = "messages are in the stream"]
pub struct Subscription {
    inner: crate::Subscription,
    last: Arc<Last>,
}

impl Subscription {
    pub(super) const fn new(inner: crate::Subscription, last: Arc<Last>) -> Self {
        Self { inner, last }
    }

    /// Waits until the broker has answered, and returns what it granted; for those that were only
    /// [asked for](super::Subscribe::send).
    ///
    /// # Errors
    /// As for [`Subscription::confirmed`](crate::Subscription::confirmed); [`Error::Deadlock`], see
    /// [`Client::wait`](super::Client::wait).
    pub fn confirmed(&mut self) -> Result<&[ReasonCode], Error> {
        self.last.home.wait(self.inner.confirmed(), Until::DONE)?
    }

    /// The QoS that the broker granted, for each filter in its order; nothing as long as it has not answered.
    #[must_use]
    pub fn granted(&self) -> &[ReasonCode] {
        self.inner.granted()
    }

    /// Waits for the next message, for so long at most. With [`Duration::ZERO`] it does not wait. `None`: there are none any more.
    ///
    /// # Errors
    /// [`Error::Timeout`]: none has come; [`Error::Deadlock`], see [`Client::wait`](super::Client::wait).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, Error> {
        self.last.home.wait(self.inner.next(), Until::after(timeout))
    }

    /// Ends the subscription and waits for the broker's answer; see [`Subscription::unsubscribe`](crate::Subscription::unsubscribe).
    ///
    /// # Errors
    /// As there; [`Error::Deadlock`], see [`Client::wait`](super::Client::wait).
    pub fn unsubscribe(self) -> Result<(), Error> {
        self.last.home.wait(self.inner.unsubscribe(), Until::DONE)?
    }
}

impl Iterator for Subscription {
    type Item = Message;

    /// Waits for the next message. On the thread that it would wait for (see [`Client::wait`](super::Client::wait)) there is none.
    fn next(&mut self) -> Option<Message> {
        self.last.home.wait(self.inner.next(), Until::DONE).ok().flatten()
    }
}
