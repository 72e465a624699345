//! The truth about each message.

use core::time::Duration;

use mqtt_core::AckKind;
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, Delivered, Error, Outcome, QoS, ReasonCode, UsageError};

use super::support::*;

#[test]
fn a_receipt_tells_what_the_broker_answered() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        for (reason, delivered) in [
            (ReasonCode::SUCCESS, true),
            (ReasonCode::NO_MATCHING_SUBSCRIBERS, true),
            (ReasonCode::QUOTA_EXCEEDED, false),
            (ReasonCode::NOT_AUTHORIZED, false),
        ] {
            for (qos, kind) in [(QoS::AtLeastOnce, AckKind::Puback), (QoS::ExactlyOnce, AckKind::Pubrec)] {
                let receipt = client.publish("t", "x").qos(qos).send().await.unwrap();
                let number = peer::number(&link.receive().await);
                link.ack(kind, number, reason).await;
                // trap Q5: after a refusal there is no PUBREL
                if qos == QoS::ExactlyOnce && delivered {
                    link.expect(&format!("PUBREL #{number}")).await;
                    link.ack(AckKind::Pubcomp, number, ReasonCode::SUCCESS).await;
                }
                match receipt.await {
                    Ok(Delivered::Acknowledged(found)) if delivered && (found == reason || qos == QoS::ExactlyOnce) => {
                    }
                    Err(Error::Rejected(found)) if !delivered && found == reason => {}
                    other => panic!("{reason} {qos:?}: {other:?}"),
                }
            }
        }
        link.expect_nothing();
    });
}

#[test]
fn acknowledgements_may_come_in_any_order() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().in_flight(5)).await;
            let mut receipts = Vec::new();
            let mut numbers = Vec::new();
            for payload in ["a", "b", "c", "d", "e"] {
                receipts.push(client.publish("t", payload).qos(QoS::AtLeastOnce).send().await.unwrap());
                numbers.push(peer::number(&link.receive().await));
            }
            // trap P1
            for index in [3, 0, 4, 2, 1] {
                assert!(poll(&mut receipts[index]).is_pending());
                link.ack(AckKind::Puback, numbers[index], ReasonCode::SUCCESS).await;
                (&mut receipts[index]).await.unwrap();
            }
        }
    });
}

#[test]
fn a_lost_session_leaves_what_was_sent_at_qos_2_unknown_and_publishes_qos_1_anew() {
    // trap S1
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let once = client.publish("t", "once").qos(QoS::ExactlyOnce).send().await.unwrap();
            let released = client.publish("t", "released").qos(QoS::ExactlyOnce).send().await.unwrap();
            let again = client.publish("t", "again").qos(QoS::AtLeastOnce).send().await.unwrap();
            let mut number = 0;
            for payload in ["once", "released", "again"] {
                let line = link.receive().await;
                assert!(line.ends_with(&format!("t {payload:?}")), "{line}");
                number = if payload == "released" { peer::number(&line) } else { number };
            }
            link.ack(AckKind::Pubrec, number, ReasonCode::SUCCESS).await;
            link.expect(&format!("PUBREL #{number}")).await;
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let unsent = client.publish("t", "unsent").qos(QoS::ExactlyOnce).send().await.unwrap();

            let mut link = peer.welcome(false).await;
            for receipt in [once, released] {
                assert!(matches!(receipt.await, Err(Error::NotDelivered(Outcome::Unknown))));
            }
            let line = link.receive().await;
            assert!(line.starts_with("PUBLISH q1") && !line.contains("dup"), "{line}");
            link.ack(AckKind::Puback, peer::number(&line), ReasonCode::SUCCESS).await;
            again.await.unwrap();
            let line = link.receive().await;
            assert!(line.starts_with("PUBLISH q2") && line.ends_with("\"unsent\""), "{line}");
            link.ack(AckKind::Pubrec, peer::number(&line), ReasonCode::SUCCESS).await;
            link.expect(&format!("PUBREL #{}", peer::number(&line))).await;
            link.ack(AckKind::Pubcomp, peer::number(&line), ReasonCode::SUCCESS).await;
            unsent.await.unwrap();
        }
    });
}

