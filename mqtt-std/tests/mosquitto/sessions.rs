//! What is published while a client is away.

use mqtt_std::{Client, QoS, Status};

use super::support::*;

/// Publishes at QoS 1 and 2 while nobody is there to get it, then once more, and says what comes.
async fn publish_all(publisher: &Client) -> Vec<String> {
    let mut lines = Vec::new();
    for number in 0..10 {
        for (qos, topic) in [(QoS::AtLeastOnce, "t/1"), (QoS::ExactlyOnce, "t/2")] {
            publisher.publish(topic, number.to_string()).qos(qos).await.unwrap();
            lines.push(format!("{topic} {number}"));
        }
    }
    lines
}

#[test]
fn what_was_published_while_the_link_was_cut_arrives_once() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let cable = Cable::to(broker.port()).await;
        let kept = options(cable.port(), version, "subscriber").keep_session();
        let subscriber = Client::connect(kept).await.unwrap();
        let mut stream = subscriber.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
        publisher.publish("t/0", "before").qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(next_line(&mut stream).await, "t/0 before");

        cable.cut();
        status(&subscriber, |status| !is_connected(status)).await;
        let mut lines = publish_all(&publisher).await;
        // Waits for the link as well.
        let receipt = subscriber.publish("t/3", "of its own").qos(QoS::ExactlyOnce).send().await.unwrap();
        cable.mend();
        let connected = status(&subscriber, is_connected).await;
        assert!(matches!(connected, Status::Connected { session_present: true, .. }), "{connected:?}");
        receipt.await.unwrap();
        publisher.publish("t/4", "after").qos(QoS::ExactlyOnce).await.unwrap();

        lines.extend(["t/3 of its own".to_owned(), "t/4 after".to_owned()]);
        for line in lines {
            assert_eq!(next_line(&mut stream).await, line);
        }
        end(subscriber).await;
        end(publisher).await;
        assert_eq!(broker.count_at_end("Received SUBSCRIBE from subscriber"), 1, "nothing is renewed");
    });
}

#[test]
fn a_session_that_is_kept_is_there_for_the_next_process() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let kept = || options(broker.port(), version, "subscriber").keep_session();
        for round in 0..3 {
            let subscriber = Client::connect(kept()).await.unwrap();
            let mut stream = subscriber.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
            if round > 0 {
                for number in 0..10 {
                    assert_eq!(next_line(&mut stream).await, format!("t/1 {number}"));
                    assert_eq!(next_line(&mut stream).await, format!("t/2 {number}"));
                }
            }
            publisher.publish("t/0", "live").qos(QoS::ExactlyOnce).await.unwrap();
            assert_eq!(next_line(&mut stream).await, "t/0 live");
            end(subscriber).await;
            drop(stream);
            publish_all(&publisher).await;
        }
        end(publisher).await;
    });
}

#[test]
fn a_session_that_is_not_kept_ends_with_shutdown() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let first = connect(broker, version, "subscriber").await;
        let _stream = first.subscribe("t/#", QoS::AtLeastOnce).await.unwrap();
        end(first).await;
        publisher.publish("t", "while away").qos(QoS::AtLeastOnce).await.unwrap();
        // It is asked to take up what there is, and there is nothing.
        let second = Client::connect(options(broker.port(), version, "subscriber").keep_session()).await.unwrap();
        let present = status(&second, is_connected).await;
        assert!(matches!(present, Status::Connected { session_present: false, .. }), "{present:?}");
        assert_eq!(second.statistics().received, 0);
        end(second).await;
        end(publisher).await;
    });
}
