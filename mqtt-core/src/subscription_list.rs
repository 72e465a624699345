//! The subscriptions to renew when the Server has lost the session.

use crate::codec::bytes::put;
use crate::packet::{Subscription, SubscriptionOptions};
use crate::types::{PacketIdentifier, ReasonCode, TopicFilter};

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Renewal {
    /// The Server has granted it.
    Granted,
    /// The Server has lost it: it is to be asked for.
    Due,
    /// It is asked for in the SUBSCRIBE with this identifier.
    Asked(PacketIdentifier),
    /// The Server has refused to renew it; or it was not asked, because it had said before that it cannot take it: the Reason
    /// Code is the one that names the limit.
    Refused(ReasonCode),
}

/// The subscriptions that were granted, so that they can be renewed.
///
/// [`NoSubscriptions`] renews nothing; [`ArraySubscriptions`] is the one without allocation.
pub trait SubscriptionList {
    /// Whether anything is ever kept; where nothing is, nothing needs to be read for it.
    const KEEPS: bool = true;

    /// How many there are.
    fn len(&self) -> usize;

    /// Tells whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether as many more filters, of as many bytes at the most, can be added.
    fn has_room(&self, filters: usize, longest: usize) -> bool;

    /// The subscription at this place, and its Subscription Identifier.
    fn get(&self, index: usize) -> Option<(Subscription<'_>, Option<u32>)>;

    /// Where the subscription at this place stands.
    fn renewal(&self, index: usize) -> Option<Renewal>;

    /// Says where the subscription at this place stands.
    fn set_renewal(&mut self, index: usize, renewal: Renewal);

    /// Adds a subscription, or replaces that with the same filter; it is granted. `false` when it does not fit.
    fn insert(&mut self, subscription: Subscription<'_>, subscription_identifier: Option<u32>) -> bool;

    /// Removes the subscription with this filter, if there is one.
    fn remove(&mut self, filter: TopicFilter<'_>);
}

/// No list: nothing is renewed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoSubscriptions;

impl SubscriptionList for NoSubscriptions {
    const KEEPS: bool = false;

    fn len(&self) -> usize {
        0
    }

    fn has_room(&self, _: usize, _: usize) -> bool {
        true
    }

    fn get(&self, _: usize) -> Option<(Subscription<'_>, Option<u32>)> {
        None
    }

    fn renewal(&self, _: usize) -> Option<Renewal> {
        None
    }

    fn set_renewal(&mut self, _: usize, _: Renewal) {}

    fn insert(&mut self, _: Subscription<'_>, _: Option<u32>) -> bool {
        true
    }

    fn remove(&mut self, _: TopicFilter<'_>) {}
}

/// A list of `N` subscriptions with filters of at most `LEN` bytes, without allocation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ArraySubscriptions<const N: usize, const LEN: usize> {
    entries: [Entry<LEN>; N],
    len: usize,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Entry<const LEN: usize> {
    filter: [u8; LEN],
    filter_len: u16,
    options: SubscriptionOptions,
    subscription_identifier: Option<u32>,
    renewal: Renewal,
}

impl<const LEN: usize> Entry<LEN> {
    fn filter(&self) -> TopicFilter<'_> {
        let bytes = self.filter.get(..self.filter_len as usize).unwrap_or(&[]);
        TopicFilter::from_checked(core::str::from_utf8(bytes).unwrap_or(""))
    }
}

impl<const N: usize, const LEN: usize> ArraySubscriptions<N, LEN> {
    /// An empty list; can be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        let empty = Entry {
            filter: [0; LEN],
            filter_len: 0,
            options: SubscriptionOptions::new(crate::types::QoS::AtMostOnce),
            subscription_identifier: None,
            renewal: Renewal::Granted,
        };
        Self { entries: [empty; N], len: 0 }
    }

    fn position(&self, filter: TopicFilter<'_>) -> Option<usize> {
        self.entries.iter().take(self.len).position(|entry| entry.filter() == filter)
    }
}

impl<const N: usize, const LEN: usize> Default for ArraySubscriptions<N, LEN> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const LEN: usize> SubscriptionList for ArraySubscriptions<N, LEN> {
    fn len(&self) -> usize {
        self.len
    }

    fn has_room(&self, filters: usize, longest: usize) -> bool {
        self.len.saturating_add(filters) <= N && longest <= LEN
    }

    fn get(&self, index: usize) -> Option<(Subscription<'_>, Option<u32>)> {
        let entry = self.entries.get(..self.len)?.get(index)?;
        let subscription = Subscription { filter: entry.filter(), options: entry.options };
        Some((subscription, entry.subscription_identifier))
    }

    fn renewal(&self, index: usize) -> Option<Renewal> {
        Some(self.entries.get(..self.len)?.get(index)?.renewal)
    }

    fn set_renewal(&mut self, index: usize, renewal: Renewal) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.renewal = renewal;
        }
    }

    fn insert(&mut self, subscription: Subscription<'_>, subscription_identifier: Option<u32>) -> bool {
        let found = self.position(subscription.filter);
        let index = found.unwrap_or(self.len);
        let text = subscription.filter.as_str().as_bytes();
        let Some(entry) = self.entries.get_mut(index) else { return false };
        if put(&mut entry.filter, text).is_none() {
            return false;
        }
        entry.filter_len = text.len() as u16;
        entry.options = subscription.options;
        entry.subscription_identifier = subscription_identifier;
        entry.renewal = Renewal::Granted;
        if found.is_none() {
            self.len = self.len.saturating_add(1);
        }
        true
    }

    /// Keeps the order of the others.
    fn remove(&mut self, filter: TopicFilter<'_>) {
        let Some(index) = self.position(filter) else { return };
        for gap in index..self.len {
            let Some((before, behind)) = self.entries.split_at_mut_checked(gap.saturating_add(1)) else { break };
            if let (Some(to), Some(from)) = (before.last_mut(), behind.first()) {
                // A part at a time: the whole is copied by a call of `memcpy`, which a small image has no other use for.
                put(&mut to.filter, &from.filter);
                to.filter_len = from.filter_len;
                to.options = from.options;
                to.subscription_identifier = from.subscription_identifier;
                to.renewal = from.renewal;
            }
        }
        self.len = self.len.saturating_sub(1);
    }
}
