//! The clock of `embassy-time`: one timer that counts, and one that rings. Both run at 25 MHz.

use core::cell::RefCell;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::irq::Irq;

const COUNTER: Timer = Timer(0x4000_0000);
const ALARM: Timer = Timer(0x4000_1000);
/// Cycles in a microsecond.
const CYCLES: u64 = 25;

/// A CMSDK APB timer: counts down, and begins anew with its reload value.
#[derive(Clone, Copy)]
struct Timer(usize);

impl Timer {
    const CONTROL: usize = 0x0;
    const VALUE: usize = 0x4;
    const RELOAD: usize = 0x8;
    const INTERRUPT: usize = 0xC;

    fn read(self, register: usize) -> u32 {
        // SAFETY: a register of the timer, which this file alone uses.
        unsafe { ptr::read_volatile((self.0 + register) as *const u32) }
    }

    fn write(self, register: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile((self.0 + register) as *mut u32, value) }
    }

    fn start(self, cycles: u32) {
        self.write(Self::CONTROL, 0);
        self.write(Self::RELOAD, cycles);
        self.write(Self::VALUE, cycles);
        self.write(Self::INTERRUPT, 1);
        self.write(Self::CONTROL, 0b1001); // enabled, with its interrupt
    }

    fn stop(self) {
        self.write(Self::CONTROL, 0);
        self.write(Self::INTERRUPT, 1);
    }
}

struct Clock {
    overflows: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    overflows: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

pub(crate) fn init() {
    COUNTER.start(u32::MAX);
    Irq::Timer0.enable();
    Irq::Timer1.enable();
}

impl Clock {
    fn now_in_cycles(&self) -> u64 {
        critical_section::with(|_| {
            let mut overflows = self.overflows.load(Ordering::Relaxed);
            let mut value = COUNTER.read(Timer::VALUE);
            if COUNTER.read(Timer::INTERRUPT) != 0 {
                // It has begun anew, and the interrupt waits for this section to end.
                overflows += 1;
                value = COUNTER.read(Timer::VALUE);
            }
            u64::from(overflows) << 32 | u64::from(u32::MAX - value)
        })
    }

    /// Rings at the next expiry, or goes on looking for it.
    fn set_alarm(&self, queue: &mut Queue) {
        let now = self.now();
        let next = queue.next_expiration(now);
        if next == u64::MAX {
            ALARM.stop();
            return;
        }
        let cycles = next.saturating_sub(now).saturating_mul(CYCLES).clamp(CYCLES, u64::from(u32::MAX));
        ALARM.start(cycles as u32);
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        self.now_in_cycles() / CYCLES
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let mut queue = self.queue.borrow_ref_mut(section);
            if queue.schedule_wake(at, waker) {
                self.set_alarm(&mut queue);
            }
        });
    }
}

pub(crate) unsafe extern "C" fn overflow() {
    critical_section::with(|_| {
        COUNTER.write(Timer::INTERRUPT, 1);
        CLOCK.overflows.fetch_add(1, Ordering::Relaxed);
    });
}

pub(crate) unsafe extern "C" fn alarm() {
    critical_section::with(|section| {
        ALARM.stop();
        CLOCK.set_alarm(&mut CLOCK.queue.borrow_ref_mut(section));
    });
}
