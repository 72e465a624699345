//! What the application asks for.

use super::transmit::{Outgoing, Transmit, TransmitPayload, request_len};
use super::{Aliases, Connection, ConnectionError, Phase, UsageError};
use crate::codec::variable_byte_integer;
use crate::codec::writer::{Measure, Writer, packet_len};
use crate::error::EncodeError;
use crate::maybe::Maybe;
use crate::packet::{Delivery, Disconnect, PacketType, Sender, Subscriptions, TopicFilters};
use crate::property::{Properties, Property, PropertyIdentifier};
use crate::request::{Body, Payload, PublishRequest, SubscribeRequest, TopicAliasUse, UnsubscribeRequest};
use crate::session::{Acknowledgement, RecordTicket, Session, Stage, Storage, stored};
use crate::subscription_list::SubscriptionList;
use crate::time::Instant;
use crate::types::{PacketIdentifier, QoS, ReasonCode};

impl<A: Aliases> Connection<A> {
    /// Writes a PUBLISH at QoS 0 to the start of `out`, with its payload where the whole packet fits; otherwise the caller
    /// sends the payload behind it ([`TransmitPayload::Given`]).
    ///
    /// It is sent once or not at all, and has no outcome.
    ///
    /// # Errors
    /// `NotConnected`, `ConnectionClosed`, `WrongQoS`; a limit of the Server; what cannot be encoded, among it
    /// `BufferTooSmall` with the bytes that are needed up to the payload. Nothing is sent then.
    pub fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        payload: Payload<'_>,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        self.check_connected()?;
        if !matches!(request.qos, QoS::AtMostOnce) {
            return Err(UsageError::WrongQoS);
        }
        self.check_publish(request)?;
        let message = Outgoing {
            topic: request.topic,
            delivery: Delivery::AtMostOnce,
            retain: request.retain,
            properties: request.properties,
            alias: request.topic_alias,
            expires_in: request.message_expiry_interval,
        };
        let (payload, payload_len) = match payload {
            Payload::Bytes(payload) => {
                (Some(payload), u32::try_from(payload.len()).map_err(|_| EncodeError::PacketTooLarge)?)
            }
            Payload::Source { length } => (None, length),
        };
        self.write_publish(&message, payload, payload_len, TransmitPayload::Given, out)
    }

    /// Takes a message at QoS 1 or 2 into the session, which keeps it until it is acknowledged, over as many connections as
    /// that takes. It need not be connected.
    ///
    /// Its outcome comes as [`Event::Published`](crate::Event::Published) or from
    /// [`Session::poll_outcome`]; until then the identifier is its own.
    ///
    /// # Errors
    /// `InFlightFull`, `StorageFull`: wait for outcomes. `WrongQoS`, what cannot be encoded, and while connected a limit of the
    /// Server. Nothing has changed then.
    pub fn publish<S: Storage>(
        &self,
        session: &mut Session<S>,
        now: Instant,
        request: &PublishRequest<'_>,
        body: Body<S::Payload<'_>>,
    ) -> Result<PacketIdentifier, UsageError> {
        match request.qos {
            QoS::AtMostOnce => return Err(UsageError::WrongQoS),
            QoS::ExactlyOnce if !cfg!(feature = "qos2") => return Err(UsageError::FeatureAbsent),
            _ => {}
        }
        if session.has_pending_record() {
            return Err(UsageError::RecordPending);
        }
        let payload_len = match &body {
            Body::Stored(payload) => payload.as_ref().len(),
            Body::Source { .. } if !cfg!(feature = "streaming") => return Err(UsageError::FeatureAbsent),
            Body::Source { length, .. } => *length as usize,
        };
        self.check_publish(request)?;
        self.check_publish_size(request, payload_len)?;
        session.accept(now, request, body)
    }

    /// What can be wrong with a message before it is written.
    fn check_publish(&self, request: &PublishRequest<'_>) -> Result<(), UsageError> {
        for own in [PropertyIdentifier::TopicAlias, PropertyIdentifier::MessageExpiryInterval] {
            if !request.properties.is_empty() && request.properties.has(own) {
                return Err(EncodeError::PropertyNotAllowed(own).into());
            }
        }
        if !self.is_connected() {
            return Ok(());
        }
        self.limits.check_publish(request.qos, request.retain)?;
        if matches!(request.topic_alias, TopicAliasUse::Number(_)) {
            if !cfg!(feature = "alias") {
                return Err(UsageError::FeatureAbsent);
            }
            if !self.version.is_v5() {
                return Err(UsageError::NotInVersion);
            }
            if self.allowed_alias(request.topic_alias).is_none() {
                return Err(UsageError::TopicAliasNotSupported { maximum: self.limits.topic_alias_maximum });
            }
        }
        Ok(())
    }

    /// The size with the full topic, as after a reconnect.
    fn check_publish_size(&self, request: &PublishRequest<'_>, payload_len: usize) -> Result<(), UsageError> {
        let connected = self.is_connected();
        let v5 = self.version.is_v5();
        if connected && !v5 && !request.properties.is_empty() {
            return Err(EncodeError::NotInVersion.into());
        }
        let payload_len = u32::try_from(payload_len).map_err(|_| EncodeError::PacketTooLarge)?;
        let mut measure = Measure::default();
        measure.binary(request.topic.as_str().as_bytes());
        measure.add(2); // Packet Identifier
        if v5 || !connected {
            let expiry: &[u8] = if request.message_expiry_interval.is_some() { &[0; 5] } else { &[] };
            // Not connected: which version it will be is not known yet.
            request.properties.measure_with(stored::LARGEST_VERSION, stored::PUBLISH, expiry, &mut measure);
        }
        measure.payload(payload_len);
        let needed = packet_len(measure.remaining_length()?);
        if connected { self.limits.check_size(needed) } else { Ok(()) }
    }

    /// Asks for subscriptions. The SUBSCRIBE is kept until it is answered, and sent again on the next connection if need be.
    ///
    /// The answer comes as [`Event::Subscribed`](crate::Event::Subscribed); what is granted is added to `subscriptions`.
    ///
    /// # Errors
    /// `Encode(EmptyPayload)` without a filter, `Encode(NoLocalOnShared)`, `SubscriptionsFull`, `InFlightFull`, `StorageFull`,
    /// `NotInVersion`, and while connected a limit of the Server. Nothing has changed then.
    pub fn subscribe<S: Storage>(
        &self,
        session: &mut Session<S>,
        subscriptions: &impl SubscriptionList,
        request: &SubscribeRequest<'_>,
    ) -> Result<PacketIdentifier, UsageError> {
        let filters = Subscriptions::new(request.filters);
        let count = u16::try_from(request.filters.len()).map_err(|_| EncodeError::FieldTooLong)?;
        let longest = filters.iter().fold(0, |longest, entry| longest.max(entry.filter.as_str().len()));
        if !cfg!(feature = "qos2") && filters.iter().any(|entry| matches!(entry.options.qos, QoS::ExactlyOnce)) {
            return Err(UsageError::FeatureAbsent);
        }
        // Those that are asked for have their room already.
        let wanted = request.filters.len().saturating_add(session.queues.subscribing as usize);
        if !subscriptions.has_room(wanted, longest) {
            return Err(UsageError::SubscriptionsFull);
        }
        if self.is_connected() {
            self.limits.check_subscribe(filters, request.subscription_identifier.is_some())?;
        }
        let mut own = [0; 5];
        let own = subscription_identifier(request.subscription_identifier, &mut own)?;
        let properties = Properties::with_encoded(own, request.properties);
        let request = stored::Request { properties, filters: stored::Filters::Subscribe(filters) };
        self.accept_request(session, &request, Stage::Subscribe { filters: count })
    }

    fn accept_request<S: Storage>(
        &self,
        session: &mut Session<S>,
        request: &stored::Request<'_>,
        stage: Stage,
    ) -> Result<PacketIdentifier, UsageError> {
        let id = session.vacant_identifier().ok_or(UsageError::InFlightFull)?;
        let connected = self.is_connected();
        let measured = request.measure(connected.then_some(self.version))?;
        if connected {
            // Without the length of properties in 3.1.1, which has none.
            let body_len = measured.1.saturating_sub(usize::from(!self.version.is_v5()));
            self.limits.check_size(packet_len(request_len(body_len)?))?;
        }
        request.store(&mut session.storage, id, measured)?;
        session.accept_request(id, stage)?;
        Ok(id)
    }

    /// Ends subscriptions. The UNSUBSCRIBE is kept until it is answered, and sent again on the next connection if need be.
    ///
    /// The answer comes as [`Event::Unsubscribed`](crate::Event::Unsubscribed).
    ///
    /// # Errors
    /// `Encode(EmptyPayload)` without a filter, `InFlightFull`, `StorageFull`, `NotInVersion`, `PacketTooLarge`. Nothing has
    /// changed then.
    pub fn unsubscribe<S: Storage>(
        &self,
        session: &mut Session<S>,
        request: &UnsubscribeRequest<'_>,
    ) -> Result<PacketIdentifier, UsageError> {
        let filters = TopicFilters::new(request.filters);
        let count = u16::try_from(request.filters.len()).map_err(|_| EncodeError::FieldTooLong)?;
        let properties = Properties::new(request.properties);
        let request = stored::Request { properties, filters: stored::Filters::Unsubscribe(filters) };
        self.accept_request(session, &request, Stage::Unsubscribe { filters: count })
    }

    /// Acknowledges a received message, or refuses it with a failing Reason Code (5.0). It is sent in its turn.
    ///
    /// With a store a message at QoS 2 was acknowledged when it was recorded; this confirms that the application has it. It
    /// can no longer be refused, and its token is never stale: confirming twice does no harm.
    ///
    /// # Errors
    /// `Stale` if the token is void; `NotInVersion` for a refusal in 3.1.1, `AlreadyAcknowledged` for one of such a message,
    /// `Encode(ReasonCodeNotAllowed)` for one that PUBACK or PUBREC has not; `RecordPending`.
    pub fn acknowledge<S: Storage>(
        &self,
        session: &mut Session<S>,
        token: Acknowledgement,
        reason_code: ReasonCode,
    ) -> Result<(), UsageError> {
        if reason_code.is_failure() && !self.version.is_v5() {
            return Err(UsageError::NotInVersion);
        }
        // PUBREC has the same ones.
        if !reason_code.is_allowed_in(PacketType::Puback, Sender::Client) {
            return Err(EncodeError::ReasonCodeNotAllowed(reason_code).into());
        }
        if reason_code.is_failure() && token.exactly_once && session.is_durable() {
            return Err(UsageError::AlreadyAcknowledged);
        }
        if session.has_pending_record() {
            return Err(UsageError::RecordPending);
        }
        if session.acknowledge(token, reason_code) { Ok(()) } else { Err(UsageError::Stale) }
    }

    /// Sends PINGREQ, whatever the Keep Alive; [`Event::Pong`](crate::Event::Pong) answers. If one is on its way already, none is added.
    /// With Keep Alive 0 there are no timers: whether it is answered is for the caller to watch.
    ///
    /// # Errors
    /// `NotConnected`, `ConnectionClosed`.
    pub fn ping(&mut self) -> Result<(), UsageError> {
        self.check_connected()?;
        self.keep_alive.request_ping();
        Ok(())
    }

    /// Ends the connection: writes DISCONNECT to the start of `out` and returns its length. Send it, then close the
    /// transport. In 5.0 it has a reason and properties; Reason String and User Properties are left out if the Server's
    /// Maximum Packet Size demands it.
    ///
    /// Before CONNACK, 3.1.1 knows no DISCONNECT: 0 bytes are written.
    ///
    /// With a Session Expiry Interval of 0 the Server's session ends: the next connection begins a new one, and what is in
    /// flight then fares as with a Server that lost the session.
    ///
    /// # Errors
    /// `NotInVersion` for a reason or properties in 3.1.1, `Encode`, `ConnectionClosed`. The connection goes on then.
    pub fn disconnect<S: Storage>(
        &mut self,
        session: &mut Session<S>,
        reason_code: ReasonCode,
        properties: &[Property<'_>],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        if let Some(error) = self.failure() {
            return Err(UsageError::ConnectionClosed(error));
        }
        let properties = Properties::new(properties);
        let expiry = properties.find(PropertyIdentifier::SessionExpiryInterval).map(|expiry| expiry.number);
        let lengthens = self.ours.session_expiry_interval == 0 && expiry.is_some_and(|seconds| seconds != 0);
        if lengthens && !matches!(self.phase, Phase::New) {
            return Err(EncodeError::PropertyValue(PropertyIdentifier::SessionExpiryInterval).into());
        }
        let mut disconnect = Disconnect { reason_code, properties };
        let len = match self.phase {
            Phase::New => 0,
            Phase::Connecting if !self.version.is_v5() => 0,
            _ => disconnect.encode_within(self.version, Sender::Client, self.limits.maximum_packet_size, out)?,
        };
        match expiry {
            Some(0) if len > 0 => session.established = false,
            // The Server keeps it after all, whatever its CONNACK said.
            Some(_) if self.is_connected() => session.established = true,
            _ => {}
        }
        self.failure = Maybe::Some(ConnectionError::Closed);
        self.phase = Phase::Closed;
        self.progress.give_out(len);
        Ok(len)
    }

    /// Tells that a record could not be made durable; the connection lives. A publish fails with
    /// [`Outcome::StoreFailed`](crate::Outcome::StoreFailed), a message from the Server counts as not received, any other
    /// record is due again.
    ///
    /// # Errors
    /// `RecordPending`: poll it, then tell this again.
    pub fn record_failed<S: Storage>(&self, session: &mut Session<S>, ticket: RecordTicket) -> Result<(), UsageError> {
        if session.has_pending_record() {
            return Err(UsageError::RecordPending);
        }
        session.fail_record(ticket, self.version.is_v5());
        Ok(())
    }
}

/// A Subscription Identifier as a property, encoded.
fn subscription_identifier(identifier: Option<u32>, out: &mut [u8; 5]) -> Result<&[u8], EncodeError> {
    let Some(identifier) = identifier else { return Ok(&[]) };
    if identifier == 0 || identifier > variable_byte_integer::MAX {
        return Err(EncodeError::PropertyValue(PropertyIdentifier::SubscriptionIdentifier));
    }
    let mut writer = Writer::over(out);
    writer.u8(PropertyIdentifier::SubscriptionIdentifier as u8);
    writer.variable_byte_integer(identifier);
    let len = 5_usize.saturating_sub(writer.room());
    Ok(out.get(..len).unwrap_or_default())
}
