//! The end.

use core::time::Duration;

use mqtt_core::AckKind;
use mqtt_std::{Client, Error, QoS, ReasonCode, Status};

use super::support::*;

const TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn shutdown_waits_until_everything_is_delivered() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let other = connect(&broker, version, "other").await;
            let mut stream = other.subscribe("t", QoS::ExactlyOnce).await.unwrap();
            let client = connect(&broker, version, "client").await;
            let mut receipts = Vec::new();
            for number in 0..90 {
                let qos = QoS::from_u8(number % 3).unwrap();
                receipts.push(client.publish("t", number.to_string()).qos(qos).send().await.unwrap());
            }
            end(client).await;
            for receipt in receipts {
                receipt.await.unwrap();
            }
            for _ in 0..90 {
                next(&mut stream).await;
            }
            end(other).await;
        }
    });
}

#[test]
fn disconnect_ends_the_session_unless_it_is_kept() {
    run(async || {
        for (version, keep, line) in [
            (V5, false, "DISCONNECT 00 [SessionExpiryInterval(0)]"),
            (V5, true, "DISCONNECT 00"),
            (V3, false, "DISCONNECT 00"),
            (V3, true, "DISCONNECT 00"),
        ] {
            let peer = Peer::new(version).await;
            let options = if keep { peer.options().keep_session() } else { peer.options() };
            let (client, mut link) = peer.connect(options).await;
            let ends = tokio::spawn(end(client));
            link.expect(line).await;
            link.expect("closed").await;
            drop(link);
            ends.await.unwrap();
        }
    });
}

/// As long as it was told, and no longer.
fn assert_took_its_time(elapsed: Duration) {
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + Duration::from_millis(300), "{elapsed:?}");
}

#[test]
fn with_full_queues_it_takes_as_long_as_it_may() {
    // trap C9
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().in_flight(3).queue(1)).await;
            let mut receipts = Vec::new();
            for _ in 0..3 {
                receipts.push(client.publish("t", "x").qos(QoS::ExactlyOnce).send().await.unwrap());
                link.receive().await;
            }
            let mut waiting = Box::pin(client.publish("t", "x").qos(QoS::ExactlyOnce).send());
            assert!(poll(&mut waiting).is_pending());
            let (shutdown, elapsed) = clock.until_over(client.shutdown(TIMEOUT)).await;
            assert_eq!(shutdown.unwrap().undelivered, 3);
            assert_took_its_time(elapsed);
            assert!(matches!(waiting.await, Err(Error::Closed)));
            for receipt in receipts {
                assert!(matches!(receipt.await, Err(Error::NotDelivered(_))));
            }
            let line = link.receive().await;
            assert!(line.starts_with("DISCONNECT"), "{line}");
        }
    });
}

#[test]
fn with_a_dead_link_it_takes_as_long_as_it_may() {
    // trap C9
    run(async || {
        for version in BOTH {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let clock = Clock::stop();
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(peer.options()).await;
                // More than all buffers take, and nobody reads.
                let _receipt = client.publish("t", "x".repeat(20_000_000)).qos(qos).send().await.unwrap();
                others().await;
                let (shutdown, elapsed) = clock.until_over(client.shutdown(TIMEOUT)).await;
                assert_eq!(shutdown.unwrap().undelivered, usize::from(qos != QoS::AtMostOnce));
                assert_took_its_time(elapsed);
                // Nothing was put inside the message.
                let sent = link.read_to_end().await.unwrap_or_default();
                assert!(sent.len() < 20_000_000 && sent.iter().rev().take(100).all(|&byte| byte == b'x'));
            }
        }
    });
}

#[test]
fn a_dead_link_with_a_backlog_is_noticed() {
    // trap K6
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, _link) = peer.connect(peer.options()).await;
            let _receipt = client.publish("t", "x".repeat(20_000_000)).qos(QoS::AtLeastOnce).send().await.unwrap();
            others().await;
            for _ in 0..12 {
                clock.pass(Duration::from_secs(10)).await;
            }
            assert!(!is_connected(&client.status().borrow()), "{:?}", client.status().borrow());
        }
    });
}

#[test]
fn a_peer_that_says_nonsense_and_does_not_read_is_left() {
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let _receipt = client.publish("t", "x".repeat(20_000_000)).qos(QoS::AtLeastOnce).send().await.unwrap();
            others().await;
            link.send_bytes(&[0xf7, 0xff]).await;
            others().await;
            clock.pass(Duration::from_secs(1)).await;
            status(&client, |status| !is_connected(status)).await;
        }
    });
}

