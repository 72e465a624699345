//! How the broker is reached.

use core::time::Duration;
use std::sync::Arc;

use super::Options;
use crate::transport::Connector;

impl Options {
    /// Lets the system look after a TCP connection that is silent for so long, in whole seconds; default: it does not, since
    /// MQTT has a Keep Alive of its own.
    #[must_use]
    pub const fn tcp_keep_alive(mut self, silence: Duration) -> Self {
        self.dial.tcp_keep_alive = Some(silence);
        self
    }

    /// Sets what makes the socket; default: TCP or a Unix socket. TLS and WebSocket come on top where the address asks for them.
    /// See [`Connector`] for an example.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.dial.connector = Some(Arc::new(connector));
        self
    }
}
