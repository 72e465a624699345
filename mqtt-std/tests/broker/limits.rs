//! What happens at each bound, as the setters of `BrokerOptions` say.

use core::time::Duration;

use mqtt_core::{AckKind, Connect, Packet, Properties, Property};
use mqtt_std::testkit::{Broker, BrokerOptions};

use super::client::Client;
use super::packets::*;

#[tokio::test]
async fn connections_are_counted() {
    let broker = Broker::start(BrokerOptions::new().max_connections(1)).await.unwrap();
    let first = Client::plain(&broker, V5, "first").await;
    for (version, answer) in [(V5, "CONNACK 89"), (V3, "CONNACK 88")] {
        let (mut client, line) = Client::connect(&broker, &connect(version, "more")).await;
        assert_eq!(line, answer, "{version:?}");
        client.expect("closed").await;
    }
    // The same client may come again.
    let mut again = Client::plain(&broker, V5, "first").await;
    drop(first);
    // One more socket may wait with its CONNECT; the next is closed at once.
    let mut waiting = Client::open(&broker, V5).await;
    waiting.send_bytes(&[0x10]).await;
    again.expect_nothing().await;
    Client::open(&broker, V5).await.expect("closed").await;
}

#[tokio::test]
async fn sessions_are_counted() {
    let broker = Broker::start(BrokerOptions::new().max_sessions(1)).await.unwrap();
    let mut kept = Client::accepted(&broker, &connect_kept(V5, "kept")).await;
    kept.exchange(&DISCONNECT, "closed").await;
    for (version, answer) in [(V5, "CONNACK 97"), (V3, "CONNACK 88")] {
        let (_, line) = Client::connect(&broker, &connect(version, "more")).await;
        assert_eq!(line, answer, "{version:?}");
    }
    Client::resumed(&broker, &connect_kept(V5, "kept")).await;
}

#[tokio::test]
async fn subscriptions_are_counted() {
    let broker = Broker::start(BrokerOptions::new().max_subscriptions(2)).await.unwrap();
    let list = [subscription("a", 0), subscription("b", 0), subscription("c", 0), subscription("a", 1)];
    let mut client = Client::plain(&broker, V5, "five").await;
    client.exchange(&subscribe(&list, &[]), "SUBACK #900 [00, 00, 97, 01]").await;
    let mut client = Client::plain(&broker, V3, "three").await;
    client.exchange(&subscribe(&list, &[]), "SUBACK #900 [00, 00, 80, 01]").await;
}

