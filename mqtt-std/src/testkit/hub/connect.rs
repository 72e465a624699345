//! CONNECT: who may enter, and which session is taken up, MQTT 5.0 and 3.1.1 §3.1.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_core::{
    Connack, Connect, DecodeError, Instant, Packet, PacketType, Properties, Property, ProtocolVersion, QoS, ReasonCode,
    Sender,
};
use tracing::debug;

use super::link::Sent;
use super::message::StoredWill;
use super::session::{Client, ClientIdentifier, ConnectionId, KeepAlive, Phase, Presence, Session};
use super::{BrokerOptions, Hub, is_system};

impl Hub {
    /// Takes the first packet of a connection, which must be CONNECT [MQTT-3.1.0-1].
    pub(super) fn receive_connect(&mut self, id: ConnectionId, now: Instant, packet: &[u8]) {
        let (version, result) = match Packet::decode(ProtocolVersion::V5_0, Sender::Client, packet) {
            Ok(Packet::Connect(connect)) if !self.options.accepts(connect.version) => {
                (ProtocolVersion::V3_1_1, Err(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION))
            }
            Ok(Packet::Connect(connect)) => {
                if let Some(link) = self.link(id) {
                    link.version = connect.version;
                }
                (connect.version, self.handle_connect(id, now, &connect))
            }
            Ok(_) => return self.disconnect(id, now, ReasonCode::PROTOCOL_ERROR),
            Err(error) => (self.version_for_refusal(error, packet), Err(error.reason_code())),
        };
        if let Err(reason_code) = result {
            self.refuse_connect(id, now, version, reason_code);
        }
    }

    /// The version in which to say that a CONNECT is broken or of no version we know.
    fn version_for_refusal(&self, error: DecodeError, packet: &[u8]) -> ProtocolVersion {
        let speaks_v5 =
            matches!(error, DecodeError::UnsupportedProtocolVersion(_)) || protocol_level(packet) == Some(5);
        if speaks_v5 && self.options.v5_0 { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 }
    }

    fn refuse_connect(&mut self, id: ConnectionId, now: Instant, version: ProtocolVersion, reason_code: ReasonCode) {
        debug!(connection = id.0, %reason_code, "CONNECT refused");
        let reason_code = match reason_code {
            // The five return codes of 3.1.1 have one for "not now".
            ReasonCode::SERVER_BUSY | ReasonCode::QUOTA_EXCEEDED if !version.is_v5() => ReasonCode::SERVER_UNAVAILABLE,
            other => other,
        };
        if let Some(link) = self.link(id) {
            link.version = version;
            // What 3.1.1 cannot say is not written.
            link.send(&Packet::Connack(Connack { session_present: false, reason_code, properties: Properties::EMPTY }));
            link.close();
        }
        self.leave(id, now);
    }

    fn handle_connect(&mut self, id: ConnectionId, now: Instant, connect: &Connect<'_>) -> Result<(), ReasonCode> {
        let requested = Requested::of(connect);
        if let Some(link) = self.link(id) {
            link.maximum_packet_size = requested.maximum_packet_size;
        }
        self.check(connect, &requested)?;
        let identifier = self.client_identifier(connect)?;

        if let Some(old) = self.sessions.get(&identifier).and_then(Session::connection) {
            self.disconnect(old, now, ReasonCode::SESSION_TAKEN_OVER); // [MQTT-3.1.4-3]
        }
        if connect.clean_start {
            self.end_session(&identifier, now);
        }
        let session_present = self.sessions.contains_key(&identifier);
        if self.connected() >= self.options.max_connections {
            return Err(ReasonCode::SERVER_BUSY);
        }
        if !session_present && self.sessions.len() >= self.options.max_sessions {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }

        let expiry_interval = requested.session_expiry_interval.min(self.options.max_session_expiry_interval);
        self.accept(id, connect, &requested, &identifier, session_present)?;
        let session = self.sessions.entry(identifier.clone()).or_insert_with(|| Session::new(id));
        session.presence = Presence::Connected(id); // a Will that waited is no more [MQTT-3.1.3-9]
        session.expiry_interval = expiry_interval;
        let keep_alive = match self.options.server_keep_alive {
            Some(seconds) if connect.version.is_v5() => seconds,
            _ => connect.keep_alive,
        };
        let client = Client {
            identifier: identifier.clone(),
            will: connect.will.as_ref().map(StoredWill::new),
            quota: requested.receive_maximum.min(self.options.max_in_flight),
            keep_alive: KeepAlive::new(keep_alive, now),
            aliases: BTreeMap::new(),
            open: BTreeSet::new(),
        };
        if let Some(until) = client.keep_alive.until() {
            self.schedule(until);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = Phase::Connected(client);
        }
        debug!(connection = id.0, client = &*identifier, session_present, "connected");
        self.deliver(&identifier, now);
        self.publish_client_count(now);
        Ok(())
    }

    fn check(&self, connect: &Connect<'_>, requested: &Requested) -> Result<(), ReasonCode> {
        if requested.authentication {
            return Err(ReasonCode::BAD_AUTHENTICATION_METHOD);
        }
        if let Some((user_name, password)) = &self.options.credentials {
            if connect.user_name != Some(user_name) || connect.password != Some(password) {
                return Err(ReasonCode::BAD_USER_NAME_OR_PASSWORD);
            }
        }
        match &connect.will {
            Some(will) if is_system(will.topic.as_str()) => Err(ReasonCode::NOT_AUTHORIZED),
            Some(will) if will.qos > self.options.maximum_qos => Err(ReasonCode::QOS_NOT_SUPPORTED),
            Some(will) if will.retain && !self.options.retain_available => Err(ReasonCode::RETAIN_NOT_SUPPORTED),
            _ => Ok(()),
        }
    }

