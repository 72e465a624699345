//! Time as a number: the machine reads no clock.

use core::num::NonZeroU64;

/// A moment of a monotonic clock, in milliseconds since an epoch of the caller's choice.
///
/// All moments that one machine is given come from the same clock. A clock that stands still or jumps forward (a
/// suspended laptop) is borne; one that goes back is treated as standing still.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The moment `milliseconds` after the epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `milliseconds` later, or the last one there is.
    #[must_use]
    #[inline(never)] // 64 bits on a processor of 32, and many callers: 100 bytes of flash
    pub const fn plus_millis(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// The moment `seconds` later, or the last one there is.
    #[must_use]
    pub const fn plus_secs(self, seconds: u32) -> Self {
        // 2^32 * 1000 fits: no overflow in 64 bits.
        self.plus_millis((seconds as u64).saturating_mul(1000))
    }

    /// The moment so many seconds later, if any.
    pub(crate) fn deadline_in(self, seconds: Option<u32>) -> Deadline {
        seconds.map_or(Deadline::NONE, |seconds| Deadline::at(self.plus_secs(seconds)))
    }

    /// Milliseconds from `earlier` to this moment; 0 if it is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds from `earlier` to this moment, rounded up; after seven weeks as many as 32 too few; 0 if it is not earlier,
    /// `u32::MAX` after 34 years.
    #[must_use]
    pub const fn secs_since(self, earlier: Self) -> u32 {
        let millis = self.millis_since(earlier);
        // Division of 64 bits costs a small processor a kilobyte of code. 2^32 ms are seven weeks; beyond that 256 ms are the unit,
        // and what is less than 125 of them is lost.
        if millis <= u32::MAX as u64 {
            (millis as u32).div_ceil(1000)
        } else {
            let scaled = millis >> 8;
            if scaled > u32::MAX as u64 { u32::MAX } else { ((scaled as u32) / 125).saturating_mul(32) }
        }
    }
}

/// A moment, or none, in the memory of a moment; none is zero.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Deadline(Option<NonZeroU64>);

impl Deadline {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) const fn at(moment: Instant) -> Self {
        Self(Some(NonZeroU64::MIN.saturating_add(moment.0)))
    }

    pub(crate) fn get(self) -> Option<Instant> {
        self.0.map(|after| Instant(after.get().saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadline, Instant};

    #[test]
    fn a_deadline_is_the_moment_it_was_made_of() {
        assert_eq!(Deadline::NONE.get(), None);
        for millis in [0, 1, u64::MAX - 1] {
            assert_eq!(Deadline::at(Instant(millis)).get(), Some(Instant(millis)));
        }
        assert_eq!(Deadline::at(Instant(u64::MAX)).get(), Some(Instant(u64::MAX - 1)), "the last two are one");
    }

    #[test]
    fn seconds_are_rounded_up_and_saturate() {
        for (millis, seconds) in [
            (0, 0),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (u64::from(u32::MAX), 4_294_968),
            (32_000_000_000, 32_000_000),
            (u64::MAX, u32::MAX),
        ] {
            assert_eq!(Instant::from_millis(millis).secs_since(Instant::ZERO), seconds, "{millis} ms");
        }
        assert_eq!(Instant::ZERO.secs_since(Instant::from_millis(5)), 0);
    }

    #[test]
    fn seconds_of_more_than_seven_weeks_are_few_too_few() {
        for millis in (0..58_u64).map(|step| u64::from(u32::MAX) + 1 + step * 18_700_000_007).chain([(1 << 40) - 1]) {
            let seconds = u64::from(Instant::from_millis(millis).secs_since(Instant::ZERO));
            assert!((0..=32_000 + 255).contains(&(millis - seconds * 1000)), "{millis} ms: {seconds} s");
        }
    }

    #[test]
    fn a_moment_is_the_milliseconds_it_was_made_of() {
        assert_eq!(Instant::from_millis(1234).plus_millis(6).plus_secs(2).as_millis(), 3240);
    }
}
