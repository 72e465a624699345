//! The way in: from what framing found to the inbox, and from there to the reader.

use core::task::{Context, Poll};

use mqtt_core::{
    Acknowledgement, DecodeError, Event, Input, Instant, Machine, Message, QoS, ReasonCode, ReceiveError, UsageError,
    put,
};

use super::{State, Status};
use crate::error::Error;
use crate::inbox::{Entry, Head, Kind, Messages as _};
use crate::moment::Moment;
use crate::receipts;
use crate::resources::Capacities;
use crate::routes::{RouteList as _, bit};
use crate::trace::{Notice, tell};

impl<P: Capacities> State<P> {
    /// Gives what framing found to the machine, once there is room for it; ready: look for more. `heard`: bytes have come.
    ///
    /// What has no room in time is passed over. After a failure nothing more is taken: what was found is dropped with the transport.
    #[inline(never)]
    pub(crate) fn poll_take(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        found: &Result<Option<Input<'_>>, DecodeError>,
        heard: &mut bool,
    ) -> Poll<()> {
        if core::mem::take(heard) {
            self.machine.bytes_received(now);
        }
        if let Err(error) = *found {
            self.machine.connection.fail_framing(error);
            self.wake_runner();
        }
        if self.machine.connection.failure().is_some() {
            return self.wait_as_runner(cx.waker());
        }
        let Ok(Some(input)) = found else { return Poll::Ready(()) };
        if let Input::PublishPayload { last, .. } = *input {
            if self.passing_over {
                self.passing_over = !last;
                return Poll::Ready(());
            }
        }
        // The Server keeps it until it is acknowledged; of a part its head has told.
        let part = cfg!(feature = "streaming") && matches!(input, Input::PublishPayload { .. });
        let qos = input.message_qos();
        let kept = matches!(qos, Some(QoS::AtLeastOnce | QoS::ExactlyOnce));
        let keeps = if part { self.keeps_stream } else { kept };
        let wants_room = qos.is_some() || part && self.streaming != 0;
        let mut room = true;
        if wants_room && !(keeps && self.is_overflowed()) {
            room = self.has_room_for(input);
            if !room && !self.stalled_until.is_past(now) {
                self.stall(now);
                return self.wait_as_runner(cx.waker());
            }
            if keeps && !room {
                tell(Notice::Overflowed);
                self.overflow(now, bytes_of(input));
            }
        }
        if keeps && self.is_overflowed() {
            self.passing_over = !matches!(input, Input::Packet(_) | Input::PublishPayload { last: true, .. });
            if part {
                self.machine.pass_over_rest();
                self.abort_stream();
            }
        } else if !self.receive(now, input) {
            return self.wait_as_runner(cx.waker());
        }
        if self.stalled_until != Moment::NONE {
            self.machine.set_reading(now, true);
            // A reader who has let one be dropped is not waited for again until he has made room: a flood would hold up everybody.
            if wants_room && room {
                self.stalled_until = Moment::NONE;
            }
        }
        Poll::Ready(())
    }

    /// Who reads a message in parts gets no more of it.
    pub(super) fn abort_stream(&mut self) {
        self.aborted |= core::mem::take(&mut self.streaming);
        self.wake_handles();
    }

    /// Nothing more is read until there is room, for a while.
    fn stall(&mut self, now: Instant) {
        if self.stalled_until == Moment::NONE {
            // Where an acknowledgement may be behind it that somebody waits for before he reads on, that is sooner.
            let awaited = self.machine.session.outgoing_len() > 0;
            let patience = if awaited { self.patience / 10 } else { self.patience };
            self.stalled_until = Moment::at(now.plus_millis(u64::from(patience)));
            self.machine.set_reading(now, false);
            self.wake_runner();
        }
    }

