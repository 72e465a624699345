//! How often something may happen.

use std::time::{Duration, Instant};

/// Lets something happen so many times in a period, all at once if it was quiet before, and counts what is beyond that.
///
/// ```
/// use std::time::{Duration, Instant};
/// use mqtt_examples::Rate;
///
/// let mut rate = Rate::new(2, Duration::from_secs(60));
/// let now = Instant::now();
/// assert!(rate.allows(now) && rate.allows(now) && !rate.allows(now));
/// assert!(rate.allows(now + Duration::from_secs(30)));
/// assert_eq!(rate.refused(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Rate {
    /// Once in so long, in the long run.
    interval: Duration,
    /// How far ahead of that it may be.
    ahead: Duration,
    /// Until when what has happened so far is paid for.
    paid_until: Option<Instant>,
    refused: u64,
}

impl Rate {
    /// So many `times` in a `period`; 0 times counts as once.
    #[must_use]
    pub fn new(times: u32, period: Duration) -> Self {
        let interval = period / times.max(1);
        Self { interval, ahead: period.saturating_sub(interval), paid_until: None, refused: 0 }
    }

    /// Whether it may happen now; if so it counts as having happened.
    pub fn allows(&mut self, now: Instant) -> bool {
        let paid_until = self.paid_until.map_or(now, |until| until.max(now));
        let allowed = paid_until.saturating_duration_since(now) <= self.ahead;
        if allowed {
            self.paid_until = Some(paid_until + self.interval);
        } else {
            self.refused += 1;
        }
        allowed
    }

    /// How often it was not allowed.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_it_happens_as_often_as_allowed_however_often_it_is_asked() {
        let begun = Instant::now();
        let mut rate = Rate::new(10, Duration::from_secs(1));
        let allowed = (0..10_000).filter(|millis| rate.allows(begun + Duration::from_millis(*millis))).count();
        // The burst at the beginning, then ten a second.
        assert_eq!((allowed, rate.refused()), (10 + 99, 10_000 - 109));
    }

    #[test]
    fn silence_saves_up_no_more_than_one_burst() {
        let mut rate = Rate::new(3, Duration::from_secs(1));
        let begun = Instant::now();
        assert!(rate.allows(begun));
        let later = begun + Duration::from_secs(3_600);
        assert_eq!((0..100).filter(|_| rate.allows(later)).count(), 3);
    }

    #[test]
    fn none_at_all_is_one() {
        let mut rate = Rate::new(0, Duration::from_secs(1));
        let now = Instant::now();
        assert!(rate.allows(now) && !rate.allows(now));
    }
}
