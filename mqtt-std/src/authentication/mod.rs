//! Enhanced authentication, §4.12: a conversation of as many steps as its method needs.

#[cfg(feature = "scram")]
mod scram;

#[cfg(feature = "scram")]
pub use scram::ScramSha256;

use core::pin::Pin;

use bytes::Bytes;

use crate::options::CredentialsError;

/// What one side says next, on its way; dropped when the connection is over.
pub type Saying<'a> = Pin<Box<dyn Future<Output = Result<Bytes, CredentialsError>> + Send + 'a>>;

/// Whether the server's last word is good, on its way.
pub type Judging<'a> = Pin<Box<dyn Future<Output = Result<(), CredentialsError>> + Send + 'a>>;

/// A method of enhanced authentication (5.0); see [`Options::authenticator`](crate::Options::authenticator).
///
/// With the feature `scram` there is `ScramSha256`. Kerberos, or a challenge that a device answers, are others:
///
/// ```
/// use bytes::Bytes;
/// use mqtt_std::authentication::{Authenticator, Conversation, Judging, Saying};
///
/// struct Device;
///
/// impl Authenticator for Device {
///     fn method(&self) -> &str {
///         "CHALLENGE"
///     }
///
///     fn begin(&self) -> Box<dyn Conversation> {
///         Box::new(Device)
///     }
/// }
///
/// impl Conversation for Device {
///     fn start(&mut self) -> Saying<'_> {
///         Box::pin(async { Ok(Bytes::from_static(b"device 7")) })
///     }
///
///     fn answer(&mut self, challenge: Bytes) -> Saying<'_> {
///         // Whatever the device makes of it.
///         Box::pin(async move { Ok(challenge.iter().rev().copied().collect()) })
///     }
///
///     fn finish(&mut self, _: Bytes) -> Judging<'_> {
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// let options = mqtt_std::Options::new("broker.example", 1883).authenticator(Device);
/// # let _ = options;
/// ```
///
/// A panic in any of these counts as an error.
pub trait Authenticator: Send + Sync {
    /// The Authentication Method, §3.1.2.11.9: a name that the server knows.
    fn method(&self) -> &str;

    /// Begins anew, for an attempt to connect or a re-authentication.
    fn begin(&self) -> Box<dyn Conversation>;
}

/// One conversation of an [`Authenticator`]. Authentication Data that is empty is left out.
pub trait Conversation: Send {
    /// The Authentication Data of CONNECT, or of the AUTH that begins a re-authentication.
    ///
    /// # Errors
    /// The attempt fails with [`Cause::Authentication`](crate::Cause::Authentication).
    fn start(&mut self) -> Saying<'_>;

    /// The answer to an AUTH of the server, which has this Authentication Data.
    ///
    /// # Errors
    /// The connection ends with [`Cause::Authentication`](crate::Cause::Authentication).
    fn answer(&mut self, data: Bytes) -> Saying<'_>;

    /// The server accepts, with this Authentication Data: in CONNACK, or in the AUTH that ends a re-authentication. Whether the
    /// server is the right one may be in it; nothing is sent to it before this says so.
    ///
    /// # Errors
    /// The connection ends with [`Cause::Authentication`](crate::Cause::Authentication).
    fn finish(&mut self, data: Bytes) -> Judging<'_>;
}
