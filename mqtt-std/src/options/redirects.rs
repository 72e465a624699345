//! Whether to go where a server sends the client.

/// Whether to follow a server that names another one (5.0 §4.11): Use another server for the next connection, Server moved from
/// then on.
///
/// Credentials go to no host that the options do not name, unless [`with_credentials`](Self::with_credentials) says so. All else
/// goes wherever the client does: the Client Identifier, the [`Will`](crate::Will) with its topic, payload and properties, then
/// the subscriptions and the messages. Without TLS whoever can change what the server says can have them sent to a host of
/// their choice. A Client Identifier that a server assigns is used with the next one, too: set one.
///
/// ```
/// use mqtt_std::{Options, Redirects};
///
/// let options = Options::new("broker.example", 1883).follow_redirects(Redirects::up_to(3));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Redirects {
    pub(crate) hops: u8,
    pub(crate) with_credentials: bool,
}

impl Redirects {
    /// None is followed: such a refusal is an error like others, and the [`Status`](crate::Status) has the reference.
    pub const NONE: Self = Self { hops: 0, with_credentials: false };

    /// At most so many in a row are followed, and none to a server where the client was before in that row. A row ends with a
    /// connection that was stable.
    ///
    /// The scheme stays: who speaks TLS goes on to do so.
    #[must_use]
    pub const fn up_to(hops: u8) -> Self {
        Self { hops, with_credentials: false }
    }

    /// User name, password, the client's certificate or pre-shared key, enhanced authentication, and of a WebSocket header fields and
    /// the query of the path, go also to hosts that the options do not name; default: they do not.
    #[must_use]
    pub const fn with_credentials(mut self) -> Self {
        self.with_credentials = true;
        self
    }
}