    /// Tells whether a message, or a part of one, finds room in the inbox.
    fn has_room_for(&mut self, input: &Input<'_>) -> bool {
        let len = bytes_of(input);
        let inbox = self.inbox.parts();
        (inbox.has_room(len) || !inbox.could_hold(len)) && self.machine.has_room_for(input)
    }

    /// From now on messages at QoS 1 and 2 are passed over, until there is another connection and so much room.
    pub(super) fn overflow(&mut self, now: Instant, needed: usize) {
        self.overflowed = Moment::at(now.plus_millis(u64::from(self.patience)));
        self.needed = needed;
        self.wake_runner();
    }

    fn is_overflowed(&self) -> bool {
        self.overflowed != Moment::NONE
    }

    /// Tells whether everything was taken that was received before one was passed over; or where a reader leaves his there, after a
    /// time, whether that one has room now.
    pub(super) fn is_to_begin_anew(&mut self, now: Instant) -> bool {
        let (overflowed, late, needed) = (self.is_overflowed(), self.overflowed.is_past(now), self.needed);
        let inbox = self.inbox.parts();
        overflowed && (inbox.is_empty() || late && inbox.has_room(needed))
    }

    /// Gives what was found to the machine. `false`: the same again later.
    #[inline(never)]
    fn receive(&mut self, now: Instant, input: &Input<'_>) -> bool {
        let Machine { connection, session, subscriptions } = &mut self.machine;
        let statistics = &mut self.statistics;
        let heard = !self.deaf;
        let (mut arrived, mut begun, mut unrecorded, mut cut_off) = (None, None, None, false);
        match connection.receive(session, subscriptions, now, *input) {
            Ok(Some(Event::Message(message))) => {
                statistics.received = statistics.received.wrapping_add(1);
                let readers = subscriptions.matching(message.topic) & heard;
                let early = readers == 0 && self.early_until.is_ahead(now);
                let mut entry = entry(Kind::Message, &message, readers, message.payload.len() as u32);
                entry.unclaimed = early && message.acknowledgement.is_some();
                arrived = Some(self.inbox.parts().offer(entry, pieces(&message), statistics));
            }
            Ok(Some(Event::MessageBegins { message, payload_len })) if cfg!(feature = "streaming") => {
                statistics.received = statistics.received.wrapping_add(1);
                let readers = subscriptions.matching(message.topic) & heard;
                let entry = entry(Kind::Begins, &message, readers, payload_len);
                let offered = self.inbox.parts().offer(entry, pieces(&message), statistics);
                self.streaming = if offered.taken { readers } else { 0 };
                self.keeps_stream = message.qos != QoS::AtMostOnce;
                if offered.taken {
                    self.aborted &= !readers;
                }
                begun = Some(offered);
            }
            Ok(Some(Event::Fragment(fragment))) if cfg!(feature = "streaming") => {
                let entry = part(false, self.streaming, fragment, None);
                cut_off = self.streaming != 0 && !self.inbox.parts().offer_part(entry, fragment).taken;
            }
            Ok(Some(Event::MessageEnds { fragment, acknowledgement, record })) if cfg!(feature = "streaming") => {
                unrecorded = record;
                let entry = part(true, self.streaming, fragment, acknowledgement);
                let offered = self.inbox.parts().offer_part(entry, fragment);
                cut_off = self.streaming != 0 && !offered.taken;
                if offered.taken {
                    self.streaming = 0;
                }
                arrived = Some(offered);
            }
            Ok(Some(Event::Skipped { .. })) => statistics.skipped = statistics.skipped.wrapping_add(1),
            Ok(Some(Event::Published { packet_identifier, reason_code, .. })) => {
                receipts::resolve(self.receipts.as_mut(), packet_identifier, Ok(reason_code));
            }
            Ok(Some(Event::Subscribed { packet_identifier, reason_codes, .. })) => {
                let first = reason_codes.iter().next().unwrap_or(ReasonCode::SUCCESS);
                if first.is_failure() {
                    tell(Notice::SubscriptionRefused(first));
                }
                subscriptions.answer(packet_identifier, Ok(first));
            }
            Ok(Some(Event::Connected(connected))) => {
                statistics.connections = statistics.connections.wrapping_add(1);
                self.connected_at = Moment::at(now);
                if connected.session_present && self.early_until == Moment::NONE {
                    self.early_until = Moment::at(now.plus_millis(u64::from(self.patience)));
                }
                self.status = Status::Connected { session_present: connected.session_present };
            }
            Err(ReceiveError::NotReady) => return false,
            // What ends the connection is found by the writer.
            Ok(_) | Err(ReceiveError::Connection(_)) => {}
        }
        if let Some(offered) = arrived.or(begun) {
            if offered.dropped && !self.dropping {
                tell(Notice::Dropped);
            }
            self.dropping = offered.dropped;
        }
        if let Some(token) = arrived.and_then(|offered| offered.acknowledge) {
            let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
        }
        if cut_off {
            tell(Notice::Dropped);
            self.statistics.dropped = self.statistics.dropped.wrapping_add(1);
            self.abort_stream();
        }
        if let Some(ticket) = unrecorded {
            // A payload in parts is in no record.
            self.machine.records_durable(ticket.number());
        }
        self.wake_runner();
        self.wake_handles();
        true
    }

