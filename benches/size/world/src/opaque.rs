//! An image that is measured.

use core::future::Future;
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Waker};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// A transport, a clock and an application.
#[derive(Clone, Copy, Debug)]
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

    /// Whether there is something to read.
    #[inline(never)]
    pub fn readable(&mut self) -> bool {
        black_box(false)
    }

    /// Sends all.
    #[inline(never)]
    pub fn write(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    /// The application takes a part of a message.
    #[inline(never)]
    pub fn take(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    /// What the application does next, 0 to 9.
    #[inline(never)]
    pub fn command(&mut self) -> u32 {
        black_box(0)
    }

    /// Nothing can go on.
    #[inline(never)]
    pub fn idle(&mut self) {
        black_box(());
    }

    // An executor of its own kind would keep the wakers; here everything is polled again.
    pub(crate) fn wake_when_readable(&mut self, _: &Waker) {}

    pub(crate) fn wake_at(&mut self, _: u64, _: &Waker) {}
}

/// Polls the tasks for ever.
pub fn run(tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) -> ! {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        for task in &mut *tasks {
            let _ = black_box(task.as_mut().poll(&mut cx).is_ready());
        }
        World.idle();
    }
}
