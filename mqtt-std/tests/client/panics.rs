//! The application's code panics where the client runs it: that is its own affair.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

use mqtt_core::AckKind;
use mqtt_std::{Backoff, Cause, Client, QoS, ReasonCode, Status};

use super::support::*;

/// A waker that panics, and counts.
#[derive(Default)]
struct Bomb(AtomicUsize);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    }
}

fn poll_with_bomb<F: Future + Unpin>(future: &mut F, bomb: &Arc<Bomb>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bomb));
    core::pin::Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn a_waker_that_panics_takes_nobody_with_it() {
    run(async || {
        for version in BOTH {
            let (peer, bomb) = (Peer::new(version).await, Arc::new(Bomb::default()));
            let (client, mut link) = peer.connect(peer.options().queue(1).in_flight(3)).await;
            let (stream, _) = tokio::join!(client.subscribe("in", QoS::AtLeastOnce).into_future(), link.grant("in q1"));
            let mut stream = stream.unwrap();

            // An outcome, and another one behind it.
            let mut bad = client.publish("t", "1").qos(QoS::AtLeastOnce).send().await.unwrap();
            let good = client.publish("t", "2").qos(QoS::AtLeastOnce).send().await.unwrap();
            assert!(poll_with_bomb(&mut bad, &bomb).is_pending());
            for _ in 0..2 {
                let line = link.receive().await;
                link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await;
            }
            good.await.unwrap();
            assert!(poll(&mut bad).is_ready());

            // A message, and the next one.
            let mut next = Box::pin(stream.next());
            assert!(poll_with_bomb(&mut next, &bomb).is_pending());
            link.publish("in", QoS::AtLeastOnce, 7, "x").await;
            link.expect("PUBACK #7").await;
            drop(next);
            assert_eq!(super::support::next(&mut stream).await, "in x");

            // Room, for two that wait.
            let mut waiting = Vec::new();
            for _ in 0..3 {
                drop(client.publish("t", "3").qos(QoS::AtLeastOnce).send().await.unwrap());
            }
            for _ in 0..2 {
                waiting.push(Box::pin(client.publish("t", "4").qos(QoS::AtLeastOnce).send()));
            }
            assert!(poll_with_bomb(&mut waiting[0], &bomb).is_pending());
            assert!(poll(&mut waiting[1]).is_pending());
            for _ in 0..3 {
                let line = link.receive().await;
                link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await;
            }
            until(|| bomb.0.load(Ordering::Relaxed) >= 3).await;
            let second = waiting.pop().unwrap();
            assert!(poll(&mut waiting[0]).is_ready());
            second.await.unwrap();

            // A change of the status.
            let mut watch = client.status();
            watch.borrow_and_update();
            let mut changed = Box::pin(watch.changed());
            assert!(poll_with_bomb(&mut changed, &bomb).is_pending());
            drop(link);
            let mut link = peer.welcome(false).await;
            assert!(link.receive().await.starts_with("SUBSCRIBE"));
            drop(changed);
            status(&client, is_connected).await;

            // The end.
            let mut ended = Box::pin(client.shutdown(core::time::Duration::ZERO));
            let before = bomb.0.load(Ordering::Relaxed);
            assert!(poll_with_bomb(&mut ended, &bomb).is_pending());
            assert!(stream.next().await.is_none());
            until(|| bomb.0.load(Ordering::Relaxed) > before).await;
            assert!(poll(&mut ended).is_ready());
        }
    });
}

#[test]
fn a_connector_that_panics_fails_the_attempt() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (port, count) = (peer.port(), Arc::new(AtomicUsize::new(0)));
        let options = peer.options().connector(move |_| {
            let attempt = count.fetch_add(1, Ordering::Relaxed);
            assert_ne!(attempt, 0, "on purpose");
            async move {
                assert_ne!(attempt, 1, "on purpose");
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await
            }
        });
        let client = Client::connect_retrying(options.backoff(Backoff::new().minimum(100))).unwrap();
        for expected in 1..=2 {
            let failed = |status: &Status| matches!(status, Status::Waiting { attempt, .. } if *attempt == expected);
            let waiting = status(&client, failed).await;
            let Status::Waiting { error: Cause::Transport(error), .. } = waiting else { panic!("{waiting:?}") };
            assert_eq!(error.to_string(), "panicked");
        }
        let _link = peer.welcome(false).await;
        status(&client, is_connected).await;
    });
}

#[test]
fn a_waker_that_panics_does_not_stop_the_next_connection() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, link) = peer.connect(peer.options().in_flight(1)).await;
        drop(client.publish("t", "1").qos(QoS::AtLeastOnce).send().await.unwrap());
        let mut waiting = Box::pin(client.publish("t", "2").qos(QoS::AtLeastOnce).send());
        assert!(poll_with_bomb(&mut waiting, &Arc::default()).is_pending());
        others().await;
        drop(link);
        let mut link = peer.welcome(true).await;
        let line = link.receive().await;
        assert!(line.starts_with("PUBLISH"), "{line}");
        link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await;
        status(&client, is_connected).await;
    });
}

/// A waker that comes back to its client when it is dropped.
struct Touch(Client);

impl Wake for Touch {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Touch {
    fn drop(&mut self) {
        let _ = self.0.statistics();
    }
}

#[test]
fn a_waker_that_is_dropped_may_come_back() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, driver) = Client::new(peer.options()).unwrap();
        let mut driver = Box::pin(driver);
        let mut stream = client.listen("t").await.unwrap();
        let mut next = Box::pin(stream.next());
        for _ in 0..3 {
            let waker = Waker::from(Arc::new(Touch(client.clone())));
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert!(driver.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    });
}
