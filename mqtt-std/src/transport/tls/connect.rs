//! The handshake, and what its errors mean.

use std::io;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::Tls;
use crate::transport::{Stream, TransportError, TransportFault};

impl Tls {
    /// Puts TLS on a stream to this host. May be dropped at any time.
    pub(in crate::transport) async fn connect(
        &self,
        host: &str,
        stream: Box<dyn Stream>,
    ) -> Result<TlsStream<Box<dyn Stream>>, TransportError> {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        // The zone of a link-local address is no part of the name.
        let name = name.split('%').next().unwrap_or(name);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|error| TransportError::new(TransportFault::Settings, format!("server name {name:?}: {error}")))?;
        let this = self.clone();
        let config = tokio::task::spawn_blocking(move || this.load());
        let config = config.await.map_err(|error| TransportError::new(TransportFault::Settings, error))??;
        Ok(TlsConnector::from(config).connect(server_name, stream).await?)
    }
}

/// What kind of fault an error is, if it is one of TLS.
pub(in crate::transport) fn fault(error: &io::Error) -> Option<TransportFault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => TransportFault::CertificateNotTrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TransportFault::CertificateOfOther
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TransportFault::CertificateExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TransportFault::CertificateNotYetValid
            }
            _ => TransportFault::CertificateInvalid,
        },
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => TransportFault::ClientCertificateRequired,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => TransportFault::ClientCertificateRefused,
            _ => TransportFault::Tls,
        },
        _ => TransportFault::Tls,
    })
}
