//! Much at once, and readers that take their time.

use core::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, QoS};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn a_reader_may_be_away_for_three_keep_alives() {
    // traps K1, K4
    run(async || {
        for version in BOTH {
            for qos in QOS {
                let clock = Clock::stop();
                let broker = broker().await;
                let options = options(&broker, version, "client").keep_alive(60);
                let client =
                    Client::connect(options.stream_capacity(1).in_flight(2).stall_timeout(LONG)).await.unwrap();
                let other = connect(&broker, version, "other").await;
                let mut stream = client.subscribe("t", qos).await.unwrap();
                for number in 0..20 {
                    other.publish("t", number.to_string()).qos(qos).await.unwrap();
                }
                for number in 0..20 {
                    if number % 7 == 3 {
                        for _ in 0..36 {
                            clock.pass(Duration::from_secs(5)).await;
                        }
                    }
                    assert_eq!(next(&mut stream).await, format!("t {number}"), "{version:?} {qos:?}");
                }
                let statistics = client.statistics();
                assert_eq!((statistics.connections, statistics.dropped), (1, 0), "{version:?} {qos:?}");
                end(client).await;
                end(other).await;
            }
        }
    });
}

#[test]
fn ten_thousand_subscriptions_are_made_renewed_and_undone() {
    const COUNT: usize = 10_000;
    run(async || {
        let version = V5;
        let options_of_broker = BrokerOptions::new().max_subscriptions(2 * COUNT).max_session_expiry_interval(0);
        let broker = Broker::start(options_of_broker).await.unwrap();
        let client = connect(&broker, version, "client").await;
        let mut streams = Vec::new();
        for number in 0..COUNT {
            let filter = if number % 2 == 0 { format!("a/{number}/+") } else { format!("a/{number}/#") };
            streams.push(client.subscribe(filter, QoS::AtLeastOnce).send().await.unwrap());
        }
        for stream in &mut streams {
            stream.confirmed().await.unwrap();
        }
        assert_eq!(broker.statistics().subscriptions, COUNT);
        for round in 0..2 {
            for number in (0..COUNT).step_by(37) {
                client.publish(format!("a/{number}/x"), round.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
                let expected = format!("a/{number}/x {round}");
                assert_eq!(next(&mut streams[number]).await, expected);
            }
            // The broker forgets them all.
            assert!(broker.disconnect_client("client"));
            until(|| broker.statistics().subscriptions < COUNT).await;
            until(|| broker.statistics().subscriptions == COUNT).await;
        }
        assert_eq!(client.statistics().unrouted, 0);
        drop(streams);
        until(|| broker.statistics().subscriptions == 0).await;
        end(client).await;
    });
}
