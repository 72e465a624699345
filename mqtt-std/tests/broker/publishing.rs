//! Messages in and out: the QoS levels, order, retained messages, properties, aliases.

use mqtt_core::{
    Ack, AckKind, Connect, Delivery, Packet, Properties, Property, Publish, QoS, ReasonCode, RetainHandling,
    Subscription, SubscriptionOptions,
};
use mqtt_std::testkit::{Broker, BrokerOptions};

use super::client::Client;
use super::packets::*;

async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

#[tokio::test]
async fn the_lower_of_both_qos_is_delivered() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        for granted in 0..=2 {
            subscriber.subscribe("t", granted).await;
            for published in 0..=2 {
                publisher.publish("t", published, "x").await;
                let qos = granted.min(published);
                let line = subscriber.receive().await;
                assert!(line.starts_with(&format!("PUBLISH t q{qos} ")), "{granted} {published}: {line}");
                subscriber.acknowledge(&line).await;
            }
        }
        subscriber.expect_nothing().await;
        assert_eq!(broker.statistics().queued_messages, 0);
    }
}

#[tokio::test]
async fn each_acknowledgement_has_its_place() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.subscribe("t", 2).await;
        client.exchange(&Packet::Publish(publish("t", 1, 7, "one")), r#"PUBLISH t q1 #1 "one""#).await;
        client.expect("PUBACK #7").await;
        client.send(&ack(AckKind::Puback, 1)).await;
        client.exchange(&Packet::Publish(publish("t", 2, 7, "two")), r#"PUBLISH t q2 #2 "two""#).await;
        client.expect("PUBREC #7").await;
        client.exchange(&ack(AckKind::Pubrel, 7), "PUBCOMP #7").await;
        client.exchange(&ack(AckKind::Pubrec, 2), "PUBREL #2").await;
        // Said twice, answered twice.
        client.exchange(&ack(AckKind::Pubrec, 2), "PUBREL #2").await;
        client.send(&ack(AckKind::Pubcomp, 2)).await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_repeated_qos_2_publish_is_delivered_once() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        subscriber.subscribe("t", 0).await;
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        let first = publish("t", 2, 5, "once");
        let again = Publish { delivery: Delivery::ExactlyOnce { packet_identifier: id(5), dup: true }, ..first };
        publisher.exchange(&Packet::Publish(first), "PUBREC #5").await;
        publisher.exchange(&Packet::Publish(again), "PUBREC #5").await; // 3.1.1: MQTT-4.3.3-2, 5.0: MQTT-4.3.3-10
        publisher.exchange(&ack(AckKind::Pubrel, 5), "PUBCOMP #5").await;
        subscriber.expect(r#"PUBLISH t q0 "once""#).await;
        subscriber.expect_nothing().await;
        // 5.0: MQTT-4.3.3-12
        publisher.exchange(&Packet::Publish(first), "PUBREC #5").await;
        subscriber.expect(r#"PUBLISH t q0 "once""#).await;
    }
}

#[tokio::test]
async fn acknowledgements_without_their_exchange_are_answered_or_ignored() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        let unknown = if version == V5 { " 92" } else { "" };
        client.exchange(&ack(AckKind::Pubrel, 9), &format!("PUBCOMP #9{unknown}")).await;
        client.exchange(&ack(AckKind::Pubrec, 9), &format!("PUBREL #9{unknown}")).await;
        client.send(&ack(AckKind::Puback, 9)).await;
        client.send(&ack(AckKind::Pubcomp, 9)).await;
        client.expect_nothing().await;

        client.subscribe("t", 2).await;
        client.exchange(&Packet::Publish(publish("t", 2, 1, "x")), r#"PUBLISH t q2 #1 "x""#).await;
        client.expect("PUBREC #1").await;
        client.send(&ack(AckKind::Puback, 1)).await; // it is a QoS 2 exchange
        if version == V5 {
            client.expect("DISCONNECT 82").await;
        }
        client.expect("closed").await;
    }
}

#[tokio::test]
async fn a_refusing_acknowledgement_ends_the_exchange() {
    let broker = broker().await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    let mut client = Client::plain(&broker, V5, "c").await;
    for (qos, kind) in [(1, AckKind::Puback), (2, AckKind::Pubrec)] {
        client.subscribe("t", qos).await;
        publisher.publish("t", qos, "x").await;
        client.expect(&format!("PUBLISH t q{qos} #{qos} \"x\"")).await;
        let refusal = Ack {
            kind,
            packet_identifier: id(qos.into()),
            reason_code: ReasonCode::QUOTA_EXCEEDED,
            properties: Properties::EMPTY,
        };
        client.send(&Packet::Ack(refusal)).await; // 5.0: MQTT-4.4.0-2
        client.expect_nothing().await;
        assert_eq!(broker.statistics().queued_messages, 0);
    }
}

#[tokio::test]
async fn a_message_for_nobody_is_acknowledged_with_0x10_on_5_0() {
    let broker = broker().await;
    for (version, reason) in [(V3, ""), (V5, " 10")] {
        let mut client = Client::plain(&broker, version, "c").await;
        client.exchange(&Packet::Publish(publish("t", 1, 1, "x")), &format!("PUBACK #1{reason}")).await;
        client.exchange(&Packet::Publish(publish("t", 2, 2, "x")), &format!("PUBREC #2{reason}")).await;
        client.exchange(&ack(AckKind::Pubrel, 2), "PUBCOMP #2").await;
    }
}

#[tokio::test]
async fn order_is_kept_for_each_qos() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        subscriber.subscribe("t", 1).await;
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        // More than may be in flight, so that QoS 0 passes QoS 1.
        let numbers: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        for number in &numbers {
            publisher.send(&Packet::Publish(publish("t", 0, 1, number))).await;
            publisher.send(&Packet::Publish(publish("t", 1, 1, number))).await;
        }
        let mut arrived = [const { Vec::new() }; 2];
        for _ in 0..2 * numbers.len() {
            let line = subscriber.receive().await;
            let number = line.split('"').nth(1).unwrap().to_owned();
            arrived[usize::from(line.contains(" q1 "))].push(number);
            subscriber.acknowledge(&line).await;
        }
        assert_eq!(arrived, [numbers.clone(), numbers]);
    }
}

