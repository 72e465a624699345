//! Where to connect to, and how.

mod credentials;
mod policy;
mod queue;
mod redirects;
mod streams;
mod transport;
mod url;
mod will;

pub use credentials::{Credentials, CredentialsError, CredentialsProvider, CredentialsRequest, FetchingCredentials};
pub use queue::Overflow;
pub(crate) use queue::QueueOptions;
pub use redirects::Redirects;
pub(crate) use url::Url;
#[cfg(feature = "proxy")]
pub(crate) use url::{split_address, split_credentials};
pub use will::Will;

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{
    Acknowledge, Backoff, CleanStart, ConnectOptions, Fallback, GeneratedClientIdentifier, Loss, Property,
    ProtocolVersion,
};

use crate::authentication::Authenticator;
use crate::delivery::StreamOptions;
use crate::error::Error;
use crate::payload::Finder;
use crate::store::{Store, StoreChoice};
use crate::transport::{Dial, Server};

/// How a [`Client`](crate::Client) connects and behaves.
///
/// ```
/// use mqtt_std::Options;
///
/// let options: Options = "mqtt://alice:secret@localhost:1884?client_id=pump-7".parse()?;
/// let options = options.keep_alive(30);
/// # Ok::<(), mqtt_std::Error>(())
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) server: Server,
    pub(crate) other_servers: Vec<Server>,
    pub(crate) redirects: Redirects,
    pub(crate) dial: Dial,
    pub(crate) client_identifier: String,
    pub(crate) client_identifier_is_generated: bool,
    pub(crate) version: ProtocolVersion,
    pub(crate) fallback: Fallback,
    pub(crate) keep_alive: u16,
    pub(crate) clean_start: CleanStart,
    pub(crate) keep_session: bool,
    pub(crate) expect_session: bool,
    pub(crate) store: StoreChoice,
    pub(crate) session_expiry_interval: u32,
    pub(crate) will: Option<Will>,
    user_name: Option<String>,
    password: Option<Bytes>,
    pub(crate) provider: Option<Arc<dyn CredentialsProvider>>,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) stop_when_taken_over: bool,
    /// `None`: nothing was said.
    pub(crate) suspect_after: Option<u8>,
    pub(crate) backoff: Backoff,
    pub(crate) in_flight: u16,
    pub(crate) storage: usize,
    pub(crate) queue: QueueOptions,
    pub(crate) stream: StreamOptions,
    pub(crate) first_match: bool,
    pub(crate) stall_timeout: Duration,
    pub(crate) maximum_packet_size: u32,
    pub(crate) topic_aliases: u16,
    request_response_information: bool,
    request_problem_information: bool,
    user_properties: Vec<(String, String)>,
    pub(crate) farewell: Farewell,
    pub(crate) streaming: bool,
    pub(crate) sources: Option<Finder>,
    #[cfg(feature = "tape")]
    pub(crate) tape: Option<crate::tape::Tape>,
}

