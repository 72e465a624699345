//! What the broker says when this client no longer can.

use bytes::Bytes;
use mqtt_core::{Properties, Property, QoS, TopicName};

use crate::error::Error;

/// The message that the broker publishes when a connection dies without a DISCONNECT, §3.1.2.5.
///
/// Its properties are those of 5.0; in 3.1.1 they are left out, as [`Status::Connected`](crate::Status::Connected) says in
/// `loss`.
#[derive(Clone, Debug)]
pub struct Will {
    topic: String,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    delay: Option<u32>,
    payload_is_text: bool,
    message_expiry_interval: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Bytes>,
    user_properties: Vec<(String, String)>,
}

impl Will {
    /// A will at QoS 0, not retained.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            delay: None,
            payload_is_text: false,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        }
    }

    /// Sets the QoS.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Asks the broker to keep the message for later subscribers.
    #[must_use]
    pub const fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Sets how many seconds the broker waits before it publishes, Will Delay Interval (5.0 §3.1.3.2.2); default: 0. It does not
    /// if there is a connection again by then.
    #[must_use]
    pub const fn delay(mut self, seconds: u32) -> Self {
        self.delay = Some(seconds);
        self
    }

    /// Says that the payload is text, Payload Format Indicator (5.0 §3.1.3.2.3).
    #[must_use]
    pub const fn payload_is_text(mut self) -> Self {
        self.payload_is_text = true;
        self
    }

    /// Sets after how many seconds from when it is published the message is no longer wanted (5.0 §3.1.3.2.4); default: never.
    #[must_use]
    pub const fn message_expiry_interval(mut self, seconds: u32) -> Self {
        self.message_expiry_interval = Some(seconds);
        self
    }

    /// Says what kind of payload it is, Content Type (5.0 §3.1.3.2.5).
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Makes the message a request, to be answered at this topic, Response Topic (5.0 §3.1.3.2.6).
    #[must_use]
    pub fn response_topic(mut self, topic: impl Into<String>) -> Self {
        self.response_topic = Some(topic.into());
        self
    }

    /// Says what the answer is to repeat, Correlation Data (5.0 §3.1.3.2.7).
    #[must_use]
    pub fn correlation_data(mut self, data: impl Into<Bytes>) -> Self {
        self.correlation_data = Some(data.into());
        self
    }

    /// Adds a User Property (5.0 §3.1.3.2.8); the same name may come again.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// Its properties, to be lent to [`Options::connect_options`].
    pub(crate) fn properties(&self) -> Vec<Property<'_>> {
        let single = [
            self.delay.map(Property::WillDelayInterval),
            self.payload_is_text.then_some(Property::PayloadFormatIndicator(1)),
            self.message_expiry_interval.map(Property::MessageExpiryInterval),
            self.content_type.as_deref().map(Property::ContentType),
            self.response_topic.as_deref().map(Property::ResponseTopic),
            self.correlation_data.as_deref().map(Property::CorrelationData),
        ];
        let user = self.user_properties.iter().map(|(name, value)| Property::UserProperty(name, value));
        single.into_iter().flatten().chain(user).collect()
    }

    pub(super) fn lend<'a>(&'a self, properties: &'a [Property<'a>]) -> Option<mqtt_core::Will<'a>> {
        let topic = TopicName::new(&self.topic).ok()?;
        let properties = Properties::new(properties);
        Some(mqtt_core::Will { topic, payload: &self.payload, qos: self.qos, retain: self.retain, properties })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        TopicName::new(&self.topic)?;
        self.response_topic.as_deref().map_or(Ok(()), |topic| Ok(TopicName::new(topic).map(drop)?))
    }
}
