//! Retained messages, MQTT 5.0 §3.3.1.3.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_core::{Instant, TopicFilter, TopicName};

use super::message::Message;

/// The last retained message of each topic.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<String, Arc<Message>>,
    bytes: usize,
}

impl Retained {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Tells whether the message can be retained; one without payload always can: it only deletes.
    pub(super) fn has_room(&self, message: &Message, max_messages: usize, max_bytes: usize) -> bool {
        if message.payload.is_empty() {
            return true;
        }
        let (replaced, freed) = self.messages.get(&message.topic).map_or((0, 0), |old| (1, old.size()));
        let bytes = self.bytes.saturating_sub(freed).saturating_add(message.size());
        self.messages.len().saturating_sub(replaced) < max_messages && bytes <= max_bytes
    }

    /// Takes the place of the topic's message; without payload it deletes that and is not kept [MQTT-3.3.1-7].
    pub(super) fn store(&mut self, message: &Arc<Message>) {
        let old = if message.payload.is_empty() {
            self.messages.remove(&message.topic)
        } else {
            self.bytes = self.bytes.saturating_add(message.size());
            self.messages.insert(message.topic.clone(), Arc::clone(message))
        };
        self.bytes = self.bytes.saturating_sub(old.map_or(0, |old| old.size()));
    }

    /// Forgets what has expired.
    pub(super) fn remove_expired(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.messages.retain(|_, message| {
            let expired = message.is_expired(now);
            if expired {
                *bytes = bytes.saturating_sub(message.size());
            }
            !expired
        });
    }

    /// The messages for a new subscription, in the order of their topics.
    pub(super) fn matching(&self, filter: TopicFilter<'_>) -> Vec<Arc<Message>> {
        if !filter.has_wildcard() {
            return self.messages.get(filter.without_share()).cloned().into_iter().collect();
        }
        let matches = |topic: &str| TopicName::new(topic).is_ok_and(|topic| filter.matches(topic));
        self.messages.iter().filter(|(topic, _)| matches(topic)).map(|(_, message)| Arc::clone(message)).collect()
    }
}
