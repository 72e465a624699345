//! When a Will is published, and when it is not. Delays are tested in virtual time.

use mqtt_core::{Connect, Packet, Properties, Property, QoS, ReasonCode, Will};
use mqtt_std::testkit::{Broker, BrokerOptions};

use super::client::Client;
use super::packets::*;

async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

#[tokio::test]
async fn a_lost_connection_publishes_the_will() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut watcher = Client::plain(&broker, version, "watcher").await;
        watcher.subscribe("will", 2).await;
        let request = Connect { will: Some(will("will", "lost")), ..connect(version, "c") };

        // The socket is closed, the broker cuts it, the client breaks the rules (3.1.1 and 5.0: MQTT-3.1.2-8).
        drop(Client::accepted(&broker, &request).await);
        watcher.expect(r#"PUBLISH will q1 #1 "lost""#).await;
        let _client = Client::accepted(&broker, &request).await;
        assert!(broker.disconnect_client("c"));
        watcher.expect(r#"PUBLISH will q1 #2 "lost""#).await;
        let mut client = Client::accepted(&broker, &request).await;
        client.send_bytes(b"\x00\x00").await;
        watcher.expect(r#"PUBLISH will q1 #3 "lost""#).await;
        // A takeover too.
        let _client = Client::accepted(&broker, &request).await;
        let mut client = Client::accepted(&broker, &request).await;
        watcher.expect(r#"PUBLISH will q1 #4 "lost""#).await;

        client.exchange(&DISCONNECT, "closed").await; // 3.1.1: MQTT-3.1.2-10, 5.0: MQTT-3.14.4-3
        watcher.expect_nothing().await;
    }
}

#[tokio::test]
async fn only_a_normal_disconnect_discards_the_will() {
    let broker = broker().await;
    let mut watcher = Client::plain(&broker, V5, "watcher").await;
    watcher.subscribe("will", 0).await;
    let request = Connect { will: Some(will("will", "lost")), ..connect(V5, "c") };
    for reason_code in [ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, ReasonCode::UNSPECIFIED_ERROR] {
        let mut client = Client::accepted(&broker, &request).await;
        client.exchange(&disconnect(reason_code), "closed").await;
        watcher.expect(r#"PUBLISH will q0 "lost""#).await;
    }
}

#[tokio::test]
async fn a_will_is_published_as_it_was_given() {
    let broker = broker().await;
    for version in VERSIONS {
        let properties = [
            Property::ContentType("text/plain"),
            Property::UserProperty("a", "1"),
            Property::UserProperty("a", "2"), // 5.0: MQTT-3.1.3-10
        ];
        let properties: &[Property<'_>] = if version == V5 { &properties } else { &[] };
        let will = Will {
            qos: QoS::ExactlyOnce,
            retain: true,
            properties: Properties::new(properties),
            ..will("will", "kept")
        };
        drop(Client::accepted(&broker, &Connect { will: Some(will), ..connect(version, "c") }).await);
        let mut watcher = Client::plain(&broker, version, "watcher").await;
        while broker.statistics().retained_messages == 0 {
            watcher.expect_nothing().await;
        }
        watcher.subscribe("will", 2).await;
        let expected = if properties.is_empty() { String::new() } else { format!(" {properties:?}") };
        watcher.expect(&format!("PUBLISH will q2 #1 retain \"kept\"{expected}")).await;
        let mut other = Client::plain(&broker, version, "other").await;
        other.publish_packet(retained("will", 0, 0, "")).await;
    }
}

#[tokio::test]
async fn a_will_that_the_broker_cannot_publish_is_refused() {
    let options = BrokerOptions::new().maximum_qos(QoS::AtMostOnce).retain_available(false);
    let broker = Broker::start(options).await.unwrap();
    for (will, code) in [
        (will("will", "QoS 1"), "9b"), // 5.0: MQTT-3.2.2-12
        (Will { qos: QoS::AtMostOnce, retain: true, ..will("will", "kept") }, "9a"), // 5.0: MQTT-3.2.2-13
    ] {
        let (mut client, line) = Client::connect(&broker, &Connect { will: Some(will), ..connect(V5, "c") }).await;
        assert_eq!(line, format!("CONNACK {code}"));
        client.expect("closed").await;
        // 3.1.1 has no code for it.
        let (_, line) = Client::connect(&broker, &Connect { will: Some(will), ..connect(V3, "c") }).await;
        assert_eq!(line, "closed");
    }
    let mut client = Client::plain(&broker, V5, "c").await;
    client.exchange(&Packet::Publish(publish("t", 1, 1, "x")), "DISCONNECT 9b").await;
    let mut client = Client::plain(&broker, V5, "c").await;
    client.exchange(&Packet::Publish(retained("t", 0, 1, "x")), "DISCONNECT 9a").await;
}
