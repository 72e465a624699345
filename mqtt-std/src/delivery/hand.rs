//! Acknowledging by hand.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mqtt_core::{ReasonCode, UsageError};

use super::tickets::Ticket;
use crate::error::Error;
use crate::state::Shared;

/// A stream's share of the ticket of a message, in the hands of the application. Dropped, it acknowledges nothing.
pub(crate) struct Hand {
    shared: Arc<Shared>,
    ticket: Mutex<Option<Arc<Ticket>>>,
}

impl Hand {
    pub(crate) fn new(shared: &Arc<Shared>, ticket: Arc<Ticket>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), ticket: Mutex::new(Some(ticket)) })
    }

    fn take(&self) -> Option<Arc<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn acknowledge(&self) -> Result<(), Stale> {
        let ticket = self.take().ok_or(Stale)?;
        let token = ticket.acknowledgement().ok_or(Stale)?;
        self.shared.command(|state, _| {
            // What is in a store waits as long as it takes.
            let good = state.machine.session().awaits(token) || ticket.is_durable() && !state.closed;
            drop(ticket);
            if good {
                return Ok(());
            }
            state.statistics.stale += 1;
            Err(Stale)
        })
    }

    pub(crate) fn reject(&self, reason: ReasonCode) -> Result<(), Error> {
        let rejected = self.shared.command(|state, now| {
            // Under the state's lock, so that it is free again when somebody is woken, who may acknowledge the same message.
            let mut held = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
            let ticket = held.as_ref().ok_or(UsageError::Stale)?;
            let token = ticket.acknowledgement().ok_or(UsageError::Stale)?;
            let rejected = state.machine.acknowledge(token, reason);
            state.take_record(now);
            // Otherwise it can still be acknowledged.
            if matches!(rejected, Ok(()) | Err(UsageError::Stale)) {
                ticket.void();
                *held = None;
            }
            rejected
        });
        Ok(rejected?)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if let Some(ticket) = self.take() {
            ticket.withhold();
        }
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").finish_non_exhaustive()
    }
}

/// There is nothing to acknowledge any more: it was done, or the message will come again, because the connection that it came on
/// (QoS 1), or the session (QoS 2), is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nothing to acknowledge any more")
    }
}

impl core::error::Error for Stale {}

impl From<Stale> for Error {
    fn from(_: Stale) -> Self {
        Self::Usage(UsageError::Stale)
    }
}
