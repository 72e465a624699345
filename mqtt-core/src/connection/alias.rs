//! Topic Aliases, 5.0 §3.3.2.3.4: short names for topics, for the life of a connection.

use crate::codec::bytes::put;

/// Memory for Topic Aliases.
///
/// [`NoAliases`] has none; [`ArrayAliases`] is the one without allocation.
pub trait Aliases {
    /// The largest alias that the Server may use: Topic Alias Maximum of CONNECT. 0: none.
    fn incoming_maximum(&self) -> u16;

    /// The topic of one of the Server's aliases.
    fn incoming(&self, alias: u16) -> Option<&str>;

    /// Keeps the topic of one of the Server's aliases; `false` when it does not fit. 1 <= `alias` <=
    /// [`incoming_maximum`](Self::incoming_maximum).
    fn set_incoming(&mut self, alias: u16, topic: &str) -> bool;

    /// The alias under which the Server knows the topic on this connection; it counts as used just now.
    fn outgoing(&mut self, topic: &str) -> Option<u16>;

    /// The topic that one of our aliases stands for.
    fn outgoing_topic(&self, alias: u16) -> Option<&str>;

    /// The alias for a topic that has none: a free one, else the one used least recently; at most `maximum`, which is not 0.
    /// `None` when there is no memory for aliases, or not for this topic.
    fn choose_outgoing(&self, topic: &str, maximum: u16) -> Option<u16>;

    /// Remembers what one of our aliases stands for; `false` when it cannot be remembered.
    fn set_outgoing(&mut self, alias: u16, topic: &str) -> bool;

    /// A new connection: no alias stands for anything.
    fn clear(&mut self);
}

/// No Topic Aliases, in either direction.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoAliases;

impl Aliases for NoAliases {
    fn incoming_maximum(&self) -> u16 {
        0
    }

    fn incoming(&self, _: u16) -> Option<&str> {
        None
    }

    fn set_incoming(&mut self, _: u16, _: &str) -> bool {
        false
    }

    fn outgoing(&mut self, _: &str) -> Option<u16> {
        None
    }

    fn outgoing_topic(&self, _: u16) -> Option<&str> {
        None
    }

    fn choose_outgoing(&self, _: &str, _: u16) -> Option<u16> {
        None
    }

    fn set_outgoing(&mut self, _: u16, _: &str) -> bool {
        false
    }

    fn clear(&mut self) {}
}

/// Topic Aliases in fixed arrays: `IN` of the Server's, `OUT` of ours, topics of at most `LEN` bytes.
///
/// A Server that gives an alias to a longer topic ends the connection, so let `LEN` be the longest topic there is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ArrayAliases<const IN: usize, const OUT: usize, const LEN: usize> {
    incoming: [Topic<LEN>; IN],
    outgoing: [Topic<LEN>; OUT],
    /// Rises with each use of an outgoing alias.
    uses: u32,
}

/// Empty: the alias stands for nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Topic<const LEN: usize> {
    len: u16,
    bytes: [u8; LEN],
    used: u32,
}

impl<const LEN: usize> Topic<LEN> {
    const EMPTY: Self = Self { len: 0, bytes: [0; LEN], used: 0 };

    fn get(&self) -> Option<&str> {
        let bytes = self.bytes.get(..self.len as usize)?;
        core::str::from_utf8(bytes).ok().filter(|topic| !topic.is_empty())
    }

    fn set(&mut self, topic: &str) -> bool {
        let Ok(len) = u16::try_from(topic.len()) else { return false };
        let fits = put(&mut self.bytes, topic.as_bytes()).is_some();
        if fits {
            self.len = len;
        }
        fits
    }
}

impl<const IN: usize, const OUT: usize, const LEN: usize> ArrayAliases<IN, OUT, LEN> {
    /// Aliases that stand for nothing; can be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self { incoming: [Topic::EMPTY; IN], outgoing: [Topic::EMPTY; OUT], uses: 0 }
    }
}

impl<const IN: usize, const OUT: usize, const LEN: usize> Default for ArrayAliases<IN, OUT, LEN> {
    fn default() -> Self {
        Self::new()
    }
}

/// Aliases count from 1.
const fn index(alias: u16) -> usize {
    (alias as usize).wrapping_sub(1)
}

impl<const IN: usize, const OUT: usize, const LEN: usize> Aliases for ArrayAliases<IN, OUT, LEN> {
    fn incoming_maximum(&self) -> u16 {
        u16::try_from(IN).unwrap_or(u16::MAX)
    }

    fn incoming(&self, alias: u16) -> Option<&str> {
        self.incoming.get(index(alias))?.get()
    }

    fn set_incoming(&mut self, alias: u16, topic: &str) -> bool {
        self.incoming.get_mut(index(alias)).is_some_and(|entry| entry.set(topic))
    }

    fn outgoing(&mut self, topic: &str) -> Option<u16> {
        let (index, entry) = self.outgoing.iter_mut().enumerate().find(|(_, entry)| entry.get() == Some(topic))?;
        self.uses = self.uses.saturating_add(1);
        entry.used = self.uses;
        Some((index as u16).saturating_add(1))
    }

    fn outgoing_topic(&self, alias: u16) -> Option<&str> {
        self.outgoing.get(index(alias))?.get()
    }

    fn choose_outgoing(&self, topic: &str, maximum: u16) -> Option<u16> {
        if topic.len() > LEN {
            return None;
        }
        let candidates = self.outgoing.iter().take(maximum as usize).enumerate();
        let (index, _) = candidates.min_by_key(|(_, entry)| if entry.len == 0 { 0 } else { entry.used })?;
        Some((index as u16).saturating_add(1))
    }

    fn set_outgoing(&mut self, alias: u16, topic: &str) -> bool {
        self.uses = self.uses.saturating_add(1);
        let used = self.uses;
        self.outgoing.get_mut(index(alias)).is_some_and(|entry| {
            // What does not fit is forgotten, with what the alias stood for before: the Server knows it as something else now.
            entry.len = 0;
            entry.used = used;
            entry.set(topic)
        })
    }

    fn clear(&mut self) {
        for entry in self.incoming.iter_mut().chain(&mut self.outgoing) {
            *entry = Topic::EMPTY;
        }
        self.uses = 0;
    }
}
