//! Messages and acknowledgements from clients, MQTT 5.0 and 3.1.1 §3.3 to §3.7.

use mqtt_core::{Ack, AckKind, Delivery, Instant, PacketIdentifier, Publish, ReasonCode};

use super::deliver::Refusable;
use super::message::Message;
use super::outbox::Acknowledged;
use super::session::{Client, ClientIdentifier, Connection, ConnectionId};
use super::{Hub, is_system};

impl Hub {
    /// Takes a message over: what QoS 1 and 2 acknowledge is in the queues of its subscribers.
    pub(super) fn handle_publish(
        &mut self,
        id: ConnectionId,
        now: Instant,
        publish: &Publish<'_>,
    ) -> Result<(), ReasonCode> {
        if publish.delivery.qos() > self.options.maximum_qos {
            return Err(ReasonCode::QOS_NOT_SUPPORTED);
        }
        if publish.retain && !self.options.retain_available {
            return Err(ReasonCode::RETAIN_NOT_SUPPORTED);
        }
        let topic_alias_maximum = self.options.topic_alias_maximum;
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let is_v5 = connection.link.version.is_v5();
        let receive_maximum = if is_v5 { usize::from(self.options.receive_maximum) } else { usize::MAX };
        let Some(client) = connection.client_mut() else { return Ok(()) };
        let topic = client.topic(publish, topic_alias_maximum)?;
        let message = Message::published(topic, publish, client.identifier.clone(), now);

        match publish.delivery {
            Delivery::AtMostOnce => {
                self.take_over(now, message, Refusable::No);
            }
            Delivery::AtLeastOnce { packet_identifier, .. } => {
                if client.open.len() >= receive_maximum {
                    return Err(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED);
                }
                let reason_code = self.take_over(now, message, Refusable::only_if(is_v5));
                self.acknowledge(id, AckKind::Puback, packet_identifier, reason_code);
            }
            Delivery::ExactlyOnce { packet_identifier, .. } => {
                if client.open.insert(packet_identifier) && client.open.len() > receive_maximum {
                    return Err(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED);
                }
                let identifier = client.identifier.clone();
                let reason_code = self.take_over_once(now, &identifier, packet_identifier, message, is_v5);
                if let Some(client) = self.client_mut(id).filter(|_| reason_code.is_failure()) {
                    client.open.remove(&packet_identifier); // [MQTT-4.3.3-9]
                }
                self.acknowledge(id, AckKind::Pubrec, packet_identifier, reason_code);
            }
        }
        Ok(())
    }

    /// Takes a QoS 2 message over, unless its identifier says that this has been done [MQTT-4.3.3-10].
    fn take_over_once(
        &mut self,
        now: Instant,
        identifier: &ClientIdentifier,
        packet_identifier: PacketIdentifier,
        message: Message,
        is_v5: bool,
    ) -> ReasonCode {
        if self.sessions.get(identifier).is_some_and(|session| session.incoming.contains(&packet_identifier)) {
            return ReasonCode::SUCCESS;
        }
        let reason_code = self.take_over(now, message, Refusable::only_if(is_v5));
        if let Some(session) = self.sessions.get_mut(identifier).filter(|_| !reason_code.is_failure()) {
            session.incoming.insert(packet_identifier);
        }
        reason_code
    }

    fn take_over(&mut self, now: Instant, message: Message, refusable: Refusable) -> ReasonCode {
        self.statistics.messages_received += 1;
        if is_system(&message.topic) {
            return ReasonCode::NOT_AUTHORIZED;
        }
        match self.publish(now, message, refusable) {
            Ok(0) => ReasonCode::NO_MATCHING_SUBSCRIBERS,
            Ok(_) => ReasonCode::SUCCESS,
            Err(_) => ReasonCode::QUOTA_EXCEEDED,
        }
    }

    fn acknowledge(&mut self, id: ConnectionId, kind: AckKind, identifier: PacketIdentifier, reason_code: ReasonCode) {
        if let Some(link) = self.link(id) {
            link.acknowledge(kind, identifier, reason_code);
        }
    }

    fn client_mut(&mut self, id: ConnectionId) -> Option<&mut Client> {
        self.connections.get_mut(&id).and_then(Connection::client_mut)
    }

    /// Ends a QoS 2 exchange of the client.
    pub(super) fn handle_pubrel(&mut self, id: ConnectionId, pubrel: &Ack<'_>) -> Result<(), ReasonCode> {
        let packet_identifier = pubrel.packet_identifier;
        let Some(client) = self.client_mut(id) else { return Ok(()) };
        client.open.remove(&packet_identifier);
        let identifier = client.identifier.clone();
        let session = self.sessions.get_mut(&identifier);
        let known = session.is_some_and(|session| session.incoming.remove(&packet_identifier));
        let reason_code = if known { ReasonCode::SUCCESS } else { ReasonCode::PACKET_IDENTIFIER_NOT_FOUND };
        self.acknowledge(id, AckKind::Pubcomp, packet_identifier, reason_code);
        Ok(())
    }

    /// Takes PUBACK, PUBREC or PUBCOMP for a message of ours.
    pub(super) fn handle_ack(&mut self, id: ConnectionId, now: Instant, ack: &Ack<'_>) -> Result<(), ReasonCode> {
        let Some(client) = self.client_mut(id) else { return Ok(()) };
        let identifier = client.identifier.clone();
        let Some(session) = self.sessions.get_mut(&identifier) else { return Ok(()) };
        let packet_identifier = ack.packet_identifier;
        match session.outbox.acknowledge(ack.kind, packet_identifier, ack.reason_code.is_failure()) {
            Acknowledged::SendPubrel => {
                self.acknowledge(id, AckKind::Pubrel, packet_identifier, ReasonCode::SUCCESS);
            }
            Acknowledged::Unknown if ack.kind == AckKind::Pubrec => {
                self.acknowledge(id, AckKind::Pubrel, packet_identifier, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND);
            }
            Acknowledged::Unexpected => return Err(ReasonCode::PROTOCOL_ERROR),
            Acknowledged::Done | Acknowledged::Unknown => {}
        }
        self.deliver(&identifier, now);
        Ok(())
    }
}

impl Client {
    /// The topic of a PUBLISH; what its Topic Alias stands for is learnt or looked up, MQTT 5.0 §3.3.2.3.4.
    fn topic(&mut self, publish: &Publish<'_>, topic_alias_maximum: u16) -> Result<String, ReasonCode> {
        let alias = publish.properties.topic_alias();
        if alias.is_some_and(|alias| alias > topic_alias_maximum) {
            return Err(ReasonCode::TOPIC_ALIAS_INVALID);
        }
        match (publish.topic, alias) {
            (Some(topic), Some(alias)) => {
                self.aliases.insert(alias, topic.as_str().to_owned());
                Ok(topic.as_str().to_owned())
            }
            (Some(topic), None) => Ok(topic.as_str().to_owned()),
            (None, alias) => {
                alias.and_then(|alias| self.aliases.get(&alias)).cloned().ok_or(ReasonCode::PROTOCOL_ERROR)
            }
        }
    }
}
