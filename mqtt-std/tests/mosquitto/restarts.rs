//! The broker goes away and comes back.

use std::collections::BTreeMap;

use mqtt_std::{Client, Delivered, Error, Outcome, ProtocolVersion, QoS, Receipt, Status, Subscription};

use super::support::*;

/// A subscriber to everything below `t`, and a publisher with messages under way when the broker stops.
struct Scene {
    subscriber: Client,
    publisher: Client,
    stream: Subscription,
    receipts: Vec<(String, Receipt)>,
}

impl Scene {
    async fn set(broker: &mut Mosquitto, version: ProtocolVersion, keep: bool) -> Self {
        let options = |name| {
            let options = options(broker.port(), version, name);
            if keep { options.keep_session() } else { options }
        };
        let subscriber = Client::connect(options("subscriber")).await.unwrap();
        let publisher = Client::connect(options("publisher")).await.unwrap();
        let stream = subscriber.subscribe("t/+", QoS::ExactlyOnce).await.unwrap();
        let mut scene = Self { subscriber, publisher, stream, receipts: Vec::new() };
        scene.publish("before").await;
        // Some are delivered, some are under way, some are not sent.
        next(&mut scene.stream).await;
        broker.stop();
        scene.publish("while away").await;
        status(&scene.subscriber, |status| !is_connected(status)).await;
        broker.resume();
        scene
    }

    async fn publish(&mut self, when: &str) {
        for number in 0..40 {
            for (topic, qos) in [("t/1", QoS::AtLeastOnce), ("t/2", QoS::ExactlyOnce)] {
                let payload = format!("{when} {number}");
                let receipt = self.publisher.publish(topic, payload.clone()).qos(qos).send().await.unwrap();
                self.receipts.push((format!("{topic} {payload}"), receipt));
            }
        }
    }

    /// What became of each message, in their order.
    async fn outcomes(&mut self) -> Vec<(String, Result<Delivered, Error>)> {
        let mut outcomes = Vec::new();
        for (line, receipt) in self.receipts.drain(..) {
            let outcome = tokio::time::timeout(PATIENCE, receipt).await.expect("a receipt does not resolve");
            outcomes.push((line, outcome));
        }
        outcomes
    }

    /// How often each message came, until one that is published last.
    async fn received(&mut self) -> BTreeMap<String, u32> {
        let mut received = BTreeMap::new();
        self.publisher.publish("t/3", "last").qos(QoS::ExactlyOnce).await.unwrap();
        loop {
            let line = next_line(&mut self.stream).await;
            if line == "t/3 last" {
                return received;
            }
            *received.entry(line).or_insert(0) += 1;
        }
    }
}

#[test]
fn a_broker_that_kept_the_sessions_loses_and_repeats_nothing() {
    run(BOTH, Config::PERSISTENT, async |broker, version| {
        let mut scene = Scene::set(broker, version, true).await;
        for client in [&scene.subscriber, &scene.publisher] {
            let present = status(client, is_connected).await;
            assert!(matches!(present, Status::Connected { session_present: true, .. }), "{present:?}");
        }
        let outcomes = scene.outcomes().await;
        let received = scene.received().await;
        for (line, outcome) in outcomes {
            assert!(matches!(outcome, Ok(Delivered::Acknowledged(_))), "{line}: {outcome:?}");
            if line == "t/1 before 0" {
                continue; // was taken at first
            }
            let copies = received.get(&line).copied().unwrap_or(0);
            // trap Q7
            assert!(copies == 1 || copies > 1 && line.starts_with("t/1"), "{line} came {copies} times");
        }
        end(scene.publisher).await;
        end(scene.subscriber).await;
        assert_eq!(broker.count_at_end("Received SUBSCRIBE"), 0, "nothing is renewed");
    });
}

#[test]
fn subscriptions_are_renewed_when_the_broker_lost_the_sessions() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let mut scene = Scene::set(broker, version, false).await;
        for client in [&scene.subscriber, &scene.publisher] {
            let present = status(client, is_connected).await;
            assert!(matches!(present, Status::Connected { session_present: false, .. }), "{present:?}");
        }
        broker.wait_for("Sending SUBACK to subscriber");
        // trap S1
        for (line, outcome) in scene.outcomes().await {
            match outcome {
                Ok(Delivered::Acknowledged(_)) => {}
                // Published, and the broker has forgotten what it knew of it.
                Err(Error::NotDelivered(Outcome::Unknown)) if line.starts_with("t/2") => {}
                other => panic!("{line}: {other:?}"),
            }
        }
        for (line, copies) in scene.received().await {
            assert!(copies == 1 || line.starts_with("t/1"), "{line} came {copies} times");
        }
        end(scene.publisher).await;
        end(scene.subscriber).await;
        // trap S9
        assert_eq!(broker.count_at_end("Received SUBSCRIBE from subscriber"), 1);
    });
}