#[test]
fn a_resumed_session_goes_on_where_it_was() {
    // [v5 MQTT-4.4.0-1] trap Q3
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let first = client.publish("t", "first").qos(QoS::AtLeastOnce).send().await.unwrap();
        let second = client.publish("t", "second").qos(QoS::ExactlyOnce).send().await.unwrap();
        link.expect("PUBLISH q1 #1 t \"first\"").await;
        link.expect("PUBLISH q2 #2 t \"second\"").await;
        link.ack(AckKind::Pubrec, 2, ReasonCode::SUCCESS).await;
        link.expect("PUBREL #2").await;
        drop(link);
        let mut link = peer.welcome(true).await;
        let mut lines = [link.receive().await, link.receive().await];
        lines.sort();
        assert_eq!(lines, ["PUBLISH q1 #1 dup t \"first\"", "PUBREL #2"]);
        link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
        link.ack(AckKind::Pubcomp, 2, ReasonCode::SUCCESS).await;
        first.await.unwrap();
        second.await.unwrap();
        end(client).await;
    });
}

#[test]
fn the_end_of_the_client_resolves_every_receipt() {
    run(async || {
        let clock = Clock::stop();
        let nobody = Reserved::new();
        let client = Client::connect_retrying(nobody.options()).unwrap();
        let unsent = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let queued = client.publish("t", "x").send().await.unwrap();
        let (shutdown, _) = clock.until_over(client.shutdown(Duration::from_secs(1))).await;
        assert!(matches!(unsent.await, Err(Error::NotDelivered(Outcome::NotSent))));
        assert!(matches!(queued.await, Err(Error::NotDelivered(Outcome::NotSent))));
        assert_eq!(shutdown.unwrap().undelivered, 2);

        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let sent = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        link.receive().await;
        let (shutdown, _) = clock.until_over(client.shutdown(Duration::ZERO)).await;
        assert_eq!(shutdown.unwrap().undelivered, 1);
        assert!(matches!(sent.await, Err(Error::NotDelivered(Outcome::Unknown))));
        assert!(matches!(client.publish("t", "x").await, Err(Error::Closed)));
        assert!(matches!(client.subscribe("t", QoS::AtMostOnce).await, Err(Error::Closed)));
    });
}

#[test]
fn a_receipt_that_is_dropped_changes_nothing() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
        for number in 0..10 {
            drop(client.publish("t", number.to_string()).qos(QoS::ExactlyOnce).send().await.unwrap());
        }
        for number in 0..10 {
            assert_eq!(next(&mut stream).await, format!("t {number}"));
        }
        end(client).await;
    });
}

#[test]
fn what_expires_before_it_is_sent_is_not_sent() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let nobody = Reserved::new();
            let backoff = mqtt_std::Backoff::new().minimum(60_000).maximum(60_000);
            let client = Client::connect_retrying(nobody.options().version(version).backoff(backoff)).unwrap();
            let publish = |payload| client.publish("t", payload).message_expiry_interval(10);
            let first = publish("first").qos(QoS::AtLeastOnce).send().await.unwrap();
            drop(publish("second").send().await.unwrap());
            let later = client.publish("t", "third").message_expiry_interval(100);
            drop(later.send().await.unwrap());
            status(&client, is_waiting).await;
            let peer = Peer::on(nobody.listen(), version);
            clock.pass(Duration::from_secs(60)).await;
            let mut link = peer.welcome(false).await;
            assert!(matches!(first.await, Err(Error::NotDelivered(Outcome::Expired))));
            // The rest of its time.
            let left = if version == V5 { " [MessageExpiryInterval(39)]" } else { "" };
            link.expect(&format!("PUBLISH q0 t \"third\"{left}")).await;
        }
    });
}

#[test]
fn a_limit_of_the_broker_is_named() {
    // trap R4
    run(async || {
        let broker = BrokerOptions::new().maximum_qos(QoS::AtLeastOnce).retain_available(false).max_packet_size(1_000);
        let broker = Broker::start(broker).await.unwrap();
        let client = connect(&broker, V5, "client").await;
        let error = client.publish("t", "x").qos(QoS::ExactlyOnce).await.unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::QoSNotSupported { .. })), "{error:?}");
        let error = client.publish("t", "x").retain().await.unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::RetainNotSupported)), "{error:?}");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let error = client.publish("t", vec![0; 1_000]).qos(qos).await.unwrap_err();
            assert!(matches!(error, Error::Usage(UsageError::PacketTooLarge { .. })), "{error:?}");
        }
        client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(client.statistics().connections, 1);
        end(client).await;
    });
}
