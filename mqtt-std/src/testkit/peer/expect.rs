//! What a packet has to be.

use core::fmt;
use std::sync::Arc;

use mqtt_core::{Packet, PacketType, QoS, ReasonCode};

/// What a packet of the client has to be; what is not said may be anything.
///
/// ```
/// use mqtt_std::QoS;
/// use mqtt_std::testkit::Expect;
///
/// let on = Expect::publish("lamp/cmd").payload("on").qos(QoS::AtLeastOnce).retain(false);
/// assert_eq!(on.to_string(), "PUBLISH lamp/cmd \"on\" q1 not retained");
/// ```
#[derive(Clone)]
pub struct Expect {
    /// `None`: whatever the one condition says.
    packet_type: Option<PacketType>,
    conditions: Vec<Condition>,
}

/// What has to be so, and how that reads.
#[derive(Clone)]
struct Condition {
    text: String,
    holds: Arc<dyn Fn(&Packet<'_>) -> bool + Send + Sync>,
}

impl Expect {
    /// A packet of this type.
    #[must_use]
    pub const fn packet(packet_type: PacketType) -> Self {
        Self { packet_type: Some(packet_type), conditions: Vec::new() }
    }

    /// CONNECT.
    #[must_use]
    pub const fn connect() -> Self {
        Self::packet(PacketType::Connect)
    }

    /// PUBLISH to this topic.
    #[must_use]
    pub fn publish(topic: &str) -> Self {
        let name = topic.to_owned();
        Self::packet(PacketType::Publish).matching(topic, move |packet| match packet {
            Packet::Publish(publish) => publish.topic.is_some_and(|topic| topic.as_str() == name),
            _ => false,
        })
    }

    /// SUBSCRIBE with this filter, perhaps among others.
    #[must_use]
    pub fn subscribe(filter: &str) -> Self {
        let name = filter.to_owned();
        Self::packet(PacketType::Subscribe).matching(filter, move |packet| match packet {
            Packet::Subscribe(subscribe) => subscribe.filters.iter().any(|entry| entry.filter.as_str() == name),
            _ => false,
        })
    }

    /// UNSUBSCRIBE with this filter, perhaps among others.
    #[must_use]
    pub fn unsubscribe(filter: &str) -> Self {
        let name = filter.to_owned();
        Self::packet(PacketType::Unsubscribe).matching(filter, move |packet| match packet {
            Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().any(|filter| filter.as_str() == name),
            _ => false,
        })
    }

    /// PUBACK.
    #[must_use]
    pub const fn puback() -> Self {
        Self::packet(PacketType::Puback)
    }

    /// PUBREC.
    #[must_use]
    pub const fn pubrec() -> Self {
        Self::packet(PacketType::Pubrec)
    }

    /// PUBREL.
    #[must_use]
    pub const fn pubrel() -> Self {
        Self::packet(PacketType::Pubrel)
    }

    /// PUBCOMP.
    #[must_use]
    pub const fn pubcomp() -> Self {
        Self::packet(PacketType::Pubcomp)
    }

    /// PINGREQ, which is then not answered by itself.
    #[must_use]
    pub const fn pingreq() -> Self {
        Self::packet(PacketType::Pingreq)
    }

    /// DISCONNECT.
    #[must_use]
    pub const fn disconnect() -> Self {
        Self::packet(PacketType::Disconnect)
    }

    /// And this is so; `text` says what, for a failure to name it.
    #[must_use]
    pub fn matching(mut self, text: &str, holds: impl Fn(&Packet<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Condition { text: text.to_owned(), holds: Arc::new(holds) });
        self
    }

    /// The payload of a PUBLISH.
    #[must_use]
    pub fn payload(self, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        let text = format!("{:?}", String::from_utf8_lossy(&payload));
        self.matching(&text, move |packet| matches!(packet, Packet::Publish(publish) if publish.payload == payload))
    }

    /// The QoS of a PUBLISH, or of any filter of a SUBSCRIBE.
    #[must_use]
    pub fn qos(self, qos: QoS) -> Self {
        self.matching(&format!("q{}", qos as u8), move |packet| match packet {
            Packet::Publish(publish) => publish.delivery.qos() == qos,
            Packet::Subscribe(subscribe) => subscribe.filters.iter().any(|entry| entry.options.qos == qos),
            _ => false,
        })
    }

    /// RETAIN of a PUBLISH.
    #[must_use]
    pub fn retain(self, retain: bool) -> Self {
        let text = if retain { "retained" } else { "not retained" };
        self.matching(text, move |packet| matches!(packet, Packet::Publish(publish) if publish.retain == retain))
    }

    /// DUP of a PUBLISH.
    #[must_use]
    pub fn dup(self, dup: bool) -> Self {
        let text = if dup { "again" } else { "for the first time" };
        self.matching(text, move |packet| matches!(packet, Packet::Publish(publish) if publish.delivery.dup() == dup))
    }

    /// Clean Start of a CONNECT; in 3.1.1 Clean Session.
    #[must_use]
    pub fn clean_start(self, clean: bool) -> Self {
        let text = if clean { "clean" } else { "not clean" };
        self.matching(text, move |packet| matches!(packet, Packet::Connect(connect) if connect.clean_start == clean))
    }

    /// The Client Identifier of a CONNECT.
    #[must_use]
    pub fn client_identifier(self, identifier: &str) -> Self {
        let name = identifier.to_owned();
        self.matching(
            identifier,
            move |packet| matches!(packet, Packet::Connect(connect) if connect.client_identifier == name),
        )
    }

    /// The Reason Code of an acknowledgement or a DISCONNECT.
    #[must_use]
    pub fn reason_code(self, reason_code: ReasonCode) -> Self {
        self.matching(&reason_code.to_string(), move |packet| match packet {
            Packet::Ack(ack) => ack.reason_code == reason_code,
            Packet::Disconnect(disconnect) => disconnect.reason_code == reason_code,
            _ => false,
        })
    }

    /// One of these.
    pub(super) fn any_of(expected: &[Self]) -> Self {
        let text = expected.iter().map(Self::to_string).collect::<Vec<_>>().join(" or ");
        let expected = expected.to_vec();
        Self { packet_type: None, conditions: Vec::new() }
            .matching(&text, move |packet| expected.iter().any(|expect| expect.is_met_by(packet)))
    }

    pub(super) fn is_met_by(&self, packet: &Packet<'_>) -> bool {
        self.packet_type.is_none_or(|packet_type| packet_type == packet.packet_type())
            && self.conditions.iter().all(|condition| (condition.holds)(packet))
    }

    pub(super) const fn is_pingreq(&self) -> bool {
        matches!(self.packet_type, Some(PacketType::Pingreq))
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        if let Some(packet_type) = self.packet_type {
            write!(f, "{packet_type}")?;
            space = " ";
        }
        self.conditions.iter().try_for_each(|condition| write!(f, "{space}{}", condition.text))
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expect({self})")
    }
}
