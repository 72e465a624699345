//! What arrives: one packet, the head of a PUBLISH, or a part of its payload.

use core::fmt;

use super::event::{Event, Message};
use super::{Aliases, Connection, ConnectionError, Phase, ProtocolError};
use crate::codec::framing::Input;
use crate::maybe::Maybe;
use crate::packet::{Ack, AckKind, Delivery, Packet, PacketType, Publish, Sender, Suback, Unsuback};
use crate::property::{Properties, Property, PropertyIdentifier};
use crate::session::{Acknowledgement, RecordTicket, Session, Stage, Step, Storage, Table, Verdict, stored};
use crate::subscription_list::{Renewal, SubscriptionList};
use crate::time::Instant;
use crate::types::{QoS, ReasonCode, TopicName};

/// A message whose payload is arriving in parts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Inbound {
    delivery: Delivery,
    /// Nobody is told of the payload: a duplicate, or streaming is off. It is acknowledged, whoever acknowledges otherwise.
    swallow: bool,
}

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReceiveError {
    /// There is no room for another exchange now. Nothing has changed: transmit, acknowledge, poll the record, then give the
    /// same input again.
    NotReady,
    /// The connection is over.
    Connection(ConnectionError),
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("no room for another message now"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReceiveError {}

impl<E: Into<ConnectionError>> From<E> for ReceiveError {
    fn from(error: E) -> Self {
        Self::Connection(error.into())
    }
}

impl<A: Aliases> Connection<A> {
    /// Takes what framing found. The event borrows from `input`, and from `self` for a topic known by its alias only.
    /// Afterwards ask `poll_transmit`, `poll_outcome`, `poll_timeout`, and with a store `poll_record`.
    ///
    /// A message that comes in parts is complete, recorded and acknowledged with its last part only; cut before that it
    /// leaves no trace.
    ///
    /// # Errors
    /// [`ReceiveError::NotReady`]: give the same input again later. [`ReceiveError::Connection`]: the connection is over; later
    /// calls repeat the error.
    pub fn receive<'a, S: Storage>(
        &'a mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        input: Input<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        if let Some(error) = self.failure() {
            return Err(ReceiveError::Connection(error));
        }
        if session.has_pending_record() {
            return Err(ReceiveError::NotReady);
        }
        self.keep_alive.heard(now);
        let taken = self.take(session, subscriptions, now, input);
        match taken {
            Ok(Taken::Event(event)) => Ok(event),
            // The topic is looked up last: until then nothing borrows the aliases.
            Ok(Taken::Message(arrived)) => Ok(self.tell(arrived)),
            Err(ReceiveError::Connection(error)) => Err(ReceiveError::Connection(self.fail(error))),
            Err(ReceiveError::NotReady) => Err(ReceiveError::NotReady),
        }
    }

    fn take<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        input: Input<'a>,
    ) -> Result<Taken<'a>, ReceiveError> {
        match input {
            Input::Packet(packet) => self.take_packet(session, subscriptions, now, packet),
            Input::PublishHead { head, payload_len } => {
                self.check_size(head.len().saturating_add(payload_len as usize))?;
                let head = Publish::decode_head(self.version, Sender::Server, head, payload_len)?;
                self.begin_inbound(session, &head, payload_len)
            }
            Input::PublishPayload { bytes, last } => self.take_payload(session, bytes, last),
        }
    }

    /// Tells whether a message at QoS 1 or 2 would find room for its exchange: one that came before has it. 3.1.1 cannot tell a
    /// Server how much room there is, and some of 5.0 do not keep to the Receive Maximum: an adapter that does not give the machine
    /// what has no room gets it again on the next connection.
    #[must_use]
    pub fn has_room_for<S: Storage>(&self, session: &Session<S>, input: &Input<'_>) -> bool {
        let (Input::Packet(bytes) | Input::PublishHead { head: bytes, .. }) = *input else { return true };
        let incoming = session.storage().incoming();
        incoming.len() < incoming.capacity()
            || Publish::identifier_of(bytes).is_none_or(|id| incoming.get(id).is_some())
    }

    /// The Server keeps to the Maximum Packet Size that CONNECT announced [MQTT-3.1.2-24].
    fn check_size(&self, bytes: usize) -> Result<(), ProtocolError> {
        match self.ours.maximum_packet_size {
            Some(maximum) if self.version.is_v5() && bytes > maximum as usize => Err(ProtocolError::PacketTooLarge),
            _ => Ok(()),
        }
    }

    fn take_packet<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        packet: &'a [u8],
    ) -> Result<Taken<'a>, ReceiveError> {
        self.check_size(packet.len())?;
        let packet = Packet::decode(self.version, Sender::Server, packet)?;
        let packet_type = packet.packet_type();
        // CONNACK comes first, or AUTH before it [MQTT-3.2.0-1].
        let early = matches!(packet_type, PacketType::Connack | PacketType::Auth);
        if !matches!(self.phase, Phase::Connected) && !early {
            return Err(ProtocolError::UnexpectedPacket(packet_type).into());
        }
        let event = match packet {
            Packet::Publish(publish) => return self.take_publish(session, &publish),
            Packet::Ack(ack) => {
                self.check_diagnostics(ack.properties)?;
                self.take_ack(session, &ack)?
            }
            Packet::Connack(connack) => Some(self.receive_connack(session, subscriptions, now, connack)?),
            Packet::Auth(auth) if self.version.is_v5() => {
                self.check_diagnostics(auth.properties)?;
                Some(self.receive_auth(auth)?)
            }
            Packet::Suback(suback) => {
                self.check_diagnostics(suback.properties)?;
                Some(take_suback(session, subscriptions, &suback)?)
            }
            Packet::Unsuback(unsuback) => {
                self.check_diagnostics(unsuback.properties)?;
                // What leaves the list may move others to places that were looked at, and what was passed over because of
                // this UNSUBSCRIBE is due if it was refused.
                self.renewal_from = Some(0);
                Some(take_unsuback(session, subscriptions, self.version.is_v5(), &unsuback)?)
            }
            Packet::Pingresp => {
                self.keep_alive.pingresp();
                Some(Event::Pong)
            }
            Packet::Disconnect(disconnect) if self.version.is_v5() => {
                self.failure = Maybe::Some(ConnectionError::Disconnected(disconnect.reason_code));
                self.phase = Phase::Closed;
                Some(Event::Disconnected(disconnect))
            }
            // A Server does not send these, and decoding has refused them.
            _ => None,
        };
        Ok(Taken::Event(event))
    }

    /// With Request Problem Information 0 these stand in PUBLISH, CONNACK and DISCONNECT only [MQTT-3.1.2-29].
    fn check_diagnostics(&self, properties: Properties<'_>) -> Result<(), ProtocolError> {
        if !self.ours.no_problem_information || properties.is_empty() {
            return Ok(());
        }
        for property in properties {
            let identifier = property.identifier();
            if matches!(identifier, PropertyIdentifier::ReasonString | PropertyIdentifier::UserProperty) {
                return Err(ProtocolError::Unrequested(identifier));
            }
        }
        Ok(())
    }

    fn take_publish<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        publish: &Publish<'a>,
    ) -> Result<Taken<'a>, ReceiveError> {
        if self.is_streaming() {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Publish).into());
        }
        self.check_room(session, publish.delivery)?;
        let topic = self.resolve(publish.topic, publish.properties)?;
        let mut arrived = Arrived {
            topic,
            delivery: publish.delivery,
            retain: publish.retain,
            properties: publish.properties,
            payload: publish.payload,
            acknowledgement: None,
            record_ticket: None,
            part: Part::Whole,
        };
        let Some((acknowledgement, record_ticket)) = self.complete_inbound(session, publish.delivery, false)? else {
            return Ok(Taken::Event(None));
        };
        arrived.acknowledgement = acknowledgement;
        arrived.record_ticket = record_ticket;
        Ok(Taken::Message(arrived))
    }

    /// Before anything of a message is taken: is there room for its exchange, and does the Server keep to our Receive Maximum?
    fn check_room<S: Storage>(&self, session: &Session<S>, delivery: Delivery) -> Result<(), ReceiveError> {
        let Some(packet_identifier) = delivery.packet_identifier() else { return Ok(()) };
        if !cfg!(feature = "qos2") && matches!(delivery.qos(), QoS::ExactlyOnce) {
            return Err(ProtocolError::QoSNotSupported.into());
        }
        let incoming = session.storage.incoming();
        if incoming.get(packet_identifier).is_some() {
            return Ok(());
        }
        let exceeded = ReceiveError::from(ProtocolError::ReceiveMaximumExceeded);
        if self.version.is_v5() && session.received_unacknowledged() >= self.ours.receive_limit {
            return Err(exceeded);
        }
        if incoming.len() >= incoming.capacity() {
            // 3.1.1 has no Receive Maximum. What waits for the application or to be sent makes room; what waits for PUBREL does
            // not, and PUBREL is behind this packet.
            return Err(if session.makes_room() { ReceiveError::NotReady } else { exceeded });
        }
        Ok(())
    }

    /// Learns an alias; tells under which one the topic is known if the packet has no other name for it.
    fn resolve<'a>(
        &mut self,
        topic: Option<TopicName<'a>>,
        properties: Properties<'_>,
    ) -> Result<KnownBy<'a>, ProtocolError> {
        let alias = if properties.is_empty() { None } else { properties.topic_alias() };
        let Some(alias) = alias else {
            // Decoding has refused a PUBLISH with neither.
            return topic.map(KnownBy::Name).ok_or(ProtocolError::TopicAliasInvalid);
        };
        if !cfg!(feature = "alias") || alias > self.aliases.incoming_maximum() {
            return Err(ProtocolError::TopicAliasInvalid);
        }
        match topic {
            Some(topic) if self.aliases.set_incoming(alias, topic.as_str()) => Ok(KnownBy::Name(topic)),
            Some(_) => Err(ProtocolError::TopicAliasTooLong),
            None if self.aliases.incoming(alias).is_some() => Ok(KnownBy::Alias(alias)),
            None => Err(ProtocolError::TopicAliasInvalid),
        }
    }

    /// The whole message is here. `None`: it was handed over before.
    #[allow(clippy::type_complexity)] // the two parts of an event that only a whole message has
    fn complete_inbound<S: Storage>(
        &self,
        session: &mut Session<S>,
        delivery: Delivery,
        skipped: bool,
    ) -> Result<Option<(Option<Acknowledgement>, Option<RecordTicket>)>, ReceiveError> {
        let Some(packet_identifier) = delivery.packet_identifier() else { return Ok(Some((None, None))) };
        let acknowledge = skipped || self.ours.acknowledge_at_once;
        match session.arrived(packet_identifier, delivery.qos(), acknowledge, skipped) {
            Verdict::Deliver(token, record) => {
                let ticket = record.map(|number| RecordTicket::received(number, packet_identifier));
                Ok(Some((Some(token), ticket)))
            }
            Verdict::Duplicate => Ok(None),
            Verdict::IdentifierInUse => Err(ProtocolError::PacketIdentifierInUse.into()),
            Verdict::Full => Err(ReceiveError::NotReady), // `check_room` has looked
        }
    }

    fn begin_inbound<'a, S: Storage>(
        &mut self,
        session: &Session<S>,
        head: &Publish<'a>,
        payload_len: u32,
    ) -> Result<Taken<'a>, ReceiveError> {
        if !matches!(self.phase, Phase::Connected) || self.is_streaming() {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Publish).into());
        }
        self.check_room(session, head.delivery)?;
        let topic = self.resolve(head.topic, head.properties)?;
        let duplicate = head
            .delivery
            .packet_identifier()
            .is_some_and(|packet_identifier| session.is_duplicate(packet_identifier, head.delivery.qos()));
        let stream = cfg!(feature = "streaming") && self.ours.streaming;
        self.inbound = Maybe::Some(Inbound { delivery: head.delivery, swallow: duplicate || !stream });
        if duplicate {
            return Ok(Taken::Event(None));
        }
        let part = if stream { Part::Begins(payload_len) } else { Part::Skipped(payload_len) };
        Ok(Taken::Message(Arrived {
            topic,
            delivery: head.delivery,
            retain: head.retain,
            properties: head.properties,
            payload: &[],
            acknowledgement: None,
            record_ticket: None,
            part,
        }))
    }

    /// A PUBLISH has begun whose payload has not ended.
    const fn is_streaming(&self) -> bool {
        matches!(self.inbound, Maybe::Some(_))
    }

    fn take_payload<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        bytes: &'a [u8],
        last: bool,
    ) -> Result<Taken<'a>, ReceiveError> {
        let Maybe::Some(inbound) = self.inbound else {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Publish).into());
        };
        if !last {
            return Ok(Taken::Event((!inbound.swallow).then_some(Event::Fragment(bytes))));
        }
        // Nobody gets the token of what is swallowed; a duplicate counts as a new message if its PUBREC, a refusal, has left.
        let completed = self.complete_inbound(session, inbound.delivery, inbound.swallow)?;
        self.inbound = Maybe::None;
        let Some((acknowledgement, record)) = completed.filter(|_| !inbound.swallow) else {
            return Ok(Taken::Event(None));
        };
        Ok(Taken::Event(Some(Event::MessageEnds { fragment: bytes, acknowledgement, record })))
    }

    fn take_ack<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        ack: &Ack<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let id = ack.packet_identifier;
        if matches!(ack.kind, AckKind::Pubrel) {
            // Unknown: §4.3.3 wants an answer all the same, or the Server asks for ever.
            if !session.released(id) && !self.strays.push(AckKind::Pubcomp, id) {
                return Err(ReceiveError::NotReady);
            }
            return Ok(None);
        }
        let recovered = session.exchange(id).is_some_and(|exchange| exchange.resent);
        match session.acknowledged(id, ack.kind, ack.reason_code, self.version.is_v5()) {
            Step::Done => {
                // After a recovery the Server may have finished before: that is success.
                let forgotten = ack.reason_code == ReasonCode::PACKET_IDENTIFIER_NOT_FOUND && recovered;
                let reason_code = if forgotten { ReasonCode::SUCCESS } else { ack.reason_code };
                Ok(Some(Event::Published { packet_identifier: id, reason_code, properties: ack.properties }))
            }
            Step::SendPubrel => Ok(None),
            Step::Unexpected => {
                if matches!(ack.kind, AckKind::Pubrec) && !ack.reason_code.is_failure() {
                    if !self.strays.push(AckKind::Pubrel, id) {
                        return Err(ReceiveError::NotReady);
                    }
                } else {
                    self.strays.ignored = self.strays.ignored.saturating_add(1);
                }
                Ok(None)
            }
        }
    }

    fn tell<'a>(&'a self, arrived: Arrived<'a>) -> Option<Event<'a>> {
        let topic = match arrived.topic {
            KnownBy::Name(topic) => topic,
            KnownBy::Alias(alias) => TopicName::from_checked(self.aliases.incoming(alias)?),
        };
        let message = Message {
            topic,
            qos: arrived.delivery.qos(),
            retain: arrived.retain,
            dup: arrived.delivery.dup(),
            properties: arrived.properties,
            payload: arrived.payload,
            acknowledgement: arrived.acknowledgement,
            record_ticket: arrived.record_ticket,
        };
        Some(match arrived.part {
            Part::Whole => Event::Message(message),
            Part::Begins(payload_len) => Event::MessageBegins { message, payload_len },
            Part::Skipped(payload_len) => Event::Skipped { message, payload_len },
        })
    }
}