#[tokio::test]
async fn a_retained_message_waits_for_subscribers_until_it_is_deleted() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        publisher.publish_packet(retained("r/1", 1, 1, "old")).await;
        publisher.publish_packet(retained("r/1", 1, 1, "new")).await;
        publisher.publish_packet(retained("r/2", 0, 1, "zero")).await;
        publisher.publish("r/2", 0, "not retained").await;
        assert_eq!(broker.statistics().retained_messages, 2);

        let mut subscriber = Client::plain(&broker, version, "subscriber").await;
        subscriber.subscribe("r/+", 2).await;
        subscriber.expect(r#"PUBLISH r/1 q1 #1 retain "new""#).await;
        subscriber.expect(r#"PUBLISH r/2 q0 retain "zero""#).await;
        // To an established subscription RETAIN is 0 (3.1.1: MQTT-3.3.1-9, 5.0: MQTT-3.3.1-12).
        publisher.publish_packet(retained("r/2", 0, 1, "next")).await;
        subscriber.expect(r#"PUBLISH r/2 q0 "next""#).await;

        for topic in ["r/1", "r/2"] {
            publisher.publish_packet(retained(topic, 0, 1, "")).await; // 3.1.1: MQTT-3.3.1-10, 5.0: MQTT-3.3.1-6
            subscriber.expect(&format!("PUBLISH {topic} q0 \"\"")).await;
        }
        assert_eq!(broker.statistics().retained_messages, 0); // 3.1.1: MQTT-3.3.1-11, 5.0: MQTT-3.3.1-7
        subscriber.subscribe("r/+", 2).await;
        subscriber.expect_nothing().await;
    }
}

#[tokio::test]
async fn retain_handling_and_retain_as_published_are_obeyed() {
    let broker = broker().await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    publisher.publish_packet(retained("r", 0, 1, "kept")).await;
    let mut client = Client::plain(&broker, V5, "c").await;
    let with = |retain_handling, retain_as_published| Subscription {
        filter: filter("r"),
        options: SubscriptionOptions {
            retain_handling,
            retain_as_published,
            ..SubscriptionOptions::new(QoS::AtMostOnce)
        },
    };
    for (retain_handling, is_sent) in [
        (RetainHandling::DoNotSend, false),      // 5.0: MQTT-3.3.1-11
        (RetainHandling::SendIfNew, false),      // 5.0: MQTT-3.3.1-10
        (RetainHandling::SendAtSubscribe, true), // 5.0: MQTT-3.3.1-9
    ] {
        client.exchange(&subscribe(&[with(retain_handling, true)], &[]), "SUBACK #900 [00]").await;
        if is_sent {
            client.expect(r#"PUBLISH r q0 retain "kept""#).await;
        }
        client.expect_nothing().await;
    }
    // Of two subscriptions in one copy, one that asks for it is enough.
    client.subscribe("#", 0).await;
    client.expect(r#"PUBLISH r q0 retain "kept""#).await;
    publisher.publish_packet(retained("r", 0, 1, "again")).await;
    client.expect(r#"PUBLISH r q0 retain "again""#).await; // 5.0: MQTT-3.3.1-13
    client.exchange(&unsubscribe(&[filter("r")]), "UNSUBACK #901 [00]").await;
    client.exchange(&subscribe(&[with(RetainHandling::SendIfNew, false)], &[]), "SUBACK #900 [00]").await;
    client.expect(r#"PUBLISH r q0 retain "again""#).await;
}

#[tokio::test]
async fn properties_pass_unchanged_and_in_order() {
    let broker = broker().await;
    let mut client = Client::plain(&broker, V5, "c").await;
    let mut old = Client::plain(&broker, V3, "old").await;
    client.subscribe("t", 0).await;
    old.subscribe("t", 0).await;
    let properties = [
        Property::UserProperty("a", "1"),
        Property::PayloadFormatIndicator(1),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers"),
        Property::UserProperty("a", "2"),
        Property::CorrelationData(b"\x00\x01"),
        Property::UserProperty("", ""),
    ];
    let message = Publish { properties: Properties::new(&properties), ..publish("t", 0, 0, "x") };
    client.exchange(&Packet::Publish(message), &format!("PUBLISH t q0 \"x\" {properties:?}")).await;
    old.expect(r#"PUBLISH t q0 "x""#).await;
}

#[tokio::test]
async fn a_topic_alias_stands_for_its_topic_until_the_connection_ends() {
    let broker = broker().await;
    let mut subscriber = Client::plain(&broker, V5, "subscriber").await;
    subscriber.subscribe("#", 0).await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    let alias = [Property::TopicAlias(16)];
    for (topic, arrives_at) in [("a/long/topic", "a/long/topic"), ("", "a/long/topic"), ("b", "b"), ("", "b")] {
        let message = Publish { properties: Properties::new(&alias), ..publish(topic, 0, 0, "x") };
        publisher.send(&Packet::Publish(message)).await;
        subscriber.expect(&format!("PUBLISH {arrives_at} q0 \"x\"")).await;
    }
    // 5.0: MQTT-3.3.2-7
    let mut publisher = Client::plain(&broker, V5, "another").await;
    let message = Publish { properties: Properties::new(&alias), ..publish("", 0, 0, "x") };
    publisher.exchange(&Packet::Publish(message), "DISCONNECT 82").await;
    let mut publisher = Client::plain(&broker, V5, "another").await;
    let alias = [Property::TopicAlias(17)];
    let message = Publish { properties: Properties::new(&alias), ..publish("t", 0, 0, "x") };
    publisher.exchange(&Packet::Publish(message), "DISCONNECT 94").await;
}

#[tokio::test]
async fn the_broker_keeps_its_own_topics() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.subscribe("#", 0).await; // 3.1.1 and 5.0: MQTT-4.7.2-1
        client.expect_nothing().await;
        client.subscribe("$SYS/broker/clients/connected", 0).await;
        client.expect(r#"PUBLISH $SYS/broker/clients/connected q0 retain "1""#).await;
        let refused = if version == V5 { " 87" } else { "" };
        let message = publish("$SYS/broker/clients/connected", 1, 1, "7");
        client.exchange(&Packet::Publish(message), &format!("PUBACK #1{refused}")).await;
        let own = will("$SYS/broker/version", "mine");
        let (_, answer) = Client::connect(&broker, &Connect { will: Some(own), ..connect(version, "other") }).await;
        assert_eq!(answer, "CONNACK 87");
        let _other = Client::plain(&broker, version, "other").await;
        client.expect(r#"PUBLISH $SYS/broker/clients/connected q0 "2""#).await;
        client.exchange(&DISCONNECT, "closed").await;
        // The next round counts from one again.
        assert!(broker.disconnect_client("other"));
    }
}

#[tokio::test]
async fn a_large_message_passes() {
    let broker = broker().await;
    let text = "0123456789".repeat(100_000);
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.subscribe("t", 1).await;
        client.send(&Packet::Publish(publish("t", 1, 1, &text))).await;
        let line = client.receive().await;
        assert!(line == format!("PUBLISH t q1 #1 {text:?}"), "{} bytes", line.len());
    }
}
