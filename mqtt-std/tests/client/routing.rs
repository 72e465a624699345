//! Handlers by filter.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use mqtt_std::{Client, Error, InvalidPatternReason, OnFailure, Options, QoS, Router};
use tokio::sync::{mpsc, oneshot};

use super::support::*;

/// All bounds are 1, and nothing may wait for the time to pass.
fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

/// Runs a router on a task, and returns once it has subscribed.
async fn start(router: Router, client: &Client) -> Router {
    tokio::spawn(router.subscribe(client).await.unwrap().run());
    router
}

/// A place for lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn push(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    async fn are(&self, expected: &[&str]) {
        until(|| self.0.lock().unwrap().len() >= expected.len()).await;
        assert_eq!(*self.0.lock().unwrap(), expected);
    }
}

#[test]
fn handlers_get_what_their_patterns_capture() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let client = connect(&broker, version, "client").await;
            let lines = Lines::default();
            let (one, two, three) = (lines.clone(), lines.clone(), lines.clone());
            let router = Router::new()
                .on("cellar/{name}/cmd", move |message, captures| {
                    let one = one.clone();
                    async move { one.push(format!("one {} {}", captures.get("name").unwrap(), line(&message))) }
                })
                .unwrap()
                .on_sync(("cellar/{rest..}", QoS::ExactlyOnce), move |message, captures| {
                    two.push(format!("two {:?} {:?}", captures.get("rest"), message.qos()));
                })
                .unwrap()
                .on_sync("+/{b}/{{c}}", move |_, captures| {
                    three.push(format!("three {:?} {:?}", captures.nth(0), captures.get("b")));
                })
                .unwrap();
            let router = start(router, &client).await;
            for topic in ["cellar/lamp/cmd", "cellar", "attic/x/{c}"] {
                client.publish(topic, "on").qos(QoS::ExactlyOnce).await.unwrap();
            }
            let first = ["one lamp cellar/lamp/cmd on", "two Some(\"lamp/cmd\") ExactlyOnce"];
            lines.are(&[&first[..], &["two None ExactlyOnce", "three Some(\"attic\") Some(\"x\")"]].concat()).await;
            assert_eq!(router.statistics().handled, 4);
            end(client).await;
        }
    });
}

#[test]
fn with_first_match_the_first_handler_alone_is_called() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let lines = Lines::default();
        let mut router = Router::new().first_match();
        for pattern in ["a/b", "a/{x}", "{all..}"] {
            let lines = lines.clone();
            router =
                router.on_sync(pattern, move |message, _| lines.push(format!("{pattern} {}", line(&message)))).unwrap();
        }
        start(router, &client).await;
        for topic in ["a/c", "a/b", "c"] {
            client.publish(topic, "").qos(QoS::AtLeastOnce).await.unwrap();
        }
        lines.are(&["a/{x} a/c ", "a/b a/b ", "{all..} c "]).await;
        end(client).await;
    });
}

#[test]
fn a_pattern_is_checked_when_it_is_added() {
    let error = Router::new().on_sync("a/{b}x", |_, _| {}).unwrap_err();
    assert_eq!((error.position, error.reason), (2, InvalidPatternReason::NotAWholeLevel));
    assert_eq!(error.to_string(), "pattern at byte 2: a name in braces fills a level alone");
}

#[test]
fn a_handler_that_fails_or_panics_stops_no_other() {
    run(async || {
        let broker = broker().await;
        for concurrency in [1, 4] {
            let client = connect(&broker, V5, "client").await;
            let lines = Lines::default();
            let last = lines.clone();
            let router = Router::new()
                .concurrency(concurrency)
                .on("t", |message, _| async move { assert!(message.topic().is_empty(), "on purpose, in a handler") })
                .unwrap()
                .on_sync("t", |message, _| assert!(message.topic().is_empty(), "on purpose"))
                .unwrap()
                .on("t", |_, _| async {
                    tokio::task::yield_now().await;
                    Err("on purpose")
                })
                .unwrap()
                .on_sync("t", |message, _| message.payload_str().map(drop))
                .unwrap()
                .on_sync("t", move |_, _| last.push("last"))
                .unwrap();
            let router = start(router, &client).await;
            client.publish("t", "text").qos(QoS::AtLeastOnce).await.unwrap();
            client.publish("t", vec![0xff]).qos(QoS::AtLeastOnce).await.unwrap();
            lines.are(&["last", "last"]).await;
            until(|| router.statistics().handled == 3).await;
            let statistics = router.statistics();
            assert_eq!((statistics.failed, statistics.panicked, statistics.unmatched), (3, 4, 0));
            end(client).await;
        }
    });
}

