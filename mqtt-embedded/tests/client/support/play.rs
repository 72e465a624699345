//! A client, a Server and an application, played to the end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::{Backoff, Capacities, ConnectOptions, Options, ProtocolVersion, Resources, Runner};

use super::{Dice, Time, Wire, World};

pub(crate) const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1];

/// What most clients have: a tenth of a second between two attempts.
pub(crate) fn options(version: ProtocolVersion) -> Options<'static> {
    Options::new(ConnectOptions::new("pump-7").version(version).keep_alive(30))
        .backoff(Backoff::new().minimum(100).maximum(100))
}

/// A client, a Server's side, and what an application does, until that is done.
pub(crate) fn play<'a, P: Capacities, T>(
    resources: &'a Resources<NoopRawMutex, Time, P>,
    options: Options<'a>,
    wire: &Wire,
    server: impl Future<Output = ()> + 'a,
    application: impl Future<Output = T>,
) -> T {
    play_in([256, 256], resources, options, wire, server, application)
}

/// As [`play`], with buffers of so many bytes for what is received and what is transmitted.
pub(crate) fn play_in<'a, P: Capacities, T>(
    [receive, transmit]: [usize; 2],
    resources: &'a Resources<NoopRawMutex, Time, P>,
    options: Options<'a>,
    wire: &Wire,
    server: impl Future<Output = ()> + 'a,
    application: impl Future<Output = T>,
) -> T {
    let mut world = World::new(resources.clock());
    let mut connector = wire.clone();
    world.spawn(async move {
        let (mut receive, mut transmit) = (vec![0; receive], vec![0; transmit]);
        let mut runner = Runner::new(resources, &mut receive, &mut transmit);
        let _ = runner.run(&mut connector, &options, &mut Dice).await;
    });
    world.spawn(server);
    world.run(application)
}

/// Polls a future some times, then drops it; `None`: that was before its end.
pub(crate) async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Waits for two futures at once.
pub(crate) async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none() {
            if let Poll::Ready(value) = a.as_mut().poll(cx) {
                first = Some(value);
            }
        }
        if second.is_none() {
            if let Poll::Ready(value) = b.as_mut().poll(cx) {
                second = Some(value);
            }
        }
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (first.unwrap(), second.unwrap())
}
