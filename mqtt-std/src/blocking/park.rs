//! Waiting for a future on any thread: it is parked.

use core::future::{Future, IntoFuture};
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;
use std::time::Instant;

/// When a wait is over; `None`: with the future only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until(Option<Instant>);

impl Until {
    pub(super) const DONE: Self = Self(None);

    /// So far from now. What is further away than the clock can tell does not come.
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }
}

/// Runs a future on this thread; `None`: it is not done in time, and dropped.
pub(super) fn wait<F: IntoFuture>(future: F, until: Until) -> Option<F::Output> {
    // A thread of tokio's lets each task do so much before it must yield, which one that blocks never does.
    let mut future = pin!(tokio::task::unconstrained(future.into_future()));
    let parked = Arc::new(Parked { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        // Others may unpark the thread too.
        while !parked.woken.swap(false, Ordering::Acquire) {
            match until.0 {
                None => std::thread::park(),
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return None,
                    Some(left) => std::thread::park_timeout(left),
                },
            }
        }
    }
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(7));
        assert_eq!(wait(receiver, Until::DONE), Some(Ok(7)));
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        let begun = Instant::now();
        assert_eq!(wait(core::future::pending::<()>(), Until::after(Duration::from_millis(20))), None);
        assert!(begun.elapsed() >= Duration::from_millis(20));
        // Something that is done is done in no time.
        assert_eq!(wait(core::future::ready(7), Until::after(Duration::ZERO)), Some(7));
        assert_eq!(wait(core::future::ready(7), Until::after(Duration::MAX)), Some(7));
    }

    #[test]
    fn others_may_unpark_the_thread() {
        std::thread::current().unpark();
        let mut polls = 0;
        let future = core::future::poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 5 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(wait(future, Until::DONE), Some(5));
    }
}
