//! Calls as bytes. Commands are the packets that they are, as 5.0 writes them.

use mqtt_core::{
    Acknowledge, Auth, Body, CleanStart, Connect, ConnectOptions, DecodeError, Delivery, Disconnect, EncodeError,
    Input, Packet, PacketIdentifier, Payload, Properties, ProtocolVersion, Publish, PublishRequest, QoS, ReasonCode,
    Record, Sender, Subscribe, SubscribeRequest, Subscriptions, TopicAliasUse, TopicFilters, Unsubscribe,
    UnsubscribeRequest,
};

use super::format::{Clock, Kind, put_bytes, put_number, put_option};
use super::mask::Mask;
use crate::machine::Call;

/// What calls are written as: the version of all commands.
pub(super) const SHAPE: ProtocolVersion = ProtocolVersion::V5_0;

/// What framing says of bytes that it cannot read, each by its place.
pub(super) const FRAMING: [DecodeError; 7] = [
    DecodeError::UnexpectedEnd,
    DecodeError::VariableByteInteger,
    DecodeError::ReservedPacketType,
    DecodeError::InvalidFlags,
    DecodeError::InvalidQoS,
    DecodeError::PacketTooLarge,
    DecodeError::TrailingBytes,
];

impl Call<'_> {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Connect { .. } => Kind::Connect,
            Self::Receive { .. } => Kind::Receive,
            Self::FailFraming { .. } => Kind::FailFraming,
            Self::BytesReceived { .. } => Kind::BytesReceived,
            Self::SetReading { .. } => Kind::SetReading,
            Self::PollTransmit { .. } => Kind::PollTransmit,
            Self::Transmitted { .. } => Kind::Transmitted,
            Self::SourceWaits { .. } => Kind::SourceWaits,
            Self::HandleTimeout { .. } => Kind::HandleTimeout,
            Self::Expire { .. } => Kind::Expire,
            Self::PollOutcome => Kind::PollOutcome,
            Self::PollRecord { .. } => Kind::PollRecord,
            Self::RecordsDurable { .. } => Kind::RecordsDurable,
            Self::RecordFailed { .. } => Kind::RecordFailed,
            Self::Restore { .. } => Kind::Restore,
            Self::SetDurable { .. } => Kind::SetDurable,
            Self::ExpectSessionPresent => Kind::ExpectSessionPresent,
            Self::EndSession => Kind::EndSession,
            Self::PublishAtMostOnce { .. } => Kind::PublishAtMostOnce,
            Self::Publish { .. } => Kind::Publish,
            Self::Subscribe { .. } => Kind::Subscribe,
            Self::Unsubscribe { .. } => Kind::Unsubscribe,
            Self::Acknowledge { .. } => Kind::Acknowledge,
            Self::Ping => Kind::Ping,
            Self::Authenticate { .. } => Kind::Authenticate,
            Self::Reauthenticate { .. } => Kind::Reauthenticate,
            Self::Disconnect { .. } => Kind::Disconnect,
            Self::TransportLost => Kind::TransportLost,
            Self::ConnectionDied => Kind::ConnectionDied,
            Self::SourceFailed { .. } => Kind::SourceFailed,
            Self::Cancel { .. } => Kind::Cancel,
            Self::SetIdentifiersAvailable { .. } => Kind::SetIdentifiersAvailable,
            Self::ChooseIdentifier { .. } => Kind::ChooseIdentifier,
            Self::NextIdentifier => Kind::NextIdentifier,
            Self::RemoveSubscription { .. } => Kind::RemoveSubscription,
        }
    }
}

/// Where a call is written to, and how.
pub(super) struct Pen<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) clock: &'a mut Clock,
    pub(super) mask: &'a Mask,
    /// That of the connection, for what arrives.
    pub(super) version: ProtocolVersion,
}

