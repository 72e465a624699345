//! When received messages are acknowledged: on arrival, when taken, by hand.

use core::future::{Future as _, poll_fn};
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use mqtt_core::ProtocolVersion;
use mqtt_std::{
    Acknowledge, Cause, Client, Error, Message, QoS, ReasonCode, Stale, Status, Subscription, UsageError, WhenFull,
};

use super::support::*;

/// Both versions, with the answers to both kinds of messages.
const ALL: [(ProtocolVersion, QoS, &str); 4] = [
    (V5, QoS::AtLeastOnce, "PUBACK"),
    (V3, QoS::AtLeastOnce, "PUBACK"),
    (V5, QoS::ExactlyOnce, "PUBREC"),
    (V3, QoS::ExactlyOnce, "PUBREC"),
];

async fn subscribed(client: &Client, link: &mut Link, acknowledge: Acknowledge) -> Subscription {
    let subscribe = client.subscribe("in", QoS::ExactlyOnce).acknowledge(acknowledge);
    let (stream, _) = tokio::join!(subscribe, link.grant("in q2"));
    stream.unwrap()
}

#[test]
fn when_taken_means_when_it_leaves_the_stream() {
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().stream_capacity(2)).await;
            let mut stream = subscribed(&client, &mut link, Acknowledge::WhenTaken).await;
            // trap C2: a wait that is given up takes nothing
            assert!(poll(&mut Box::pin(stream.next())).is_pending());
            for number in 1..=4 {
                link.publish("in", qos, number, "x").await;
            }
            link.publish("in", QoS::AtMostOnce, 0, "x").await;
            until(|| client.statistics().received >= 4).await;
            others().await;
            link.expect_nothing();
            for number in 1..=4 {
                assert_eq!(next(&mut stream).await, "in x");
                link.expect(&format!("{ack} #{number}")).await;
            }
            assert_eq!(next(&mut stream).await, "in x");
            link.expect_nothing();
            // What nobody will take is acknowledged when the stream is dropped.
            link.publish("in", qos, 9, "x").await;
            until(|| client.statistics().received == 6).await;
            drop(stream);
            let mut lines = [link.receive().await, link.receive().await];
            lines.sort();
            assert_eq!(lines, [format!("{ack} #9"), "UNSUBSCRIBE #2 in".to_owned()]);
        }
    });
}

#[test]
fn by_hand_nothing_is_acknowledged_without_a_word_and_all_in_order() {
    // trap C6: out of order, twice, dropped
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            for number in 1..=5 {
                link.publish("in", qos, number, "x").await;
            }
            let mut messages = Vec::new();
            for _ in 1..=5 {
                messages.push(stream.next().await.unwrap());
            }
            messages[1].acknowledge().unwrap();
            others().await;
            link.expect_nothing();
            messages[0].clone().acknowledge().unwrap();
            link.expect(&format!("{ack} #1")).await;
            link.expect(&format!("{ack} #2")).await;
            assert_eq!(messages[0].acknowledge(), Err(Stale));
            assert!(matches!(messages[1].reject(ReasonCode::QUOTA_EXCEEDED), Err(Error::Usage(UsageError::Stale))));
            // The third is dropped: those behind it wait.
            drop(messages.remove(2));
            messages[2].acknowledge().unwrap();
            others().await;
            link.expect_nothing();
            // So it is when the stream goes, read or not.
            link.publish("in", qos, 6, "x").await;
            until(|| client.statistics().received == 6).await;
            drop(stream);
            link.expect("UNSUBSCRIBE #2 in").await;
            others().await;
            link.expect_nothing();

            // At QoS 0, and elsewhere, there is nothing to acknowledge.
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            link.publish("in", QoS::AtMostOnce, 0, "x").await;
            let message = stream.next().await.unwrap();
            assert_eq!((message.acknowledge(), message.acknowledge()), (Ok(()), Ok(())));
            message.reject(ReasonCode::QUOTA_EXCEEDED).unwrap();
        }
    });
}

