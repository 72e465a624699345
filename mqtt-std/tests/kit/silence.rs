//! Links that fall silent, clocks that jump, and clients beside busy ones.

use core::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions, Conditions, Direction, Expect, Network, Peer, Reach};
use mqtt_std::{Client, QoS, Status};
use tokio::time::{Instant, advance, timeout};

use super::support::*;

const SECOND: Duration = Duration::from_secs(1);

async fn connected(client: &Client) {
    client.status().wait_for(|status| matches!(status, Status::Connected { .. })).await.unwrap();
}

async fn lost(client: &Client) {
    client.status().wait_for(|status| !matches!(status, Status::Connected { .. })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_noticed_in_time_and_loses_nothing() {
    // trap K6
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            let _broker = Broker::start_in(&network, BrokerOptions::new());
            let observer = Client::connect(options(&network, version).client_identifier("observer")).await.unwrap();
            let mut stream = observer.subscribe("t", qos).await.unwrap();
            let client = Client::connect(options(&network, version).keep_alive(10).keep_session()).await.unwrap();
            let silent_since = Instant::now();
            network.links()[1].stall();
            let receipt = client.publish("t", "x").qos(qos).send().await.unwrap();
            lost(&client).await;
            let noticed = silent_since.elapsed();
            assert!(noticed <= 25 * SECOND, "{noticed:?} for a keep alive of 10 s");
            receipt.await.unwrap();
            assert!(silent_since.elapsed() <= 30 * SECOND, "{:?}", silent_since.elapsed());
            assert_eq!(stream.next().await.unwrap().payload(), b"x");
            client.publish("t", "end").qos(qos).await.unwrap();
            assert_eq!(stream.next().await.unwrap().payload(), b"end", "{version:?} {qos:?}: it came once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_hears_but_does_not_speak_is_noticed_too() {
    // Only one direction is dead: what is sent is lost, and messages go on arriving.
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let publisher = Client::connect(options(&network, V5).client_identifier("publisher")).await.unwrap();
    let client = Client::connect(options(&network, V5).keep_alive(10)).await.unwrap();
    let mut stream = client.subscribe("t", QoS::AtMostOnce).await.unwrap();
    network.links()[1].stall_one_way(Direction::ToServer);
    let since = Instant::now();
    let messages = async {
        loop {
            publisher.publish("t", "x").await.unwrap();
            tokio::time::sleep(SECOND / 2).await;
        }
    };
    let read = async { while stream.next().await.is_some() {} };
    tokio::select! {
        () = messages => {}
        () = read => {}
        () = lost(&client) => {}
    }
    // The broker, which hears nothing, throws the client out after one and a half keep alives.
    assert!(since.elapsed() <= 25 * SECOND, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_attempt_on_a_silent_network_has_a_time_of_its_own() {
    // trap K6: the next dial has its own timeout
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let client = Client::connect(options(&network, V5).keep_alive(10)).await.unwrap();
    network.set_reach(Reach::Silent);
    network.links()[0].stall();
    let since = Instant::now();
    lost(&client).await;
    tokio::time::sleep(300 * SECOND).await;
    let attempts = network.attempts();
    assert!((5..60).contains(&attempts), "{attempts} attempts in five minutes");
    network.set_reach(Reach::Open);
    connected(&client).await;
    assert!(since.elapsed() < 360 * SECOND);
    // Connected at last, but CONNACK does not come.
    network.next_link(Conditions::new().stall_after(Direction::ToServer, 1));
    network.links().last().unwrap().cut();
    lost(&client).await;
    timeout(120 * SECOND, connected(&client)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_answered_with_a_ping_and_no_more() {
    // trap K7: the machine was suspended, and the peer is still there.
    for version in BOTH {
        let network = Network::new();
        let peer = Peer::in_memory(&network, version);
        let options = options(&network, version).keep_alive(60);
        let (client, conversation) = tokio::join!(Client::connect(options), peer.welcome(false));
        let (client, mut conversation) = (client.unwrap(), conversation.unwrap());
        for _ in 0..3 {
            advance(Duration::from_secs(36_000)).await;
            timeout(SECOND, conversation.expect(&Expect::pingreq())).await.unwrap().unwrap();
            conversation.answer().await.unwrap();
        }
        tokio::time::sleep(SECOND).await;
        assert!(matches!(*client.status().borrow(), Status::Connected { .. }));
        conversation.expect_nothing().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_over_a_dead_link_finds_that_out_soon() {
    // trap K7
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let client = Client::connect(options(&network, V5).keep_alive(60)).await.unwrap();
    network.links()[0].stall();
    advance(Duration::from_secs(36_000)).await;
    let awake = Instant::now();
    lost(&client).await;
    connected(&client).await;
    assert!(awake.elapsed() <= 65 * SECOND, "{:?}", awake.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_beside_a_busy_one_stays_alive() {
    // trap K8
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let busy = Client::connect(options(&network, V5).client_identifier("busy")).await.unwrap();
    let idle = Client::connect(options(&network, V5).client_identifier("idle").keep_alive(2)).await.unwrap();
    let mut stream = busy.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    let until = Instant::now() + 20 * SECOND;
    let mut messages = 0;
    while Instant::now() < until {
        busy.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
        stream.next().await.unwrap();
        messages += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(messages > 1000);
    assert_eq!(network.links().len(), 2, "nobody had to come back");
    assert!(matches!(*idle.status().borrow(), Status::Connected { .. }));
}

#[tokio::test(start_paused = true)]
async fn every_capacity_1_and_each_message_forwarded_over_bad_links() {
    // trap C3
    for version in BOTH {
        for qos in QOS {
            let conditions = Conditions::new().latency(Duration::from_millis(3)).pieces(3).capacity(1).seed(4);
            let network = Network::with(conditions);
            let _broker = Broker::start_in(&network, BrokerOptions::new().receive_maximum(1));
            let tight = || options(&network, version).in_flight(1).queue(1).stream_capacity(1).keep_session();
            let forwarder = Client::connect(tight().client_identifier("forwarder")).await.unwrap();
            let client = Client::connect(tight().client_identifier("client")).await.unwrap();
            let mut from = forwarder.subscribe("from", qos).await.unwrap();
            let mut to = client.subscribe("to", qos).await.unwrap();
            let forward = async {
                while let Some(message) = from.next().await {
                    forwarder.publish("to", message.payload().to_vec()).qos(qos).await.unwrap();
                }
            };
            let publish = async {
                for number in 0..20_u8 {
                    client.publish("from", vec![number]).qos(qos).await.unwrap();
                }
            };
            let receive = async {
                for number in 0..20_u8 {
                    assert_eq!(to.next().await.unwrap().payload(), [number], "{version:?} {qos:?}");
                }
            };
            let done = async { tokio::join!(publish, receive) };
            tokio::select! {
                () = forward => unreachable!(),
                done = timeout(Duration::from_secs(600), done) => drop(done.expect("wedged")),
            }
        }
    }
}
