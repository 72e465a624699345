//! The clock as `embassy-time` wants it, in microseconds.

use core::task::Waker;

use embassy_time_driver::Driver;

use crate::World;

struct Clock;

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

const PER_MILLISECOND: u64 = embassy_time_driver::TICK_HZ / 1_000;

impl Driver for Clock {
    fn now(&self) -> u64 {
        World.now() * PER_MILLISECOND
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        World.wake_at(at.div_ceil(PER_MILLISECOND), waker);
    }
}
