//! An executor that sleeps with WFI: in QEMU, WFE does not.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

static WORK: AtomicBool = AtomicBool::new(false);
static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    WORK.store(true, Ordering::Release);
}

/// Runs tasks for ever. Call it once.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    let executor = &*EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    init(executor.spawner());
    loop {
        // SAFETY: this is the only place that polls, and it does not poll itself.
        unsafe { executor.poll() };
        // An interrupt that comes between the look and the sleep ends the sleep; its handler runs behind this.
        cortex_m::interrupt::free(|_| {
            if !WORK.swap(false, Ordering::Acquire) {
                cortex_m::asm::wfi();
            }
        });
    }
}
