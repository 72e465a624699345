//! Moments in the future.

use core::time::Duration;

use tokio::time::Instant;

/// The moment that far from now; a time without end is as good as a year.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + timeout.min(YEAR)
}
