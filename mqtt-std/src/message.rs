//! A received message that owns its bytes.

use core::str::Utf8Error;

use bytes::Bytes;
use mqtt_core::QoS;

/// A message from the broker. Cheap to clone: payload and topic are shared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    topic: Bytes,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    dup: bool,
}

impl Message {
    pub(crate) fn new(message: &mqtt_core::Message<'_>) -> Self {
        // One allocation holds both; the buffer of the connection is not pinned.
        let topic = message.topic.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(topic.len() + message.payload.len());
        bytes.extend_from_slice(topic);
        bytes.extend_from_slice(message.payload);
        let mut payload = Bytes::from(bytes);
        let topic = payload.split_to(topic.len());
        Self { topic, payload, qos: message.qos, retain: message.retain, dup: message.dup }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        // It was text when it arrived.
        core::str::from_utf8(&self.topic).unwrap_or_default()
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn payload_str(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(&self.payload)
    }

    /// The QoS it was sent with: at most that of the subscription.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether the broker had kept it for later subscribers.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Whether the broker may have sent it before.
    #[must_use]
    pub const fn dup(&self) -> bool {
        self.dup
    }
}
