//! What the Server can take, §3.2.2.3; and what of a request it cannot.

use super::UsageError;
use crate::packet::{Connack, Subscriptions};
use crate::property::PropertyIdentifier;
use crate::types::QoS;

/// The limits that CONNACK named, MQTT 5.0 §3.2.2.3; where it named none, and in 3.1.1, those of the standard.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ServerLimits {
    /// Session Expiry Interval: for how many seconds the session is kept after the connection. CONNACK's, else CONNECT's; in
    /// 3.1.1 0 or, for a session that is kept, 4,294,967,295.
    pub session_expiry_interval: u32,
    /// Receive Maximum: messages at QoS 1 and 2 in flight, 1 to 65,535.
    pub receive_maximum: u16,
    /// Maximum QoS.
    pub maximum_qos: QoS,
    /// Retain Available.
    pub retain_available: bool,
    /// Maximum Packet Size in bytes; `None`: no limit but the protocol's.
    pub maximum_packet_size: Option<u32>,
    /// Topic Alias Maximum; 0: no aliases.
    pub topic_alias_maximum: u16,
    /// Wildcard Subscription Available.
    pub wildcard_subscription_available: bool,
    /// Subscription Identifier Available.
    pub subscription_identifier_available: bool,
    /// Shared Subscription Available.
    pub shared_subscription_available: bool,
}

impl ServerLimits {
    /// Nothing is known yet.
    pub(crate) const NONE: Self = Self {
        session_expiry_interval: 0,
        receive_maximum: 0,
        maximum_qos: QoS::AtMostOnce,
        retain_available: false,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        wildcard_subscription_available: false,
        subscription_identifier_available: false,
        shared_subscription_available: false,
    };

    /// Those that hold where CONNACK says nothing.
    pub(crate) const STANDARD: Self = Self {
        session_expiry_interval: 0,
        receive_maximum: u16::MAX,
        maximum_qos: QoS::ExactlyOnce,
        retain_available: true,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        wildcard_subscription_available: true,
        subscription_identifier_available: true,
        shared_subscription_available: true,
    };

    pub(crate) fn from_connack(connack: &Connack<'_>, session_expiry_interval: u32) -> Self {
        let mut limits = Self { session_expiry_interval, ..Self::STANDARD };
        for property in connack.properties.raw() {
            use PropertyIdentifier as P;
            let (number, available) = (property.number, property.number != 0);
            match property.identifier {
                P::SessionExpiryInterval => limits.session_expiry_interval = number,
                P::ReceiveMaximum => limits.receive_maximum = number as u16,
                P::MaximumQoS => limits.maximum_qos = if available { QoS::AtLeastOnce } else { QoS::AtMostOnce },
                P::RetainAvailable => limits.retain_available = available,
                P::MaximumPacketSize => limits.maximum_packet_size = Some(number),
                P::TopicAliasMaximum => limits.topic_alias_maximum = number as u16,
                P::WildcardSubscriptionAvailable => limits.wildcard_subscription_available = available,
                P::SubscriptionIdentifierAvailable => limits.subscription_identifier_available = available,
                P::SharedSubscriptionAvailable => limits.shared_subscription_available = available,
                _ => {}
            }
        }
        limits
    }

    /// Tells what of a message the Server cannot take.
    pub(crate) fn check_publish(&self, qos: QoS, retain: bool) -> Result<(), UsageError> {
        if !cfg!(feature = "v5") {
            return Ok(()); // 3.1.1 names none
        }
        if qos > self.maximum_qos {
            return Err(UsageError::QoSNotSupported { maximum: self.maximum_qos });
        }
        if retain && !self.retain_available {
            return Err(UsageError::RetainNotSupported);
        }
        Ok(())
    }

    /// Tells what of a SUBSCRIBE the Server cannot take.
    pub(crate) fn check_subscribe(&self, filters: Subscriptions<'_>, with_identifier: bool) -> Result<(), UsageError> {
        if !cfg!(feature = "v5") {
            return Ok(());
        }
        if with_identifier && !self.subscription_identifier_available {
            return Err(UsageError::SubscriptionIdentifiersNotSupported);
        }
        for subscription in filters.iter() {
            if subscription.filter.has_wildcard() && !self.wildcard_subscription_available {
                return Err(UsageError::WildcardSubscriptionsNotSupported);
            }
            if subscription.filter.is_shared() && !self.shared_subscription_available {
                return Err(UsageError::SharedSubscriptionsNotSupported);
            }
        }
        Ok(())
    }

    /// Tells whether a packet of this many bytes is too large.
    pub(crate) const fn check_size(&self, needed: usize) -> Result<(), UsageError> {
        match self.maximum_packet_size {
            Some(maximum) if cfg!(feature = "v5") && needed > maximum as usize => {
                Err(UsageError::PacketTooLarge { needed: needed as u32, maximum })
            }
            _ => Ok(()),
        }
    }
}
