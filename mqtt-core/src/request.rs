//! What an application asks for, a value for each verb.

use crate::packet::Subscription;
use crate::property::{Properties, Property};
use crate::types::{QoS, TopicFilter, TopicName};

/// A message to be published, without its payload.
///
/// ```
/// use mqtt_core::{PublishRequest, QoS, TopicName};
///
/// const STATUS: &str = "cellar/stairlamp/status";
/// let request = PublishRequest::new(TopicName::new(STATUS)?).qos(QoS::AtLeastOnce).retain(true);
/// assert_eq!(request.topic.as_str(), STATUS);
/// # Ok::<(), mqtt_core::InvalidTopicName>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PublishRequest<'a> {
    /// Where to.
    pub topic: TopicName<'a>,
    /// How surely; default: at most once.
    pub qos: QoS,
    /// Whether the Server keeps it for later subscribers, §3.3.1.3; default: no.
    pub retain: bool,
    /// Whether a Topic Alias may stand for the topic, 5.0 §3.3.2.3.4; default: no.
    pub topic_alias: TopicAliasUse,
    /// Seconds after which it is no longer wanted; default: never.
    ///
    /// A message that was not sent by then is not sent any more, in every version. In 5.0 the seconds that are left are sent
    /// as Message Expiry Interval, §3.3.2.3.3.
    pub message_expiry_interval: Option<u32>,
    /// Further properties, 5.0 only; default: none. Topic Alias and Message Expiry Interval have fields of their own.
    pub properties: Properties<'a>,
}

impl<'a> PublishRequest<'a> {
    /// A message at QoS 0, not retained, without properties.
    #[must_use]
    pub const fn new(topic: TopicName<'a>) -> Self {
        Self {
            topic,
            qos: QoS::AtMostOnce,
            retain: false,
            topic_alias: TopicAliasUse::None,
            message_expiry_interval: None,
            properties: Properties::EMPTY,
        }
    }

    /// Sets the QoS.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Asks the Server to keep the message for later subscribers.
    #[must_use]
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// Lets a Topic Alias stand for the topic.
    #[must_use]
    pub const fn topic_alias(mut self, topic_alias: TopicAliasUse) -> Self {
        self.topic_alias = topic_alias;
        self
    }

    /// Sets the seconds after which the message is no longer wanted.
    #[must_use]
    pub const fn message_expiry_interval(mut self, seconds: u32) -> Self {
        self.message_expiry_interval = Some(seconds);
        self
    }

    /// Sets further properties.
    #[must_use]
    pub const fn properties(mut self, properties: &'a [Property<'a>]) -> Self {
        self.properties = Properties::new(properties);
        self
    }
}

/// Whether and how a Topic Alias stands for a topic that is sent often, 5.0 §3.3.2.3.4.
///
/// Aliases end with the connection: after a reconnect the first PUBLISH with one has the full topic again.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TopicAliasUse {
    /// The full topic each time.
    #[default]
    None,
    /// An alias of the machine's choice; those used least recently make room for new ones.
    Automatic,
    /// This alias, 1 to the Server's Topic Alias Maximum.
    Number(u16),
}

/// The payload of a message at QoS 1 or 2, which is sent again if need be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Body<P> {
    /// It is kept in the storage.
    Stored(P),
    /// It is too large to keep: the adapter reads it from a rewindable source, from the start, whenever it is sent.
    Source {
        /// Bytes.
        length: u32,
        /// What the adapter calls the source; comes back with each [`Transmit`](crate::Transmit) and in the record.
        key: u32,
    },
}

/// The payload of a message at QoS 0, which is sent once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Payload<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// As many bytes as `length` says, which the adapter sends behind the head: from a source that may be readable only once.
    Source {
        /// Bytes.
        length: u32,
    },
}

/// A SUBSCRIBE, §3.8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SubscribeRequest<'a> {
    /// What to subscribe to, at least one.
    pub filters: &'a [Subscription<'a>],
    /// Subscription Identifier, 5.0 §3.8.2.1.2: 1 to 268,435,455; default: none.
    pub subscription_identifier: Option<u32>,
    /// User Properties, 5.0 only; default: none.
    pub properties: &'a [Property<'a>],
}

impl<'a> SubscribeRequest<'a> {
    /// A SUBSCRIBE for these filters.
    #[must_use]
    pub const fn new(filters: &'a [Subscription<'a>]) -> Self {
        Self { filters, subscription_identifier: None, properties: &[] }
    }

    /// Sets the Subscription Identifier.
    #[must_use]
    pub const fn subscription_identifier(mut self, identifier: u32) -> Self {
        self.subscription_identifier = Some(identifier);
        self
    }

    /// Sets User Properties.
    #[must_use]
    pub const fn properties(mut self, properties: &'a [Property<'a>]) -> Self {
        self.properties = properties;
        self
    }
}

/// An UNSUBSCRIBE, §3.10.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnsubscribeRequest<'a> {
    /// What to unsubscribe from, at least one.
    pub filters: &'a [TopicFilter<'a>],
    /// User Properties, 5.0 only; default: none.
    pub properties: &'a [Property<'a>],
}

impl<'a> UnsubscribeRequest<'a> {
    /// An UNSUBSCRIBE for these filters.
    #[must_use]
    pub const fn new(filters: &'a [TopicFilter<'a>]) -> Self {
        Self { filters, properties: &[] }
    }

    /// Sets User Properties.
    #[must_use]
    pub const fn properties(mut self, properties: &'a [Property<'a>]) -> Self {
        self.properties = properties;
        self
    }
}