#[test]
fn a_handler_may_publish_when_every_capacity_is_one() {
    // traps C3, C4
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            for concurrency in [1, 3] {
                let client = Client::connect(tight(options(&broker, version, "client"))).await.unwrap();
                let outside = connect(&broker, version, "outside").await;
                let mut forwarded = outside.subscribe("out/#", QoS::ExactlyOnce).await.unwrap();
                let publisher = client.clone();
                let router = Router::new().concurrency(concurrency).on(
                    ("in/{n}", QoS::ExactlyOnce),
                    move |message, captures| {
                        let publisher = publisher.clone();
                        async move {
                            let topic = format!("out/{}", captures.get("n").unwrap());
                            publisher.publish(topic, message.payload_bytes()).qos(QoS::ExactlyOnce).await.map(drop)
                        }
                    },
                );
                start(router.unwrap(), &client).await;
                for number in 0..50 {
                    drop(outside.publish(format!("in/{number}"), "x").qos(QoS::ExactlyOnce).send().await.unwrap());
                }
                let mut received = Vec::new();
                for _ in 0..50 {
                    received.push(next(&mut forwarded).await);
                }
                if concurrency > 1 {
                    received.sort_by_key(|line| (line.len(), line.clone()));
                }
                let expected: Vec<_> = (0..50).map(|number| format!("out/{number} x")).collect();
                assert_eq!(received, expected, "{version:?} {concurrency}");
                drop(forwarded);
                end(client).await;
                end(outside).await;
            }
        }
    });
}

#[test]
fn so_many_handlers_run_at_once_and_no_more() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let (began, mut begun) = mpsc::unbounded_channel();
        let router = Router::new().concurrency(3).on("{n}", move |_, _| {
            let (finish, finished) = oneshot::channel::<()>();
            began.send(finish).unwrap();
            async move { drop(finished.await) }
        });
        let router = start(router.unwrap(), &client).await;
        for number in 0..10 {
            client.publish(number.to_string(), "").qos(QoS::AtLeastOnce).await.unwrap();
        }
        let mut running = Vec::new();
        for _ in 0..3 {
            running.push(begun.recv().await.unwrap());
        }
        others().await;
        assert!(begun.try_recv().is_err(), "a fourth handler runs");
        drop(running.pop());
        running.push(begun.recv().await.unwrap());
        others().await;
        assert!(begun.try_recv().is_err());
        assert_eq!(router.statistics().handled, 1);
        end(client).await;
    });
}

#[test]
fn a_router_ends_with_its_client_and_unsubscribes_when_dropped() {
    run(async || {
        let broker = broker().await;
        for concurrency in [1, 2] {
            let client = connect(&broker, V5, "client").await;
            let (began, mut begun) = mpsc::unbounded_channel();
            let router = Router::new().concurrency(concurrency).on("{n}", move |_, _| {
                let alive = began.clone();
                alive.send(()).unwrap();
                async move {
                    core::future::pending::<()>().await;
                    drop(alive);
                }
            });
            let router = router.unwrap();
            {
                let mut running = Box::pin(router.run(&client));
                until(|| poll(&mut running).is_pending() && broker.statistics().subscriptions == 1).await;
                client.publish("x", "").qos(QoS::AtLeastOnce).await.unwrap();
                until(|| poll(&mut running).is_pending() && !begun.is_empty()).await;
            }
            until(|| broker.statistics().subscriptions == 0).await;
            drop(router);
            while begun.recv().await.is_some() {} // no handler holds its end any more
            let idle = Router::new().on_sync("x", |_, _| {}).unwrap();
            let routing = idle.subscribe(&client).await.unwrap();
            tokio::join!(routing.run(), async { client.shutdown(Duration::ZERO).await.unwrap() });
            assert!(matches!(idle.run(&client).await, Err(Error::Closed)));
        }
    });
}

#[test]
fn a_run_that_is_dropped_at_any_await_leaves_nothing_behind() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let client = Client::connect(tight(options(&broker, version, "client"))).await.unwrap();
            let router = Router::new().on("a/{n}", |_, _| async {}).unwrap().on_sync("b", |_, _| {}).unwrap();
            for polls in 0..8 {
                assert!(drop_after(polls, router.run(&client)).await.is_none());
                until(|| broker.statistics().subscriptions == 0).await;
            }
            end(client).await;
        }
    });
}

