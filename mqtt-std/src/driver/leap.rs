//! Whether the machine slept: its monotonic clock stood still then, and a link may be dead that was silent for a moment only.

use core::time::Duration;
use std::time::SystemTime;

use tokio::time::Instant;

/// Compares the clock on the wall with the one that timers go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    wall: SystemTime,
    timers: Instant,
}

impl Watch {
    pub(super) fn new(wall: SystemTime, timers: Instant) -> Self {
        Self { wall, timers }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.timers + EVERY
    }

    /// Tells whether the clock on the wall has gone on for much longer than timers have. Somebody may just have set it: what comes of
    /// it must do no harm.
    pub(super) fn has_leapt(&mut self, wall: SystemTime, timers: Instant) -> bool {
        let on_the_wall = wall.duration_since(self.wall).unwrap_or_default();
        let of_timers = timers.saturating_duration_since(self.timers);
        *self = Self::new(wall, timers);
        on_the_wall > of_timers + LEAP
    }
}

/// How long a dead link goes unnoticed after the machine has woken, beside the time for PINGRESP.
const EVERY: Duration = Duration::from_secs(30);

/// Clocks are corrected by less.
const LEAP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_runs_ahead_has_leapt() {
        let (wall, timers) = (SystemTime::now(), Instant::now());
        let second = Duration::from_secs(1);
        for (on_the_wall, of_timers, leapt) in
            [(0, 0, false), (30, 30, false), (34, 30, false), (3_600, 20, true), (0, 3_600, false)]
        {
            let mut watch = Watch::new(wall, timers);
            let now = (wall + second * on_the_wall, timers + second * of_timers);
            assert_eq!(watch.has_leapt(now.0, now.1), leapt, "{on_the_wall} {of_timers}");
            assert!(!watch.has_leapt(now.0, now.1), "once");
        }
        let mut watch = Watch::new(wall, timers);
        assert!(!watch.has_leapt(wall - 3_600 * second, timers), "set back");
    }
}
