//! Messages that wait to be sent: how many, for how long, and which of them if there are too many.

use core::time::Duration;

use mqtt_core::AckKind;
use mqtt_std::{Client, Delivered, Error, Options, Outcome, Overflow, QoS, ReasonCode, Receipt};

use super::support::*;

const ABOVE: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Room for two messages at each QoS.
fn narrow(options: Options, overflow: Overflow) -> Options {
    options.queue(2).in_flight(2).overflow(overflow)
}

/// Publishes without waiting: to this topic, this payload.
fn publish(client: &Client, qos: QoS, topic: &'static str, payload: &'static str) -> Result<Receipt, Error> {
    client.publish(topic, payload).qos(qos).try_send()
}

/// Takes messages, answers them, and tells their topics and payloads.
async fn sent(link: &mut Link, count: usize) -> Vec<String> {
    let mut sent = Vec::new();
    while sent.len() < count {
        let line = link.receive().await;
        if line.starts_with("PUBREL") {
            link.ack(AckKind::Pubcomp, peer::number(&line), ReasonCode::SUCCESS).await;
            continue;
        }
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[0], "PUBLISH", "{line}");
        match words[1] {
            "q1" => link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await,
            "q2" => link.ack(AckKind::Pubrec, peer::number(&line), ReasonCode::SUCCESS).await,
            _ => {}
        }
        sent.push(words[words.len() - 2..].join(" "));
    }
    sent
}

#[track_caller]
fn assert_not_sent(receipt: Result<Delivered, Error>) {
    assert!(matches!(receipt, Err(Error::NotDelivered(Outcome::NotSent))), "{receipt:?}");
}

#[test]
fn a_full_queue_refuses_where_it_is_told_to() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let peer = Peer::new(version).await;
                let (client, run) = Client::new(narrow(peer.options(), Overflow::Refuse)).unwrap();
                let first = publish(&client, qos, "a", "1").unwrap();
                let second = publish(&client, qos, "b", "2").unwrap();
                assert!(matches!(publish(&client, qos, "c", "3"), Err(Error::Full)));
                assert!(matches!(client.publish("c", "3").qos(qos).await, Err(Error::Full)));
                tokio::spawn(run);
                let mut link = peer.welcome(false).await;
                assert_eq!(sent(&mut link, 2).await, ["a \"1\"", "b \"2\""]);
                tokio::join!(async { first.await.unwrap() }, async {
                    if qos == QoS::ExactlyOnce {
                        for _ in 0..2 {
                            let line = link.receive().await;
                            link.ack(AckKind::Pubcomp, peer::number(&line), ReasonCode::SUCCESS).await;
                        }
                    }
                });
                second.await.unwrap();
                assert_eq!(client.statistics().overflowed, 0);
            }
        }
    });
}

#[test]
fn a_full_queue_drops_the_oldest_or_the_newest() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                for (overflow, lost) in [(Overflow::DropOldest, 0), (Overflow::DropNewest, 2)] {
                    let peer = Peer::new(version).await;
                    let (client, run) = Client::new(narrow(peer.options(), overflow)).unwrap();
                    let mut receipts = vec![
                        publish(&client, qos, "a", "1").unwrap(),
                        publish(&client, qos, "b", "2").unwrap(),
                        publish(&client, qos, "c", "3").unwrap(),
                    ];
                    assert_not_sent(receipts.remove(lost).await);
                    assert_eq!(client.statistics().overflowed, 1);
                    tokio::spawn(run);
                    let mut link = peer.welcome(false).await;
                    let mut expected = vec!["a \"1\"", "b \"2\"", "c \"3\""];
                    expected.remove(lost);
                    assert_eq!(sent(&mut link, 2).await, expected, "{overflow:?} {qos:?}");
                }
            }
        }
    });
}

