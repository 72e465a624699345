//! The broker without its sockets: packets and the time go in, bytes and the next deadline come out.
//!
//! | file | subject |
//! |---|---|
//! | `connect` | CONNECT: who may enter, which session is taken up, takeover |
//! | `leave` | the end of connections and sessions; Wills |
//! | `publish` | messages and acknowledgements from clients |
//! | `deliver` | messages to clients: retaining, routing, queueing, sending |
//! | `subscribe` | SUBSCRIBE and UNSUBSCRIBE |
//! | `session`, `outbox`, `queue` | what the broker keeps for a client |
//! | `subscriptions`, `retained`, `message` | what it keeps for all |
//! | `link` | the way out to a connection |

mod connect;
mod deliver;
mod leave;
mod link;
mod message;
mod outbox;
mod publish;
mod queue;
mod retained;
mod session;
mod subscribe;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use mqtt_core::{AckKind, DecodeError, Instant, Packet, ReasonCode, Sender};

use self::deliver::Refusable;
use self::link::Link;
pub(super) use self::link::LinkState;
use self::link::Sent;
use self::message::Message;
use self::retained::Retained;
pub(super) use self::session::ConnectionId;
use self::session::{ClientIdentifier, Connection, Phase, Session};
use self::subscriptions::Subscriptions;
use super::{BrokerOptions, Statistics};

/// All of the broker that is not sockets and tasks.
///
/// A connection is opened, receives packets, and is closed when its socket is. After each call, [`poll_ready`] names the
/// connections whose [`poll_transmit`] has news, and [`poll_timeout`] may have changed.
///
/// [`poll_ready`]: Self::poll_ready
/// [`poll_transmit`]: Self::poll_transmit
/// [`poll_timeout`]: Self::poll_timeout
#[derive(Debug)]
pub(super) struct Hub {
    options: BrokerOptions,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<ClientIdentifier, Session>,
    subscriptions: Subscriptions,
    retained: Retained,
    /// The retained messages below `$SYS/`: they are the broker's own and count against no bound.
    system: Retained,
    ready: BTreeSet<ConnectionId>,
    /// No deadline is earlier.
    timeout: Option<Instant>,
    last_connection: u64,
    last_assigned: u64,
    /// The counters; what can be counted at any time is filled in when asked for.
    statistics: Statistics,
}

impl Hub {
    pub(super) fn new(options: BrokerOptions) -> Self {
        let mut hub = Self {
            options,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            retained: Retained::default(),
            system: Retained::default(),
            ready: BTreeSet::new(),
            timeout: None,
            last_connection: 0,
            last_assigned: 0,
            statistics: Statistics::default(),
        };
        hub.publish_system(
            Instant::ZERO,
            "$SYS/broker/version",
            concat!("mqtt-std testkit ", env!("CARGO_PKG_VERSION")).to_owned(),
        );
        hub.publish_client_count(Instant::ZERO);
        hub
    }

    /// Takes up a new connection; `None`: there are too many.
    pub(super) fn open(&mut self, now: Instant) -> Option<ConnectionId> {
        if self.connections.len() >= self.options.max_connections.saturating_mul(2) {
            return None;
        }
        self.last_connection = self.last_connection.wrapping_add(1);
        let id = ConnectionId(self.last_connection);
        let milliseconds = u64::try_from(self.options.connect_timeout.as_millis()).unwrap_or(u64::MAX);
        let until = now.plus_millis(milliseconds);
        self.schedule(until);
        self.connections.insert(id, Connection { link: Link::new(), phase: Phase::AwaitConnect { until } });
        Some(id)
    }

    /// Takes one whole packet.
    pub(super) fn receive(&mut self, id: ConnectionId, now: Instant, packet: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match &mut connection.phase {
            Phase::AwaitConnect { .. } => self.receive_connect(id, now, packet),
            Phase::Connected(client) => {
                client.keep_alive.packet_received(now);
                let result = match Packet::decode(connection.link.version, Sender::Client, packet) {
                    Ok(packet) => self.handle_packet(id, now, packet),
                    Err(error) => Err(error.reason_code()),
                };
                if let Err(reason_code) = result {
                    self.disconnect(id, now, reason_code);
                }
            }
            // [MQTT-3.1.4-6]
            Phase::Over => {}
        }
    }

