//! What the broker says when this client no longer can.

use bytes::Bytes;
use mqtt_core::{Properties, Property, QoS, TopicName};

use crate::error::Error;

/// The message that the broker publishes when a connection dies without a DISCONNECT, §3.1.2.5.
#[derive(Clone, Debug)]
pub struct Will {
    topic: String,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    delay: Option<u32>,
}

impl Will {
    /// A will at QoS 0, not retained.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), qos: QoS::AtMostOnce, retain: false, delay: None }
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

    /// Sets how many seconds the broker waits before it publishes (5.0).
    #[must_use]
    pub const fn delay(mut self, seconds: u32) -> Self {
        self.delay = Some(seconds);
        self
    }

    /// Its properties, to be lent to [`Options::connect_options`].
    pub(crate) fn properties(&self) -> Vec<Property<'static>> {
        self.delay.map(Property::WillDelayInterval).into_iter().collect()
    }

    pub(super) fn lend<'a>(&'a self, properties: &'a [Property<'a>]) -> Option<mqtt_core::Will<'a>> {
        let topic = TopicName::new(&self.topic).ok()?;
        let properties = Properties::new(properties);
        Some(mqtt_core::Will { topic, payload: &self.payload, qos: self.qos, retain: self.retain, properties })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        TopicName::new(&self.topic).map(drop).map_err(Error::InvalidTopicName)
    }
}
