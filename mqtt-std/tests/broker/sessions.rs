//! What outlives a connection: subscriptions, queued messages, exchanges that were cut in the middle.

use mqtt_core::{AckKind, Connect, Delivery, Disconnect, Packet, Properties, Property, Publish, ReasonCode};
use mqtt_std::testkit::{Broker, BrokerOptions};

use super::client::Client;
use super::packets::*;

async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

#[tokio::test]
async fn a_kept_session_has_its_subscriptions_and_messages() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::accepted(&broker, &connect_kept(version, "subscriber")).await;
        subscriber.subscribe("t", 2).await;
        subscriber.exchange(&DISCONNECT, "closed").await;
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        for qos in [0, 1, 2, 1] {
            publisher.publish("t", qos, &format!("qos {qos}")).await;
        }
        assert_eq!(broker.statistics().queued_messages, 3); // QoS 0 does not wait

        let mut subscriber = Client::resumed(&broker, &connect_kept(version, "subscriber")).await;
        subscriber.expect(r#"PUBLISH t q1 #1 "qos 1""#).await;
        subscriber.expect(r#"PUBLISH t q2 #2 "qos 2""#).await;
        subscriber.expect(r#"PUBLISH t q1 #3 "qos 1""#).await;
        subscriber.expect_nothing().await;

        // Clean Start ends it (3.1.1: MQTT-3.1.2-6, 5.0: MQTT-3.1.2-4).
        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        publisher.publish("t", 1, "to nobody").await;
        subscriber.expect_nothing().await;
        assert_eq!(broker.statistics().queued_messages, 0);
    }
}

#[tokio::test]
async fn unacknowledged_packets_come_again_in_order() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::accepted(&broker, &connect_kept(version, "subscriber")).await;
        subscriber.subscribe("t", 2).await;
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        for (payload, qos) in [("a", 1), ("b", 2), ("c", 2), ("d", 1)] {
            publisher.publish("t", qos, payload).await;
        }
        for line in [r#"q1 #1 "a""#, r#"q2 #2 "b""#, r#"q2 #3 "c""#, r#"q1 #4 "d""#] {
            subscriber.expect(&format!("PUBLISH t {line}")).await;
        }
        subscriber.exchange(&ack(AckKind::Pubrec, 2), "PUBREL #2").await;
        assert!(broker.disconnect_client("subscriber"));
        subscriber.expect("closed").await;
        publisher.publish("t", 1, "e").await;

        // 3.1.1 and 5.0: MQTT-4.4.0-1; 3.1.1: MQTT-4.6.0-6; 5.0: MQTT-3.3.1-1
        let mut subscriber = Client::resumed(&broker, &connect_kept(version, "subscriber")).await;
        for line in [
            r#"PUBLISH t q1 #1 dup "a""#,
            "PUBREL #2",
            r#"PUBLISH t q2 #3 dup "c""#,
            r#"PUBLISH t q1 #4 dup "d""#,
            r#"PUBLISH t q1 #5 "e""#,
        ] {
            subscriber.expect(line).await;
        }
        subscriber.send(&ack(AckKind::Pubcomp, 2)).await;
        subscriber.exchange(&ack(AckKind::Pubrec, 3), "PUBREL #3").await;
        subscriber.send(&ack(AckKind::Pubcomp, 3)).await;
        for number in [1, 4, 5] {
            subscriber.send(&ack(AckKind::Puback, number)).await;
        }
        subscriber.expect_nothing().await;
        assert_eq!(broker.statistics().queued_messages, 0);
        subscriber.exchange(&DISCONNECT, "closed").await;

        let mut subscriber = Client::resumed(&broker, &connect_kept(version, "subscriber")).await;
        subscriber.expect_nothing().await;
        subscriber.exchange(&DISCONNECT, "closed").await;
        Client::plain(&broker, version, "subscriber").await.exchange(&DISCONNECT, "closed").await;
    }
}

#[tokio::test]
async fn a_qos_2_message_is_taken_once_across_connections() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        subscriber.subscribe("t", 2).await;
        let mut publisher = Client::accepted(&broker, &connect_kept(version, "publisher")).await;
        let message = publish("t", 2, 3, "once");
        publisher.exchange(&Packet::Publish(message), "PUBREC #3").await;
        assert!(broker.disconnect_client("publisher"));

        let mut publisher = Client::resumed(&broker, &connect_kept(version, "publisher")).await;
        let again = Publish { delivery: Delivery::ExactlyOnce { packet_identifier: id(3), dup: true }, ..message };
        publisher.exchange(&Packet::Publish(again), "PUBREC #3").await;
        assert!(broker.disconnect_client("publisher"));

        let mut publisher = Client::resumed(&broker, &connect_kept(version, "publisher")).await;
        publisher.exchange(&ack(AckKind::Pubrel, 3), "PUBCOMP #3").await;
        let unknown = if version == V5 { " 92" } else { "" };
        publisher.exchange(&ack(AckKind::Pubrel, 3), &format!("PUBCOMP #3{unknown}")).await;
        subscriber.expect(r#"PUBLISH t q2 #1 "once""#).await;
        subscriber.expect_nothing().await;
        publisher.exchange(&DISCONNECT, "closed").await;
        Client::plain(&broker, version, "publisher").await.exchange(&DISCONNECT, "closed").await;
    }
}

