//! The client for programs without `async`.
//!
//! ```
//! use std::time::Duration;
//! use mqtt_std::{QoS, blocking::Client};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let broker = runtime.block_on(mqtt_std::testkit::Broker::start(Default::default()))?;
//! # let url = broker.url();
//! let client = Client::connect(url.as_str())?;
//! let mut lamps = client.subscribe("cellar/+/status", QoS::AtLeastOnce).wait()?;
//! client.publish("cellar/stairlamp/status", "on").qos(QoS::ExactlyOnce).retain().wait()?;
//! for message in lamps.by_ref().take(1) {
//!     println!("{} {}", message.topic(), message.payload_str()?);
//! }
//! assert!(lamps.next_timeout(Duration::from_millis(10)).is_err());
//! client.shutdown(Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
//!
//! The verbs, their options and their rules are those of the asynchronous [`Client`](crate::Client); here one waits with `wait`,
//! which parks the thread. That works on every thread, those of a runtime among them, where it also holds up what else would
//! run there. The tasks of all blocking clients run on one thread of their own, which the first of them starts and which lasts as
//! long as the process.

mod home;
mod park;
mod reader;
mod subscription;
mod verbs;

use core::fmt;
use core::future::IntoFuture;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use mqtt_core::QoS;
use tokio::sync::watch;

use crate::client::Shutdown;
use crate::error::Error;
use crate::message::Message;
use crate::options::IntoOptions;
use crate::payload::Source;
use crate::statistics::Statistics;
use crate::status::Status;
use home::Home;
use park::Until;

pub use reader::PayloadReader;
pub use subscription::Subscription;
pub use verbs::{Publish, Receipt, Subscribe};

/// An MQTT client whose calls block; see the [module](self).
///
/// Handles can be cloned and used from many threads. The client ends with [`shutdown`](Self::shutdown), or when the last handle and
/// the last [`Subscription`] are gone, which waits for the end a second at most.
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
    last: Arc<Last>,
}

/// Goes with the last handle or stream, behind what is inside it.
#[derive(Debug)]
struct Last {
    home: Home,
    status: watch::Receiver<Status>,
}

impl Drop for Last {
    fn drop(&mut self) {
        if self.home.is_here() {
            return;
        }
        // Time to say DISCONNECT; a process may end right after. The wait is that thread's, because this one may end itself, and
        // have lost already what tokio keeps of it.
        let (closed, wait) = mpsc::channel::<()>();
        let mut status = self.status.clone();
        self.home.handle().spawn(async move {
            let _closed = closed;
            let _ = status.wait_for(|status| matches!(status, Status::Closed { .. })).await;
        });
        let _ = wait.recv_timeout(FAREWELL);
    }
}

impl Client {
    /// Connects, and fails if the first attempt does; later the client reconnects by itself.
    ///
    /// # Errors
    /// As for [`Client::connect`](crate::Client::connect); the thread of the blocking clients cannot be started
    /// ([`Error::Transport`]); [`Error::Deadlock`], see [`wait`](Self::wait).
    pub fn connect(options: impl IntoOptions) -> Result<Self, Error> {
        let (options, home) = (options.into_options()?, home()?);
        let client = home.wait(crate::Client::connect(options), Until::DONE)??;
        Ok(Self::new(client, home))
    }

    /// Returns at once and keeps trying to connect; what is published waits in the meantime.
    ///
    /// # Errors
    /// The options are not valid; the thread of the blocking clients cannot be started ([`Error::Transport`]).
    pub fn connect_retrying(options: impl IntoOptions) -> Result<Self, Error> {
        let home = home()?;
        let (client, run) = crate::Client::new(options)?;
        home.handle().spawn(run);
        Ok(Self::new(client, home))
    }

    fn new(client: crate::Client, home: Home) -> Self {
        let status = client.status();
        Self { client, last: Arc::new(Last { home, status }) }
    }

    /// Publishes a message: `wait` waits until it is delivered, [`Publish::send`] until it is accepted.
    pub fn publish<'a>(&'a self, topic: impl Into<Cow<'a, str>>, payload: impl Into<Bytes>) -> Publish<'a> {
        Publish { inner: self.client.publish(topic, payload), home: &self.last.home }
    }

    /// Publishes a payload that is read when it is sent; see [`Client::publish_from`](crate::Client::publish_from).
    pub fn publish_from<'a>(&'a self, topic: impl Into<Cow<'a, str>>, source: impl Into<Source>) -> Publish<'a> {
        Publish { inner: self.client.publish_from(topic, source), home: &self.last.home }
    }

