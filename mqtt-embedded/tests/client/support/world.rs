//! Virtual time, and an executor that knows when nothing can happen any more.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mqtt_embedded::{Clock, Instant};

/// A clock that moves when everybody waits.
#[derive(Clone, Default)]
pub(crate) struct Time {
    now: Rc<Cell<u64>>,
    sleepers: Rc<RefCell<Vec<(u64, Waker)>>>,
}

impl Clock for Time {
    fn now(&self) -> Instant {
        Instant::from_millis(self.now.get())
    }

    async fn sleep_until(&self, at: Instant) {
        std::future::poll_fn(|cx| {
            if self.now.get() >= at.as_millis() {
                return Poll::Ready(());
            }
            self.sleepers.borrow_mut().push((at.as_millis(), cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Time {
    pub(crate) async fn sleep(&self, milliseconds: u64) {
        self.sleep_until(self.now().plus_millis(milliseconds)).await;
    }

    /// Waits for a future, for so long at most.
    pub(crate) async fn timeout<T>(&self, milliseconds: u64, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut sleep) = (pin!(future), pin!(self.sleep(milliseconds)));
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Jumps to the next sleeper; `false`: there is none.
    fn jump(&self) -> bool {
        let mut sleepers = self.sleepers.borrow_mut();
        let Some(next) = sleepers.iter().map(|(at, _)| *at).min() else { return false };
        self.now.set(self.now.get().max(next));
        for (at, waker) in std::mem::take(&mut *sleepers) {
            if at <= next {
                waker.wake();
            } else {
                sleepers.push((at, waker));
            }
        }
        true
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future together with others in the background.
#[derive(Default)]
pub(crate) struct World<'a> {
    pub(crate) time: Time,
    background: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(time: &Time) -> Self {
        Self { time: time.clone(), background: Vec::new() }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + 'a) {
        self.background.push(Box::pin(task));
    }

    /// Runs until the future ends. Panics when nothing can happen any more, or after five virtual minutes.
    pub(crate) fn run<T>(mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let flags: Vec<_> = (0..=self.background.len()).map(|_| Arc::new(Flag(AtomicBool::new(true)))).collect();
        loop {
            let mut moved = false;
            for (index, flag) in flags.iter().enumerate() {
                if !flag.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                moved = true;
                let waker = Waker::from(Arc::clone(flag));
                let mut cx = Context::from_waker(&waker);
                if index == 0 {
                    if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                        return value;
                    }
                } else if let Some(task) = self.background.get_mut(index - 1) {
                    if task.as_mut().poll(&mut cx).is_ready() {
                        *task = Box::pin(std::future::pending());
                    }
                }
            }
            if !moved {
                assert!(self.time.now.get() < 5 * 60 * 1000, "nothing has come of it in five minutes");
                assert!(self.time.jump(), "everybody waits for ever");
            }
        }
    }
}
