//! TLS 1.3 through `embedded-tls`, so that it cannot be used wrongly.
//!
//! `embedded-tls` 0.19 accepts a server that sends no certificate at all, and its own verifier takes any leaf of the CA for an
//! issuer. Here the certificate is checked by `webpki` (path, usage, name or IP address, dates), and a connection is only handed
//! out once certificate **and** signature were verified, or a pre-shared key proved both sides.
//!
//! It also panics at records that anybody on the path can inject, and loses bytes when a pending read is dropped. The first are
//! refused before it sees them ([`Records`]); the second the [`Runner`](crate::Runner) never does.
//!
//! What remains: a server that has proved who it is can make `embedded-tls` panic, with a message of the handshake that has no
//! place behind it; let a panic reset the device. It knows no `KeyUpdate`: a server that sends one is connected to anew. Keys
//! and chains are ECDSA on P-256 with SHA-256 only. Time is the caller's: dates are as good as it is.
//!
//! ```no_run
//! # use embedded_nal_async::{Dns, TcpConnect};
//! # async fn f(stack: &impl TcpConnect, dns: &impl Dns, random: impl rand_core::CryptoRng + rand_core::RngCore) {
//! use mqtt_embedded::TcpConnector;
//! use mqtt_embedded::tls::{TlsConnector, TlsOptions};
//!
//! # const CA: &[u8] = &[];
//! # fn now() -> u64 { 0 }
//! let (mut receive, mut transmit) = ([0; 16_640], [0; 2_048]);
//! let options = TlsOptions::with_ca(CA, now);
//! let tcp = TcpConnector::new(stack, dns, "broker.example", 8883);
//! let connector = TlsConnector::new(tcp, options, &mut receive, &mut transmit, random);
//! # }
//! ```

mod connector;
mod provider;
mod records;
mod verifier;

pub use connector::{TlsConnector, TlsDialled, TlsReader, TlsTransport, TlsWriter};
pub use embedded_tls::TlsError;
pub use records::Records;

/// Who the server must be, and who this client is.
#[derive(Clone, Copy)]
pub struct TlsOptions<'a> {
    trust: Trust<'a>,
    server_name: Option<&'a str>,
    client: Option<ClientCertificate<'a>>,
}

#[derive(Clone, Copy)]
enum Trust<'a> {
    /// Certificates of this CA, at the time that the function tells.
    Ca { certificate: &'a [u8], now: fn() -> u64 },
    /// Both sides know a key.
    Psk { identity: &'a [u8], key: &'a [u8] },
}

#[derive(Clone, Copy)]
struct ClientCertificate<'a> {
    certificate: &'a [u8],
    key: &'a [u8],
}

impl<'a> TlsOptions<'a> {
    /// The server has a certificate of this CA (DER) for its name. `now` tells the time in seconds since 1970: a device without a
    /// clock can take the time of its build, and accepts what has expired since.
    #[must_use]
    pub const fn with_ca(certificate: &'a [u8], now: fn() -> u64) -> Self {
        Self { trust: Trust::Ca { certificate, now }, server_name: None, client: None }
    }

    /// Server and client know a key, and no certificates are needed: the smallest and fastest way.
    #[must_use]
    pub const fn with_psk(identity: &'a [u8], key: &'a [u8]) -> Self {
        Self { trust: Trust::Psk { identity, key }, server_name: None, client: None }
    }

    /// Sets the name, or the IP address, that the server's certificate must have; default: the host that is connected to.
    #[must_use]
    pub const fn server_name(mut self, name: &'a str) -> Self {
        self.server_name = Some(name);
        self
    }

    /// Sets the client's certificate (DER) and its key (SEC 1, DER), ECDSA on P-256.
    #[must_use]
    pub const fn client_certificate(mut self, certificate: &'a [u8], key: &'a [u8]) -> Self {
        self.client = Some(ClientCertificate { certificate, key });
        self
    }
}

impl core::fmt::Debug for TlsOptions<'_> {
    /// Without the keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TlsOptions").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
