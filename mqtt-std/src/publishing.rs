//! What `.await` on a publish waits for.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::error::Error;
use crate::publish::{Delivered, Publish, Receipt};

/// The future of a [`Publish`]: the message is accepted, then delivered. While there is room it allocates nothing.
#[must_use = "nothing is published before it is awaited"]
pub struct Publishing<'a>(Way<'a>);

enum Way<'a> {
    Begins(Publish<'a>),
    /// For room, or for the store.
    Waits(Pin<Box<dyn Future<Output = Result<Receipt, Error>> + Send + 'a>>),
    Accepted(Receipt),
    Over,
}

impl<'a> Publishing<'a> {
    pub(crate) const fn new(publish: Publish<'a>) -> Self {
        Self(Way::Begins(publish))
    }
}

impl<'a> Way<'a> {
    fn begin(publish: Publish<'a>) -> Result<Self, Error> {
        Ok(match publish.send_now()? {
            Some((receipt, None)) => Self::Accepted(receipt),
            Some((receipt, Some(recorded))) => Self::Waits(Box::pin(async move {
                recorded.await.map_err(|_| Error::Closed)??;
                Ok(receipt)
            })),
            None => Self::Waits(Box::pin(publish.send())),
        })
    }
}

impl Future for Publishing<'_> {
    type Output = Result<Delivered, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let way = &mut self.get_mut().0;
        loop {
            *way = match core::mem::replace(way, Way::Over) {
                Way::Begins(publish) => Way::begin(publish)?,
                Way::Waits(mut accepted) => match accepted.as_mut().poll(cx) {
                    Poll::Ready(accepted) => Way::Accepted(accepted?),
                    Poll::Pending => {
                        *way = Way::Waits(accepted);
                        return Poll::Pending;
                    }
                },
                Way::Accepted(mut receipt) => {
                    let delivered = Pin::new(&mut receipt).poll(cx);
                    if delivered.is_pending() {
                        *way = Way::Accepted(receipt);
                    }
                    return Poll::Ready(ready!(delivered));
                }
                Way::Over => return Poll::Ready(Err(Error::Closed)), // asked again
            };
        }
    }
}

impl fmt::Debug for Publishing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publishing").finish_non_exhaustive()
    }
}
