//! The way to a connection, and what to do when there is none.

use core::time::Duration;
use std::io::ErrorKind;

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::transport::TransportFault;
use mqtt_std::{Backoff, Cause, Client, ConnectionError, Error, Fallback, QoS, ReasonCode, Status, Will};

use super::support::*;

#[test]
fn what_is_published_before_the_first_connection_is_sent_then() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let reserved = Reserved::new();
            let client = Client::connect_retrying(reserved.options().version(version)).unwrap();
            let mut receipts = Vec::new();
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                receipts.push(client.publish("t", format!("{qos:?}")).qos(qos).send().await.unwrap());
            }
            let mut subscribe = client.subscribe("t", QoS::AtMostOnce).into_future();
            assert!(poll(&mut subscribe).is_pending());
            status(&client, is_waiting).await;
            let peer = Peer::on(reserved.listen(), version);
            clock.pass(Duration::from_secs(1)).await;
            let mut link = peer.welcome(false).await;
            let mut lines = Vec::new();
            for _ in 0..4 {
                lines.push(link.receive().await);
            }
            lines.sort();
            assert_eq!(
                lines,
                [
                    "PUBLISH q0 t \"AtMostOnce\"",
                    "PUBLISH q1 #1 t \"AtLeastOnce\"",
                    "PUBLISH q2 #2 t \"ExactlyOnce\"",
                    "SUBSCRIBE #3 t q0"
                ]
            );
        }
    });
}

#[test]
fn a_refused_connection_is_tried_again_after_the_delays_of_the_policy() {
    // trap R1
    run(async || {
        let clock = Clock::stop();
        let nobody = Reserved::new();
        let error = Client::connect(nobody.options()).await.unwrap_err();
        assert!(matches!(&error, Error::Transport(error) if error.kind() == ErrorKind::ConnectionRefused), "{error:?}");

        let client = Client::connect_retrying(nobody.options()).unwrap();
        let delays = delays(&client, &clock, 12, is_refused).await;
        assert_delays_grow(&delays);
    });
}

#[test]
fn a_name_that_does_not_exist_is_an_error() {
    // trap R1; a label of more than 63 characters is refused before anybody is asked
    run(async || {
        let name = "x".repeat(64);
        let error = Client::connect(format!("mqtt://{name}.invalid").as_str()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Transport(error) if error.fault() == TransportFault::NameNotResolved),
            "{error:?}"
        );
    });
}

#[test]
fn a_peer_that_accepts_and_says_nothing_is_given_up() {
    // trap K6
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let connect = tokio::spawn(Client::connect(peer.options()));
            let mut link = peer.accept().await;
            assert!(link.receive().await.starts_with("CONNECT"));
            clock.pass(Duration::from_secs(10)).await;
            let error = connect.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Connection(ConnectionError::ConnackTimeout)), "{error:?}");
            link.expect("closed").await;
        }
    });
}

#[test]
fn a_peer_that_does_not_even_accept_is_given_up() {
    run(async || {
        let clock = Clock::stop();
        let deaf = Deaf::new().await;
        let options = deaf.options().connect_timeout(Duration::from_secs(3));
        let client = Client::connect_retrying(options).unwrap();
        others().await;
        assert!(matches!(*client.status().borrow(), Status::Connecting { .. }));
        clock.pass(Duration::from_secs(3)).await;
        let waiting = status(&client, is_waiting).await;
        assert!(matches!(waiting, Status::Waiting { error: Cause::ConnectTimeout, .. }), "{waiting:?}");
    });
}

#[test]
fn a_client_that_is_thrown_out_at_once_waits_longer_each_time() {
    // trap R2
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
            let throwing_out = async {
                loop {
                    drop(peer.welcome(false).await);
                }
            };
            tokio::select! {
                () = throwing_out => {}
                delays = delays(&client, &clock, 20, is_thrown_out) => assert_delays_grow(&delays),
            }
            assert_eq!(client.statistics().connections, 20);
        }
    });
}

