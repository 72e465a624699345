//! Makes the calls of a tape again.

use core::fmt::{Debug, Write as _};
use std::collections::HashMap;

use mqtt_core::{
    Acknowledge, Acknowledgement, Body, CleanStart, ConnectOptions, DeliveryNumber, Event, Input, Packet,
    PacketIdentifier, Payload, Property, ProtocolVersion, Publish, PublishRequest, ReasonCode, Record, RecordTicket,
    Sender, SubscribeRequest, Subscription, TopicAliasUse, TopicFilter, TopicName, Transmit, UnsubscribeRequest,
};

use super::Notes;
use super::describe::packet;
use super::encode::{AUTOMATIC, FRAMING, SHAPE};
use super::format::{Clock, Damaged, Header, Kind, Reader, version};
use crate::machine::{Machine, whole};

/// The machine of a tape, and what its answers gave to call it with.
pub(super) struct Player {
    pub(super) machine: Machine,
    pub(super) clock: Clock,
    tickets: HashMap<u64, RecordTicket>,
    tokens: HashMap<u64, Acknowledgement>,
    /// The largest buffer that was lent so far, and how much of it is lent now.
    out: Vec<u8>,
    room: usize,
    /// What the call did, as far as it is of the conversation; for those who look.
    pub(super) said: String,
}