#[test]
fn what_was_sent_is_not_dropped_for_what_comes_later() {
    run(async || {
        for version in BOTH {
            for qos in ABOVE {
                let peer = Peer::new(version).await;
                let options = narrow(peer.options(), Overflow::DropOldest);
                let (client, mut link) = peer.connect(options).await;
                let first = publish(&client, qos, "a", "1").unwrap();
                let second = publish(&client, qos, "a", "2").unwrap();
                let numbers = [peer::number(&link.receive().await), peer::number(&link.receive().await)];
                assert!(matches!(publish(&client, qos, "a", "3"), Err(Error::Full)));
                let mut third = Box::pin(client.publish("a", "3").qos(qos).send());
                assert!(poll(&mut third).is_pending());
                // It goes on when there is an answer; a failure is one for both.
                let kind = if qos == QoS::AtLeastOnce { AckKind::Puback } else { AckKind::Pubrec };
                let reason = if version == V5 { ReasonCode::QUOTA_EXCEEDED } else { ReasonCode::SUCCESS };
                link.ack(kind, numbers[0], reason).await;
                if version == V3 && qos == QoS::ExactlyOnce {
                    link.expect(&format!("PUBREL #{}", numbers[0])).await;
                    link.ack(AckKind::Pubcomp, numbers[0], ReasonCode::SUCCESS).await;
                }
                drop(first.await);
                drop(third.await.unwrap());
                assert!(link.receive().await.ends_with("a \"3\""));
                assert_eq!(client.statistics().overflowed, 0);
                drop(second);
            }
        }
    });
}

#[test]
fn only_the_latest_of_each_topic_waits() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let peer = Peer::new(version).await;
                let (client, run) = Client::new(narrow(peer.options(), Overflow::LatestPerTopic)).unwrap();
                let old = publish(&client, qos, "a", "1").unwrap();
                let other = publish(&client, qos, "b", "2").unwrap();
                let newer = publish(&client, qos, "a", "3").unwrap();
                assert_not_sent(old.await);
                assert!(matches!(publish(&client, qos, "c", "4"), Err(Error::Full)), "a third topic waits for room");
                let newest = publish(&client, qos, "a", "5").unwrap();
                assert_not_sent(newer.await);
                assert_eq!(client.statistics().overflowed, 2);
                tokio::spawn(run);
                let mut link = peer.welcome(false).await;
                assert_eq!(sent(&mut link, 2).await, ["b \"2\"", "a \"5\""]);
                drop((other, newest));
            }
        }
    });
}

