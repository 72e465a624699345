//! Executors: one that sleeps with WFI, since in QEMU WFE does not, and one that runs in an interrupt.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{SendSpawner, Spawner, raw};
use static_cell::StaticCell;

use crate::irq::Irq;

static WORK: AtomicBool = AtomicBool::new(false);
static THREAD: StaticCell<raw::Executor> = StaticCell::new();
static INTERRUPT: StaticCell<raw::Executor> = StaticCell::new();
static mut IN_INTERRUPT: Option<&'static raw::Executor> = None;

/// What the context of an executor says: whose work it is.
const OF_THREAD: usize = 0;
const OF_INTERRUPT: usize = 1;

#[unsafe(export_name = "__pender")]
fn pend(context: *mut ()) {
    match context as usize {
        OF_INTERRUPT => Irq::Software.pend(),
        _ => WORK.store(true, Ordering::Release),
    }
}

/// Runs tasks for ever. Call it once.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    let executor = &*THREAD.init(raw::Executor::new(OF_THREAD as *mut ()));
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

/// Starts an executor whose tasks run in an interrupt: they preempt those of [`run`]. Call it once.
pub fn start_in_interrupt() -> SendSpawner {
    let executor = &*INTERRUPT.init(raw::Executor::new(OF_INTERRUPT as *mut ()));
    // SAFETY: the interrupt that reads it is not enabled yet.
    unsafe { IN_INTERRUPT = Some(executor) };
    Irq::Software.enable();
    executor.spawner().make_send()
}

pub(crate) unsafe extern "C" fn interrupt() {
    // SAFETY: it was written before the interrupt was enabled; the interrupt does not interrupt itself.
    if let Some(executor) = unsafe { IN_INTERRUPT } {
        // SAFETY: this is the only place that polls it.
        unsafe { executor.poll() };
    }
}
