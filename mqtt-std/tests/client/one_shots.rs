//! One job, and a client for it alone.

use core::ops::ControlFlow;
use core::time::Duration;

use mqtt_core::AckKind;
use mqtt_std::one_shot::{self, Outgoing};
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Error, Outcome, QoS, ReasonCode};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn messages_are_published_in_their_order_and_the_client_is_gone() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let observer = connect(&broker, version, "observer").await;
            let mut stream = observer.subscribe("#", QoS::ExactlyOnce).await.unwrap();
            let messages = QOS.map(|qos| Outgoing::new("t", format!("{qos:?}")).qos(qos));
            one_shot::publish(options(&broker, version, "client"), messages).await.unwrap();
            for qos in QOS {
                assert_eq!(next(&mut stream).await, format!("t {qos:?}"));
            }
            one_shot::publish(options(&broker, version, "client"), []).await.unwrap();
            until(|| broker.statistics().connections == 1).await;
            end(observer).await;
        }
    });
}

#[test]
fn so_many_messages_are_received() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let other = connect(&broker, version, "other").await;
            other.publish("kept", "1").qos(QoS::AtLeastOnce).retain().await.unwrap();
            let receive = || one_shot::receive(options(&broker, version, "client"), "kept", QoS::ExactlyOnce);
            let messages = receive().await.unwrap();
            assert_eq!(messages.iter().map(line).collect::<Vec<_>>(), ["kept 1"]);
            assert_eq!(receive().count(0).await.unwrap(), []);
            let publish = async {
                until(|| broker.statistics().subscriptions == 2).await;
                for number in 2..10 {
                    other.publish(["a", "kept"][number % 2], number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
                }
            };
            let receive = receive().and("a", QoS::AtLeastOnce).without_retained().count(3);
            let (messages, ()) = tokio::join!(receive.into_future(), publish);
            assert_eq!(messages.unwrap().iter().map(line).collect::<Vec<_>>(), ["a 2", "kept 3", "a 4"]);
            end(other).await;
        }
    });
}

#[test]
fn what_was_not_delivered_is_named() {
    run(async || {
        let broker = Broker::start(BrokerOptions::new().maximum_qos(QoS::AtMostOnce)).await.unwrap();
        let messages = [
            Outgoing::new("a", ""),
            Outgoing::new("a/#", ""),
            Outgoing::new("b", "").qos(QoS::AtLeastOnce),
            Outgoing::new("c", ""),
        ];
        let error = one_shot::publish(options(&broker, V5, "client"), messages.clone()).await.unwrap_err();
        assert_eq!(error.to_string(), "2 of 4 messages not delivered, number 1: a topic name has no wildcard");
        assert!(matches!(
            error.messages[..],
            [(1, Error::InvalidTopicName(_)), (2, Error::Usage(_) | Error::NotDelivered(_))]
        ));
        // Nobody there: the reason stands with the first.
        let nobody = Reserved::new();
        let error = one_shot::publish(nobody.options(), messages.clone()).await.unwrap_err();
        assert!(matches!(
            error.messages[..],
            [
                (0, Error::Transport(_)),
                (1, Error::NotDelivered(Outcome::NotSent)),
                (2, Error::NotDelivered(Outcome::NotSent)),
                (3, Error::NotDelivered(Outcome::NotSent))
            ]
        ));
        let error = one_shot::publish("gopher://localhost", messages).await.unwrap_err();
        assert!(matches!(error.messages[0], (0, Error::InvalidUrl(_))));
    });
}

