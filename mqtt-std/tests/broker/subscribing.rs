//! SUBSCRIBE and UNSUBSCRIBE, overlapping and shared subscriptions.

use mqtt_core::{Packet, Property, QoS, Subscription, SubscriptionOptions};
use mqtt_std::testkit::{Broker, BrokerOptions, OverlappingSubscriptions};

use super::client::Client;
use super::packets::*;

async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

#[tokio::test]
async fn answers_have_a_code_for_each_filter_in_order() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        let list = [subscription("a", 2), subscription("b/#", 0), subscription("+/c", 1)];
        client.exchange(&subscribe(&list, &[]), "SUBACK #900 [02, 00, 01]").await;
        assert_eq!(broker.statistics().subscriptions, 3);
        let codes = if version == V5 { "[00, 11]" } else { "[]" };
        client.exchange(&unsubscribe(&[filter("a"), filter("none")]), &format!("UNSUBACK #901 {codes}")).await;
        assert_eq!(broker.statistics().subscriptions, 2);
        client.publish("a", 1, "to nobody").await;
        client.expect_nothing().await; // 3.1.1 and 5.0: MQTT-3.10.4-2
        client.exchange(&DISCONNECT, "closed").await;
        assert_eq!(broker.statistics().subscriptions, 0);
    }
}

#[tokio::test]
async fn wildcards_match_as_the_standard_says() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        for (topic_filter, topic, matches) in [
            ("sport/#", "sport", true),
            ("sport/#", "sport/tennis/player", true),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$device/x", false),
            ("+/x", "$device/x", false),
            ("$device/#", "$device/x", true),
            ("A", "a", false),
        ] {
            client.subscribe(topic_filter, 0).await;
            client.send(&Packet::Publish(publish(topic, 0, 0, "x"))).await;
            if matches {
                client.expect(&format!("PUBLISH {topic} q0 \"x\"")).await;
            }
            client.expect_nothing().await;
            client.send(&unsubscribe(&[filter(topic_filter)])).await;
            assert!(client.receive().await.starts_with("UNSUBACK"), "{topic_filter}");
        }
    }
}

