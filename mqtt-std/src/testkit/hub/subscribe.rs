//! SUBSCRIBE and UNSUBSCRIBE, MQTT 5.0 and 3.1.1 §3.8 to §3.11.

use std::sync::Arc;

use mqtt_core::{
    Instant, Packet, Properties, Property, ReasonCode, ReasonCodes, RetainHandling, Suback, Subscribe, Subscription,
    SubscriptionOptions, TopicFilter, Unsuback, Unsubscribe,
};

use super::Hub;
use super::message::Message;
use super::outbox::{Limits, Outgoing};
use super::session::{ClientIdentifier, ConnectionId};
use super::subscriptions::Granted;

impl Hub {
    pub(super) fn handle_subscribe(
        &mut self,
        id: ConnectionId,
        now: Instant,
        subscribe: &Subscribe<'_>,
    ) -> Result<(), ReasonCode> {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        let is_v5 = connection.link.version.is_v5();
        let Some(client) = connection.client() else { return Ok(()) };
        let client = client.identifier.clone();
        let identifier = subscribe.properties.iter().find_map(|property| match property {
            Property::SubscriptionIdentifier(number) => Some(number),
            _ => None,
        });
        let codes: Vec<u8> = subscribe
            .filters
            .iter()
            .map(|subscription| match self.subscribe(&client, subscription, identifier) {
                Ok(granted) => granted.options.qos as u8,
                // The only failure that 3.1.1 knows.
                Err(_) if !is_v5 => ReasonCode::UNSPECIFIED_ERROR.as_u8(),
                Err(reason_code) => reason_code.as_u8(),
            })
            .collect();
        self.send(
            id,
            &Packet::Suback(Suback {
                packet_identifier: subscribe.packet_identifier,
                properties: Properties::EMPTY,
                reason_codes: ReasonCodes::new(&codes),
            }),
        )?;
        // The retained messages, behind the SUBACK.
        self.deliver(&client, now);
        Ok(())
    }

    /// Adds or replaces one subscription and queues the retained messages for it.
    fn subscribe(
        &mut self,
        client: &ClientIdentifier,
        subscription: Subscription<'_>,
        identifier: Option<u32>,
    ) -> Result<Granted, ReasonCode> {
        let Subscription { filter, options } = subscription;
        self.check_filter(filter, identifier)?;
        let granted = Granted {
            options: SubscriptionOptions { qos: options.qos.min(self.options.maximum_qos), ..options },
            identifier,
        };
        let max_subscriptions = self.options.max_subscriptions;
        let limits = Limits::for_retained(&self.options);
        let Some(session) = self.sessions.get_mut(client) else { return Err(ReasonCode::UNSPECIFIED_ERROR) };
        let is_new = !session.filters.contains(filter.as_str());
        if is_new && session.filters.len() >= max_subscriptions {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        let is_wanted = match options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        let mut retained: Vec<Arc<Message>> = Vec::new();
        if is_wanted && !filter.is_shared() {
            retained.extend(self.retained.matching(filter));
            retained.extend(self.system.matching(filter));
        }
        if !session.outbox.has_room(retained.iter().map(|message| &**message), limits) {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        session.filters.insert(filter.as_str().to_owned());
        self.subscriptions.insert(client, filter, granted);
        for message in retained {
            self.enqueue(client, Outgoing::retained(message, &granted), limits);
        }
        Ok(granted)
    }

    fn check_filter(&self, filter: TopicFilter<'_>, identifier: Option<u32>) -> Result<(), ReasonCode> {
        let options = &self.options;
        if identifier.is_some() && !options.subscription_identifier_available {
            return Err(ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED);
        }
        if filter.is_shared() && !options.shared_subscription_available {
            return Err(ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        if filter.has_wildcard() && !options.wildcard_subscription_available {
            return Err(ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        if filter.without_share().split('/').count() > MAX_LEVELS {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        Ok(())
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        id: ConnectionId,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Result<(), ReasonCode> {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        let is_v5 = connection.link.version.is_v5();
        let Some(identifier) = connection.client().map(|client| client.identifier.clone()) else { return Ok(()) };
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            if let Some(session) = self.sessions.get_mut(&identifier) {
                session.filters.remove(filter.as_str());
            }
            codes.push(match self.subscriptions.remove(&identifier, filter) {
                true => ReasonCode::SUCCESS.as_u8(),
                false => ReasonCode::NO_SUBSCRIPTION_EXISTED.as_u8(),
            });
        }
        if !is_v5 {
            codes.clear();
        }
        self.send(
            id,
            &Packet::Unsuback(Unsuback {
                packet_identifier: unsubscribe.packet_identifier,
                properties: Properties::EMPTY,
                reason_codes: ReasonCodes::new(&codes),
            }),
        )
    }
}

/// Levels of a Topic Filter: the tree of subscriptions is walked by recursion.
const MAX_LEVELS: usize = 128;
