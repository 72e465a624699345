//! Topic Filters, level by level.

use std::collections::HashMap;

use mqtt_core::{TopicFilter, TopicName};

/// Values by Topic Filter: looking up a topic takes as long as it has levels, however many filters there are.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    root: Node<T>,
    /// Of filters with more than [`DEEPEST`] levels, without share names; they are looked at one after the other.
    deep: HashMap<Box<str>, Vec<T>>,
}

/// A stack has room for no more than some thousand levels, and a filter may have 32,768.
const DEEPEST: usize = 64;

#[derive(Debug)]
struct Node<T> {
    /// Of filters that end here.
    values: Vec<T>,
    /// Of filters that end here with `#`; they match this level too (§4.7.1.2).
    multi: Vec<T>,
    /// Behind `+`.
    single: Option<Box<Self>>,
    levels: HashMap<Box<str>, Self>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::default(), deep: HashMap::new() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { values: Vec::new(), multi: Vec::new(), single: None, levels: HashMap::new() }
    }
}

impl<T> Trie<T> {
    pub(crate) fn insert(&mut self, filter: &str, value: T) {
        if is_deep(filter) {
            self.deep.entry(path(filter).into()).or_default().push(value);
            return;
        }
        let mut node = &mut self.root;
        for level in levels(filter) {
            node = match level {
                "#" => {
                    node.multi.push(value);
                    return;
                }
                "+" => node.single.get_or_insert_default(),
                _ => {
                    if !node.levels.contains_key(level) {
                        node.levels.insert(level.into(), Node::default());
                    }
                    let Some(next) = node.levels.get_mut(level) else { return };
                    next
                }
            };
        }
        node.values.push(value);
    }

    /// Takes out the values of this filter for which `keep` says no.
    pub(super) fn retain(&mut self, filter: &str, keep: impl Fn(&T) -> bool) {
        match self.deep.get_mut(path(filter)) {
            Some(values) => {
                values.retain(keep);
                if values.is_empty() {
                    self.deep.remove(path(filter));
                }
            }
            None if is_deep(filter) => {}
            None => drop(retain(&mut self.root, &mut levels(filter), &keep)),
        }
    }

    /// The values of this filter, and of others that differ by a share name only.
    pub(super) fn get(&self, filter: &str) -> &[T] {
        if let Some(values) = self.deep.get(path(filter)) {
            return values;
        }
        let mut node = &self.root;
        for level in levels(filter) {
            let next = match level {
                "#" => return &node.multi,
                "+" => node.single.as_deref(),
                _ => node.levels.get(level),
            };
            let Some(next) = next else { return &[] };
            node = next;
        }
        &node.values
    }

    /// As [`get`](Self::get).
    pub(super) fn get_mut(&mut self, filter: &str) -> &mut [T] {
        if is_deep(filter) {
            return self.deep.get_mut(path(filter)).map_or(&mut [], Vec::as_mut_slice);
        }
        let mut node = &mut self.root;
        for level in levels(filter) {
            let next = match level {
                "#" => return &mut node.multi,
                "+" => node.single.as_deref_mut(),
                _ => node.levels.get_mut(level),
            };
            let Some(next) = next else { return &mut [] };
            node = next;
        }
        &mut node.values
    }

    pub(super) fn for_each(&self, mut act: impl FnMut(&T)) {
        self.deep.values().flatten().for_each(&mut act);
        let mut nodes = vec![&self.root];
        while let Some(node) = nodes.pop() {
            node.values.iter().chain(&node.multi).for_each(&mut act);
            nodes.extend(node.single.as_deref());
            nodes.extend(node.levels.values());
        }
    }

    /// The values of all filters that match the topic.
    pub(crate) fn for_each_match<'a>(&'a self, topic: &str, mut found: impl FnMut(&'a T)) {
        // Wildcards at the front do not match what the Server keeps apart [MQTT-4.7.2-1].
        let hidden = topic.starts_with('$');
        visit(&self.root, topic.split('/'), hidden, &mut found);
        for (filter, values) in &self.deep {
            let matches = |topic| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic));
            if TopicName::new(topic).is_ok_and(matches) {
                values.iter().for_each(&mut found);
            }
        }
    }
}

/// What a topic is compared with: a share name is no part of it (§4.8.2).
fn path(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    shared.map_or(filter, |(_, filter)| filter)
}