fn is_thrown_out(cause: &Cause) -> bool {
    // From the third on it is no accident.
    matches!(cause, Cause::ConnectionLost | Cause::TakenOver { times: 3.. })
}

fn is_refused(cause: &Cause) -> bool {
    matches!(cause, Cause::Transport(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// So many delays, in milliseconds, each of which passes.
async fn delays(client: &Client, clock: &Clock, count: usize, expected: impl Fn(&Cause) -> bool) -> Vec<u64> {
    let mut delays = Vec::new();
    while delays.len() < count {
        let Status::Waiting { error, retry_in, .. } = status(client, is_waiting).await else { panic!("not waiting") };
        assert!(expected(&error), "{error:?}");
        delays.push(u64::try_from(retry_in.as_millis()).unwrap());
        if delays.len() < count {
            clock.pass(retry_in).await;
        }
    }
    delays
}

/// The default policy: between half a second and twice that, four times that, and so on up to a minute.
fn assert_delays_grow(delays: &[u64]) {
    for (attempt, &delay) in delays.iter().enumerate() {
        let most = 500 << (attempt + 1).min(10);
        assert!((500..=most.min(60_000)).contains(&delay), "delay {attempt} of {delays:?}");
    }
    // All of the later ones are below 10 s once in ten million runs.
    assert!(delays.iter().skip(6).any(|&delay| delay > 4_000), "{delays:?}");
}

#[test]
fn after_a_stable_connection_delays_begin_anew() {
    run(async || {
        let clock = Clock::stop();
        let peer = Peer::new(V5).await;
        let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
        for _ in 0..8 {
            drop(peer.welcome(false).await);
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!("not waiting") };
            clock.pass(retry_in).await;
        }
        for _ in 0..5 {
            let link = peer.welcome(false).await;
            status(&client, is_connected).await;
            clock.pass(Duration::from_secs(20)).await;
            drop(link);
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!("not waiting") };
            assert!(retry_in <= Duration::from_secs(1), "{retry_in:?}");
            clock.pass(retry_in).await;
        }
    });
}

#[test]
fn a_refusal_that_passes_is_waited_for_and_one_that_does_not_ends_the_client() {
    // trap R3
    run(async || {
        let clock = Clock::stop();
        for (reason, passes) in [
            (ReasonCode::SERVER_BUSY, true),
            (ReasonCode::SERVER_UNAVAILABLE, true),
            (ReasonCode::BAD_USER_NAME_OR_PASSWORD, false),
            (ReasonCode::NOT_AUTHORIZED, false),
            (ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, false),
        ] {
            let peer = Peer::new(V5).await;
            let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
            let mut link = peer.accept().await;
            link.receive().await;
            link.connack(false, reason).await;
            let cause = Cause::Connection(ConnectionError::Refused(reason));
            match status(&client, |status| is_waiting(status) || is_closed(status)).await {
                Status::Waiting { error, retry_in, .. } if passes && error == cause => {
                    assert!(retry_in >= Duration::from_secs(10), "{retry_in:?}");
                }
                Status::Closed { error: Some(error), .. } if !passes && error == cause => {}
                other => panic!("{reason}: {other:?}"),
            }
        }
        drop(clock);
    });
}

#[test]
fn the_first_of_two_clients_with_one_identifier_waits_long() {
    run(async || {
        let broker = broker().await;
        let first = connect(&broker, V5, "client").await;
        let second = connect(&broker, V5, "client").await;
        let taken_over = Cause::TakenOver { times: 1 };
        let Status::Waiting { error, retry_in, .. } = status(&first, |status| !is_connected(status)).await else {
            panic!("not waiting")
        };
        assert!(error == taken_over && retry_in >= Duration::from_secs(10), "{error:?} {retry_in:?}");
        second.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(second.statistics().connections, 1);
        end(second).await;
    });
}

#[test]
fn a_broker_without_5_0_is_spoken_to_in_3_1_1_and_what_that_cannot_say_is_told() {
    run(async || {
        let broker = Broker::start(BrokerOptions::new().accept_version(V5, false)).await.unwrap();
        let options = || options(&broker, V5, "client").fallback(Fallback::ON);
        let will = Will::new("will", "x").delay(5);
        let client = Client::connect(options().will(will)).await.unwrap();
        let Status::Connected { version, loss, .. } = status(&client, is_connected).await else { panic!() };
        assert_eq!(version, V3);
        assert!(loss.session_expiry_interval && loss.will_properties && !loss.is_none());
        client.publish("t", "x").qos(QoS::ExactlyOnce).await.unwrap();
        end(client).await;

        let error = Client::connect(options().version(V5)).await.unwrap_err();
        let refused = ConnectionError::Refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
        assert!(matches!(error, Error::Connection(found) if found == refused), "{error:?}");
    });
}

#[test]
fn the_version_that_a_broker_speaks_is_remembered() {
    run(async || {
        let peer = Peer::new(V3).await;
        let client = Client::connect_retrying(peer.options().version(V5).fallback(Fallback::ON)).unwrap();
        let mut link = peer.accept().await;
        link.expect("CONNECT 5 client clean").await;
        link.connack(false, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION).await;
        for _ in 0..3 {
            let mut link = peer.accept().await;
            link.expect("CONNECT 4 client clean").await;
            link.connack(false, ReasonCode::SUCCESS).await;
            status(&client, is_connected).await;
        }
    });
}

#[test]
fn a_close_without_an_answer_makes_it_fall_back_by_option_only() {
    run(async || {
        for (fallback, next) in [(Fallback::ON, 5), (Fallback::ON.after_close(true), 4)] {
            for reset in [false, true] {
                let peer = Peer::new(V3).await;
                let client = Client::connect_retrying(peer.options().version(V5).fallback(fallback)).unwrap();
                let mut link = peer.accept().await;
                link.expect("CONNECT 5 client clean").await;
                if reset {
                    link.reset()
                } else {
                    drop(link)
                }
                let mut link = peer.accept().await;
                link.expect(&format!("CONNECT {next} client clean")).await;
                drop(client);
            }
        }
    });
}

#[test]
fn a_will_with_an_invalid_topic_is_refused_before_anything_is_sent() {
    run(async || {
        let nobody = Reserved::new();
        for will in [Will::new("a/#", "x"), Will::new("a", "x").response_topic("+")] {
            let error = Client::connect(nobody.options().will(will)).await.unwrap_err();
            assert!(matches!(error, Error::InvalidTopicName(_)), "{error:?}");
        }
    });
}

#[test]
fn a_will_has_the_properties_of_a_message() {
    run(async || {
        let broker = broker().await;
        let observer = connect(&broker, V5, "observer").await;
        let mut wills = observer.subscribe("will", QoS::AtLeastOnce).await.unwrap();
        let will = Will::new("will", "gone").qos(QoS::AtLeastOnce).payload_is_text().message_expiry_interval(60);
        let will = will.content_type("text/plain").response_topic("answers").correlation_data("7");
        let will = will.user_property("a", "1").user_property("a", "2");
        let client = Client::connect(options(&broker, V5, "client").will(will)).await.unwrap();
        assert!(broker.disconnect_client("client"));
        let message = wills.next().await.unwrap();
        assert_eq!(message.payload(), b"gone");
        assert!(message.payload_is_text());
        assert!(message.message_expiry_interval().is_some_and(|seconds| seconds <= 60));
        assert_eq!((message.content_type(), message.response_topic()), (Some("text/plain"), Some("answers")));
        assert_eq!(message.correlation_data(), Some(&b"7"[..]));
        assert_eq!(message.user_properties().collect::<Vec<_>>(), [("a", "1"), ("a", "2")]);
        end(client).await;
    });
}
