//! What the images have in common: a start, and an outside world that the optimiser knows nothing about.

#![no_std]

use core::hint::black_box;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// A transport and a clock. Never run: only their calls count.
pub struct World;

impl World {
    /// Milliseconds.
    #[inline(never)]
    pub fn now(&mut self) -> u64 {
        black_box(0)
    }

    /// Fills the front of the buffer and says how much; 0: the clock has moved.
    #[inline(never)]
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        black_box(buffer);
        black_box(0)
    }

    /// Sends all.
    #[inline(never)]
    pub fn write(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    /// What the application does next, 0 to 9.
    #[inline(never)]
    pub fn command(&mut self) -> u32 {
        black_box(0)
    }
}