impl Options {
    /// Options for a broker at this host and port, over TCP.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self::of(Server::tcp(host, port))
    }

    /// Options for this broker.
    #[must_use]
    pub fn of(server: Server) -> Self {
        Self {
            server,
            other_servers: Vec::new(),
            redirects: Redirects::NONE,
            dial: Dial::default(),
            client_identifier: GeneratedClientIdentifier::new(crate::random::bytes()).as_str().to_owned(),
            client_identifier_is_generated: true,
            version: ProtocolVersion::V5_0,
            fallback: Fallback::ON,
            keep_alive: 60,
            clean_start: CleanStart::First,
            keep_session: false,
            expect_session: false,
            store: StoreChoice::None,
            session_expiry_interval: 300,
            will: None,
            user_name: None,
            password: None,
            provider: None,
            authenticator: None,
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            stop_when_taken_over: false,
            suspect_after: None,
            backoff: Backoff::new(),
            in_flight: 1_024,
            storage: 256 << 20,
            queue: queue::DEFAULT,
            stream: streams::DEFAULT,
            first_match: false,
            stall_timeout: Duration::from_secs(30),
            maximum_packet_size: 16 << 20,
            topic_aliases: 32,
            request_response_information: false,
            request_problem_information: true,
            user_properties: Vec::new(),
            farewell: Farewell::default(),
            streaming: false,
            sources: None,
            #[cfg(feature = "tape")]
            tape: None,
        }
    }

    /// Sets the Client Identifier; default: 23 random characters. An empty one lets the broker choose.
    #[must_use]
    pub fn client_identifier(mut self, client_identifier: impl Into<String>) -> Self {
        self.client_identifier = client_identifier.into();
        self.client_identifier_is_generated = false;
        self
    }

    /// Sets the version to ask for; default: 5.0, and 3.1.1 if the broker refuses that. With a version set there is no fallback.
    #[must_use]
    pub const fn version(mut self, version: ProtocolVersion) -> Self {
        self.version = version;
        self.fallback = Fallback::OFF;
        self
    }

    /// Sets when to speak 3.1.1 with a broker that does not speak 5.0; default: [`Fallback::ON`].
    #[must_use]
    pub const fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Sets the Keep Alive in seconds; default: 60; 0: none.
    #[must_use]
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// Sets when a new session is asked for (5.0); default: [`CleanStart::First`].
    #[must_use]
    pub const fn clean_start(mut self, clean_start: CleanStart) -> Self {
        self.clean_start = clean_start;
        self
    }

    /// Sets for how many seconds the broker keeps the session after the connection (5.0); default: 300.
    #[must_use]
    pub const fn session_expiry_interval(mut self, seconds: u32) -> Self {
        self.session_expiry_interval = seconds;
        self
    }

    /// Keeps the session at the broker and resumes it, as `mosquitto_sub -c` does: the first connection too takes up what the
    /// broker has for the Client Identifier. In 3.1.1 this is Clean Session 0; default: no.
    ///
    /// What the broker kept comes right behind the connection. At QoS 1 and 2 it waits for its stream, unacknowledged, for
    /// [`stall_timeout`](Self::stall_timeout) from the first connection on: subscribe by then. What no stream matches is
    /// acknowledged after that, and counted.
    #[must_use]
    pub const fn keep_session(mut self) -> Self {
        self.keep_session = true;
        self.expect_session = true;
        self.clean_start = CleanStart::Never;
        self
    }

    /// Keeps the session in a log file in this directory, so that it outlives the program; default: none. It is
    /// [`store`](Self::store) with a [`FileStore`](crate::store::FileStore) of its own defaults.
    #[must_use]
    pub fn file_store(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = StoreChoice::Directory(directory.into());
        self.keep_session()
    }

    /// Keeps the session in a store, so that it outlives the program, also one that is killed; default: none.
    ///
    /// What is published at QoS 1 and 2 is accepted when it is in the store, and goes on being sent by the next client with
    /// this store; what is read from a [source](crate::Client::publish_from) is found again by [`sources`](Self::sources). A
    /// message at QoS 2 is handed over when it is in the store, and gone from there when it is [acknowledged](crate::Acknowledge), at the
    /// earliest when it is taken from its stream. One that was not comes again first, to the stream that matches,
    /// [redelivered](crate::Message::redelivered) and with its [number](crate::Message::delivery_number). At QoS 1 that is the broker's
    /// affair, as always. A [streamed](crate::Subscribe::streamed) message is not stored: at QoS 2 it counts as received once it was
    /// read and acknowledged, and nothing else arrives before that; until then it comes again as a new one.
    ///
    /// It implies [`keep_session`](Self::keep_session), and needs a Client Identifier of its own or a store that has one. The store
    /// is read when the client is made. It is that client's: another one made from a copy of these options does not get it.
    #[must_use]
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = StoreChoice::given(store);
        self.keep_session()
    }

    /// Sets the message that the broker publishes when the connection dies; default: none.
    #[must_use]
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Sets the user name; default: none.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.user_name = Some(user_name.into());
        self
    }

    /// Sets the password; default: none.
    #[must_use]
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets for how long an attempt to connect may take, with the look-up of the name, TLS, WebSocket and proxies; default: 10 s. CONNACK has 10 s of its own.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets when to try again after a connection is lost.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many publishes at QoS 1 and 2, subscribes and unsubscribes may wait for their outcome, and how many messages
    /// the broker may send unacknowledged (5.0); default: 1,024. Beyond that a subscribe waits, and a publish as
    /// [`overflow`](Self::overflow) says.
    #[must_use]
    pub const fn in_flight(mut self, exchanges: u16) -> Self {
        self.in_flight = if exchanges == 0 { 1 } else { exchanges };
        self
    }

    /// Sets how many bytes of messages at QoS 1 and 2 may wait for their outcome; default: 256 MiB. What happens
    /// beyond that: [`overflow`](Self::overflow). As many bytes of received messages may wait unacknowledged for full streams, and with
    /// a [store](Self::store) at QoS 2 for that; beyond that nothing is read.
    #[must_use]
    pub const fn storage(mut self, bytes: usize) -> Self {
        self.storage = bytes;
        self
    }

    /// Sets the largest packet in bytes that is received; default: 16 MiB. In 5.0 the broker is told; in 3.1.1 a larger
    /// message is skipped, acknowledged and counted.
    #[must_use]
    pub const fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.maximum_packet_size = if bytes < 64 { 64 } else { bytes };
        self
    }

    /// Asks the broker for Response Information (5.0 §3.1.2.11.6), on which [`Client::requests`](crate::Client::requests) bases its
    /// topic for answers; default: no.
    #[must_use]
    pub const fn request_response_information(mut self) -> Self {
        self.request_response_information = true;
        self
    }

    /// Asks the broker to say no more than Reason Codes of what it refuses (5.0 §3.1.2.11.7); default: it may give Reason Strings and
    /// User Properties.
    #[must_use]
    pub const fn without_problem_information(mut self) -> Self {
        self.request_problem_information = false;
        self
    }

    /// Sets how many Topic Aliases the broker may use (5.0 §3.1.2.11.5); default: 32; 0: none.
    #[must_use]
    pub const fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.topic_aliases = aliases;
        self
    }

    /// Adds a User Property of CONNECT (5.0 §3.1.2.11.8), for the broker; the same name may come again. In 3.1.1 it is left out, as
    /// [`Status::Connected`](crate::Status::Connected) says in `loss`. A server that the options do not name is not told.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// Adds a User Property of the DISCONNECT at the client's end (5.0 §3.14.2.2.4), for the broker; the same name may come again.
    #[must_use]
    pub fn disconnect_user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.farewell.user_properties.push((name.into(), value.into()));
        self
    }

    /// Sets for how many seconds from the client's end on the broker keeps the session (5.0 §3.14.2.2.2); default: as long as
    /// [`session_expiry_interval`](Self::session_expiry_interval) says with [`keep_session`](Self::keep_session), and 0 without. Where
    /// that is 0, it stays 0.
    #[must_use]
    pub const fn session_expiry_interval_at_end(mut self, seconds: u32) -> Self {
        self.farewell.session_expiry_interval = Some(seconds);
        self
    }

    pub(crate) fn user_properties(&self) -> impl Iterator<Item = Property<'_>> {
        self.user_properties.iter().map(|(name, value)| Property::UserProperty(name, value))
    }

    /// The options of CONNECT in a version, and what that version cannot say. `will` is lent by
    /// [`Will::properties`].
    pub(crate) fn connect_options<'a>(
        &'a self,
        version: ProtocolVersion,
        will_properties: &'a [Property<'a>],
    ) -> (ConnectOptions<'a>, Loss) {
        let mut options = ConnectOptions::new(&self.client_identifier)
            .clean_start(self.clean_start)
            .session_expiry_interval(self.session_expiry_interval)
            .keep_session(self.keep_session)
            .keep_alive(self.keep_alive)
            .streaming(self.streaming)
            .receive_maximum(self.in_flight)
            .receive_beyond_maximum(u16::MAX)
            .request_response_information(self.request_response_information)
            .request_problem_information(self.request_problem_information)
            // Once the streams have taken them.
            .acknowledge(Acknowledge::ByApplication);
        if !self.streaming {
            options = options.maximum_packet_size(self.maximum_packet_size);
        }
        options.user_name = self.user_name.as_deref();
        options.password = self.password.as_deref();
        options.will = self.will.as_ref().and_then(|will| will.lend(will_properties));
        if version == ProtocolVersion::V5_0 {
            return (options, Loss::default());
        }
        options.send_maximum(SEND_MAXIMUM).for_version(version)
    }
}

/// What the last DISCONNECT says (5.0).
#[derive(Clone, Debug, Default)]
pub(crate) struct Farewell {
    pub(crate) session_expiry_interval: Option<u32>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// How many messages are under way at once in 3.1.1, where a broker cannot say how many it takes: Mosquitto's own default.
/// Version 2.0 acknowledges what is beyond it, and drops it.
const SEND_MAXIMUM: u16 = 20;

impl fmt::Debug for Options {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("server", &self.server)
            .field("client_identifier", &self.client_identifier)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What a client can be made from: an address, or [`Options`].
pub trait IntoOptions {
    /// The options.
    ///
    /// # Errors
    /// The address cannot be understood.
    fn into_options(self) -> Result<Options, Error>;
}

impl IntoOptions for Options {
    fn into_options(self) -> Result<Options, Error> {
        Ok(self)
    }
}

impl IntoOptions for &str {
    fn into_options(self) -> Result<Options, Error> {
        self.parse()
    }
}

impl IntoOptions for String {
    fn into_options(self) -> Result<Options, Error> {
        self.parse()
    }
}
