//! Subscriptions that come and go.

use std::sync::Arc;

use mqtt_core::{
    EncodeError, Outcome, PacketIdentifier, PacketType, Properties, Property, Renewal, Sender, SubscribeRequest,
    Subscription, SubscriptionList as _, TopicFilter, UnsubscribeRequest, UsageError,
};
use tokio::sync::oneshot;

use super::State;
use super::replies::{Answers, AwaitedUnsubscribe, Due, Requested};
use crate::delivery::{Interest, Queue};
use crate::error::Error;

/// So many filters are in one UNSUBSCRIBE, which a broker is not to find too large.
const AT_ONCE: usize = 100;

impl State {
    /// Asks for subscriptions, whose messages go to `queue`. `Ok(None)`: no room now.
    pub(crate) fn subscribe(
        &mut self,
        request: &SubscribeRequest<'_>,
        queue: &Arc<Queue>,
    ) -> Result<Option<oneshot::Receiver<Requested>>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        // The filter is one subscription at the broker: nobody's QoS is lowered.
        let raised: Vec<_> = request.filters.iter().map(|entry| self.raised(*entry)).collect();
        let machine = &mut self.machine;
        let identifier = match request.subscription_identifier {
            Some(chosen) => {
                machine.choose_identifier(chosen);
                Some(chosen)
            }
            None => machine.next_identifier(),
        };
        let with_identifier = SubscribeRequest { filters: &raised, subscription_identifier: identifier, ..*request };
        match self.machine.subscribe(&with_identifier) {
            Ok(id) => {
                if identifier != request.subscription_identifier {
                    let filters = raised.iter().map(|entry| (entry.filter.as_str().into(), entry.options)).collect();
                    self.replies.plain.insert(id, (filters, encoded(request.properties)));
                }
                for Subscription { filter, options } in raised {
                    self.is_wanted(filter);
                    // Before the answer: a retained message comes right behind it.
                    self.add(Interest::Filter(filter), queue);
                    self.routes.asked(filter, queue, options.qos, identifier);
                }
                Ok(Some(self.replies.of_request(id)))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A SUBSCRIBE has ended like this; tells whether it is sent again, because the next broker does not know the Subscription
    /// Identifier that nobody asked for.
    pub(super) fn ask_plainly(&mut self, id: PacketIdentifier, outcome: Outcome) -> bool {
        let Some((kept, properties)) = self.replies.plain.remove(&id) else { return false };
        let Outcome::Refused(
            UsageError::SubscriptionIdentifiersNotSupported | UsageError::Encode(EncodeError::NotInVersion),
        ) = outcome
        else {
            return false;
        };
        let filters = kept.iter().filter_map(|(filter, options)| {
            Some(Subscription { filter: TopicFilter::new(filter).ok()?, options: *options })
        });
        let filters: Vec<_> = filters.collect();
        let Some(sender) = self.replies.take_request(id) else { return false };
        let properties = Properties::from_encoded(PacketType::Subscribe, Sender::Client, &properties);
        let properties: Vec<_> = properties.unwrap_or_default().iter().collect();
        match self.machine.subscribe(&SubscribeRequest::new(&filters).properties(&properties)) {
            Ok(id) => self.replies.tell_request(id, sender),
            Err(error) => self.later.due.push(Due::Request(sender, Err(Outcome::Refused(error)))),
        }
        for entry in filters {
            self.routes.set_identifier(entry.filter, None);
        }
        true
    }

    fn raised<'a>(&self, mut entry: Subscription<'a>) -> Subscription<'a> {
        entry.options.qos = entry.options.qos.max(self.routes.asked_qos(entry.filter));
        entry
    }

