//! What arrives: one packet, the head of a PUBLISH, or a part of its payload.

use core::fmt;

use super::event::{Event, Message};
use super::{Aliases, Connection, ConnectionError, Phase, ProtocolError};
use crate::codec::framing::Input;
use crate::codec::reader::Reader;
use crate::error::DecodeError;
use crate::maybe::Maybe;
use crate::packet::fixed_header::FixedHeader;
use crate::packet::{
    Ack, AckKind, Delivery, Disconnect, PacketType, Publish, Sender, Suback, Unsuback, check_received,
};
use crate::property::{Properties, PropertyIdentifier};
use crate::session::{RecordTicket, Session, Stage, Step, Storage, Table, Verdict, stored};
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
    #[inline]
    pub fn receive<'a, S: Storage>(
        &'a mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        input: Input<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        // One value from the start to the end, so that it is not copied.
        let mut taken = self.take(session, subscriptions, now, input);
        match &mut taken {
            Ok(event) => self.resolve(event),
            Err(ReceiveError::Connection(error)) => *error = self.fail(*error),
            Err(ReceiveError::NotReady) => {}
        }
        taken
    }

    /// Finds the topic of a message that is known by its alias only. That is done last: until then nothing borrows the aliases.
    fn resolve<'a>(&'a self, event: &mut Option<Event<'a>>) {
        if !cfg!(feature = "alias") {
            return;
        }
        let (Some(Event::Message(message))
        | Some(Event::MessageBegins { message, .. } | Event::Skipped { message, .. })) = event
        else {
            return;
        };
        if message.topic.as_str().is_empty() {
            let topic = message.properties.topic_alias().and_then(|alias| self.aliases.incoming(alias));
            message.topic = TopicName::from_checked(topic.unwrap_or(""));
        }
    }

    #[inline(never)]
    fn take<'a, S: Storage>(
        &mut self,
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
        let (packet, to_come) = match input {
            Input::Packet(packet) => (packet, None),
            Input::PublishHead { head, payload_len } => (head, Some(payload_len)),
            Input::PublishPayload { bytes, last } => return self.take_payload(session, bytes, last),
        };
        self.check_size(packet.len().saturating_add(to_come.unwrap_or(0) as usize))?;
        let (header, body) = FixedHeader::split(packet, to_come.unwrap_or(0))?;
        let reader = &mut Reader::new(body);
        let packet_type = header.packet_type;
        let v5 = self.version.is_v5();
        check_received(packet_type, self.version, Sender::Server)?;
        // CONNACK comes first, or AUTH before it [MQTT-3.2.0-1].
        let early = matches!(packet_type, PacketType::Connack | PacketType::Auth);
        if !matches!(self.phase, Phase::Connected) && !early {
            return Err(ProtocolError::UnexpectedPacket(packet_type).into());
        }
        // Each packet is decoded where it is wanted: a `Packet` of any kind would be copied about.
        match packet_type {
            PacketType::Publish => self.take_publish(session, header.flags, reader, to_come),
            // Only a PUBLISH comes in parts.
            other if to_come.is_some() => Err(DecodeError::PacketNotAllowed(other).into()),
            PacketType::Connack => self.take_connack(session, subscriptions, now, reader),
            PacketType::Suback => self.take_suback(session, subscriptions, reader),
            PacketType::Unsuback => self.take_unsuback(session, subscriptions, reader),
            PacketType::Pingresp => {
                reader.finish()?;
                self.keep_alive.pingresp();
                Ok(Some(Event::Pong))
            }
            PacketType::Disconnect if v5 => self.take_disconnect(reader),
            PacketType::Auth if v5 && cfg!(feature = "auth") => self.take_auth(reader),
            _ => match AckKind::of(packet_type) {
                Some(kind) => self.take_ack(session, kind, reader),
                // A Server does not send the others, and that was checked; but AUTH, which nobody has asked it for.
                None => Err(ProtocolError::UnexpectedPacket(packet_type).into()),
            },
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

    #[inline(never)]
    fn take_disconnect<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Event<'a>>, ReceiveError> {
        let disconnect = Disconnect::decode(self.version, Sender::Server, reader)?;
        self.failure = Maybe::Some(ConnectionError::Disconnected(disconnect.reason_code));
        self.phase = Phase::Closed;
        Ok(Some(Event::Disconnected(disconnect)))
    }

    /// With Request Problem Information 0 these stand in PUBLISH, CONNACK and DISCONNECT only [MQTT-3.1.2-29].
    pub(super) fn check_diagnostics(&self, properties: Properties<'_>) -> Result<(), ProtocolError> {
        if !cfg!(feature = "v5") || !self.ours.no_problem_information {
            return Ok(());
        }
        for identifier in [PropertyIdentifier::ReasonString, PropertyIdentifier::UserProperty] {
            if properties.has(identifier) {
                return Err(ProtocolError::Unrequested(identifier));
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn take_publish<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        flags: u8,
        reader: &mut Reader<'a>,
        to_come: Option<u32>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let publish = &Publish::decode(self.version, Sender::Server, flags, reader, to_come.is_some())?;
        let mut message = self.begin_message(session, publish)?;
        if let Some(payload_len) = to_come {
            return Ok(self.begin_inbound(session, message, publish.delivery, payload_len));
        }
        if !self.complete_inbound(session, publish.delivery, false)? {
            return Ok(None);
        }
        if let Some((token, record)) = publish.delivery.packet_identifier().and_then(|id| session.token(id)) {
            message.acknowledgement = Some(token);
            message.record_ticket = RecordTicket::received(record, token.packet_identifier);
        }
        Ok(Some(Event::Message(message)))
    }

    /// What both a whole PUBLISH and the head of one begin with. A topic known by its alias is empty until the end.
    fn begin_message<'a, S: Storage>(
        &mut self,
        session: &Session<S>,
        publish: &Publish<'a>,
    ) -> Result<Message<'a>, ReceiveError> {
        if self.is_streaming() {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Publish).into());
        }
        self.check_room(session, publish.delivery)?;
        self.learn_alias(publish.topic, publish.properties)?;
        Ok(Message {
            topic: publish.topic.unwrap_or(TopicName::from_checked("")),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.delivery.dup(),
            properties: publish.properties,
            payload: publish.payload,
            acknowledgement: None,
            record_ticket: None,
        })
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

    /// Learns an alias, or checks that it is known if the packet has no other name for the topic.
    fn learn_alias(&mut self, topic: Option<TopicName<'_>>, properties: Properties<'_>) -> Result<(), ProtocolError> {
        // Decoding has refused a PUBLISH with neither.
        let Some(alias) = properties.topic_alias() else { return Ok(()) };
        if !cfg!(feature = "alias") || alias > self.aliases.incoming_maximum() {
            return Err(ProtocolError::TopicAliasInvalid);
        }
        match topic {
            Some(topic) if self.aliases.set_incoming(alias, topic.as_str()) => Ok(()),
            Some(_) => Err(ProtocolError::TopicAliasTooLong),
            None if self.aliases.incoming(alias).is_some() => Ok(()),
            None => Err(ProtocolError::TopicAliasUnknown),
        }
    }

    /// The whole message is here; tells whether it is new, rather than handed over before.
    fn complete_inbound<S: Storage>(
        &self,
        session: &mut Session<S>,
        delivery: Delivery,
        skipped: bool,
    ) -> Result<bool, ReceiveError> {
        let Some(packet_identifier) = delivery.packet_identifier() else { return Ok(true) };
        let acknowledge = skipped || self.ours.acknowledge_at_once;
        match session.arrived(packet_identifier, delivery.qos(), acknowledge, skipped) {
            Verdict::Deliver => Ok(true),
            Verdict::Duplicate => Ok(false),
            Verdict::IdentifierInUse => Err(ProtocolError::PacketIdentifierInUse.into()),
            Verdict::Full => Err(ReceiveError::NotReady), // `check_room` has looked
        }
    }

    fn begin_inbound<'a, S: Storage>(
        &mut self,
        session: &Session<S>,
        message: Message<'a>,
        delivery: Delivery,
        payload_len: u32,
    ) -> Option<Event<'a>> {
        let duplicate = delivery.packet_identifier().is_some_and(|id| session.is_duplicate(id, delivery.qos()));
        let stream = cfg!(feature = "streaming") && self.ours.streaming;
        self.inbound = Maybe::Some(Inbound { delivery, swallow: duplicate || !stream });
        match (duplicate, stream) {
            (true, _) => None,
            (false, true) => Some(Event::MessageBegins { message, payload_len }),
            (false, false) => Some(Event::Skipped { message, payload_len }),
        }
    }

    /// A PUBLISH has begun whose payload has not ended.
    const fn is_streaming(&self) -> bool {
        matches!(self.inbound, Maybe::Some(_))
    }

    #[inline(never)]
    fn take_payload<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        bytes: &'a [u8],
        last: bool,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let Maybe::Some(inbound) = self.inbound else {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Publish).into());
        };
        if !last {
            return Ok((!inbound.swallow).then_some(Event::Fragment(bytes)));
        }
        // Nobody gets the token of what is swallowed; a duplicate counts as a new message if its PUBREC, a refusal, has left.
        let new = self.complete_inbound(session, inbound.delivery, inbound.swallow)?;
        self.inbound = Maybe::None;
        if !new || inbound.swallow {
            return Ok(None);
        }
        let (mut acknowledgement, mut ticket) = (None, None);
        if let Some((token, record)) = inbound.delivery.packet_identifier().and_then(|id| session.token(id)) {
            acknowledgement = Some(token);
            ticket = RecordTicket::received(record, token.packet_identifier);
        }
        Ok(Some(Event::MessageEnds { fragment: bytes, acknowledgement, record: ticket }))
    }

    #[inline(never)]
    fn take_ack<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        kind: AckKind,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let ack = Ack::decode(kind, self.version, Sender::Server, reader)?;
        self.check_diagnostics(ack.properties)?;
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

    #[inline(never)]
    fn take_suback<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let suback = Suback::decode(self.version, reader)?;
        self.check_diagnostics(suback.properties)?;
        let (id, codes) = (suback.packet_identifier, suback.reason_codes);
        let exchange = session.exchange(id).filter(|exchange| exchange.in_flight);
        let (filters, renewal) = match exchange.map(|exchange| exchange.stage) {
            Some(Stage::Subscribe { filters }) => (filters, false),
            Some(Stage::Renewal { filters }) => (filters, true),
            _ => return Err(ProtocolError::UnknownPacketIdentifier.into()),
        };
        if filters as usize != codes.len() {
            return Err(ProtocolError::ReasonCodeCount.into());
        }
        if !renewal {
            remember(session, subscriptions, &suback);
        }
        session.complete(id);
        Ok(Some(if renewal {
            renewed(subscriptions, &suback)
        } else {
            Event::Subscribed { packet_identifier: id, reason_codes: codes, properties: suback.properties }
        }))
    }

    #[inline(never)]
    fn take_unsuback<'a, S: Storage, L: SubscriptionList>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut L,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let unsuback = Unsuback::decode(self.version, reader)?;
        self.check_diagnostics(unsuback.properties)?;
        // What leaves the list may move others to places that were looked at, and what was passed over because of this
        // UNSUBSCRIBE is due if it was refused.
        self.renewal_from = Some(0);
        let (packet_identifier, codes) = (unsuback.packet_identifier, unsuback.reason_codes);
        let exchange = session.exchange(packet_identifier).filter(|exchange| exchange.in_flight);
        let Some(Stage::Unsubscribe { filters }) = exchange.map(|exchange| exchange.stage) else {
            return Err(ProtocolError::UnknownPacketIdentifier.into());
        };
        if self.version.is_v5() && filters as usize != codes.len() {
            return Err(ProtocolError::ReasonCodeCount.into());
        }
        let forgotten = stored::unsubscribe(session.storage.head(packet_identifier)).filter(|_| L::KEEPS);
        if let Some((_, filters)) = forgotten {
            for (index, filter) in filters.iter().enumerate() {
                if !codes.get(index).is_some_and(ReasonCode::is_failure) {
                    subscriptions.remove(filter);
                }
            }
        }
        session.complete(packet_identifier);
        Ok(Some(Event::Unsubscribed { packet_identifier, reason_codes: codes, properties: unsuback.properties }))
    }
}

/// What the Server granted is to be renewed if it loses the session.
fn remember<S: Storage, L: SubscriptionList>(session: &Session<S>, subscriptions: &mut L, suback: &Suback<'_>) {
    if !L::KEEPS {
        return;
    }
    let Some((properties, filters)) = stored::subscribe(session.storage.head(suback.packet_identifier)) else { return };
    let identifier = properties.find(PropertyIdentifier::SubscriptionIdentifier).map(|identifier| identifier.number);
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
