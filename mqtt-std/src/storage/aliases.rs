//! Topic Aliases on a host.

use core::hash::{Hash, Hasher};

use mqtt_core::Aliases;

/// Aliases of the Server's as they come, up to a maximum; ours are few, so a search through them is short.
#[derive(Debug)]
pub(crate) struct HeapAliases {
    incoming: Vec<Box<str>>,
    incoming_maximum: u16,
    outgoing: Vec<(Box<str>, u64)>,
    outgoing_maximum: u16,
    uses: u64,
}

impl HeapAliases {
    /// The Server may use `incoming` aliases, this side uses `outgoing`, as far as the Server allows.
    pub(crate) const fn new(incoming: u16, outgoing: u16) -> Self {
        Self {
            incoming: Vec::new(),
            incoming_maximum: incoming,
            outgoing: Vec::new(),
            outgoing_maximum: outgoing,
            uses: 0,
        }
    }
}

fn index(alias: u16) -> usize {
    usize::from(alias).wrapping_sub(1)
}

fn set<T: Clone>(entries: &mut Vec<T>, index: usize, empty: T, value: T) {
    if entries.len() <= index {
        entries.resize(index.saturating_add(1), empty);
    }
    if let Some(entry) = entries.get_mut(index) {
        *entry = value;
    }
}

impl Hash for HeapAliases {
    /// Of topics how long they are.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.incoming.iter().for_each(|topic| topic.len().hash(state));
        self.outgoing.iter().for_each(|(topic, used)| (topic.len(), used).hash(state));
        (self.incoming_maximum, self.outgoing_maximum, self.uses).hash(state);
    }
}

impl Aliases for HeapAliases {
    fn incoming_maximum(&self) -> u16 {
        self.incoming_maximum
    }

    fn incoming(&self, alias: u16) -> Option<&str> {
        self.incoming.get(index(alias)).map(|topic| &**topic).filter(|topic| !topic.is_empty())
    }

    fn set_incoming(&mut self, alias: u16, topic: &str) -> bool {
        set(&mut self.incoming, index(alias), Box::default(), topic.into());
        true
    }

    fn outgoing(&mut self, topic: &str) -> Option<u16> {
        let (index, entry) = self.outgoing.iter_mut().enumerate().find(|(_, (known, _))| **known == *topic)?;
        self.uses += 1;
        entry.1 = self.uses;
        u16::try_from(index + 1).ok()
    }

    fn outgoing_topic(&self, alias: u16) -> Option<&str> {
        self.outgoing.get(index(alias)).map(|(topic, _)| &**topic).filter(|topic| !topic.is_empty())
    }

    fn choose_outgoing(&self, _: &str, maximum: u16) -> Option<u16> {
        let maximum = maximum.min(self.outgoing_maximum);
        if self.outgoing.len() < usize::from(maximum) {
            return u16::try_from(self.outgoing.len() + 1).ok();
        }
        let candidates = self.outgoing.iter().take(usize::from(maximum)).enumerate();
        candidates.min_by_key(|(_, (_, used))| *used).and_then(|(index, _)| u16::try_from(index + 1).ok())
    }

    fn set_outgoing(&mut self, alias: u16, topic: &str) -> bool {
        if alias == 0 || alias > self.outgoing_maximum {
            return false;
        }
        self.uses += 1;
        set(&mut self.outgoing, index(alias), (Box::default(), 0), (topic.into(), self.uses));
        true
    }

    fn clear(&mut self) {
        self.incoming.clear();
        self.outgoing.clear();
        self.uses = 0;
    }
}