    /// Ends a connection whose bytes are no packets.
    pub(super) fn refuse(&mut self, id: ConnectionId, now: Instant, error: DecodeError) {
        self.disconnect(id, now, error.reason_code());
    }

    fn handle_packet(&mut self, id: ConnectionId, now: Instant, packet: Packet<'_>) -> Result<(), ReasonCode> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(id, now, &publish),
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => self.handle_pubrel(id, &ack),
            Packet::Ack(ack) => self.handle_ack(id, now, &ack),
            Packet::Subscribe(subscribe) => self.handle_subscribe(id, now, &subscribe),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(id, &unsubscribe),
            Packet::Pingreq => self.send(id, &Packet::Pingresp),
            Packet::Disconnect(disconnect) => self.handle_disconnect(id, now, &disconnect),
            // [MQTT-3.1.0-2]; AUTH: no method was agreed upon.
            _ => Err(ReasonCode::PROTOCOL_ERROR),
        }
    }

    fn send(&mut self, id: ConnectionId, packet: &Packet<'_>) -> Result<(), ReasonCode> {
        match self.link(id).map(|link| link.send(packet)) {
            Some(Sent::TooLarge) => Err(ReasonCode::PACKET_TOO_LARGE),
            _ => Ok(()),
        }
    }

    /// The way out to a connection; it counts as ready from now on.
    fn link(&mut self, id: ConnectionId) -> Option<&mut Link> {
        let connection = self.connections.get_mut(&id)?;
        self.ready.insert(id);
        Some(&mut connection.link)
    }

    /// The next connection that has bytes to write or is to be closed.
    pub(super) fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_first()
    }

    /// Moves what waits for the connection to `out` if that is empty, and says what to do with the socket.
    ///
    /// When `out` is written, this is called again: there may be more.
    pub(super) fn poll_transmit(&mut self, id: ConnectionId, now: Instant, out: &mut BytesMut) -> LinkState {
        let Some(connection) = self.connections.get_mut(&id) else { return LinkState::Cut };
        if out.is_empty() {
            connection.link.take(out);
            // There is room again.
            if let Some(identifier) = connection.client().map(|client| client.identifier.clone()) {
                self.deliver(&identifier, now);
            }
        }
        self.connections.get(&id).map_or(LinkState::Cut, |connection| connection.link.state())
    }

    /// Tells whether so much waits for the connection that nothing should be read from it.
    pub(super) fn is_congested(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|it| it.link.waiting() >= self.options.outgoing_buffer)
    }

    /// The largest packet that is taken.
    pub(super) const fn max_packet_size(&self) -> usize {
        self.options.max_packet_size as usize
    }

    /// The earliest moment at which [`handle_timeout`](Self::handle_timeout) may have work; perhaps too early.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    fn schedule(&mut self, at: Instant) {
        self.timeout = Some(self.timeout.map_or(at, |timeout| timeout.min(at)));
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            connections: self.connected(),
            sessions: self.sessions.len(),
            subscriptions: self.subscriptions.len(),
            retained_messages: self.retained.len(),
            queued_messages: self.sessions.values().map(|session| session.outbox.len()).sum(),
            ..self.statistics
        }
    }

    fn connected(&self) -> usize {
        self.sessions.values().filter(|session| session.connection().is_some()).count()
    }

    fn publish_client_count(&mut self, now: Instant) {
        let count = self.connected().to_string();
        self.publish_system(now, "$SYS/broker/clients/connected", count);
    }

    fn publish_system(&mut self, now: Instant, topic: &str, payload: String) {
        // Nobody waits for the answer.
        let _ = self.publish(now, Message::system(topic, payload), Refusable::No);
    }
}

/// Tells whether the topic is one of the broker's own: clients do not publish there.
fn is_system(topic: &str) -> bool {
    topic.starts_with("$SYS/")
}
