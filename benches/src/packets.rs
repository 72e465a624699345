//! What a packet says, in no codec's own types.
//!
//! Only what the rows need: a property that no row has is missing here. The order of the fields is the order in which
//! all codecs can write them, so that one packet has one encoding.

use bytes::Bytes;

#[derive(Clone)]
pub enum Packet {
    Connect(Connect),
    Publish(Publish),
    Ack(Ack),
    Subscribe(Subscribe),
    Suback(Suback),
    Pingreq,
}

#[derive(Clone)]
pub struct Connect {
    pub clean_start: bool,
    pub keep_alive: u16,
    pub session_expiry_interval: u32,
    pub receive_maximum: u16,
    pub maximum_packet_size: u32,
    pub topic_alias_maximum: u16,
    pub user_property: (String, String),
    pub client_identifier: String,
    pub will: Will,
    pub user_name: String,
    /// Text, because two rivals cannot send binary ones.
    pub password: String,
}

/// At QoS 1, not retained.
#[derive(Clone)]
pub struct Will {
    pub delay_interval: u32,
    pub message_expiry_interval: u32,
    pub content_type: String,
    pub topic: String,
    pub payload: Bytes,
}

#[derive(Clone)]
pub struct Publish {
    pub delivery: Delivery,
    pub topic: String,
    /// All five of them or none.
    pub properties: Option<PublishProperties>,
    pub payload: Bytes,
}

#[derive(Clone, Copy)]
pub enum Delivery {
    AtMostOnce,
    AtLeastOnce(u16),
    ExactlyOnce(u16),
}

#[derive(Clone)]
pub struct PublishProperties {
    pub payload_is_text: bool,
    pub message_expiry_interval: u32,
    pub response_topic: String,
    pub correlation_data: Bytes,
    pub user_property: (String, String),
}

/// Success, hence without a Reason Code on the wire (§3.4.2.1).
#[derive(Clone)]
pub struct Ack {
    pub kind: AckKind,
    pub packet_identifier: u16,
}

#[derive(Clone, Copy)]
pub enum AckKind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

#[derive(Clone)]
pub struct Subscribe {
    pub packet_identifier: u16,
    /// All at QoS 1.
    pub topic_filters: Vec<String>,
}

/// QoS 1 granted to each Topic Filter.
#[derive(Clone)]
pub struct Suback {
    pub packet_identifier: u16,
    pub topic_filters: usize,
}

impl Delivery {
    /// Zero at QoS 0, as the rivals want it.
    pub fn packet_identifier(self) -> u16 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce(packet_identifier) | Self::ExactlyOnce(packet_identifier) => packet_identifier,
        }
    }
}
