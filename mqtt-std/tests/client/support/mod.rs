//! How a test runs, its time, its broker and its peers.

mod clock;
mod dropping;
pub(crate) mod peer;
mod store;
mod unreachable;

use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::mpsc;

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Backoff, Client, Message, Options, ProtocolVersion, Status, Subscription};

pub(crate) use clock::Clock;
pub(crate) use dropping::drop_at_every_await;
pub(crate) use peer::{Link, Peer};
pub(crate) use store::Memory;
pub(crate) use unreachable::{Deaf, Reserved};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const BOTH: [ProtocolVersion; 2] = [V5, V3];

/// A time that does not end within a test.
pub(crate) const LONG: Duration = Duration::from_secs(1_000_000);

/// Runs a test on a runtime of one thread. Whatever its clock does, it fails if it is not over in two minutes, on a busy machine too.
pub(crate) fn run(test: impl AsyncFnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ended = ended; // also if it panics
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    match end.recv_timeout(Duration::from_secs(120)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) | Ok(()) => {}
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

/// Options for a client of the test kit's broker that comes back soon.
pub(crate) fn options(broker: &Broker, version: ProtocolVersion, client_identifier: &str) -> Options {
    let address = broker.address();
    let backoff = Backoff::new().minimum(1).maximum(50);
    Options::new(address.ip().to_string(), address.port())
        .client_identifier(client_identifier)
        .version(version)
        .backoff(backoff)
}

pub(crate) async fn connect(broker: &Broker, version: ProtocolVersion, client_identifier: &str) -> Client {
    Client::connect(options(broker, version, client_identifier)).await.unwrap()
}

/// Ends a client that has nothing left to deliver.
pub(crate) async fn end(client: Client) {
    let end = client.shutdown(LONG).await.unwrap();
    assert_eq!(end.undelivered, 0);
}

/// The next message as text: `topic payload`.
#[track_caller]
pub(crate) fn next(stream: &mut Subscription) -> impl Future<Output = String> {
    let caller = core::panic::Location::caller();
    async move {
        let Some(message) = stream.next().await else { panic!("the client has ended, at {caller}") };
        line(&message)
    }
}

pub(crate) fn line(message: &Message) -> String {
    format!("{} {}", message.topic(), message.payload_str().unwrap())
}

/// Waits for a status and returns it.
pub(crate) async fn status(client: &Client, wanted: impl Fn(&Status) -> bool) -> Status {
    client.status().wait_for(wanted).await.unwrap().clone()
}

pub(crate) fn is_connected(status: &Status) -> bool {
    matches!(status, Status::Connected { .. })
}

pub(crate) fn is_waiting(status: &Status) -> bool {
    matches!(status, Status::Waiting { .. })
}

pub(crate) fn is_closed(status: &Status) -> bool {
    matches!(status, Status::Closed { .. })
}

/// Lets everything else go on until this is so.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// Lets everything else go on for a while; for what must *not* happen.
pub(crate) async fn others() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, without a wish to be woken.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    core::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls so many times, while everything else goes on, then drops; `Some` if it was over before.
pub(crate) async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Poll::Ready(value) = poll(&mut future) {
            return Some(value);
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    None
}
