//! Sessions in a file, and programs and brokers that die. The chaos example has the same with SIGKILL.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mqtt_std::{Acknowledge, Client, Delivered, Options, QoS};

use super::support::*;

/// A directory that is gone with this.
struct Directory(PathBuf);

impl Directory {
    fn new(broker: &Mosquitto, name: &str) -> Self {
        let unique = format!("mqtt-std-durable-{}-{}-{name}", std::process::id(), broker.port());
        Self(std::env::temp_dir().join(unique))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_accepted_arrives_once_whoever_dies() {
    run(BOTH, Config::PERSISTENT, async |broker, version| {
        let (out, into) = (Directory::new(broker, "out"), Directory::new(broker, "in"));
        let subscriber =
            |broker: &Mosquitto| -> Options { options(broker.port(), version, "subscriber").file_store(&into.0) };
        let publisher =
            |broker: &Mosquitto| -> Options { options(broker.port(), version, "publisher").file_store(&out.0) };
        let reader = Mortal::connect(subscriber(broker)).await;
        let by_hand = |client: &Client| {
            let client = client.clone();
            async move { client.subscribe("t/+", QoS::ExactlyOnce).acknowledge(Acknowledge::ByHand).await.unwrap() }
        };
        let mut stream = by_hand(reader.client()).await;
        let writer = Mortal::connect(publisher(broker)).await;
        for number in 0..50 {
            writer.client().publish("t/1", number.to_string()).qos(QoS::ExactlyOnce).send().await.unwrap();
        }
        // The reader takes some, and says so of some of them; then all die.
        let mut committed = BTreeMap::new();
        for number in 0..10 {
            let message = next(&mut stream).await;
            committed.insert(message.delivery_number().unwrap(), message.payload_str().unwrap().to_owned());
            if number < 5 {
                message.acknowledge().unwrap();
            }
        }
        writer.die().await;
        reader.die().await;
        drop(stream);
        broker.stop();
        broker.resume();

        let writer = Client::connect_retrying(publisher(broker)).unwrap();
        let (reader, driver) = Client::new(subscriber(broker)).unwrap();
        let mut stream = reader.listen("t/+").acknowledge(Acknowledge::ByHand).send().await.unwrap();
        tokio::spawn(driver);
        let last = writer.publish("t/1", "last").qos(QoS::ExactlyOnce).await.unwrap();
        assert!(matches!(last, Delivered::Acknowledged(_)));
        let mut redelivered = 0;
        loop {
            let message = next(&mut stream).await;
            let (number, payload) = (message.delivery_number().unwrap(), message.payload_str().unwrap().to_owned());
            redelivered += u32::from(message.redelivered());
            message.acknowledge().unwrap();
            let is_last = payload == "last";
            if let Some(before) = committed.insert(number, payload.clone()) {
                assert_eq!(before, payload, "the same number is the same message");
                assert!(message.redelivered());
            }
            if is_last {
                break;
            }
        }
        assert!(redelivered >= 5, "{redelivered}");
        let mut payloads: Vec<_> = committed.into_values().collect();
        payloads.sort_by_key(|payload| payload.parse::<u32>().unwrap_or(u32::MAX));
        let mut expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        expected.push("last".to_owned());
        assert_eq!(payloads, expected, "each once");
        end(writer).await;
        end(reader).await;
    });
}

#[test]
fn what_was_accepted_without_a_connection_is_sent_by_the_next_program() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let directory = Directory::new(broker, "out");
        let with_store = |broker: &Mosquitto| options(broker.port(), version, "publisher").file_store(&directory.0);
        let watcher = connect(broker, version, "watcher").await;
        let mut stream = watcher.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        // There is no connection yet.
        let (client, driver) = Client::new(with_store(broker)).unwrap();
        for number in 0..3 {
            client.publish("t", number.to_string()).qos(QoS::AtLeastOnce).send().await.unwrap();
        }
        drop(driver);
        client.shutdown(PATIENCE).await.unwrap();
        let client = Client::connect(with_store(broker)).await.unwrap();
        for number in 0..3 {
            assert_eq!(next_line(&mut stream).await, format!("t {number}"));
        }
        end(client.clone()).await;
        assert_eq!((client.restored().publishes, client.restored().failed), (0, 0));
        end(watcher).await;
    });
}
