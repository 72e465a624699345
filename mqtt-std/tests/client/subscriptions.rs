//! Subscribing, and the end of it.

use core::time::Duration;

use mqtt_core::{AckKind, Packet};
use mqtt_std::{Client, Error, QoS, ReasonCode};

use super::support::*;

#[test]
fn a_message_that_matches_no_stream_is_counted_and_acknowledged() {
    // trap C10
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            link.publish("nobody", QoS::AtLeastOnce, 1, "x").await;
            link.expect("PUBACK #1").await;
            link.publish("nobody", QoS::ExactlyOnce, 2, "x").await;
            link.expect("PUBREC #2").await;
            let statistics = client.statistics();
            assert_eq!((statistics.received, statistics.unrouted, statistics.dropped), (2, 2, 0));
        }
    });
}

#[test]
fn a_dropped_stream_unsubscribes_unless_another_has_the_same_filter() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let (first, _) = tokio::join!(client.subscribe("a/+", QoS::AtLeastOnce), link.grant("a/+ q1"));
            let (second, _) = tokio::join!(client.subscribe("a/+", QoS::AtLeastOnce), link.grant("a/+ q1"));
            link.publish("a/b", QoS::AtMostOnce, 0, "both").await;
            let (mut first, mut second) = (first.unwrap(), second.unwrap());
            assert_eq!(next(&mut first).await, "a/b both");
            assert_eq!(next(&mut second).await, "a/b both");
            drop(first);
            link.publish("a/b", QoS::AtMostOnce, 0, "second").await;
            assert_eq!(next(&mut second).await, "a/b second");
            link.expect_nothing();
            drop(second);
            link.expect("UNSUBSCRIBE #3 a/+").await;
            link.unsuback(3, &[0]).await;
            end_with(client, link).await;
        }
    });
}

/// Ends a client whose peer answers nothing any more.
async fn end_with(client: Client, mut link: Link) {
    let ((), _) = tokio::join!(end(client), link.read_to_end());
}

#[test]
fn a_subscription_without_a_stream_is_ended_by_its_filter() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().keep_session()).await;
        for (number, code, ended) in [(1, 0x00, true), (2, 0x87, false)] {
            let answer = async {
                link.expect(&format!("UNSUBSCRIBE #{number} a/+")).await;
                link.unsuback(number, &[code]).await;
            };
            let (answered, ()) = tokio::join!(client.unsubscribe("a/+"), answer);
            assert_eq!(answered.is_ok(), ended, "{answered:?}");
        }
        let answer = async {
            let received = link.packet().await;
            let Ok(Packet::Unsubscribe(unsubscribe)) = received.packet() else { panic!("{received:?}") };
            assert_eq!(unsubscribe.properties.user_properties().collect::<Vec<_>>(), [("why", "moved")]);
            link.unsuback(3, &[0x11]).await; // no subscription existed
        };
        let (answered, ()) =
            tokio::join!(client.unsubscribe("a/+").user_property("why", "moved").into_future(), answer);
        answered.unwrap();
        assert!(matches!(client.unsubscribe("a#").await, Err(Error::InvalidTopicFilter(_))));
        client.shutdown(Duration::ZERO).await.unwrap();
        assert!(matches!(client.unsubscribe("a").await, Err(Error::Closed)));
    });
}

#[test]
fn a_stream_dropped_while_there_is_no_room_unsubscribes_when_there_is() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().in_flight(1)).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let line = link.receive().await;
            drop(stream);
            others().await;
            link.expect_nothing();
            link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
            let line = link.receive().await;
            assert!(line.starts_with("UNSUBSCRIBE") && line.ends_with(" a"), "{line}");
            // And a new stream of this filter waits for its turn.
            let subscribe = client.subscribe("a", QoS::AtLeastOnce);
            let answer = async {
                link.unsuback(peer::number(&line), &[0]).await;
                link.grant("a q1").await;
            };
            let (stream, ()) = tokio::join!(subscribe, answer);
            link.publish("a", QoS::AtMostOnce, 0, "x").await;
            assert_eq!(next(&mut stream.unwrap()).await, "a x");
        }
    });
}

#[test]
fn a_refused_subscription_is_an_error_and_the_others_are_undone() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let code = if version == V5 { 0x87 } else { 0x80 };
            let answer = async {
                link.expect("SUBSCRIBE #1 a q0, b q1").await;
                link.suback(1, &[0, code]).await;
            };
            let (error, ()) = tokio::join!(client.subscribe("a", QoS::AtMostOnce).and("b", QoS::AtLeastOnce), answer);
            let error = error.unwrap_err();
            assert!(matches!(&error, Error::Rejected(found) if *found == ReasonCode::from_u8(code)), "{error:?}");
            link.expect("UNSUBSCRIBE #2 a, b").await;
        }
    });
}

