//! A connection is cut after every byte of an exchange, in both directions, at every QoS, in both versions: what receipts say
//! is so, and nothing is lost or doubled. trap R5, R6, Q7, S7

use core::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions, Conditions, Direction, Network};
use mqtt_std::{Client, Delivered, Error, Outcome, ProtocolVersion, QoS};

use super::support::*;

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// What becomes of the broker when the connection is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    GoesOn,
    /// It restarts with its sessions.
    Restarts,
    /// It restarts, and has forgotten everything.
    Forgets,
}

/// How an exchange went: on the first connection these bytes passed in each direction.
struct Course {
    bytes: [u64; 2],
    cut: bool,
}

/// Calls `run` for each cut there can be: with an ideal link first, to learn how many bytes pass.
async fn at_every_byte(mut run: impl AsyncFnMut(Conditions) -> Course) {
    let whole = run(Conditions::new()).await;
    assert!(!whole.cut);
    for direction in DIRECTIONS {
        let bytes = whole.bytes[direction as usize];
        assert!(bytes >= 4, "CONNACK at least");
        for after in 0..=bytes {
            let course = run(Conditions::new().cut_after(direction, after)).await;
            assert!(course.cut || after == bytes, "{direction:?} {after} of {bytes}");
        }
    }
}

fn course(network: &Network, link: usize) -> Course {
    let link = &network.links()[link];
    Course { bytes: DIRECTIONS.map(|direction| link.bytes(direction)), cut: link.is_cut() }
}

/// Restarts the broker once the network's link with this number is cut; returns all brokers there were, the last one running.
async fn brokers(network: &Network, first: Broker, link: usize, then: Then) -> Vec<Broker> {
    let mut brokers = vec![first];
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if network.links().get(link).is_some_and(mqtt_std::testkit::Link::is_cut) {
            break;
        }
    }
    match then {
        Then::GoesOn => {}
        Then::Restarts => brokers[0].restart().await.unwrap(),
        Then::Forgets => {
            brokers[0].stop().await;
            brokers.push(Broker::start_in(network, BrokerOptions::new()));
        }
    }
    brokers
}

