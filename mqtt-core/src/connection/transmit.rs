//! What leaves: one packet a call, in an order that keeps the standard's orders.

use super::{Aliases, Connection, ConnectionError, Phase, UsageError};
use crate::codec::bytes::put;
use crate::codec::writer::{Measure, Writer, packet_len};
use crate::error::EncodeError;
use crate::packet::{AckKind, Delivery, PacketType, Publish, Sender, Subscription, Subscriptions};
use crate::property::{Properties, Property, PropertyIdentifier};
use crate::request::TopicAliasUse;
use crate::session::{Exchange, Outcome, Session, Stage, Storage, Table, stored};
use crate::subscription_list::{Renewal, SubscriptionList};
use crate::time::Instant;
use crate::types::{PacketIdentifier, QoS, ReasonCode, TopicName};

/// A packet to send: its first `head_len` bytes are in the lent buffer, then comes the payload.
///
/// Send all of it before anything else of this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transmit {
    /// Bytes in the buffer.
    pub head_len: usize,
    /// Where the payload is.
    pub payload: TransmitPayload,
}

/// The payload of a packet to send, as far as it is not in the buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TransmitPayload {
    /// There is none, or it is in the buffer.
    None,
    /// The caller has it: it is the one of the QoS 0 message that was just given.
    Given,
    /// It is in the session's storage, [`Storage::payload`], whole.
    Stored(PacketIdentifier),
    /// It is read from a source, from its start.
    Source {
        /// Of the exchange, for [`Connection::source_failed`].
        packet_identifier: PacketIdentifier,
        /// What the caller calls the source.
        key: u32,
        /// Bytes to read: exactly as many.
        length: u32,
    },
}

/// The subscription at this place, and its Subscription Identifier, if it is to be asked for.
fn due_renewal<'a, S: Storage>(
    session: &Session<S>,
    subscriptions: &'a impl SubscriptionList,
    index: usize,
) -> Option<(Subscription<'a>, Option<u32>)> {
    if subscriptions.renewal(index) != Some(Renewal::Due) {
        return None;
    }
    // There was no room for the renewal before its UNSUBSCRIBE, and it shall not come behind it.
    subscriptions.get(index).filter(|(subscription, _)| !session.is_unsubscribing(subscription.filter))
}

impl<A: Aliases> Connection<A> {
    /// Writes the next packet to send to the start of `out`, up to its payload; the payload too where the whole packet fits.
    /// `None`: nothing is to be sent now.
    ///
    /// Packets may be given out faster than they are sent, as long as the caller sends them in order.
    ///
    /// # Errors
    /// `BufferTooSmall`: lend more, or end the exchange with [`Session::cancel`]. Nothing has changed.
    pub fn poll_transmit<S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, EncodeError> {
        match self.phase {
            Phase::Connected => {}
            Phase::Closing(reason) if self.version.is_v5() => return self.transmit_disconnect(reason, out),
            _ => return Ok(None),
        }
        if session.has_pending_record() {
            return Ok(None);
        }
        let len = if self.keep_alive.is_ping_due() {
            let (_, len) = Writer::packet(out, PacketType::Pingreq.first_byte(), 0)?;
            if self.limits.check_size(len).is_err() {
                self.fail(ConnectionError::MaximumPacketSizeTooSmall);
                return Ok(None);
            }
            self.keep_alive.ping_given_out(now);
            self.progress.give_out_ping(len);
            return Ok(Some(Transmit { head_len: len, payload: TransmitPayload::None }));
        } else if let Some((kind, id)) = self.strays.first() {
            let len = self.write_ack(kind, id, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND, out)?;
            self.strays.pop();
            if matches!(kind, AckKind::Pubcomp) {
                session.give_back_quota();
            }
            len
        } else if let Some((kind, id, reason_code)) = session.next_acknowledgement() {
            let len = self.write_ack(kind, id, reason_code, out)?;
            session.acknowledgement_sent(id);
            len
        } else if let Some(id) = session.next_pubrel() {
            let len = self.write_ack(AckKind::Pubrel, id, ReasonCode::SUCCESS, out)?;
            session.mark_sent(id);
            len
        } else if let Some(len) = self.transmit_renewal(session, subscriptions, out)? {
            // Before the requests: one of them may end, or change, what is renewed.
            len
        } else if let Some(len) = self.transmit_request(session, out)? {
            len
        } else {
            return self.transmit_publish(session, now, out);
        };
        self.progress.give_out(len);
        Ok((len > 0).then_some(Transmit { head_len: len, payload: TransmitPayload::None }))
    }

