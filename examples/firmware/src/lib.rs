//! Support for QEMU's `mps2-an386` board: executor, time, Ethernet, LED, arguments, flash in a file of the host.

#![no_std]

pub mod args;
pub mod ethernet;
pub mod executor;
mod fault;
pub mod files;
pub mod flash;
pub mod image;
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
#[cfg(not(feature = "defmt"))]
pub fn console(line: core::fmt::Arguments<'_>) {
    println!("{line}");
}

/// A line for the host, among what the client logs; `defmt-print` reads both.
#[cfg(feature = "defmt")]
pub fn console(line: core::fmt::Arguments<'_>) {
    defmt::info!("{}", defmt::Display2Format(&line));
}

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

#[cfg(feature = "defmt")]
defmt::timestamp!("{=u64:us}", embassy_time::Instant::now().as_micros());

/// Ends the program, successfully if the client did; says what it took, with so many bytes of memory for clients.
pub fn end(result: Result<(), Failure>, memory: usize) -> ! {
    console(format_args!("stack: {} bytes at the most", stack::high_water()));
    console(format_args!("mqtt: {memory} bytes of memory"));
    match result {
        Ok(()) => semihosting::process::exit(0),
        Err(failure) => {
            console(format_args!("gave up: {failure}"));
            semihosting::process::exit(1)
        }
    }
}
