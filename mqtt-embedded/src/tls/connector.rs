//! TLS over TCP, as a transport.

use core::fmt;

use embedded_io_async::{Read, Write};
use embedded_nal_async::{Dns, TcpConnect};
use embedded_tls::{Aes128GcmSha256, CryptoRngCore, FlushPolicy, TlsConfig, TlsConnection, TlsContext, TlsError};

use super::provider::Provider;
use super::records::Records;
use super::verifier::Verifier;
use super::{TlsOptions, Trust};
use crate::transport::{Connect, Half, Open, Shared, TcpConnector, TcpError, Transport};

/// Connects over TCP and TLS.
///
/// `receive` holds a record of the server's: 16,640 bytes are always enough, 1 KiB is with a pre-shared key and small packets.
/// `transmit` holds a handshake message or a record of this side's: 1 KiB without, 2 KiB with a client certificate.
pub struct TlsConnector<'a, S, D, R> {
    tcp: TcpConnector<'a, S, D>,
    options: TlsOptions<'a>,
    receive: &'a mut [u8],
    transmit: &'a mut [u8],
    random: R,
}

impl<'a, S: TcpConnect, D: Dns, R: CryptoRngCore> TlsConnector<'a, S, D, R> {
    /// Over these connections, with these buffers and this source of randomness.
    pub const fn new(
        tcp: TcpConnector<'a, S, D>,
        options: TlsOptions<'a>,
        receive: &'a mut [u8],
        transmit: &'a mut [u8],
        random: R,
    ) -> Self {
        Self { tcp, options, receive, transmit, random }
    }
}

impl<S, D, R> fmt::Debug for TlsConnector<'_, S, D, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S: TcpConnect, D: Dns, R: CryptoRngCore> Connect for TlsConnector<'_, S, D, R> {
    type Error = TcpError<S::Error, D::Error>;
    type Dialled<'c>
        = TlsDialled<'c, S::Connection<'c>, R>
    where
        Self: 'c;

    async fn connect(&mut self) -> Result<Self::Dialled<'_>, Self::Error> {
        let socket = Shared::new(self.tcp.dial().await?);
        let name = self.options.server_name.unwrap_or(self.tcp.host());
        let (options, random) = (self.options, &mut self.random);
        Ok(TlsDialled { socket, name, options, receive: self.receive, transmit: self.transmit, random })
    }
}

/// A TCP connection before the handshake.
pub struct TlsDialled<'c, T, R> {
    socket: Shared<T>,
    name: &'c str,
    options: TlsOptions<'c>,
    receive: &'c mut [u8],
    transmit: &'c mut [u8],
    random: &'c mut R,
}

impl<T, R> fmt::Debug for TlsDialled<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialled").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: Read + Write, R: CryptoRngCore> Open for TlsDialled<'_, T, R> {
    type Error = TlsError;
    type Transport<'a>
        = TlsTransport<'a, T>
    where
        Self: 'a;

    async fn open(&mut self) -> Result<TlsTransport<'_, T>, TlsError> {
        let mut connection = TlsConnection::new(Records::new(self.socket.half()), self.receive, self.transmit);
        // A flush of the transport would wait for the other side's TCP.
        connection.set_flush_policy(FlushPolicy::Relaxed);
        let mut config = TlsConfig::new().with_server_name(self.name);
        let verifier = match self.options.trust {
            Trust::Ca { certificate, now } => Some(Verifier::new(certificate, self.name, now())),
            Trust::Psk { identity, key } => {
                config = config.with_psk(key, &[identity]);
                None
            }
        };
        let mut provider = Provider { random: &mut *self.random, verifier, client: self.options.client };
        connection.open(TlsContext::new(&config, &mut provider)).await?;
        // It is also open to a server that sent no certificate.
        if provider.verifier.is_some_and(|verifier| !verifier.is_satisfied()) {
            return Err(TlsError::InvalidCertificate);
        }
        Ok(TlsTransport { connection, socket: self.socket.half() })
    }
}

/// A connection whose server has proved who it is.
pub struct TlsTransport<'a, T: Read + Write> {
    connection: TlsConnection<'a, Records<'a, T>, Aes128GcmSha256>,
    socket: Half<'a, T>,
}

/// The half of it that is read. A pending read must not be dropped.
pub type TlsReader<'a, 'c, T> = embedded_tls::TlsReader<'a, Records<'c, T>, Aes128GcmSha256>;

/// The half of it that is written.
pub type TlsWriter<'a, 'c, T> = embedded_tls::TlsWriter<'a, Records<'c, T>, Aes128GcmSha256>;

impl<T: Read + Write> fmt::Debug for TlsTransport<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl<'c, T: Read + Write> Transport for TlsTransport<'c, T> {
    type Error = TlsError;
    type Reader<'a>
        = TlsReader<'a, 'c, T>
    where
        Self: 'a;
    type Writer<'a>
        = TlsWriter<'a, 'c, T>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        self.connection.split()
    }

    async fn close(&mut self) {
        self.socket.close().await;
    }
}