#[tokio::test]
async fn a_session_without_expiry_ends_with_its_connection() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.subscribe("t", 1).await;
        client.exchange(&DISCONNECT, "closed").await;
        // Present only if a session exists (3.1.1: MQTT-3.2.2-2, 5.0: MQTT-3.2.2-3).
        let mut client = Client::accepted(&broker, &connect_kept(version, "c")).await;
        client.publish("t", 1, "to nobody").await;
        client.expect_nothing().await;
        client.exchange(&DISCONNECT, "closed").await;
        Client::plain(&broker, version, "c").await.exchange(&DISCONNECT, "closed").await;
        assert_eq!(broker.statistics().sessions, 0);
    }
}

#[tokio::test]
async fn disconnect_can_change_the_expiry_but_not_from_nothing() {
    let broker = broker().await;
    let disconnect_with = |seconds: &'static [Property<'static>]| {
        let reason_code = ReasonCode::NORMAL_DISCONNECTION;
        Packet::Disconnect(Disconnect { reason_code, properties: Properties::new(seconds) })
    };
    let mut client = Client::accepted(&broker, &connect_kept(V5, "c")).await;
    client.exchange(&disconnect_with(&[Property::SessionExpiryInterval(0)]), "closed").await;
    assert_eq!(broker.statistics().sessions, 0);

    let mut client = Client::accepted(&broker, &connect_kept(V5, "c")).await;
    client.exchange(&disconnect_with(&[Property::SessionExpiryInterval(7)]), "closed").await;
    assert_eq!(broker.statistics().sessions, 1);

    let mut client = Client::plain(&broker, V5, "c").await;
    client.exchange(&disconnect_with(&[Property::SessionExpiryInterval(7)]), "DISCONNECT 82").await;
    assert_eq!(broker.statistics().sessions, 0);
}

#[tokio::test]
async fn a_session_can_change_its_version() {
    let broker = broker().await;
    let mut client = Client::accepted(&broker, &connect_kept(V3, "c")).await;
    client.subscribe("t", 1).await;
    client.exchange(&DISCONNECT, "closed").await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    let properties = [Property::ContentType("text/plain")];
    let message = Publish { properties: Properties::new(&properties), ..publish("t", 1, 1, "x") };
    publisher.publish_packet(message).await;
    let mut client = Client::resumed(&broker, &connect_kept(V5, "c")).await;
    client.expect(r#"PUBLISH t q1 #1 "x" [ContentType("text/plain")]"#).await;
}

#[tokio::test]
async fn the_receive_maximum_holds_up_qos_1_and_2_but_nothing_else() {
    let broker = broker().await;
    let three = [Property::ReceiveMaximum(3), Property::SessionExpiryInterval(60)];
    let one = [Property::ReceiveMaximum(1), Property::SessionExpiryInterval(60)];
    let request =
        |properties| Connect { clean_start: false, properties: Properties::new(properties), ..connect(V5, "c") };
    let mut client = Client::accepted(&broker, &request(&three)).await;
    client.subscribe("t", 2).await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    for (payload, qos) in [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 0)] {
        publisher.publish("t", qos, payload).await;
    }
    for line in [r#"q1 #1 "a""#, r#"q2 #2 "b""#, r#"q1 #3 "c""#, r#"q0 "e""#] {
        client.expect(&format!("PUBLISH t {line}")).await;
    }
    client.expect_nothing().await; // 5.0: MQTT-3.3.4-9
    client.exchange(&ack(AckKind::Pubrec, 2), "PUBREL #2").await;
    client.expect_nothing().await;

    // With a smaller one after the reconnect, PUBREL still is not held up (5.0: MQTT-3.3.4-10).
    let mut client = Client::resumed(&broker, &request(&one)).await;
    client.expect(r#"PUBLISH t q1 #1 dup "a""#).await;
    client.expect("PUBREL #2").await;
    client.expect_nothing().await;
    client.send(&ack(AckKind::Pubcomp, 2)).await;
    client.expect_nothing().await;
    client.exchange(&ack(AckKind::Puback, 1), r#"PUBLISH t q1 #3 dup "c""#).await;
    client.exchange(&ack(AckKind::Puback, 3), r#"PUBLISH t q1 #4 "d""#).await;
}
