//! TLS by rustls: whom to trust, who we are, and what is loaded from where.

mod connect;
mod load;
mod unverified;

use core::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, SignatureScheme};

pub(super) use connect::fault;
use load::Loaded;

/// How a server is verified and how the client shows who it is, for `mqtts://` and `wss://`.
///
/// By default the server's certificate must come from an authority that the system trusts and be for the host's name, and the
/// client shows none.
///
/// ```no_run
/// use mqtt_std::Options;
/// use mqtt_std::transport::Tls;
///
/// let options: Options = "mqtts://broker.example".parse()?;
/// let options = options.tls(Tls::new().ca_file("ca.pem").client_certificate_files("client.pem", "client.key"));
/// # Ok::<(), mqtt_std::Error>(())
/// ```
///
/// Files are read at each attempt to connect: a certificate that was renewed is used from the next one on. Where nothing has
/// changed, TLS sessions are resumed. What cannot be read is a [`TransportFault::Settings`](super::TransportFault::Settings), and
/// tried again slowly.
///
/// The cryptography is that of [`provider`](Self::provider), else the process's default one
/// (`rustls::crypto::CryptoProvider::install_default`), else that of the feature `tls-aws-lc` or `tls-ring`. Without any of them
/// each attempt fails and says so.
#[derive(Clone, Default)]
pub struct Tls {
    settings: Settings,
    /// What the latest attempt loaded, and what was made of it.
    cache: Arc<Mutex<Option<Latest>>>,
}

type Latest = (Loaded, Arc<ClientConfig>);

#[derive(Clone, Default)]
struct Settings {
    authorities: Vec<Pem>,
    system_roots: bool,
    client_certificate: Option<(Pem, Pem)>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
    any_certificate: bool,
    any_name: bool,
    version: Option<TlsVersion>,
    provider: Option<Arc<CryptoProvider>>,
    config: Option<Arc<ClientConfig>>,
}

/// Has no certificate to show.
#[derive(Debug)]
struct NoIdentity;

impl ResolvesClientCert for NoIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl Tls {
    /// Leaves out what says who the client is, and what is of one server only.
    pub(crate) fn forget_identity(&mut self) {
        self.cache = Arc::default();
        self.settings.client_certificate = None;
        self.settings.server_name = None;
        if let Some(config) = &mut self.settings.config {
            Arc::make_mut(config).client_auth_cert_resolver = Arc::new(NoIdentity);
        }
    }
}

/// A version of TLS; see [`Tls::version`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Bytes(Bytes),
}

impl Tls {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM file, and no longer those of the system. Several files add up.
    #[must_use]
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        self.with(|settings| settings.authorities.push(Pem::File(path.into())))
    }

    /// As [`ca_file`](Self::ca_file), with the contents of such a file.
    #[must_use]
    pub fn ca_pem(self, pem: impl Into<Bytes>) -> Self {
        self.with(|settings| settings.authorities.push(Pem::Bytes(pem.into())))
    }

    /// Trusts those whom the system trusts too, where there are others; without others it does anyhow.
    #[must_use]
    pub fn and_system_roots(self) -> Self {
        self.with(|settings| settings.system_roots = true)
    }

    /// Shows the server this certificate, which a PEM file holds with those it was issued by, and proves it with the private key
    /// in the other one (PKCS#8, PKCS#1 or SEC1, not encrypted).
    #[must_use]
    pub fn client_certificate_files(self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let pair = (Pem::File(chain.into()), Pem::File(key.into()));
        self.with(|settings| settings.client_certificate = Some(pair))
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), with the contents of such files.
    #[must_use]
    pub fn client_certificate_pem(self, chain: impl Into<Bytes>, key: impl Into<Bytes>) -> Self {
        let pair = (Pem::Bytes(chain.into()), Pem::Bytes(key.into()));
        self.with(|settings| settings.client_certificate = Some(pair))
    }

    /// Offers these protocols (ALPN), the preferred one first; default: none. Brokers that share port 443 ask for `mqtt` or
    /// a name of their own.
    #[must_use]
    pub fn alpn<T: Into<Vec<u8>>>(self, protocols: impl IntoIterator<Item = T>) -> Self {
        self.with(|settings| settings.alpn = protocols.into_iter().map(Into::into).collect())
    }

    /// Sets the name or IP address that the server's certificate must be for, and that the server is asked for (SNI); default: the
    /// host of the address.
    #[must_use]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        self.with(|settings| settings.server_name = Some(name.into()))
    }

    /// **Switches verification off**: whoever is in between can read and change everything, passwords too. For tests; each
    /// connection logs a warning.
    #[must_use]
    pub fn danger_accept_any_certificate(self) -> Self {
        self.with(|settings| settings.any_certificate = true)
    }

    /// **Takes a certificate for another name**, from an authority that is trusted: whoever has one of its certificates can be in
    /// between. For tests; each connection logs a warning.
    #[must_use]
    pub fn danger_accept_any_name(self) -> Self {
        self.with(|settings| settings.any_name = true)
    }

    /// Speaks this version alone; default: 1.3, or 1.2 with a server that does not know it.
    #[must_use]
    pub fn version(self, version: TlsVersion) -> Self {
        self.with(|settings| settings.version = Some(version))
    }

    /// Sets the cryptography.
    #[must_use]
    pub fn provider(self, provider: Arc<CryptoProvider>) -> Self {
        self.with(|settings| settings.provider = Some(provider))
    }

    /// Takes this configuration of rustls as it is; of the other options only [`server_name`](Self::server_name) counts then.
    #[must_use]
    pub fn config(self, config: Arc<ClientConfig>) -> Self {
        self.with(|settings| settings.config = Some(config))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        // A clone may have other settings.
        self.cache = Arc::default();
        self
    }
}

impl fmt::Debug for Tls {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("Tls")
            .field("authorities", &settings.authorities)
            .field("client_certificate", &settings.client_certificate.as_ref().map(|(chain, _)| chain))
            .field("server_name", &settings.server_name)
            .field("any_certificate", &settings.any_certificate)
            .field("any_name", &settings.any_name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}