    /// Tells whether a packet is to be sent that begins, or goes on with, no exchange of this side's.
    pub(crate) fn has_own_packet<S: Storage>(&self, session: &Session<S>) -> bool {
        self.keep_alive.is_ping_due() || self.strays.first().is_some() || session.next_acknowledgement().is_some()
    }

    /// Tells whether each PINGREQ has had its answer.
    pub(crate) fn has_all_pings_answered(&self) -> bool {
        self.keep_alive.is_quiet()
    }

    /// Marks the renewal whose turn it is as refused; tells whether there is one.
    pub(crate) fn refuse_next_renewal<S: Storage>(
        &mut self,
        session: &Session<S>,
        subscriptions: &mut impl SubscriptionList,
    ) -> bool {
        let Some(from) = self.renewal_from else { return false };
        let next = (from..subscriptions.len()).find(|index| due_renewal(session, subscriptions, *index).is_some());
        if let Some(index) = next {
            subscriptions.set_renewal(index, Renewal::Refused(ReasonCode::PACKET_TOO_LARGE));
            self.refused_renewals = self.refused_renewals.saturating_add(1);
        }
        next.is_some()
    }

    fn transmit_disconnect(
        &mut self,
        reason_code: ReasonCode,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, EncodeError> {
        let (mut writer, len) = Writer::packet(out, PacketType::Disconnect.first_byte(), 2)?;
        writer.u8(reason_code.as_u8());
        writer.u8(0); // bytes of properties
        // The Server's limit may leave no room even for this.
        let len = if self.limits.check_size(len).is_ok() { len } else { 0 };
        self.phase = Phase::Closed;
        self.progress.give_out(len);
        Ok((len > 0).then_some(Transmit { head_len: len, payload: TransmitPayload::None }))
    }

    /// Writes an acknowledgement; 0: the Server's Maximum Packet Size has no room for it, and the connection is over.
    fn write_ack(
        &mut self,
        kind: AckKind,
        packet_identifier: PacketIdentifier,
        reason_code: ReasonCode,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        // 3.1.1 has no Reason Codes, and Success is not said.
        let says_why = self.version.is_v5() && reason_code != ReasonCode::SUCCESS;
        let (mut writer, len) = Writer::packet(out, kind.packet_type().first_byte(), 2 + u32::from(says_why))?;
        writer.u16(packet_identifier.number());
        if says_why {
            writer.u8(reason_code.as_u8());
        }
        if self.limits.check_size(len).is_err() {
            self.fail(ConnectionError::MaximumPacketSizeTooSmall);
            return Ok(0);
        }
        Ok(len)
    }

    /// The next SUBSCRIBE or UNSUBSCRIBE. One that the Server cannot take gets its outcome instead.
    fn transmit_request<S: Storage>(
        &self,
        session: &mut Session<S>,
        out: &mut [u8],
    ) -> Result<Option<usize>, EncodeError> {
        while let Some(id) = session.queues.requests.first() {
            match self.write_request(session, id, out) {
                Ok(len) => {
                    session.mark_sent(id);
                    return Ok(Some(len));
                }
                Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => return Err(error),
                Err(error) => session.end_exchange(id, Outcome::Refused(error)),
            }
        }
        Ok(None)
    }

    fn write_request<S: Storage>(
        &self,
        session: &Session<S>,
        id: PacketIdentifier,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        let head = session.storage.head(id);
        let unsubscribe =
            session.exchange(id).is_some_and(|exchange| matches!(exchange.stage, Stage::Unsubscribe { .. }));
        let (properties, filters) = stored::request(head).ok_or(UsageError::Stale)?;
        let properties = Properties::with_encoded(properties, &[]);
        if !unsubscribe {
            let filters = Subscriptions::from_encoded(filters);
            self.limits.check_subscribe(filters, properties.has(PropertyIdentifier::SubscriptionIdentifier))?;
            filters.check_version(self.version)?;
        }
        // It is stored as 5.0 writes it; what is behind the properties is the same in all versions.
        let v5 = self.version.is_v5();
        if !v5 && !properties.is_empty() {
            return Err(EncodeError::NotInVersion.into());
        }
        let body = if v5 { head } else { filters };
        let packet_type = if unsubscribe { PacketType::Unsubscribe } else { PacketType::Subscribe };
        self.write_small(packet_type, id, body.len(), out, |writer| writer.bytes(body))
    }

    /// Writes a packet that begins with its identifier and has as many bytes behind it.
    fn write_small(
        &self,
        packet_type: PacketType,
        packet_identifier: PacketIdentifier,
        body_len: usize,
        out: &mut [u8],
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Result<usize, UsageError> {
        let remaining_length = request_len(body_len)?;
        self.limits.check_size(packet_len(remaining_length))?;
        let (mut writer, len) = Writer::packet(out, packet_type.first_byte(), remaining_length)?;
        writer.u16(packet_identifier.number());
        write(&mut writer);
        Ok(len)
    }

    /// The next subscription that the Server lost, one a packet, because each may have an identifier of its own.
    fn transmit_renewal<S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        out: &mut [u8],
    ) -> Result<Option<usize>, EncodeError> {
        let Some(from) = self.renewal_from else { return Ok(None) };
        for index in from..subscriptions.len() {
            let Some((subscription, identifier)) = due_renewal(session, subscriptions, index) else { continue };
            let Some(id) = session.vacant_identifier() else { return Ok(None) };
            match self.write_renewal(id, subscription, identifier, out) {
                Ok(len) => {
                    if session.accept_request(id, Stage::Renewal { filters: 1 }).is_err() {
                        return Ok(None);
                    }
                    session.mark_sent(id);
                    subscriptions.set_renewal(index, Renewal::Asked(id));
                    self.renewal_from = index.checked_add(1);
                    return Ok(Some(len));
                }
                Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => return Err(error),
                Err(error) => {
                    subscriptions.set_renewal(index, Renewal::Refused(refusal(error)));
                    self.refused_renewals = self.refused_renewals.saturating_add(1);
                }
            }
        }
        self.renewal_from = None;
        Ok(None)
    }

    fn write_renewal(
        &self,
        packet_identifier: PacketIdentifier,
        subscription: Subscription<'_>,
        identifier: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        let filters = [subscription];
        let filters = Subscriptions::new(&filters);
        self.limits.check_subscribe(filters, identifier.is_some())?;
        filters.check_version(self.version)?;
        let list = [Property::SubscriptionIdentifier(identifier.unwrap_or(1))];
        let properties = if identifier.is_some() { Properties::new(&list) } else { Properties::EMPTY };
        let mut measure = Measure::default();
        let properties_len = properties.measure(self.version, stored::SUBSCRIBE, &mut measure);
        filters.measure(&mut measure);
        measure.result()?;
        self.write_small(PacketType::Subscribe, packet_identifier, measure.len(), out, |writer| {
            properties.write(self.version, writer, properties_len);
            filters.write(writer);
        })
    }

    /// The next PUBLISH at QoS 1 or 2, as far as the Server's Receive Maximum allows [MQTT-3.3.4-7]. One that expired, or
    /// that the Server cannot take, gets its outcome instead.
    fn transmit_publish<S: Storage>(
        &mut self,
        session: &mut Session<S>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, EncodeError> {
        let quota = self.limits.receive_maximum.min(self.ours.send_maximum);
        while let Some(id) = session.queues.publishes.first() {
            let Some(exchange) = session.exchange(id) else { return Ok(None) };
            if session.queues.unacknowledged >= quota || !session.may_be_published(exchange.record) {
                return Ok(None);
            }
            if exchange.is_expired(now) {
                let outcome = exchange.expiry();
                session.end_exchange(id, outcome);
            } else if exchange.has_lost_source() {
                session.end_exchange(id, Outcome::SourceFailed);
            } else {
                match self.write_stored_publish(session, id, now, out) {
                    Ok(transmit) => {
                        session.mark_sent(id);
                        return Ok(Some(transmit));
                    }
                    Err(UsageError::Encode(error @ EncodeError::BufferTooSmall { .. })) => return Err(error),
                    Err(error) => session.end_exchange(id, Outcome::Refused(error)),
                }
            }
        }
        Ok(None)
    }

    fn write_stored_publish<S: Storage>(
        &mut self,
        session: &Session<S>,
        id: PacketIdentifier,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        let exchange = session.exchange(id).ok_or(UsageError::Stale)?;
        let (topic, properties) = stored::publish(session.storage.head(id)).ok_or(UsageError::Stale)?;
        let payload = session.storage.payload(id);
        let message = Outgoing {
            topic,
            delivery: delivery(id, exchange),
            retain: exchange.retain,
            properties: Properties::with_encoded(properties, &[]),
            // An alias is the connection's affair: where the Server has none now, the full topic says the same.
            alias: self.allowed_alias(exchange.alias).unwrap_or(TopicAliasUse::None),
            expires_in: exchange.expires_at.get().map(|at| at.secs_since(now).max(1)),
        };
        let Some(source) = exchange.source else {
            return self.write_publish(&message, Some(payload), payload.len() as u32, TransmitPayload::Stored(id), out);
        };
        let place = TransmitPayload::Source { packet_identifier: id, key: source.key, length: source.length };
        self.write_publish(&message, None, source.length, place, out)
    }

    /// Writes the head of a PUBLISH, and its payload where it is at hand and fits.
    pub(super) fn write_publish(
        &mut self,
        message: &Outgoing<'_>,
        payload: Option<&[u8]>,
        payload_len: u32,
        place: TransmitPayload,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        match self.write_publish_as(message, message.alias, payload, payload_len, place, out) {
            // The first PUBLISH with an alias is longer by it; nobody has asked for that.
            Err(UsageError::PacketTooLarge { .. }) if matches!(message.alias, TopicAliasUse::Automatic) => {
                self.write_publish_as(message, TopicAliasUse::None, payload, payload_len, place, out)
            }
            written => written,
        }
    }

    fn write_publish_as(
        &mut self,
        message: &Outgoing<'_>,
        alias: TopicAliasUse,
        payload: Option<&[u8]>,
        payload_len: u32,
        place: TransmitPayload,
        out: &mut [u8],
    ) -> Result<Transmit, UsageError> {
        self.limits.check_publish(message.delivery.qos(), message.retain)?;
        let (topic, alias) = self.choose_alias(message.topic, alias);
        let mut own = [0; 8];
        let own = own_properties(alias, message.expires_in.filter(|_| self.version.is_v5()), &mut own);
        let Outgoing { delivery, retain, properties, .. } = *message;
        let publish = Publish { topic, delivery, retain, properties, payload: &[] };
        let measured = publish.measure(self.version, Sender::Client, own, payload_len)?;
        self.limits.check_size(measured.packet_len())?;
        let head_len = measured.packet_len().saturating_sub(payload_len as usize);
        publish.write(self.version, own, measured, &mut Writer::new(out, head_len)?);
        if let (Some(alias), Some(topic)) = (alias, topic) {
            self.aliases.set_outgoing(alias, topic.as_str());
        }
        self.progress.give_out(measured.packet_len());
        let copied = payload.and_then(|payload| put(out.get_mut(head_len..)?, payload)).is_some();
        if !copied {
            return Ok(Transmit { head_len, payload: place });
        }
        Ok(Transmit { head_len: head_len.saturating_add(payload_len as usize), payload: TransmitPayload::None })
    }

    /// The alias that was asked for, if the Server takes it; `None` if it is out of the Server's range.
    pub(super) fn allowed_alias(&self, wanted: TopicAliasUse) -> Option<TopicAliasUse> {
        match wanted {
            TopicAliasUse::Number(alias) if alias == 0 || alias > self.limits.topic_alias_maximum => None,
            _ => Some(wanted),
        }
    }

    /// What names the topic: itself, with an alias for later, or an alias alone that the Server knows on this connection.
    fn choose_alias<'t>(
        &mut self,
        topic: TopicName<'t>,
        wanted: TopicAliasUse,
    ) -> (Option<TopicName<'t>>, Option<u16>) {
        let maximum = self.limits.topic_alias_maximum;
        if !cfg!(feature = "alias") || maximum == 0 || !self.version.is_v5() {
            return (Some(topic), None);
        }
        match wanted {
            TopicAliasUse::None => (Some(topic), None),
            TopicAliasUse::Number(alias) if self.aliases.outgoing_topic(alias) == Some(topic.as_str()) => {
                (None, Some(alias))
            }
            TopicAliasUse::Number(alias) => (Some(topic), Some(alias)),
            TopicAliasUse::Automatic => match self.aliases.outgoing(topic.as_str()) {
                Some(alias) => (None, Some(alias)),
                None => (Some(topic), self.aliases.choose_outgoing(topic.as_str(), maximum)),
            },
        }
    }
}

/// What the Server would say to a SUBSCRIBE that it is not sent.
const fn refusal(error: UsageError) -> ReasonCode {
    match error {
        UsageError::WildcardSubscriptionsNotSupported => ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        UsageError::SubscriptionIdentifiersNotSupported => ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        UsageError::SharedSubscriptionsNotSupported => ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        UsageError::PacketTooLarge { .. } => ReasonCode::PACKET_TOO_LARGE,
        UsageError::Encode(EncodeError::NotInVersion) => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        _ => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
    }
}

/// The properties of a PUBLISH that the machine itself writes, encoded: Topic Alias and Message Expiry Interval.
fn own_properties(alias: Option<u16>, expires_in: Option<u32>, out: &mut [u8; 8]) -> &[u8] {
    let mut writer = Writer::over(out);
    if let Some(alias) = alias.filter(|_| cfg!(feature = "alias")) {
        writer.u8(PropertyIdentifier::TopicAlias as u8);
        writer.u16(alias);
    }
    if let Some(seconds) = expires_in {
        writer.u8(PropertyIdentifier::MessageExpiryInterval as u8);
        writer.u32(seconds);
    }
    let len = 8_usize.saturating_sub(writer.room());
    out.get(..len).unwrap_or_default()
}

/// The Remaining Length of a packet that has so many bytes behind its identifier.
pub(super) fn request_len(body_len: usize) -> Result<u32, EncodeError> {
    let mut measure = Measure::default();
    measure.add(2);
    measure.add(body_len);
    measure.remaining_length()
}

/// A message about to be written.
pub(super) struct Outgoing<'a> {
    pub(super) topic: TopicName<'a>,
    pub(super) delivery: Delivery,
    pub(super) retain: bool,
    pub(super) properties: Properties<'a>,
    pub(super) alias: TopicAliasUse,
    pub(super) expires_in: Option<u32>,
}

/// DUP on every re-delivery, and only there [MQTT-3.3.1-1].
const fn delivery(packet_identifier: PacketIdentifier, exchange: &Exchange) -> Delivery {
    match exchange.stage {
        Stage::Publish(QoS::ExactlyOnce) => Delivery::ExactlyOnce { packet_identifier, dup: exchange.sent },
        _ => Delivery::AtLeastOnce { packet_identifier, dup: exchange.sent },
    }
}

impl<S: Storage> Session<S> {
    /// The PUBREL to send next, in the order in which PUBRECs arrived [MQTT-4.6.0-4]; an exhausted Receive Maximum does not
    /// delay it [MQTT-3.3.4-8].
    fn next_pubrel(&self) -> Option<PacketIdentifier> {
        let id = self.queues.pubrels.first().filter(|_| cfg!(feature = "qos2"))?;
        let exchange = self.storage.outgoing().get(id)?;
        self.may_leave(exchange.record).then_some(id)
    }
}
