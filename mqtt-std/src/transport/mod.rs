//! Ways to a broker: byte streams, and what makes them.
//!
//! A [`Connector`] makes the [`Stream`] to a [`Server`]: a socket, straight or through a proxy. TLS and WebSocket are put on
//! top of it where the server's [`Scheme`] asks for them, and MQTT runs over what comes out. An application that has a way of
//! its own gives [`Options::connector`](crate::Options::connector) a function.

mod connector;
mod dial;
mod error;
mod server;
mod tcp;
#[cfg(unix)]
mod unix;

pub use connector::{Connecting, Connector, Stream};
pub use error::{TransportError, TransportFault};
pub use server::{Scheme, Server};

pub(crate) use dial::Dial;
