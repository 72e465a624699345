//! A message that arrives in parts.

use std::sync::Arc;

use mqtt_core::{Acknowledgement, Instant, QoS, ReasonCode, RecordTicket};

use super::{Shared, State};
use crate::delivery::{Interest, Queue};
use crate::message::Message;
use crate::payload::{End, Inbound};

impl State {
    /// The head of a message is here, and is for these streams.
    pub(crate) fn begin_inbound(&mut self, now: Instant, head: Message, length: u32, queues: &[Arc<Queue>]) {
        let may_wait = head.qos() != QoS::AtMostOnce && queues.is_empty();
        let early = if may_wait { self.early.until(now) } else { None };
        let confirms_first = self.durable.is_some() && head.qos() == QoS::ExactlyOnce;
        let mut inbound = Inbound::new(head, length, early, confirms_first);
        for queue in queues.iter().filter(|queue| queue.is_streamed()) {
            inbound.offer(Arc::clone(queue));
        }
        if inbound.is_claimed() && !queues.iter().all(|queue| queue.is_streamed()) {
            let topic = inbound.topic();
            tracing::warn!(topic, payload_len = length, "message is too large for a stream that is not made for it");
            self.statistics.skipped = self.statistics.skipped.saturating_add(1);
        }
        self.inbound = Some(inbound);
    }

    /// There is a stream for what has waited for one.
    pub(super) fn claim_inbound(&mut self, interest: Interest<'_>, queue: &Arc<Queue>) {
        if let Some(inbound) = self.inbound.as_mut().filter(|inbound| queue.is_streamed() && inbound.is_early()) {
            if interest.includes(inbound.topic()) {
                inbound.offer(Arc::clone(queue));
            }
        }
    }

    pub(super) fn settle_inbound(&mut self, now: Instant) {
        let Some(inbound) = &mut self.inbound else { return };
        let patience = now.plus_millis(u64::try_from(self.stall_timeout.as_millis()).unwrap_or(u64::MAX));
        let lost = inbound.settle(now, patience, self.driver.as_ref(), &mut self.later);
        if lost.dropped > 0 {
            tracing::warn!(topic = inbound.topic(), dropped = lost.dropped, "a payload was not read in time");
        }
        let free = inbound.held_until().is_none();
        self.overrun |= lost.overrun && self.machine.is_connected();
        self.statistics.dropped = self.statistics.dropped.saturating_add(lost.dropped);
        self.statistics.abandoned = self.statistics.abandoned.saturating_add(lost.abandoned);
        self.machine.set_reading(now, free);
    }

    /// The last bytes are here: tells whether the machine may know of it. With a store at QoS 2 the readers come first.
    pub(crate) fn may_end_inbound(&mut self, now: Instant, bytes: &[u8]) -> bool {
        let Some(inbound) = self.inbound.as_mut().filter(|inbound| inbound.confirms_first()) else { return true };
        inbound.end(bytes, &mut self.later);
        self.settle_inbound(now);
        let Some(inbound) = &self.inbound else { return true };
        let (withheld, held) = (inbound.is_withheld(), inbound.held_until().is_some());
        // Somebody did not want it, so that it has to come again: there is no other way to leave it unanswered.
        self.overrun |= withheld && self.machine.is_connected();
        !withheld && !held
    }

    /// The message is received.
    pub(crate) fn end_inbound(
        &mut self,
        shared: &Arc<Shared>,
        now: Instant,
        acknowledgement: Option<Acknowledgement>,
        record: Option<RecordTicket>,
    ) {
        let Some(inbound) = self.inbound.take() else { return };
        let ticket = match (record, acknowledgement, &mut self.durable) {
            (Some(record), Some(token), Some(durable)) => {
                durable.streamed(record, token, inbound.head());
                let _ = self.machine.acknowledge(token, ReasonCode::SUCCESS);
                self.take_record(now);
                None
            }
            // Without a reader it comes back at once.
            _ => acknowledgement.map(|token| self.tickets.give(Some(token), 0)),
        };
        if inbound.is_claimed() {
            let (qos, bytes) = inbound.traffic();
            self.statistics.received(qos, bytes);
        } else {
            let (_, payload_len) = inbound.traffic();
            tracing::warn!(topic = inbound.topic(), payload_len, "message is too large and was skipped");
            self.statistics.skipped = self.statistics.skipped.saturating_add(1);
        }
        inbound.finish(shared, ticket.as_ref(), self.driver.as_ref(), &mut self.later);
    }

    /// The rest will not come.
    pub(crate) fn cut_inbound(&mut self) {
        let end = if self.closed || self.shutdown.is_some() { End::Closed } else { End::Cut };
        if let Some(inbound) = self.inbound.take() {
            inbound.fail(end, &mut self.later);
        }
    }
}
