//! The handle that applications hold.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{QoS, Storage as _, UsageError};
use tokio::sync::{oneshot, watch};

use crate::deadline::deadline;
use crate::delivery::{Queue, StreamOptions};
use crate::driver::Driver;
use crate::error::Error;
use crate::options::IntoOptions;
use crate::payload::Source;
use crate::publish::Publish;
use crate::state::Shared;
use crate::statistics::Statistics;
use crate::status::Status;
use crate::store::Restored;
use crate::subscribe::Subscribe;
use crate::subscription::Subscription;
use crate::unsubscribe::Unsubscribe;

/// An MQTT client: a cheap handle to a connection that a task of its own drives.
///
/// Nothing is to be polled: a connected client works. Handles can be cloned and sent anywhere; the client ends with
/// [`shutdown`](Self::shutdown), or when the last handle and the last [`Subscription`] are gone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
    stream_options: StreamOptions,
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
    /// Connects, and fails if the first attempt does, at each server; later the client reconnects by itself.
    ///
    /// `options` is an address (`mqtt://localhost`, see [`Options`](crate::Options)) or options.
    ///
    /// Dropped half-way, nothing stays behind.
    ///
    /// # Errors
    /// The address, or a topic of the will, is not valid; the broker cannot be reached or refuses the connection.
    pub async fn connect(options: impl IntoOptions) -> Result<Self, Error> {
        let client = Self::connect_retrying(options)?;
        let connected = client.connected().await;
        if let Err(error) = connected {
            let shared = Arc::clone(&client.shared);
            drop(client);
            // Who tries again finds the store free.
            shared.store_ended().await;
            return Err(error);
        }
        Ok(client)
    }

    /// Waits for the end of the first attempt.
    async fn connected(&self) -> Result<(), Error> {
        let mut status = self.status.clone();
        loop {
            match &*status.borrow_and_update() {
                Status::Connected { .. } => return Ok(()),
                Status::Connecting { .. } => {}
                Status::Waiting { error, .. } | Status::Closed { error: Some(error), .. } => {
                    return Err(error.to_error());
                }
                Status::Closed { error: None, .. } => return Err(Error::Closed),
            }
            status.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    /// Returns at once and keeps trying to connect; what is published waits in the meantime.
    ///
    /// Call it within a tokio runtime: the client's task runs there.
    ///
    /// # Errors
    /// The address, or a topic of the will, is not valid.
    pub fn connect_retrying(options: impl IntoOptions) -> Result<Self, Error> {
        let (client, run) = Self::new(options)?;
        tokio::spawn(run);
        Ok(client)
    }

    /// A client that does not run yet, and the future that runs it: spawn it, or wait for it among others. Nothing is
    /// connected before it is polled, so streams and messages that are there by then are there in time.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), mqtt_std::Error> {
    /// use mqtt_std::{Client, Options, QoS};
    ///
    /// let options: Options = "mqtt://localhost?client_id=pump-7".parse()?;
    /// let (client, run) = Client::new(options.keep_session())?;
    /// let mut commands = client.subscribe("cellar/pump/cmd", QoS::ExactlyOnce).send().await?;
    /// tokio::spawn(run);
    /// while let Some(message) = commands.next().await {
    ///     println!("{message:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The address, or a topic of the will, is not valid.
    pub fn new(options: impl IntoOptions) -> Result<(Self, Run), Error> {
        let mut options = options.into_options()?;
        if let Some(will) = &options.will {
            will.check()?;
        }
        let store = options.store.open()?;
        let shared = Shared::new(&options);
        if let Some(store) = store {
            shared.restore(store, &mut options)?;
        }
        let (sender, status) = watch::channel(Status::Connecting { server: options.server.clone(), attempt: 0 });
        let client = Self {
            shared: Arc::clone(&shared),
            status,
            stream_options: options.stream,
            keep_session: options.keep_session,
            alive: Arc::new(Alive(Arc::clone(&shared))),
        };
        Ok((client, Run(Box::pin(Box::new(Driver::new(shared, options, sender)).run()))))
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

    /// Publishes a value as JSON; see [`publish`](Self::publish). What the payload is, the receiver is told by
    /// [`content_type`](Publish::content_type) only, which 3.1.1 does not know.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client) -> Result<(), mqtt_std::Error> {
    /// client.publish_json("cellar/temperature", &[17.5, 18.0])?.content_type("application/json").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Json`]: the value cannot be told in JSON.
    #[cfg(feature = "serde")]
    pub fn publish_json<'a>(
        &'a self,
        topic: impl Into<Cow<'a, str>>,
        value: &(impl serde::Serialize + ?Sized),
    ) -> Result<Publish<'a>, Error> {
        let payload = serde_json::to_vec(value).map_err(Error::Json)?;
        Ok(self.publish(topic, payload))
    }

    /// Subscribes to a filter: `.await` waits for the broker's answer, [`Subscribe::send`] until it is asked. More filters for
    /// the same stream, and options, come in between: see [`Subscribe`].
    ///
    /// A filter is one subscription at the broker, however many streams have it: each gets all its messages, the QoS is
    /// the highest that one of them asked for, and other options are those of the latest.
    /// `$share/{group}/{filter}` shares the messages with the other members of the group.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client) -> Result<(), mqtt_std::Error> {
    /// use mqtt_std::QoS;
    ///
    /// let mut lamps = client.subscribe("cellar/+/status", QoS::AtLeastOnce).await?;
    /// while let Some(message) = lamps.next().await {
    ///     println!("{}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the future: a filter is not valid; the broker's limits do not allow it; the broker refuses one of them
    /// ([`Error::Rejected`]; the others are undone); the client is closed.
    pub fn subscribe<'a>(&'a self, filter: impl Into<Cow<'a, str>>, qos: QoS) -> Subscribe<'a> {
        Subscribe::to(self, filter.into(), qos)
    }

    /// Ends a subscription at the broker: `.await` waits for its answer. It is one that a kept session has of an earlier run of the
    /// program, and no stream is there for. That of a stream is ended by the stream, [`Subscription::unsubscribe`]; this leaves it
    /// without messages.
    ///
    /// # Errors
    /// Those of the future: the filter is not valid; the broker refuses ([`Error::Rejected`]); in 3.1.1 there are User Properties
    /// ([`Error::NotDelivered`]); the client is closed.
    pub fn unsubscribe<'a>(&'a self, filter: impl Into<Cow<'a, str>>) -> Unsubscribe<'a> {
        Unsubscribe::new(self, filter.into())
    }

    /// A stream of the messages that match a filter and come anyway: because a session that was kept has the
    /// subscription, another stream does, or the broker decides so. Nothing is asked of the broker, and dropping it
    /// unsubscribes nothing.
    ///
    /// What a SUBSCRIBE would say does nothing here: the QoS of [`and`](Subscribe::and), [`no_local`](Subscribe::no_local),
    /// [`retain_as_published`](Subscribe::retain_as_published), [`retain_handling`](Subscribe::retain_handling),
    /// [`subscription_identifier`](Subscribe::subscription_identifier) and [`user_property`](Subscribe::user_property). Nothing is
    /// [granted](Subscription::granted) either.
    ///
    /// # Errors
    /// Those of the future: the filter is not valid; the client is closed.
    pub fn listen<'a>(&'a self, filter: impl Into<Cow<'a, str>>) -> Subscribe<'a> {
        Subscribe::listen(self, filter.into())
    }

    /// A stream of the messages that match no other stream; without one they are counted and gone. Of a kept session no message
    /// waits for its stream then: let the others be there first. What does nothing with [`listen`](Self::listen) does nothing
    /// here either, nor does [`and`](Subscribe::and).
    ///
    /// # Errors
    /// Those of the future: the client is closed.
    pub const fn listen_unmatched(&self) -> Subscribe<'_> {
        Subscribe::listen_unmatched(self)
    }

    /// A stream of its own for a subscription.
    pub(crate) fn subscription(&self, queue: &Arc<Queue>) -> Subscription {
        let (shared, queue, alive) = (Arc::clone(&self.shared), Arc::clone(queue), Arc::clone(&self.alive));
        Subscription::new(shared, queue, self.keep_session, alive)
    }

    /// The Client Identifier, perhaps the one that the broker assigned, and the Response Information that it gave.
    pub(crate) fn identity(&self) -> (String, Option<String>) {
        let state = self.shared.lock();
        let identifier = state.machine.session().storage().client_identifier().to_owned();
        (identifier, state.response_information.as_deref().map(str::to_owned))
    }

    pub(crate) const fn keeps_session(&self) -> bool {
        self.keep_session
    }

    /// Whether messages have properties, on this connection or as far as is known.
    pub(crate) fn speaks_v5(&self) -> bool {
        self.shared.lock().machine.connection().version().is_v5()
    }

    pub(crate) const fn stream_options(&self) -> StreamOptions {
        self.stream_options
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Authenticates anew over the connection there is (5.0 §4.12.1), with the
    /// [authenticator](crate::Options::authenticator): credentials that expire are renewed so. Waits for the server's answer.
    ///
    /// Dropped half-way, it goes on all the same. One that is under way answers those who ask in the meantime.
    ///
    /// # Errors
    /// `Usage(NotConnected)`; `Usage(NoAuthentication)` without an authenticator; [`Error::Authentication`], after which the
    /// connection is ended; [`Error::ConnectionLost`] if it ends in the meantime, as it does when the server refuses.
    pub async fn reauthenticate(&self) -> Result<(), Error> {
        let answer = self.shared.command(|state, _| {
            if state.closed {
                return Err(Error::Closed);
            }
            if !state.machine.is_connected() {
                return Err(Error::Usage(UsageError::NotConnected));
            }
            let (sender, receiver) = oneshot::channel();
            state.reauthentications.push(sender);
            Ok(receiver)
        })?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// The state of the connection, to be watched.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.lock().statistics()
    }

    /// What the client has from its [store](crate::store), and how much of it is still under way.
    #[must_use]
    pub fn restored(&self) -> Restored {
        self.shared.lock().restored()
    }

    /// What the client has done, for the recorder of the crate `metrics`, under this name; see [`metrics`](crate::metrics).
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(&self, name: impl Into<::metrics::SharedString>) -> crate::metrics::Metrics {
        crate::metrics::Metrics::new(Arc::clone(&self.shared), self.status.clone(), name.into())
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
        self.shared.store_ended().await;
        Ok(Shutdown { undelivered: self.shared.lock().undelivered_at_end })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// Runs a client, see [`Client::new`]. Ends with the client: with the reason if it has given up.
///
/// It must run on a tokio runtime. Dropped, it ends the client: all that waits resolves at once, and the broker publishes the
/// Will.
#[must_use = "without it nothing happens"]
pub struct Run(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl Future for Run {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// How a client ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// Messages that were accepted and have no acknowledgement, or were still waiting at QoS 0. Their receipts say which. With a
    /// [store](crate::store) those of QoS 1 and 2 go on with the next client, and their receipts say [`Error::Closed`].
    pub undelivered: usize,
}
