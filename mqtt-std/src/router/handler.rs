//! What a router calls, and how its end is told.

use core::future::Future;
use core::pin::Pin;

use bytes::Bytes;

use super::Captures;
use crate::client::Client;
use crate::contain::{Contained, Panicked, contain};
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
    let Ok(calling) = contain(|| handler(call)) else { return Ending::Panicked };
    match Contained::new(calling).await {
        Ok(Ok(())) => Ending::Handled,
        Ok(Err(error)) => Ending::Failed(error),
        Err(Panicked) => Ending::Panicked,
    }
}
