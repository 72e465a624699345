//! A received message that owns its bytes.

use core::fmt;
use core::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{DeliveryNumber, PacketIdentifier, PacketType, Properties, Property, QoS, ReasonCode, Sender};

use crate::delivery::{Hand, Stale};
use crate::error::Error;

use crate::payload::{PayloadReader, ReadEnd};

/// A message from the broker. Cheap to clone: all bytes are shared.
///
/// The properties are those of 5.0; in 3.1.1 there are none.
#[derive(Clone)]
pub struct Message {
    /// Topic, properties as on the wire, payload. One allocation holds all; the buffer of the connection is not pinned.
    bytes: Bytes,
    topic_len: u16,
    payload_at: u32,
    qos: QoS,
    retain: bool,
    dup: bool,
    packet_identifier: Option<PacketIdentifier>,
    /// It comes again from a store.
    redelivered: bool,
    /// Its number there; 0: none.
    delivery: u64,
    /// It is acknowledged by hand.
    hand: Option<Arc<Hand>>,
    /// Where the payload comes from that is not in `bytes`.
    stream: Option<Arc<ReadEnd>>,
}

impl Message {
    pub(crate) fn new(message: &mqtt_core::Message<'_>) -> Self {
        let topic = message.topic.as_str().as_bytes();
        let properties = message.properties.as_encoded();
        let head_len = topic.len().saturating_add(properties.len());
        Self {
            bytes: crate::driver::keep([topic, properties, message.payload]),
            // A packet holds no more.
            topic_len: u16::try_from(topic.len()).unwrap_or(u16::MAX),
            payload_at: u32::try_from(head_len).unwrap_or(u32::MAX),
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            packet_identifier: message.acknowledgement.map(mqtt_core::Acknowledgement::packet_identifier),
            redelivered: false,
            delivery: 0,
            hand: None,
            stream: None,
        }
    }

    /// The same with its number in a store.
    pub(crate) const fn with_delivery(mut self, delivery: DeliveryNumber, redelivered: bool) -> Self {
        (self.delivery, self.redelivered) = (delivery.0, redelivered);
        self
    }

    /// The same, to be acknowledged by hand.
    pub(crate) fn with_hand(mut self, hand: Arc<Hand>) -> Self {
        self.hand = Some(hand);
        self
    }

    /// Bytes of all of it.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The same message, whose payload comes from here.
    pub(crate) fn with_payload(&self, read_end: ReadEnd) -> Self {
        Self { stream: Some(Arc::new(read_end)), ..self.clone() }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        // It was text when it arrived.
        core::str::from_utf8(self.bytes.get(..usize::from(self.topic_len)).unwrap_or_default()).unwrap_or_default()
    }