    /// Publishes a value as JSON; see [`Client::publish_json`](crate::Client::publish_json).
    ///
    /// # Errors
    /// [`Error::Json`]: the value cannot be told in JSON.
    #[cfg(feature = "serde")]
    pub fn publish_json<'a>(
        &'a self,
        topic: impl Into<Cow<'a, str>>,
        value: &(impl serde::Serialize + ?Sized),
    ) -> Result<Publish<'a>, Error> {
        Ok(Publish { inner: self.client.publish_json(topic, value)?, home: &self.last.home })
    }

    /// Subscribes to a filter: `wait` waits for the broker's answer, [`Subscribe::send`] until it is asked.
    pub fn subscribe<'a>(&'a self, filter: impl Into<Cow<'a, str>>, qos: QoS) -> Subscribe<'a> {
        Subscribe { inner: self.client.subscribe(filter, qos), client: self }
    }

    /// A stream of what matches a filter and comes anyway; see [`Client::listen`](crate::Client::listen).
    pub fn listen<'a>(&'a self, filter: impl Into<Cow<'a, str>>) -> Subscribe<'a> {
        Subscribe { inner: self.client.listen(filter), client: self }
    }

    /// A stream of what matches no other stream; see [`Client::listen_unmatched`](crate::Client::listen_unmatched).
    pub const fn listen_unmatched(&self) -> Subscribe<'_> {
        Subscribe { inner: self.client.listen_unmatched(), client: self }
    }

    /// Reads the payload of a message from one of this client's streams; see [`Message::reader`](crate::Message::reader).
    ///
    /// ```no_run
    /// # fn f(client: mqtt_std::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use mqtt_std::QoS;
    ///
    /// let mut updates = client.subscribe("cellar/+/firmware", QoS::AtLeastOnce).streamed().wait()?;
    /// for message in updates.by_ref() {
    ///     std::io::copy(&mut client.reader(&message), &mut std::fs::File::create("firmware.bin")?)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reader(&self, message: &Message) -> PayloadReader {
        PayloadReader::new(message.reader(), Arc::clone(&self.last))
    }

    /// The state of the connection.
    #[must_use]
    pub fn status(&self) -> Status {
        self.last.status.borrow().clone()
    }

    /// Waits until the state of the connection is such, for so long at most, and returns it.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Closed`]: the client has ended, and it will not be; [`Error::Deadlock`], see
    /// [`wait`](Self::wait).
    pub fn status_timeout(&self, wanted: impl FnMut(&Status) -> bool, timeout: Duration) -> Result<Status, Error> {
        let mut status = self.last.status.clone();
        let found = self.wait_timeout(status.wait_for(wanted), timeout)?;
        found.map(|status| status.clone()).map_err(|_| Error::Closed)
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.client.statistics()
    }

    /// Ends the client: waits at most `timeout` until what was accepted is delivered, and says DISCONNECT; see
    /// [`Client::shutdown`](crate::Client::shutdown).
    ///
    /// # Errors
    /// As there; [`Error::Deadlock`], see [`wait`](Self::wait).
    pub fn shutdown(&self, timeout: Duration) -> Result<Shutdown, Error> {
        self.wait(self.client.shutdown(timeout))?
    }

    /// The asynchronous client that this one is, for what has no blocking form.
    ///
    /// ```no_run
    /// # fn f(client: mqtt_std::blocking::Client, router: mqtt_std::Router) -> Result<(), mqtt_std::Error> {
    /// let requests = client.wait(client.as_async().requests())??;
    /// let answer = client.wait(requests.request("pump/7/start", ""))??;
    /// println!("{:?}", answer.payload());
    /// client.wait(router.run(client.as_async()))? // until the client ends
    /// # }
    /// ```
    #[must_use]
    pub const fn as_async(&self) -> &crate::Client {
        &self.client
    }

    /// Waits for a future, which runs on this thread; timers work in it, and what it spawns runs on the thread of the blocking clients.
    ///
    /// # Errors
    /// [`Error::Deadlock`]: this is the thread of the blocking clients, which would wait for itself. A task that a future spawned,
    /// such as a handler of a [`Router`](crate::Router) with more than one at once, uses the [asynchronous](Self::as_async) client.
    pub fn wait<F: IntoFuture>(&self, future: F) -> Result<F::Output, Error> {
        self.last.home.wait(future, Until::DONE)
    }

    /// As [`wait`](Self::wait), for so long at most.
    ///
    /// # Errors
    /// [`Error::Timeout`] too: the future is dropped.
    pub fn wait_timeout<F: IntoFuture>(&self, future: F, timeout: Duration) -> Result<F::Output, Error> {
        self.last.home.wait(future, Until::after(timeout))
    }

    fn stream(&self, subscription: crate::Subscription) -> Subscription {
        Subscription::new(subscription, Arc::clone(&self.last))
    }
}

fn home() -> Result<Home, Error> {
    Home::enter().map_err(|error| Error::Transport(error.into()))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

/// How long the last handle waits for the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Waits on this thread for a future that needs no client of its own.
pub(crate) fn wait<F: IntoFuture>(future: F) -> Result<F::Output, Error> {
    home()?.wait(future, Until::DONE)
}