impl Player {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            machine: Machine::new(header.capacities, Notes::of_replay()),
            clock: Clock::default(),
            tickets: HashMap::new(),
            tokens: HashMap::new(),
            out: Vec::new(),
            room: 0,
            said: String::new(),
        }
    }

    /// Makes a call; its answer behind the arguments is not looked at.
    pub(super) fn call(&mut self, kind: Kind, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        self.said.clear();
        match kind {
            Kind::Line | Kind::State | Kind::Refused | Kind::End => return Err(Damaged),
            Kind::Connect => self.connect(reader)?,
            Kind::Receive => self.receive(reader)?,
            Kind::FailFraming => {
                let error = *FRAMING.get(reader.len()?).ok_or(Damaged)?;
                self.say("<- bytes that are no packet", &Err::<(), _>(error));
                self.machine.fail_framing(error);
            }
            Kind::BytesReceived => self.machine.bytes_received(self.clock.take(reader)?),
            Kind::SetReading => {
                let now = self.clock.take(reader)?;
                self.machine.set_reading(now, reader.flag()?);
            }
            Kind::PollTransmit => {
                let now = self.clock.take(reader)?;
                self.lend(reader)?;
                let written = self.machine.poll_transmit(now, self.out.get_mut(..self.room).unwrap_or_default());
                self.say_written("", &written);
            }
            Kind::Transmitted => {
                let now = self.clock.take(reader)?;
                self.machine.transmitted(now, reader.len()?);
            }
            Kind::SourceWaits => self.machine.source_waits(self.clock.take(reader)?),
            Kind::HandleTimeout => {
                let was_closed = self.machine.is_closed();
                // A connection that is over says so each time.
                if let (Err(error), false) = (self.machine.handle_timeout(self.clock.take(reader)?), was_closed) {
                    let _ = write!(self.said, "** the deadline has passed: {error:?}");
                }
            }
            Kind::Expire => {
                if self.machine.expire(self.clock.take(reader)?) {
                    self.said.push_str("** messages have expired");
                }
            }
            Kind::PollOutcome => {
                if let Some(ended) = self.machine.poll_outcome() {
                    let _ =
                        write!(self.said, "** {:?} #{}: {:?}", ended.command, ended.packet_identifier, ended.outcome);
                }
            }
            Kind::PollRecord => {
                let now = self.clock.take(reader)?;
                if let Some((ticket, record)) = self.machine.poll_record(now) {
                    let _ = write!(self.said, "** record {}: {}", ticket.number(), named(&record));
                    self.tickets.insert(ticket.number(), ticket);
                }
            }
            Kind::RecordsDurable => {
                let number = reader.number()?;
                self.machine.records_durable(number);
                let _ = write!(self.said, "** records up to {number} are durable");
            }
            Kind::RecordFailed => {
                let number = reader.number()?;
                let ticket = self.tickets.remove(&number).ok_or(Damaged)?;
                let failed = self.machine.record_failed(ticket);
                self.say(&format!("** record {number} failed"), &failed);
            }
            Kind::Restore => {
                let now = self.clock.take(reader)?;
                let bytes = reader.bytes()?;
                let record = Record::decode(&bytes).map_err(|_| Damaged)?;
                let restored = self.machine.restore(now, &record);
                self.say(&format!("** restored: {}", named(&record)), &restored);
            }
            Kind::SetDurable => {
                let durable = reader.flag()?;
                self.machine.set_durable(durable);
                self.said.push_str(if durable { "** with a store" } else { "** without a store" });
            }
            Kind::ExpectSessionPresent => {
                self.machine.expect_session_present();
                self.said.push_str("** a session is expected");
            }
            Kind::EndSession => {
                self.machine.end_session();
                self.said.push_str("** the session ends");
            }
            Kind::PublishAtMostOnce | Kind::Publish => self.publish(kind, reader)?,
            Kind::Subscribe | Kind::Unsubscribe => self.request(reader)?,
            Kind::Acknowledge => {
                let number = reader.number()?;
                let id = identifier(reader)?;
                let reason_code = ReasonCode::from_u8(reader.byte()?);
                // One that is not known is of a program before.
                let of_record = Acknowledgement::of_record(DeliveryNumber(number), id);
                let token = self.tokens.get(&number).copied().unwrap_or(of_record);
                let acknowledged = self.machine.acknowledge(token, reason_code);
                self.say(&format!("** acknowledge #{id}: {reason_code}"), &acknowledged);
            }
            Kind::Ping => {
                let asked = self.machine.ping();
                self.say("** ask for a sign of life", &asked);
            }
            Kind::Authenticate | Kind::Reauthenticate => self.authenticate(kind, reader)?,
            Kind::Disconnect => self.disconnect(reader)?,
            Kind::TransportLost => {
                self.machine.transport_lost();
                self.said.push_str("** the transport is gone");
            }
            Kind::ConnectionDied => {
                let given_up = self.machine.connection_died();
                let _ = write!(
                    self.said,
                    "** the peer has ended the connection{}",
                    if given_up { ": given up" } else { "" }
                );
            }
            Kind::SourceFailed => {
                let id = reader.option()?.map(|id| PacketIdentifier::new(id).ok_or(Damaged)).transpose()?;
                self.machine.source_failed(id);
                self.said.push_str("** the source of a payload failed");
            }
            Kind::Cancel => {
                let id = identifier(reader)?;
                let cancelled = self.machine.cancel(id);
                let _ = write!(self.said, "** take back #{id}: {cancelled}");
            }
            Kind::SetIdentifiersAvailable => self.machine.set_identifiers_available(reader.flag()?),
            Kind::ChooseIdentifier => self.machine.choose_identifier(reader.narrow()?),
            Kind::NextIdentifier => drop(self.machine.next_identifier()),
            Kind::RemoveSubscription => {
                let bytes = reader.bytes()?;
                let filter = core::str::from_utf8(&bytes).map_err(|_| Damaged)?;
                self.machine.remove_subscription(TopicFilter::new(filter).map_err(|_| Damaged)?);
                let _ = write!(self.said, "** {filter:?} is not renewed any more");
            }
        }
        Ok(())
    }

    /// Makes a call that is refused, where that leaves a trace: with a text that is too long for a packet in the place of what was
    /// wrong. Tells whether it did.
    pub(super) fn refused(&mut self, reader: &mut Reader<'_>) -> Result<bool, Damaged> {
        let too_long = "x".repeat(usize::from(u16::MAX) + 1);
        match Kind::from_u8(reader.byte()?).ok_or(Damaged)? {
            Kind::Connect => {
                let options = ConnectOptions::new("").user_name(&too_long);
                let written = self.machine.connect(mqtt_core::Instant::ZERO, &options, &mut []);
                self.say("** connect", &written);
            }
            Kind::PublishAtMostOnce => {
                let bytes = reader.bytes()?;
                let topic =
                    core::str::from_utf8(&bytes).ok().and_then(|topic| TopicName::new(topic).ok()).ok_or(Damaged)?;
                let properties = [Property::UserProperty(&too_long, "")];
                let mut request = PublishRequest::new(topic).properties(&properties);
                request.topic_alias = alias(reader)?;
                let written = self.machine.publish_at_most_once(&request, Payload::Bytes(&[]), &mut []);
                self.say(&format!("** publish at QoS 0 to {topic:?}"), &written);
            }
            kind => {
                self.machine.note_refused();
                let _ = write!(self.said, "** {kind:?}, refused");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the buffer as large as the one that was lent.
    fn lend(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        self.room = reader.len()?;
        if self.out.len() < self.room {
            self.out = vec![0; self.room];
        }
        Ok(())
    }

    fn version(&self) -> ProtocolVersion {
        self.machine.connection().version()
    }

    fn say<T, E: Debug>(&mut self, what: &str, result: &Result<T, E>) {
        self.said.push_str(what);
        if let Err(error) = result {
            let _ = write!(self.said, ", refused: {error:?}");
        }
    }

    fn say_written<E: Debug>(&mut self, command: &str, written: &Result<Option<Transmit>, E>) {
        self.said.push_str(command);
        match written {
            Ok(Some(transmit)) => {
                let bytes = self.out.get(..transmit.head_len).unwrap_or_default();
                if !command.is_empty() {
                    self.said.push_str("; ");
                }
                let _ = write!(self.said, "-> {}", packet(self.version(), Sender::Client, bytes));
            }
            Ok(None) => {}
            Err(error) if command.is_empty() => {
                let _ = write!(self.said, "** cannot be written: {error:?}");
            }
            Err(error) => {
                let _ = write!(self.said, ", refused: {error:?}");
            }
        }
    }

    fn connect(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let now = self.clock.take(reader)?;
        let bytes = reader.bytes()?;
        let Ok(Packet::Connect(connect)) = Packet::decode(SHAPE, Sender::Client, &bytes) else { return Err(Damaged) };
        let properties: Vec<Property<'_>> = connect.properties.iter().collect();
        let mut options = ConnectOptions::new(connect.client_identifier);
        options.keep_alive = connect.keep_alive;
        options.properties = &properties;
        options.will = connect.will;
        options.user_name = connect.user_name;
        options.password = connect.password;
        options.version = version(reader.byte()?).ok_or(Damaged)?;
        options.clean_start = match reader.byte()? {
            0 => CleanStart::First,
            1 => CleanStart::Always,
            2 => CleanStart::Never,
            _ => return Err(Damaged),
        };
        options.keep_session = reader.flag()?;
        options.request_response_information = reader.flag()?;
        options.request_problem_information = reader.flag()?;
        options.acknowledge = if reader.flag()? { Acknowledge::ByApplication } else { Acknowledge::AtOnce };
        options.streaming = reader.flag()?;
        options.republish_exactly_once = reader.flag()?;
        options.session_expiry_interval = reader.narrow()?;
        options.receive_beyond_maximum = reader.narrow()?;
        options.connack_timeout = reader.narrow()?;
        options.pingresp_timeout = reader.narrow()?;
        options.receive_maximum = reader.option()?;
        options.send_maximum = reader.option()?;
        options.maximum_packet_size = reader.option()?;
        self.lend(reader)?;
        let written = self.machine.connect(now, &options, self.out.get_mut(..self.room).unwrap_or_default());
        self.say_written("** connect", &written.map(whole));
        Ok(())
    }

    fn receive(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let now = self.clock.take(reader)?;
        let version = self.version();
        let (shape, mut rest) = (reader.byte()?, None);
        if shape == 1 {
            rest = Some(reader.narrow()?);
        }
        let bytes = reader.bytes()?;
        let input = match (shape, rest) {
            (0, _) => Input::Packet(&bytes),
            (1, Some(payload_len)) => Input::PublishHead { head: &bytes, payload_len },
            (2 | 3, _) => Input::PublishPayload { bytes: &bytes, last: shape == 3 },
            _ => return Err(Damaged),
        };
        let _ = match input {
            Input::Packet(bytes) | Input::PublishHead { head: bytes, .. } => {
                write!(self.said, "<- {}", packet(version, Sender::Server, bytes))
            }
            Input::PublishPayload { bytes, last } => {
                write!(self.said, "<- {} bytes of a payload{}", bytes.len(), if last { ", the last" } else { "" })
            }
        };
        match self.machine.receive(now, input) {
            Ok(Some(
                Event::Message(mqtt_core::Message { acknowledgement: token, record_ticket: ticket, .. })
                | Event::MessageEnds { acknowledgement: token, record: ticket, .. },
            )) => {
                self.tokens.extend(token.map(|token| (token.delivery_number().0, token)));
                self.tickets.extend(ticket.map(|ticket| (ticket.number(), ticket)));
            }
            Ok(_) => {}
            Err(error) => {
                let _ = write!(self.said, ", refused: {error:?}");
            }
        }
        Ok(())
    }

    fn publish(&mut self, kind: Kind, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let now = if kind == Kind::Publish { Some(self.clock.take(reader)?) } else { None };
        let bytes = reader.bytes()?;
        let Ok(Packet::Publish(publish)) = Packet::decode(SHAPE, Sender::Client, &bytes) else { return Err(Damaged) };
        let Publish { topic: Some(topic), delivery, retain, properties, payload } = publish else {
            return Err(Damaged);
        };
        let topic_alias = alias(reader)?;
        let message_expiry_interval = reader.option()?;
        let qos = delivery.qos();
        let request = PublishRequest { topic, qos, retain, topic_alias, message_expiry_interval, properties };
        let length: Option<u32> = reader.option()?;
        let len = length.map_or(payload.len(), |length| length as usize);
        let command = format!("** publish at QoS {} to {:?}, {len} bytes", qos as u8, topic.as_str());
        let Some(now) = now else {
            self.lend(reader)?;
            let payload = length.map_or(Payload::Bytes(payload), |length| Payload::Source { length });
            let written =
                self.machine.publish_at_most_once(&request, payload, self.out.get_mut(..self.room).unwrap_or_default());
            self.say_written(&command, &written.map(Some));
            return Ok(());
        };
        let key: Option<u32> = reader.option()?;
        let body = match (length, key) {
            (Some(length), Some(key)) => Body::Source { length, key },
            (None, None) => Body::Stored(bytes::Bytes::copy_from_slice(payload)),
            _ => return Err(Damaged),
        };
        let accepted = self.machine.publish(now, &request, body);
        self.say_accepted(&command, &accepted);
        Ok(())
    }

    fn say_accepted<E: Debug>(&mut self, command: &str, accepted: &Result<PacketIdentifier, E>) {
        self.say(command, accepted);
        if let Ok(id) = accepted {
            let _ = write!(self.said, ": #{id}");
        }
    }

    fn request(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let bytes = reader.bytes()?;
        match Packet::decode(SHAPE, Sender::Client, &bytes) {
            Ok(Packet::Subscribe(subscribe)) => {
                let filters: Vec<Subscription<'_>> = subscribe.filters.iter().collect();
                let properties: Vec<Property<'_>> = subscribe.properties.iter().collect();
                let mut request = SubscribeRequest::new(&filters).properties(&properties);
                request.subscription_identifier = reader.option()?;
                let accepted = self.machine.subscribe(&request);
                let names = filters.iter().map(|entry| entry.filter.as_str()).collect::<Vec<_>>();
                self.say_accepted(&format!("** subscribe to {names:?}"), &accepted);
            }
            Ok(Packet::Unsubscribe(unsubscribe)) => {
                let filters: Vec<TopicFilter<'_>> = unsubscribe.filters.iter().collect();
                let properties: Vec<Property<'_>> = unsubscribe.properties.iter().collect();
                let accepted = self.machine.unsubscribe(&UnsubscribeRequest::new(&filters).properties(&properties));
                let names = filters.iter().map(|filter| filter.as_str()).collect::<Vec<_>>();
                self.say_accepted(&format!("** unsubscribe from {names:?}"), &accepted);
            }
            _ => return Err(Damaged),
        }
        Ok(())
    }

    fn authenticate(&mut self, kind: Kind, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let bytes = reader.bytes()?;
        let Ok(Packet::Auth(auth)) = Packet::decode(SHAPE, Sender::Client, &bytes) else { return Err(Damaged) };
        let properties: Vec<Property<'_>> = auth.properties.iter().collect();
        self.lend(reader)?;
        let written = if kind == Kind::Reauthenticate {
            self.machine.reauthenticate(&properties, self.out.get_mut(..self.room).unwrap_or_default())
        } else {
            self.machine.authenticate(&properties, self.out.get_mut(..self.room).unwrap_or_default())
        };
        self.say_written("** authenticate", &written.map(whole));
        Ok(())
    }

    fn disconnect(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        let bytes = reader.bytes()?;
        let Ok(Packet::Disconnect(disconnect)) = Packet::decode(SHAPE, Sender::Client, &bytes) else {
            return Err(Damaged);
        };
        let properties: Vec<Property<'_>> = disconnect.properties.iter().collect();
        self.lend(reader)?;
        let written = self.machine.disconnect(
            disconnect.reason_code,
            &properties,
            self.out.get_mut(..self.room).unwrap_or_default(),
        );
        self.say_written("** disconnect", &written.map(whole));
        Ok(())
    }
}

fn alias(reader: &mut Reader<'_>) -> Result<TopicAliasUse, Damaged> {
    Ok(match reader.option::<u64>()? {
        None => TopicAliasUse::None,
        Some(AUTOMATIC) => TopicAliasUse::Automatic,
        Some(alias) => TopicAliasUse::Number(u16::try_from(alias).map_err(|_| Damaged)?),
    })
}

fn identifier(reader: &mut Reader<'_>) -> Result<PacketIdentifier, Damaged> {
    PacketIdentifier::new(reader.narrow()?).ok_or(Damaged)
}

/// What a record is, without the message in it.
fn named(record: &Record<'_>) -> String {
    match *record {
        Record::SessionStarted { .. } => "a session has begun".to_owned(),
        Record::Published { packet_identifier, .. } => format!("publish #{packet_identifier}"),
        Record::PubrecReceived { packet_identifier } => format!("PUBREC #{packet_identifier}"),
        Record::Completed { packet_identifier } => format!("#{packet_identifier} is over"),
        Record::Received { delivery, packet_identifier, .. } => {
            format!("message {} with #{packet_identifier}", delivery.0)
        }
        Record::Released { packet_identifier } => format!("PUBREL #{packet_identifier}"),
        Record::Confirmed { delivery } => format!("message {} is confirmed", delivery.0),
        _ => format!("{record:?}"),
    }
}
