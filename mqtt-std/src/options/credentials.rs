//! User name and password, from whoever knows them at the time.

use core::fmt;
use core::pin::Pin;

use bytes::Bytes;
use mqtt_core::ReasonCode;

use crate::transport::Server;

/// User name and password of one attempt to connect, §3.1.3.5 and §3.1.3.6.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Credentials {
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
}

impl Credentials {
    /// Neither.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// This user name, without a password.
    #[must_use]
    pub fn new(user_name: impl Into<String>) -> Self {
        Self { user_name: Some(user_name.into()), password: None }
    }

    /// A password without a user name, such as a token (5.0).
    #[must_use]
    pub fn only_password(password: impl Into<Bytes>) -> Self {
        Self { user_name: None, password: Some(password.into()) }
    }

    /// Sets the password.
    #[must_use]
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user_name", &self.user_name).finish_non_exhaustive()
    }
}

/// For which attempt credentials are wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialsRequest {
    /// The server that is to be connected to.
    pub server: Server,
    /// How many rounds over all servers have failed since the last stable connection.
    pub attempt: u32,
    /// Why the server refused those of the attempt before, or ended the connection that was made with them: Bad User Name or
    /// Password, Not authorized. A token has expired perhaps.
    pub refused: Option<ReasonCode>,
}

/// Why there are no credentials, or authentication failed; its text is part of the [`Cause`](crate::Cause), so it should not have
/// secrets in it.
pub type CredentialsError = Box<dyn core::error::Error + Send + Sync>;

/// Credentials on their way. Dropped when the client is shut down or the time for them is over.
pub type FetchingCredentials<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// Gives the credentials of each attempt to connect; see [`Options::credentials`](crate::Options::credentials).
///
/// Functions are providers:
///
/// ```no_run
/// use mqtt_std::{Credentials, CredentialsRequest, Options};
///
/// # async fn token(_: bool) -> std::io::Result<String> { Ok(String::new()) }
/// let options = Options::new("broker.example", 1883).credentials(|request: CredentialsRequest| async move {
///     // One that the broker refused is not good any more.
///     let token = token(request.refused.is_some()).await?;
///     Ok::<_, std::io::Error>(Credentials::new("pump-7").password(token))
/// });
/// ```
pub trait CredentialsProvider: Send + Sync {
    /// Asks for the credentials of an attempt.
    ///
    /// # Errors
    /// The attempt fails with [`Cause::Credentials`](crate::Cause::Credentials), and another one follows. So does a panic.
    fn credentials(&self, request: CredentialsRequest) -> FetchingCredentials<'_>;
}

impl<F, A, E> CredentialsProvider for F
where
    F: Fn(CredentialsRequest) -> A + Send + Sync,
    A: Future<Output = Result<Credentials, E>> + Send + 'static,
    E: Into<CredentialsError>,
{
    fn credentials(&self, request: CredentialsRequest) -> FetchingCredentials<'_> {
        let credentials = self(request);
        Box::pin(async move { credentials.await.map_err(Into::into) })
    }
}
