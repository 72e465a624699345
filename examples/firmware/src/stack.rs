//! How much of the stack was ever used: it is painted at the start, and looked at later.

use core::ptr;

unsafe extern "C" {
    static mut _stack_end: u32;
    static _stack_start: u32;
}

const PAINT: u32 = 0xC0DE_CAFE;
/// Not painted: what this function itself uses.
const MARGIN: usize = 256;

pub(crate) fn paint() {
    let mut at = &raw mut _stack_end;
    let end = (cortex_m::register::msp::read() as usize - MARGIN) as *mut u32;
    while at < end {
        // SAFETY: below the stack pointer, and above everything else.
        unsafe {
            ptr::write_volatile(at, PAINT);
            at = at.add(1);
        }
    }
}

/// The most bytes of the stack that were in use at once.
#[must_use]
pub fn high_water() -> usize {
    let mut at = &raw const _stack_end;
    let start = &raw const _stack_start;
    // SAFETY: the stack, word by word.
    while at < start && unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    start as usize - at as usize
}
