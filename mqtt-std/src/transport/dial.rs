//! From a server's address to the stream that MQTT runs over: the socket, and what its scheme puts on top.

use core::fmt;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::{Connector, Scheme, Server, Stream, TransportError, TransportFault, tcp};

/// What options say about transports.
#[derive(Clone, Default)]
pub(crate) struct Dial {
    pub(crate) tcp_keep_alive: Option<Duration>,
    /// Makes the socket in our place.
    pub(crate) connector: Option<Arc<dyn Connector>>,
}

impl Dial {
    /// Connects; may be dropped at any time.
    pub(crate) async fn connect(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        server.scheme.check().map_err(|error| TransportError::new(TransportFault::Settings, error))?;
        if server.scheme.has_tls() || server.scheme.is_websocket() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.socket(server).await
    }

    async fn socket(&self, server: &Server) -> io::Result<Box<dyn Stream>> {
        if let Some(connector) = &self.connector {
            return connector.connect(server).await;
        }
        match server.scheme {
            #[cfg(unix)]
            Scheme::Unix => Ok(Box::new(super::unix::connect(&server.path).await?)),
            #[cfg(not(unix))]
            Scheme::Unix => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(Box::new(tcp::connect(&server.host, server.port, self.tcp_keep_alive).await?)),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}