    /// The identifier that the client has sent, or one made for it.
    fn client_identifier(&mut self, connect: &Connect<'_>) -> Result<ClientIdentifier, ReasonCode> {
        if !connect.client_identifier.is_empty() {
            return Ok(connect.client_identifier.into());
        }
        // What 3.1.1 and 3.1 do not allow to be empty, the codec has refused.
        if !self.options.assign_client_identifiers {
            return Err(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
        }
        loop {
            self.last_assigned = self.last_assigned.wrapping_add(1);
            let identifier = format!("testkit-{}", self.last_assigned);
            if !self.sessions.contains_key(identifier.as_str()) {
                return Ok(identifier.into());
            }
        }
    }

    /// Sends CONNACK; what holds anyway is not said.
    fn accept(
        &mut self,
        id: ConnectionId,
        connect: &Connect<'_>,
        requested: &Requested,
        identifier: &str,
        session_present: bool,
    ) -> Result<(), ReasonCode> {
        let mut properties = Vec::new();
        if connect.version.is_v5() {
            let assigned = connect.client_identifier.is_empty();
            properties = connack_properties(&self.options, requested);
            properties.extend(assigned.then_some(Property::AssignedClientIdentifier(identifier)));
        }
        let properties = Properties::new(&properties);
        let connack = Packet::Connack(Connack { session_present, reason_code: ReasonCode::SUCCESS, properties });
        match self.link(id).map(|link| link.send(&connack)) {
            Some(Sent::Written) => Ok(()),
            _ => Err(ReasonCode::PACKET_TOO_LARGE),
        }
    }
}

fn connack_properties<'a>(options: &BrokerOptions, requested: &Requested) -> Vec<Property<'a>> {
    let expiry = options.max_session_expiry_interval;
    let maximum_qos = options.maximum_qos;
    let said = [
        (expiry < requested.session_expiry_interval, Property::SessionExpiryInterval(expiry)),
        (options.receive_maximum < u16::MAX, Property::ReceiveMaximum(options.receive_maximum)),
        (maximum_qos < QoS::ExactlyOnce, Property::MaximumQoS(maximum_qos as u8)),
        (!options.retain_available, Property::RetainAvailable(0)),
        (true, Property::MaximumPacketSize(options.max_packet_size)),
        (options.topic_alias_maximum > 0, Property::TopicAliasMaximum(options.topic_alias_maximum)),
        (!options.wildcard_subscription_available, Property::WildcardSubscriptionAvailable(0)),
        (!options.subscription_identifier_available, Property::SubscriptionIdentifierAvailable(0)),
        (!options.shared_subscription_available, Property::SharedSubscriptionAvailable(0)),
    ];
    let said = said.into_iter().filter(|(differs, _)| *differs).map(|(_, property)| property);
    said.chain(options.server_keep_alive.map(Property::ServerKeepAlive)).collect()
}

/// What the properties of CONNECT ask for; for 3.1.1 what it means there.
struct Requested {
    session_expiry_interval: u32,
    receive_maximum: u16,
    maximum_packet_size: Option<u32>,
    authentication: bool,
}

impl Requested {
    fn of(connect: &Connect<'_>) -> Self {
        let kept = !connect.version.is_v5() && !connect.clean_start;
        let mut requested = Self {
            session_expiry_interval: if kept { u32::MAX } else { 0 },
            receive_maximum: u16::MAX,
            maximum_packet_size: None,
            authentication: false,
        };
        for property in connect.properties {
            match property {
                Property::SessionExpiryInterval(seconds) => requested.session_expiry_interval = seconds,
                Property::ReceiveMaximum(messages) => requested.receive_maximum = messages,
                Property::MaximumPacketSize(bytes) => requested.maximum_packet_size = Some(bytes),
                Property::AuthenticationMethod(_) => requested.authentication = true,
                _ => {}
            }
        }
        requested
    }
}

/// The Protocol Level that a CONNECT names, though the rest of it cannot be read.
fn protocol_level(packet: &[u8]) -> Option<u8> {
    let (&first, rest) = packet.split_first()?;
    if PacketType::from_first_byte(first) != Some(PacketType::Connect) {
        return None;
    }
    let length = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let name_and_level = rest.get(length.checked_add(1)?..)?.strip_prefix(b"\x00\x04MQTT")?;
    name_and_level.first().copied()
}

#[cfg(test)]
mod tests {
    use super::protocol_level;

    #[test]
    fn the_level_is_found_in_a_broken_connect() {
        for (packet, level) in [
            (&b"\x10\x08\x00\x04MQTT\x05\xff"[..], Some(5)),
            (b"\x10\x88\x80\x00\x00\x04MQTT\x04", Some(4)),
            (b"\x10\x08\x00\x04MQTX\x05", None),
            (b"\x10\x08\x00\x04MQTT", None),
            (b"\x30\x08\x00\x04MQTT\x05", None),
            (b"\x10\xff", None),
            (b"", None),
        ] {
            assert_eq!(protocol_level(packet), level, "{packet:02x?}");
        }
    }
}
