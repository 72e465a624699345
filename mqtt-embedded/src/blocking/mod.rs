//! The client for firmware without an executor.
//!
//! A [`Client`] has the runner in its hands, and polls it while a call waits: with that the transport is asked, not waited for
//! ([`Polling`]), and so is the clock ([`PolledClock`]). All verbs are those of the asynchronous [`Client`](crate::Client);
//! [`Client::wait`] waits for any of them.
//!
//! ```
//! use core::pin::pin;
//! use mqtt_embedded::{ConnectOptions, Error, Options, QoS, Resources, Runner, Sizes};
//! use mqtt_embedded::blocking::{Client, Connector, PolledClock};
//! use embassy_sync::blocking_mutex::raw::NoopRawMutex;
//! # use embedded_io_async::{ErrorKind, ErrorType, ReadReady};
//! # use rand_core::RngCore;
//! #
//! # fn milliseconds() -> u64 { 0 }
//! # struct Socket;
//! # impl ErrorType for Socket { type Error = ErrorKind; }
//! # impl ReadReady for Socket { fn read_ready(&mut self) -> Result<bool, ErrorKind> { Ok(false) } }
//! # impl embedded_io::Read for Socket { fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> { Ok(0) } }
//! # impl embedded_io::Write for Socket {
//! #     fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> { Ok(buf.len()) }
//! #     fn flush(&mut self) -> Result<(), ErrorKind> { Ok(()) }
//! # }
//! # fn dial() -> Result<Socket, ErrorKind> { Ok(Socket) }
//!
//! fn report(random: &mut impl RngCore) -> Result<(), Error> {
//!     let clock = PolledClock::new(milliseconds as fn() -> u64);
//!     let mqtt = Resources::<NoopRawMutex, _, Sizes<2, 256, 2, 256, 128, 2, 32>>::new(clock);
//!     let (mut receive, mut transmit) = ([0; 256], [0; 256]);
//!     let mut runner = Runner::new(&mqtt, &mut receive, &mut transmit);
//!     let (options, mut connector) = (Options::new(ConnectOptions::new("pump-7")), Connector::new(dial));
//!     let run = pin!(runner.run(&mut connector, &options, random));
//!
//!     let mut client = Client::new(mqtt.client(), run);
//!     client.connect(10_000)?;
//!     let mut commands = client.subscribe("cellar/pump/cmd", QoS::AtLeastOnce, 5_000)?;
//!     client.wait(client.publish("cellar/pump/status", b"on")?.qos(QoS::AtLeastOnce).deliver())??;
//!     let mut buffer = [0; 64];
//!     let command = client.receive(&mut commands, &mut buffer, 60_000)?;
//!     // ... do as `command.payload()` says
//! #   let _ = command;
//!     client.shutdown(1_000);
//!     Ok(())
//! }
//! ```
//!
//! # Between two calls
//!
//! Nothing happens there: nothing is read, no PINGREQ is sent, and nobody reconnects. A Server gives up a client of which it hears nothing
//! for one and a half times the Keep Alive ([MQTT-3.1.2-22](https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html)); a PINGREQ is due
//! after three quarters of it. So spend some time in the client at least every half of Keep Alive: in [`Client::receive`],
//! [`Client::run`] or any other wait. Who does not finds the connection lost, and the next call makes another one; with a session that
//! is kept ([`ConnectOptions`](crate::ConnectOptions)) no message at QoS 1 and 2 is lost with it. With Keep Alive 0 the Server waits for
//! ever, and neither side finds out about a dead link.

mod polling;

use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{Instant, QoS};

use crate::clock::Clock;
use crate::error::{Error, Failure};
use crate::publish::Publish;
use crate::resources::Capacities;
use crate::state::Status;
use crate::subscriber::{Message, Subscriber};

pub use polling::{Connector, PolledClock, Polling};

/// A client whose calls block; see the [module](self).
pub struct Client<'a, 'r, M, C, P: Capacities, R: ?Sized, I = fn()> {
    client: crate::Client<'a, M, C, P>,
    runner: Pin<&'r mut R>,
    /// The runner has ended.
    end: Option<Result<(), Failure>>,
    idle: I,
}

impl<'a, 'r, M, C, P, R> Client<'a, 'r, M, C, P, R>
where
    M: RawMutex,
    C: Clock,
    P: Capacities,
    R: Future<Output = Result<(), Failure>> + ?Sized,
{
    /// A client with the future of its [`Runner`](crate::Runner), of [`run`](crate::Runner::run) or
    /// [`run_durable`](crate::Runner::run_durable).
    #[must_use]
    pub const fn new(client: crate::Client<'a, M, C, P>, runner: Pin<&'r mut R>) -> Self {
        Self { client, runner, end: None, idle: core::hint::spin_loop }
    }
}

