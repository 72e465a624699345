//! Bytes on their way in one direction.

use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::conditions::Conditions;
use super::random::Random;

#[derive(Debug)]
pub(super) struct Pipe {
    segments: VecDeque<Segment>,
    /// Bytes under way.
    under_way: usize,
    /// Bytes that were read.
    pub(super) read: u64,
    pub(super) cut_after: Option<u64>,
    pub(super) stall_after: Option<u64>,
    /// Nothing arrives.
    pub(super) stalled: bool,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody reads any more.
    pub(super) abandoned: bool,
    /// When what was written last has left, and when it arrives.
    left_at: Option<Instant>,
    arrives_at: Option<Instant>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// The last call moved something; see [`Conditions::pieces`].
    read_last: bool,
    wrote_last: bool,
}

#[derive(Debug)]
struct Segment {
    /// Empty: the end.
    bytes: Bytes,
    at: Option<Instant>,
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    Bytes,
    End,
    /// Bytes arrive then.
    At(Instant),
    /// There are some, at the next call.
    NextTime,
    Nothing,
}

/// What a writer finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Room {
    Bytes(usize),
    /// There is some, at the next call.
    NextTime,
    None,
}

/// What is sent at once where the bandwidth matters: a segment of TCP over Ethernet.
const SEGMENT: usize = 1460;

impl Pipe {
    pub(super) const fn new(cut_after: Option<u64>, stall_after: Option<u64>) -> Self {
        Self {
            segments: VecDeque::new(),
            under_way: 0,
            read: 0,
            cut_after,
            stall_after,
            stalled: false,
            ended: false,
            abandoned: false,
            left_at: None,
            arrives_at: None,
            reader: None,
            writer: None,
            read_last: false,
            wrote_last: false,
        }
    }

    pub(super) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Tells whether as many bytes were read as the link lets through.
    pub(super) fn is_at_cut(&self) -> bool {
        self.cut_after.is_some_and(|bytes| self.read >= bytes)
    }

    /// Likewise, until it falls silent.
    pub(super) fn is_at_stall(&self) -> bool {
        self.stall_after.is_some_and(|bytes| self.read >= bytes)
    }

    /// How many bytes may be written now.
    pub(super) fn room(&mut self, conditions: &Conditions, random: &mut Random) -> Room {
        let free = conditions.capacity.saturating_sub(self.under_way);
        if free == 0 {
            return Room::None;
        }
        match at_once(conditions, random) {
            None => Room::Bytes(free),
            Some(_) if core::mem::replace(&mut self.wrote_last, false) => Room::NextTime,
            Some(most) => {
                self.wrote_last = true;
                Room::Bytes(free.min(most))
            }
        }
    }

    pub(super) fn write(&mut self, bytes: Bytes, conditions: &Conditions, random: &mut Random) {
        self.under_way = self.under_way.saturating_add(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = if conditions.bandwidth.is_some() { rest.len().min(SEGMENT) } else { rest.len() };
            let bytes = rest.split_to(len);
            let at = self.arrival(len, conditions, random);
            self.segments.push_back(Segment { bytes, at });
        }
        self.wake_reader();
    }

    pub(super) fn end(&mut self, conditions: &Conditions, random: &mut Random) {
        if self.ended {
            return;
        }
        self.ended = true;
        let at = self.arrival(0, conditions, random);
        self.segments.push_back(Segment { bytes: Bytes::new(), at });
        self.wake_reader();
    }

    /// When so many bytes arrive that leave behind all others; `None`: at once.
    fn arrival(&mut self, len: usize, conditions: &Conditions, random: &mut Random) -> Option<Instant> {
        let Conditions { latency, jitter, bandwidth, loss, retransmission, .. } = *conditions;
        let mut delay = latency;
        if !jitter.is_zero() {
            let most = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
            delay += Duration::from_micros(random.up_to(most));
        }
        if loss > 0 && random.per_mille(loss) {
            delay += retransmission;
        }
        if delay.is_zero() && bandwidth.is_none() && self.arrives_at.is_none() {
            return None;
        }
        let now = Instant::now();
        let mut left = now.max(self.left_at.unwrap_or(now));
        if let Some(bytes_per_second) = bandwidth {
            left += Duration::from_secs(len as u64) / bytes_per_second;
        }
        self.left_at = Some(left);
        let arrives = (left + delay).max(self.arrives_at.unwrap_or(left));
        self.arrives_at = Some(arrives);
        Some(arrives)
    }

    /// Takes what has arrived.
    pub(super) fn take(&mut self, out: &mut ReadBuf<'_>, conditions: &Conditions, random: &mut Random) -> Found {
        let Some(segment) = self.segments.front().filter(|_| !self.stalled) else { return Found::Nothing };
        if let Some(at) = segment.at.filter(|at| *at > Instant::now()) {
            return Found::At(at);
        }
        if segment.bytes.is_empty() {
            return Found::End;
        }
        let most = at_once(conditions, random);
        if most.is_some() && core::mem::replace(&mut self.read_last, false) {
            return Found::NextTime;
        }
        self.read_last = true;
        let until = |after: Option<u64>| after.map_or(u64::MAX, |after| after.saturating_sub(self.read));
        let until = until(self.cut_after).min(until(self.stall_after));
        let mut most =
            most.unwrap_or(usize::MAX).min(usize::try_from(until).unwrap_or(usize::MAX)).min(out.remaining());
        while let Some(segment) = self.segments.front_mut() {
            let arrived = segment.at.is_none_or(|at| at <= Instant::now());
            let len = segment.bytes.len().min(most);
            if len == 0 || !arrived {
                break;
            }
            out.put_slice(segment.bytes.get(..len).unwrap_or(&[]));
            segment.bytes.advance(len);
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
            most -= len;
            self.under_way = self.under_way.saturating_sub(len);
            self.read = self.read.saturating_add(len as u64);
        }
        self.wake_writer();
        Found::Bytes
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// The most bytes of one read or write.
fn at_once(conditions: &Conditions, random: &mut Random) -> Option<usize> {
    let most = conditions.pieces?;
    let less = if conditions.random_pieces { random.up_to(most.saturating_sub(1) as u64) } else { 0 };
    Some(most.saturating_sub(usize::try_from(less).unwrap_or(0)))
}
