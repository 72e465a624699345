//! What waits for one client: messages to be sent, and messages in flight.

use std::sync::Arc;

use mqtt_core::{AckKind, Delivery, Instant, PacketIdentifier, QoS};

use super::message::Message;
use super::queue::Queue;
use crate::testkit::BrokerOptions;

/// The outgoing half of a session.
///
/// ```text
///  push --> at_most_once (QoS 0) --------------------------> sent, forgotten
///       --> reliable (QoS 1, 2) --> in flight, awaiting: Puback -----------> forgotten
///                                                        Pubrec, Pubcomp --> forgotten
/// ```
/// Messages go out in the order in which they came; only when the Receive Maximum holds up QoS 1 and 2, QoS 0 passes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    in_flight: Vec<InFlight>,
    /// How many of them the present connection has not yet seen.
    unsent: usize,
    reliable: Queue,
    at_most_once: Queue,
    next_sequence: u64,
    last_identifier: u16,
}

/// A message for one subscriber, as its subscription wants it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) message: Arc<Message>,
    /// The lower of the message's QoS and the subscription's [MQTT-3.8.4-8].
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
}

#[derive(Debug)]
struct InFlight {
    packet_identifier: PacketIdentifier,
    awaiting: Awaiting,
    /// On the present connection.
    sent: bool,
    /// On an earlier one.
    dup: bool,
}

/// Which acknowledgement is to come.
#[derive(Debug)]
enum Awaiting {
    Puback(Outgoing),
    Pubrec(Outgoing),
    Pubcomp,
}

/// The next packet for the client.
#[derive(Debug)]
pub(super) enum Next {
    Publish(Outgoing, Delivery),
    Pubrel(PacketIdentifier),
}

/// What an acknowledgement of the client leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Acknowledged {
    Done,
    SendPubrel,
    /// No exchange has this identifier.
    Unknown,
    /// The exchange is not at this point.
    Unexpected,
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Full;

impl Outbox {
    /// Messages that wait to be sent or acknowledged.
    pub(super) fn len(&self) -> usize {
        self.queued().saturating_add(self.in_flight.len())
    }

    fn queued(&self) -> usize {
        self.reliable.len().saturating_add(self.at_most_once.len())
    }

