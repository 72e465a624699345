//! The board's LED, in a register of its FPGA.

use core::convert::Infallible;
use core::ptr;

use embedded_hal::digital::{ErrorType, OutputPin};

const LEDS: *mut u32 = 0x4002_8000 as *mut u32;

/// The first of the two.
#[derive(Debug, Default)]
pub struct Led(());

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // SAFETY: a register of the board, which this file alone uses.
        unsafe { ptr::write_volatile(LEDS, 0) };
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(LEDS, 1) };
        Ok(())
    }
}
