//! Code of the application that this crate runs: a panic of it is an answer like another.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::catch_unwind;

/// Code of the application has panicked; the panic was reported where it happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("panicked")
    }
}

impl core::error::Error for Panicked {}

/// Runs it. What it leaves half done is not looked at again.
pub(crate) fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| {
        // A value that panics when it is dropped would get out.
        core::mem::forget(panic);
        Panicked
    })
}

/// A future of the application's.
pub(crate) struct Contained<F>(Option<F>);

impl<F: Future + Unpin> Contained<F> {
    pub(crate) const fn new(future: F) -> Self {
        Self(Some(future))
    }
}

impl<F: Future + Unpin> Future for Contained<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Ready(Err(Panicked)) };
        match contain(|| Pin::new(future).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl<F> Drop for Contained<F> {
    fn drop(&mut self) {
        let future = self.0.take();
        let _ = contain(|| drop(future));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb(&'static str);

    impl Future for Bomb {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            assert_ne!(self.0, "poll");
            Poll::Pending
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            assert_ne!(self.0, "drop");
        }
    }

    #[test]
    fn a_panic_in_a_call_a_poll_and_a_drop_stays_inside() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(contain(|| panic!("7")), Err::<(), _>(Panicked));
        for (when, answer) in [("poll", Poll::Ready(Err(Panicked))), ("drop", Poll::Pending)] {
            let mut future = Contained::new(Bomb(when));
            let cx = &mut Context::from_waker(core::task::Waker::noop());
            assert_eq!(Pin::new(&mut future).poll(cx), answer);
            drop(future);
        }
    }
}
