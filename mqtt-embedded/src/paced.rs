//! A bound for how often a store is written.

use core::fmt;

use mqtt_core::{Instant, Record};

use crate::clock::Clock;
use crate::store::Store;

/// A store that is written no more often than it bears.
///
/// How often a [`FlashStore`](crate::FlashStore) is written somebody else decides: a Server may send messages at QoS 2 without end, four
/// writes each, also where nobody has subscribed to them. Here what is beyond a rate waits, and acknowledgements with it, so the Server
/// has to wait as well; so do publishes at QoS 1 and 2.
///
/// ```
/// # use mqtt_embedded::{Clock, Instant, NoStore};
/// # struct MyClock;
/// # impl Clock for MyClock {
/// #     fn now(&self) -> Instant { Instant::from_millis(0) }
/// #     fn sleep_until(&self, _: Instant) -> impl Future<Output = ()> { core::future::pending() }
/// # }
/// # let store = NoStore;
/// use mqtt_embedded::Paced;
///
/// // Two thousand records at once, then one a second: at the worst 31 million in a year.
/// let mut store = Paced::new(store, MyClock, 2_000, 1_000);
/// ```
pub struct Paced<S, C> {
    store: S,
    clock: C,
    burst: u32,
    interval: u32,
    /// Until when what was written is paid for.
    paid_until: Instant,
}

impl<S: Store, C: Clock> Paced<S, C> {
    /// At most `burst` records at once, and in the long run one in `interval` milliseconds.
    ///
    /// Nothing is sent or read while a record waits, PINGREQ neither; so let the interval be shorter than
    /// [`pingresp_timeout`](mqtt_core::ConnectOptions::pingresp_timeout): 5,000 at most.
    pub const fn new(store: S, clock: C, burst: u32, interval: u32) -> Self {
        Self { store, clock, burst, interval, paid_until: Instant::ZERO }
    }
}

impl<S: Store, C: Clock> Store for Paced<S, C> {
    type Error = S::Error;

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), S::Error> {
        self.store.load(each).await
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), S::Error> {
        let paid_until = self.paid_until.max(self.clock.now());
        self.paid_until = paid_until.plus_millis(u64::from(self.interval));
        // So far ahead of the rate it may be.
        let ahead = u64::from(self.burst.saturating_sub(1)).saturating_mul(u64::from(self.interval));
        let due = Instant::from_millis(paid_until.as_millis().saturating_sub(ahead));
        if due > self.clock.now() {
            self.clock.sleep_until(due).await;
        }
        self.store.append(record).await
    }
}

impl<S, C> fmt::Debug for Paced<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced").field("burst", &self.burst).field("interval", &self.interval).finish_non_exhaustive()
    }
}
