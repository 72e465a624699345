//! What is done about failures: other servers, other credentials, bounds.

use core::time::Duration;
use std::sync::Arc;

use super::{CredentialsProvider, Options, Redirects};
use crate::authentication::Authenticator;
use crate::store::StoreChoice;
use crate::transport::Server;

impl Options {
    /// Adds a server of the same broker, tried when those before it fail; default: none.
    ///
    /// They are tried in their order, one directly after the other. When all have failed, the delay of
    /// [`backoff`](Self::backoff) comes, then the first one again. After a connection that was stable the first one is tried
    /// first; the client does not leave a good connection for it.
    ///
    /// ```
    /// use mqtt_std::Options;
    ///
    /// let options: Options = "mqtt://alice:secret@one.example".parse()?;
    /// let options = options.and_server("mqtt://two.example:1884".parse()?);
    /// # Ok::<(), mqtt_std::Error>(())
    /// ```
    #[must_use]
    pub fn and_server(mut self, server: Server) -> Self {
        self.other_servers.push(server);
        self
    }

    /// Sets whether to go where a server sends the client (5.0); default: [`Redirects::NONE`].
    #[must_use]
    pub const fn follow_redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sets who is asked for user name and password, before each attempt to connect; default: nobody, and those of
    /// [`user_name`](Self::user_name) and [`password`](Self::password) hold. It has
    /// [`connect_timeout`](Self::connect_timeout) to answer.
    ///
    /// With it credentials that the broker refuses do not end the client: it is asked anew, after a delay. See
    /// [`CredentialsProvider`] for an example.
    #[must_use]
    pub fn credentials(mut self, provider: impl CredentialsProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Sets the method of enhanced authentication (5.0); default: none. See [`Authenticator`] for an example. 3.1.1 has no such
    /// thing, and is not fallen back to.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator + 'static) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Sets for how long the broker may take nothing of what waits to be sent; default: 30 s, at least 1 ms. Then the connection is
    /// dead, whatever else it does: [`Cause::WriteTimeout`](crate::Cause::WriteTimeout). It counts from the last byte that
    /// was taken, so a slow link is none the worse.
    #[must_use]
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = if timeout.is_zero() { Duration::from_millis(1) } else { timeout };
        self
    }

    /// Ends the client when another one with the same Client Identifier takes its place, if it is told so (5.0) or that happens
    /// again and again (3.1.1); default: it comes back, after delays that grow. See
    /// [`Cause::TakenOver`](crate::Cause::TakenOver).
    #[must_use]
    pub const fn stop_when_taken_over(mut self) -> Self {
        self.stop_when_taken_over = true;
        self
    }

    /// Sets how many connections the broker may end with the same message, or subscription, unanswered, before that is suspected to be
    /// the reason; default: 5, and 0 with a [store](Self::store), whose messages may have nobody who is told; 0: nothing is
    /// suspected.
    ///
    /// Then what is unanswered is sent one at a time, once a PINGRESP has shown that the connection lives without it. That with which
    /// two connections die so is given up: [`Outcome::GivenUp`](crate::Outcome::GivenUp); all else goes on.
    #[must_use]
    pub const fn suspect_after(mut self, connections: u8) -> Self {
        self.suspect_after = Some(connections);
        self
    }

    pub(crate) fn suspicion(&self) -> u8 {
        let default = if matches!(self.store, StoreChoice::None) { 5 } else { 0 };
        self.suspect_after.unwrap_or(default)
    }
}