    /// Tells whether the messages find room, perhaps in the place of older QoS 0 messages. A single one always does.
    pub(super) fn has_room<'a>(&self, messages: impl IntoIterator<Item = &'a Message>, limits: Limits) -> bool {
        let (mut count, mut bytes) = (self.reliable.len(), self.reliable.bytes());
        for message in messages {
            count = count.saturating_add(1);
            bytes = bytes.saturating_add(message.size());
        }
        count <= 1 || count <= limits.messages && bytes <= limits.bytes
    }

    /// Queues a message; gives the number of QoS 0 messages that were dropped for it.
    pub(super) fn push(&mut self, outgoing: Outgoing, limits: Limits) -> Result<u64, Full> {
        if !self.has_room([&*outgoing.message], limits) {
            return Err(Full);
        }
        let mut dropped = 0;
        while self.is_above(limits, &outgoing.message) && self.at_most_once.pop().is_some() {
            dropped += 1;
        }
        let queue = if outgoing.qos == QoS::AtMostOnce { &mut self.at_most_once } else { &mut self.reliable };
        queue.push(self.next_sequence, outgoing);
        self.next_sequence = self.next_sequence.wrapping_add(1);
        Ok(dropped)
    }

    fn is_above(&self, limits: Limits, message: &Message) -> bool {
        let bytes = self.reliable.bytes().saturating_add(self.at_most_once.bytes()).saturating_add(message.size());
        self.queued() >= limits.messages || bytes > limits.bytes
    }

    /// Takes what is to be sent next, if the quota and the queues have something.
    ///
    /// `quota` is how many exchanges may be open on this connection at once [MQTT-3.3.4-9].
    pub(super) fn next(&mut self, now: Instant, quota: u16) -> Option<Next> {
        let may_publish = self.in_flight.len().saturating_sub(self.unsent) < usize::from(quota);
        if self.unsent > 0 {
            // A PUBREL does not wait for the quota [MQTT-3.3.4-10].
            let is_ready =
                |entry: &&mut InFlight| !entry.sent && (may_publish || matches!(entry.awaiting, Awaiting::Pubcomp));
            if let Some(entry) = self.in_flight.iter_mut().find(is_ready) {
                entry.sent = true;
                self.unsent = self.unsent.saturating_sub(1);
                return Some(entry.packet());
            }
        }
        loop {
            // While exchanges are unsent, the quota is used up.
            let reliable = if may_publish { self.reliable.first() } else { None };
            match (self.at_most_once.first(), reliable) {
                (None, None) => return None,
                (Some(at_most_once), reliable) if reliable.is_none_or(|reliable| at_most_once < reliable) => {
                    let outgoing = self.at_most_once.pop()?;
                    if !outgoing.message.is_expired(now) {
                        return Some(Next::Publish(outgoing, Delivery::AtMostOnce));
                    }
                }
                _ => {
                    let outgoing = self.reliable.pop()?;
                    if !outgoing.message.is_expired(now) {
                        return self.begin(outgoing); // else [MQTT-3.3.2-5]
                    }
                }
            }
        }
    }

    fn begin(&mut self, outgoing: Outgoing) -> Option<Next> {
        let packet_identifier = self.unused_identifier()?;
        let awaiting = match outgoing.qos {
            QoS::ExactlyOnce => Awaiting::Pubrec(outgoing),
            _ => Awaiting::Puback(outgoing),
        };
        let entry = InFlight { packet_identifier, awaiting, sent: true, dup: false };
        let packet = entry.packet();
        self.in_flight.push(entry);
        Some(packet)
    }

    /// There is one while fewer than 65,535 exchanges are open: any quota sees to that.
    fn unused_identifier(&mut self) -> Option<PacketIdentifier> {
        (0..=u16::MAX).find_map(|_| {
            self.last_identifier = self.last_identifier.wrapping_add(1);
            PacketIdentifier::new(self.last_identifier).filter(|&candidate| self.position(candidate).is_none())
        })
    }

    /// Ends an exchange whose PUBLISH is too large for the client, as if it were complete [MQTT-3.1.2-25].
    pub(super) fn forget(&mut self, packet_identifier: PacketIdentifier) {
        if let Some(index) = self.position(packet_identifier) {
            self.remove(index);
        }
    }

    /// Takes PUBACK, PUBREC or PUBCOMP; `refused`: with a Reason Code of 0x80 or above, which ends the exchange.
    pub(super) fn acknowledge(
        &mut self,
        kind: AckKind,
        packet_identifier: PacketIdentifier,
        refused: bool,
    ) -> Acknowledged {
        let Some(index) = self.position(packet_identifier) else { return Acknowledged::Unknown };
        let Some(entry) = self.in_flight.get_mut(index) else { return Acknowledged::Unknown };
        match (&entry.awaiting, kind) {
            (Awaiting::Puback(_), AckKind::Puback) | (Awaiting::Pubcomp, AckKind::Pubcomp) => {
                self.remove(index);
                Acknowledged::Done
            }
            // [MQTT-4.4.0-2]
            (Awaiting::Pubrec(_), AckKind::Pubrec) if refused => {
                self.remove(index);
                Acknowledged::Done
            }
            (Awaiting::Pubrec(_), AckKind::Pubrec) => {
                entry.awaiting = Awaiting::Pubcomp;
                if !core::mem::replace(&mut entry.sent, true) {
                    self.unsent = self.unsent.saturating_sub(1);
                }
                Acknowledged::SendPubrel
            }
            // Said twice, so PUBREL is said twice.
            (Awaiting::Pubcomp, AckKind::Pubrec) => Acknowledged::SendPubrel,
            _ => Acknowledged::Unexpected,
        }
    }

    fn position(&self, packet_identifier: PacketIdentifier) -> Option<usize> {
        self.in_flight.iter().position(|entry| entry.packet_identifier == packet_identifier)
    }

    fn remove(&mut self, index: usize) {
        if index < self.in_flight.len() && !self.in_flight.remove(index).sent {
            self.unsent = self.unsent.saturating_sub(1);
        }
    }

    /// Gets ready for the next connection: exchanges will be taken up again in their order, QoS 0 is lost.
    ///
    /// Gives the number of messages that are lost.
    pub(super) fn disconnected(&mut self) -> u64 {
        for entry in &mut self.in_flight {
            entry.sent = false;
            entry.dup = true; // [MQTT-3.3.1-1]
        }
        self.unsent = self.in_flight.len();
        core::mem::take(&mut self.at_most_once).len() as u64
    }
}

