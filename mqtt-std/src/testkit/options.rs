//! What the broker allows, and where its bounds are.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use mqtt_core::{ProtocolVersion, QoS};

/// How a [`Broker`](super::Broker) behaves: addresses, bounds, and features that a test wants switched off.
///
/// Every bound has a default, and each setter says what happens at the bound. A broker with all defaults speaks all
/// versions, knows everything that this broker can, and lets everyone in.
///
/// ```
/// use mqtt_core::QoS;
/// use mqtt_std::testkit::BrokerOptions;
///
/// let options = BrokerOptions::new().maximum_qos(QoS::AtLeastOnce).receive_maximum(4);
/// ```
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    pub(super) address: SocketAddr,
    pub(super) v3_1: bool,
    pub(super) v3_1_1: bool,
    pub(super) v5_0: bool,
    pub(super) credentials: Option<(String, Vec<u8>)>,
    pub(super) assign_client_identifiers: bool,
    pub(super) connect_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_sessions: usize,
    pub(super) max_session_expiry_interval: u32,
    pub(super) max_subscriptions: usize,
    pub(super) max_queued_messages: usize,
    pub(super) max_queued_bytes: usize,
    pub(super) max_in_flight: u16,
    pub(super) max_retained_messages: usize,
    pub(super) max_retained_bytes: usize,
    pub(super) max_packet_size: u32,
    pub(super) outgoing_buffer: usize,
    pub(super) receive_maximum: u16,
    pub(super) topic_alias_maximum: u16,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) maximum_qos: QoS,
    pub(super) retain_available: bool,
    pub(super) wildcard_subscription_available: bool,
    pub(super) subscription_identifier_available: bool,
    pub(super) shared_subscription_available: bool,
    pub(super) overlapping: OverlappingSubscriptions,
}

/// What a client gets when several of its subscriptions match one message; MQTT 5.0 §3.3.4 allows both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OverlappingSubscriptions {
    /// One copy, with the highest QoS and all Subscription Identifiers.
    #[default]
    OneCopy,
    /// A copy for each, with its own QoS and Subscription Identifier, as Mosquitto and others do.
    CopyEach,
}

