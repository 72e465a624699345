//! TLS with a pre-shared key, by OpenSSL.

use core::fmt;
use core::pin::Pin;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use tokio_openssl::SslStream;

use super::{Stream, TransportError, TransportFault};

/// A key that the client and the server know, and its name: TLS 1.2 and 1.3 without certificates, for `mqtts://` and `wss://`.
///
/// ```no_run
/// use mqtt_std::Options;
/// use mqtt_std::transport::Psk;
///
/// let options: Options = "mqtts://broker.example".parse()?;
/// let options = options.psk(Psk::new("pump-7", [0x1f, 0x2e, 0x3d, 0x4c]));
/// # Ok::<(), mqtt_std::Error>(())
/// ```
///
/// In 1.2 a key exchange that keeps old recordings secret (ECDHE or DHE) is preferred. A server that shows a certificate instead is
/// refused.
#[derive(Clone)]
pub struct Psk {
    identity: String,
    key: Vec<u8>,
}

impl Psk {
    /// An identity of 1 to 128 bytes, none of them 0, and a key of 1 to 256 bytes. Others are found at the attempt to connect, which
    /// fails with [`TransportFault::Settings`].
    #[must_use]
    pub fn new(identity: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        Self { identity: identity.into(), key: key.into() }
    }

    /// Puts TLS on a stream. May be dropped at any time.
    pub(super) async fn connect(&self, stream: Box<dyn Stream>) -> Result<SslStream<Box<dyn Stream>>, TransportError> {
        if !(1..=MAXIMUM_IDENTITY).contains(&self.identity.len()) || self.identity.contains('\0') {
            return Err(TransportError::new(
                TransportFault::Settings,
                "a PSK identity has 1 to 128 bytes, none of them 0",
            ));
        }
        if !(1..=MAXIMUM_KEY).contains(&self.key.len()) {
            return Err(TransportError::new(TransportFault::Settings, "a pre-shared key has 1 to 256 bytes"));
        }
        let ssl = self.context().and_then(|context| Ssl::new(&context));
        let ssl = ssl.map_err(|error| TransportError::new(TransportFault::Settings, error))?;
        let settings = |error| TransportError::new(TransportFault::Settings, error);
        let mut stream = SslStream::new(ssl, stream).map_err(settings)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(failure(error)),
        }
    }

    fn context(&self) -> Result<SslContext, ErrorStack> {
        let mut builder: SslContextBuilder = SslContext::builder(SslMethod::tls_client())?;
        // Nobody is trusted: a certificate is no way around the key.
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_cipher_list("kECDHEPSK:kDHEPSK:kPSK:!eNULL:!RC4:!3DES")?;
        let (identity, key) = (self.identity.clone(), self.key.clone());
        builder.set_psk_client_callback(move |_, _, identity_out, key_out| {
            // Both places are full of zeros, and that of the identity has one more than it tells.
            match (identity_out.get_mut(..identity.len()), key_out.get_mut(..key.len())) {
                (Some(identity_place), Some(key_place)) => {
                    identity_place.copy_from_slice(identity.as_bytes());
                    key_place.copy_from_slice(&key);
                    Ok(key.len())
                }
                _ => Ok(0),
            }
        });
        Ok(builder.build())
    }
}

fn failure(error: openssl::ssl::Error) -> TransportError {
    let fault = match error.ssl_error().and_then(|stack| stack.errors().first()).map(openssl::error::Error::reason_code)
    {
        Some(reason) if REFUSALS.iter().any(|alert| reason == ALERT + alert) => TransportFault::PskRefused,
        _ => TransportFault::Tls,
    };
    match error.into_io_error() {
        Ok(error) => error.into(),
        Err(error) => TransportError::new(fault, error),
    }
}

/// OpenSSL's `SSL_AD_REASON_OFFSET`: alerts of the server are reasons from here on.
const ALERT: i32 = 1_000;

/// How servers say that they do not know the identity or that the key is another one: `bad_record_mac`, `handshake_failure`,
/// `illegal_parameter`, `decrypt_error`, `unknown_psk_identity`.
const REFUSALS: [i32; 5] = [20, 40, 47, 51, 115];

/// OpenSSL's `PSK_MAX_IDENTITY_LEN` of old.
const MAXIMUM_IDENTITY: usize = 128;

/// OpenSSL's `PSK_MAX_PSK_LEN` of old.
const MAXIMUM_KEY: usize = 256;

impl fmt::Debug for Psk {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Psk").field("identity", &self.identity).finish_non_exhaustive()
    }
}