#[test]
fn what_the_broker_cannot_do_is_refused_by_name() {
    run(async || {
        let options = mqtt_std::testkit::BrokerOptions::new()
            .wildcard_subscription_available(false)
            .shared_subscription_available(false);
        let broker = mqtt_std::testkit::Broker::start(options).await.unwrap();
        let client = connect(&broker, V5, "client").await;
        for filter in ["a/#", "$share/g/a"] {
            let error = client.subscribe(filter, QoS::AtMostOnce).await.unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error:?}");
        }
        let error = client.subscribe("a/#/b", QoS::AtMostOnce).await.unwrap_err();
        assert!(matches!(error, Error::InvalidTopicFilter(_)), "{error:?}");
        let stream = client.subscribe("a", QoS::AtMostOnce).await.unwrap();
        assert_eq!(stream.granted().len(), 1);
        end(client).await;
    });
}

#[test]
fn a_stream_lives_without_handles() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        drop(client);
        let other = connect(&broker, V5, "other").await;
        other.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut stream).await, "t x");
        drop(stream);
        until(|| broker.statistics().connections == 1).await;
        end(other).await;
    });
}

#[test]
fn what_comes_right_behind_connack_or_suback_reaches_its_stream() {
    // trap S6
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().keep_session()).unwrap();
            let mut subscribe = client.subscribe("a", QoS::AtLeastOnce).into_future();
            assert!(poll(&mut subscribe).is_pending());
            let mut link = peer.accept().await;
            link.receive().await;
            let mut bytes = link.encode(&peer::connack(true, ReasonCode::SUCCESS));
            bytes.extend(link.encode(&peer::message("a", QoS::AtLeastOnce, 1, false, "kept")));
            link.send_bytes(&bytes).await;
            let mut lines = [link.receive().await, link.receive().await];
            lines.sort();
            assert_eq!(lines, ["PUBACK #1", "SUBSCRIBE #1 a q1"]);
            link.suback(1, &[1]).await;
            link.publish("a", QoS::AtMostOnce, 0, "retained").await;
            let mut stream = subscribe.await.unwrap();
            assert_eq!(next(&mut stream).await, "a kept");
            assert_eq!(next(&mut stream).await, "a retained");
        }
    });
}

#[test]
fn what_a_kept_session_brings_waits_for_its_stream() {
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            link.publish("a/1", QoS::ExactlyOnce, 1, "x").await;
            link.publish("nobody", QoS::ExactlyOnce, 2, "x").await;
            link.publish("b", QoS::AtLeastOnce, 3, "x").await;
            link.publish("a/2", QoS::AtLeastOnce, 4, "x").await;
            link.publish("a/3", QoS::AtMostOnce, 0, "x").await;
            until(|| client.statistics().received == 5).await;
            assert_eq!(client.statistics().unrouted, 1, "at QoS 0 it would wait for nothing");
            let both = async {
                let a = client.subscribe("a/+", QoS::ExactlyOnce).await.unwrap();
                (a, client.subscribe("b", QoS::ExactlyOnce).await.unwrap())
            };
            let mut acknowledged = Vec::new();
            let answers = async {
                for _ in 0..5 {
                    let line = link.receive().await;
                    if line.starts_with("SUBSCRIBE") {
                        link.suback(peer::number(&line), &[2]).await;
                    } else {
                        acknowledged.push(line);
                    }
                }
            };
            let ((mut a, mut b), ()) = tokio::join!(both, answers);
            acknowledged.sort();
            assert_eq!(acknowledged, ["PUBACK #3", "PUBACK #4", "PUBREC #1"]);
            assert_eq!(next(&mut a).await, "a/1 x");
            assert_eq!(next(&mut a).await, "a/2 x");
            assert_eq!(next(&mut b).await, "b x");
            // trap C10
            clock.pass(Duration::from_secs(30)).await;
            link.expect("PUBREC #2").await;
            link.publish("nobody", QoS::AtLeastOnce, 5, "x").await;
            link.expect("PUBACK #5").await;
            assert_eq!(client.statistics().unrouted, 3);
        }
    });
}

#[test]
fn messages_before_a_grant_that_never_came_can_be_read() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).send().await.unwrap();
        assert!(link.receive().await.starts_with("SUBSCRIBE"));
        link.publish("t", QoS::AtLeastOnce, 7, "x").await;
        link.expect("PUBACK #7").await;
        let _ = client.shutdown(Duration::ZERO).await;
        assert_eq!(next(&mut stream).await, "t x");
        assert!(stream.next().await.is_none());
        assert!(stream.confirmed().await.is_err());
    });
}

#[test]
fn the_last_stream_waits_for_its_unsuback() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            drop(client);
            let unsubscribed = tokio::spawn(stream.unwrap().unsubscribe());
            link.expect("UNSUBSCRIBE #2 a").await;
            link.unsuback(2, &[0]).await;
            unsubscribed.await.unwrap().unwrap();
        }
    });
}
