//! The end of connections and sessions, and Wills, MQTT 5.0 §3.1.2.5, §3.14 and §4.1.

use core::mem;

use mqtt_core::{Disconnect, Instant, Property, ReasonCode, TopicFilter};
use tracing::debug;

use super::Hub;
use super::deliver::Refusable;
use super::message::Message;
use super::session::{ClientIdentifier, Connection, ConnectionId, Phase, Presence, Session};

impl Hub {
    /// The client says goodbye.
    pub(super) fn handle_disconnect(
        &mut self,
        id: ConnectionId,
        now: Instant,
        disconnect: &Disconnect<'_>,
    ) -> Result<(), ReasonCode> {
        let max_expiry = self.options.max_session_expiry_interval;
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Phase::Connected(client) = &mut connection.phase else { return Ok(()) };
        if disconnect.reason_code == ReasonCode::NORMAL_DISCONNECTION {
            client.will = None; // [MQTT-3.14.4-3]
        }
        let expiry = disconnect.properties.iter().find_map(|property| match property {
            Property::SessionExpiryInterval(seconds) => Some(seconds.min(max_expiry)),
            _ => None,
        });
        if let (Some(seconds), Some(session)) = (expiry, self.sessions.get_mut(&client.identifier)) {
            // §3.14.2.2.2: a session that ends with the connection cannot be kept after all.
            if session.expiry_interval == 0 && seconds != 0 {
                return Err(ReasonCode::PROTOCOL_ERROR);
            }
            session.expiry_interval = seconds;
        }
        connection.link.close();
        self.ready.insert(id);
        self.leave(id, now);
        Ok(())
    }

    /// Ends a connection, on 5.0 with a DISCONNECT that says why.
    pub(super) fn disconnect(&mut self, id: ConnectionId, now: Instant, reason_code: ReasonCode) {
        debug!(connection = id.0, %reason_code, "disconnected by the broker");
        if let Some(link) = self.link(id) {
            link.disconnect(reason_code);
        }
        self.leave(id, now);
    }

    /// Cuts the client's connection without a word; tells whether there was one.
    pub(in crate::testkit) fn cut_client(&mut self, client: &str, now: Instant) -> bool {
        let connection = self.sessions.get(client).and_then(Session::connection);
        if let Some(id) = connection {
            self.cut(id, now);
        }
        connection.is_some()
    }

    /// Cuts all connections without a word.
    pub(in crate::testkit) fn cut_all(&mut self, now: Instant) {
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.cut(id, now);
        }
    }

    fn cut(&mut self, id: ConnectionId, now: Instant) {
        if let Some(link) = self.link(id) {
            link.cut();
        }
        self.leave(id, now);
    }

    /// Ends all connections; 5.0 is told that the server shuts down.
    pub(in crate::testkit) fn shut_down(&mut self, now: Instant) {
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.disconnect(id, now, ReasonCode::SERVER_SHUTTING_DOWN);
        }
    }

    /// The socket is closed.
    pub(in crate::testkit) fn closed(&mut self, id: ConnectionId, now: Instant) {
        self.leave(id, now);
        self.connections.remove(&id);
        self.ready.remove(&id);
    }

    /// Parts the connection from its session; what the link has to write is still written.
    pub(super) fn leave(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Phase::Connected(client) = mem::replace(&mut connection.phase, Phase::Over) else { return };
        let Some(session) = self.sessions.get_mut(&client.identifier) else { return };
        self.statistics.messages_dropped += session.outbox.disconnected();
        session.presence = Presence::Away {
            ends_at: (session.expiry_interval != u32::MAX).then(|| now.plus_secs(session.expiry_interval)),
            will: client.will.map(|will| (now.plus_secs(will.delay_interval), will)),
        };
        if let Some(at) = session.deadline() {
            self.schedule(at);
        }
        // Without delay and expiry, both have come.
        self.session_timeout(&client.identifier, now);
        self.publish_client_count(now);
    }

    /// Ends the session of a client that is away.
    pub(super) fn end_session(&mut self, client: &ClientIdentifier, now: Instant) {
        if let Some(Presence::Away { ends_at, .. }) = self.sessions.get_mut(client).map(|session| &mut session.presence)
        {
            *ends_at = Some(now);
            self.session_timeout(client, now);
        }
    }

    /// Publishes the Will if it is due or the session is over, whichever comes first [MQTT-3.1.2-8], and ends the session.
    fn session_timeout(&mut self, client: &ClientIdentifier, now: Instant) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        let Presence::Away { ends_at, will } = &mut session.presence else { return };
        let is_over = ends_at.is_some_and(|at| at <= now);
        let will = will.take_if(|(at, _)| is_over || *at <= now);
        if is_over {
            self.remove_session(client);
        }
        if let Some((_, will)) = will {
            // Nobody is left to be told of a refusal.
            let _ = self.publish(now, Message::will(&will, client.clone(), now), Refusable::No);
        }
    }

    fn remove_session(&mut self, client: &ClientIdentifier) {
        let Some(session) = self.sessions.remove(client) else { return };
        for filter in session.filters.iter().filter_map(|filter| TopicFilter::new(filter).ok()) {
            self.subscriptions.remove(client, filter);
        }
    }

    /// Ends what is too late: connections without CONNECT, silent clients, sessions; publishes Wills that are due.
    pub(in crate::testkit) fn handle_timeout(&mut self, now: Instant) {
        if self.timeout.is_none_or(|timeout| timeout > now) {
            return;
        }
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        let silent: Vec<_> =
            self.connections.iter().filter(|(_, it)| is_due(it.deadline())).map(|(id, _)| *id).collect();
        for id in silent {
            self.disconnect(id, now, ReasonCode::KEEP_ALIVE_TIMEOUT);
        }
        let away: Vec<_> =
            self.sessions.iter().filter(|(_, it)| is_due(it.deadline())).map(|(client, _)| client.clone()).collect();
        for client in away {
            self.session_timeout(&client, now);
        }
        let connections = self.connections.values().filter_map(Connection::deadline);
        let sessions = self.sessions.values().filter_map(Session::deadline);
        self.timeout = connections.chain(sessions).min();
    }
}

impl Connection {
    const fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::AwaitConnect { until } => Some(*until),
            Phase::Connected(client) => client.keep_alive.until(),
            Phase::Over => None,
        }
    }
}

impl Session {
    fn deadline(&self) -> Option<Instant> {
        match &self.presence {
            Presence::Connected(_) => None,
            Presence::Away { ends_at, will } => {
                let will = will.as_ref().map(|(at, _)| *at);
                [*ends_at, will].into_iter().flatten().min()
            }
        }
    }
}