impl<'a, 'r, M, C, P, R, I> Client<'a, 'r, M, C, P, R, I>
where
    M: RawMutex,
    C: Clock,
    P: Capacities,
    R: Future<Output = Result<(), Failure>> + ?Sized,
    I: FnMut(),
{
    /// Sets what is done between two looks at everything; default: nothing. It may sleep, until the next tick of a timer for
    /// instance: that is how long what happens meanwhile then waits.
    pub fn idle<J: FnMut()>(self, idle: J) -> Client<'a, 'r, M, C, P, R, J> {
        Client { client: self.client, runner: self.runner, end: self.end, idle }
    }

    /// Waits until there is a connection, for so many milliseconds at most. Attempts go on until then.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Closed`]: it has been given up, [`end`](Self::end) tells why.
    pub fn connect(&mut self, milliseconds: u32) -> Result<(), Error> {
        let client = self.client;
        let done = |status| matches!(status, Status::Connected { .. } | Status::Closed);
        match self.wait_timeout(client.wait_for(done), milliseconds)? {
            Status::Closed => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Prepares a message, for [`wait`](Self::wait): [`Publish::deliver`] or [`Publish::send`].
    ///
    /// # Errors
    /// The topic is no Topic Name.
    pub fn publish<'p>(&self, topic: &'p str, payload: &'p [u8]) -> Result<Publish<'a, 'p, M, C, P>, Error> {
        self.client.publish(topic, payload)
    }

    /// Subscribes, and waits for the Server's answer, for so many milliseconds at most.
    ///
    /// # Errors
    /// As for [`Client::subscribe`](crate::Client::subscribe) and [`Subscriber::granted`]; [`Error::Timeout`]: the subscription
    /// is undone.
    pub fn subscribe(&mut self, filter: &str, qos: QoS, milliseconds: u32) -> Result<Subscriber<'a, M, C, P>, Error> {
        let subscriber = self.client.subscribe(filter, qos)?;
        self.wait_timeout(subscriber.granted(), milliseconds)??;
        Ok(subscriber)
    }

    /// Waits for the next message, for so many milliseconds at most; see [`Subscriber::next`].
    ///
    /// # Errors
    /// As there; [`Error::Timeout`]: there is none, and none is lost; [`Error::Closed`]: no more will come.
    pub fn receive<'b>(
        &mut self,
        subscriber: &mut Subscriber<'a, M, C, P>,
        buffer: &'b mut [u8],
        milliseconds: u32,
    ) -> Result<Message<'b>, Error> {
        self.wait_timeout(subscriber.next(buffer), milliseconds)?.unwrap_or(Err(Error::Closed))
    }

    /// Does what there is to do for so many milliseconds: reads, sends, keeps the connection alive, reconnects.
    pub fn run(&mut self, milliseconds: u32) {
        // The one way out is the time, or the runner's end.
        let _ = self.wait_timeout(core::future::pending::<()>(), milliseconds);
    }

    /// Ends the client: waits at most so many milliseconds until what was accepted is delivered, and says DISCONNECT.
    pub fn shutdown(&mut self, milliseconds: u32) {
        let client = self.client;
        // What is over needs no end.
        let _ = self.wait(client.shutdown(milliseconds));
    }

    /// How the runner ended; `None`: it has not.
    #[must_use]
    pub const fn end(&self) -> Option<Result<(), Failure>> {
        self.end
    }

    /// The asynchronous client that this one is.
    #[must_use]
    pub const fn as_async(&self) -> crate::Client<'a, M, C, P> {
        self.client
    }

    /// Waits for a future.
    ///
    /// # Errors
    /// [`Error::Closed`]: the client has ended, and the future would wait for ever.
    pub fn wait<F: IntoFuture>(&mut self, future: F) -> Result<F::Output, Error> {
        self.wait_until(future.into_future(), None)
    }

    /// As [`wait`](Self::wait), for so many milliseconds at most: then the future is dropped. What that means is said at each.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Closed`].
    pub fn wait_timeout<F: IntoFuture>(&mut self, future: F, milliseconds: u32) -> Result<F::Output, Error> {
        let until = self.now().plus_millis(u64::from(milliseconds));
        self.wait_until(future.into_future(), Some(until))
    }

    fn now(&self) -> Instant {
        self.client.resources.clock.now()
    }

    fn wait_until<F: Future>(&mut self, future: F, until: Option<Instant>) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            // Also what has ended resolves what waits for it, so the future is the last that is asked.
            if self.end.is_none() {
                if let Poll::Ready(end) = self.runner.as_mut().poll(&mut cx) {
                    self.end = Some(end);
                }
            }
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Ok(value);
            }
            if self.end.is_some() {
                return Err(Error::Closed);
            }
            if until.is_some_and(|until| self.now() >= until) {
                return Err(Error::Timeout);
            }
            (self.idle)();
        }
    }
}

impl<M, C, P: Capacities, R: ?Sized, I> fmt::Debug for Client<'_, '_, M, C, P, R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("end", &self.end).finish_non_exhaustive()
    }
}
