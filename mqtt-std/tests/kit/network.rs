//! The client and the test kit's broker, with nothing but memory between them.

use core::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions, Conditions, Direction, Network, Reach};
use mqtt_std::{Client, Delivered, Status};
use tokio::time::Instant;

use super::support::*;

#[tokio::test(start_paused = true)]
async fn messages_pass_at_every_qos_on_every_kind_of_link() {
    for conditions in [
        Conditions::new(),
        Conditions::new().pieces(1),
        Conditions::new().random_pieces(16).seed(5).capacity(10),
        Conditions::new().latency(Duration::from_millis(300)).jitter(Duration::from_millis(300)).seed(9),
        Conditions::new().loss(200).bandwidth(5_000),
    ] {
        for version in BOTH {
            let network = Network::with(conditions);
            let _broker = Broker::start_in(&network, BrokerOptions::new());
            let client = Client::connect(options(&network, version)).await.unwrap();
            for qos in QOS {
                let mut stream = client.subscribe("t", qos).await.unwrap();
                for payload in ["1", "2", "3"] {
                    client.publish("t", payload).qos(qos).await.unwrap();
                }
                for payload in ["1", "2", "3"] {
                    let message = stream.next().await.unwrap();
                    assert_eq!((message.payload_str().unwrap(), message.qos()), (payload, qos), "{conditions:?}");
                }
            }
            assert_eq!(client.shutdown(LONG).await.unwrap().undelivered, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_in_memory_stops_and_comes_back_with_its_sessions() {
    let network = Network::new();
    let mut broker = Broker::start_in(&network, BrokerOptions::new());
    assert_eq!((broker.url().as_str(), broker.address().port()), ("mqtt://memory", 0));
    let client = Client::connect(options(&network, V5)).await.unwrap();
    broker.stop().await;
    let mut status = client.status();
    status.wait_for(|status| matches!(status, Status::Waiting { .. })).await.unwrap();
    let receipt = client.publish("t", "x").qos(mqtt_std::QoS::AtLeastOnce).send().await.unwrap();
    let attempts = network.attempts();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(network.attempts() > attempts, "refused, and tried again");
    broker.resume().await.unwrap();
    status.wait_for(|status| matches!(status, Status::Connected { session_present: true, .. })).await.unwrap();
    assert!(matches!(receipt.await, Ok(Delivered::Acknowledged(_))));
    broker.shutdown().await;
    status.wait_for(|status| matches!(status, Status::Waiting { .. })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_dropped_leaves_its_place_to_the_next() {
    let network = Network::new();
    let mut broker = Broker::start_in(&network, BrokerOptions::new());
    for _ in 0..5 {
        let client = Client::connect(options(&network, V5)).await.unwrap();
        drop(broker);
        broker = Broker::start_in(&network, BrokerOptions::new());
        // Also if the one before is not gone yet.
        client.publish("t", "x").qos(mqtt_std::QoS::AtLeastOnce).await.unwrap();
    }
    drop(broker);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(network.connect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn several_servers_are_several_networks() {
    let (one, other) = (Network::new(), Network::new());
    let _broker = Broker::start_in(&other, BrokerOptions::new());
    one.set_reach(Reach::Refused);
    let (first, second) = (one.clone(), other.clone());
    let connector = move |server: mqtt_std::transport::Server| {
        let network = if server.host() == "one" { first.clone() } else { second.clone() };
        async move { network.connect().await }
    };
    let options = mqtt_std::Options::new("one", 1883).connector(connector).and_server("mqtt://other".parse().unwrap());
    let _client = Client::connect(options).await.unwrap();
    assert_eq!((one.attempts(), other.attempts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_does_not_answer_is_given_up_in_time() {
    let network = Network::new();
    network.set_reach(Reach::Silent);
    let begun = Instant::now();
    let error = Client::connect(options(&network, V5)).await.unwrap_err();
    assert!(matches!(error, mqtt_std::Error::ConnectTimeout), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_written_is_counted_on_the_link() {
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let client = Client::connect(options(&network, V3)).await.unwrap();
    let link = network.links().pop().unwrap();
    // CONNECT of 3.1.1: 2 + 10 + 2 + 6 for `client`; CONNACK: 4.
    assert_eq!((link.bytes(Direction::ToServer), link.bytes(Direction::ToClient)), (20, 4));
    drop(client);
}