#[tokio::test]
async fn overlapping_subscriptions_give_one_copy_or_one_each() {
    for (overlapping, lines) in [
        (
            OverlappingSubscriptions::OneCopy,
            &[r#"PUBLISH a/b q1 #1 "x" [SubscriptionIdentifier(1), SubscriptionIdentifier(2)]"#][..],
        ),
        (
            OverlappingSubscriptions::CopyEach,
            &[
                r#"PUBLISH a/b q0 "x" [SubscriptionIdentifier(1)]"#,
                r#"PUBLISH a/b q1 #1 "x" [SubscriptionIdentifier(2)]"#,
            ],
        ),
    ] {
        let broker = Broker::start(BrokerOptions::new().overlapping_subscriptions(overlapping)).await.unwrap();
        let mut client = Client::plain(&broker, V5, "c").await;
        for (number, topic_filter, qos) in [(1, "a/#", 0), (2, "a/b", 1), (3, "c", 2)] {
            let list = [subscription(topic_filter, qos)];
            let line = format!("SUBACK #900 [{qos:02x}]");
            client.exchange(&subscribe(&list, &[Property::SubscriptionIdentifier(number)]), &line).await;
        }
        client.send(&Packet::Publish(publish("a/b", 2, 1, "x"))).await;
        for line in lines {
            client.expect(line).await; // 5.0: MQTT-3.3.4-2 to MQTT-3.3.4-5
        }
        client.expect("PUBREC #1").await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn subscribing_again_replaces_the_subscription() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.subscribe("t", 0).await;
        client.subscribe("t", 1).await; // 3.1.1 and 5.0: MQTT-3.8.4-3
        assert_eq!(broker.statistics().subscriptions, 1);
        client.exchange(&Packet::Publish(publish("t", 1, 1, "x")), r#"PUBLISH t q1 #1 "x""#).await;
        client.expect("PUBACK #1").await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn no_local_spares_the_publisher_its_own_messages() {
    let broker = broker().await;
    let mut client = Client::plain(&broker, V5, "c").await;
    let mut other = Client::plain(&broker, V5, "other").await;
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(QoS::AtMostOnce) };
    let list = [Subscription { filter: filter("t"), options }];
    client.exchange(&subscribe(&list, &[]), "SUBACK #900 [00]").await;
    client.publish("t", 1, "own").await; // 5.0: MQTT-3.8.3-3
    other.publish("t", 1, "foreign").await;
    client.expect(r#"PUBLISH t q0 "foreign""#).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_shared_subscription_takes_turns() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        let mut members = Vec::new();
        for name in ["one", "two", "three"] {
            let mut member = Client::plain(&broker, version, name).await;
            member.subscribe("$share/workers/jobs/+", 0).await;
            members.push(member);
        }
        let mut other_group = Client::plain(&broker, version, "other").await;
        other_group.subscribe("$share/readers/jobs/+", 0).await;
        for number in 0..6 {
            publisher.publish("jobs/x", 1, &number.to_string()).await;
            other_group.expect(&format!("PUBLISH jobs/x q0 \"{number}\"")).await;
        }
        for (index, member) in members.iter_mut().enumerate() {
            for number in [index, index + 3] {
                member.expect(&format!("PUBLISH jobs/x q0 \"{number}\"")).await;
            }
            member.expect_nothing().await;
        }
        // Who has left gets nothing, nor who has unsubscribed.
        let mut last = members.pop().unwrap();
        members.pop().unwrap().exchange(&DISCONNECT, "closed").await;
        let filters = [filter("$share/workers/jobs/+")];
        last.send(&unsubscribe(&filters)).await;
        assert!(last.receive().await.starts_with("UNSUBACK"));
        for number in 6..9 {
            publisher.publish("jobs/x", 1, &number.to_string()).await;
            members[0].expect(&format!("PUBLISH jobs/x q0 \"{number}\"")).await;
        }
        last.expect_nothing().await;
        broker_is_left_by(&broker, &["publisher", "one", "three", "other"]);
    }
}

/// Cuts the clients off, so that the next round may use their names.
fn broker_is_left_by(broker: &Broker, names: &[&str]) {
    for name in names {
        assert!(broker.disconnect_client(name), "{name}");
    }
    assert_eq!(broker.statistics().sessions, 0);
}

#[tokio::test]
async fn a_shared_subscription_prefers_members_who_are_there_and_sends_nothing_retained() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = Client::plain(&broker, version, "publisher").await;
        publisher.publish_packet(retained("t", 1, 1, "retained")).await;
        let mut away = Client::accepted(&broker, &connect_kept(version, "away")).await;
        let mut there = Client::accepted(&broker, &connect_kept(version, "there")).await;
        for member in [&mut away, &mut there] {
            member.subscribe("$share/g/t", 1).await;
            member.expect_nothing().await;
        }
        away.exchange(&DISCONNECT, "closed").await;
        for _ in 0..2 {
            publisher.publish("t", 1, "x").await;
            let line = there.receive().await;
            there.acknowledge(&line).await;
        }
        there.exchange(&DISCONNECT, "closed").await;
        // With nobody there, it waits for one of them.
        publisher.publish("t", 1, "late").await;
        assert_eq!(broker.statistics().queued_messages, 1);
        let mut late = Vec::new();
        for name in ["away", "there"] {
            let mut member = Client::resumed(&broker, &connect_kept(version, name)).await;
            member.send(&Packet::Pingreq).await;
            late.push(member.receive().await);
            Client::plain(&broker, version, name).await.exchange(&DISCONNECT, "closed").await;
        }
        late.sort();
        assert_eq!(late, ["PINGRESP", r#"PUBLISH t q1 #1 "late""#]);
        assert!(broker.disconnect_client("publisher"));
    }
}

#[tokio::test]
async fn what_is_switched_off_is_refused() {
    let options = BrokerOptions::new()
        .maximum_qos(QoS::AtLeastOnce)
        .wildcard_subscription_available(false)
        .shared_subscription_available(false)
        .subscription_identifier_available(false);
    let broker = Broker::start(options).await.unwrap();
    let deep = "/".repeat(128);
    let list = [subscription("a", 2), subscription("#", 0), subscription("$share/g/a", 0), subscription(&deep, 0)];
    let mut client = Client::plain(&broker, V5, "five").await;
    client.exchange(&subscribe(&list, &[]), "SUBACK #900 [01, a2, 9e, 8f]").await; // 5.0: MQTT-3.2.2-10
    let identifier = [Property::SubscriptionIdentifier(1)];
    client.exchange(&subscribe(&list[..1], &identifier), "SUBACK #900 [a1]").await;
    let mut client = Client::plain(&broker, V3, "three").await;
    client.exchange(&subscribe(&list, &[]), "SUBACK #900 [01, 80, 80, 80]").await;
}