/// A message on its way to the application, its topic still to be looked up.
struct Arrived<'a> {
    topic: KnownBy<'a>,
    delivery: Delivery,
    retain: bool,
    properties: Properties<'a>,
    payload: &'a [u8],
    acknowledgement: Option<Acknowledgement>,
    record_ticket: Option<RecordTicket>,
    part: Part,
}

enum KnownBy<'a> {
    Name(TopicName<'a>),
    Alias(u16),
}

enum Part {
    Whole,
    Begins(u32),
    Skipped(u32),
}

enum Taken<'a> {
    Event(Option<Event<'a>>),
    Message(Arrived<'a>),
}

fn take_suback<'a, S: Storage>(
    session: &mut Session<S>,
    subscriptions: &mut impl SubscriptionList,
    suback: &Suback<'a>,
) -> Result<Event<'a>, ProtocolError> {
    let id = suback.packet_identifier;
    let exchange = session.exchange(id).filter(|exchange| exchange.in_flight);
    let codes = suback.reason_codes;
    match exchange.map(|exchange| exchange.stage) {
        Some(Stage::Subscribe { filters }) if filters as usize == codes.len() => {
            remember(session, subscriptions, suback);
            session.complete(id);
            Ok(Event::Subscribed { packet_identifier: id, reason_codes: codes, properties: suback.properties })
        }
        Some(Stage::Renewal { filters }) if filters as usize == codes.len() => {
            session.complete(id);
            Ok(renewed(subscriptions, suback))
        }
        Some(Stage::Subscribe { .. } | Stage::Renewal { .. }) => Err(ProtocolError::ReasonCodeCount),
        _ => Err(ProtocolError::UnknownPacketIdentifier),
    }
}

