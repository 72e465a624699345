//! The subscriptions to renew, on a host.

use std::collections::HashMap;

use mqtt_core::{Renewal, Subscription, SubscriptionList, SubscriptionOptions, TopicFilter};

/// In the order of their granting, found by their filter.
#[derive(Debug, Default)]
pub(crate) struct HeapSubscriptions {
    entries: Vec<Entry>,
    by_filter: HashMap<Box<str>, usize>,
}

#[derive(Debug)]
struct Entry {
    filter: Box<str>,
    options: SubscriptionOptions,
    subscription_identifier: Option<u32>,
    renewal: Renewal,
}

impl SubscriptionList for HeapSubscriptions {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn has_room(&self, _: usize, _: usize) -> bool {
        true
    }

    fn get(&self, index: usize) -> Option<(Subscription<'_>, Option<u32>)> {
        let entry = self.entries.get(index)?;
        let filter = TopicFilter::new(&entry.filter).ok()?;
        Some((Subscription { filter, options: entry.options }, entry.subscription_identifier))
    }

    fn renewal(&self, index: usize) -> Option<Renewal> {
        self.entries.get(index).map(|entry| entry.renewal)
    }

    fn set_renewal(&mut self, index: usize, renewal: Renewal) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.renewal = renewal;
        }
    }

    fn insert(&mut self, subscription: Subscription<'_>, subscription_identifier: Option<u32>) -> bool {
        let filter: Box<str> = subscription.filter.as_str().into();
        let entry = Entry {
            filter: filter.clone(),
            options: subscription.options,
            subscription_identifier,
            renewal: Renewal::Granted,
        };
        let index = *self.by_filter.entry(filter).or_insert(self.entries.len());
        match self.entries.get_mut(index) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
        true
    }

    fn remove(&mut self, filter: TopicFilter<'_>) {
        let Some(index) = self.by_filter.remove(filter.as_str()) else { return };
        self.entries.swap_remove(index);
        if let Some(moved) = self.entries.get(index) {
            self.by_filter.insert(moved.filter.clone(), index);
        }
    }
}