impl Pen<'_> {
    /// Writes the call's number and arguments. An error: they make no packet, or no record.
    pub(super) fn call(&mut self, call: &Call<'_>) -> Result<(), EncodeError> {
        self.bytes.push(call.kind() as u8);
        match *call {
            Call::Connect { now, options, room } => {
                self.clock.put(self.bytes, now);
                self.connect(options)?;
                self.number(room as u64);
            }
            Call::Receive { now, input } => {
                self.clock.put(self.bytes, now);
                self.input(input);
            }
            Call::FailFraming { error } => {
                let place = FRAMING.iter().position(|known| *known == error).ok_or(EncodeError::NotInVersion)?;
                self.number(place as u64);
            }
            Call::BytesReceived { now }
            | Call::SourceWaits { now }
            | Call::HandleTimeout { now }
            | Call::Expire { now }
            | Call::PollRecord { now } => self.clock.put(self.bytes, now),
            Call::SetReading { now, reading } => {
                self.clock.put(self.bytes, now);
                self.flag(reading);
            }
            Call::PollTransmit { now, room: number } | Call::Transmitted { now, bytes: number } => {
                self.clock.put(self.bytes, now);
                self.number(number as u64);
            }
            Call::RecordsDurable { number } | Call::RecordFailed { number } => self.number(number),
            Call::Restore { now, record } => {
                self.clock.put(self.bytes, now);
                self.record(record)?;
            }
            Call::SetDurable { durable: flag } | Call::SetIdentifiersAvailable { available: flag } => self.flag(flag),
            Call::PollOutcome
            | Call::ExpectSessionPresent
            | Call::EndSession
            | Call::Ping
            | Call::TransportLost
            | Call::ConnectionDied
            | Call::NextIdentifier => {}
            Call::PublishAtMostOnce { request, payload, room } => {
                let (payload, length) = match payload {
                    Payload::Bytes(payload) => (payload, None),
                    Payload::Source { length } => (&[][..], Some(length)),
                };
                self.publish(request, payload)?;
                put_option(self.bytes, length.map(u64::from));
                self.number(room as u64);
            }
            Call::Publish { now, request, body } => {
                self.clock.put(self.bytes, now);
                let (payload, source) = match body {
                    Body::Stored(payload) => (payload, None),
                    Body::Source { length, key } => (&[][..], Some((length, key))),
                };
                self.publish(request, payload)?;
                put_option(self.bytes, source.map(|(length, _)| length.into()));
                put_option(self.bytes, source.map(|(_, key)| key.into()));
            }
            Call::Subscribe { request } => self.subscribe(request)?,
            Call::Unsubscribe { request } => self.unsubscribe(request)?,
            Call::Acknowledge { token, reason_code } => {
                self.number(token.delivery_number().0);
                self.number(token.packet_identifier().number().into());
                self.bytes.push(reason_code.as_u8());
            }
            Call::Authenticate { properties, room } | Call::Reauthenticate { properties, room } => {
                let properties = Properties::new(properties);
                self.packet(&Packet::Auth(Auth { reason_code: ReasonCode::CONTINUE_AUTHENTICATION, properties }))?;
                self.number(room as u64);
            }
            Call::Disconnect { reason_code, properties, room } => {
                self.packet(&Packet::Disconnect(Disconnect { reason_code, properties: Properties::new(properties) }))?;
                self.number(room as u64);
            }
            Call::SourceFailed { packet_identifier } => {
                put_option(self.bytes, packet_identifier.map(|id| id.number().into()));
            }
            Call::Cancel { packet_identifier } => self.number(packet_identifier.number().into()),
            Call::ChooseIdentifier { identifier } => self.number(identifier.into()),
            Call::RemoveSubscription { filter } => self.mask.topic(self.bytes, filter.as_str()),
        }
        Ok(())
    }

    /// Writes a call that makes no packet, so that the machine refuses it: its number, and what of it leaves a trace all the same.
    pub(super) fn refused(&mut self, call: &Call<'_>) {
        self.bytes.extend([Kind::Refused as u8, call.kind() as u8]);
        if let Call::PublishAtMostOnce { request, .. } = call {
            // An alias that is asked for is one that was used last.
            self.mask.topic(self.bytes, request.topic.as_str());
            self.alias(request.topic_alias);
        }
    }

    fn alias(&mut self, topic_alias: TopicAliasUse) {
        let alias = match topic_alias {
            TopicAliasUse::None => None,
            TopicAliasUse::Automatic => Some(AUTOMATIC),
            TopicAliasUse::Number(alias) => Some(alias.into()),
        };
        put_option(self.bytes, alias);
    }

    fn number(&mut self, number: u64) {
        put_number(self.bytes, number);
    }

    fn flag(&mut self, flag: bool) {
        self.bytes.push(flag.into());
    }

    /// A packet of this side's, as 5.0 writes it.
    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), EncodeError> {
        let mut bytes = vec![0; packet.encoded_len(SHAPE, Sender::Client)?];
        packet.encode(SHAPE, Sender::Client, &mut bytes)?;
        self.mask.packet(SHAPE, Sender::Client, &mut bytes);
        put_bytes(self.bytes, &bytes);
        Ok(())
    }

    /// CONNECT says the half of it.
    fn connect(&mut self, options: &ConnectOptions<'_>) -> Result<(), EncodeError> {
        self.packet(&Packet::Connect(Connect {
            version: SHAPE,
            clean_start: true,
            keep_alive: options.keep_alive,
            client_identifier: options.client_identifier,
            properties: Properties::new(options.properties),
            will: options.will,
            user_name: options.user_name,
            password: options.password,
        }))?;
        self.bytes.push(options.version.level());
        self.bytes.push(match options.clean_start {
            CleanStart::First => 0,
            CleanStart::Always => 1,
            CleanStart::Never => 2,
        });
        for flag in [
            options.keep_session,
            options.request_response_information,
            options.request_problem_information,
            options.acknowledge == Acknowledge::ByApplication,
            options.streaming,
            options.republish_exactly_once,
        ] {
            self.flag(flag);
        }
        for number in [
            options.session_expiry_interval,
            options.receive_beyond_maximum.into(),
            options.connack_timeout,
            options.pingresp_timeout,
        ] {
            self.number(number.into());
        }
        for number in [
            options.receive_maximum.map(u64::from),
            options.send_maximum.map(u64::from),
            options.maximum_packet_size.map(u64::from),
        ] {
            put_option(self.bytes, number);
        }
        Ok(())
    }

    fn input(&mut self, input: Input<'_>) {
        match input {
            Input::Packet(packet) => {
                self.bytes.push(0);
                self.arrived(packet);
            }
            Input::PublishHead { head, payload_len } => {
                self.bytes.push(1);
                self.number(payload_len.into());
                self.arrived(head);
            }
            Input::PublishPayload { bytes, last } => {
                self.bytes.push(if last { 3 } else { 2 });
                self.mask.payload_part(self.bytes, bytes);
            }
        }
    }

    fn arrived(&mut self, packet: &[u8]) {
        let mut masked = packet.to_vec();
        self.mask.packet(self.version, Sender::Server, &mut masked);
        put_bytes(self.bytes, &masked);
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), EncodeError> {
        let bytes = masked_record(self.mask, record)?;
        put_bytes(self.bytes, &bytes);
        Ok(())
    }

    fn publish(&mut self, request: &PublishRequest<'_>, payload: &[u8]) -> Result<(), EncodeError> {
        let delivery = match request.qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier: SOME, dup: false },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier: SOME, dup: false },
        };
        self.packet(&Packet::Publish(Publish {
            topic: Some(request.topic),
            delivery,
            retain: request.retain,
            properties: request.properties,
            payload,
        }))?;
        self.alias(request.topic_alias);
        put_option(self.bytes, request.message_expiry_interval.map(u64::from));
        Ok(())
    }

    fn subscribe(&mut self, request: &SubscribeRequest<'_>) -> Result<(), EncodeError> {
        self.packet(&Packet::Subscribe(Subscribe {
            packet_identifier: SOME,
            properties: Properties::new(request.properties),
            filters: Subscriptions::new(request.filters),
        }))?;
        put_option(self.bytes, request.subscription_identifier.map(u64::from));
        Ok(())
    }

    fn unsubscribe(&mut self, request: &UnsubscribeRequest<'_>) -> Result<(), EncodeError> {
        self.packet(&Packet::Unsubscribe(Unsubscribe {
            packet_identifier: SOME,
            properties: Properties::new(request.properties),
            filters: TopicFilters::new(request.filters),
        }))
    }
}

/// A record, encoded.
pub(super) fn masked_record(mask: &Mask, record: &Record<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = vec![0; record.encoded_len()?];
    record.encode(&mut bytes)?;
    mask.record(&mut bytes);
    Ok(bytes)
}

/// Stands in commands, where the machine has not given one out yet.
const SOME: PacketIdentifier = PacketIdentifier::MAX;

/// Behind all aliases.
pub(super) const AUTOMATIC: u64 = u16::MAX as u64 + 1;