    /// The next entry for a subscriber, copied into `buffer`; `None`: there will be no more.
    #[inline(never)]
    pub(crate) fn poll_message(
        &mut self,
        cx: &Context<'_>,
        route: u8,
        (in_parts, by_hand): (bool, bool),
        buffer: &mut [u8],
    ) -> Poll<Option<Result<Head, Error>>> {
        let in_parts = cfg!(feature = "streaming") && in_parts;
        let reader = bit(route);
        let next = |entry: &Entry| entry.readers & !entry.handed & reader != 0 && entry.record.is_none();
        let Some((index, entry, bytes)) = self.inbox.parts().find(next) else {
            if self.is_aborted(reader) && in_parts {
                return Poll::Ready(Some(Err(Error::Aborted)));
            }
            if self.is_closed() || self.machine.subscriptions.is_lost(route) {
                return Poll::Ready(None);
            }
            return self.wait_as_reader(route, cx.waker());
        };
        // Another message begins before the last part of this one came.
        if in_parts && !entry.head.kind.is_part() {
            self.is_aborted(reader);
            return Poll::Ready(Some(Err(Error::Aborted)));
        }
        if !in_parts && entry.head.kind.is_part() {
            // The rest of a message whose reader has lost interest.
            self.take(index, reader);
            return self.poll_message(cx, route, (in_parts, by_hand), buffer);
        }
        if put(buffer, bytes).is_none() {
            return Poll::Ready(Some(Err(Error::BufferTooSmall { needed: bytes.len() })));
        }
        let head = entry.head;
        if by_hand && head.acknowledgement.is_some() {
            self.inbox.parts().hand_over(index, reader);
        } else {
            self.take(index, reader);
        }
        Poll::Ready(Some(Ok(head)))
    }

    /// Tells, once, whether a reader's message was cut off.
    const fn is_aborted(&mut self, reader: u32) -> bool {
        let aborted = self.aborted & reader != 0;
        self.aborted &= !reader;
        aborted
    }

    /// A message that was handed over is acknowledged by its reader; `false`: it is not there any more.
    pub(crate) fn acknowledge(&mut self, route: u8, token: Acknowledgement) -> bool {
        let reader = bit(route);
        let of_it =
            |entry: &Entry| entry.handed & entry.readers & reader != 0 && entry.head.acknowledgement == Some(token);
        let Some((index, ..)) = self.inbox.parts().find(of_it) else { return false };
        self.take(index, reader);
        self.wake_handles();
        true
    }

