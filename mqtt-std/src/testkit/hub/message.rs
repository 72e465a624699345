//! A message as the broker keeps it: owned, and shared by all who wait for it.

use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{Delivery, Instant, Packet, Properties, Property, Publish, QoS, TopicName, Will};

use super::link::{Link, Sent};
use super::outbox::Outgoing;
use super::session::ClientIdentifier;

/// An application message on its way through the broker.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    /// As the publisher set it.
    pub(super) retain: bool,
    properties: Vec<ForwardedProperty>,
    expires_at: Option<Instant>,
    /// For No Local; the broker's own messages have none.
    pub(super) publisher: Option<ClientIdentifier>,
}

impl Message {
    /// A message of a client; the topic is that of the PUBLISH or of its alias.
    pub(super) fn published(topic: String, publish: &Publish<'_>, publisher: ClientIdentifier, now: Instant) -> Self {
        Self {
            topic,
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            properties: ForwardedProperty::all(publish.properties),
            expires_at: expiry_interval(publish.properties).map(|seconds| now.plus_secs(seconds)),
            publisher: Some(publisher),
        }
    }

    /// A Will that becomes due now: its Message Expiry Interval begins with that.
    pub(super) fn will(will: &StoredWill, publisher: ClientIdentifier, now: Instant) -> Self {
        Self {
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            properties: will.properties.clone(),
            expires_at: will.expiry_interval.map(|seconds| now.plus_secs(seconds)),
            publisher: Some(publisher),
        }
    }

    /// A retained message of the broker itself.
    pub(super) fn system(topic: &str, payload: String) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Vec::new(),
            expires_at: None,
            publisher: None,
        }
    }

    /// What counts against the bounds in bytes.
    pub(super) fn size(&self) -> usize {
        let properties: usize = self.properties.iter().map(ForwardedProperty::size).sum();
        self.topic.len().saturating_add(self.payload.len()).saturating_add(properties)
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

impl Outgoing {
    /// Writes the message as a PUBLISH, with the time that is left to it [MQTT-3.3.2-6].
    pub(super) fn write(&self, link: &mut Link, now: Instant, delivery: Delivery) -> Sent {
        let message = &*self.message;
        let mut properties: Vec<Property<'_>> = Vec::new();
        if link.version.is_v5() {
            properties.extend(message.expires_at.map(|at| Property::MessageExpiryInterval(at.secs_since(now))));
            properties.extend(message.properties.iter().map(ForwardedProperty::borrow));
            properties.extend(self.identifiers.iter().map(|&number| Property::SubscriptionIdentifier(number)));
        }
        link.send(&Packet::Publish(Publish {
            topic: TopicName::new(&message.topic).ok(),
            delivery,
            retain: self.retain,
            properties: Properties::new(&properties),
            payload: &message.payload,
        }))
    }
}

/// A Will as it waits for the end of its connection.
#[derive(Clone, Debug)]
pub(super) struct StoredWill {
    topic: String,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    properties: Vec<ForwardedProperty>,
    expiry_interval: Option<u32>,
    pub(super) delay_interval: u32,
}

impl StoredWill {
    pub(super) fn new(will: &Will<'_>) -> Self {
        Self {
            topic: will.topic.as_str().to_owned(),
            payload: Bytes::copy_from_slice(will.payload),
            qos: will.qos,
            retain: will.retain,
            properties: ForwardedProperty::all(will.properties),
            expiry_interval: expiry_interval(will.properties),
            delay_interval: will
                .properties
                .iter()
                .find_map(|property| match property {
                    Property::WillDelayInterval(seconds) => Some(seconds),
                    _ => None,
                })
                .unwrap_or(0),
        }
    }
}

fn expiry_interval(properties: Properties<'_>) -> Option<u32> {
    properties.iter().find_map(|property| match property {
        Property::MessageExpiryInterval(seconds) => Some(seconds),
        _ => None,
    })
}

/// What goes from the publisher to the subscriber unchanged and in order, MQTT 5.0 §3.3.2.3.
#[derive(Clone, Debug)]
enum ForwardedProperty {
    PayloadFormatIndicator(u8),
    ContentType(Arc<str>),
    ResponseTopic(Arc<str>),
    CorrelationData(Bytes),
    UserProperty(Arc<str>, Arc<str>),
}

impl ForwardedProperty {
    fn all(properties: Properties<'_>) -> Vec<Self> {
        properties.iter().filter_map(Self::new).collect()
    }

    fn new(property: Property<'_>) -> Option<Self> {
        Some(match property {
            Property::PayloadFormatIndicator(indicator) => Self::PayloadFormatIndicator(indicator),
            Property::ContentType(text) => Self::ContentType(text.into()),
            Property::ResponseTopic(topic) => Self::ResponseTopic(topic.into()),
            Property::CorrelationData(data) => Self::CorrelationData(Bytes::copy_from_slice(data)),
            Property::UserProperty(name, value) => Self::UserProperty(name.into(), value.into()),
            _ => return None,
        })
    }

    fn borrow(&self) -> Property<'_> {
        match self {
            Self::PayloadFormatIndicator(indicator) => Property::PayloadFormatIndicator(*indicator),
            Self::ContentType(text) => Property::ContentType(text),
            Self::ResponseTopic(topic) => Property::ResponseTopic(topic),
            Self::CorrelationData(data) => Property::CorrelationData(data),
            Self::UserProperty(name, value) => Property::UserProperty(name, value),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::PayloadFormatIndicator(_) => 1,
            Self::ContentType(text) | Self::ResponseTopic(text) => text.len(),
            Self::CorrelationData(data) => data.len(),
            Self::UserProperty(name, value) => name.len().saturating_add(value.len()),
        }
    }
}
