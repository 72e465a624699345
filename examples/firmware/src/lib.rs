//! Support for QEMU's `mps2-an386` board: executor, time, Ethernet, arguments, flash in a file of the host.

#![no_std]

pub mod args;
pub mod ethernet;
pub mod executor;
mod fault;
pub mod files;
pub mod flash;
mod irq;
pub mod lamp;
pub mod random;
pub mod stack;
mod time;

pub use semihosting::{print, println};

/// Starts the clock and the Ethernet's interrupt; once, before anything else.
pub fn init() {
    stack::paint();
    time::init();
}
