//! What the broker says of a command.

use core::fmt;

use mqtt_core::{PacketType, Properties, ReasonCode, Sender};

use crate::said::Said;

/// The broker's answer to a publish, subscribe or unsubscribe: a Reason Code, and what else it says.
///
/// It compares with a Reason Code: `answer == ReasonCode::SUCCESS`.
///
/// Of a broker that says more than 16 KiB beside it only the Reason Code is kept.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Answer {
    reason: ReasonCode,
    /// As on the wire. Mostly empty, and then without memory.
    properties: Box<[u8]>,
}

/// Bytes of properties that are kept of what a broker says about itself.
pub(crate) const MOST_SAID: usize = 16 * 1024;

impl Answer {
    pub(crate) fn new(reason: ReasonCode, properties: Properties<'_>) -> Self {
        // Many may wait to be read.
        let kept = Some(properties.as_encoded()).filter(|encoded| encoded.len() <= MOST_SAID);
        Self { reason, properties: kept.unwrap_or_default().into() }
    }

    /// The same with another Reason Code.
    pub(crate) fn with_reason(&self, reason: ReasonCode) -> Self {
        Self { reason, properties: self.properties.clone() }
    }

    /// The Reason Code.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// The Reason String: diagnostic text for people (5.0 §3.4.2.2.2 and its like).
    #[must_use]
    pub fn reason_string(&self) -> Option<&str> {
        self.properties().reason_string()
    }

    /// The User Properties, names with values, in their order (5.0).
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties().user_properties()
    }

    fn properties(&self) -> Properties<'_> {
        // All answers have the same properties, and these were checked when they arrived.
        Properties::from_encoded(PacketType::Puback, Sender::Server, &self.properties).unwrap_or_default()
    }
}

impl From<ReasonCode> for Answer {
    fn from(reason: ReasonCode) -> Self {
        Self { reason, properties: Box::default() }
    }
}

impl PartialEq<ReasonCode> for Answer {
    fn eq(&self, other: &ReasonCode) -> bool {
        self.reason == *other
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("reason", &self.reason).field("properties", &self.properties()).finish()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason_string() {
            Some(text) => write!(f, "{}: {}", self.reason, Said(text)),
            None => self.reason.fmt(f),
        }
    }
}
