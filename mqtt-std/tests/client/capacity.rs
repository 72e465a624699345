//! Everything is bounded, and at no bound does one call wait for another for ever.

use core::time::Duration;

use mqtt_core::AckKind;
use mqtt_std::{Error, Options, QoS, ReasonCode, UsageError};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// All bounds are 1, and nothing may wait for the time to pass.
fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

#[test]
fn every_message_can_be_forwarded_from_the_receive_loop() {
    // trap C3
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let forwarder = mqtt_std::Client::connect(tight(options(&broker, version, "forwarder"))).await.unwrap();
            let outside = connect(&broker, version, "outside").await;
            for (arrives, leaves) in QOS.into_iter().flat_map(|arrives| QOS.map(|leaves| (arrives, leaves))) {
                let mut inside = forwarder.subscribe("in", arrives).await.unwrap();
                let mut forwarded = outside.subscribe("out", leaves).await.unwrap();
                for number in 0..30 {
                    drop(outside.publish("in", number.to_string()).qos(arrives).send().await.unwrap());
                }
                for number in 0..30 {
                    let message = inside.next().await.unwrap();
                    assert_eq!(message.payload_str().unwrap(), number.to_string(), "{arrives:?} to {leaves:?}");
                    forwarder.publish("out", message.payload_bytes()).qos(leaves).await.unwrap();
                }
                for number in 0..30 {
                    assert_eq!(next(&mut forwarded).await, format!("out {number}"), "{arrives:?} to {leaves:?}");
                }
            }
            assert_eq!((forwarder.statistics().dropped, forwarder.statistics().unrouted), (0, 0));
            end(forwarder).await;
            end(outside).await;
        }
    });
}

#[test]
fn an_acknowledgement_behind_messages_for_a_full_stream_is_read() {
    // trap C3, at its worst: the PUBACK comes behind messages that have no room.
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(tight(peer.options().in_flight(20)).in_flight(20)).await;
                let subscribe = client.subscribe("in", QoS::ExactlyOnce);
                let (stream, _) = tokio::join!(subscribe, link.grant("in q2"));
                let mut stream = stream.unwrap();
                let receipt = client.publish("out", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
                let publish = link.receive().await;
                for number in 1..=10 {
                    link.publish("in", qos, number, &number.to_string()).await;
                }
                link.ack(AckKind::Puback, peer::number(&publish), ReasonCode::SUCCESS).await;
                receipt.await.unwrap();
                for number in 1..=10 {
                    assert_eq!(next(&mut stream).await, format!("in {number}"), "{qos:?}");
                }
            }
        }
    });
}

#[test]
fn at_qos_0_a_full_stream_stops_the_reading_and_pingreq_still_goes_out() {
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(tight(peer.options())).await;
            let (stream, _) = tokio::join!(client.subscribe("in", QoS::AtMostOnce), link.grant("in q0"));
            let mut stream = stream.unwrap();
            for number in 1..=5 {
                link.publish("in", QoS::AtMostOnce, 0, &number.to_string()).await;
            }
            until(|| client.statistics().received == 2).await;
            // trap K4
            for _ in 0..3 {
                clock.pass(Duration::from_secs(45)).await;
                link.expect("PINGREQ").await;
            }
            assert_eq!(client.statistics().received, 2, "one is in the stream, one waits for it");
            for number in 1..=5 {
                assert_eq!(next(&mut stream).await, format!("in {number}"));
            }
            assert_eq!(client.statistics().dropped, 0);
            // Whether anybody is there is asked again now.
            clock.pass(Duration::from_secs(75)).await;
            status(&client, |status| !is_connected(status)).await;
        }
    });
}

#[test]
fn above_qos_0_a_full_stream_holds_back_the_acknowledgements() {
    run(async || {
        for (version, qos, ack) in [
            (V5, QoS::AtLeastOnce, "PUBACK"),
            (V3, QoS::AtLeastOnce, "PUBACK"),
            (V5, QoS::ExactlyOnce, "PUBREC"),
            (V3, QoS::ExactlyOnce, "PUBREC"),
        ] {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().stream_capacity(2)).await;
            let (stream, _) = tokio::join!(client.subscribe("in", QoS::ExactlyOnce), link.grant("in q2"));
            let mut stream = stream.unwrap();
            for number in 1..=5 {
                link.publish("in", qos, number, &number.to_string()).await;
            }
            link.expect(&format!("{ack} #1")).await;
            link.expect(&format!("{ack} #2")).await;
            until(|| client.statistics().received == 5).await;
            others().await;
            link.expect_nothing();
            for number in 1..=5 {
                assert_eq!(next(&mut stream).await, format!("in {number}"));
                if number <= 3 {
                    link.expect(&format!("{ack} #{}", number + 2)).await;
                }
            }
        }
    });
}

#[test]
fn messages_nobody_has_read_when_the_stream_is_dropped_are_acknowledged() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(tight(peer.options()).in_flight(10)).await;
        let (stream, _) = tokio::join!(client.subscribe("in", QoS::ExactlyOnce), link.grant("in q2"));
        for number in 1..=3 {
            link.publish("in", QoS::AtLeastOnce, number, "x").await;
        }
        link.expect("PUBACK #1").await;
        until(|| client.statistics().received == 3).await;
        drop(stream);
        let mut lines = [link.receive().await, link.receive().await, link.receive().await];
        lines.sort();
        assert_eq!(lines, ["PUBACK #2", "PUBACK #3", "UNSUBSCRIBE #2 in"]);
    });
}

