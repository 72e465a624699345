//! Conversations with Mosquitto. With `MQTT_KEEP_TAPES` they are the ones in `kept/`.

use bytes::Bytes;
use mqtt_std::{Acknowledge, Client, QoS, Status, TopicAliasUse};

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::film::Film;
use super::support::*;

#[test]
fn every_qos_both_ways() {
    run(BOTH, Config::CREDENTIALS, async |broker, version| {
        let film = Film::new();
        let options = options(broker.port(), version, "both-ways").user_name("alice").password("secret");
        let client = Client::connect(options.tape(&film.tape)).await.unwrap();
        let mut stream =
            client.subscribe("house/+/state", QoS::ExactlyOnce).and("house", QoS::AtLeastOnce).await.unwrap();
        for (number, qos) in
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().cycle().take(9).enumerate()
        {
            let publish = client.publish("house/lamp/state", format!("{number}")).qos(qos);
            publish.topic_alias(TopicAliasUse::Automatic).await.unwrap();
            assert_eq!(next(&mut stream).await.payload_str().unwrap(), format!("{number}"));
        }
        client.publish("house", vec![b'x'; 100_000]).qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(next(&mut stream).await.payload().len(), 100_000);
        stream.unsubscribe().await.unwrap();
        end(client).await;
        let replayed = film.keep(&format!("mosquitto-every-qos-{}", version.level())).await;
        assert!(replayed.calls > 100, "{replayed:?}");
    });
}

#[test]
fn a_broker_that_comes_back_with_the_session_and_one_without() {
    for (config, name) in [(Config::PERSISTENT, "resumed"), (Config::PLAIN, "lost")] {
        run(BOTH, config, async |broker, version| {
            let film = Film::new();
            let options = options(broker.port(), version, "comes-back").keep_session().tape(&film.tape);
            let client = Client::connect(options).await.unwrap();
            let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
            client.publish("t", "before").qos(QoS::ExactlyOnce).await.unwrap();
            assert_eq!(next_line(&mut stream).await, "t before");
            broker.stop();
            status(&client, |status| matches!(status, Status::Waiting { .. })).await;
            // Accepted while nobody is there.
            let receipts = [
                client.publish("t", "twice").qos(QoS::AtLeastOnce).send().await.unwrap(),
                client.publish("t", "once").qos(QoS::ExactlyOnce).send().await.unwrap(),
            ];
            broker.resume();
            for receipt in receipts {
                receipt.await.unwrap();
            }
            for _ in 0..2 {
                next(&mut stream).await;
            }
            end(client).await;
            film.keep(&format!("mosquitto-session-{name}-{}", version.level())).await;
        });
    }
}

#[test]
fn a_session_that_comes_from_a_store() {
    run(BOTH, Config::PERSISTENT, async |broker, version| {
        let directory = std::env::temp_dir().join(format!("mqtt-tapes-{}-{}", std::process::id(), broker.port()));
        let stored = |broker: &Mosquitto| options(broker.port(), version, "stored").file_store(&directory);
        let first = Film::new();
        let program = Mortal::connect(stored(broker).tape(&first.tape)).await;
        let mut stream =
            program.client().subscribe("t", QoS::ExactlyOnce).acknowledge(Acknowledge::ByHand).await.unwrap();
        for number in 0..5 {
            program.client().publish("t", number.to_string()).qos(QoS::ExactlyOnce).await.unwrap();
        }
        for _ in 0..3 {
            next(&mut stream).await.acknowledge().unwrap();
        }
        broker.stop();
        program.client().publish("t", "left over").qos(QoS::ExactlyOnce).send().await.unwrap();
        program.die().await;
        drop(stream);
        broker.resume();

        let second = Film::new();
        let (client, driver) = Client::new(stored(broker).tape(&second.tape)).unwrap();
        assert!(client.restored().publishes > 0 && client.restored().messages > 0, "{:?}", client.restored());
        let mut stream = client.listen("t").acknowledge(Acknowledge::ByHand).await.unwrap();
        let driver = tokio::spawn(driver);
        for _ in 0..3 {
            next(&mut stream).await.acknowledge().unwrap();
        }
        end(client).await;
        driver.await.unwrap().unwrap();
        first.keep(&format!("mosquitto-store-first-{}", version.level())).await;
        second.keep(&format!("mosquitto-store-second-{}", version.level())).await;
        let _ = std::fs::remove_dir_all(&directory);
    });
}

#[test]
fn payloads_in_parts_both_ways() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let film = Film::new();
        let options = options(broker.port(), version, "parts").maximum_packet_size(1_000).streaming();
        let client = Client::connect(options.tape(&film.tape)).await.unwrap();
        let mut stream = client.subscribe("large", QoS::ExactlyOnce).streamed().await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.publish_from("large", Bytes::from(vec![b'x'; 20_000])).qos(qos).await.unwrap();
            let message = next(&mut stream).await;
            let mut reader = message.reader();
            let mut payload = Vec::new();
            timeout(PATIENCE, reader.read_to_end(&mut payload)).await.unwrap().unwrap();
            assert_eq!(payload.len(), 20_000);
        }
        end(client).await;
        film.keep(&format!("mosquitto-parts-{}", version.level())).await;
    });
}
