//! Who wants which topics: a tree with one node for each level of the filters.

use std::collections::BTreeMap;

use mqtt_core::{SubscriptionOptions, TopicFilter};

use super::session::ClientIdentifier;

/// All subscriptions of all sessions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    root: Node,
    len: usize,
}

/// The subscriptions with one filter.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: BTreeMap<String, Self>,
    subscribers: BTreeMap<ClientIdentifier, Granted>,
    /// Shared subscriptions by their share names.
    groups: BTreeMap<String, Group>,
}

/// What SUBACK has granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) options: SubscriptionOptions,
    pub(super) identifier: Option<u32>,
}

/// The members of a shared subscription, MQTT 5.0 §4.8.2; each message goes to one of them.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: Vec<(ClientIdentifier, Granted)>,
    /// Whose turn it is, modulo the number of members.
    turn: usize,
}

impl Subscriptions {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds the subscription or takes the place of the one with this filter; tells whether there was one.
    pub(super) fn insert(&mut self, client: &ClientIdentifier, filter: TopicFilter<'_>, granted: Granted) -> bool {
        let mut node = &mut self.root;
        for level in filter.without_share().split('/') {
            node = node.children.entry(level.to_owned()).or_default();
        }
        let existed = match filter.share_name() {
            None => node.subscribers.insert(client.clone(), granted).is_some(),
            Some(name) => node.groups.entry(name.to_owned()).or_default().insert(client, granted),
        };
        self.len = self.len.saturating_add(usize::from(!existed));
        existed
    }

    /// Removes the subscription; tells whether there was one.
    pub(super) fn remove(&mut self, client: &ClientIdentifier, filter: TopicFilter<'_>) -> bool {
        let existed = self.root.remove(client, filter.share_name(), Some(filter.without_share()));
        self.len = self.len.saturating_sub(usize::from(existed));
        existed
    }

    /// Visits the subscriptions that match the topic.
    pub(super) fn visit(&mut self, topic: &str, visitor: &mut impl FnMut(&mut Node)) {
        // A wildcard in front does not match such topics [MQTT-4.7.2-1].
        self.root.visit(Some(topic), !topic.starts_with('$'), visitor);
    }
}

impl Node {
    pub(super) fn subscribers(&self) -> impl Iterator<Item = (&ClientIdentifier, &Granted)> {
        self.subscribers.iter()
    }

    pub(super) fn groups(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.values_mut()
    }

    /// `levels` are those that are left; after the last one there are none.
    fn remove(&mut self, client: &ClientIdentifier, share_name: Option<&str>, levels: Option<&str>) -> bool {
        let Some(levels) = levels else { return self.remove_here(client, share_name) };
        let (level, rest) = split_level(levels);
        let Some(child) = self.children.get_mut(level) else { return false };
        let existed = child.remove(client, share_name, rest);
        if child.is_empty() {
            self.children.remove(level);
        }
        existed
    }

    fn remove_here(&mut self, client: &ClientIdentifier, share_name: Option<&str>) -> bool {
        let Some(name) = share_name else { return self.subscribers.remove(client).is_some() };
        let Some(group) = self.groups.get_mut(name) else { return false };
        let existed = group.remove(client);
        if group.members.is_empty() {
            self.groups.remove(name);
        }
        existed
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.subscribers.is_empty() && self.groups.is_empty()
    }

    fn visit(&mut self, levels: Option<&str>, wildcards: bool, visitor: &mut impl FnMut(&mut Self)) {
        if let Some(child) = self.children.get_mut("#").filter(|_| wildcards) {
            visitor(child); // `a/#` matches `a` as well
        }
        let Some(levels) = levels else { return visitor(self) };
        let (level, rest) = split_level(levels);
        if let Some(child) = self.children.get_mut("+").filter(|_| wildcards) {
            child.visit(rest, true, visitor);
        }
        if let Some(child) = self.children.get_mut(level) {
            child.visit(rest, true, visitor);
        }
    }
}

fn split_level(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

impl Group {
    fn insert(&mut self, client: &ClientIdentifier, granted: Granted) -> bool {
        match self.members.iter_mut().find(|(member, _)| member == client) {
            Some(member) => {
                member.1 = granted;
                true
            }
            None => {
                self.members.push((client.clone(), granted));
                false
            }
        }
    }

    fn remove(&mut self, client: &ClientIdentifier) -> bool {
        let before = self.members.len();
        self.members.retain(|(member, _)| member != client);
        self.members.len() < before
    }

    /// The member that gets the next message: of those with the lowest rank, the first whose turn it is.
    pub(super) fn choose(&mut self, rank: impl Fn(&ClientIdentifier) -> u8) -> Option<&(ClientIdentifier, Granted)> {
        let count = self.members.len();
        let chosen = (0..count)
            .map(|step| self.turn.wrapping_add(step) % count)
            .min_by_key(|&index| self.members.get(index).map(|(client, _)| rank(client)))?;
        self.turn = chosen.wrapping_add(1);
        self.members.get(chosen)
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::{QoS, TopicFilter, TopicName};

    use super::{ClientIdentifier, Granted, SubscriptionOptions, Subscriptions};

    const GRANTED: Granted = Granted { options: SubscriptionOptions::new(QoS::AtMostOnce), identifier: None };

    #[test]
    fn the_tree_agrees_with_the_filters_themselves() {
        let filters =
            ["#", "+", "+/+", "a", "a/#", "a/+", "a/b", "/", "/+", "+/b/#", "$SYS/#", "$SYS/+", "a//c", "a/+/c"];
        let topics = ["a", "a/b", "/", "/a", "a/b/c", "$SYS/x", "$SYS", "a//c", "b", "x/b", "x/b/y/z"];
        let mut subscriptions = Subscriptions::default();
        for filter in filters {
            let client = ClientIdentifier::from(filter);
            assert!(!subscriptions.insert(&client, TopicFilter::new(filter).unwrap(), GRANTED), "{filter}");
        }
        for topic in topics {
            let mut found = Vec::new();
            subscriptions
                .visit(topic, &mut |node| found.extend(node.subscribers().map(|(client, _)| client.to_string())));
            found.sort();
            let name = TopicName::new(topic).unwrap();
            let mut expected: Vec<_> =
                filters.into_iter().filter(|filter| TopicFilter::new(filter).unwrap().matches(name)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic}");
        }
    }

    #[test]
    fn an_empty_branch_is_cut_off() {
        let mut subscriptions = Subscriptions::default();
        let client = ClientIdentifier::from("c");
        let [long, shared] = ["a/b/c", "$share/g/a/b/c"].map(|filter| TopicFilter::new(filter).unwrap());
        subscriptions.insert(&client, long, GRANTED);
        subscriptions.insert(&client, shared, GRANTED);
        assert_eq!(subscriptions.len(), 2);
        assert!(subscriptions.remove(&client, long));
        assert!(!subscriptions.remove(&client, long));
        assert!(!subscriptions.root.children.is_empty());
        assert!(subscriptions.remove(&client, shared));
        assert!(subscriptions.root.children.is_empty());
        assert_eq!(subscriptions.len(), 0);
    }
}
