//! Filters that overlap: who gets which copy.

use mqtt_core::{Connack, Delivery, Packet, Properties, Property, ProtocolVersion, Publish, ReasonCode, TopicName};
use mqtt_std::{Client, QoS, Subscription};

use super::support::*;

/// A message with these Subscription Identifiers.
async fn publish(link: &mut Link, topic: &str, identifiers: &[u32], payload: &str) {
    let list: Vec<_> = identifiers.iter().map(|number| Property::SubscriptionIdentifier(*number)).collect();
    let publish = Publish {
        topic: Some(TopicName::new(topic).unwrap()),
        delivery: Delivery::AtMostOnce,
        retain: false,
        properties: Properties::new(&list),
        payload: payload.as_bytes(),
    };
    link.send(&Packet::Publish(publish)).await;
}

async fn subscribe(client: &Client, link: &mut Link, filter: &'static str) -> Subscription {
    let line = format!("{filter} q0");
    let (stream, _) = tokio::join!(client.subscribe(filter, QoS::AtMostOnce), link.grant(&line));
    stream.unwrap()
}

/// What a stream has got so far.
async fn got(stream: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    for _ in 0..count {
        got.push(next(stream).await);
    }
    assert!(poll(&mut Box::pin(stream.next())).is_pending(), "more than {got:?}");
    got
}

#[test]
fn each_stream_gets_its_own_copy() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let mut all = subscribe(&client, &mut link, "a/#").await; // 1
        let mut one = subscribe(&client, &mut link, "a/b").await; // 2
        publish(&mut link, "a/b", &[1], "for all").await;
        publish(&mut link, "a/b", &[2], "for one").await;
        publish(&mut link, "a/b", &[2, 1], "for both").await;
        publish(&mut link, "a/c", &[1], "other").await;
        assert_eq!(got(&mut all, 3).await, ["a/b for all", "a/b for both", "a/c other"]);
        assert_eq!(got(&mut one, 2).await, ["a/b for one", "a/b for both"]);
        // What is not known, or said, is for everybody.
        publish(&mut link, "a/b", &[7], "of long ago").await;
        publish(&mut link, "a/b", &[1, 7], "in part").await;
        publish(&mut link, "a/b", &[], "plain").await;
        for stream in [&mut all, &mut one] {
            assert_eq!(got(stream, 3).await, ["a/b of long ago", "a/b in part", "a/b plain"]);
        }
        // The same filter again is the same subscription, under a new identifier.
        let mut again = subscribe(&client, &mut link, "a/b").await; // 3
        publish(&mut link, "a/b", &[1], "1").await;
        publish(&mut link, "a/b", &[3], "3").await;
        assert_eq!(got(&mut all, 1).await, ["a/b 1"]);
        assert_eq!(got(&mut one, 1).await, ["a/b 3"]);
        assert_eq!(got(&mut again, 1).await, ["a/b 3"]);
        // Those who only listen get all.
        let mut listening = client.listen("a/+").await.unwrap();
        publish(&mut link, "a/b", &[1], "1").await;
        publish(&mut link, "a/b", &[3], "3").await;
        assert_eq!(got(&mut listening, 2).await, ["a/b 1", "a/b 3"]);
        assert_eq!(got(&mut all, 1).await, ["a/b 1"]);
    });
}

#[test]
fn a_stream_without_an_identifier_may_be_meant_by_any_copy() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, run) = Client::new(peer.options()).unwrap();
        // Before the connection nobody knows whether the broker has identifiers.
        let mut early = client.subscribe("a/b", QoS::AtMostOnce).send().await.unwrap();
        tokio::spawn(run);
        let mut link = peer.welcome(false).await;
        link.grant("a/b q0").await;
        let mut late = subscribe(&client, &mut link, "a/#").await;
        publish(&mut link, "a/b", &[1], "x").await;
        assert_eq!(got(&mut early, 1).await, ["a/b x"], "a single copy for both would say the same");
        assert_eq!(got(&mut late, 1).await, ["a/b x"]);
    });
}

#[test]
fn an_identifier_can_be_chosen() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let chosen = client.subscribe("a/#", QoS::AtMostOnce).subscription_identifier(1);
        let (all, _) = tokio::join!(chosen, link.grant("a/# q0"));
        let mut all = all.unwrap();
        let mut one = subscribe(&client, &mut link, "a/b").await; // 2, as 1 is taken
        publish(&mut link, "a/b", &[1], "1").await;
        publish(&mut link, "a/b", &[2], "2").await;
        assert_eq!(got(&mut all, 1).await, ["a/b 1"]);
        assert_eq!(got(&mut one, 1).await, ["a/b 2"]);
        let wrong = client.subscribe("a", QoS::AtMostOnce).subscription_identifier(0).await;
        assert!(wrong.is_err()); // trap L8
    });
}