#[tokio::test]
async fn a_full_queue_refuses_the_whole_message_if_it_can() {
    for options in [BrokerOptions::new().max_queued_messages(2), BrokerOptions::new().max_queued_bytes(5)] {
        let broker = Broker::start(options.receive_maximum(1)).await.unwrap();
        let mut away = Client::accepted(&broker, &connect_kept(V5, "away")).await;
        away.subscribe("t", 1).await;
        away.exchange(&DISCONNECT, "closed").await;
        let mut there = Client::plain(&broker, V5, "there").await;
        there.subscribe("t", 0).await;
        let mut publisher = Client::plain(&broker, V5, "publisher").await;
        for number in 1..=2 {
            publisher.exchange(&Packet::Publish(publish("t", 1, number, "x")), &format!("PUBACK #{number}")).await;
            there.expect(r#"PUBLISH t q0 "x""#).await;
        }
        // Nobody gets it, not even retained.
        publisher.exchange(&Packet::Publish(retained("t", 1, 3, "too much")), "PUBACK #3 97").await;
        publisher.exchange(&Packet::Publish(publish("t", 2, 4, "too much")), "PUBREC #4 97").await;
        there.expect_nothing().await;
        assert_eq!(broker.statistics().retained_messages, 0);
        // That exchange is over: its identifier and its part of the Receive Maximum are free (5.0: MQTT-4.3.3-9).
        publisher.exchange(&Packet::Publish(publish("none", 2, 5, "x")), "PUBREC #5 10").await;
        publisher.exchange(&ack(AckKind::Pubrel, 5), "PUBCOMP #5").await;
        publisher.exchange(&Packet::Publish(publish("none", 2, 4, "x")), "PUBREC #4 10").await;
        // Who cannot be told loses it there, and only there; at QoS 0 the queue is not concerned at all.
        let mut old = Client::plain(&broker, V3, "old").await;
        assert_eq!(broker.statistics().messages_dropped, 0);
        old.publish("t", 1, "y").await;
        there.expect(r#"PUBLISH t q0 "y""#).await;
        assert_eq!(broker.statistics().messages_dropped, 1);
        old.publish("t", 0, "z").await;
        there.expect(r#"PUBLISH t q0 "z""#).await;
        assert_eq!(broker.statistics().messages_dropped, 1);
        assert_eq!(broker.statistics().queued_messages, 2);
    }
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_qos_0_and_nothing_else() {
    let options = BrokerOptions::new().max_queued_messages(4).outgoing_buffer(1_000).max_in_flight(65_535);
    let broker = Broker::start(options).await.unwrap();
    let mut slow = Client::plain(&broker, V5, "slow").await;
    slow.subscribe("t", 1).await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    let payload = "0123456789".repeat(10_000);
    // Until the socket's own buffers and the broker's are full, for good: then QoS 0 is dropped.
    let mut sent = 0;
    while broker.statistics().messages_dropped < 20 {
        publisher.publish("t", 0, &format!("{sent:04}{payload}")).await;
        sent += 1;
    }
    let dropped_before = broker.statistics().messages_dropped;
    // QoS 1 takes the place of the QoS 0 that still waits, then there is no more.
    for number in 1..=4 {
        let message = publish("t", 1, number, "important");
        publisher.exchange(&Packet::Publish(message), &format!("PUBACK #{number}")).await;
    }
    publisher.exchange(&Packet::Publish(publish("t", 1, 5, "important")), "PUBACK #5 97").await;
    let dropped = broker.statistics().messages_dropped;
    assert_eq!(dropped, dropped_before + 4);

    for number in 0..sent - dropped {
        let line = slow.receive().await;
        assert!(line.starts_with(&format!("PUBLISH t q0 \"{number:04}")), "{}", &line[..20]);
    }
    for number in 1..=4 {
        slow.expect(&format!("PUBLISH t q1 #{number} \"important\"")).await;
    }
    slow.expect_nothing().await;
}

#[tokio::test]
async fn retained_messages_are_counted() {
    for options in [BrokerOptions::new().max_retained_messages(1), BrokerOptions::new().max_retained_bytes(2)] {
        let broker = Broker::start(options).await.unwrap();
        let mut client = Client::plain(&broker, V5, "five").await;
        client.subscribe("#", 0).await;
        client.exchange(&Packet::Publish(retained("a", 1, 1, "1")), r#"PUBLISH a q0 "1""#).await;
        client.expect("PUBACK #1").await;
        client.exchange(&Packet::Publish(retained("b", 1, 2, "2")), "PUBACK #2 97").await;
        client.exchange(&Packet::Publish(retained("a", 1, 3, "3")), r#"PUBLISH a q0 "3""#).await;
        client.expect("PUBACK #3").await;
        // Without an answer it is delivered, but not kept.
        client.exchange(&Packet::Publish(retained("b", 0, 0, "4")), r#"PUBLISH b q0 "4""#).await;
        assert_eq!((broker.statistics().retained_messages, broker.statistics().messages_dropped), (1, 1));
        // Deletion makes room.
        client.exchange(&Packet::Publish(retained("a", 0, 0, "")), r#"PUBLISH a q0 """#).await;
        client.exchange(&Packet::Publish(retained("b", 1, 5, "5")), r#"PUBLISH b q0 "5""#).await;
        client.expect("PUBACK #5").await;
    }
}

#[tokio::test]
async fn retained_messages_for_a_new_subscription_have_room_of_their_own() {
    let options = BrokerOptions::new().max_queued_messages(1).max_retained_messages(3).max_in_flight(1);
    let broker = Broker::start(options).await.unwrap();
    let mut client = Client::plain(&broker, V5, "c").await;
    for topic in ["a", "b", "c"] {
        client.publish_packet(retained(topic, 1, 1, "x")).await;
    }
    client.subscribe("#", 1).await;
    for number in 1..=3 {
        let line = client.receive().await;
        assert!(line.contains(&format!("q1 #{number} retain")), "{line}");
        if number == 1 {
            // Two wait; three more would be too many.
            let list = [subscription("+", 1)];
            client.exchange(&subscribe(&list, &[]), "SUBACK #900 [97]").await;
        }
        client.acknowledge(&line).await;
    }
}

#[tokio::test]
async fn a_packet_has_a_largest_size_in_both_directions() {
    let broker = Broker::start(BrokerOptions::new().max_packet_size(1_000)).await.unwrap();
    // 2 bytes of length: 1000 = 3 + 997.
    for (payload_len, fits) in [(997 - 4, true), (997 - 3, false)] {
        let text = "x".repeat(payload_len);
        let mut client = Client::plain(&broker, V5, "c").await;
        client.send(&Packet::Publish(publish("t", 0, 0, &text))).await;
        if fits {
            client.expect_nothing().await;
        } else {
            client.expect("DISCONNECT 95").await;
        }
        let mut client = Client::plain(&broker, V3, "c").await;
        client.send(&Packet::Publish(publish("t", 0, 0, &format!("x{text}")))).await;
        client.exchange(&Packet::Pingreq, if fits { "PINGRESP" } else { "closed" }).await;
    }
    // Any other packet, as soon as its length is known.
    let mut client = Client::plain(&broker, V5, "c").await;
    client.send_bytes(b"\x82\xff\xff\xff\x7f").await;
    client.expect("DISCONNECT 95").await;

    // 5.0: MQTT-3.1.2-24, MQTT-3.1.2-25
    let properties = [Property::MaximumPacketSize(30)];
    let request = Connect { properties: Properties::new(&properties), ..connect(V5, "small") };
    let mut small = Client::accepted(&broker, &request).await;
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    small.subscribe("t", 1).await;
    publisher.publish("t", 1, &"x".repeat(23)).await;
    publisher.publish("t", 1, &"y".repeat(22)).await;
    small.expect(&format!("PUBLISH t q1 #2 {:?}", "y".repeat(22))).await;
    small.expect_nothing().await;
    assert_eq!(broker.statistics().queued_messages, 1);
}

#[tokio::test]
async fn more_qos_2_than_the_receive_maximum_ends_the_connection() {
    let broker = Broker::start(BrokerOptions::new().receive_maximum(2)).await.unwrap();
    let mut client = Client::plain(&broker, V5, "c").await;
    client.exchange(&Packet::Publish(publish("t", 2, 1, "x")), "PUBREC #1 10").await;
    client.exchange(&Packet::Publish(publish("t", 2, 2, "x")), "PUBREC #2 10").await;
    // One of the two again is none more.
    client.exchange(&Packet::Publish(publish("t", 2, 2, "x")), "PUBREC #2").await;
    client.exchange(&ack(AckKind::Pubrel, 1), "PUBCOMP #1").await;
    client.exchange(&Packet::Publish(publish("t", 1, 1, "x")), "PUBACK #1 10").await;
    client.exchange(&Packet::Publish(publish("t", 2, 1, "x")), "PUBREC #1 10").await;
    client.exchange(&Packet::Publish(publish("t", 2, 3, "x")), "DISCONNECT 93").await;

    let mut client = Client::plain(&broker, V5, "c").await;
    for number in [1, 2] {
        client.exchange(&Packet::Publish(publish("t", 2, number, "x")), &format!("PUBREC #{number} 10")).await;
    }
    client.exchange(&Packet::Publish(publish("t", 1, 3, "x")), "DISCONNECT 93").await;
}

#[tokio::test]
async fn who_does_not_read_the_farewell_does_not_stay() {
    let options = BrokerOptions::new().max_connections(2).connect_timeout(Duration::from_secs(60));
    let broker = Broker::start(options).await.unwrap();
    let mut stalled = Client::plain(&broker, V5, "c").await;
    stalled.subscribe("t", 0).await;
    let payload = "0123456789".repeat(10_000);
    // The broker is to have no room for the farewell in any buffer.
    let mut publisher = Client::plain(&broker, V5, "publisher").await;
    while broker.statistics().messages_sent == broker.statistics().messages_received {
        publisher.publish("t", 0, &payload).await;
    }
    publisher.exchange(&DISCONNECT, "closed").await;
    let _again = Client::plain(&broker, V5, "c").await;
    let _other = Client::plain(&broker, V5, "other").await;
    let _waiting = Client::open(&broker, V5).await;
    // Real time: the farewell is given up after half a second, and only then there is room for a fourth socket.
    for _ in 0..300 {
        let mut fourth = Client::open(&broker, V5).await;
        fourth.send(&Packet::Connect(connect(V5, "fourth"))).await;
        if fourth.receive().await == "CONNACK 89" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stalled connection is still there");
}