#[test]
fn a_job_ends_when_its_time_is_over() {
    run(async || {
        for version in BOTH {
            let clock = Clock::stop();
            let peer = Peer::new(version).await;
            let options = peer.options().keep_alive(0);
            let time = Duration::from_secs(5);
            let in_time = |took: Duration| (time..time * 2).contains(&took);
            // The first is acknowledged, the second is not.
            let messages =
                [QoS::AtLeastOnce, QoS::AtLeastOnce, QoS::AtMostOnce].map(|qos| Outgoing::new("t", "x").qos(qos));
            let job = tokio::spawn(one_shot::publish(options.clone(), messages).timeout(time).into_future());
            let mut link = peer.welcome(false).await;
            let sent = [link.receive().await, link.receive().await, link.receive().await];
            let number = sent.iter().filter(|line| line.contains(" q1 ")).map(|line| peer::number(line)).min().unwrap();
            link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await;
            others().await;
            let (result, took) = clock.until_over(job).await;
            let error = result.unwrap().unwrap_err();
            assert!(matches!(error.messages[..], [(1, Error::NotDelivered(Outcome::Unknown))]), "{error:?}");
            assert!(in_time(took), "{took:?}");
            // One message comes, two are wanted.
            let receive = one_shot::receive(options.clone(), "t", QoS::AtLeastOnce).count(2).timeout(time);
            let job = tokio::spawn(receive.into_future());
            let mut link = peer.welcome(false).await;
            link.grant("t q1").await;
            link.publish("t", QoS::AtMostOnce, 0, "one").await;
            others().await;
            let (result, took) = clock.until_over(job).await;
            let error = result.unwrap().unwrap_err();
            assert_eq!(error.messages.iter().map(line).collect::<Vec<_>>(), ["t one"]);
            assert!(matches!(error.error, Error::Timeout));
            assert!(in_time(took), "{took:?}");
            // No SUBACK.
            let listen = one_shot::listen(options.clone(), "t", QoS::AtLeastOnce, |_| ControlFlow::<()>::Continue(()));
            let job = tokio::spawn(listen.timeout(time).into_future());
            let mut link = peer.welcome(false).await;
            link.receive().await;
            let (result, took) = clock.until_over(job).await;
            assert!(matches!(result.unwrap(), Err(Error::Timeout)));
            assert!(in_time(took), "{took:?}");
        }
    });
}

#[test]
fn a_function_is_called_until_it_breaks() {
    run(async || {
        let broker = broker().await;
        let other = connect(&broker, V5, "other").await;
        let mut calls = 0;
        let listen = one_shot::listen(options(&broker, V5, "client"), "t/+", QoS::AtLeastOnce, move |message| {
            calls += 1;
            if message.topic() == "t/end" { ControlFlow::Break(calls) } else { ControlFlow::Continue(()) }
        });
        let publish = async {
            until(|| broker.statistics().subscriptions == 1).await;
            for topic in ["t/1", "t/2", "t/end", "t/3"] {
                other.publish(topic, "").qos(QoS::AtLeastOnce).await.unwrap();
            }
        };
        let (calls, ()) = tokio::join!(listen.into_future(), publish);
        assert_eq!(calls.unwrap(), 3);
        end(other).await;
    });
}

#[test]
fn a_job_that_is_dropped_leaves_nothing_behind() {
    run(async || {
        let broker = broker().await;
        for polls in 0..20 {
            let options = options(&broker, V5, "client");
            let message = Outgoing::new("t", "x").qos(QoS::ExactlyOnce);
            drop(drop_after(polls, one_shot::publish(options.clone(), [message]).into_future()).await);
            drop(drop_after(polls, one_shot::receive(options, "t", QoS::AtLeastOnce).into_future()).await);
            until(|| broker.statistics().connections == 0).await;
        }
    });
}

#[test]
fn a_job_can_block_its_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(broker());
    let at = options(&broker, V5, "client");
    let message = Outgoing::new("t", "x").qos(QoS::ExactlyOnce).retain();
    one_shot::publish(at.clone(), [message]).wait().unwrap();
    let messages = one_shot::receive(at.clone(), "t", QoS::AtLeastOnce).wait().unwrap();
    assert_eq!(line(&messages[0]), "t x");
    // What it borrows need not outlive the call.
    let mut seen = Vec::new();
    let value = one_shot::listen(at, "t", QoS::AtLeastOnce, |message| {
        seen.push(line(&message));
        ControlFlow::Break(7)
    });
    assert_eq!(value.wait().unwrap(), 7);
    assert_eq!(seen, ["t x"]);
}

#[test]
fn a_job_names_what_was_not_sent_and_nothing_else() {
    run(async || {
        let clock = Clock::stop();
        let peer = Peer::new(V5).await;
        let options = peer.options().keep_alive(0).in_flight(1);
        let messages =
            [("a", QoS::AtMostOnce), ("b", QoS::AtLeastOnce), ("c", QoS::AtLeastOnce), ("d", QoS::AtMostOnce)]
                .map(|(topic, qos)| Outgoing::new(topic, "x").qos(qos));
        let job = tokio::spawn(one_shot::publish(options, messages).timeout(Duration::from_secs(5)).into_future());
        let mut link = peer.welcome(false).await;
        assert!(link.receive().await.contains(" a "));
        assert!(link.receive().await.contains(" b "));
        drop(link);
        others().await;
        let (result, _) = clock.until_over(job).await;
        let error = result.unwrap().unwrap_err();
        let numbers: Vec<_> = error.messages.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3], "{error:?}");
    });
}