#[test]
fn only_the_first_match_gets_a_message_where_that_is_wanted() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().first_match()).await;
            let mut one = subscribe(&client, &mut link, "a/b").await;
            let mut all = subscribe(&client, &mut link, "a/#").await;
            let mut rest = client.listen_unmatched().await.unwrap();
            publish(&mut link, "a/b", &[], "1").await;
            publish(&mut link, "a/c", &[], "2").await;
            publish(&mut link, "b", &[], "3").await;
            assert_eq!(got(&mut one, 1).await, ["a/b 1"]);
            assert_eq!(got(&mut all, 1).await, ["a/c 2"]);
            assert_eq!(got(&mut rest, 1).await, ["b 3"]);
            if version == V5 {
                // Each copy says for whom it is.
                publish(&mut link, "a/b", &[1], "for one").await;
                publish(&mut link, "a/b", &[2], "for all").await;
                publish(&mut link, "a/c", &[2], "end").await;
                assert_eq!(got(&mut one, 1).await, ["a/b for one"]);
                assert_eq!(got(&mut all, 1).await, ["a/c end"]);
                assert_eq!(client.statistics().unrouted, 0);
            }
        }
    });
}

#[test]
fn a_broker_without_identifiers_is_not_asked_for_them() {
    // trap L3
    run(async || {
        async fn greet(peer: &Peer, version: ProtocolVersion) -> Link {
            let mut link = peer.accept().await;
            link.receive().await;
            let list = [Property::SubscriptionIdentifierAvailable(0)];
            let properties = if version == V5 { Properties::new(&list) } else { Properties::EMPTY };
            let (session_present, reason_code) = (false, ReasonCode::SUCCESS);
            link.send(&Packet::Connack(Connack { session_present, reason_code, properties })).await;
            link
        }
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let mut granted = subscribe(&client, &mut link, "a").await;
        let mut asked = client.subscribe("b", QoS::AtMostOnce).user_property("from", "b").send().await.unwrap();
        link.expect("SUBSCRIBE #2 b q0").await;
        drop(link);
        // The next one has none: what was granted is renewed, and what was asked for is asked again, without.
        let mut link = greet(&peer, V5).await;
        let mut filters = Vec::new();
        for _ in 0..2 {
            let line = link.receive().await;
            filters.push(line.split(' ').nth(2).unwrap().to_owned());
            link.suback(peer::number(&line), &[0]).await;
        }
        filters.sort();
        assert_eq!(filters, ["a", "b"]);
        assert_eq!(asked.confirmed().await.unwrap().len(), 1);
        publish(&mut link, "a", &[], "x").await;
        publish(&mut link, "b", &[], "x").await;
        assert_eq!(got(&mut granted, 1).await, ["a x"]);
        assert_eq!(got(&mut asked, 1).await, ["b x"]);
        let mut new = subscribe(&client, &mut link, "c").await;
        publish(&mut link, "c", &[], "x").await;
        assert_eq!(got(&mut new, 1).await, ["c x"]);
    });
}

#[test]
fn until_all_is_renewed_a_copy_is_for_everybody() {
    run(async || {
        for first_match in [false, true] {
            let peer = Peer::new(V5).await;
            let options = if first_match { peer.options().first_match() } else { peer.options() };
            let (client, mut link) = peer.connect(options).await;
            let mut all = subscribe(&client, &mut link, "a/#").await;
            let mut one = subscribe(&client, &mut link, "a/b").await;
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let mut link = peer.welcome(false).await;
            // Renewed one after the other; the broker has only the second so far.
            let numbers = [peer::number(&link.receive().await), peer::number(&link.receive().await)];
            link.suback(numbers[1], &[0]).await;
            publish(&mut link, "a/b", &[2], "too early").await;
            assert_eq!(got(&mut all, 1).await, ["a/b too early"]);
            link.suback(numbers[0], &[0]).await;
            publish(&mut link, "a/b", &[2], "for one").await;
            publish(&mut link, "a/b", &[1], "for all").await;
            assert_eq!(got(&mut all, 1).await, ["a/b for all"]);
            let expected = if first_match { vec![] } else { vec!["a/b too early", "a/b for one"] };
            assert_eq!(got(&mut one, expected.len()).await, expected);
        }
    });
}

#[test]
fn what_is_asked_for_again_is_sent_at_once() {
    run(async || {
        let peer = Peer::new(V5).await;
        // One connection that has identifiers, and the next one, which has none.
        let (client, link) = peer.connect(peer.options()).await;
        drop(link);
        status(&client, |status| !is_connected(status)).await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).user_property("a", "b").send().await.unwrap();
        let mut link = peer.accept().await;
        link.receive().await;
        link.accept(&[Property::SubscriptionIdentifierAvailable(0)]).await;
        link.grant("t q1").await;
        stream.confirmed().await.unwrap();
    });
}
