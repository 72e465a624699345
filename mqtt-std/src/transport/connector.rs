//! What makes a stream of bytes, and what one is.

use core::pin::Pin;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Server;

/// Bytes in both directions, in order and without loss: all that MQTT asks of a transport (5.0 and 3.1.1 §4.2).
///
/// Whatever can be read, written and sent to another thread is one. Vectored writes are used where there are any; what was
/// written is flushed.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Stream for T {}

/// An attempt to connect: resolves to a stream, or says why there is none. It may be dropped at any time: the
/// [`connect_timeout`](crate::Options::connect_timeout) and a shutdown do.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes streams to servers, one for each attempt to connect.
///
/// Functions are connectors:
///
/// ```no_run
/// use mqtt_std::Options;
/// use mqtt_std::transport::Server;
/// use tokio::net::TcpStream;
///
/// let options = Options::new("broker.example", 1883).connector(|server: Server| async move {
///     // Any way to get there; TLS and WebSocket come on top where the address asks for them.
///     TcpStream::connect((server.host(), server.port())).await
/// });
/// ```
///
/// # Errors
/// An attempt that fails is repeated after the delays of [`Options::backoff`](crate::Options::backoff). A
/// [`TransportError`](super::TransportError) inside of the `io::Error` says what kind of fault it is.
pub trait Connector: Send + Sync {
    /// Begins an attempt to connect to this server.
    fn connect<'a>(&'a self, server: &'a Server) -> Connecting<'a>;
}

impl<F, A, S> Connector for F
where
    F: Fn(Server) -> A + Send + Sync,
    A: Future<Output = io::Result<S>> + Send + 'static,
    S: Stream + 'static,
{
    fn connect<'a>(&'a self, server: &'a Server) -> Connecting<'a> {
        let attempt = self(server.clone());
        Box::pin(async move { Ok(Box::new(attempt.await?) as Box<dyn Stream>) })
    }
}
