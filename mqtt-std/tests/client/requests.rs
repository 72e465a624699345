//! Requests and their answers.

use core::time::Duration;

use mqtt_core::{Connack, Packet, Properties, Property};
use mqtt_std::testkit::Broker;
use mqtt_std::{Client, Error, Message, Options, ProtocolVersion, QoS, ReasonCode, Requests, Router};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// All bounds are 1, and nothing may wait for the time to pass.
fn tight(options: Options) -> Options {
    options.in_flight(1).queue(1).stream_capacity(1).stall_timeout(LONG)
}

/// Answers `square/{n}` and `echo/#`.
async fn responder(broker: &Broker, version: ProtocolVersion) -> Client {
    let client = Client::connect(tight(options(broker, version, "responder"))).await.unwrap();
    let router = Router::new()
        .on_request(("square/{n}", QoS::ExactlyOnce), |_, captures| async move {
            let number: u64 = captures.get("n").unwrap_or_default().parse()?;
            Ok::<_, core::num::ParseIntError>((number * number).to_string())
        })
        .unwrap()
        .on_request("echo/#", |message, _| async move { message.payload_bytes() })
        .unwrap();
    tokio::spawn(router.subscribe(&client).await.unwrap().run());
    client
}

fn text(answer: Result<Message, Error>) -> String {
    answer.unwrap().payload_str().unwrap().to_owned()
}