#[test]
fn a_message_of_another_connection_is_stale() {
    // trap C6
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            link.publish("in", qos, 1, "first").await;
            link.publish("in", qos, 2, "second").await;
            let (first, second) = (stream.next().await.unwrap(), stream.next().await.unwrap());
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let mut link = peer.welcome(true).await;
            status(&client, is_connected).await;
            link.publish_again("in", qos, 1, "first").await;
            if qos == QoS::AtLeastOnce {
                assert_eq!(first.acknowledge(), Err(Stale));
                let again = stream.next().await.unwrap();
                assert!(again.dup());
                again.acknowledge().unwrap();
            } else {
                // It was handed over, and is known.
                others().await;
                assert!(poll(&mut Box::pin(stream.next())).is_pending());
                first.acknowledge().unwrap();
            }
            link.expect(&format!("{ack} #1")).await;
            // The session is lost: no message is what it was.
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let mut link = peer.welcome(false).await;
            link.grant("in q2").await;
            assert_eq!(second.acknowledge(), Err(Stale));
            others().await;
            link.expect_nothing();
        }
    });
}

#[test]
fn a_message_can_be_refused_where_the_version_knows_how() {
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            link.publish("in", qos, 1, "x").await;
            let message = stream.next().await.unwrap();
            if version == V5 {
                let error = message.reject(ReasonCode::BAD_USER_NAME_OR_PASSWORD).unwrap_err();
                assert!(matches!(error, Error::Usage(UsageError::Encode(_))), "{error:?}");
                message.reject(ReasonCode::QUOTA_EXCEEDED).unwrap();
                link.expect(&format!("{ack} #1 97")).await;
                assert_eq!(message.acknowledge(), Err(Stale));
            } else {
                let error = message.reject(ReasonCode::QUOTA_EXCEEDED).unwrap_err();
                assert!(matches!(error, Error::Usage(UsageError::NotInVersion)), "{error:?}");
                message.acknowledge().unwrap();
                link.expect(&format!("{ack} #1")).await;
            }
        }
    });
}

#[test]
fn what_is_dropped_and_not_acknowledged_by_hand_is_counted() {
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            let withheld = || client.statistics().withheld_acknowledgements;
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            link.publish("in", QoS::AtMostOnce, 0, "x").await;
            for number in 1..=6 {
                link.publish("in", qos, number, "x").await;
            }
            drop(stream.next().await);
            // One that is acknowledged, one that others have, one that is dropped.
            stream.next().await.unwrap().acknowledge().unwrap();
            link.expect(&format!("{ack} #1")).await;
            let (second, third, clone) = {
                let (second, third) = (stream.next().await.unwrap(), stream.next().await.unwrap());
                (second, third.clone(), third)
            };
            drop(clone);
            assert_eq!(withheld(), 0);
            drop(second);
            assert_eq!(withheld(), 1);
            third.acknowledge().unwrap();
            drop(third);
            let late = stream.next().await.unwrap();
            until(|| client.statistics().received == 7).await;
            // Two are unread.
            drop(stream);
            assert_eq!(withheld(), 3);
            others().await;
            link.expect_nothing();
            // What is dropped too late holds back nothing at QoS 1; at QoS 2 the exchange goes on.
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            drop(late);
            assert_eq!(withheld(), 3, "nobody knows yet");
            let _link = peer.welcome(true).await;
            status(&client, is_connected).await;
            others().await;
            assert_eq!(withheld(), if qos == QoS::AtLeastOnce { 3 } else { 4 }, "{version:?}");
        }
    });
}

