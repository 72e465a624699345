//! The interrupt table: there is no crate for this board's registers.

use cortex_m::interrupt::InterruptNumber;

/// An interrupt of the board.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(crate) enum Irq {
    Timer0 = 8,
    Timer1 = 9,
    Ethernet = 13,
    /// Of nothing on the board: it is pended by hand.
    Software = 31,
}

// SAFETY: these are the numbers of the board's data sheet, and all are smaller than the table below.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self as u16
    }
}

impl Irq {
    pub(crate) fn enable(self) {
        // SAFETY: handlers touch nothing without a critical section.
        unsafe { cortex_m::peripheral::NVIC::unmask(self) }
    }

    pub(crate) fn pend(self) {
        cortex_m::peripheral::NVIC::pend(self);
    }
}

type Handler = unsafe extern "C" fn();

const NONE: Option<Handler> = None;

#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Option<Handler>; 32] = {
    let mut table = [NONE; 32];
    table[Irq::Timer0 as usize] = Some(crate::time::overflow);
    table[Irq::Timer1 as usize] = Some(crate::time::alarm);
    table[Irq::Ethernet as usize] = Some(crate::ethernet::interrupt);
    table[Irq::Software as usize] = Some(crate::executor::interrupt);
    table
};
