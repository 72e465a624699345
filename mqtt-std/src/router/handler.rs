//! What a router calls, and how its end is told.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::Poll;
use std::panic::catch_unwind;

use bytes::Bytes;

use super::Captures;
use crate::client::Client;
use crate::message::Message;

/// An error of a handler: it is logged.
pub type HandlerError = Box<dyn core::error::Error + Send + Sync>;

/// What a handler may return: nothing, or a result of nothing. An error counts and is logged.
pub trait Handled {
    /// The same as a result.
    ///
    /// # Errors
    /// That of the handler.
    fn handled(self) -> Result<(), HandlerError>;
}

impl Handled for () {
    fn handled(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Into<HandlerError>> Handled for Result<(), E> {
    fn handled(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// What a handler of requests may return: the payload of the answer, or a result of it. An error is not answered; it counts
/// and is logged.
pub trait Reply {
    /// The payload.
    ///
    /// # Errors
    /// That of the handler.
    fn reply(self) -> Result<Bytes, HandlerError>;
}

impl<R: Into<Bytes>, E: Into<HandlerError>> Reply for Result<R, E> {
    fn reply(self) -> Result<Bytes, HandlerError> {
        self.map(Into::into).map_err(Into::into)
    }
}

macro_rules! payloads {
    ($($payload:ty),*) => {$(
        impl Reply for $payload {
            fn reply(self) -> Result<Bytes, HandlerError> {
                Ok(self.into())
            }
        }
    )*};
}

payloads!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

/// A message on its way to a handler.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) message: Message,
    pub(super) captures: Captures,
}

pub(super) type Handler = dyn Fn(Call) -> Calling + Send + Sync;

pub(super) type Calling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// How a call of a handler ended.
#[derive(Debug)]
pub(super) enum Ending {
    Handled,
    Failed(HandlerError),
    Panicked,
}

/// Runs a handler to its end. Its panic is its own; where a panic aborts the process there is nothing to contain.
pub(super) async fn contained(handler: &Handler, call: Call) -> Ending {
    // What a handler has half done is its own matter: nothing of ours is changed by one that panics.
    let Ok(mut calling) = catch_unwind(AssertUnwindSafe(|| handler(call))) else { return Ending::Panicked };
    let ending = core::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| calling.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(()))) => Poll::Ready(Ending::Handled),
        Ok(Poll::Ready(Err(error))) => Poll::Ready(Ending::Failed(error)),
        Err(_) => Poll::Ready(Ending::Panicked),
    })
    .await;
    // What it holds may panic too.
    match catch_unwind(AssertUnwindSafe(|| drop(calling))) {
        Ok(()) => ending,
        Err(_) => Ending::Panicked,
    }
}
