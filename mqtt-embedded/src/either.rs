//! Two futures, of which the one that ends first counts.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// What ended first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Polls both until one ends, the first one first.
pub(crate) async fn either<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
