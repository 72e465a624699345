//! Messages that were received and wait for those who subscribed to them.

use heapless::{Vec, VecView};
use mqtt_core::{Acknowledgement, QoS, RecordTicket, move_to_front};

use crate::state::Statistics;

/// A message, or a part of one, in the order of arrival. Its bytes are topic, properties, payload, one behind the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) head: Head,
    /// Who is still to take it, a bit for each subscription.
    pub(crate) readers: u32,
    /// Who has it in hand, and is to acknowledge it.
    pub(crate) handed: u32,
    /// Its record, until that is durable: nobody gets it before.
    pub(crate) record: Option<RecordTicket>,
    /// That could not be written, and the machine is still to be told.
    pub(crate) unrecorded: bool,
    /// Nobody has subscribed to it since.
    pub(crate) unclaimed: bool,
}

/// What a reader gets of an entry, besides its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    /// Sent once everybody has taken it.
    pub(crate) acknowledgement: Option<Acknowledgement>,
    /// Of the whole payload, also of one that comes in parts.
    pub(crate) payload_len: u32,
    pub(crate) properties_len: u32,
    pub(crate) topic_len: u16,
    pub(crate) kind: Kind,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// It comes again from its record.
    pub(crate) again: bool,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A whole message.
    Message,
    /// The head of one whose payload comes in parts.
    Begins,
    /// A part of it.
    Part,
    /// The last one.
    Last,
}

impl Kind {
    /// It goes on with a payload.
    pub(crate) const fn is_part(self) -> bool {
        cfg!(feature = "streaming") && matches!(self, Self::Part | Self::Last)
    }

    /// Its payload follows in parts.
    pub(crate) const fn begins(self) -> bool {
        cfg!(feature = "streaming") && matches!(self, Self::Begins)
    }
}

impl Entry {
    pub(crate) const fn new(head: Head, readers: u32) -> Self {
        Self { head, readers, handed: 0, record: None, unrecorded: false, unclaimed: false }
    }
}

impl Head {
    /// A part of a payload.
    pub(crate) const fn part(kind: Kind, len: usize, acknowledgement: Option<Acknowledgement>) -> Self {
        Self {
            acknowledgement,
            payload_len: len as u32,
            topic_len: 0,
            properties_len: 0,
            kind,
            qos: QoS::AtMostOnce,
            retain: false,
            dup: false,
            again: false,
        }
    }

    /// Bytes that wait with it.
    pub(crate) fn len(&self) -> usize {
        let payload = if self.kind.begins() { 0 } else { self.payload_len as usize };
        // It has been in one buffer.
        usize::from(self.topic_len).wrapping_add(self.properties_len as usize).wrapping_add(payload)
    }
}

/// What became of a message that was offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered {
    /// It waits for its readers.
    pub(crate) taken: bool,
    /// It does not, though there are readers.
    pub(crate) dropped: bool,
    /// It does not, and this is due.
    pub(crate) acknowledge: Option<Acknowledgement>,
}

/// At most `N` entries with `BYTES` in all.
#[derive(Debug)]
pub struct Inbox<const N: usize, const BYTES: usize> {
    entries: Vec<Entry, N>,
    /// Of all entries, one behind the other.
    bytes: Vec<u8, BYTES>,
}

/// What the state needs of an [`Inbox`], whatever its size.
pub trait Messages {
    #[doc(hidden)]
    fn parts(&mut self) -> Parts<'_>;
}

impl<const N: usize, const BYTES: usize> Inbox<N, BYTES> {
    pub(crate) const NEW: Self = Self { entries: Vec::new(), bytes: Vec::new() };
}

impl<const N: usize, const BYTES: usize> Messages for Inbox<N, BYTES> {
    fn parts(&mut self) -> Parts<'_> {
        Parts { entries: self.entries.as_mut_view(), bytes: self.bytes.as_mut_view() }
    }
}

