//! The broker's half of a session, MQTT 5.0 §4.1, and the connection that serves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mqtt_core::{Instant, PacketIdentifier};

use super::link::Link;
use super::message::StoredWill;
use super::outbox::Outbox;

/// A Client Identifier: names the session.
pub(super) type ClientIdentifier = Arc<str>;

/// Names a connection; never used again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ConnectionId(pub(super) u64);

/// What the broker knows of a client, connected or not.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) presence: Presence,
    /// Seconds that the session outlives its connection; `u32::MAX`: for ever.
    pub(super) expiry_interval: u32,
    /// The filters of its subscriptions; [`Subscriptions`](super::subscriptions::Subscriptions) has the rest.
    pub(super) filters: BTreeSet<String>,
    /// QoS 2 messages taken over whose PUBREL has not come.
    pub(super) incoming: BTreeSet<PacketIdentifier>,
    pub(super) outbox: Outbox,
}

/// Whether the client is there.
#[derive(Debug)]
pub(super) enum Presence {
    Connected(ConnectionId),
    Away {
        ends_at: Option<Instant>,
        /// With the moment at which it is published, unless the session ends before.
        will: Option<(Instant, StoredWill)>,
    },
}

impl Session {
    pub(super) fn new(connection: ConnectionId) -> Self {
        Self {
            presence: Presence::Connected(connection),
            expiry_interval: 0,
            filters: BTreeSet::new(),
            incoming: BTreeSet::new(),
            outbox: Outbox::default(),
        }
    }

    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        match self.presence {
            Presence::Connected(connection) => Some(connection),
            Presence::Away { .. } => None,
        }
    }
}

/// One network connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) phase: Phase,
}

/// How far a connection has come.
///
/// ```text
/// AwaitConnect --CONNECT accepted--> Connected --DISCONNECT, error, takeover, cut--> Over
///       `----------------------------refused, too late-----------------------------^
/// ```
#[derive(Debug)]
pub(super) enum Phase {
    AwaitConnect {
        until: Instant,
    },
    Connected(Client),
    /// The session, if there was one, is left; the link may have something to write yet.
    Over,
}

/// What lasts from CONNECT to the end of the connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) identifier: ClientIdentifier,
    pub(super) will: Option<StoredWill>,
    /// The lower of the client's Receive Maximum and our own bound.
    pub(super) quota: u16,
    pub(super) keep_alive: KeepAlive,
    /// The topics that the client's Topic Aliases stand for.
    pub(super) aliases: BTreeMap<u16, String>,
    /// QoS 2 exchanges that were opened on this connection: they count against our Receive Maximum.
    pub(super) open: BTreeSet<PacketIdentifier>,
}

/// Tells when a silent client is given up, MQTT 5.0 §3.1.2.10.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    seconds: u16,
    until: Option<Instant>,
}

impl KeepAlive {
    pub(super) const fn new(seconds: u16, now: Instant) -> Self {
        let mut keep_alive = Self { seconds, until: None };
        keep_alive.packet_received(now);
        keep_alive
    }

    /// Any packet starts the time of one and a half intervals anew [MQTT-3.1.2-22].
    pub(super) const fn packet_received(&mut self, now: Instant) {
        if self.seconds != 0 {
            self.until = Some(now.plus_millis((self.seconds as u64).saturating_mul(1_500)));
        }
    }

    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Connection {
    pub(super) const fn client(&self) -> Option<&Client> {
        match &self.phase {
            Phase::Connected(client) => Some(client),
            _ => None,
        }
    }

    pub(super) const fn client_mut(&mut self) -> Option<&mut Client> {
        match &mut self.phase {
            Phase::Connected(client) => Some(client),
            _ => None,
        }
    }
}