    /// Messages that the broker sends anyway go to `queue` as well.
    pub(crate) fn listen<'a>(
        &mut self,
        interest: impl IntoIterator<Item = Interest<'a>>,
        queue: &Arc<Queue>,
    ) -> Result<(), Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        for interest in interest {
            self.add(interest, queue);
        }
        Ok(())
    }

    fn add(&mut self, interest: Interest<'_>, queue: &Arc<Queue>) {
        self.routes.add(interest, queue);
        self.early.hand_over(interest, queue, &mut self.later);
        self.claim_inbound(interest, queue);
    }

    /// Without a wait for the answer: the streams are gone.
    pub(crate) fn unsubscribe(&mut self, filters: Vec<Box<str>>) {
        if !self.closed {
            // Behind others that wait there is no room either.
            let first = self.unwanted.is_empty();
            self.unwanted.extend(filters);
            if first {
                self.send_unsubscribe();
            }
        }
    }

    /// Tells of the broker's answer, if it is asked.
    pub(crate) fn unsubscribe_and_tell(
        &mut self,
        filters: Vec<Box<str>>,
        user_properties: Vec<(String, String)>,
    ) -> Option<oneshot::Receiver<Requested>> {
        if filters.is_empty() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        if !self.closed {
            self.replies.farewells.push(AwaitedUnsubscribe { filters, user_properties, sender });
            self.send_unsubscribe();
        }
        Some(receiver)
    }

    /// What has waited for room goes first.
    pub(crate) fn send_unsubscribe(&mut self) {
        while !self.unwanted.is_empty() {
            let rest = self.unwanted.split_off(self.unwanted.len().min(AT_ONCE));
            let mut unwanted = core::mem::replace(&mut self.unwanted, rest);
            match self.begin_unsubscribe(&unwanted, &[]) {
                Err(error) if self.passes(error) => {
                    unwanted.append(&mut self.unwanted);
                    self.unwanted = unwanted;
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot unsubscribe"),
                Ok(_) => {}
            }
        }
        while !self.replies.farewells.is_empty() {
            let farewell = self.replies.farewells.remove(0);
            match self.begin_unsubscribe(&farewell.filters, &farewell.user_properties) {
                Ok(id) => self.replies.tell_request(id, farewell.sender),
                Err(error) if self.passes(error) => {
                    self.replies.farewells.insert(0, farewell);
                    return;
                }
                Err(error) => self.later.due.push(Due::Request(farewell.sender, Err(Outcome::Refused(error)))),
            }
        }
    }

    fn begin_unsubscribe(
        &mut self,
        filters: &[Box<str>],
        user_properties: &[(String, String)],
    ) -> Result<PacketIdentifier, UsageError> {
        let filters: Vec<_> = filters.iter().filter_map(|filter| TopicFilter::new(filter).ok()).collect();
        let properties = user_properties.iter().map(|(name, value)| Property::UserProperty(name, value));
        let properties: Vec<_> = properties.collect();
        self.machine.unsubscribe(&UnsubscribeRequest::new(&filters).properties(&properties))
    }

    /// There is a stream for it again: an UNSUBSCRIBE that waits would come behind its SUBSCRIBE.
    fn is_wanted(&mut self, filter: TopicFilter<'_>) {
        let wanted = filter.as_str();
        self.unwanted.retain(|unwanted| **unwanted != *wanted);
        let waiting = core::mem::take(&mut self.replies.farewells);
        for mut farewell in waiting {
            farewell.filters.retain(|unwanted| **unwanted != *wanted);
            if farewell.filters.is_empty() {
                self.later.due.push(Due::Request(farewell.sender, Ok(Answers::default())));
            } else {
                self.replies.farewells.push(farewell);
            }
        }
    }

    /// Ends the streams of subscriptions that this broker, which lost the session, did not renew.
    pub(crate) fn end_refused(&mut self) {
        let list = self.machine.subscriptions();
        let refused: Vec<_> = (0..list.len())
            .filter_map(|index| {
                let Some(Renewal::Refused(reason)) = list.renewal(index) else { return None };
                let (subscription, _) = list.get(index)?;
                Some((Box::<str>::from(subscription.filter.as_str()), reason))
            })
            .collect();
        for (filter, reason) in refused {
            tracing::warn!(%filter, %reason, "a subscription was not renewed");
            let others = self.routes.refuse(&filter, &mut self.later);
            if let Ok(filter) = TopicFilter::new(&filter) {
                self.machine.remove_subscription(filter);
            }
            if !others.is_empty() {
                self.unsubscribe(others);
            }
        }
    }
}

/// The properties of a SUBSCRIBE that was accepted, as on the wire.
fn encoded(properties: &[Property<'_>]) -> Vec<u8> {
    let encode = |out: &mut [u8]| Properties::new(properties).encode(PacketType::Subscribe, Sender::Client, out);
    let Err(EncodeError::BufferTooSmall { needed }) = encode(&mut []) else { return Vec::new() };
    let mut encoded = vec![0; needed];
    let len = encode(&mut encoded).unwrap_or(0);
    encoded.truncate(len);
    encoded
}
