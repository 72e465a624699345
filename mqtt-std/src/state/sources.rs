//! Payloads that come from a source while they are sent.

use core::task::{Context, Poll};

use mqtt_core::{Instant, Outcome, PacketIdentifier, ReasonCode};
use tokio::sync::oneshot;

use super::State;
use super::replies::{Due, Published};
use crate::payload::{Inflow, Owner, Source, SourceFailed};

impl State {
    /// The head of a PUBLISH at QoS 1 or 2 is in the outbox, and its payload is to be read.
    pub(super) fn begin_source(&mut self, packet_identifier: PacketIdentifier, length: u32, key: u32) {
        match self.sources.get(packet_identifier, length, key) {
            Some(source) => {
                let owner = Owner::Exchange(packet_identifier);
                self.outbox.set_inflow(Inflow::new(source, length, owner, self.stall_timeout));
            }
            None => self.fail_source(Owner::Exchange(packet_identifier)),
        }
    }

    /// The same at QoS 0.
    pub(super) fn begin_at_most_once(&mut self, source: Source, sender: oneshot::Sender<Published>) {
        // The head says so many; a source that is longer is cut there, or fails.
        let length = u32::try_from(source.length()).unwrap_or(u32::MAX);
        self.outbox.set_inflow(Inflow::new(source, length, Owner::AtMostOnce(sender), self.stall_timeout));
    }

    /// Puts what a source has ready into the outbox.
    pub(crate) fn poll_source(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.outbox.awaits_source() {
            // That no byte leaves is not the transport's fault.
            self.machine.source_waits(now);
        }
        let Poll::Ready(result) = self.outbox.poll_inflow(cx) else { return };
        let Some(owner) = self.take_inflow() else { return };
        match (result, owner) {
            (Ok(()), Owner::AtMostOnce(sender)) => {
                self.later.due.push(Due::Publish(sender, Ok(ReasonCode::SUCCESS.into())))
            }
            (Ok(()), Owner::Exchange(_)) => {}
            (Err(SourceFailed), owner) => self.fail_source(owner),
        }
    }

    fn take_inflow(&mut self) -> Option<Owner> {
        let (owner, source) = self.outbox.take_inflow()?.into_parts();
        self.later.sources.push(source);
        Some(owner)
    }

    /// The packet cannot be finished: the connection is over, with whatever it was to send.
    fn fail_source(&mut self, owner: Owner) {
        self.outbox.clear();
        match owner {
            Owner::Exchange(packet_identifier) => self.machine.source_failed(Some(packet_identifier)),
            Owner::AtMostOnce(sender) => {
                self.statistics.ended(Outcome::SourceFailed);
                self.later.due.push(Due::Publish(sender, Err(Outcome::SourceFailed)));
                self.machine.source_failed(None);
            }
        }
    }

    /// The connection is over: nothing of what was to be sent on it goes on in another one.
    pub(crate) fn clear_outbox(&mut self) {
        self.outbox.clear();
        if let Some(Owner::AtMostOnce(sender)) = self.take_inflow() {
            self.cut_at_end = usize::from(self.shutdown.is_some());
            self.statistics.ended(Outcome::Unknown);
            self.later.due.push(Due::Publish(sender, Err(Outcome::Unknown)));
        }
    }
}
