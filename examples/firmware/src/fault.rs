//! A fault ends the run instead of looping.

use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    semihosting::eprintln!("fault at {:#x}", frame.pc());
    semihosting::process::exit(102)
}
