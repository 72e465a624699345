//! The handle that applications hold.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{InvalidTopicFilter, QoS, TopicFilter};
use tokio::sync::watch;

use crate::delivery::Queue;
use crate::driver::Driver;
use crate::error::Error;
use crate::options::IntoOptions;
use crate::payload::Source;
use crate::publish::Publish;
use crate::state::{Shared, State};
use crate::statistics::Statistics;
use crate::status::Status;
use crate::subscription::Subscription;

/// An MQTT client: a cheap handle to a connection that a task of its own drives.
///
/// Nothing is to be polled: a connected client works. Handles can be cloned and sent anywhere; the client ends with
/// [`shutdown`](Self::shutdown), or when the last handle and the last [`Subscription`] are gone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
    stream_capacity: usize,
    keep_session: bool,
    alive: Arc<Alive>,
}

/// The last handle, or stream, ends the client without a drain.
#[derive(Debug)]
pub(crate) struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.command(|state, _| {
            state.shutdown.get_or_insert_with(tokio::time::Instant::now);
        });
    }
}

impl Client {
    /// Connects, and fails if the first attempt does; later the client reconnects by itself.
    ///
    /// `options` is an address (`mqtt://localhost`, see [`Options`](crate::Options)) or options.
    ///
    /// Dropped half-way, nothing stays behind.
    ///
    /// # Errors
    /// The address or the will's topic is not valid; the broker cannot be reached or refuses the connection.
    pub async fn connect(options: impl IntoOptions) -> Result<Self, Error> {
        let client = Self::connect_retrying(options)?;
        let mut status = client.status.clone();
        loop {
            match &*status.borrow_and_update() {
                Status::Connected { .. } => break,
                Status::Connecting => {}
                Status::Waiting { error, .. } | Status::Closed { error: Some(error) } => {
                    return Err(error.to_error());
                }
                Status::Closed { error: None } => return Err(Error::Closed),
            }
            status.changed().await.map_err(|_| Error::Closed)?;
        }
        Ok(client)
    }

    /// Returns at once and keeps trying to connect; what is published waits in the meantime.
    ///
    /// Call it within a tokio runtime: the client's task runs there.
    ///
    /// # Errors
    /// The address or the will's topic is not valid.
    pub fn connect_retrying(options: impl IntoOptions) -> Result<Self, Error> {
        let options = options.into_options()?;
        if let Some(will) = &options.will {
            will.check()?;
        }
        let shared = Shared::new(&options);
        let (sender, status) = watch::channel(Status::Connecting);
        let client = Self {
            shared: Arc::clone(&shared),
            status,
            stream_capacity: options.stream_capacity,
            keep_session: options.keep_session,
            alive: Arc::new(Alive(Arc::clone(&shared))),
        };
        tokio::spawn(Driver::new(shared, options, sender).run());
        Ok(client)
    }

