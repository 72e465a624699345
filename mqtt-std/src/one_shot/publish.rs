//! Publishing one message or many.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::time::Duration;

use bytes::Bytes;
use mqtt_core::{Outcome, QoS};
use tokio::time::{Instant, timeout_at};

use super::{TIMEOUT, left};
use crate::blocking;
use crate::client::Client;
use crate::deadline::deadline;
use crate::error::Error;
use crate::options::{IntoOptions, Options};
use crate::publish::{Publish, Receipt};

/// Publishes messages in their order, and waits until all are delivered.
///
/// `.await`, or [`wait`](Publishing::wait) where there is no `async`. The first attempt to connect must succeed.
pub fn publish(options: impl IntoOptions, messages: impl IntoIterator<Item = Outgoing>) -> Publishing {
    Publishing { options: super::options(options), messages: messages.into_iter().collect(), timeout: TIMEOUT }
}

/// A message to be published with [`publish`].
#[derive(Clone, Debug)]
pub struct Outgoing {
    topic: String,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    message_expiry_interval: Option<u32>,
}

impl Outgoing {
    /// A message at QoS 0, not retained.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false, message_expiry_interval: None }
    }

    /// Sets the QoS; default: 0.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Asks the broker to keep the message for later subscribers.
    #[must_use]
    pub const fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Sets after how many seconds the message is no longer wanted; see
    /// [`Publish::message_expiry_interval`](crate::Publish::message_expiry_interval).
    #[must_use]
    pub const fn message_expiry_interval(mut self, seconds: u32) -> Self {
        self.message_expiry_interval = Some(seconds);
        self
    }

    fn publish<'a>(&'a self, client: &'a Client) -> Publish<'a> {
        let mut publish = client.publish(&self.topic, self.payload.clone()).qos(self.qos);
        if self.retain {
            publish = publish.retain();
        }
        match self.message_expiry_interval {
            Some(seconds) => publish.message_expiry_interval(seconds),
            None => publish,
        }
    }
}

/// Messages about to be published; see [`publish`].
#[derive(Debug)]
#[must_use = "messages are published by `.await` or `wait`"]
pub struct Publishing {
    options: Result<Options, Error>,
    messages: Vec<Outgoing>,
    timeout: Duration,
}

impl Publishing {
    /// Sets the time for all of it; default: 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Publishes, on a thread that may be blocked; see [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// Says which messages were not delivered, and why.
    pub fn wait(self) -> Result<(), Undelivered> {
        let total = self.messages.len();
        blocking::wait(self).unwrap_or_else(|error| Err(Undelivered::all(total, error)))
    }

    async fn run(self) -> Result<(), Undelivered> {
        let (deadline, total) = (deadline(self.timeout), self.messages.len());
        let client = super::connect(self.options, deadline).await.map_err(|error| Undelivered::all(total, error))?;
        let mut messages = Vec::new();
        let mut receipts = Vec::new();
        for (index, message) in self.messages.iter().enumerate() {
            match timeout_at(deadline, message.publish(&client).send()).await {
                Ok(Ok(receipt)) => receipts.push((index, receipt)),
                Ok(Err(error)) => messages.push((index, error)),
                Err(_) => messages.push((index, Error::NotDelivered(Outcome::NotSent))),
            }
        }
        outcomes(&client, receipts, deadline, &mut messages).await;
        // What has left at QoS 0 may still be on its way to the transport.
        let _ = client.shutdown(left(deadline)).await;
        messages.sort_by_key(|(index, _)| *index);
        if messages.is_empty() { Ok(()) } else { Err(Undelivered { total, messages }) }
    }
}

/// Waits for the receipts. When the time is over the client ends, and they tell what they can.
async fn outcomes(
    client: &Client,
    receipts: Vec<(usize, Receipt)>,
    deadline: Instant,
    failures: &mut Vec<(usize, Error)>,
) {
    for (index, mut receipt) in receipts {
        let outcome = match timeout_at(deadline, &mut receipt).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let _ = client.shutdown(Duration::ZERO).await;
                receipt.await
            }
        };
        failures.extend(outcome.err().map(|error| (index, error)));
    }
}

impl IntoFuture for Publishing {
    type Output = Result<(), Undelivered>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Publishes. Dropped half-way, the client ends; what was not delivered by then is not, or may be.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Not all messages were delivered.
#[derive(Debug)]
pub struct Undelivered {
    /// Those that were not, by their number from 0, and why.
    pub messages: Vec<(usize, Error)>,
    /// How many were to be.
    pub total: usize,
}

impl Undelivered {
    /// There was no connection.
    fn all(total: usize, error: Error) -> Self {
        let others = (1..total).map(|index| (index, Error::NotDelivered(Outcome::NotSent)));
        Self { messages: core::iter::once((0, error)).chain(others).collect(), total }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} messages not delivered", self.messages.len(), self.total)?;
        match self.messages.first() {
            Some((index, error)) => write!(f, ", number {index}: {error}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Undelivered {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.messages.first().map(|(_, error)| error as _)
    }
}
