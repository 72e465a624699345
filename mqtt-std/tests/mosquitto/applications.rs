//! Routers, requests, calls that block and one-shots.

use std::sync::{Arc, Mutex};

use mqtt_std::one_shot::{self, Outgoing};
use mqtt_std::{QoS, Router, blocking};
use tokio::time::timeout;

use super::support::*;

#[test]
fn a_handler_is_called_once_for_a_message_that_many_patterns_match() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let called = Arc::new(Mutex::new(Vec::new()));
        let mut router = Router::new();
        for (pattern, qos) in [("a/{b}/c", QoS::AtLeastOnce), ("a/{b..}", QoS::ExactlyOnce), ("#", QoS::AtMostOnce)] {
            let called = Arc::clone(&called);
            router = router.on_sync((pattern, qos), move |_, _| called.lock().unwrap().push(pattern)).unwrap();
        }
        tokio::spawn(router.subscribe(&client).await.unwrap().run());
        // From elsewhere, and the last behind all copies there may be of the first.
        let other = connect(broker, version, "other").await;
        for topic in ["a/x/c", "last"] {
            other.publish(topic, "").qos(QoS::ExactlyOnce).await.unwrap();
        }
        let begun = std::time::Instant::now();
        while called.lock().unwrap().len() < 4 && begun.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
        assert_eq!(*called.lock().unwrap(), ["a/{b}/c", "a/{b..}", "#", "#"]);
        end(other).await;
        end(client).await;
    });
}

#[test]
fn requests_are_answered_across_versions() {
    run(ALL, Config::PLAIN, async |broker, version| {
        for theirs in [version, V5] {
            let responder = connect(broker, theirs, "responder").await;
            let router = Router::new().on_request(("echo/{n}", QoS::ExactlyOnce), |message, captures| async move {
                format!("{} {}", captures.get("n").unwrap_or_default(), message.payload_str().unwrap_or_default())
            });
            tokio::spawn(router.unwrap().subscribe(&responder).await.unwrap().run());
            let client = connect(broker, version, "client").await;
            let requests = client.requests().await.unwrap();
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let answer = requests.request("echo/7", "x").qos(qos).deadline(PATIENCE).await.unwrap();
                assert_eq!((answer.payload_str().unwrap(), answer.qos()), ("7 x", qos));
            }
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn jobs_are_done_and_calls_block() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let at = || options(broker.port(), version, "client");
        let kept = Outgoing::new("kept", "here").qos(QoS::ExactlyOnce).retain();
        one_shot::publish(at(), [kept, Outgoing::new("other", "x")]).timeout(PATIENCE).await.unwrap();
        let messages = one_shot::receive(at(), "kept", QoS::AtLeastOnce).timeout(PATIENCE).await.unwrap();
        assert_eq!(messages[0].payload_str().unwrap(), "here");
        let job = tokio::task::spawn_blocking({
            let options = at();
            move || {
                let client = blocking::Client::connect(options).unwrap();
                let mut stream = client.subscribe("t", QoS::ExactlyOnce).wait().unwrap();
                for number in 0..200 {
                    client.publish("t", number.to_string()).qos(QoS::ExactlyOnce).wait().unwrap();
                    let message = stream.next_timeout(PATIENCE).unwrap().unwrap();
                    assert_eq!(message.payload_str().unwrap(), number.to_string());
                }
                assert_eq!(client.shutdown(PATIENCE).unwrap().undelivered, 0);
            }
        });
        timeout(PATIENCE, job).await.expect("it blocks for ever").unwrap();
    });
}