/// A client publishes one message, and its receipt is compared with what the brokers have seen.
async fn publish(version: ProtocolVersion, qos: QoS, then: Then, keep: bool, conditions: Conditions) -> Course {
    let network = Network::new();
    network.next_link(conditions);
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let options = if keep { options(&network, version).keep_session() } else { options(&network, version) };
    let client = Client::connect_retrying(options).unwrap();
    let all = brokers(&network, broker, 0, then);
    let mut all = core::pin::pin!(all);
    let application = async {
        let outcome = client.publish("t", "payload").qos(qos).await;
        // Everything that was sent was seen by then.
        assert_eq!(client.shutdown(LONG).await.unwrap().undelivered, 0);
        let course = course(&network, 0);
        // Lets the restart take place if there is one to come.
        network.links()[0].cut();
        (outcome, course)
    };
    let (brokers, (outcome, course)) = tokio::join!(&mut all, application);
    let seen: u64 = brokers.iter().map(|broker| broker.statistics().messages_received).sum();
    let text = format!("{version:?} {qos:?} {then:?} {keep} {conditions:?}: {outcome:?}, seen {seen} times");
    let session_kept = then != Then::Forgets && (keep || version == V5);
    match outcome {
        Ok(Delivered::Sent) => assert!(qos == QoS::AtMostOnce && seen <= 1, "{text}"),
        Ok(Delivered::Acknowledged(_)) if qos == QoS::AtLeastOnce => assert!((1..=2).contains(&seen), "{text}"),
        Ok(Delivered::Acknowledged(_)) => assert_eq!(seen, 1, "{text}"),
        Err(Error::NotDelivered(Outcome::Unknown)) => {
            assert!(qos == QoS::ExactlyOnce && !session_kept && seen <= 1, "{text}");
        }
        _ => panic!("{text}"),
    }
    course
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_cut_at_any_byte_has_a_true_receipt() {
    for (version, keep) in [(V5, true), (V3, true), (V3, false)] {
        for qos in QOS {
            at_every_byte(async |conditions| publish(version, qos, Then::GoesOn, keep, conditions).await).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_restarts_at_any_byte_of_a_publish_takes_the_message_over_once() {
    for version in BOTH {
        for qos in QOS {
            at_every_byte(async |conditions| publish(version, qos, Then::Restarts, true, conditions).await).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_everything_at_any_byte_of_a_publish_wedges_nothing() {
    for version in BOTH {
        for qos in QOS {
            at_every_byte(async |conditions| publish(version, qos, Then::Forgets, true, conditions).await).await;
        }
    }
}

/// Messages one behind the other, whose receipts are awaited afterwards, to another client.
async fn pipelined(version: ProtocolVersion, qos: QoS, then: Then, conditions: Conditions) -> Course {
    const PAYLOADS: [&str; 5] = ["1", "2", "3", "4", "5"];
    let network = Network::new();
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let observer = options(&network, version).client_identifier("observer").keep_session();
    let observer = Client::connect(observer).await.unwrap();
    let mut stream = observer.subscribe("t", qos).await.unwrap();
    network.next_link(conditions);
    let client = Client::connect_retrying(options(&network, version).keep_session().in_flight(3)).unwrap();
    let application = async {
        let mut receipts = Vec::new();
        for payload in PAYLOADS {
            receipts.push(client.publish("t", payload).qos(qos).send().await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        let course = course(&network, 1);
        client.publish("t", "end").qos(qos).await.unwrap();
        let mut received = Vec::new();
        while received.last().is_none_or(|last| last != "end") {
            received.push(stream.next().await.unwrap().payload_str().unwrap().to_owned());
        }
        received.pop();
        network.links()[1].cut();
        (received, course)
    };
    let (_brokers, (received, course)) = tokio::join!(brokers(&network, broker, 1, then), application);
    let text = format!("{version:?} {qos:?} {then:?} {conditions:?}: {received:?}");
    if qos == QoS::ExactlyOnce {
        assert_eq!(received, PAYLOADS, "{text}");
    } else {
        // What comes again comes with all that was sent after it, in the same order. trap Q8
        let mut seen = std::collections::BTreeSet::new();
        let first: Vec<_> = received.iter().filter(|payload| seen.insert(*payload)).collect();
        assert_eq!(first, PAYLOADS.iter().collect::<Vec<_>>(), "{text}");
    }
    course
}

#[tokio::test(start_paused = true)]
async fn messages_under_way_together_are_cut_at_any_byte_and_keep_their_order() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for then in [Then::GoesOn, Then::Restarts] {
                at_every_byte(async |conditions| pipelined(version, qos, then, conditions).await).await;
            }
        }
    }
}

/// A client subscribes, and gets what is published afterwards.
async fn subscribe(version: ProtocolVersion, then: Then, keep: bool, conditions: Conditions) -> Course {
    let network = Network::new();
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let publisher = Client::connect(options(&network, version).client_identifier("publisher")).await.unwrap();
    network.next_link(conditions);
    let options = if keep { options(&network, version).keep_session() } else { options(&network, version) };
    let client = Client::connect_retrying(options).unwrap();
    let application = async {
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        let course = course(&network, 1);
        // The subscription may yet have to be renewed.
        let publish = async {
            loop {
                let _ = publisher.publish("t", "x").qos(QoS::AtLeastOnce).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let received = async {
            tokio::select! {
                () = publish => None,
                message = stream.next() => message,
            }
        };
        let received = tokio::time::timeout(Duration::from_secs(120), received).await;
        assert!(matches!(received, Ok(Some(_))), "{version:?} {then:?} {keep} {conditions:?}: nothing came");
        network.links()[1].cut();
        course
    };
    tokio::join!(brokers(&network, broker, 1, then), application).1
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_that_is_cut_at_any_byte_is_granted_in_the_end() {
    for then in [Then::GoesOn, Then::Restarts, Then::Forgets] {
        for (version, keep) in [(V5, true), (V3, true), (V3, false)] {
            at_every_byte(async |conditions| subscribe(version, then, keep, conditions).await).await;
        }
    }
}

/// A client with a kept session receives three messages.
async fn receive(version: ProtocolVersion, qos: QoS, then: Then, conditions: Conditions) -> Course {
    let network = Network::new();
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let publisher = Client::connect(options(&network, version).client_identifier("publisher")).await.unwrap();
    network.next_link(conditions);
    let client = Client::connect_retrying(options(&network, version).keep_session()).unwrap();
    let application = async {
        let mut stream = client.subscribe("t", qos).await.unwrap();
        for payload in ["1", "2", "3"] {
            publisher.publish("t", payload).qos(qos).await.unwrap();
        }
        let mut received = Vec::new();
        if qos == QoS::AtMostOnce {
            // What was lost does not come again; this does, again and again.
            let marker = async {
                loop {
                    publisher.publish("t", "end").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            let read = async {
                while received.last().is_none_or(|last| last != "end") {
                    received.push(stream.next().await.unwrap().payload_str().unwrap().to_owned());
                }
                received.pop();
            };
            tokio::select! {
                () = marker => {}
                () = read => {}
            }
        } else {
            while received.last().is_none_or(|last| last != "3") {
                received.push(stream.next().await.unwrap().payload_str().unwrap().to_owned());
            }
            // What comes twice at QoS 1 does so before this.
            publisher.publish("t", "end").qos(qos).await.unwrap();
            while received.last().is_none_or(|last| last != "end") {
                received.push(stream.next().await.unwrap().payload_str().unwrap().to_owned());
            }
            received.pop();
        }
        let course = course(&network, 1);
        network.links()[1].cut();
        (received, course)
    };
    let (_brokers, (received, course)) = tokio::join!(brokers(&network, broker, 1, then), application);
    let text = format!("{version:?} {qos:?} {then:?} {conditions:?}: {received:?}");
    let mut once = received.clone();
    once.dedup();
    match qos {
        QoS::AtMostOnce => assert!(received.is_sorted() && once.len() == received.len(), "{text}"),
        QoS::AtLeastOnce => {
            let mut each = received;
            each.sort();
            each.dedup();
            assert_eq!(each, ["1", "2", "3"], "{text}");
        }
        QoS::ExactlyOnce => assert_eq!(received, ["1", "2", "3"], "{text}"),
    }
    course
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_cut_at_any_byte_arrive_and_at_qos_2_once() {
    for version in BOTH {
        for qos in QOS {
            at_every_byte(async |conditions| receive(version, qos, Then::GoesOn, conditions).await).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_restarts_at_any_byte_delivers_the_rest_afterwards() {
    for version in BOTH {
        at_every_byte(async |conditions| receive(version, QoS::ExactlyOnce, Then::Restarts, conditions).await).await;
    }
}
