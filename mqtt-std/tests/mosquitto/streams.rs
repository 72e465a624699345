//! Streams: whose copy a message is, when it is acknowledged, and how they end.

use mqtt_std::{Acknowledge, Client, Error, Outcome, Overflow, QoS};

use super::support::*;

#[test]
fn a_stream_gets_a_message_once_where_filters_overlap() {
    run(&[V5], Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let mut streams = Vec::new();
        for filter in ["a/#", "a/b", "+/b", "a/+"] {
            streams.push(client.subscribe(filter, QoS::ExactlyOnce).await.unwrap());
        }
        for number in 0..10 {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish("a/b", number.to_string()).qos(qos).await.unwrap();
            }
        }
        client.publish("a/b", "the last").qos(QoS::ExactlyOnce).await.unwrap();
        for stream in &mut streams {
            let mut count = 0;
            while next(stream).await.payload() != b"the last" {
                count += 1;
            }
            assert_eq!(count, 30);
        }
        end(client).await;
    });
}

#[test]
fn the_first_match_gets_a_message_alone() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let options = options(broker.port(), version, "client").first_match();
        let client = Client::connect(options).await.unwrap();
        let mut one = client.subscribe("a/b", QoS::AtLeastOnce).await.unwrap();
        let mut all = client.subscribe("a/#", QoS::AtLeastOnce).await.unwrap();
        client.publish("a/b", "x").qos(QoS::AtLeastOnce).await.unwrap();
        client.publish("a/c", "x").qos(QoS::AtLeastOnce).await.unwrap();
        client.publish("a/b", "the last").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next_line(&mut one).await, "a/b x");
        assert_eq!(next_line(&mut one).await, "a/b the last");
        assert_eq!(next_line(&mut all).await, "a/c x", "nothing of a/b");
        end(client).await;
    });
}

#[test]
fn what_no_hand_acknowledged_comes_again_to_the_next_process() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let kept = || options(broker.port(), version, "worker").keep_session();
        let worker = Mortal::connect(kept()).await;
        let subscribe = worker.client().subscribe("orders", QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand);
        let mut orders = subscribe.await.unwrap();
        for number in 0..6 {
            publisher.publish("orders", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
        }
        let mut taken = Vec::new();
        for _ in 0..6 {
            taken.push(next(&mut orders).await);
        }
        for message in &taken[..3] {
            message.acknowledge().unwrap();
        }
        // Three acknowledgements have left when the answer to something later is here.
        worker.client().publish("done", "").qos(QoS::AtLeastOnce).await.unwrap();
        worker.die().await;
        drop((orders, taken));

        let (worker, run) = Client::new(kept()).unwrap();
        let mut orders = worker.listen("orders").acknowledge(Acknowledge::ByHand).await.unwrap();
        let run = tokio::spawn(run);
        for number in 3..6 {
            let message = next(&mut orders).await;
            assert_eq!((message.payload_str().unwrap(), message.dup()), (number.to_string().as_str(), true));
            message.acknowledge().unwrap();
        }
        publisher.publish("orders", "new").qos(QoS::AtLeastOnce).await.unwrap();
        let message = next(&mut orders).await;
        assert_eq!((message.payload_str().unwrap(), message.dup()), ("new", false));
        message.acknowledge().unwrap();
        end(worker).await;
        run.await.unwrap().unwrap();
        end(publisher).await;
    });
}

#[test]
fn unsubscribing_from_a_kept_session_is_for_good() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let client = Client::connect(options(broker.port(), version, "client").keep_session()).await.unwrap();
        let kept = client.subscribe("kept", QoS::AtLeastOnce).await.unwrap();
        let gone = client.subscribe("gone", QoS::AtLeastOnce).await.unwrap();
        let mut rest = client.listen_unmatched().await.unwrap();
        drop(kept);
        gone.unsubscribe().await.unwrap();
        publisher.publish("gone", "x").qos(QoS::AtLeastOnce).await.unwrap();
        publisher.publish("kept", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next_line(&mut rest).await, "kept x", "dropped, it is still a subscription");
        end(client).await;
        end(publisher).await;
    });
}

#[test]
fn only_the_latest_state_of_each_lamp_is_published_after_an_outage() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let watcher = connect(broker, version, "watcher").await;
        let mut lamps = watcher.subscribe("lamp/+", QoS::AtLeastOnce).await.unwrap();
        let cable = Cable::to(broker.port()).await;
        let options = options(cable.port(), version, "panel").overflow(Overflow::LatestPerTopic);
        let panel = Client::connect(options).await.unwrap();
        cable.cut();
        status(&panel, |status| !is_connected(status)).await;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let mut receipts = Vec::new();
            for state in ["on", "off", "dim"] {
                for lamp in ["lamp/1", "lamp/2"] {
                    receipts.push(panel.publish(lamp, state).qos(qos).send().await.unwrap());
                }
            }
            for receipt in receipts.drain(..4) {
                let outcome = receipt.await;
                assert!(matches!(outcome, Err(Error::NotDelivered(Outcome::NotSent))), "{outcome:?}");
            }
        }
        assert_eq!(panel.statistics().overflowed, 8);
        cable.mend();
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.push(next_line(&mut lamps).await);
        }
        lines.sort();
        assert_eq!(lines, ["lamp/1 dim", "lamp/1 dim", "lamp/2 dim", "lamp/2 dim"]);
        end(panel).await;
        end(watcher).await;
    });
}

#[test]
fn properties_reach_the_other_side() {
    run(&[V5], Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let mut stream = client.subscribe("t", QoS::ExactlyOnce).subscription_identifier(300).await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let publish = client.publish("t", "x").qos(qos).payload_is_text().content_type("text/plain");
            let publish = publish.response_topic("answers").correlation_data(&[0, 255]).message_expiry_interval(100);
            publish.user_property("a", "1").user_property("a", "2").await.unwrap();
            let message = next(&mut stream).await;
            assert!(message.payload_is_text());
            assert_eq!(message.content_type(), Some("text/plain"));
            assert_eq!(message.response_topic(), Some("answers"));
            assert_eq!(message.correlation_data(), Some(&[0, 255][..]));
            assert!(message.message_expiry_interval().is_some_and(|seconds| seconds <= 100));
            assert_eq!(message.user_properties().collect::<Vec<_>>(), [("a", "1"), ("a", "2")]);
            assert_eq!(message.subscription_identifiers().collect::<Vec<_>>(), [300]);
        }
        end(client).await;
    });
}
