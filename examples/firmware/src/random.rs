//! Randomness of the host: the board has none.

use rand_core::{CryptoRng, Error, RngCore, impls};

/// The host's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostRandom;

impl RngCore for HostRandom {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        semihosting::experimental::random::fill_bytes(dest).expect("the host gives random bytes");
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for HostRandom {}