    /// A message that was handed over is refused by its reader, for whoever else has it, too.
    pub(crate) fn reject(&mut self, route: u8, token: Acknowledgement, reason: ReasonCode) -> Result<(), Error> {
        let reader = bit(route);
        let of_it =
            |entry: &Entry| entry.handed & entry.readers & reader != 0 && entry.head.acknowledgement == Some(token);
        let (index, ..) = self.inbox.parts().find(of_it).ok_or(UsageError::Stale)?;
        let rejected = self.machine.acknowledge(token, reason);
        match rejected {
            Ok(()) | Err(UsageError::Stale) => {
                self.take(index, reader);
                self.wake_handles();
            }
            Err(UsageError::RecordPending) => return Err(Error::WouldWait),
            Err(_) => {} // it can still be acknowledged
        }
        Ok(rejected?)
    }

    /// These readers have taken an entry.
    pub(crate) fn take(&mut self, index: usize, readers: u32) {
        if self.inbox.parts().take(index, readers) {
            self.settle(index);
        }
        self.wake_runner();
    }

    /// Everybody has taken an entry: it is acknowledged, and gone. Where another record is in the way it waits for that.
    pub(crate) fn settle(&mut self, index: usize) -> bool {
        let Some(token) = self.inbox.parts().acknowledgement(index) else {
            self.inbox.parts().remove(index);
            return true;
        };
        // Stale: the connection is another one, and the Server sends it again or has forgotten it.
        if let Err(UsageError::RecordPending) = self.machine.acknowledge(token, ReasonCode::SUCCESS) {
            return false;
        }
        self.inbox.parts().remove(index);
        self.wake_runner();
        true
    }

    /// Acknowledges what everybody has taken and another record was in the way of.
    pub(crate) fn settle_all(&mut self) {
        while let Some((index, ..)) = self.inbox.parts().find(is_over) {
            if !self.settle(index) {
                return;
            }
        }
    }

    /// Tells whether there is something that everybody has taken and that is not acknowledged.
    pub(super) fn has_unsettled(&mut self) -> bool {
        self.inbox.parts().find(is_over).is_some()
    }

    /// Gives up messages that nobody has subscribed to in time; those from records wait for ever.
    pub(super) fn expire_early(&mut self, now: Instant) {
        if !self.early_until.is_past(now) {
            return;
        }
        let statistics = &mut self.statistics;
        self.inbox.parts().each(|entry, _| {
            if entry.unclaimed && !entry.head.again {
                entry.unclaimed = false;
                statistics.unrouted = statistics.unrouted.wrapping_add(1);
            }
        });
        self.settle_all();
    }
}

/// The room that it takes, or a little more.
const fn bytes_of(input: &Input<'_>) -> usize {
    match input {
        Input::Packet(bytes) | Input::PublishHead { head: bytes, .. } | Input::PublishPayload { bytes, .. } => {
            bytes.len()
        }
    }
}

const fn is_over(entry: &Entry) -> bool {
    entry.readers == 0 && !entry.unclaimed && entry.record.is_none()
}

#[inline(never)]
fn entry(kind: Kind, message: &Message<'_>, readers: u32, payload_len: u32) -> Entry {
    let head = Head {
        kind,
        topic_len: message.topic.as_str().len() as u16,
        properties_len: message.properties.as_encoded().len() as u32,
        payload_len,
        qos: message.qos,
        retain: message.retain,
        dup: message.dup,
        acknowledgement: message.acknowledgement,
        again: false,
    };
    Entry { record: message.record_ticket, ..Entry::new(head, readers) }
}

fn pieces<'a>(message: &Message<'a>) -> [&'a [u8]; 3] {
    [message.topic.as_str().as_bytes(), message.properties.as_encoded(), message.payload]
}

fn part(last: bool, readers: u32, fragment: &[u8], acknowledgement: Option<Acknowledgement>) -> Entry {
    let kind = if last { Kind::Last } else { Kind::Part };
    Entry::new(Head::part(kind, fragment.len(), acknowledgement), readers)
}
