//! What the machine tells the application.

use crate::packet::{Auth, Connack, Disconnect};
use crate::property::Properties;
use crate::session::{Acknowledgement, Record, RecordTicket, RecordedMessage};
use crate::types::{PacketIdentifier, QoS, ReasonCode, ReasonCodes, TopicName};

/// What a packet from the Server means. It borrows from the packet, and from the machine for a topic known by its alias.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'a> {
    /// CONNACK accepted the connection.
    Connected(Connected<'a>),
    /// CONNACK refused the connection, which is over.
    Refused(Connack<'a>),
    /// A message.
    Message(Message<'a>),
    /// A message larger than the buffer begins; `Fragment`s follow.
    MessageBegins {
        /// The message; its payload is empty, and it cannot be acknowledged yet.
        message: Message<'a>,
        /// Bytes of the payload that follow.
        payload_len: u32,
    },
    /// The next part of a message's payload.
    Fragment(&'a [u8]),
    /// The last part of a message's payload: the message is complete from here on.
    MessageEnds {
        /// The last part; may be empty.
        fragment: &'a [u8],
        /// The right to acknowledge the message; at QoS 0 `None`.
        acknowledgement: Option<Acknowledgement>,
        /// The ticket of its [`Record::Received`], with a store at QoS 2.
        record: Option<RecordTicket>,
    },
    /// A message larger than the buffer is skipped, and acknowledged: streaming is off.
    Skipped {
        /// The message; its payload is empty.
        message: Message<'a>,
        /// Bytes of the payload.
        payload_len: u32,
    },
    /// The Server has answered a publish: its exchange is over.
    Published {
        /// Of the publish.
        packet_identifier: PacketIdentifier,
        /// Success, "no matching subscribers", or why the Server refuses the message.
        reason_code: ReasonCode,
        /// Of the acknowledgement.
        properties: Properties<'a>,
    },
    /// The Server has answered a SUBSCRIBE.
    Subscribed {
        /// Of the SUBSCRIBE.
        packet_identifier: PacketIdentifier,
        /// The granted QoS or a failure, for each filter in its order.
        reason_codes: ReasonCodes<'a>,
        /// Of the SUBACK.
        properties: Properties<'a>,
    },
    /// The Server has answered an UNSUBSCRIBE.
    Unsubscribed {
        /// Of the UNSUBSCRIBE.
        packet_identifier: PacketIdentifier,
        /// For each filter in its order; empty in 3.1.1.
        reason_codes: ReasonCodes<'a>,
        /// Of the UNSUBACK.
        properties: Properties<'a>,
    },
    /// The Server has answered a renewal of subscriptions that it had lost. Those beyond its limits are not sent:
    /// [`Connection::refused_renewals`](crate::Connection::refused_renewals).
    Renewed {
        /// How many it granted.
        granted: u16,
        /// How many it refused; they stay in the list, marked.
        refused: u16,
    },
    /// AUTH: the Server asks for more (Continue authentication), or re-authentication has succeeded (Success).
    Authentication(Auth<'a>),
    /// PINGRESP.
    Pong,
    /// The Server sent DISCONNECT; the connection is over.
    Disconnected(Disconnect<'a>),
}

/// The connection stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connected<'a> {
    /// The Server has resumed the session: subscriptions stand, what was in flight goes on.
    pub session_present: bool,
    /// This side had state of a session that the Server lost; one that ended with its connection is not lost. Outcomes say
    /// what became of what was in flight.
    pub session_lost: bool,
    /// Of the CONNACK.
    pub properties: Properties<'a>,
}

/// A message from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    /// Its topic; an alias is resolved.
    pub topic: TopicName<'a>,
    /// Its QoS: at most that of the subscription.
    pub qos: QoS,
    /// It was kept by the Server, or was published so and the subscription asks to be told.
    pub retain: bool,
    /// The Server may have sent it before.
    pub dup: bool,
    /// Its properties.
    pub properties: Properties<'a>,
    /// Its payload.
    pub payload: &'a [u8],
    /// The right to acknowledge it; at QoS 0 `None`.
    pub acknowledgement: Option<Acknowledgement>,
    /// The ticket of its record, with a store at QoS 2: see [`record`](Self::record).
    pub record_ticket: Option<RecordTicket>,
}

impl<'a> Message<'a> {
    /// With a store at QoS 2: the record that must be durable before the message is acknowledged. Append it; once it is
    /// durable tell [`Session::records_durable`](crate::Session::records_durable), and only then hand the message over: until then
    /// its number may come again, with another message.
    #[must_use]
    pub fn record(&self) -> Option<(RecordTicket, Record<'a>)> {
        let (ticket, acknowledgement) = (self.record_ticket?, self.acknowledgement?);
        let record = Record::Received {
            delivery: acknowledgement.delivery_number(),
            packet_identifier: acknowledgement.packet_identifier(),
            message: RecordedMessage {
                topic: self.topic,
                retain: self.retain,
                properties: self.properties,
                payload: self.payload,
            },
        };
        Some((ticket, record))
    }
}