#[test]
fn a_stream_that_is_full_for_too_long_loses_messages_and_they_are_counted() {
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().stream_capacity(1)).await;
            let (slow, _) = tokio::join!(client.subscribe("slow", QoS::AtMostOnce), link.grant("slow q0"));
            let (quick, _) = tokio::join!(client.subscribe("quick", QoS::AtMostOnce), link.grant("quick q0"));
            let (mut slow, mut quick) = (slow.unwrap(), quick.unwrap());
            for number in 1..=4 {
                link.publish("slow", QoS::AtMostOnce, 0, &number.to_string()).await;
            }
            link.publish("quick", QoS::AtMostOnce, 0, "x").await;
            until(|| client.statistics().received == 2).await;
            clock.pass(Duration::from_secs(29)).await;
            assert_eq!(client.statistics().dropped, 0);
            clock.pass(Duration::from_secs(1)).await;
            // The others have waited long enough for this one.
            assert_eq!(next(&mut quick).await, "quick x");
            assert_eq!(client.statistics().dropped, 3);
            assert_eq!(next(&mut slow).await, "slow 1");
            for number in 5..=7 {
                link.publish("slow", QoS::AtMostOnce, 0, &number.to_string()).await;
                assert_eq!(next(&mut slow).await, format!("slow {number}"), "it is given another chance");
            }
            assert_eq!(client.statistics().dropped, 3);
        }
    });
}

#[test]
fn as_many_publishes_are_under_way_as_may_be_and_no_more() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().in_flight(8)).await;
            let mut receipts = Vec::new();
            for number in 0..8 {
                receipts.push(client.publish("t", number.to_string()).qos(QoS::AtLeastOnce).send().await.unwrap());
            }
            let error = client.publish("t", "8").qos(QoS::AtLeastOnce).try_send().unwrap_err();
            assert!(matches!(error, Error::Full), "{error:?}");
            let mut ninth = Box::pin(client.publish("t", "8").qos(QoS::AtLeastOnce).send());
            assert!(poll(&mut ninth).is_pending());
            for number in 0..8 {
                assert_eq!(peer::number(&link.receive().await), number + 1);
            }
            others().await;
            link.expect_nothing();
            link.ack(AckKind::Puback, 5, ReasonCode::SUCCESS).await;
            receipts.push(ninth.await.unwrap());
            let line = link.receive().await;
            assert!(line.ends_with("t \"8\""), "{line}");
        }
    });
}

#[test]
fn the_receive_maximum_of_the_broker_is_kept() {
    run(async || {
        let options = mqtt_std::testkit::BrokerOptions::new().receive_maximum(3);
        let broker = mqtt_std::testkit::Broker::start(options).await.unwrap();
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
        let mut receipts = Vec::new();
        for number in 0..200 {
            receipts.push(client.publish("t", number.to_string()).qos(QoS::ExactlyOnce).send().await.unwrap());
        }
        for number in 0..200 {
            assert_eq!(next(&mut stream).await, format!("t {number}"));
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        assert_eq!(client.statistics().connections, 1, "one more at once would have ended the connection");
        end(client).await;
    });
}

#[test]
fn qos_0_waits_when_the_broker_does_not_read() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().queue(2)).await;
            let payload = "x".repeat(100_000);
            let mut sent = 0;
            let mut waiting = loop {
                let mut publish = Box::pin(client.publish("t", payload.clone()).send());
                if poll(&mut publish).is_pending() {
                    others().await;
                    if poll(&mut publish).is_pending() {
                        break publish;
                    }
                }
                sent += 1;
                others().await;
            };
            let error = client.publish("t", "x").try_send().unwrap_err();
            assert!(matches!(error, Error::Full), "{error:?}");
            // Another kind has room of its own.
            drop(client.publish("t", "x").qos(QoS::AtLeastOnce).try_send().unwrap());
            let reading = async {
                let mut received = 0;
                while received <= sent {
                    received += u32::from(link.receive().await.starts_with("PUBLISH q0"));
                }
            };
            tokio::join!(reading, async { assert!((&mut waiting).await.is_ok()) });
        }
    });
}

#[test]
fn who_came_first_is_served_first() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let client = mqtt_std::Client::connect(tight(options(&broker, version, "client"))).await.unwrap();
            // It has one in flight whenever somebody looks.
            let busy = client.clone();
            let busy =
                tokio::spawn(async move { while busy.publish("busy", "x").qos(QoS::AtLeastOnce).await.is_ok() {} });
            others().await;
            let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
            client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
            assert_eq!(next(&mut stream).await, "t x");
            let _ = client.shutdown(LONG).await;
            busy.await.unwrap();
        }
    });
}

#[test]
fn a_message_larger_than_all_room_is_refused_at_once() {
    run(async || {
        let broker = broker().await;
        let client = mqtt_std::Client::connect(options(&broker, V5, "client").storage(1_000)).await.unwrap();
        let error = client.publish("t", vec![0; 2_000]).qos(QoS::AtLeastOnce).await.unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::StorageFull(_))), "{error:?}");
        // Two that do not fit together do so one after the other.
        let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
        for _ in 0..2 {
            drop(client.publish("t", vec![b'x'; 800]).qos(QoS::ExactlyOnce).send().await.unwrap());
        }
        for _ in 0..2 {
            assert_eq!(next(&mut stream).await.len(), 802);
        }
        end(client).await;
    });
}
