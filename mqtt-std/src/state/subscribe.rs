//! Subscriptions that come and go.

use std::sync::Arc;

use mqtt_core::{Renewal, SubscribeRequest, Subscription, SubscriptionList as _, TopicFilter, UnsubscribeRequest};
use tokio::sync::oneshot;

use super::State;
use super::replies::Answers;
use crate::delivery::Queue;
use crate::error::Error;

impl State {
    /// Asks for subscriptions, whose messages go to `queue`. `Ok(None)`: no room now.
    pub(crate) fn subscribe(
        &mut self,
        filters: &[Subscription<'_>],
        queue: &Arc<Queue>,
    ) -> Result<Option<oneshot::Receiver<Answers>>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        match self.machine.subscribe(&SubscribeRequest::new(filters)) {
            Ok(id) => {
                for filter in filters {
                    let text = filter.filter.as_str();
                    self.unwanted.retain(|unwanted| **unwanted != *text);
                    // Before the answer: a retained message comes right behind it.
                    self.routes.add(text, queue);
                    self.early.hand_over(filter.filter, queue, &mut self.later);
                }
                Ok(Some(self.replies.of_request(id)))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Without a wait for the answer: the streams are gone.
    pub(crate) fn unsubscribe(&mut self, filters: Vec<Box<str>>) {
        self.unwanted.extend(filters);
        self.send_unsubscribe();
    }

    pub(crate) fn send_unsubscribe(&mut self) {
        if self.unwanted.is_empty() {
            return;
        }
        let filters: Vec<_> = self.unwanted.iter().filter_map(|filter| TopicFilter::new(filter).ok()).collect();
        match self.machine.unsubscribe(&UnsubscribeRequest::new(&filters)) {
            Err(error) if self.passes(error) => return,
            Err(error) => tracing::warn!(%error, "cannot unsubscribe"),
            Ok(_) => {}
        }
        self.unwanted.clear();
    }

    /// Ends the streams of subscriptions that this broker, which lost the session, did not renew.
    pub(crate) fn end_refused(&mut self) {
        let list = &self.machine.subscriptions;
        let refused: Vec<_> = (0..list.len())
            .filter_map(|index| match (list.renewal(index)?, list.get(index)?) {
                (Renewal::Refused(reason), (subscription, _)) => {
                    Some((Box::<str>::from(subscription.filter.as_str()), reason))
                }
                _ => None,
            })
            .collect();
        for (filter, reason) in refused {
            tracing::warn!(%filter, %reason, "a subscription was not renewed");
            let others = self.routes.refuse(&filter, &mut self.later);
            if let Ok(filter) = TopicFilter::new(&filter) {
                self.machine.subscriptions.remove(filter);
            }
            if !others.is_empty() {
                self.unsubscribe(others);
            }
        }
    }
}
