//! What is done while there is no connection.

use core::future::Future;
use core::task::{Poll, Waker};
use core::time::Duration;

use tokio::time::Instant;

use super::Driver;

/// See [`Driver::idle`].
enum Idle {
    /// The client is shut down.
    Over,
    /// There is something to do then, if at any time.
    Until(Option<Instant>),
}

impl Driver {
    /// Waits for something that needs no connection; `None`: the client is shut down first, and everything is delivered or
    /// the time for that is over.
    pub(super) async fn unless_shut_down<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = core::pin::pin!(future);
        let mut sleep = core::pin::pin!(tokio::time::sleep(Duration::ZERO));
        core::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(value) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                let deadline = match self.idle(cx.waker()) {
                    Idle::Over => return Poll::Ready(None),
                    Idle::Until(None) => return Poll::Pending,
                    Idle::Until(Some(deadline)) => deadline,
                };
                if sleep.deadline() != deadline {
                    sleep.as_mut().reset(deadline);
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// What is to be done without a connection: messages expire, and the client may be shut down.
    fn idle(&self, waker: &Waker) -> Idle {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.set_driver(waker);
        let load = state.load();
        state.expire(now);
        if state.durable.is_some() {
            state.unstall(now);
            state.hand_over_recorded(now);
            state.acknowledge_taken(now);
        }
        state.resolve_outcomes();
        let lighter = state.load().is_lighter_than(load);
        let (shutdown, drained) = (state.shutdown, state.is_drained());
        let expiry = state.next_expiry().map(|at| self.shared.at(at));
        drop(state);
        if lighter {
            self.shared.room_was_made();
        }
        if shutdown.is_some_and(|deadline| drained || Instant::now() >= deadline) {
            return Idle::Over;
        }
        Idle::Until(shutdown.into_iter().chain(expiry).min())
    }
}
