//! Every counter is exact after a conversation of which every packet is known.

use core::time::Duration;

use mqtt_core::{AckKind, PacketIdentifier};
use mqtt_std::testkit::{Broker, BrokerOptions, Conversation, Direction, Expect, Network, Peer};
use mqtt_std::{Acknowledge, Client, Options, Overflow, QoS, ReasonCode, Traffic};
use tokio::time::{advance, sleep};

use super::support::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

async fn begin(options: Options, network: &Network) -> (Client, Conversation, Peer) {
    let peer = Peer::in_memory(network, V5);
    let (client, conversation) = tokio::join!(Client::connect(options), peer.welcome(false));
    (client.unwrap(), conversation.unwrap(), peer)
}

/// Lets everything that is ready happen.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

const fn traffic(messages: u64, bytes: u64) -> Traffic {
    Traffic { messages, bytes }
}

#[tokio::test(start_paused = true)]
async fn messages_that_go_out_are_counted_with_their_ends() {
    let network = Network::new();
    let (client, mut peer, _) = begin(options(&network, V5), &network).await;
    client.publish("t", "12345").await.unwrap();
    peer.expect(&Expect::publish("t")).await.unwrap();
    for (qos, reason) in [
        (QoS::AtLeastOnce, ReasonCode::SUCCESS),
        (QoS::AtLeastOnce, ReasonCode::NO_MATCHING_SUBSCRIBERS),
        (QoS::AtLeastOnce, ReasonCode::NOT_AUTHORIZED),
        (QoS::ExactlyOnce, ReasonCode::SUCCESS),
        (QoS::ExactlyOnce, ReasonCode::QUOTA_EXCEEDED),
    ] {
        let receipt = client.publish("t", "123").qos(qos).send().await.unwrap();
        let before = client.statistics();
        assert_eq!((before.in_flight, before.undelivered), (1, 1));
        assert!(before.stored_bytes > 3, "topic and payload");
        peer.expect(&Expect::publish("t")).await.unwrap();
        peer.answer_with(reason).await.unwrap();
        if qos == QoS::ExactlyOnce && !reason.is_failure() {
            peer.expect(&Expect::pubrel()).await.unwrap();
            peer.answer().await.unwrap();
        }
        let _ = receipt.await;
    }
    let found = client.statistics();
    assert_eq!(found.outgoing, [traffic(1, 5), traffic(3, 9), traffic(2, 6)]);
    assert_eq!((found.published, found.acknowledged, found.rejected), (6, 3, 2));
    assert_eq!((found.in_flight, found.undelivered, found.stored_bytes, found.queued), (0, 0, 0, 0));
    assert_eq!((found.expired, found.refused, found.unknown, found.failed, found.overflowed), (0, 0, 0, 0, 0));
    assert_eq!(found.publish_round_trip.count(), 5, "one after the other each is measured");
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_in_are_counted_where_they_go() {
    let network = Network::new();
    let options = options(&network, V5).stream_capacity(2).stall_timeout(MS(1000));
    let (client, mut peer, _) = begin(options, &network).await;
    let subscribed = async {
        peer.expect(&Expect::subscribe("a/#")).await.unwrap();
        peer.answer().await.unwrap();
        peer
    };
    let (stream, mut peer) = tokio::join!(client.subscribe("a/#", QoS::ExactlyOnce), subscribed);
    let mut stream = stream.unwrap();
    peer.publish("a/b", QoS::AtMostOnce, 0, b"1").await.unwrap();
    peer.publish("a/b", QoS::AtLeastOnce, 1, b"12").await.unwrap();
    peer.publish("other", QoS::ExactlyOnce, 2, b"123").await.unwrap();
    peer.expect(&Expect::puback()).await.unwrap();
    peer.expect(&Expect::pubrec()).await.unwrap();
    let found = client.statistics();
    assert_eq!(found.incoming, [traffic(1, 1), traffic(1, 2), traffic(1, 3)]);
    assert_eq!((found.received, found.unrouted, found.dropped, found.in_streams), (3, 1, 0, 2));
    assert_eq!(found.unacknowledged, 0);

    // The stream is full: QoS 1 waits unacknowledged, QoS 0 is dropped in the end.
    peer.publish("a/b", QoS::AtLeastOnce, 3, b"x").await.unwrap();
    settle().await;
    assert_eq!((client.statistics().in_streams, client.statistics().unacknowledged), (3, 1));
    peer.publish("a/b", QoS::AtMostOnce, 0, b"x").await.unwrap();
    sleep(MS(1100)).await;
    assert_eq!((client.statistics().received, client.statistics().dropped), (5, 1));
    for _ in 0..3 {
        stream.next().await.unwrap();
    }
    peer.expect(&Expect::puback()).await.unwrap();
    assert_eq!((client.statistics().in_streams, client.statistics().unacknowledged), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_in_several_places_counts_its_messages_once() {
    let network = Network::new();
    let (client, mut peer, _) = begin(options(&network, V5), &network).await;
    let subscribed = async {
        peer.expect(&Expect::subscribe("a")).await.unwrap();
        peer.answer().await.unwrap();
        peer.publish("a", QoS::AtMostOnce, 0, b"x").await.unwrap();
        peer
    };
    let subscribe = client.subscribe("a", QoS::AtMostOnce).and("+", QoS::AtMostOnce);
    let (_stream, _peer) = tokio::join!(subscribe.into_future(), subscribed);
    settle().await;
    assert_eq!(client.statistics().in_streams, 1);
}

#[tokio::test(start_paused = true)]
async fn connections_and_bytes_are_counted_as_the_link_has_them() {
    let network = Network::new();
    let (client, conversation, peer) = begin(options(&network, V5), &network).await;
    conversation.reset();
    let conversation = peer.welcome(true).await.unwrap();
    settle().await;
    drop(conversation);
    let mut conversation = peer.welcome(true).await.unwrap();
    client.publish("t", vec![0; 1000]).await.unwrap();
    conversation.expect(&Expect::publish("t")).await.unwrap();
    settle().await;
    let found = client.statistics();
    assert_eq!((found.attempts, found.connections, found.losses, found.reconnects()), (3, 3, 2, 2));
    let links = network.links();
    let bytes = |direction| links.iter().map(|link| link.bytes(direction)).sum::<u64>();
    assert_eq!(found.bytes_sent, bytes(Direction::ToServer));
    assert_eq!(found.bytes_received, bytes(Direction::ToClient));
    network.set_reach(mqtt_std::testkit::Reach::Refused);
    conversation.reset();
    sleep(MS(100_000)).await;
    let found = client.statistics();
    assert_eq!((found.attempts, found.connections, found.losses), (network.attempts(), 3, 3));
    assert!(found.attempts > 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_taken_back_is_not_waited_for() {
    let network = Network::new();
    let (client, mut peer, _) = begin(options(&network, V5), &network).await;
    assert!(client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap().cancel());
    let receipt = client.publish("t", "y").qos(QoS::AtLeastOnce).send().await.unwrap();
    peer.expect(&Expect::publish("t")).await.unwrap();
    advance(MS(70)).await;
    peer.answer().await.unwrap();
    receipt.await.unwrap();
    let found = client.statistics().publish_round_trip;
    assert_eq!((found.count(), found.sum()), (1, MS(70)));
}

#[tokio::test(start_paused = true)]
async fn round_trips_are_as_long_as_they_are() {
    let network = Network::new();
    let (client, mut peer, _) = begin(options(&network, V5).keep_alive(60), &network).await;
    let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
    // While one is measured, others are not.
    let second = client.publish("t", "y").qos(QoS::AtLeastOnce).send().await.unwrap();
    peer.expect(&Expect::publish("t")).await.unwrap();
    advance(MS(70)).await;
    peer.answer().await.unwrap();
    receipt.await.unwrap();
    peer.expect(&Expect::publish("t")).await.unwrap();
    peer.answer().await.unwrap();
    second.await.unwrap();
    let found = client.statistics().publish_round_trip;
    assert_eq!((found.count(), found.sum(), found.maximum()), (1, MS(70), MS(70)));

    peer.expect(&Expect::pingreq()).await.unwrap();
    settle().await;
    advance(MS(30)).await;
    peer.answer().await.unwrap();
    settle().await;
    let found = client.statistics().ping_round_trip;
    assert_eq!((found.count(), found.sum()), (1, MS(30)));
    // What is lost with its connection is not measured.
    peer.expect(&Expect::pingreq()).await.unwrap();
    settle().await;
    peer.reset();
    settle().await;
    sleep(MS(500)).await;
    assert_eq!(client.statistics().ping_round_trip.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_messages_without_an_acknowledgement_is_told_apart() {
    let network = Network::new();
    let (client, mut peer, listener) = begin(options(&network, V5), &network).await;
    let once = client.publish("t", "x").qos(QoS::ExactlyOnce).send().await.unwrap();
    peer.expect(&Expect::publish("t")).await.unwrap();
    peer.reset();
    settle().await;
    let expiring = client.publish("t", "x").qos(QoS::AtLeastOnce).message_expiry_interval(1).send().await.unwrap();
    advance(MS(3000)).await;
    let _conversation = listener.welcome(false).await.unwrap();
    assert!(once.await.is_err());
    assert!(expiring.await.is_err());
    let found = client.statistics();
    assert_eq!((found.unknown, found.expired, found.acknowledged, found.rejected), (1, 1, 0, 0));

    let unanswered = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
    assert_eq!(client.shutdown(MS(10)).await.unwrap().undelivered, 1);
    assert!(unanswered.await.is_err());
    let found = client.statistics();
    assert_eq!((found.undelivered, found.in_flight), (1, 0));
    assert_eq!(found.unknown + found.failed, 2, "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn stray_and_stale_acknowledgements_are_counted() {
    let network = Network::new();
    let (client, mut peer, listener) = begin(options(&network, V5).keep_session(), &network).await;
    for number in [7, 8, 9] {
        let id = PacketIdentifier::new(number).unwrap();
        peer.acknowledge(AckKind::Puback, id, ReasonCode::SUCCESS).await.unwrap();
    }
    settle().await;
    assert_eq!(client.statistics().stray_acknowledgements, 3);

    let subscribed = async {
        peer.expect(&Expect::subscribe("a")).await.unwrap();
        peer.answer().await.unwrap();
        peer.publish("a", QoS::AtLeastOnce, 1, b"x").await.unwrap();
        peer
    };
    let subscribe = client.subscribe("a", QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand);
    let (stream, peer) = tokio::join!(subscribe.into_future(), subscribed);
    let message = stream.unwrap().next().await.unwrap();
    assert_eq!(client.statistics().unacknowledged, 1);
    peer.reset();
    let mut peer = listener.welcome(true).await.unwrap();
    assert!(message.acknowledge().is_err());
    assert_eq!(client.statistics().stale_acknowledgements, 1);
    let id = PacketIdentifier::new(5).unwrap();
    peer.acknowledge(AckKind::Pubcomp, id, ReasonCode::SUCCESS).await.unwrap();
    settle().await;
    assert_eq!(client.statistics().stray_acknowledgements, 4, "over all connections");
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_qos_0_is_queued_until_there_is_a_connection() {
    let network = Network::new();
    let client = Client::connect_retrying(options(&network, V5)).unwrap();
    let _receipts = [client.publish("t", "1").send().await.unwrap(), client.publish("t", "22").send().await.unwrap()];
    let found = client.statistics();
    assert_eq!((found.queued, found.published, found.undelivered), (2, 2, 2));
    let mut peer = Peer::in_memory(&network, V5).welcome(false).await.unwrap();
    for _ in 0..2 {
        peer.expect(&Expect::publish("t")).await.unwrap();
    }
    let found = client.statistics();
    assert_eq!((found.queued, found.undelivered, found.outgoing[0]), (0, 0, traffic(2, 3)));
}

#[tokio::test(start_paused = true)]
async fn what_a_full_queue_drops_is_counted_once() {
    for qos in QOS {
        for (overflow, published) in
            [(Overflow::DropOldest, 3), (Overflow::LatestPerTopic, 3), (Overflow::DropNewest, 1)]
        {
            let options = options(&Network::new(), V5).queue(1).in_flight(2).overflow(overflow);
            let client = Client::connect_retrying(options.in_flight(1)).unwrap();
            for _ in 0..3 {
                drop(client.publish("t", "x").qos(qos).send().await.unwrap());
            }
            let found = client.statistics();
            let text = format!("{qos:?} {overflow:?}: {found:?}");
            assert_eq!((found.published, found.overflowed, found.failed), (published, 2, 0), "{text}");
            assert_eq!(found.undelivered, 1, "{text}");
            client.shutdown(MS(0)).await.unwrap();
            assert_eq!((client.statistics().overflowed, client.statistics().failed), (2, 1), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_late_or_taken_back_is_counted_once() {
    for qos in QOS {
        let client = Client::connect_retrying(options(&Network::new(), V5)).unwrap();
        let late = client.publish("t", "x").qos(qos).deadline(MS(50)).send().await.unwrap();
        let kept = client.publish("t", "x").qos(qos).send().await.unwrap();
        sleep(MS(100)).await;
        assert!(late.await.is_err());
        let found = client.statistics();
        assert_eq!(
            (found.published, found.expired, found.failed, found.undelivered),
            (2, 1, 0, 1),
            "{qos:?} {found:?}"
        );
        assert!(kept.cancel());
        let found = client.statistics();
        assert_eq!(
            (found.published, found.expired, found.failed, found.undelivered),
            (2, 1, 1, 0),
            "{qos:?} {found:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_cannot_take_and_what_is_too_large_for_us_are_counted() {
    let network = Network::new();
    let client = Client::connect_retrying(options(&network, V5)).unwrap();
    for qos in QOS {
        drop(client.publish("t", "x").qos(qos).retain().send().await.unwrap());
        drop(client.publish("t", "x").qos(qos).send().await.unwrap());
    }
    let _broker = Broker::start_in(&network, BrokerOptions::new().retain_available(false));
    sleep(MS(1000)).await;
    let found = client.statistics();
    assert_eq!((found.published, found.refused, found.acknowledged, found.undelivered), (6, 3, 2, 0), "{found:?}");

    let network = Network::new();
    let peer = Peer::in_memory(&network, V3);
    let options = options(&network, V3).maximum_packet_size(100);
    let (client, conversation) = tokio::join!(Client::connect(options), peer.welcome(false));
    let (client, mut conversation) = (client.unwrap(), conversation.unwrap());
    conversation.publish("t", QoS::AtLeastOnce, 1, &[0; 1000]).await.unwrap();
    conversation.expect(&Expect::puback()).await.unwrap();
    let found = client.statistics();
    assert_eq!((found.skipped, found.received, found.unrouted, found.abandoned), (1, 0, 0, 0));
}
