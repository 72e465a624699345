//! Why there is no transport, or no longer one.

use core::error::Error;
use core::fmt;
use std::io;
use std::sync::Arc;

use mqtt_core::ErrorClass;

/// Why a transport could not be made, or broke.
///
/// It shows the text of what failed, which is its [`source`](Error::source). A [`Connector`](super::Connector) of the
/// application's own can return one inside of an `io::Error`; any other `io::Error` is a [`TransportFault::Io`].
///
/// ```
/// use mqtt_std::transport::{TransportError, TransportFault};
///
/// let error = TransportError::new(TransportFault::Settings, "the radio is switched off");
/// assert_eq!(error.to_string(), "the radio is switched off");
/// let error: std::io::Error = error.into();
/// assert_eq!(TransportError::from(error).fault(), TransportFault::Settings);
/// ```
#[derive(Clone)]
pub struct TransportError(Arc<Inner>);

struct Inner {
    fault: TransportFault,
    kind: io::ErrorKind,
    /// What was tried, before the text of the source.
    context: Option<String>,
    source: Box<dyn Error + Send + Sync>,
}

/// What kind of fault a [`TransportError`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportFault {
    /// The system says so: refused, unreachable, reset and so on. See [`TransportError::kind`].
    Io,
    /// The host's name has no address.
    NameNotResolved,
    /// The options cannot be used: a file of certificates is missing, a header is not valid. Files are read again at each
    /// attempt.
    Settings,
    /// The server's certificate was not issued by anybody who is trusted.
    CertificateNotTrusted,
    /// The server's certificate is for another name.
    CertificateOfOther,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server's certificate is not valid yet: often a clock that is not set.
    CertificateNotYetValid,
    /// The server's certificate is not acceptable for another reason.
    CertificateInvalid,
    /// The server asks for a client certificate, and none was given.
    ClientCertificateRequired,
    /// The server does not accept the client certificate.
    ClientCertificateRefused,
    /// The server does not accept the identity or the pre-shared key.
    PskRefused,
    /// TLS failed otherwise.
    Tls,
    /// The server does not answer a WebSocket's request with 101, but with this status.
    WebSocketRefused(u16),
    /// The server breaks the rules of WebSocket, or those of MQTT over it (5.0 and 3.1.1 §6).
    WebSocket,
    /// The proxy does not accept the user name and the password, or wants some.
    ProxyRefused,
    /// The proxy cannot connect, or breaks its protocol.
    Proxy,
}

impl TransportFault {
    /// Tells whether trying again can mend it, and how soon. What lies in files or at the server can change; options do not.
    ///
    /// A client that was connected before goes on trying, slowly, whatever this says: that the server wants a certificate or does
    /// not know the key, and what a proxy answers, can be said by anybody who is in between.
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Io | Self::NameNotResolved | Self::Proxy | Self::WebSocketRefused(500..) => ErrorClass::Retry,
            Self::Settings
            | Self::CertificateNotTrusted
            | Self::CertificateOfOther
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::CertificateInvalid
            | Self::ClientCertificateRefused
            | Self::Tls
            | Self::WebSocket
            | Self::WebSocketRefused(_) => ErrorClass::RetrySlowly,
            Self::ClientCertificateRequired | Self::PskRefused | Self::ProxyRefused => ErrorClass::Stop,
        }
    }

    const fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::Io => io::ErrorKind::Other,
            Self::NameNotResolved => io::ErrorKind::NotFound,
            Self::Settings => io::ErrorKind::InvalidInput,
            Self::WebSocketRefused(_) | Self::ClientCertificateRequired | Self::ClientCertificateRefused => {
                io::ErrorKind::PermissionDenied
            }
            Self::PskRefused | Self::ProxyRefused => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::InvalidData,
        }
    }
}

impl TransportError {
    /// An error with a text or an error as its source.
    pub fn new(fault: TransportFault, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(Inner { fault, kind: fault.io_kind(), context: None, source: source.into() }))
    }

    /// An error of which this is known: what was tried.
    pub(crate) fn of(fault: TransportFault, context: impl Into<String>, source: io::Error) -> Self {
        let (kind, context) = (source.kind(), Some(context.into()));
        Self(Arc::new(Inner { fault, kind, context, source: source.into() }))
    }

    /// What kind of fault it is.
    #[must_use]
    pub fn fault(&self) -> TransportFault {
        self.0.fault
    }

    /// What the system calls it, as far as it is the system's.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind
    }

    /// Tells whether trying again can mend it, and how soon: see [`TransportFault::class`].
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.fault.class()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.context {
            Some(context) => write!(f, "{context}: {}", self.0.source),
            None => self.0.source.fmt(f),
        }
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportError({:?}, {:?}, {:?})", self.0.fault, self.0.kind, self.to_string())
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.source)
    }
}

/// Equal is what looks equal: fault, kind and text.
impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.fault == other.0.fault && self.0.kind == other.0.kind && self.to_string() == other.to_string())
    }
}

impl Eq for TransportError {}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return inner.clone();
        }
        #[cfg(feature = "tls")]
        let fault = super::tls::fault(&error).unwrap_or(TransportFault::Io);
        #[cfg(not(feature = "tls"))]
        let fault = TransportFault::Io;
        let kind = error.kind();
        Self(Arc::new(Inner { fault, kind, context: None, source: error.into() }))
    }
}

impl From<TransportError> for io::Error {
    fn from(error: TransportError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_the_source_of_the_system_s_error_are_kept() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = TransportError::of(TransportFault::Io, "[::1]:1883", refused());
        assert_eq!(error.to_string(), "[::1]:1883: connection refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
        // On its way through an `io::Error` nothing is lost.
        let again = TransportError::from(io::Error::from(error.clone()));
        assert_eq!(again, error);
        assert_ne!(error, TransportError::from(refused()));
    }

    #[test]
    fn what_options_cannot_mend_is_not_tried_again() {
        for (fault, class) in [
            (TransportFault::Io, ErrorClass::Retry),
            (TransportFault::WebSocketRefused(503), ErrorClass::Retry),
            (TransportFault::WebSocketRefused(404), ErrorClass::RetrySlowly),
            (TransportFault::CertificateExpired, ErrorClass::RetrySlowly),
            (TransportFault::Settings, ErrorClass::RetrySlowly),
            (TransportFault::ClientCertificateRequired, ErrorClass::Stop),
            (TransportFault::ProxyRefused, ErrorClass::Stop),
        ] {
            assert_eq!(TransportError::new(fault, "x").class(), class, "{fault:?}");
        }
    }
}
