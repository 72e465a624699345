//! A call for each message.

use core::future::{Future, IntoFuture};
use core::ops::ControlFlow;
use core::pin::Pin;
use core::time::Duration;

use mqtt_core::QoS;
use tokio::time::{Instant, timeout_at};

use super::{FAREWELL, Filters};
use crate::blocking;
use crate::client::Client;
use crate::deadline::deadline;
use crate::error::Error;
use crate::message::Message;
use crate::options::{IntoOptions, Options};

/// Subscribes to a filter and calls a function for each message until it breaks, whose value is returned. Lost connections
/// are made anew.
///
/// `.await`, or [`wait`](Listen::wait) where there is no `async`. The first attempt to connect must succeed.
///
/// ```no_run
/// # fn f() -> Result<(), mqtt_std::Error> {
/// use std::ops::ControlFlow;
/// use mqtt_std::{QoS, one_shot};
///
/// let alarm = one_shot::listen("mqtt://localhost", "cellar/#", QoS::AtLeastOnce, |message| match message.topic() {
///     "cellar/alarm" => ControlFlow::Break(message),
///     topic => ControlFlow::Continue(println!("{topic}")),
/// });
/// println!("{:?}", alarm.wait()?);
/// # Ok(())
/// # }
/// ```
pub fn listen<T, F>(options: impl IntoOptions, filter: impl Into<String>, qos: QoS, call: F) -> Listen<F>
where
    F: FnMut(Message) -> ControlFlow<T>,
{
    Listen { options: super::options(options), filters: Filters::new(filter, qos), call, timeout: Duration::MAX }
}

/// A loop about to begin; see [`listen`].
#[derive(Debug)]
#[must_use = "it begins with `.await` or `wait`"]
pub struct Listen<F> {
    options: Result<Options, Error>,
    filters: Filters,
    call: F,
    timeout: Duration,
}

impl<T, F: FnMut(Message) -> ControlFlow<T>> Listen<F> {
    /// Adds a filter.
    pub fn and(mut self, filter: impl Into<String>, qos: QoS) -> Self {
        self.filters.more.push((filter.into(), qos));
        self
    }

    /// Sets the time for all of it; default: it does not end.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Listens, on a thread that may be blocked; see [`blocking`](crate::blocking). The function is called on it.
    ///
    /// # Errors
    /// The client cannot connect or subscribe, or ends; [`Error::Timeout`]; [`Error::Deadlock`], see
    /// [`blocking::Client::wait`].
    pub fn wait(self) -> Result<T, Error> {
        blocking::wait(self.run())?
    }

    async fn run(self) -> Result<T, Error> {
        let Self { options, filters, mut call, timeout } = self;
        let deadline = deadline(timeout);
        let client = super::connect(options, deadline).await?;
        let value = until_break(&client, &filters, &mut call, deadline).await;
        let _ = client.shutdown(FAREWELL).await;
        value
    }
}

async fn until_break<T>(
    client: &Client,
    filters: &Filters,
    call: &mut impl FnMut(Message) -> ControlFlow<T>,
    deadline: Instant,
) -> Result<T, Error> {
    let listening = async {
        let mut stream = filters.subscribe(client).await?;
        loop {
            let message = stream.next().await.ok_or(Error::Closed)?;
            if let ControlFlow::Break(value) = call(message) {
                return Ok(value);
            }
        }
    };
    timeout_at(deadline, listening).await.unwrap_or(Err(Error::Timeout))
}

impl<T, F> IntoFuture for Listen<F>
where
    T: Send + 'static,
    F: FnMut(Message) -> ControlFlow<T> + Send + 'static,
{
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Listens. Dropped, the client ends.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