#[test]
fn who_is_woken_may_acknowledge_what_is_being_refused() {
    #[derive(Default)]
    struct Slot {
        message: Option<Message>,
        found: Option<Result<(), Stale>>,
    }
    /// The waker of the client's task.
    struct Acknowledges(Arc<Mutex<Slot>>, Waker);
    impl Wake for Acknowledges {
        fn wake(self: Arc<Self>) {
            let message = self.0.lock().unwrap().message.take();
            if let Some(message) = message {
                let found = message.acknowledge();
                self.0.lock().unwrap().found = Some(found);
            }
            self.1.wake_by_ref();
        }
    }
    run(async || {
        // The first reason is one that PUBACK does not know.
        for (reason, found, answer) in [
            (ReasonCode::BAD_USER_NAME_OR_PASSWORD, Ok(()), "PUBACK #1"),
            (ReasonCode::QUOTA_EXCEEDED, Err(Stale), "PUBACK #1 97"),
        ] {
            let peer = Peer::new(V5).await;
            let (client, run) = Client::new(peer.options()).unwrap();
            let slot = Arc::<Mutex<Slot>>::default();
            let (mut run, of_waker) = (Box::pin(run), Arc::clone(&slot));
            let task = tokio::spawn(poll_fn(move |cx| {
                let waker = Arc::new(Acknowledges(Arc::clone(&of_waker), cx.waker().clone())).into();
                run.as_mut().poll(&mut Context::from_waker(&waker)).map(drop)
            }));
            let mut link = peer.welcome(false).await;
            let mut stream = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            link.publish("in", QoS::AtLeastOnce, 1, "x").await;
            let message = stream.next().await.unwrap();
            others().await;
            slot.lock().unwrap().message = Some(message.clone());
            assert_eq!(message.reject(reason).is_ok(), found.is_err());
            assert_eq!(slot.lock().unwrap().found, Some(found));
            link.expect(answer).await;
            task.abort();
        }
    });
}

#[test]
fn the_last_of_several_streams_acknowledges() {
    run(async || {
        for (version, qos, ack) in ALL {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let mut by_hand = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            let mut other = subscribed(&client, &mut link, Acknowledge::ByHand).await;
            let mut taken = subscribed(&client, &mut link, Acknowledge::WhenTaken).await;
            let _arrived = subscribed(&client, &mut link, Acknowledge::OnArrival).await;
            link.publish("in", qos, 1, "x").await;
            by_hand.next().await.unwrap().acknowledge().unwrap();
            assert_eq!(next(&mut taken).await, "in x");
            others().await;
            link.expect_nothing();
            other.next().await.unwrap().acknowledge().unwrap();
            link.expect(&format!("{ack} #1")).await;
            // One that drops it holds it back; one that refuses it does so for all.
            link.publish("in", qos, 2, "x").await;
            let (mine, its) = (by_hand.next().await.unwrap(), other.next().await.unwrap());
            assert_eq!(next(&mut taken).await, "in x");
            if version == V5 {
                mine.reject(ReasonCode::QUOTA_EXCEEDED).unwrap();
                link.expect(&format!("{ack} #2 97")).await;
                assert_eq!(its.acknowledge(), Err(Stale));
            } else {
                drop(mine);
                its.acknowledge().unwrap();
                others().await;
                link.expect_nothing();
            }
        }
    });
}

#[test]
fn what_is_acknowledged_by_hand_may_wait_while_an_answer_is_awaited() {
    // trap C3, with the capacity 1 everywhere
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let tight =
                options(&broker, version, "client").in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG);
            let client = Client::connect(tight).await.unwrap();
            let outside = connect(&broker, version, "outside").await;
            for (acknowledge, qos) in [
                (Acknowledge::WhenTaken, QoS::AtLeastOnce),
                (Acknowledge::WhenTaken, QoS::ExactlyOnce),
                (Acknowledge::ByHand, QoS::AtLeastOnce),
                (Acknowledge::ByHand, QoS::ExactlyOnce),
            ] {
                let mut inside = client.subscribe("in", qos).acknowledge(acknowledge).await.unwrap();
                for number in 0..20 {
                    drop(outside.publish("in", number.to_string()).qos(qos).send().await.unwrap());
                }
                for number in 0..20 {
                    let message = inside.next().await.unwrap();
                    assert_eq!(message.payload_str().unwrap(), number.to_string());
                    client.publish("out", message.payload_bytes()).qos(qos).await.unwrap();
                    message.acknowledge().unwrap();
                }
            }
            assert_eq!(client.statistics().dropped, 0);
            end(client).await;
            end(outside).await;
        }
    });
}