#[test]
fn the_latest_of_a_thousand_topics_that_are_over_takes_nobodys_place() {
    run(async || {
        let broker = broker().await;
        let options = options(&broker, V5, "client").overflow(Overflow::LatestPerTopic);
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("t/#", QoS::AtLeastOnce).await.unwrap();
        for round in 0..2 {
            for number in 0..1_000 {
                let topic = format!("t/{number}");
                client.publish(topic, round.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
                assert_eq!(next(&mut stream).await, format!("t/{number} {round}"));
            }
        }
        assert_eq!(client.statistics().overflowed, 0);
        end(client).await;
    });
}

#[test]
fn a_queue_is_full_by_bytes_too() {
    run(async || {
        for (overflow, left) in
            [(Overflow::DropOldest, ["b \"xx\"", "c \"x\""]), (Overflow::DropNewest, ["a \"xxxx\"", "b \"xx\""])]
        {
            let peer = Peer::new(V5).await;
            // Topic and payload: 5 and 3, and then 2.
            let (client, run) = Client::new(peer.options().queue_bytes(8).overflow(overflow)).unwrap();
            let receipts = [("a", "xxxx"), ("b", "xx"), ("c", "x")]
                .map(|(topic, payload)| publish(&client, QoS::AtMostOnce, topic, payload).unwrap());
            assert_eq!(client.statistics().overflowed, 1);
            tokio::spawn(run);
            let mut link = peer.welcome(false).await;
            assert_eq!(sent(&mut link, 2).await, left);
            drop(receipts);
        }
        // One may be larger.
        let peer = Peer::new(V5).await;
        let (client, run) = Client::new(peer.options().queue_bytes(2).overflow(Overflow::Refuse)).unwrap();
        let large = publish(&client, QoS::AtMostOnce, "a", "xxxx").unwrap();
        assert!(matches!(publish(&client, QoS::AtMostOnce, "b", ""), Err(Error::Full)));
        tokio::spawn(run);
        let mut link = peer.welcome(false).await;
        assert_eq!(sent(&mut link, 1).await, ["a \"xxxx\""]);
        assert_eq!(large.await.unwrap(), Delivered::Sent);
    });
}

#[test]
fn a_deadline_is_kept_to_the_millisecond() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let clock = Clock::stop();
                let nobody = Reserved::new();
                let backoff = mqtt_std::Backoff::new().minimum(60_000).maximum(60_000);
                let client = Client::connect_retrying(nobody.options().version(version).backoff(backoff)).unwrap();
                status(&client, is_waiting).await;
                let publish = |within| client.publish("t", "x").qos(qos).deadline(Duration::from_millis(within));
                let mut soon = publish(250).send().await.unwrap();
                let mut later = publish(500).send().await.unwrap();
                let mut latest = publish(59_000).send().await.unwrap();
                clock.pass(Duration::from_millis(240)).await;
                assert!(poll(&mut soon).is_pending());
                clock.pass(Duration::from_millis(9)).await;
                assert!(matches!(soon.await, Err(Error::NotDelivered(Outcome::Expired))));
                assert!(poll(&mut later).is_pending());
                clock.pass(Duration::from_millis(250)).await;
                assert!(matches!(later.await, Err(Error::NotDelivered(Outcome::Expired))));
                clock.pass(Duration::from_secs(58)).await;
                assert!(poll(&mut latest).is_pending());
                clock.pass(Duration::from_millis(500)).await;
                assert!(matches!(latest.await, Err(Error::NotDelivered(Outcome::Expired))));
                assert_eq!(client.statistics().expired, 3);
                assert!(matches!(
                    client.publish("t", "x").qos(qos).deadline(Duration::ZERO).await,
                    Err(Error::NotDelivered(Outcome::Expired))
                ));
            }
        }
    });
}

#[test]
fn what_was_sent_by_its_deadline_has_none_any_more() {
    run(async || {
        for version in BOTH {
            for qos in ABOVE {
                let clock = Clock::stop();
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(peer.options().keep_session()).await;
                let soon = Duration::from_millis(100);
                let mut receipt = client.publish("t", "x").qos(qos).deadline(soon).send().await.unwrap();
                let sent = client.publish("t", "y").deadline(soon).await.unwrap();
                assert_eq!(sent, Delivered::Sent);
                // At QoS 0 it goes straight to the outbox; the other one when its turn comes.
                let mut lines = [link.receive().await, link.receive().await];
                lines.sort();
                assert_eq!(lines[0], "PUBLISH q0 t \"y\"");
                let number = peer::number(&lines[1]);
                drop(link);
                status(&client, |status| !is_connected(status)).await;
                clock.pass(Duration::from_secs(1)).await;
                assert!(poll(&mut receipt).is_pending());
                let mut link = peer.welcome(true).await;
                let line = link.receive().await;
                assert!(line.contains(&format!("#{number} dup")), "{line}");
                // The identifier may be used again: the deadline was not that of another message.
                assert_eq!(client.statistics().expired, 0);
            }
        }
    });
}