    /// Publishes a message: `.await` waits until it is delivered, [`Publish::send`] until it is accepted.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client) -> Result<(), mqtt_std::Error> {
    /// use mqtt_std::QoS;
    ///
    /// client.publish("cellar/stairlamp/cmd", "on").qos(QoS::ExactlyOnce).retain().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<'a>(&'a self, topic: impl Into<Cow<'a, str>>, payload: impl Into<Bytes>) -> Publish<'a> {
        Publish::new(&self.shared, topic.into(), payload.into())
    }

    /// Publishes a message whose payload is read while it is sent, and is never in memory as a whole. What can be set is as
    /// for [`publish`](Self::publish).
    ///
    /// At QoS 1 and 2 the source must be a [`PayloadSource`](crate::PayloadSource): it is read again from its start when the
    /// message is sent again. At QoS 0 the message is sent once, on the connection there is or the next one, and `.await`
    /// waits until all of it was given to the transport.
    ///
    /// As long as the payload is on its way nothing else leaves on this connection. A source that gives less than it said, or
    /// more, or an error, or nothing for [`Options::stall_timeout`](crate::Options::stall_timeout), fails the message with
    /// [`Outcome::SourceFailed`](crate::Outcome::SourceFailed). A packet that was begun cannot be taken back: the connection is
    /// then given up without a DISCONNECT, which publishes a will, and the next one goes on with everything else.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish); `Usage(WrongQoS)` at QoS 1 or 2 with a source that can be read only once, and
    /// `Usage(Encode(PacketTooLarge))` beyond 268,435,455 bytes.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client, socket: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// use mqtt_std::{PayloadFile, QoS, Source};
    ///
    /// let firmware = PayloadFile::new("pump.bin").await?;
    /// client.publish_from("cellar/pump/firmware", firmware).qos(QoS::ExactlyOnce).await?;
    /// client.publish_from("cellar/camera", Source::once(socket, 1_000_000)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_from<'a>(&'a self, topic: impl Into<Cow<'a, str>>, source: impl Into<Source>) -> Publish<'a> {
        Publish::new(&self.shared, topic.into(), Bytes::new()).read_from(source.into())
    }

    /// Subscribes to a filter and waits for the broker's answer.
    ///
    /// Dropped half-way, the subscription is undone.
    ///
    /// # Errors
    /// As for [`subscribe_all`](Self::subscribe_all).
    pub async fn subscribe(&self, filter: impl AsRef<str>, qos: QoS) -> Result<Subscription, Error> {
        self.subscribe_all(&[(filter.as_ref(), qos)]).await
    }

    /// Subscribes to several filters with one stream, and waits for the broker's answer. A message that matches more than
    /// one of them is in the stream once for each time the broker sends it.
    ///
    /// Dropped half-way, the subscription is undone.
    ///
    /// # Errors
    /// A filter is not valid; the broker's limits do not allow it; the broker refuses one of them ([`Error::Rejected`]; the
    /// others are undone); the client is closed.
    pub async fn subscribe_all(&self, filters: &[(&str, QoS)]) -> Result<Subscription, Error> {
        let checked = filters
            .iter()
            .map(|(filter, qos)| Ok(mqtt_core::Subscription::new(TopicFilter::new(filter)?, *qos)))
            .collect::<Result<Vec<_>, InvalidTopicFilter>>()?;
        let queue = Queue::new(self.stream_capacity);
        let (shared, alive) = (Arc::clone(&self.shared), Arc::clone(&self.alive));
        let mut subscription = Subscription::new(shared, Arc::clone(&queue), self.keep_session, alive);
        let subscribe = |state: &mut State, _| state.subscribe(&checked, &queue);
        let answer = self.shared.when_room(&self.shared.session_turn, subscribe).await?;
        let codes = answer.await.map_err(|_| Error::Closed)?.map_err(Error::NotDelivered)?;
        if let Some(refused) = codes.iter().find(|code| code.is_failure()) {
            return Err(Error::Rejected(*refused));
        }
        subscription.grant(codes);
        Ok(subscription)
    }

    /// The state of the connection, to be watched.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.lock().statistics
    }

    /// Ends the client: accepts nothing more, waits at most `timeout` until what was accepted is delivered, and sends
    /// DISCONNECT, which also ends the session unless it is to be kept. Returns how many messages were not delivered.
    ///
    /// Dropped half-way, the client ends all the same. A second call waits for the same end.
    ///
    /// # Errors
    /// None so far: messages that were not delivered are counted, not an error. The type leaves room for transports whose
    /// end can fail.
    pub async fn shutdown(&self, timeout: Duration) -> Result<Shutdown, Error> {
        let ended = self.shared.ended.notified();
        let mut ended = core::pin::pin!(ended);
        ended.as_mut().enable();
        let closed = self.shared.command(|state, _| {
            state.shutdown.get_or_insert_with(|| deadline(timeout));
            state.closed
        });
        if !closed {
            ended.await;
        }
        Ok(Shutdown { undelivered: self.shared.lock().undelivered_at_end })
    }
}

/// The moment that far from now; a time without end is as good as a year.
fn deadline(timeout: Duration) -> tokio::time::Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    tokio::time::Instant::now() + timeout.min(YEAR)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// How a client ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// Messages that were accepted and have no acknowledgement, or were still waiting at QoS 0. Their receipts say which.
    pub undelivered: usize,
}
