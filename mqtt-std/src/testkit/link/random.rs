//! Randomness that a seed repeats.

/// `SplitMix64`: small, and even enough for faults.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and with `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.next() % most.saturating_add(1).max(1)
    }

    /// True so many times of a thousand.
    pub(super) fn per_mille(&mut self, times: u16) -> bool {
        self.up_to(999) < u64::from(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.up_to(9)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!((0..=9).all(|number| numbers(1).contains(&number)));
    }

    #[test]
    fn per_mille_is_of_a_thousand() {
        let mut random = Random::new(7);
        let mut times = |per_mille| (0..10_000).filter(|_| random.per_mille(per_mille)).count();
        assert_eq!((times(0), times(1000)), (0, 10_000));
        assert!((800..1200).contains(&times(100)), "about a tenth");
    }
}
