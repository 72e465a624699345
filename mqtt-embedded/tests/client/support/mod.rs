//! A world in one thread: a clock that jumps, a wire that can be cut, and a Server that does as told.

mod flash;
mod play;
mod server;
mod wire;
mod world;

pub(crate) use flash::Flash;
pub(crate) use play::{VERSIONS, both, options, play, play_in, polled};
pub(crate) use server::{Answer, Server};
pub(crate) use wire::{Closing, Wire, WireEnd};
pub(crate) use world::{Time, World};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::{Resources, Sizes};

/// Small memory: 4 exchanges, 512 bytes; 4 messages, 512 bytes; 128 bytes at QoS 0; 4 filters of 32 bytes.
pub(crate) type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;
pub(crate) type Small = Resources<NoopRawMutex, Time, Memory>;

/// Random numbers that are the same each time.
pub(crate) struct Dice;

impl rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        4
    }

    fn next_u64(&mut self) -> u64 {
        4
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(4);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        dest.fill(4);
        Ok(())
    }
}
