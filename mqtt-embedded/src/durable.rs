//! The state's side of a store: records on their way there, and back after a loss of power.

use core::task::{Context, Poll};

use mqtt_core::{
    Acknowledgement, DeliveryNumber, Instant, PacketIdentifier, PacketType, Properties, QoS, Record, RecordTicket,
    RecordedMessage, Sender, TopicFilter, TopicName, UsageError,
};

use crate::inbox::{Entry, Head, Kind, Messages as _};
use crate::resources::Capacities;
use crate::routes::{RouteList as _, bit};
use crate::state::State;
use crate::trace::{Notice, tell};

/// A record of the machine's own that was given to the store and is not durable: it is being written, or has failed. Nothing is zero, so
/// that memory that begins empty takes no flash.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Unwritten {
    Nothing,
    Record(RecordTicket),
}

impl Unwritten {
    pub(crate) const fn get(self) -> Option<RecordTicket> {
        match self {
            Self::Nothing => None,
            Self::Record(ticket) => Some(ticket),
        }
    }
}

impl<P: Capacities> State<P> {
    /// Rebuilds the session, record by record.
    pub(crate) fn restore(&mut self, now: Instant, record: &Record<'_>) {
        // The memory is not smaller than it was.
        let _ = self.machine.restore(now, record);
        match *record {
            // Whoever could read it is gone.
            Record::Published { packet_identifier, source: Some(_), .. } => {
                self.machine.forget_source(packet_identifier);
            }
            Record::Received { delivery, packet_identifier, ref message } => {
                self.hand_over_again(delivery, packet_identifier, message);
            }
            Record::Confirmed { delivery } => self.forget(delivery),
            _ => {}
        }
    }

    /// The message with this number does not wait any more.
    fn forget(&mut self, delivery: DeliveryNumber) {
        let of_it = |entry: &Entry| entry.head.acknowledgement.is_some_and(|token| token.delivery_number() == delivery);
        if let Some((index, ..)) = self.inbox.parts().find(of_it) {
            self.inbox.parts().remove(index);
        }
    }

    /// It was received and not confirmed: it waits for whoever subscribes to it.
    fn hand_over_again(&mut self, delivery: DeliveryNumber, id: PacketIdentifier, message: &RecordedMessage<'_>) {
        let (topic, properties) = (message.topic.as_str().as_bytes(), message.properties.as_encoded());
        self.forget(delivery); // where the store is loaded once more
        let readers = self.machine.subscriptions.matching(message.topic);
        let head = Head {
            kind: Kind::Message,
            topic_len: topic.len() as u16,
            properties_len: properties.len() as u32,
            payload_len: message.payload.len() as u32,
            qos: QoS::ExactlyOnce,
            retain: message.retain,
            dup: true,
            acknowledgement: Some(Acknowledgement::of_record(delivery, id)),
            again: true,
        };
        let entry = Entry { unclaimed: readers == 0, ..Entry::new(head, readers) };
        self.inbox.parts().push(entry, [topic, properties, message.payload]);
    }

    /// All of it is here: from now on records are made.
    pub(crate) fn begin_durable(&mut self) {
        self.loading = false;
        self.wake_handles();
        self.machine.session.set_durable(true);
        self.machine.session.expect_session_present();
    }

    /// Somebody subscribes to what waits.
    pub(crate) fn claim(&mut self, route: u8, filter: TopicFilter<'_>) {
        self.inbox.parts().each(|entry, topic| {
            let topic = core::str::from_utf8(topic).ok().and_then(|topic| TopicName::new(topic).ok());
            if entry.unclaimed && topic.is_some_and(|topic| filter.matches(topic)) {
                entry.readers |= bit(route);
                entry.unclaimed = false;
            }
        });
    }

    /// The next record for the store, written to `out`; a record that failed before is reported with it.
    pub(crate) fn poll_store(&mut self, cx: &Context<'_>, now: Instant, out: &mut [u8]) -> Poll<(RecordTicket, usize)> {
        // Those of messages first: they have the lower numbers.
        let found = self.inbox.parts().find(|entry| entry.record.is_some() && !entry.unrecorded);
        let next = found.and_then(|(_, entry, bytes)| Some((entry.record?, encode(&entry.head, bytes, out))));
        if next.is_some() {
            self.report_failures();
        }
        let next = next.or_else(|| self.next_own_record(now, out));
        if let Some(next) = next {
            self.wake_handles();
            self.wake_runner();
            return Poll::Ready(next);
        }
        self.settle_all();
        match self.next_own_record(now, out) {
            Some(next) => Poll::Ready(next),
            None => self.wait_as_runner(cx.waker()),
        }
    }

    /// The next record of the machine's own. The one before is reported as failed if it is not durable by now.
    fn next_own_record(&mut self, now: Instant, out: &mut [u8]) -> Option<(RecordTicket, usize)> {
        let next = self.machine.poll_record(now).map(|(ticket, record)| (ticket, record.encode(out).unwrap_or(0)));
        self.report_failures();
        if let Some((ticket, _)) = next {
            self.unwritten = Unwritten::Record(ticket);
        }
        next
    }

    /// What became of a record.
    pub(crate) fn recorded(&mut self, ticket: RecordTicket, durable: bool) {
        if durable {
            self.machine.records_durable(ticket.number());
            if self.unwritten.get() == Some(ticket) {
                self.unwritten = Unwritten::Nothing;
            }
            self.inbox.parts().each(|entry, _| {
                if entry.record == Some(ticket) {
                    entry.record = None;
                }
            });
        } else {
            tell(Notice::StoreFailed);
            self.inbox.parts().each(|entry, _| {
                if entry.record == Some(ticket) {
                    entry.unrecorded = true;
                }
            });
            self.report_failures();
        }
        self.resolve_outcomes();
        self.wake_runner();
        self.wake_handles();
    }

    /// Tells the machine of records that could not be written. While another one is in the way they wait: one of the machine's own
    /// in `unwritten`, since the next of these is what is in the way, and those of messages in the inbox.
    fn report_failures(&mut self) {
        loop {
            let found = self.inbox.parts().find(|entry| entry.unrecorded);
            let message = found.and_then(|(index, entry, _)| Some((index, entry.record?)));
            let Some(ticket) = self.unwritten.get().or(message.map(|(_, ticket)| ticket)) else { return };
            if let Err(UsageError::RecordPending) = self.machine.record_failed(ticket) {
                return;
            }
            if self.unwritten.get().is_some() {
                self.unwritten = Unwritten::Nothing;
            } else {
                // The message counts as not received.
                message.iter().for_each(|(index, _)| self.inbox.parts().remove(*index));
            }
            self.resolve_outcomes();
            self.wake_runner();
        }
    }
}

/// The record of a message that waits; 0: it does not fit.
fn encode(head: &Head, bytes: &[u8], out: &mut [u8]) -> usize {
    let (topic, rest) = bytes.split_at_checked(usize::from(head.topic_len)).unwrap_or_default();
    let (properties, payload) = rest.split_at_checked(head.properties_len as usize).unwrap_or_default();
    let topic = core::str::from_utf8(topic).ok().and_then(|topic| TopicName::new(topic).ok());
    let properties = Properties::from_encoded(PacketType::Publish, Sender::Server, properties);
    let (Some(topic), Ok(properties), Some(token)) = (topic, properties, head.acknowledgement) else { return 0 };
    let record = Record::Received {
        delivery: token.delivery_number(),
        packet_identifier: token.packet_identifier(),
        message: RecordedMessage { topic, retain: head.retain, properties, payload },
    };
    record.encode(out).unwrap_or(0)
}
