//! What a call gets that comes from within another one.

use core::task::Poll;

use mqtt_core::Instant;

use crate::error::{Error, Failure};
use crate::state::{Statistics, Status, Turn};

/// What is said where the state is in somebody's hands already. Only a waker that calls the client while it is woken gets there: a
/// fault of the executor, at which a device should not stop.
pub(crate) trait Busy {
    fn busy() -> Self;
}

impl Busy for () {
    fn busy() -> Self {}
}

impl Busy for bool {
    fn busy() -> Self {
        false
    }
}

impl<T> Busy for Option<T> {
    fn busy() -> Self {
        None
    }
}

impl<T> Busy for Poll<T> {
    fn busy() -> Self {
        Self::Pending
    }
}

impl<T> Busy for Result<T, Error> {
    fn busy() -> Self {
        Err(Error::WouldWait)
    }
}

impl<T> Busy for Result<T, Failure> {
    fn busy() -> Self {
        Err(Failure::ConnectionLost)
    }
}

impl Busy for Turn {
    fn busy() -> Self {
        Self::Wait
    }
}

impl Busy for Status {
    fn busy() -> Self {
        Self::Connecting
    }
}

impl Busy for Statistics {
    fn busy() -> Self {
        Self::default()
    }
}

impl Busy for Instant {
    fn busy() -> Self {
        Self::from_millis(0)
    }
}
