//! The subscriptions to renew, on a host.

use core::hash::{Hash, Hasher};
use std::collections::{HashMap, HashSet};

use mqtt_core::{Renewal, Subscription, SubscriptionList, SubscriptionOptions, TopicFilter};

/// In the order of their granting, found by their filter.
#[derive(Debug, Default)]
pub(crate) struct HeapSubscriptions {
    entries: Vec<Entry>,
    by_filter: HashMap<Box<str>, usize>,
    /// How many the broker has lost, and has not been asked for again, or has not answered.
    lost: usize,
    identifiers: Identifiers,
}

/// The Subscription Identifiers, most of which nobody asked for.
#[derive(Debug, Default)]
struct Identifiers {
    /// The broker of this connection knows them; without one nothing is known.
    available: bool,
    /// The last that was given out.
    last: u32,
    /// What the application chose.
    chosen: HashSet<u32>,
}

impl HeapSubscriptions {
    /// Tells whether the broker has all of them.
    pub(crate) const fn is_renewed(&self) -> bool {
        self.lost == 0
    }

    fn count_lost(&mut self, before: Option<Renewal>, after: Option<Renewal>) {
        let is_lost = |renewal| matches!(renewal, Some(Renewal::Due | Renewal::Asked(_)));
        self.lost = self.lost.saturating_sub(usize::from(is_lost(before))).saturating_add(usize::from(is_lost(after)));
    }

    /// Tells whether the broker of this connection knows Subscription Identifiers.
    pub(crate) const fn set_identifiers_available(&mut self, available: bool) {
        self.identifiers.available = available;
    }

    /// The application chose this one.
    pub(crate) fn choose_identifier(&mut self, identifier: u32) {
        self.identifiers.chosen.insert(identifier);
    }

    /// A Subscription Identifier of our own, where the broker knows them. After hundreds of millions they come again: two
    /// subscriptions may have the same.
    pub(crate) fn next_identifier(&mut self) -> Option<u32> {
        let Identifiers { available, last, chosen } = &mut self.identifiers;
        if !*available {
            return None;
        }
        loop {
            *last = if *last >= MAXIMUM { 1 } else { last.saturating_add(1) };
            if !chosen.contains(last) {
                return Some(*last);
            }
        }
    }
}

/// What a Variable Byte Integer holds.
const MAXIMUM: u32 = 268_435_455;

#[derive(Debug)]
struct Entry {
    filter: Box<str>,
    options: SubscriptionOptions,
    subscription_identifier: Option<u32>,
    renewal: Renewal,
}

impl Hash for HeapSubscriptions {
    /// Of filters how long they are.
    fn hash<H: Hasher>(&self, state: &mut H) {
        for Entry { filter, options, subscription_identifier, renewal } in &self.entries {
            (filter.len(), options, subscription_identifier, renewal).hash(state);
        }
        let Identifiers { available, last, chosen } = &self.identifiers;
        (self.lost, available, last, chosen.len()).hash(state);
    }
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
        // One of our own is nothing that a broker must know.
        let Identifiers { available, chosen, .. } = &self.identifiers;
        let identifier = entry.subscription_identifier.filter(|identifier| *available || chosen.contains(identifier));
        Some((Subscription { filter, options: entry.options }, identifier))
    }

    fn renewal(&self, index: usize) -> Option<Renewal> {
        self.entries.get(index).map(|entry| entry.renewal)
    }

    fn set_renewal(&mut self, index: usize, renewal: Renewal) {
        if let Some(entry) = self.entries.get_mut(index) {
            let before = core::mem::replace(&mut entry.renewal, renewal);
            self.count_lost(Some(before), Some(renewal));
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
            Some(known) => {
                let before = core::mem::replace(known, entry).renewal;
                self.count_lost(Some(before), None);
            }
            None => self.entries.push(entry),
        }
        true
    }

    fn remove(&mut self, filter: TopicFilter<'_>) {
        let Some(index) = self.by_filter.remove(filter.as_str()) else { return };
        let removed = self.entries.swap_remove(index);
        self.count_lost(Some(removed.renewal), None);
        if let Some(moved) = self.entries.get(index) {
            self.by_filter.insert(moved.filter.clone(), index);
        }
    }
}
