//! Support for QEMU's `mps2-an386` board: executor, time, Ethernet, LED, arguments, flash in a file of the host.

#![no_std]

pub mod args;
pub mod ethernet;
pub mod executor;
mod fault;
pub mod files;
pub mod flash;
mod irq;
pub mod led;
pub mod net;
pub mod random;
pub mod stack;
mod time;

use mqtt_embedded::Failure;
pub use semihosting::{print, println};

/// Starts the clock and the Ethernet's interrupt; once, before anything else.
pub fn init() {
    stack::paint();
    time::init();
}

/// A line for the host.
pub fn console(line: core::fmt::Arguments<'_>) {
    println!("{line}");
}

/// Ends the program, successfully if the client did; says what it took, with so many bytes of memory for clients.
pub fn end(result: Result<(), Failure>, memory: usize) -> ! {
    println!("stack: {} bytes at the most", stack::high_water());
    println!("mqtt: {memory} bytes of memory");
    match result {
        Ok(()) => semihosting::process::exit(0),
        Err(failure) => {
            println!("gave up: {failure}");
            semihosting::process::exit(1)
        }
    }
}