impl InFlight {
    fn packet(&self) -> Next {
        let (packet_identifier, dup) = (self.packet_identifier, self.dup);
        match &self.awaiting {
            Awaiting::Puback(outgoing) => {
                Next::Publish(outgoing.clone(), Delivery::AtLeastOnce { packet_identifier, dup })
            }
            Awaiting::Pubrec(outgoing) => {
                Next::Publish(outgoing.clone(), Delivery::ExactlyOnce { packet_identifier, dup })
            }
            Awaiting::Pubcomp => Next::Pubrel(packet_identifier),
        }
    }
}

/// Bounds of the queues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    messages: usize,
    bytes: usize,
}

impl Limits {
    /// For messages that are published.
    pub(super) const fn for_messages(options: &BrokerOptions) -> Self {
        Self { messages: options.max_queued_messages, bytes: options.max_queued_bytes }
    }

    /// For retained messages that a new subscription brings.
    pub(super) const fn for_retained(options: &BrokerOptions) -> Self {
        Self {
            messages: options.max_queued_messages.saturating_add(options.max_retained_messages),
            bytes: options.max_queued_bytes.saturating_add(options.max_retained_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { messages: 3, bytes: 8 };

    fn outgoing(payload: &str, qos: QoS) -> Outgoing {
        let message = Arc::new(Message::system("t", payload.to_owned()));
        Outgoing { message, qos, retain: false, identifiers: Vec::new() }
    }

    /// Takes a message out and acknowledges it.
    fn take(outbox: &mut Outbox) -> Option<String> {
        match outbox.next(Instant::ZERO, 10)? {
            Next::Publish(outgoing, delivery) => {
                if let Some(identifier) = delivery.packet_identifier() {
                    assert_eq!(outbox.acknowledge(AckKind::Puback, identifier, false), Acknowledged::Done);
                }
                Some(String::from_utf8(outgoing.message.payload.to_vec()).unwrap())
            }
            Next::Pubrel(_) => panic!("nothing is QoS 2"),
        }
    }

    #[test]
    fn both_bounds_hold_and_what_is_sent_makes_room() {
        for (payload, fit) in [("", 3), ("xxx", 2), ("xxxxxxxx", 1)] {
            let mut outbox = Outbox::default();
            for _ in 0..2 {
                for _ in 0..fit {
                    assert_eq!(outbox.push(outgoing(payload, QoS::AtLeastOnce), LIMITS).unwrap(), 0, "{payload}");
                }
                assert!(outbox.push(outgoing(payload, QoS::AtLeastOnce), LIMITS).is_err(), "{payload}");
                while take(&mut outbox).is_some() {}
                assert_eq!(outbox.len(), 0);
            }
        }
    }

    #[test]
    fn the_oldest_qos_0_gives_way_to_any_qos() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            for (waiting, new, left) in [
                (&["a", "b", "c"][..], "d", &["b", "c", "d"][..]), // three messages
                (&["aa", "bb"], "cc", &["bb", "cc"]),              // eight bytes
                (&["aa", "bb"], "ccccc", &["ccccc"]),
            ] {
                let mut outbox = Outbox::default();
                for payload in waiting {
                    assert_eq!(outbox.push(outgoing(payload, QoS::AtMostOnce), LIMITS).unwrap(), 0);
                }
                let dropped = outbox.push(outgoing(new, qos), LIMITS).unwrap();
                assert_eq!(dropped as usize, waiting.len() + 1 - left.len(), "{new}");
                let arrived: Vec<_> = core::iter::from_fn(|| take(&mut outbox)).collect();
                assert_eq!(arrived, left);
            }
        }
    }

    #[test]
    fn identifiers_go_around_and_leave_out_those_in_use() {
        let mut outbox = Outbox { last_identifier: u16::MAX - 1, ..Outbox::default() };
        let begin = |outbox: &mut Outbox| {
            outbox.push(outgoing("", QoS::AtLeastOnce), LIMITS).unwrap();
            match outbox.next(Instant::ZERO, 10) {
                Some(Next::Publish(_, delivery)) => delivery.packet_identifier().unwrap().number(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([begin(&mut outbox), begin(&mut outbox), begin(&mut outbox)], [65_535, 1, 2]);
        outbox.last_identifier = u16::MAX - 1;
        assert_eq!(begin(&mut outbox), 3);
    }
}
