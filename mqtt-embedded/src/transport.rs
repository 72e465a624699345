//! Bytes in and out, and how a connection to them is made.

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::Context;
use core::task::Poll;

use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

/// A connection that is read and written at the same time.
///
/// The [`Runner`](crate::Runner) keeps one future of each half alive for as long as the connection, and drops them only together
/// with it: a transport whose pending read must not be dropped is safe here.
pub trait Transport {
    /// What can go wrong.
    type Error: embedded_io_async::Error;
    /// The half that is read.
    type Reader<'a>: Read<Error = Self::Error>
    where
        Self: 'a;
    /// The half that is written.
    type Writer<'a>: Write<Error = Self::Error>
    where
        Self: 'a;

    /// Both halves.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Waits until what was written has left: DISCONNECT is the last of it. Dropped when it takes too long.
    fn close(&mut self) -> impl Future<Output = ()>;
}

/// Makes connections; the library calls it again after each one that is lost.
pub trait Connect {
    /// What can go wrong.
    type Error: fmt::Debug;
    /// A connection, before what there is to say on it first.
    type Dialled<'a>: Open
    where
        Self: 'a;

    /// Makes one. Dropped when it takes too long.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Dialled<'_>, Self::Error>>;
}

/// A connection that has been made, and is to be opened: where there is TLS, its handshake is here.
pub trait Open {
    /// What can go wrong.
    type Error: fmt::Debug;
    /// The connection, ready for MQTT.
    type Transport<'a>: Transport
    where
        Self: 'a;

    /// Opens it. Dropped when it takes too long, together with the connection.
    fn open(&mut self) -> impl Future<Output = Result<Self::Transport<'_>, Self::Error>>;
}

/// A transport without halves of its own, whose `read`, `write` and `flush` **may be dropped while they wait** without a loss, as
/// those of `embassy-net`'s TCP sockets may. `embedded-tls` does not belong in here.
#[derive(Debug)]
pub struct Shared<T>(RefCell<T>);

impl<T> Shared<T> {
    /// Shares a transport between its reader and its writer.
    #[must_use]
    pub const fn new(transport: T) -> Self {
        Self(RefCell::new(transport))
    }

    pub(crate) const fn half(&self) -> Half<'_, T> {
        Half(&self.0)
    }
}

impl<T: Read + Write> Open for Shared<T> {
    type Error = Infallible;
    type Transport<'a>
        = Half<'a, T>
    where
        T: 'a;

    async fn open(&mut self) -> Result<Half<'_, T>, Infallible> {
        Ok(self.half())
    }
}

impl<T: Read + Write> Transport for Half<'_, T> {
    type Error = T::Error;
    type Reader<'a>
        = Half<'a, T>
    where
        Self: 'a;
    type Writer<'a>
        = Half<'a, T>
    where
        Self: 'a;

    fn split(&mut self) -> (Half<'_, T>, Half<'_, T>) {
        (*self, *self)
    }

    async fn close(&mut self) {
        // However that ends, the transport is closed now.
        let _ = self.flush().await;
    }
}

/// A [`Shared`] transport, or one of its halves.
#[derive(Debug)]
pub struct Half<'a, T>(&'a RefCell<T>);

impl<T> Clone for Half<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Half<'_, T> {}

impl<T> Half<'_, T> {
    /// Polls a future of the transport's that is begun anew each time; the other half is never in the middle of its own.
    fn poll<O>(&self, cx: &mut Context<'_>, poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<O>) -> Poll<O> {
        match self.0.try_borrow_mut() {
            Ok(mut transport) => poll(&mut transport, cx),
            Err(_) => Poll::Pending, // both halves are polled by one task, one after the other
        }
    }
}

impl<T: ErrorType> ErrorType for Half<'_, T> {
    type Error = T::Error;
}

impl<T: Read> Read for Half<'_, T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        poll_fn(|cx| self.poll(cx, |transport, cx| pin!(transport.read(buf)).poll(cx))).await
    }
}

impl<T: Write> Write for Half<'_, T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        poll_fn(|cx| self.poll(cx, |transport, cx| pin!(transport.write(buf)).poll(cx))).await
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        poll_fn(|cx| self.poll(cx, |transport, cx| pin!(transport.flush()).poll(cx))).await
    }
}

/// Connects over TCP, with a stack of `embedded-nal-async`: `embassy-net`'s `TcpClient` is one.
///
/// The name is looked up anew for each attempt. Reads and writes of its connections may be dropped while they wait.
#[derive(Debug)]
pub struct TcpConnector<'a, S, D> {
    stack: &'a S,
    dns: &'a D,
    host: &'a str,
    port: u16,
}

/// Why there is no TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TcpError<T, D> {
    /// The name could not be looked up.
    Dns(D),
    /// The host could not be reached, or refused.
    Tcp(T),
}

impl<'a, S: TcpConnect, D: Dns> TcpConnector<'a, S, D> {
    /// To this host, a name or an address, and this port: 1883 without TLS, mostly.
    #[must_use]
    pub const fn new(stack: &'a S, dns: &'a D, host: &'a str, port: u16) -> Self {
        Self { stack, dns, host, port }
    }
}

impl<S: TcpConnect, D: Dns> Connect for TcpConnector<'_, S, D> {
    type Error = TcpError<S::Error, D::Error>;
    type Dialled<'c>
        = Shared<S::Connection<'c>>
    where
        Self: 'c;

    async fn connect(&mut self) -> Result<Self::Dialled<'_>, Self::Error> {
        Ok(Shared::new(self.dial().await?))
    }
}

impl<S: TcpConnect, D: Dns> TcpConnector<'_, S, D> {
    #[cfg(feature = "tls")]
    pub(crate) const fn host(&self) -> &str {
        self.host
    }

    /// A TCP connection.
    pub(crate) async fn dial(&self) -> Result<S::Connection<'_>, TcpError<S::Error, D::Error>> {
        let address = match self.host.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => self.dns.get_host_by_name(self.host, AddrType::Either).await.map_err(TcpError::Dns)?,
        };
        self.stack.connect(SocketAddr::new(address, self.port)).await.map_err(TcpError::Tcp)
    }
}