    /// The payload; empty if it is [streamed](Self::is_streamed).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at as usize..).unwrap_or_default()
    }

    /// Bytes of the payload, streamed or not.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        match &self.stream {
            Some(read_end) => read_end.length() as usize,
            None => self.payload().len(),
        }
    }

    /// Whether the payload is too large to be held in memory, and comes through [`reader`](Self::reader) as it arrives: only in
    /// a stream that is made for it, [`Subscribe::streamed`](crate::Subscribe::streamed).
    #[must_use]
    pub const fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Reads the payload, streamed or not.
    ///
    /// A streamed payload is read once: readers of the same message, clones of it too, share one place. A read fails if the
    /// connection is lost before the last byte is here (`ConnectionReset`; at QoS 1 and 2 the message comes again, as a new
    /// one), if too much has waited unread for longer than [`Options::stall_timeout`](crate::Options::stall_timeout)
    /// (`TimedOut`; the message is counted as dropped), or if the client has ended (`NotConnected`).
    ///
    /// When the message and all its readers are dropped before the end, the rest is skipped, and the message counted as
    /// [abandoned](crate::Statistics::abandoned); it is acknowledged then unless that is done by hand.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use mqtt_std::QoS;
    ///
    /// let mut updates = client.subscribe("cellar/+/firmware", QoS::AtLeastOnce).streamed().await?;
    /// while let Some(message) = updates.next().await {
    ///     let mut file = tokio::fs::File::create("firmware.bin").await?;
    ///     let copied = tokio::io::copy(&mut message.reader(), &mut file).await?;
    ///     println!("{copied} bytes for {}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reader(&self) -> PayloadReader {
        match &self.stream {
            Some(read_end) => PayloadReader::streamed(Arc::clone(read_end)),
            None => PayloadReader::whole(self.payload_bytes()),
        }
    }

    /// The payload to be kept, or to be published elsewhere, without a copy. It keeps the whole message in memory.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice((self.payload_at as usize).min(self.bytes.len())..)
    }

    /// The payload as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn payload_str(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.payload())
    }

    /// The QoS it was sent with: at most that of the subscription.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether the broker had kept it for later subscribers, or it was published so and the subscription asks to be
    /// [told](crate::Subscribe::retain_as_published).
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Whether the broker may have sent it before.
    #[must_use]
    pub const fn dup(&self) -> bool {
        self.dup
    }

    /// The Packet Identifier that the broker sent it with (§2.2.1), for logs: it is used again for other messages. `None`: QoS 0, or
    /// the message comes again from a [store](crate::store).
    #[must_use]
    pub const fn packet_identifier(&self) -> Option<PacketIdentifier> {
        self.packet_identifier
    }

    /// Acknowledges the message, which comes from a stream where this is done [by hand](crate::Acknowledge::ByHand). Of
    /// another stream, or at QoS 0, it does nothing. A clone is the same message.
    ///
    /// A [streamed](Self::is_streamed) message is acknowledged once its last byte was read as well.
    ///
    /// If other streams have the message too, it is acknowledged once they have. Dropped without this, it is not acknowledged,
    /// and comes again on the next connection if the session is still there: at QoS 1, and at QoS 2 if the program has
    /// ended.
    ///
    /// # Errors
    /// There is nothing to acknowledge any more, because it was done before, or because the message will come again.
    pub fn acknowledge(&self) -> Result<(), Stale> {
        match (&self.hand, &self.stream) {
            (Some(hand), _) => hand.acknowledge(),
            (None, Some(read_end)) => read_end.acknowledge(),
            (None, None) => Ok(()),
        }
    }

    /// Refuses the message, with a failing Reason Code that PUBACK and PUBREC know (5.0 §3.4.2.1, §3.5.2.1), in place of
    /// [`acknowledge`](Self::acknowledge). The broker does not send it again. If other streams have it too, they find it
    /// stale. A [streamed](Self::is_streamed) message can be refused once its last byte was read; before that it is stale.
    ///
    /// # Errors
    /// `Usage`: `NotInVersion` in 3.1.1, `Encode(ReasonCodeNotAllowed)`, and `AlreadyAcknowledged` at QoS 2 with a store: it can
    /// still be acknowledged. `Stale`, as there.
    pub fn reject(&self, reason: ReasonCode) -> Result<(), Error> {
        match (&self.hand, &self.stream) {
            (Some(hand), _) => hand.reject(reason),
            (None, Some(read_end)) => read_end.reject(reason),
            (None, None) => Ok(()),
        }
    }

    /// With a [store](crate::store) at QoS 2: the number of the message. It is stable: a message that comes again after the program
    /// was killed has the number it had, so an application that commits the number together with its own work counts it once.
    /// Numbers rise, with gaps.
    #[must_use]
    pub const fn delivery_number(&self) -> Option<u64> {
        if self.delivery == 0 { None } else { Some(self.delivery) }
    }

    /// Whether the message was received before this client began and comes again from its [store](crate::store), because it
    /// was not acknowledged: the application may have seen it, or not.
    #[must_use]
    pub const fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// All properties, in their order. A Topic Alias among them has done its work.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        let encoded = self.bytes.get(usize::from(self.topic_len)..self.payload_at as usize).unwrap_or_default();
        // They were checked when they arrived.
        Properties::from_encoded(PacketType::Publish, Sender::Server, encoded).unwrap_or_default()
    }

    fn property<'a, T>(&'a self, pick: impl FnMut(Property<'a>) -> Option<T>) -> Option<T> {
        self.properties().iter().find_map(pick)
    }

    /// Whether the sender says that the payload is text, Payload Format Indicator, §3.3.2.3.2.
    #[must_use]
    pub fn payload_is_text(&self) -> bool {
        self.property(|property| match property {
            Property::PayloadFormatIndicator(indicator) => Some(indicator == 1),
            _ => None,
        })
        .unwrap_or(false)
    }

    /// For how many seconds more the message was wanted when the broker sent it, Message Expiry Interval, §3.3.2.3.3.
    #[must_use]
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.property(|property| match property {
            Property::MessageExpiryInterval(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// What kind of payload it is, in the sender's words, Content Type, §3.3.2.3.9.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.property(|property| match property {
            Property::ContentType(text) => Some(text),
            _ => None,
        })
    }

    /// Where an answer is wanted, Response Topic, §3.3.2.3.5; it makes the message a request.
    #[must_use]
    pub fn response_topic(&self) -> Option<&str> {
        self.property(|property| match property {
            Property::ResponseTopic(topic) => Some(topic),
            _ => None,
        })
    }

    /// What the answer is to repeat, Correlation Data, §3.3.2.3.6.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&[u8]> {
        self.property(|property| match property {
            Property::CorrelationData(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// The User Properties, names with values, in their order, §3.3.2.3.7.
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties().user_properties()
    }

    /// The value of the first User Property with this name.
    #[must_use]
    pub fn user_property(&self, name: &str) -> Option<&str> {
        self.user_properties().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The Subscription Identifiers of the subscriptions that the message is sent for, §3.3.2.3.8. Those that were not
    /// [chosen](crate::Subscribe::subscription_identifier) are the client's own.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + Clone {
        self.properties().iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(identifier) => Some(identifier),
            _ => None,
        })
    }

    /// The payload as a value that JSON tells.
    ///
    /// # Errors
    /// It is not JSON, or not of this kind.
    #[cfg(feature = "serde")]
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.payload())
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        let parts = |message: &Self| (message.topic_len, message.payload_at, message.qos, message.retain, message.dup);
        self.bytes == other.bytes && parts(self) == parts(other)
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .field("properties", &self.properties())
            .field("payload", &self.bytes.slice((self.payload_at as usize).min(self.bytes.len())..))
            .finish()
    }
}
