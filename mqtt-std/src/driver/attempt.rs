//! One attempt to connect: credentials, transport, CONNECT.

use mqtt_core::{Loss, Property, ReasonCode};
use tokio::time::timeout;

use super::talk::Talk;
use super::{Driver, End};
use crate::contain::{Contained, contain};
use crate::error::ProviderError;
use crate::options::{Credentials, CredentialsRequest};
use crate::status::Cause;
use crate::transport::{Server, Stream, TransportError, TransportFault};

/// A connection about to begin: CONNECT is in the outbox.
pub(super) struct Begun {
    pub(super) transport: Box<dyn Stream>,
    pub(super) loss: Loss,
    pub(super) talk: Option<Box<Talk>>,
}

impl Driver {
    pub(super) async fn attempt(&mut self, server: &Server) -> Result<Begun, End> {
        // What is not for everybody is not for whom the options do not name.
        let trusted = self.servers.is_trusted();
        let credentials = if trusted { self.credentials(server).await? } else { Some(Credentials::none()) };
        let (talk, data) = match self.options.authenticator.clone().filter(|_| trusted) {
            Some(authenticator) => {
                let (talk, data) = self.within(Talk::begin(authenticator), Cause::Authentication).await?;
                (Some(Box::new(talk)), data)
            }
            None => (None, bytes::Bytes::new()),
        };

        let (dial, server) = if trusted {
            (self.options.dial.clone(), server.clone())
        } else {
            (self.options.dial.without_identity(), server.without_query())
        };
        // A connector may be the application's.
        let attempt = timeout(self.options.connect_timeout, Contained::new(Box::pin(dial.connect(&server))));
        let transport = match self.unless_shut_down(attempt).await {
            Some(Ok(Ok(Ok(transport)))) => transport,
            Some(Ok(Ok(Err(error)))) => return Err(End::Failed(Cause::Transport(error.into()))),
            Some(Ok(Err(panicked))) => {
                return Err(End::Failed(Cause::Transport(TransportError::new(TransportFault::Io, panicked))));
            }
            Some(Err(_)) => return Err(End::Failed(Cause::ConnectTimeout)),
            None => return Err(End::Shutdown),
        };
        self.dialled = true;

        let mut properties = talk.as_ref().map_or_else(Vec::new, |talk| talk.properties(&data));
        let user_properties: Vec<_> = self.options.user_properties().filter(|_| trusted).collect();
        let lost = !user_properties.is_empty() && !self.servers.version().is_v5();
        if !lost {
            properties.extend(user_properties);
        }
        let mut loss = self.begin(credentials.as_ref(), &properties).map_err(End::Failed)?;
        loss.properties |= lost;
        Ok(Begun { transport, loss, talk })
    }

    /// Those of the provider; `None`: those of the options.
    async fn credentials(&mut self, server: &Server) -> Result<Option<Credentials>, End> {
        let Some(provider) = self.options.provider.clone() else { return Ok(None) };
        let (attempt, refused) = (self.attempt_number(), self.refused_credentials.take());
        let request = CredentialsRequest { server: server.clone(), attempt, refused };
        let asked = async {
            let fetching = contain(|| provider.credentials(request)).map_err(ProviderError::new)?;
            Contained::new(fetching).await.map_err(ProviderError::new)?.map_err(ProviderError::new)
        };
        self.within(asked, Cause::Credentials).await.map(Some)
    }

    /// Waits for code of the application, at most as long as an attempt may take.
    async fn within<T>(
        &self,
        future: impl Future<Output = Result<T, ProviderError>>,
        cause: impl FnOnce(ProviderError) -> Cause,
    ) -> Result<T, End> {
        match self.unless_shut_down(timeout(self.options.connect_timeout, future)).await {
            Some(Ok(Ok(value))) => Ok(value),
            Some(Ok(Err(error))) => Err(End::Failed(cause(error))),
            Some(Err(_)) => Err(End::Failed(cause(ProviderError::new("no answer in time")))),
            None => Err(End::Shutdown),
        }
    }

    /// Writes CONNECT.
    fn begin(&self, credentials: Option<&Credentials>, properties: &[Property<'_>]) -> Result<Loss, Cause> {
        let will_properties = self.options.will.as_ref().map(crate::options::Will::properties).unwrap_or_default();
        let (mut options, mut loss) = self.options.connect_options(self.servers.version(), &will_properties);
        if let Some(credentials) = credentials {
            options.user_name = credentials.user_name.as_deref();
            options.password = credentials.password.as_deref();
        }
        if !properties.is_empty() {
            // 3.1.1 refuses it by name.
            options.properties = properties;
            loss.properties = false;
        }
        self.shared.command(|state, now| state.connect(now, &options)).map_err(Cause::Usage)?;
        // What it was about to renew takes no room now.
        self.shared.room_was_made();
        Ok(loss)
    }

    /// Remembers why credentials were refused, so that the provider is told; tells whether it can give others.
    pub(super) fn note_refusal(&mut self, reason: ReasonCode) -> bool {
        let of_credentials = matches!(
            reason,
            ReasonCode::BAD_USER_NAME_OR_PASSWORD | ReasonCode::NOT_AUTHORIZED | ReasonCode::BAD_AUTHENTICATION_METHOD
        );
        if of_credentials && self.options.provider.is_some() {
            self.refused_credentials = Some(reason);
            return true;
        }
        false
    }
}