#[test]
fn a_stream_is_full_by_bytes_too() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().stream_bytes(20)).await;
        let (stream, _) = tokio::join!(client.subscribe("in", QoS::AtLeastOnce), link.grant("in q1"));
        let mut stream = stream.unwrap();
        // One may be larger; then three fit, of which one is behind.
        for (number, len) in [(1, 30), (2, 4), (3, 4), (4, 4), (5, 4)] {
            link.publish("in", QoS::AtLeastOnce, number, &"x".repeat(len)).await;
        }
        link.expect("PUBACK #1").await;
        until(|| client.statistics().received == 5).await;
        others().await;
        link.expect_nothing();
        assert_eq!(stream.next().await.unwrap().payload().len(), 30);
        for number in 2..=4 {
            link.expect(&format!("PUBACK #{number}")).await;
        }
        others().await;
        link.expect_nothing();
        assert_eq!(stream.next().await.unwrap().payload().len(), 4);
        link.expect("PUBACK #5").await;
        // A stream of its own.
        let subscribe = client.subscribe("own", QoS::AtLeastOnce).capacity(3).capacity_bytes(1 << 20);
        let (own, _) = tokio::join!(subscribe, link.grant("own q1"));
        for number in 6..=9 {
            link.publish("own", QoS::AtLeastOnce, number, &"x".repeat(100)).await;
        }
        for number in 6..=8 {
            link.expect(&format!("PUBACK #{number}")).await;
        }
        others().await;
        link.expect_nothing();
        drop(own);
    });
}

#[test]
fn a_stream_that_is_full_for_too_long_may_end_the_connection_and_lose_nothing() {
    run(async || {
        for (version, qos, ack) in ALL {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            // One message may wait beyond the stream.
            let options = peer.options().keep_session().storage(10);
            let (client, mut link) = peer.connect(options).await;
            let subscribe = client.subscribe("in", QoS::ExactlyOnce).capacity(1).when_full(WhenFull::Disconnect);
            let (stream, _) = tokio::join!(subscribe, link.grant("in q2"));
            let mut stream = stream.unwrap();
            for number in 1..=4 {
                link.publish("in", qos, number, &format!("number {number}")).await;
            }
            link.expect(&format!("{ack} #1")).await;
            until(|| client.statistics().received == 3).await;
            others().await;
            assert_eq!(client.statistics().received, 3, "one is in the stream, one beyond it, one has no room");
            clock.pass(Duration::from_secs(29)).await;
            link.expect_nothing();
            clock.pass(Duration::from_secs(1)).await;
            link.expect("DISCONNECT 00").await;
            drop(link);
            let waiting = status(&client, is_waiting).await;
            assert!(matches!(waiting, Status::Waiting { error: Cause::Overrun, .. }), "{waiting:?}");
            let ((), mut link) = tokio::join!(clock.pass(Duration::from_secs(1)), peer.welcome(true));
            for number in 2..=4 {
                link.publish_again("in", qos, number, &format!("number {number}")).await;
            }
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line| line != "in number 4") {
                lines.push(next(&mut stream).await);
            }
            // At QoS 1 what was received and not acknowledged comes twice.
            let numbers: &[u8] = if qos == QoS::AtLeastOnce { &[1, 2, 3, 2, 3, 4] } else { &[1, 2, 3, 4] };
            let expected: Vec<_> = numbers.iter().map(|number| format!("in number {number}")).collect();
            assert_eq!(lines, expected, "{version:?} {qos:?}");
            assert_eq!(client.statistics().dropped, 0);
            drop(clock);
        }
    });
}

#[test]
fn the_answer_of_a_hand_reaches_a_real_publisher() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("in", QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand).await.unwrap();
        for number in 0..300 {
            drop(client.publish("in", number.to_string()).qos(QoS::AtLeastOnce).send().await.unwrap());
        }
        for number in 0..300 {
            let message = stream.next().await.unwrap();
            assert_eq!(message.payload_str().unwrap(), number.to_string());
            message.acknowledge().unwrap();
        }
        let end = client.shutdown(LONG).await.unwrap();
        assert_eq!(end.undelivered, 0);
    });
}