#[test]
fn versions_of_all_kinds_understand_each_other() {
    run(async || {
        let broker = broker().await;
        for (ours, theirs) in [(V5, V5), (V3, V3), (V3, V5)] {
            let responder = responder(&broker, theirs).await;
            let client = Client::connect(tight(options(&broker, ours, "client"))).await.unwrap();
            let requests = client.requests().await.unwrap();
            for qos in QOS {
                let answer = requests.request("square/12", "").qos(qos).await.unwrap();
                assert_eq!((answer.payload_str().unwrap(), answer.qos()), ("144", qos), "{ours:?} {theirs:?}");
                let answer = requests.request("echo/a/b", "hello").qos(qos).await;
                assert_eq!(text(answer), "hello");
            }
            let statistics = requests.statistics();
            assert_eq!((statistics.waiting, statistics.answered, statistics.unknown), (0, 6, 0));
            drop(requests);
            until(|| broker.statistics().subscriptions == 3).await; // those of the responder
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn many_requests_wait_at_once_and_no_more_than_may() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let responder = responder(&broker, version).await;
            let client = connect(&broker, version, "client").await;
            for at_once in [1, 7, 1_000] {
                let requests = client.requests().at_once(at_once).await.unwrap();
                let tasks: Vec<_> = (0..100_u64)
                    .map(|number| {
                        let requests = requests.clone();
                        tokio::spawn(async move { requests.request(format!("square/{number}"), "").await })
                    })
                    .collect();
                for (number, task) in tasks.into_iter().enumerate() {
                    assert!(requests.statistics().waiting <= at_once);
                    assert_eq!(text(task.await.unwrap()), (number * number).to_string());
                }
            }
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn on_the_wire_a_request_is_what_its_version_can_say() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (requests, _) = tokio::join!(client.requests().into_future(), async {
            let line = link.receive().await;
            assert!(line.starts_with("SUBSCRIBE #1 response/client/"), "{line}");
            link.suback(1, &[2]).await;
        });
        let requests = requests.unwrap();
        assert!(requests.response_topic().starts_with("response/client/"));
        let task = tokio::spawn(async move {
            requests.request("pump", "go").with(|publish| publish.user_property("who", "me")).await
        });
        let line = link.receive().await;
        assert!(line.starts_with("PUBLISH q1 #2 pump \"go\" [ResponseTopic(\"response/client/"), "{line}");
        assert!(line.contains("CorrelationData(") && line.contains("MessageExpiryInterval(30)"), "{line}");
        assert!(line.contains("UserProperty(\"who\", \"me\")"), "{line}");
        drop(link);
        task.abort();

        let peer = Peer::new(V3).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let start = client.requests().response_topic("mine");
        let (requests, _) = tokio::join!(start.into_future(), link.grant("mine/# q2"));
        let requests = requests.unwrap();
        let (answer, ()) = tokio::join!(requests.request("pump", "go").qos(QoS::AtMostOnce).into_future(), async {
            let line = link.receive().await;
            assert!(line.starts_with("PUBLISH q0 pump/request/mine/") && line.ends_with("\"go\""), "{line}");
            let topic = line.split(' ').nth(2).unwrap().strip_prefix("pump/request/").unwrap().to_owned();
            link.publish(&topic, QoS::AtMostOnce, 0, "gone").await;
        });
        assert_eq!(text(answer), "gone");
    });
}

#[test]
fn the_broker_may_say_where_answers_come() {
    run(async || {
        let peer = Peer::new(V5).await;
        let connecting = Client::connect(peer.options().request_response_information());
        let (client, mut link) = tokio::join!(connecting, async {
            let mut link = peer.accept().await;
            link.receive().await;
            let properties = [Property::ResponseInformation("answers/for/you/")];
            let properties = Properties::new(&properties);
            let (session_present, reason_code) = (false, ReasonCode::SUCCESS);
            link.send(&Packet::Connack(Connack { session_present, reason_code, properties })).await;
            link
        });
        let client = client.unwrap();
        let mut start = Box::pin(client.requests().into_future());
        assert!(poll(&mut start).is_pending());
        let line = link.receive().await;
        assert!(line.starts_with("SUBSCRIBE #1 answers/for/you/") && line.ends_with("/# q2"), "{line}");
    });
}

#[test]
fn a_request_without_an_answer_ends_when_its_time_is_over() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(tight(peer.options()).keep_alive(0)).await;
            let start = client.requests().response_topic("mine");
            let (requests, _) = tokio::join!(start.into_future(), link.grant("mine/# q2"));
            let requests = requests.unwrap();
            let request = requests.request("pump", "").qos(QoS::AtMostOnce).deadline(Duration::from_secs(5));
            let (answer, took) = clock.until_over(request.into_future()).await;
            assert!(matches!(answer, Err(Error::Timeout)), "{answer:?}");
            assert!((5..7).contains(&took.as_secs()), "{took:?}");
            assert_eq!(requests.statistics().waiting, 0);
            // It comes all the same, and something else does.
            let line = link.receive().await;
            let correlation_data = 7_u64.to_be_bytes();
            let properties = [Property::CorrelationData(&correlation_data)];
            for topic in [line.split(' ').nth(2).unwrap().trim_start_matches("pump/request/"), "mine", "mine/xyz"] {
                let topic = if topic == "pump" { "mine" } else { topic };
                let mut message = peer::message(topic, QoS::AtMostOnce, 0, false, "late");
                if let (Packet::Publish(publish), V5) = (&mut message, version) {
                    publish.properties = Properties::new(&properties);
                }
                link.send(&message).await;
            }
            until(|| requests.statistics().unknown == 3).await;
            assert_eq!(requests.statistics().answered, 0);
        }
    });
}

#[test]
fn who_asks_nobody_is_told_at_once() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let requests = client.requests().await.unwrap();
        match requests.request("nobody", "").await {
            Err(Error::Rejected(answer)) => assert_eq!(answer, ReasonCode::NO_MATCHING_SUBSCRIBERS),
            other => panic!("{other:?}"),
        }
        assert!(matches!(requests.request("a/#", "").await, Err(Error::InvalidTopicName(_))));
        assert_eq!(requests.statistics().waiting, 0);
        let mut waiting = Box::pin(requests.request("nobody", "").qos(QoS::AtMostOnce).into_future());
        assert!(poll(&mut waiting).is_pending());
        end(client).await;
        assert!(matches!(waiting.await, Err(Error::Closed)));
        assert!(matches!(requests.request("nobody", "").await, Err(Error::Closed)));
    });
}

