//! Futures that are dropped wherever they wait.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

/// Polls a future so many times, each time it is woken, and drops it.
pub(crate) struct Cut {
    polls: usize,
    over: bool,
}

impl Cut {
    /// What the future gives, if it is over before it is dropped.
    pub(crate) async fn run<T>(&mut self, future: impl IntoFuture<Output = T>) -> Option<T> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut future = pin!(future.into_future());
        for _ in 0..self.polls {
            while !woken.0.swap(false, Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.over = true;
                return Some(value);
            }
        }
        None
    }
}

impl Cut {
    /// Whether it is polled at all.
    pub(crate) const fn polls(&self) -> bool {
        self.polls > 0
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does a round with a cut at the first wait, at the second and so on, until what is cut is over by itself. Whatever a round
/// says of it holds for each of them. Returns how many rounds there were.
pub(crate) async fn drop_at_every_await(mut round: impl AsyncFnMut(&mut Cut)) -> usize {
    for polls in 0..500 {
        let mut cut = Cut { polls, over: false };
        round(&mut cut).await;
        if cut.over {
            return polls;
        }
    }
    panic!("it is never over");
}
