//! Moments that may be none.

use mqtt_core::Instant;

/// A moment, or none. None is zero, so that memory that begins empty takes no flash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const NONE: Self = Self(0);

    #[inline(never)]
    pub(crate) fn at(moment: Instant) -> Self {
        // A millisecond more matters nowhere.
        Self(moment.as_millis() | 1)
    }

    pub(crate) fn get(self) -> Option<Instant> {
        if self == Self::NONE { None } else { Some(Instant::from_millis(self.0)) }
    }

    /// The one of both that comes first.
    pub(crate) fn earlier(self, other: Self) -> Self {
        // None counts as the last.
        Self(self.0.wrapping_sub(1).min(other.0.wrapping_sub(1)).wrapping_add(1))
    }

    /// Tells whether there is a moment, and it is not over.
    pub(crate) const fn is_ahead(self, now: Instant) -> bool {
        self.0 > now.as_millis()
    }

    /// Tells whether there is a moment, and it is over.
    pub(crate) fn is_past(self, now: Instant) -> bool {
        self != Self::NONE && !self.is_ahead(now)
    }
}