#[test]
fn a_request_that_is_dropped_at_any_await_is_forgotten() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let responder = responder(&broker, version).await;
            let client = Client::connect(tight(options(&broker, version, "client"))).await.unwrap();
            for polls in 0..8 {
                drop(drop_after(polls, client.requests().into_future()).await);
            }
            let requests = client.requests().at_once(1).await.unwrap();
            let mut answered = 0;
            for polls in (0..12).cycle().take(60) {
                let request = requests.request("echo/x", polls.to_string()).qos(QoS::ExactlyOnce);
                if let Some(answer) = drop_after(polls, request.into_future()).await {
                    assert_eq!(text(answer), polls.to_string(), "the answer to another request");
                    answered += 1;
                }
                assert_eq!(requests.statistics().waiting, 0);
            }
            assert_eq!(text(requests.request("echo/x", "last").await), "last");
            // Some were dropped with their answers, which others never got; none has two.
            let statistics = requests.statistics();
            assert!((answered + 1..=61).contains(&(statistics.answered)), "{statistics:?}");
            assert!(statistics.answered + statistics.unknown <= 61, "{statistics:?}");
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn a_message_that_is_no_request_is_not_answered() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        client.publish("t", "").await.unwrap();
        let message = stream.next().await.unwrap();
        assert!(matches!(client.respond(&message, "x"), Err(Error::NotARequest)));
        end(client).await;
    });
}

#[test]
fn requests_go_on_after_the_connection_was_lost() {
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let responder = responder(&broker, version).await;
            let client = connect(&broker, version, "client").await;
            let requests: Requests = client.requests().await.unwrap();
            for round in 0..5 {
                assert!(broker.disconnect_client("client"));
                let request = requests.request("echo/x", round.to_string()).deadline(LONG);
                assert_eq!(text(request.await), round.to_string());
            }
            end(client).await;
            end(responder).await;
        }
    });
}

#[test]
fn a_request_that_is_dropped_before_it_is_sent_is_taken_back() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let start = client.requests().response_topic("mine");
            let (requests, _) = tokio::join!(start.into_future(), link.grant("mine/# q2"));
            let requests = requests.unwrap();
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let mut dropped = Box::pin(requests.request("pump", "dropped").into_future());
            let mut waits = Box::pin(requests.request("pump", "waits").into_future());
            assert!(poll(&mut dropped).is_pending() && poll(&mut waits).is_pending());
            assert_eq!(requests.statistics().waiting, 2);
            drop(dropped);
            let mut link = peer.welcome(false).await;
            link.grant("mine/# q2").await;
            let line = link.receive().await;
            assert!(line.starts_with("PUBLISH q1 ") && line.contains(" \"waits\""), "{line}");
            assert_eq!(requests.statistics().waiting, 1);
        }
    });
}

#[cfg(feature = "serde")]
#[test]
fn requests_and_answers_may_be_json() {
    run(async || {
        let broker = broker().await;
        let responder = responder(&broker, V5).await;
        let client = connect(&broker, V5, "client").await;
        let requests = client.requests().await.unwrap();
        let answer = requests.request_json("echo/x", &[17.5, 18.0]).unwrap().await.unwrap();
        assert_eq!(answer.json::<Vec<f64>>().unwrap(), [17.5, 18.0]);
        end(client).await;
        end(responder).await;
    });
}

#[test]
fn a_kept_session_does_not_gather_topics_for_answers() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            for _ in 0..2 {
                let connecting = Client::connect(peer.options().keep_session());
                let (client, mut link) = tokio::join!(connecting, peer.welcome(true));
                let client = client.unwrap();
                let start = client.requests();
                let (requests, _) = tokio::join!(start.into_future(), link.grant("response/client/# q2"));
                drop(requests.unwrap());
                let line = link.receive().await;
                assert!(line.starts_with("UNSUBSCRIBE") && line.ends_with("response/client/#"), "{line}");
            }
        }
    });
}
