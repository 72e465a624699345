//! Keys of requests that nobody can guess.

use mqtt_core::RequestKey;
use rand_core::RngCore;

/// Counts, and hides what it counts: SipHash-2-4 of the number with a secret.
///
/// Whoever answers a request learns its key. Were the next one beside it, he could answer the next request too, though it is to somebody else.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    secret: [u64; 2],
    next: u64,
}

impl Keys {
    pub(crate) fn new(random: &mut impl RngCore) -> Self {
        Self { secret: [random.next_u64(), random.next_u64()], next: 0 }
    }

    pub(crate) fn make(&mut self) -> RequestKey {
        let key = siphash(self.secret, self.next);
        self.next = self.next.wrapping_add(1);
        RequestKey::new(key)
    }
}

/// Of eight bytes, the number's with the lowest one first.
fn siphash([low, high]: [u64; 2], number: u64) -> u64 {
    let mut state = [
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ];
    // Behind the number comes the length.
    for word in [number, 8 << 56] {
        state[3] ^= word;
        state = round(round(state));
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    let [a, b, c, d] = round(round(round(round(state))));
    a ^ b ^ c ^ d
}

const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32).wrapping_add(d);
    c = c.wrapping_add(b);
    d = d.rotate_left(21) ^ a;
    b = b.rotate_left(17) ^ c;
    [a, b, c.rotate_left(32), d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_that_its_authors_describe() {
        // Key 00 to 0f, bytes 00 to 07: a row of the table that comes with their code.
        let secret = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash(secret, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
        #[allow(deprecated, reason = "the standard library's, to compare with")]
        for number in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            use core::hash::Hasher as _;
            let mut hasher = core::hash::SipHasher::new_with_keys(secret[0], secret[1]);
            hasher.write(&number.to_le_bytes());
            assert_eq!(siphash(secret, number), hasher.finish(), "{number}");
        }
    }
}
