//! Certificates and keys from files, bytes and the system, and the configuration that is made of them.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use super::unverified::{AnyName, Unverified};
use super::{Pem, Settings, Tls, TlsVersion};
use crate::transport::{TransportError, TransportFault};

/// What an attempt found.
#[derive(Eq, PartialEq)]
pub(super) struct Loaded {
    authorities: Vec<CertificateDer<'static>>,
    client_certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Tls {
    /// Reads files, which takes a while; makes a new configuration where something has changed, so that sessions are resumed
    /// where nothing has.
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, TransportError> {
        if let Some(config) = &self.settings.config {
            return Ok(Arc::clone(config));
        }
        let loaded = Loaded::read(&self.settings)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cache {
            Some((known, config)) if *known == loaded => Ok(Arc::clone(config)),
            _ => {
                let config = Arc::new(loaded.config(&self.settings)?);
                *cache = Some((loaded, Arc::clone(&config)));
                Ok(config)
            }
        }
    }
}

impl Loaded {
    fn read(settings: &Settings) -> Result<Self, TransportError> {
        let mut authorities = Vec::new();
        for pem in &settings.authorities {
            authorities.extend(certificates(pem)?);
        }
        if !settings.any_certificate && (settings.authorities.is_empty() || settings.system_roots) {
            let system = rustls_native_certs::load_native_certs();
            if system.certs.is_empty() {
                let errors = system.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return Err(wrong(format!("the system has no certificates of authorities: {errors}")));
            }
            authorities.extend(system.certs);
        }
        let client_certificate = match &settings.client_certificate {
            Some((chain, key)) => Some((certificates(chain)?, private_key(key)?)),
            None => None,
        };
        Ok(Self { authorities, client_certificate })
    }

    fn config(&self, settings: &Settings) -> Result<ClientConfig, TransportError> {
        let provider = provider(settings)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = match settings.version {
            None => builder.with_safe_default_protocol_versions(),
            Some(TlsVersion::V1_2) => builder.with_protocol_versions(&[&version::TLS12]),
            Some(TlsVersion::V1_3) => builder.with_protocol_versions(&[&version::TLS13]),
        };
        let builder = builder.map_err(of_rustls)?;
        let builder = if settings.any_certificate {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            let mut roots = RootCertStore::empty();
            // The system may have some that cannot be read; among many that is no harm.
            let (usable, _) = roots.add_parsable_certificates(self.authorities.iter().cloned());
            if usable == 0 {
                return Err(wrong("no certificate of an authority is usable"));
            }
            if settings.any_name {
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    verifier.build().map_err(|error| TransportError::new(TransportFault::Settings, error))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
            } else {
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.client_certificate {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(of_rustls)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        Ok(config)
    }
}

/// The first of: the one given, the process's, a feature's.
fn provider(settings: &Settings) -> Result<Arc<CryptoProvider>, TransportError> {
    let given = settings.provider.clone();
    required(given.or_else(|| CryptoProvider::get_default().cloned()).or_else(built_in))
}

fn required(provider: Option<Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>, TransportError> {
    provider.ok_or_else(|| {
        wrong("no cryptography for TLS: install a default CryptoProvider, or use the feature tls-ring or tls-aws-lc")
    })
}

fn built_in() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "tls-aws-lc")]
    return Some(Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
    return Some(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
    None
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let bytes = contents(pem)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(format!("{pem:?}: there is no certificate in it"))),
        Err(error) => Err(wrong(format!("{pem:?}: {error}"))),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, TransportError> {
    PrivateKeyDer::from_pem_slice(&contents(pem)?).map_err(|error| match error {
        pem::Error::NoItemsFound => wrong(format!("{pem:?}: there is no private key in it, or it is encrypted")),
        error => wrong(format!("{pem:?}: {error}")),
    })
}

fn contents(pem: &Pem) -> Result<Bytes, TransportError> {
    match pem {
        Pem::Bytes(bytes) => Ok(bytes.clone()),
        Pem::File(path) => std::fs::read(path)
            .map(Bytes::from)
            .map_err(|error| TransportError::of(TransportFault::Settings, path.display().to_string(), error)),
    }
}

fn wrong(text: impl Into<String>) -> TransportError {
    TransportError::new(TransportFault::Settings, text.into())
}

fn of_rustls(error: tokio_rustls::rustls::Error) -> TransportError {
    TransportError::new(TransportFault::Settings, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cryptography_it_says_what_to_do() {
        let error = required(None).unwrap_err();
        assert_eq!(error.fault(), TransportFault::Settings);
        assert!(error.to_string().contains("tls-ring"), "{error}");
        let features = cfg!(any(feature = "tls-ring", feature = "tls-aws-lc"));
        assert_eq!(built_in().is_some(), features);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_name() {
        for (tls, words) in [
            (Tls::new().ca_file("/nowhere/ca.pem"), "/nowhere/ca.pem"),
            (Tls::new().ca_pem("no PEM"), "6 bytes: there is no certificate"),
            (Tls::new().ca_pem("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), "bytes: "),
        ] {
            let error = tls.load().map(drop).unwrap_err();
            assert_eq!(error.fault(), TransportFault::Settings);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
