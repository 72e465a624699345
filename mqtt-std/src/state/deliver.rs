//! Messages on their way in, from the machine to the streams.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_core::{Instant, QoS, ReasonCode};

use super::{Durable, State};
use crate::delivery::{Offer, Pushed, Queue, Ticket};
use crate::message::Message;
use crate::payload::Inbound;

/// A message that waits for room in streams, and until when.
pub(crate) struct Stalled {
    pub(crate) message: Message,
    /// That of QoS 1 and 2, from the beginning; otherwise once it is needed.
    pub(crate) ticket: Option<Arc<Ticket>>,
    pub(crate) queues: VecDeque<Arc<Queue>>,
    pub(crate) until: Instant,
    /// How many milliseconds it waits.
    pub(crate) patience: u64,
}

impl State {
    /// Puts the message that is held up into the streams that have room for it.
    pub(crate) fn unstall(&mut self, now: Instant) {
        self.settle_inbound(now);
        let Some(stalled) = &mut self.stalled else { return };
        // At QoS 0 only as long as the reader may wait for an acknowledgement that is behind this message, or for a broker that
        // takes nothing as long as nobody reads.
        let answer_due = stalled.message.qos() != QoS::AtMostOnce
            || self.machine.session().outgoing_len() > 0
            || !self.waiting.is_empty();
        if answer_due && stalled.ticket.is_none() {
            stalled.ticket = Some(self.tickets.give(None, stalled.message.len()));
        }
        let overdue = now >= stalled.until;
        let offer = Offer {
            message: &stalled.message,
            ticket: stalled.ticket.as_ref(),
            may_wait: answer_due && self.tickets.may_wait(),
            overdue,
        };
        let (mut dropped, mut overrun) = (0_u64, false);
        stalled.queues.retain(|queue| match queue.push(&offer, &mut self.later) {
            Pushed::Taken => false,
            Pushed::Full => true,
            Pushed::Dropped => {
                dropped = dropped.saturating_add(1);
                false
            }
            Pushed::Overrun => {
                overrun = true;
                true
            }
        });
        if overrun {
            // It was received, so it still waits for its place; everything behind it comes again.
            stalled.until = now.plus_millis(stalled.patience);
            self.overrun = self.machine.is_connected();
        }
        if dropped > 0 {
            // Those behind it, for which nobody waits until somebody reads, would fill the log.
            if overdue {
                tracing::warn!(
                    topic = stalled.message.topic(),
                    dropped,
                    "a full stream did not take a message in time"
                );
            }
            self.statistics.dropped = self.statistics.dropped.saturating_add(dropped);
        }
        let free = stalled.queues.is_empty();
        self.machine.set_reading(now, free);
        if free {
            self.stalled = None;
        }
    }

    /// The end: what was received can still be read.
    pub(super) fn hand_over_stalled(&mut self) {
        let Some(stalled) = self.stalled.take() else { return };
        let ticket = stalled.ticket.unwrap_or_else(|| self.tickets.give(None, 0));
        let offer = Offer { message: &stalled.message, ticket: Some(&ticket), may_wait: true, overdue: false };
        for queue in &stalled.queues {
            queue.push(&offer, &mut self.later);
        }
    }

    /// Tells whether a full stream, a slow reader, or a slow store holds up what arrives. Until CONNACK it does not: that is not to wait for a reader.
    pub(crate) fn is_held_up(&self) -> bool {
        let held = |inbound: &Inbound| inbound.held_until().is_some();
        let behind = self.durable.as_ref().is_some_and(Durable::is_behind);
        (behind || self.stalled.is_some() || self.inbound.as_ref().is_some_and(held)) && self.machine.is_connected()
    }

    /// Acknowledges what all streams have taken, and what waits for none any longer.
    pub(crate) fn acknowledge_taken(&mut self, now: Instant) {
        self.statistics.unrouted = self.statistics.unrouted.saturating_add(self.early.expire(now));
        for token in self.tickets.take_returned() {
            // Stale: the connection is another one, and the broker sends it again or has forgotten it.
            let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
            self.take_record(now);
            self.take_record(now);
        }
        self.count_withheld();
    }

    /// Counts what should have been acknowledged by hand, and was dropped. Between two connections nobody knows whether the next
    /// one waits for it.
    pub(super) fn count_withheld(&mut self) {
        if !self.machine.is_connected() {
            return;
        }
        for token in self.tickets.take_withheld() {
            if self.machine.session().awaits(token) {
                self.statistics.withheld = self.statistics.withheld.saturating_add(1);
                self.later.withheld = self.later.withheld.saturating_add(1);
            }
        }
    }
}
