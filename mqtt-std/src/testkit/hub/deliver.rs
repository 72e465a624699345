//! Messages to clients: retained, routed, queued, and sent, MQTT 5.0 §3.3.4 and §4.8.2.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_core::{AckKind, Instant, QoS, ReasonCode};

use super::Hub;
use super::link::Sent;
use super::message::Message;
use super::outbox::{Limits, Next, Outgoing};
use super::session::{ClientIdentifier, Phase, Session};
use super::subscriptions::Granted;
use crate::testkit::OverlappingSubscriptions;

/// Whether a message that does not fit somewhere is refused as a whole, or lost just there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusable {
    Yes,
    No,
}

impl Refusable {
    /// Only a publisher of 5.0 can be told.
    pub(super) const fn only_if(publisher_is_v5: bool) -> Self {
        if publisher_is_v5 { Self::Yes } else { Self::No }
    }
}

/// A bound is reached; the message is nowhere.
#[derive(Debug)]
pub(super) struct QuotaExceeded;

impl Hub {
    /// Retains the message if it says so, and gives it to all who want it; gives their number.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        message: Message,
        refusable: Refusable,
    ) -> Result<usize, QuotaExceeded> {
        let message = Arc::new(message);
        let may_retain = message.retain && self.can_retain(&message, now);
        let copies = self.route(&message);
        if refusable == Refusable::Yes && (message.retain && !may_retain || copies.iter().any(|it| self.is_full(it))) {
            return Err(QuotaExceeded);
        }
        if may_retain {
            let retained = if message.publisher.is_none() { &mut self.system } else { &mut self.retained };
            retained.store(&message);
        } else if message.retain {
            self.statistics.messages_dropped += 1;
        }
        let count = copies.len();
        for (client, outgoing) in copies {
            self.enqueue(&client, outgoing, Limits::for_messages(&self.options));
            self.deliver(&client, now);
        }
        Ok(count)
    }

    fn can_retain(&mut self, message: &Message, now: Instant) -> bool {
        let (max_messages, max_bytes) = (self.options.max_retained_messages, self.options.max_retained_bytes);
        if message.publisher.is_none() || self.retained.has_room(message, max_messages, max_bytes) {
            return true;
        }
        self.retained.remove_expired(now);
        self.retained.has_room(message, max_messages, max_bytes)
    }

    /// Tells whether a QoS 1 or 2 copy finds no room.
    fn is_full(&self, (client, outgoing): &(ClientIdentifier, Outgoing)) -> bool {
        let limits = Limits::for_messages(&self.options);
        let session = self.sessions.get(client).filter(|_| outgoing.qos != QoS::AtMostOnce);
        session.is_some_and(|session| !session.outbox.has_room([&*outgoing.message], limits))
    }

    /// The copies to be made of a message.
    fn route(&mut self, message: &Arc<Message>) -> Vec<(ClientIdentifier, Outgoing)> {
        let limits = Limits::for_messages(&self.options);
        let one_copy = self.options.overlapping == OverlappingSubscriptions::OneCopy;
        let sessions = &self.sessions;
        // Who is there before who is not, who has room before who has none.
        let rank = |client: &ClientIdentifier| match sessions.get(client) {
            Some(session) if !session.outbox.has_room([&**message], limits) => 2,
            Some(session) if session.connection().is_none() => 1,
            Some(_) => 0,
            None => 3,
        };
        let mut merged = BTreeMap::<ClientIdentifier, Outgoing>::new();
        let mut copies = Vec::new();
        self.subscriptions.visit(&message.topic, &mut |node| {
            for (client, granted) in node.subscribers() {
                if granted.options.no_local && message.publisher.as_ref() == Some(client) {
                    continue; // [MQTT-3.8.3-3]
                }
                let outgoing = Outgoing::published(message, granted);
                match merged.get_mut(client) {
                    Some(first) => first.merge(outgoing),
                    None if one_copy => drop(merged.insert(client.clone(), outgoing)),
                    None => copies.push((client.clone(), outgoing)),
                }
            }
            for group in node.groups() {
                if let Some((client, granted)) = group.choose(rank) {
                    copies.push((client.clone(), Outgoing::published(message, granted)));
                }
            }
        });
        copies.extend(merged);
        copies
    }

    /// Puts a copy into the client's session; QoS 0 only if the client is there.
    pub(super) fn enqueue(&mut self, client: &ClientIdentifier, outgoing: Outgoing, limits: Limits) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        if outgoing.qos == QoS::AtMostOnce && session.connection().is_none() {
            return;
        }
        self.statistics.messages_dropped += session.outbox.push(outgoing, limits).unwrap_or(1);
    }

    /// Sends what the session has for its client, as far as buffer and quota allow.
    pub(super) fn deliver(&mut self, client: &ClientIdentifier, now: Instant) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        let Some(id) = session.connection() else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Phase::Connected(client) = &connection.phase else { return };
        let link = &mut connection.link;
        while link.waiting() < self.options.outgoing_buffer {
            let Some(next) = session.outbox.next(now, client.quota) else { break };
            self.ready.insert(id);
            match next {
                Next::Pubrel(identifier) => link.acknowledge(AckKind::Pubrel, identifier, ReasonCode::SUCCESS),
                Next::Publish(outgoing, delivery) => match outgoing.write(link, now, delivery) {
                    Sent::Written => self.statistics.messages_sent += 1,
                    Sent::TooLarge | Sent::Refused => forget(session, delivery),
                },
            }
        }
    }
}

/// What a client cannot take is dropped as if it had been delivered [MQTT-3.1.2-25].
fn forget(session: &mut Session, delivery: mqtt_core::Delivery) {
    if let Some(packet_identifier) = delivery.packet_identifier() {
        session.outbox.forget(packet_identifier);
    }
}

impl Outgoing {
    /// A copy for an established subscription: RETAIN only as published, and only if asked for [MQTT-3.3.1-12].
    fn published(message: &Arc<Message>, granted: &Granted) -> Self {
        Self {
            message: Arc::clone(message),
            qos: message.qos.min(granted.options.qos),
            retain: message.retain && granted.options.retain_as_published,
            identifiers: granted.identifier.into_iter().collect(),
        }
    }

    /// A copy for a new subscription [MQTT-3.3.1-8].
    pub(super) fn retained(message: Arc<Message>, granted: &Granted) -> Self {
        let qos = message.qos.min(granted.options.qos);
        Self { message, qos, retain: true, identifiers: granted.identifier.into_iter().collect() }
    }

    /// One copy for two subscriptions of one client [MQTT-3.3.4-2], [MQTT-3.3.4-4].
    fn merge(&mut self, other: Self) {
        self.qos = self.qos.max(other.qos);
        self.retain |= other.retain;
        self.identifiers.extend(other.identifiers);
    }
}