impl BrokerOptions {
    /// All defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            address: SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            v3_1: true,
            v3_1_1: true,
            v5_0: true,
            credentials: None,
            assign_client_identifiers: true,
            connect_timeout: Duration::from_secs(10),
            max_connections: 1_000,
            max_sessions: 1_000,
            max_session_expiry_interval: u32::MAX,
            max_subscriptions: 1_000,
            max_queued_messages: 100_000,
            max_queued_bytes: 64 << 20,
            max_in_flight: 100,
            max_retained_messages: 10_000,
            max_retained_bytes: 16 << 20,
            max_packet_size: 1 << 20,
            outgoing_buffer: 64 << 10,
            receive_maximum: 1_024,
            topic_alias_maximum: 16,
            server_keep_alive: None,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_subscription_available: true,
            subscription_identifier_available: true,
            shared_subscription_available: true,
            overlapping: OverlappingSubscriptions::OneCopy,
        }
    }

    /// Where to listen. Default: 127.0.0.1, port 0, which means one that is free.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Whether clients may use this version. Default: all three.
    ///
    /// A refused client gets what a broker of another age would answer: without 5.0 a CONNACK of 3.1.1 with return code
    /// 1; with 5.0, a client of 3.1.1 or 3.1 gets return code 1 too, and an unknown version gets 0x84.
    #[must_use]
    pub const fn accept_version(mut self, version: ProtocolVersion, accept: bool) -> Self {
        match version {
            ProtocolVersion::V3_1 => self.v3_1 = accept,
            ProtocolVersion::V3_1_1 => self.v3_1_1 = accept,
            ProtocolVersion::V5_0 => self.v5_0 = accept,
        }
        self
    }

    /// The one user that may connect. Default: none is needed.
    ///
    /// Everyone else gets 0x86 (3.1.1: return code 4).
    #[must_use]
    pub fn credentials(mut self, user_name: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        self.credentials = Some((user_name.into(), password.into()));
        self
    }

    /// Whether a client without an identifier gets one. Default: yes.
    ///
    /// Otherwise, and always for a session that 3.1.1 would keep, the answer is 0x85 (3.1.1: return code 2).
    #[must_use]
    pub const fn assign_client_identifiers(mut self, assign: bool) -> Self {
        self.assign_client_identifiers = assign;
        self
    }

    /// How long a new connection may take to send its CONNECT before it is closed. Default: 10 seconds.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connected clients. Default: 1,000.
    ///
    /// One more gets CONNACK 0x89, server busy (3.1.1: return code 3). Sockets beyond twice this number, as CONNECT is
    /// awaited on them, are closed without an answer.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sessions, those of connected clients among them. Default: 1,000.
    ///
    /// A client whose session would be one more gets CONNACK 0x97, quota exceeded (3.1.1: return code 3).
    #[must_use]
    pub const fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// The longest that a session outlives its connection, in seconds. Default: `u32::MAX`, which is for ever; 0: no
    /// session is kept.
    ///
    /// A client of 5.0 that asks for more is told this in CONNACK. Sessions of 3.1.1 without Clean Session live so long.
    #[must_use]
    pub const fn max_session_expiry_interval(mut self, seconds: u32) -> Self {
        self.max_session_expiry_interval = seconds;
        self
    }

    /// Subscriptions of one session. Default: 1,000.
    ///
    /// One more is refused in SUBACK with 0x97, quota exceeded (3.1.1: 0x80). Replacing one is always possible.
    #[must_use]
    pub const fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.max_subscriptions = subscriptions;
        self
    }

    /// Messages that wait in one session until they can be sent. Default: 100,000; a single one always can.
    ///
    /// At this bound, or that of [`max_queued_bytes`](Self::max_queued_bytes), the oldest QoS 0 messages of the session
    /// are dropped first. If that makes no room, a new QoS 0 message is dropped for this session. A new QoS 1 or 2
    /// message of a 5.0 client is refused as a whole, for all subscribers, with 0x97 in its PUBACK or PUBREC; one of a
    /// 3.1.1 client, which cannot be told, and a Will are dropped for this session. What is dropped is counted in
    /// [`Statistics::messages_dropped`](super::Statistics::messages_dropped).
    ///
    /// Retained messages that a new subscription brings may exceed the bounds by as much as the broker retains; beyond
    /// that the subscription is refused with 0x97.
    #[must_use]
    pub const fn max_queued_messages(mut self, messages: usize) -> Self {
        self.max_queued_messages = messages;
        self
    }

    /// Bytes of topics, payloads and properties that wait in one session. Default: 64 MiB.
    ///
    /// What happens at the bound: see [`max_queued_messages`](Self::max_queued_messages).
    #[must_use]
    pub const fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// QoS 1 and 2 messages that are under way to one client. Default: 100; 0 counts as 1.
    ///
    /// The client's Receive Maximum lowers it. Further messages wait in the session's queue.
    #[must_use]
    pub const fn max_in_flight(mut self, messages: u16) -> Self {
        self.max_in_flight = if messages == 0 { 1 } else { messages };
        self
    }

    /// Retained messages. Default: 10,000.
    ///
    /// A QoS 1 or 2 message of a 5.0 client that would be one more is refused as a whole with 0x97; any other is
    /// delivered but not retained, which counts as dropped. Replacing one is always possible within the bytes.
    #[must_use]
    pub const fn max_retained_messages(mut self, messages: usize) -> Self {
        self.max_retained_messages = messages;
        self
    }

    /// Bytes of topics, payloads and properties of retained messages. Default: 16 MiB.
    ///
    /// What happens at the bound: see [`max_retained_messages`](Self::max_retained_messages).
    #[must_use]
    pub const fn max_retained_bytes(mut self, bytes: usize) -> Self {
        self.max_retained_bytes = bytes;
        self
    }

    /// The largest packet the broker takes, in bytes. Default: 1 MiB; less than 128 counts as 128.
    ///
    /// A larger one ends the connection, with 0x95 on 5.0.
    #[must_use]
    pub const fn max_packet_size(mut self, bytes: u32) -> Self {
        self.max_packet_size = if bytes < 128 { 128 } else { bytes };
        self
    }

    /// Bytes that may wait for one socket before messages wait in the session instead. Default: 64 KiB; 0 counts as 1.
    ///
    /// One packet may go beyond it. A client that makes the broker answer and does not read the answers is not read
    /// from until it does.
    #[must_use]
    pub const fn outgoing_buffer(mut self, bytes: usize) -> Self {
        self.outgoing_buffer = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// The broker's Receive Maximum: QoS 2 exchanges that a 5.0 client may have open. Default: 1,024; 0 counts as 1.
    ///
    /// One more ends the connection with 0x93.
    #[must_use]
    pub const fn receive_maximum(mut self, messages: u16) -> Self {
        self.receive_maximum = if messages == 0 { 1 } else { messages };
        self
    }

    /// Topic Aliases that a client may set. Default: 16; 0: none.
    ///
    /// A higher one ends the connection with 0x94. The broker itself sends no aliases.
    #[must_use]
    pub const fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.topic_alias_maximum = aliases;
        self
    }

    /// The Keep Alive that 5.0 clients are told to use, in seconds. Default: theirs; 0: none is needed.
    #[must_use]
    pub const fn server_keep_alive(mut self, seconds: u16) -> Self {
        self.server_keep_alive = Some(seconds);
        self
    }

    /// The highest QoS that clients may publish with and are granted. Default: 2.
    ///
    /// A PUBLISH above it ends the connection with 0x9B; such a Will is refused with the same code in CONNACK.
    #[must_use]
    pub const fn maximum_qos(mut self, qos: QoS) -> Self {
        self.maximum_qos = qos;
        self
    }

    /// Whether messages can be retained. Default: yes.
    ///
    /// Otherwise a PUBLISH with RETAIN ends the connection with 0x9A; such a Will is refused with the same code.
    #[must_use]
    pub const fn retain_available(mut self, available: bool) -> Self {
        self.retain_available = available;
        self
    }

    /// Whether filters may have wildcards. Default: yes; otherwise they are refused in SUBACK with 0xA2.
    #[must_use]
    pub const fn wildcard_subscription_available(mut self, available: bool) -> Self {
        self.wildcard_subscription_available = available;
        self
    }

    /// Whether subscriptions may have identifiers. Default: yes; otherwise they are refused in SUBACK with 0xA1.
    #[must_use]
    pub const fn subscription_identifier_available(mut self, available: bool) -> Self {
        self.subscription_identifier_available = available;
        self
    }

    /// Whether there are shared subscriptions. Default: yes; otherwise they are refused in SUBACK with 0x9E.
    ///
    /// The broker knows them in all versions.
    #[must_use]
    pub const fn shared_subscription_available(mut self, available: bool) -> Self {
        self.shared_subscription_available = available;
        self
    }

    /// How many copies a client gets of a message that several of its subscriptions match. Default: one.
    #[must_use]
    pub const fn overlapping_subscriptions(mut self, overlapping: OverlappingSubscriptions) -> Self {
        self.overlapping = overlapping;
        self
    }

    pub(super) const fn accepts(&self, version: ProtocolVersion) -> bool {
        match version {
            ProtocolVersion::V3_1 => self.v3_1,
            ProtocolVersion::V3_1_1 => self.v3_1_1,
            ProtocolVersion::V5_0 => self.v5_0,
        }
    }
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self::new()
    }
}