#[test]
fn a_deadline_ends_the_wait_for_room_too() {
    run(async || {
        for qos in QOS {
            let clock = Clock::stop();
            let nobody = Reserved::new();
            let client = Client::connect_retrying(narrow(nobody.options(), Overflow::Wait)).unwrap();
            let kept = [publish(&client, qos, "a", "1").unwrap(), publish(&client, qos, "b", "2").unwrap()];
            let waits = client.publish("c", "3").qos(qos).deadline(Duration::from_millis(300)).send();
            let (result, after) = clock.until_over(waits).await;
            assert!(matches!(result, Err(Error::NotDelivered(Outcome::Expired))), "{result:?}");
            assert!(after >= Duration::from_millis(300) && after < Duration::from_millis(500), "{after:?}");
            // A deadline that makes room lets the next one in.
            let mut waits = Box::pin(client.publish("d", "4").qos(qos).send());
            assert!(poll(&mut waits).is_pending());
            assert!(kept[0].cancel() && !kept[0].cancel());
            drop(waits.await.unwrap());
            drop(client);
        }
    });
}

#[test]
fn a_message_that_waits_can_be_taken_back() {
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let peer = Peer::new(version).await;
                let (client, run) = Client::new(peer.options()).unwrap();
                let first = publish(&client, qos, "a", "1").unwrap();
                let second = publish(&client, qos, "b", "2").unwrap();
                assert!(first.cancel());
                assert_not_sent(first.await);
                // Its identifier may be given to another message, which is nobody else's to take back.
                let third = publish(&client, qos, "c", "3").unwrap();
                tokio::spawn(run);
                let mut link = peer.welcome(false).await;
                assert_eq!(sent(&mut link, 2).await, ["b \"2\"", "c \"3\""]);
                assert!(!second.cancel() && !third.cancel(), "it was sent");
                assert!(client.publish("d", "4").qos(QoS::AtMostOnce).await.is_ok());
                drop((second, third));
            }
        }
    });
}

#[test]
fn what_a_broker_cannot_take_is_told_when_it_is_known() {
    // trap L3: queued items
    run(async || {
        let peer = Peer::new(V3).await;
        let (client, run) = Client::new(peer.options()).unwrap();
        let receipts = QOS.map(|qos| client.publish("t", "x").qos(qos).user_property("a", "b").try_send().unwrap());
        tokio::spawn(run);
        let mut link = peer.welcome(false).await;
        for receipt in receipts {
            let result = receipt.await;
            assert!(matches!(result, Err(Error::NotDelivered(Outcome::Refused(_)))), "{result:?}");
        }
        assert_eq!(client.statistics().refused, 3);
        others().await;
        link.expect_nothing();
    });
}

#[test]
fn every_wait_for_room_can_be_dropped() {
    // trap C1
    run(async || {
        for qos in QOS {
            for polls in 0..3 {
                let peer = Peer::new(V5).await;
                let (client, run) = Client::new(narrow(peer.options(), Overflow::Wait)).unwrap();
                let kept = [publish(&client, qos, "a", "1").unwrap(), publish(&client, qos, "b", "2").unwrap()];
                let waits = client.publish("c", "3").qos(qos).deadline(LONG).send();
                assert!(drop_after(polls, waits).await.is_none());
                tokio::spawn(run);
                let mut link = peer.welcome(false).await;
                assert_eq!(sent(&mut link, 2).await, ["a \"1\"", "b \"2\""]);
                drop(kept);
                drop(client.publish("d", "4").qos(qos).send());
                others().await;
                if qos != QoS::ExactlyOnce {
                    link.expect_nothing();
                }
            }
        }
    });
}

#[test]
fn the_latest_of_its_topic_does_not_take_its_own_place() {
    run(async || {
        let nobody = Deaf::new().await;
        let options = nobody.options().overflow(Overflow::LatestPerTopic);
        let client = Client::connect_retrying(options).unwrap();
        let publish = |topic: &'static str| client.publish(topic, "x").qos(QoS::AtLeastOnce).try_send().unwrap();
        assert!(publish("rare").cancel());
        for _ in 0..65_534 {
            drop(publish("often"));
        }
        // The identifier is that of the first one, long ago.
        let mut again = publish("rare");
        assert!(poll(&mut again).is_pending());
        assert!(poll(&mut publish("rare")).is_pending());
    });
}