#[test]
fn a_message_is_acknowledged_when_its_handler_has_ended_well() {
    run(async || {
        for (version, on_failure, failed) in [
            (V5, OnFailure::Reject, "PUBACK #2 83"),
            (V3, OnFailure::Reject, "PUBACK #2"),
            (V5, OnFailure::Keep, ""),
            (V3, OnFailure::Keep, ""),
        ] {
            for concurrency in [1, 3] {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(peer.options()).await;
                let (began, mut begun) = mpsc::unbounded_channel();
                let router = Router::new()
                    .acknowledge_handled(on_failure)
                    .concurrency(concurrency)
                    .on("in", move |_, _| {
                        let (finish, finished) = oneshot::channel();
                        began.send(finish).unwrap();
                        async move { if finished.await.unwrap_or(false) { Ok(()) } else { Err("on purpose") } }
                    })
                    .unwrap();
                let (routing, _) = tokio::join!(router.subscribe(&client), link.grant("in q1"));
                let running = tokio::spawn(routing.unwrap().run());
                for number in 1..=4 {
                    link.publish("in", QoS::AtLeastOnce, number, "x").await;
                }
                let first = begun.recv().await.unwrap();
                others().await;
                link.expect_nothing();
                first.send(true).unwrap();
                link.expect("PUBACK #1").await;
                begun.recv().await.unwrap().send(false).unwrap();
                if on_failure == OnFailure::Reject {
                    link.expect(failed).await;
                }
                begun.recv().await.unwrap().send(true).unwrap();
                if on_failure == OnFailure::Reject {
                    link.expect("PUBACK #3").await;
                } else {
                    others().await;
                    link.expect_nothing();
                }
                // The fourth is not handled to its end.
                let last = begun.recv().await.unwrap();
                assert_eq!((router.statistics().handled, router.statistics().failed), (2, 1));
                running.abort();
                assert!(running.await.unwrap_err().is_cancelled());
                let lines = link.receive().await;
                assert!(lines.starts_with("UNSUBSCRIBE"), "{lines}");
                drop(last);
                others().await;
                link.expect_nothing();
            }
        }
    });
}

#[test]
fn what_no_pattern_matches_falls_back() {
    run(async || {
        for acknowledged in [false, true] {
            let peer = Peer::new(V5).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let lines = Lines::default();
            let (matched, fallen) = (lines.clone(), lines.clone());
            let mut router = Router::new()
                .on_sync("a/{x}", move |message, _| matched.push(line(&message)))
                .unwrap()
                .fallback(move |message, captures| {
                    assert_eq!(captures.iter().count(), 0);
                    let fallen = fallen.clone();
                    async move { fallen.push(format!("else {}", line(&message))) }
                });
            if acknowledged {
                router = router.acknowledge_handled(OnFailure::Reject);
            }
            let (routing, _) = tokio::join!(router.subscribe(&client), link.grant("a/+ q1"));
            tokio::spawn(routing.unwrap().run());
            for (number, topic) in [(1, "b"), (2, "a/x"), (3, "c")] {
                link.publish(topic, QoS::AtLeastOnce, number, "").await;
                link.expect(&format!("PUBACK #{number}")).await;
            }
            lines.are(&["else b ", "a/x ", "else c "]).await;
            assert_eq!((router.statistics().unmatched, router.statistics().handled), (2, 3));
        }
        // Nothing but that is a router too, and nothing at all is one that ends.
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        Router::new().run(&client).await.unwrap();
        let routing = Router::new().fallback(|_, _| async {}).subscribe(&client).await.unwrap();
        let (_, ()) = tokio::join!(client.shutdown(Duration::ZERO), routing.run());
    });
}

#[test]
fn a_message_whose_handler_outlives_the_connection_comes_again() {
    // trap C5
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let (began, mut begun) = mpsc::unbounded_channel();
            let router = Router::new().acknowledge_handled(OnFailure::Reject).on("in", move |message, _| {
                let (finish, finished) = oneshot::channel::<()>();
                began.send((message.dup(), finish)).unwrap();
                async move { drop(finished.await) }
            });
            let router = router.unwrap();
            let (routing, _) = tokio::join!(router.subscribe(&client), link.grant("in q1"));
            tokio::spawn(routing.unwrap().run());
            link.publish("in", QoS::AtLeastOnce, 1, "x").await;
            let (dup, finish) = begun.recv().await.unwrap();
            assert!(!dup);
            drop(link);
            let mut link = peer.welcome(version == V5).await;
            if version == V3 {
                link.grant("in q1").await;
            }
            link.publish_again("in", QoS::AtLeastOnce, 1, "x").await;
            until(|| client.statistics().received == 2).await;
            drop(finish);
            let (dup, finish) = begun.recv().await.unwrap();
            assert!(dup);
            others().await;
            link.expect_nothing();
            drop(finish);
            link.expect("PUBACK #1").await;
            assert_eq!(router.statistics().handled, 2);
        }
    });
}

#[test]
fn the_subscription_of_a_router_has_options() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let other = connect(&broker, V5, "other").await;
        let lines = Lines::default();
        let called = lines.clone();
        let router = Router::new()
            .subscribe_with(|subscribe| subscribe.no_local())
            .on_sync("t", move |message, _| called.push(line(&message)))
            .unwrap();
        start(router, &client).await;
        client.publish("t", "own").qos(QoS::AtLeastOnce).await.unwrap();
        other.publish("t", "other").qos(QoS::AtLeastOnce).await.unwrap();
        lines.are(&["t other"]).await;
        end(client).await;
        end(other).await;
    });
}
