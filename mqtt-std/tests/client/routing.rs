//! Handlers by filter.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use mqtt_std::{Client, Error, InvalidPatternReason, Options, QoS, Router};
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
