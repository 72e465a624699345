//! How long things took, in classes.

use core::fmt;
use core::time::Duration;

/// How often something took how long: counts in classes that double, from 64 µs to 2 s and beyond. It has a fixed size.
///
/// ```
/// # use mqtt_std::Histogram;
/// # fn f(histogram: Histogram) {
/// println!("{} times, mean {:?}, half of them within {:?}", histogram.count(), histogram.mean(), histogram.quantile(0.5));
/// # }
/// ```
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Histogram {
    counts: [u64; CLASSES],
    /// Microseconds of all together.
    sum: u64,
    /// The longest, in microseconds.
    maximum: u64,
}

/// Those that have an upper bound, and one for what took longer.
const CLASSES: usize = 17;

/// The first class is up to 2^6 microseconds.
const FIRST: u32 = 6;

impl Histogram {
    pub(crate) fn record(&mut self, microseconds: u64) {
        // Up to 64 is class 0, up to 128 class 1: what is one bit longer is a class further.
        let bits = u64::BITS - microseconds.saturating_sub(1).leading_zeros();
        let class = (bits.saturating_sub(FIRST) as usize).min(CLASSES - 1);
        if let Some(count) = self.counts.get_mut(class) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(microseconds);
        self.maximum = self.maximum.max(microseconds);
    }

    /// How often.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time of all together, to the microsecond.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// The mean, to the microsecond; `None` of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.count()).map(Duration::from_micros)
    }

    /// The longest, to the microsecond; zero of nothing.
    #[must_use]
    pub const fn maximum(&self) -> Duration {
        Duration::from_micros(self.maximum)
    }

    /// What such a part of all (0 to 1) did not exceed: the upper bound of its class, or the longest if that is less; `None` of
    /// nothing.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((count as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0_u64;
        for (bound, count) in self.classes() {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return Some(bound.unwrap_or(Duration::MAX).min(self.maximum()));
            }
        }
        Some(self.maximum())
    }

    /// The classes, in rising order: the upper bound, which still belongs to it, and how often. The last one has no bound.
    #[must_use]
    pub fn classes(&self) -> impl ExactSizeIterator<Item = (Option<Duration>, u64)> + '_ {
        self.counts.iter().enumerate().map(|(class, count)| {
            let bound = (class + 1 < CLASSES).then(|| Duration::from_micros(1 << (FIRST as usize + class)));
            (bound, *count)
        })
    }

    /// How often since an earlier state of the same histogram, class by class.
    #[cfg(feature = "metrics")]
    pub(crate) fn since(&self, earlier: &Self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let classes = self.classes().zip(earlier.counts);
        classes.map(|((bound, count), earlier)| (bound, count.saturating_sub(earlier)))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("maximum", &self.maximum())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    #[test]
    fn classes_double_and_their_bound_belongs_to_them() {
        for (value, class) in [
            (0, 0),
            (1, 0),
            (64, 0),
            (65, 1),
            (128, 1),
            (129, 2),
            (1 << 20, 14),
            ((1 << 20) + 1, 15),
            (1 << 21, 15),
            ((1 << 21) + 1, 16),
            (u64::MAX, 16),
        ] {
            let found: Vec<_> = of(&[value]).classes().map(|(_, count)| count).collect();
            let expected: Vec<_> = (0..CLASSES).map(|index| u64::from(index == class)).collect();
            assert_eq!(found, expected, "{value}");
        }
        let bounds: Vec<_> = of(&[]).classes().map(|(bound, _)| bound).collect();
        assert_eq!((bounds[0], bounds[1]), (Some(Duration::from_micros(64)), Some(Duration::from_micros(128))));
        assert_eq!((bounds[15], bounds[16]), (Some(Duration::from_micros(1 << 21)), None));
    }

    #[test]
    fn quantiles_are_bounds_of_classes_and_never_beyond_the_longest() {
        const fn us(value: u64) -> Option<Duration> {
            Some(Duration::from_micros(value))
        }
        let histogram = of(&[10, 100, 100, 1_000, 5_000_000]);
        assert_eq!((histogram.count(), histogram.mean()), (5, us(1_000_242)));
        for (part, expected) in
            [(0.0, us(64)), (0.2, us(64)), (0.21, us(128)), (0.6, us(128)), (0.8, us(1_024)), (1.0, us(5_000_000))]
        {
            assert_eq!(histogram.quantile(part), expected, "{part}");
        }
        assert_eq!(of(&[10]).quantile(0.5), us(10));
        assert_eq!((of(&[]).quantile(0.5), of(&[]).mean(), of(&[]).maximum()), (None, None, Duration::ZERO));
    }
}
