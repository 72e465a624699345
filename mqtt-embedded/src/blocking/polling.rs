//! What is asked instead of waited for.

use core::fmt;
use core::future::{Future, poll_fn};
use core::task::Poll;

use embedded_io_async::{ErrorType, ReadReady};
use mqtt_core::Instant;

use crate::clock::Clock;
use crate::transport::{Connect, Shared};

/// A transport of `embedded-io` that is asked whether there is something to read. Its `write` and `flush` may block, and with them
/// everything does.
#[derive(Debug)]
pub struct Polling<T>(T);

impl<T> Polling<T> {
    /// The transport, to be used where [`Client`](super::Client) polls: it wakes nobody.
    pub const fn new(transport: T) -> Self {
        Self(transport)
    }
}

impl<T: ErrorType> ErrorType for Polling<T> {
    type Error = T::Error;
}

impl<T: embedded_io::Read + ReadReady> embedded_io_async::Read for Polling<T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        poll_fn(|_| match self.0.read_ready() {
            Ok(true) => Poll::Ready(self.0.read(buf)),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        })
        .await
    }
}

impl<T: embedded_io::Write> embedded_io_async::Write for Polling<T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        self.0.write(buf)
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        self.0.flush()
    }
}

/// Makes transports by a function, which may block.
pub struct Connector<F>(F);

impl<F> Connector<F> {
    /// The function is called for each connection.
    pub const fn new(dial: F) -> Self {
        Self(dial)
    }
}

impl<T, E, F> Connect for Connector<F>
where
    T: embedded_io::Read + embedded_io::Write + ReadReady,
    E: fmt::Debug,
    F: FnMut() -> Result<T, E>,
{
    type Error = E;
    type Dialled<'a>
        = Shared<Polling<T>>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<Shared<Polling<T>>, E> {
        Ok(Shared::new(Polling((self.0)()?)))
    }
}

impl<F> fmt::Debug for Connector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// A clock that is asked for the milliseconds since some time that does not change.
#[derive(Clone, Copy)]
pub struct PolledClock<F>(F);

impl<F: Fn() -> u64> PolledClock<F> {
    /// The function's numbers never go back.
    pub const fn new(milliseconds: F) -> Self {
        Self(milliseconds)
    }
}

impl<F: Fn() -> u64> Clock for PolledClock<F> {
    fn now(&self) -> Instant {
        Instant::from_millis((self.0)())
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| if self.now() >= at { Poll::Ready(()) } else { Poll::Pending })
    }
}

impl<F> fmt::Debug for PolledClock<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledClock").finish_non_exhaustive()
    }
}