/// What the Server granted is to be renewed if it loses the session.
fn remember<S: Storage>(session: &Session<S>, subscriptions: &mut impl SubscriptionList, suback: &Suback<'_>) {
    let Some((properties, filters)) = stored::subscribe(session.storage.head(suback.packet_identifier)) else { return };
    let identifier = properties.iter().find_map(|property| match property {
        Property::SubscriptionIdentifier(identifier) => Some(identifier),
        _ => None,
    });
    for (subscription, code) in filters.iter().zip(suback.reason_codes.iter()) {
        if !code.is_failure() {
            subscriptions.insert(subscription, identifier);
        }
    }
}

fn renewed<'a>(subscriptions: &mut impl SubscriptionList, suback: &Suback<'a>) -> Event<'a> {
    let mut codes = suback.reason_codes.iter();
    let (mut granted, mut refused) = (0_u16, 0_u16);
    for index in 0..subscriptions.len() {
        if subscriptions.renewal(index) != Some(Renewal::Asked(suback.packet_identifier)) {
            continue;
        }
        match codes.next() {
            Some(code) if code.is_failure() => {
                subscriptions.set_renewal(index, Renewal::Refused(code));
                refused = refused.saturating_add(1);
            }
            _ => {
                subscriptions.set_renewal(index, Renewal::Granted);
                granted = granted.saturating_add(1);
            }
        }
    }
    Event::Renewed { granted, refused }
}

fn take_unsuback<'a, S: Storage>(
    session: &mut Session<S>,
    subscriptions: &mut impl SubscriptionList,
    v5: bool,
    unsuback: &Unsuback<'a>,
) -> Result<Event<'a>, ProtocolError> {
    let packet_identifier = unsuback.packet_identifier;
    let exchange = session.exchange(packet_identifier).filter(|exchange| exchange.in_flight);
    let Some(Stage::Unsubscribe { filters }) = exchange.map(|exchange| exchange.stage) else {
        return Err(ProtocolError::UnknownPacketIdentifier);
    };
    let codes = unsuback.reason_codes;
    if v5 && filters as usize != codes.len() {
        return Err(ProtocolError::ReasonCodeCount);
    }
    if let Some((_, filters)) = stored::unsubscribe(session.storage.head(packet_identifier)) {
        for (index, filter) in filters.iter().enumerate() {
            if !codes.get(index).is_some_and(ReasonCode::is_failure) {
                subscriptions.remove(filter);
            }
        }
    }
    session.complete(packet_identifier);
    Ok(Event::Unsubscribed { packet_identifier, reason_codes: codes, properties: unsuback.properties })
}
