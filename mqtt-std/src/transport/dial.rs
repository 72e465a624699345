//! From a server's address to the stream that MQTT runs over: the socket, and what its scheme puts on top.

use core::fmt;
use std::io;
use std::sync::Arc;

use super::{Connector, Scheme, Server, Stream, TransportError, TransportFault, tcp};

/// What options say about transports.
#[derive(Clone, Default)]
pub(crate) struct Dial {
    pub(crate) tcp: tcp::Settings,
    /// Makes the socket in our place.
    pub(crate) connector: Option<Arc<dyn Connector>>,
    #[cfg(feature = "tls")]
    pub(crate) tls: super::Tls,
    /// Comes before certificates.
    #[cfg(feature = "tls-psk")]
    pub(crate) psk: Option<super::Psk>,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<super::Proxy>,
    #[cfg(feature = "websocket")]
    pub(crate) headers: super::websocket::Headers,
}

impl Dial {
    /// The same without what says who the client is: for servers that are not to know.
    pub(crate) fn without_identity(&self) -> Self {
        #[allow(unused_mut)] // without TLS there is nothing of that
        let mut dial = self.clone();
        #[cfg(feature = "tls")]
        dial.tls.forget_identity();
        #[cfg(feature = "tls-psk")]
        {
            dial.psk = None;
        }
        #[cfg(feature = "websocket")]
        {
            dial.headers = super::websocket::Headers::default();
        }
        dial
    }

    /// Connects; may be dropped at any time.
    pub(crate) async fn connect(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        server.scheme.check().map_err(|error| TransportError::new(TransportFault::Settings, error))?;
        let mut stream = self.socket(server).await?;
        if server.scheme.has_tls() {
            stream = self.secure(server, stream).await?;
        }
        #[cfg(feature = "websocket")]
        if server.scheme.is_websocket() {
            stream = Box::new(super::websocket::connect(server, &self.headers, stream).await?);
        }
        Ok(stream)
    }

    #[cfg_attr(not(feature = "tls"), allow(unused_variables, clippy::unused_async))]
    async fn secure(&self, server: &Server, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, TransportError> {
        #[cfg(feature = "tls-psk")]
        if let Some(psk) = &self.psk {
            return Ok(Box::new(psk.connect(stream).await?));
        }
        #[cfg(feature = "tls")]
        return Ok(Box::new(self.tls.connect(&server.host, stream).await?));
        #[cfg(not(feature = "tls"))]
        return Err(TransportError::new(
            TransportFault::Settings,
            "TLS needs a pre-shared key (Options::psk), or the feature `tls` of mqtt-std",
        ));
    }

    async fn socket(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        if let Some(connector) = &self.connector {
            return connector.connect(server).await;
        }
        #[cfg(feature = "proxy")]
        if let Some(proxy) = self.proxy.as_ref().filter(|_| server.scheme != Scheme::Unix) {
            let stream = tcp::connect(proxy.host(), proxy.port(), self.tcp).await?;
            return Ok(proxy.connect(server, stream).await?);
        }
        match server.scheme {
            #[cfg(unix)]
            Scheme::Unix => Ok(Box::new(super::unix::connect(&server.path).await?)),
            #[cfg(not(unix))]
            Scheme::Unix => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(Box::new(tcp::connect(&server.host, server.port, self.tcp).await?)),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tls-psk"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_who_the_client_is() {
        let dial = Dial { psk: Some(crate::transport::Psk::new("pump-7", [7; 16])), ..Dial::default() };
        assert!(dial.without_identity().psk.is_none() && dial.psk.is_some());
    }
}