fn levels(filter: &str) -> core::str::Split<'_, char> {
    path(filter).split('/')
}

fn is_deep(filter: &str) -> bool {
    levels(filter).nth(DEEPEST).is_some()
}

/// Tells whether the node is of no use any more.
fn retain<T>(node: &mut Node<T>, levels: &mut core::str::Split<'_, char>, keep: &impl Fn(&T) -> bool) -> bool {
    match levels.next() {
        None => node.values.retain(keep),
        Some("#") => node.multi.retain(keep),
        Some("+") => {
            if node.single.as_mut().is_some_and(|next| retain(next, levels, keep)) {
                node.single = None;
            }
        }
        Some(level) => {
            if node.levels.get_mut(level).is_some_and(|next| retain(next, levels, keep)) {
                node.levels.remove(level);
            }
        }
    }
    node.values.is_empty() && node.multi.is_empty() && node.single.is_none() && node.levels.is_empty()
}

fn visit<'a, T>(
    node: &'a Node<T>,
    mut levels: core::str::Split<'_, char>,
    hidden: bool,
    found: &mut impl FnMut(&'a T),
) {
    if !hidden {
        node.multi.iter().for_each(&mut *found);
    }
    let Some(level) = levels.next() else {
        node.values.iter().for_each(found);
        return;
    };
    if let Some(next) = node.single.as_deref().filter(|_| !hidden) {
        visit(next, levels.clone(), false, found);
    }
    if let Some(next) = node.levels.get(level) {
        visit(next, levels, false, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_what_the_filters_match() {
        let filters = [
            "#",
            "+",
            "+/+",
            "a",
            "a/#",
            "a/+",
            "a/b",
            "a/+/c",
            "a/b/c",
            "+/b/#",
            "/",
            "/+",
            "+/",
            "$SYS/#",
            "$SYS/+",
            "a//",
            "a/+/",
            "$share/group/a/#",
            "$share/group/+",
            "a/b/c/d/#",
        ];
        let topics = [
            "a", "b", "a/b", "a/b/c", "a/x/c", "a/b/c/d", "/", "/a", "a/", "a//", "$SYS", "$SYS/x", "$SYS/x/y", "a//c",
        ];
        let mut trie = Trie::default();
        for filter in filters {
            trie.insert(filter, filter);
        }
        for topic in topics {
            let mut found = Vec::new();
            trie.for_each_match(topic, |filter| found.push(*filter));
            found.sort_unstable();
            let name = TopicName::new(topic).unwrap();
            let mut expected: Vec<_> =
                filters.into_iter().filter(|filter| TopicFilter::new(filter).unwrap().matches(name)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic}");
        }
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_behind() {
        let mut trie = Trie::default();
        for filter in ["a/+/c", "a/#", "a/b", "$share/group/a/b"] {
            trie.insert(filter, filter.len());
            trie.insert(filter, 0);
        }
        trie.retain("a/b", |length| *length != 3);
        assert_eq!(trie.get("a/b"), [0, "$share/group/a/b".len(), 0]);
        for filter in ["a/+/c", "a/#", "a/b"] {
            trie.retain(filter, |_| false);
        }
        let mut left = 0;
        trie.for_each(|_| left += 1);
        assert_eq!(left, 0);
        assert!(trie.root.levels.is_empty());
    }

    #[test]
    fn filters_of_any_depth_are_found() {
        for levels in [DEEPEST - 1, DEEPEST, DEEPEST + 1, 32_768] {
            let topic = vec!["a"; levels].join("/");
            let last = topic.len() - 1;
            let filters = [topic.clone(), format!("{}+", &topic[..last]), format!("{}#", &topic[..last])];
            let mut trie = Trie::default();
            for (number, filter) in filters.iter().enumerate() {
                trie.insert(filter, number);
                trie.insert(&format!("$share/group/{filter}"), number);
                assert_eq!(trie.get(filter), [number; 2]);
                trie.get_mut(filter)[1] += 10;
            }
            let mut found = Vec::new();
            trie.for_each_match(&topic, |number| found.push(*number));
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2, 10, 11, 12], "{levels}");
            for filter in &filters {
                trie.retain(filter, |number| *number < 10);
                assert_eq!(trie.get(filter).len(), 1);
                trie.retain(filter, |_| false);
            }
            trie.for_each(|number| panic!("{number} is left"));
            assert!(trie.root.levels.is_empty() && trie.deep.is_empty());
        }
    }
}
