//! Numbers for the application; see [`Statistics`].

use super::State;
use crate::statistics::Statistics;

impl State {
    /// A turn of the driver begins; the time is read once for all that happens in it.
    pub(crate) fn begin_turn(&mut self, microseconds: u64) {
        self.statistics.turn(microseconds, self.machine.connection().awaits_pingresp());
    }

    /// What was read in this turn has been looked at.
    pub(crate) fn count_input(&mut self) {
        let connection = self.machine.connection();
        self.statistics.heard(connection.awaits_pingresp(), connection.ignored());
    }

    /// What is counted, and what there is now.
    pub(crate) fn statistics(&mut self) -> Statistics {
        self.count_withheld();
        let (open, queued) = (self.replies.open_publishes() as u64, self.waiting.len() as u64);
        Statistics {
            in_flight: open,
            queued,
            stored_bytes: self.machine.session().storage().used() as u64,
            undelivered: if self.closed { self.undelivered_at_end as u64 } else { self.undelivered() as u64 },
            in_streams: self.routes.waiting(),
            unacknowledged: self.tickets.out(),
            ..self.statistics.snapshot()
        }
    }
}