#[test]
fn twice_and_from_two_handles_it_is_the_same_end() {
    // trap C9
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let client = connect(&broker, version, "client").await;
            let other = client.clone();
            let _receipt = client.publish("t", "x").qos(QoS::ExactlyOnce).send().await.unwrap();
            let (one, two) = tokio::join!(client.shutdown(LONG), other.shutdown(Duration::ZERO));
            assert_eq!((one.unwrap().undelivered, two.unwrap().undelivered), (0, 0));
            assert_eq!(client.shutdown(LONG).await.unwrap().undelivered, 0);
            assert!(matches!(*client.status().borrow(), Status::Closed { error: None, .. }));
        }
    });
}

#[test]
fn a_shutdown_that_is_dropped_goes_on() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut shutdown = Box::pin(client.shutdown(LONG));
        assert!(poll(&mut shutdown).is_pending());
        drop(shutdown);
        status(&client, is_closed).await;
        until(|| broker.statistics().connections == 0).await;
    });
}

#[test]
fn without_a_connection_it_waits_only_if_there_is_something_to_deliver() {
    run(async || {
        let clock = Clock::stop();
        let (refused, deaf, silent) = (Reserved::new(), Deaf::new().await, Peer::new(V5).await);
        for options in [refused.options(), deaf.options(), silent.options()] {
            let client = Client::connect_retrying(options.clone()).unwrap();
            others().await;
            let ((), elapsed) = clock.until_over(end(client)).await;
            // A broker has half a second to close.
            assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");

            let client = Client::connect_retrying(options).unwrap();
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let (shutdown, elapsed) = clock.until_over(client.shutdown(TIMEOUT)).await;
            assert_eq!(shutdown.unwrap().undelivered, 1);
            assert_took_its_time(elapsed);
            assert!(matches!(receipt.await, Err(Error::NotDelivered(_))));
        }
    });
}

#[test]
fn streams_end_once_everything_is_read() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().stream_capacity(1).stall_timeout(LONG)).await;
        let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtMostOnce), link.grant("a q0"));
        let mut stream = stream.unwrap();
        link.publish("a", QoS::AtMostOnce, 0, "1").await;
        link.publish("a", QoS::AtMostOnce, 0, "2").await;
        until(|| client.statistics().received == 2).await;
        let reading = tokio::spawn(async move { link.read_to_end().await });
        end(client).await;
        assert_eq!(next(&mut stream).await, "a 1");
        assert_eq!(next(&mut stream).await, "a 2");
        assert!(stream.next().await.is_none() && stream.next().await.is_none());
        reading.await.unwrap().unwrap();
    });
}

#[test]
fn the_last_handle_says_goodbye() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            drop(client.publish("t", "x").send().await.unwrap());
            let clone = client.clone();
            drop(client);
            link.expect("PUBLISH q0 t \"x\"").await;
            others().await;
            link.expect_nothing();
            drop(clone);
            assert!(link.receive().await.starts_with("DISCONNECT"));
            link.expect("closed").await;
        }
    });
}

#[test]
fn what_was_not_read_does_not_destroy_the_goodbye() {
    // A socket that is closed with unread bytes resets the connection.
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().stream_capacity(1).stall_timeout(LONG)).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtMostOnce), link.grant("a q0"));
            let _stream = stream.unwrap();
            for _ in 0..5 {
                link.publish("a", QoS::AtMostOnce, 0, &"x".repeat(20_000)).await;
            }
            until(|| client.statistics().received == 2).await;
            let ends = tokio::spawn(end(client));
            assert!(link.receive().await.starts_with("DISCONNECT"));
            link.expect("closed").await;
            drop(link);
            ends.await.unwrap();
        }
    });
}

#[test]
fn an_error_of_the_peer_is_told_to_it() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        // A PUBACK with flags.
        link.send_bytes(&[0x41, 2, 0, 1]).await;
        link.expect("DISCONNECT 81").await;
        link.expect("closed").await;
        drop(link);
        status(&client, |status| !is_connected(status)).await;
        drop(client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap());
        let _ = client.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn acknowledgements_that_come_during_shutdown_count() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let ends = tokio::spawn(async move { client.shutdown(LONG).await });
        link.expect("PUBLISH q1 #1 t \"x\"").await;
        others().await;
        link.expect_nothing();
        link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
        receipt.await.unwrap();
        link.expect("DISCONNECT 00 [SessionExpiryInterval(0)]").await;
        drop(link);
        assert_eq!(ends.await.unwrap().unwrap().undelivered, 0);
    });
}
