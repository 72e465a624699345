//! How the broker is reached.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use super::Options;
use crate::transport::Connector;
#[cfg(feature = "proxy")]
use crate::transport::Proxy;
#[cfg(feature = "tls-psk")]
use crate::transport::Psk;
#[cfg(feature = "tls")]
use crate::transport::Tls;

impl Options {
    /// Lets the system look after a TCP connection that is silent for so long, in whole seconds; default: it does not, since
    /// MQTT has a Keep Alive of its own.
    #[must_use]
    pub const fn tcp_keep_alive(mut self, silence: Duration) -> Self {
        self.dial.tcp.keep_alive = Some(silence);
        self
    }

    /// Sets the address of this machine that TCP connections come from, also those to a proxy; default: the system's choice. Only
    /// addresses of the broker of the same family are tried.
    #[must_use]
    pub const fn local_address(mut self, address: IpAddr) -> Self {
        self.dial.tcp.local_address = Some(address);
        self
    }

    /// Sets what makes the socket; default: TCP or a Unix socket. TLS and WebSocket come on top where the address asks for them.
    /// See [`Connector`] for an example.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.dial.connector = Some(Arc::new(connector));
        self
    }

    /// Sets how the server is verified and how the client shows who it is, where the address asks for TLS; default: [`Tls::new`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.dial.tls = tls;
        #[cfg(feature = "tls-psk")]
        {
            self.dial.psk = None;
        }
        self
    }

    /// Sets a pre-shared key to be used in place of certificates, where the address asks for TLS; default: none.
    #[cfg(feature = "tls-psk")]
    #[must_use]
    pub fn psk(mut self, psk: Psk) -> Self {
        self.dial.psk = Some(psk);
        self
    }

    /// Sets a proxy through which the broker is reached; default: none. A Unix socket needs none, and has none.
    #[cfg(feature = "proxy")]
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.dial.proxy = Some(proxy);
        self
    }

    /// Adds a header field to the request that opens a WebSocket, for instance `Authorization`. One that is not valid, or that a
    /// WebSocket sets itself, is found at the attempt to connect:
    /// [`TransportFault::Settings`](crate::transport::TransportFault::Settings).
    ///
    /// ```no_run
    /// use mqtt_std::Options;
    ///
    /// let options: Options = "ws://broker.example/mqtt".parse()?;
    /// let options = options.websocket_header("Authorization", "Bearer 4f2e");
    /// # Ok::<(), mqtt_std::Error>(())
    /// ```
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.dial.headers.push(name.into(), value.into());
        self
    }
}
