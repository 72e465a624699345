//! What the images have in common: a start, an executor, and an outside world that the optimiser knows nothing about.
//!
//! Without the feature `board` an image is only measured, never run: each call of the [`World`] is a call of something opaque. With
//! it the same calls lead to a scripted broker inside the image, and the instructions between them are counted.

#![no_std]

#[cfg(feature = "board")]
mod board;
#[cfg(feature = "critical-section")]
mod critical;
#[cfg(not(feature = "board"))]
mod opaque;
#[cfg(feature = "embassy-time")]
mod time;

use core::future::poll_fn;
use core::task::Poll;

#[cfg(feature = "board")]
use board as kind;
pub use kind::{World, run};
#[cfg(not(feature = "board"))]
use opaque as kind;

/// Whether the image runs, and does also what is only counted: QoS 0.
pub const COUNTED: bool = cfg!(feature = "board");

/// What each client says and hears.
pub const CLIENT: &str = "pump-7";
pub const USER: &str = "pump";
pub const PASSWORD: &[u8] = b"secret";
pub const KEEP_ALIVE: u16 = 30;
pub const WILL: &[u8] = b"lost";
pub const FILTER: &str = "cellar/+/cmd1";
/// 16 bytes, as the topic of what is received.
pub const TOPIC: &str = "cellar/pump/stat";
pub const PAYLOAD: &[u8; 64] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What is lent for packets, all in all.
pub const PACKETS: usize = 1024;

/// What the application does next, as [`World::command`] says; anything else is nothing.
pub const RECEIVE: u32 = 0;
pub const PUBLISH_QOS_1: u32 = 1;
pub const PUBLISH_QOS_0: u32 = 2;
pub const PING: u32 = 3;

impl World {
    /// Reads what is there, at least one byte.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> usize {
        poll_fn(|cx| match self.read(buffer) {
            0 => {
                self.wake_when_readable(cx.waker());
                Poll::Pending
            }
            read => Poll::Ready(read),
        })
        .await
    }

    /// Waits until the clock says so many milliseconds.
    pub async fn sleep_until(&mut self, at: u64) {
        poll_fn(|cx| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.wake_at(at, cx.waker());
            Poll::Pending
        })
        .await;
    }
}
