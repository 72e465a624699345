//! Scripts, and what they say when the client does something else.

use core::time::Duration;

use mqtt_core::{AckKind, Connack, Packet, Properties};
use mqtt_std::testkit::{Conditions, Expect, Failure, Network, Peer, Script};
use mqtt_std::{Client, QoS, ReasonCode};
use tokio::time::{Instant, timeout};

use super::support::*;

/// Plays this against a client that subscribes to `a` and publishes `b` to `c`.
async fn play(script: Script) -> Result<(), Failure> {
    let network = Network::new();
    let playing = script.start(&network);
    let client = Client::connect_retrying(options(&network, V5)).unwrap();
    let application = async {
        let _a = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
        client.publish("c", "b").qos(QoS::ExactlyOnce).await.unwrap();
        core::future::pending().await
    };
    tokio::select! {
        result = playing.finished() => result,
        () = application => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_is_kept_to_ends_well() {
    let connect = || Expect::connect().client_identifier("client");
    play(
        Script::new(V5)
            .expect(connect().clean_start(true))
            .answer()
            .expect(Expect::subscribe("a").qos(QoS::AtLeastOnce))
            .answer()
            .expect(Expect::publish("c").payload("b").dup(false))
            .close()
            .expect(connect().clean_start(false))
            .connack(true)
            .expect(Expect::publish("c").payload("b").dup(true))
            .answer()
            .expect(Expect::pubrel())
            .reset()
            .expect(connect())
            .connack(true)
            .expect(Expect::pubrel())
            .answer(),
    )
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_the_step_what_was_expected_and_what_came() {
    let failure = play(Script::new(V5).expect(Expect::connect()).answer().expect(Expect::publish("a/b"))).await;
    let failure = failure.unwrap_err();
    assert_eq!((failure.step(), failure.expected(), failure.got()), (Some(3), "PUBLISH a/b", "SUBSCRIBE #1 a q1"));
    assert_eq!(
        format!("{failure:?}"),
        "step 3: expected PUBLISH a/b, got SUBSCRIBE #1 a q1\n  < CONNECT 5 client clean\n  > CONNACK 00\n  \
         < SUBSCRIBE #1 a q1"
    );
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_step_can_fail() {
    let begun = || Script::new(V5).expect(Expect::connect()).answer();
    let no_topic = Packet::Connack(Connack {
        session_present: true,
        reason_code: ReasonCode::NOT_AUTHORIZED,
        properties: Properties::EMPTY,
    });
    let cases: [(Script, usize, &str, &str); 8] = [
        (begun().expect_end(), 3, "the end of the connection", "SUBSCRIBE #1 a q1"),
        (begun().expect_nothing_for(LONG), 3, "nothing", "SUBSCRIBE #1 a q1"),
        (begun().answer(), 3, "a packet to answer", "none yet"),
        (begun().publish("a/#", QoS::AtMostOnce, ""), 3, "to send PUBLISH", "topic name"),
        (begun().acknowledge(AckKind::Puback, 0, ReasonCode::SUCCESS), 3, "to acknowledge", "number 0"),
        (begun().send(&no_topic), 3, "to send CONNACK", ""),
        (begun().expect(Expect::subscribe("a")).expect(Expect::pubrel()), 4, "PUBREL", "nothing in 30s"),
        (begun().send_bytes([0xff; 8]).expect(Expect::pubrel()), 4, "PUBREL", "DISCONNECT 81"),
    ];
    for (script, step, expected, got) in cases {
        let text = format!("{script:?}");
        let failure = play(script).await.expect_err(&text);
        assert_eq!(failure.step(), Some(step), "{failure}");
        assert!(failure.expected().starts_with(expected) && failure.got().contains(got), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_packet_that_is_dropped_loses_nothing() {
    let network = Network::with(Conditions::new().pieces(1).latency(Duration::from_millis(2)));
    let peer = Peer::in_memory(&network, V5);
    let (client, conversation) = tokio::join!(Client::connect(options(&network, V5)), peer.welcome(false));
    let (client, mut conversation) = (client.unwrap(), conversation.unwrap());
    for payload in ["1", "2", "3"] {
        client.publish("t", payload).await.unwrap();
    }
    let mut dropped = 0;
    let mut lines = Vec::new();
    while lines.len() < 3 {
        match timeout(Duration::from_millis(1), conversation.receive()).await {
            Ok(received) => lines.push(received.unwrap().unwrap().to_string()),
            Err(_) => dropped += 1,
        }
    }
    assert_eq!(lines, ["PUBLISH q0 t \"1\"", "PUBLISH q0 t \"2\"", "PUBLISH q0 t \"3\""]);
    assert!(dropped > 0);
}

#[tokio::test(start_paused = true)]
async fn packets_may_be_expected_in_any_order() {
    let filters = || ["a", "b"].map(Expect::subscribe);
    let begun = || Script::new(V5).expect(Expect::connect()).answer();
    for order in [["a", "b"], ["b", "a"]] {
        let network = Network::new();
        let playing = begun().expect_in_any_order(filters()).expect(Expect::publish("t")).start(&network);
        let client = Client::connect(options(&network, V5)).await.unwrap();
        let mut streams = Vec::new();
        for filter in order {
            streams.push(client.subscribe(filter, QoS::AtMostOnce).await.unwrap());
        }
        client.publish("t", "x").await.unwrap();
        playing.finished().await.unwrap();
    }
    let failure = play(begun().expect_in_any_order(["x", "y"].map(Expect::subscribe))).await.unwrap_err();
    assert_eq!((failure.step(), failure.expected()), (Some(3), "SUBSCRIBE x or SUBSCRIBE y"));
}

#[tokio::test(start_paused = true)]
async fn a_script_has_patience_and_no_more() {
    let network = Network::new();
    let begun = Instant::now();
    let script = Script::new(V5).patience(Duration::from_secs(3)).expect(Expect::connect());
    let failure = script.start(&network).finished().await.unwrap_err();
    assert_eq!(failure.to_string(), "step 1: expected a connection, got none in 3s");
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn a_script_is_played_over_tcp_too() {
    let peer = Peer::listen(V3).await.unwrap();
    let address = peer.address().unwrap();
    let playing = Script::new(V3)
        .expect(Expect::connect())
        .answer()
        .expect(Expect::publish("t").payload("x").qos(QoS::ExactlyOnce))
        .answer()
        .expect(Expect::pubrel())
        .answer()
        .expect(Expect::disconnect())
        .expect_end()
        .start_on(peer);
    let options = mqtt_std::Options::new(address.ip().to_string(), address.port()).version(V3);
    let client = Client::connect(options).await.unwrap();
    client.publish("t", "x").qos(QoS::ExactlyOnce).await.unwrap();
    client.shutdown(LONG).await.unwrap();
    playing.finished().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_by_the_way_unless_they_are_expected() {
    let network = Network::new();
    let begun = Script::new(V5).expect(Expect::connect()).answer();
    let hour = Duration::from_secs(3600);
    let playing = begun.expect_nothing_for(hour).expect(Expect::pingreq()).answer().start(&network);
    let client = Client::connect(options(&network, V5).keep_alive(60)).await.unwrap();
    let since = Instant::now();
    playing.finished().await.unwrap();
    assert!((hour..hour + Duration::from_secs(60)).contains(&since.elapsed()), "{:?}", since.elapsed());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_peer_says_what_it_is_told_and_hears_everything() {
    for version in BOTH {
        let network = Network::new();
        let peer = Peer::in_memory(&network, version);
        let (client, conversation) = tokio::join!(Client::connect(options(&network, version)), peer.welcome(false));
        let (client, mut conversation) = (client.unwrap(), conversation.unwrap());
        let subscribe = async {
            conversation.expect(&Expect::subscribe("a/+")).await.unwrap();
            conversation.answer().await.unwrap();
            conversation.publish("a/b", QoS::ExactlyOnce, 9, b"x").await.unwrap();
            conversation.expect(&Expect::pubrec()).await.unwrap();
            conversation.answer().await.unwrap();
            let pubcomp = conversation.expect(&Expect::pubcomp().reason_code(ReasonCode::SUCCESS)).await.unwrap();
            assert_eq!(pubcomp.packet_identifier().map(mqtt_core::PacketIdentifier::number), Some(9));
            conversation
        };
        let (stream, mut conversation) = tokio::join!(client.subscribe("a/+", QoS::ExactlyOnce), subscribe);
        let mut stream = stream.unwrap();
        assert_eq!(stream.next().await.unwrap().payload(), b"x");
        conversation.expect_nothing().unwrap();
        drop(stream);
        let unsubscribe = conversation.expect(&Expect::unsubscribe("a/+")).await.unwrap();
        assert!(unsubscribe.to_string().starts_with("UNSUBSCRIBE #") && unsubscribe.bytes()[0] == 0xa2);
        conversation.answer().await.unwrap();
        let (_, ended) = tokio::join!(client.shutdown(LONG), async {
            conversation.expect(&Expect::disconnect()).await.unwrap();
            conversation.expect_end().await
        });
        ended.unwrap();
    }
}