/// An [`Inbox`] without its size, so that its code is in the image once.
#[derive(Debug)]
pub struct Parts<'a> {
    entries: &'a mut VecView<Entry>,
    bytes: &'a mut VecView<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn has_room(&self, len: usize) -> bool {
        !self.entries.is_full() && len <= self.bytes.capacity().saturating_sub(self.bytes.len())
    }

    /// Tells whether an entry of so many bytes could ever fit.
    pub(crate) fn could_hold(&self, len: usize) -> bool {
        self.entries.capacity() > 0 && len <= self.bytes.capacity()
    }

    /// Adds an entry; its bytes are these, one behind the other. `false`: there is no room.
    pub(crate) fn push(&mut self, entry: Entry, pieces: [&[u8]; 3]) -> bool {
        if !self.has_room(entry.head.len()) {
            return false;
        }
        for piece in pieces {
            let _ = self.bytes.extend_from_slice(piece);
        }
        self.entries.push(entry).is_ok()
    }

    /// Adds a message for its readers, if there are any and there is room; counts it otherwise.
    pub(crate) fn offer(&mut self, entry: Entry, pieces: [&[u8]; 3], statistics: &mut Statistics) -> Offered {
        // One with a record waits for that also where nobody reads it.
        let wanted = entry.readers != 0 || entry.unclaimed;
        let taken = (wanted || entry.record.is_some()) && self.push(entry, pieces);
        if !wanted {
            statistics.unrouted = statistics.unrouted.wrapping_add(1);
        } else if !taken {
            statistics.dropped = statistics.dropped.wrapping_add(1);
        }
        Offered { taken, dropped: wanted && !taken, acknowledge: entry.head.acknowledgement.filter(|_| !taken) }
    }

    /// Adds a part of a message that was counted when it began.
    pub(crate) fn offer_part(&mut self, entry: Entry, fragment: &[u8]) -> Offered {
        let taken = entry.readers != 0 && self.push(entry, [&[], &[], fragment]);
        Offered { taken, dropped: false, acknowledge: entry.head.acknowledgement.filter(|_| !taken) }
    }

    /// A reader has a copy of an entry, which stays until it is acknowledged.
    pub(crate) fn hand_over(&mut self, index: usize, reader: u32) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.handed |= reader;
        }
    }

    /// These readers have taken an entry; tells whether all have.
    pub(crate) fn take(&mut self, index: usize, readers: u32) -> bool {
        self.entries.get_mut(index).is_some_and(|entry| {
            entry.readers &= !readers;
            entry.readers == 0
        })
    }

    pub(crate) fn acknowledgement(&self, index: usize) -> Option<Acknowledgement> {
        self.entries.get(index)?.head.acknowledgement
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, index: usize) {
        if index >= self.entries.len() {
            return;
        }
        let start = self.entries.iter().take(index).fold(0_usize, |sum, entry| sum.saturating_add(entry.head.len()));
        let len = self.entries.remove(index).head.len();
        let used = self.bytes.len();
        if let Some(behind) = self.bytes.get_mut(start..) {
            move_to_front(behind, len..used.saturating_sub(start));
        }
        self.bytes.truncate(used.saturating_sub(len));
    }

    /// The first entry of a kind, with its place and its bytes.
    pub(crate) fn find(self, wanted: impl Fn(&Entry) -> bool) -> Option<(usize, &'a Entry, &'a [u8])> {
        let mut start = 0_usize;
        for (index, entry) in self.entries.iter().enumerate() {
            let end = start.saturating_add(entry.head.len());
            if wanted(entry) {
                return Some((index, entry, self.bytes.get(start..end).unwrap_or_default()));
            }
            start = end;
        }
        None
    }

    /// The entries, to be changed, each with its topic.
    pub(crate) fn each(&mut self, mut change: impl FnMut(&mut Entry, &[u8])) {
        let mut start = 0_usize;
        for entry in self.entries.iter_mut() {
            let topic = self.bytes.get(start..start.saturating_add(usize::from(entry.head.topic_len)));
            start = start.saturating_add(entry.head.len());
            change(entry, topic.unwrap_or_default());
        }
    }

    /// The place of an entry that these readers are still to take.
    pub(crate) fn position(&self, readers: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.readers & readers != 0)
    }
}
