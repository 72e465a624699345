//! Waiting for so many messages.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::time::Duration;

use mqtt_core::QoS;
use tokio::time::timeout_at;

use super::{FAREWELL, Filters, TIMEOUT};
use crate::blocking;
use crate::client::Client;
use crate::deadline::deadline;
use crate::error::Error;
use crate::message::Message;
use crate::options::{IntoOptions, Options};

/// Subscribes to a filter and returns the first messages: one, unless another [`count`](Receive::count) is set.
///
/// `.await`, or [`wait`](Receive::wait) where there is no `async`. The first attempt to connect must succeed.
pub fn receive(options: impl IntoOptions, filter: impl Into<String>, qos: QoS) -> Receive {
    let (options, filters) = (super::options(options), Filters::new(filter, qos));
    Receive { options, wanted: Wanted { filters, count: 1, retained: true }, timeout: TIMEOUT }
}

/// Messages about to be received; see [`receive`].
#[derive(Debug)]
#[must_use = "messages are received by `.await` or `wait`"]
pub struct Receive {
    options: Result<Options, Error>,
    wanted: Wanted,
    timeout: Duration,
}

#[derive(Debug)]
struct Wanted {
    filters: Filters,
    count: usize,
    retained: bool,
}

impl Receive {
    /// Adds a filter.
    pub fn and(mut self, filter: impl Into<String>, qos: QoS) -> Self {
        self.wanted.filters.more.push((filter.into(), qos));
        self
    }

    /// Sets how many messages are wanted; default: 1.
    pub const fn count(mut self, messages: usize) -> Self {
        self.wanted.count = messages;
        self
    }

    /// Leaves out what the broker had kept.
    pub const fn without_retained(mut self) -> Self {
        self.wanted.retained = false;
        self
    }

    /// Sets the time for all of it; default: 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Receives, on a thread that may be blocked; see [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// As for the future: [`Incomplete`].
    pub fn wait(self) -> Result<Vec<Message>, Incomplete> {
        blocking::wait(self).unwrap_or_else(|error| Err(Incomplete { messages: Vec::new(), error }))
    }

    async fn run(self) -> Result<Vec<Message>, Incomplete> {
        let deadline = deadline(self.timeout);
        let mut messages = Vec::new();
        let client = match super::connect(self.options, deadline).await {
            Ok(client) => client,
            Err(error) => return Err(Incomplete { messages, error }),
        };
        let collected = timeout_at(deadline, self.wanted.collect(&client, &mut messages)).await;
        let _ = client.shutdown(FAREWELL).await;
        match collected.unwrap_or(Err(Error::Timeout)) {
            Ok(()) => Ok(messages),
            Err(error) => Err(Incomplete { messages, error }),
        }
    }
}

impl Wanted {
    async fn collect(&self, client: &Client, messages: &mut Vec<Message>) -> Result<(), Error> {
        let mut stream = self.filters.subscribe(client).await?;
        while messages.len() < self.count {
            let message = stream.next().await.ok_or(Error::Closed)?;
            if self.retained || !message.retain() {
                messages.push(message);
            }
        }
        Ok(())
    }
}

impl IntoFuture for Receive {
    type Output = Result<Vec<Message>, Incomplete>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Receives. Dropped half-way, the client ends, and what it has received is gone.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Not as many messages came as were wanted.
#[derive(Debug)]
pub struct Incomplete {
    /// Those that came.
    pub messages: Vec<Message>,
    /// Why there are no more: [`Error::Timeout`], or something went wrong.
    pub error: Error,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} messages", self.error, self.messages.len())
    }
}

impl core::error::Error for Incomplete {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}
