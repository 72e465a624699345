//! Brokers that do what none should, and conversations that break off.

use core::time::Duration;

use mqtt_core::{
    AckKind, Connack, Delivery, Packet, PacketIdentifier, PacketType, Properties, Property, Publish, TopicName,
};
use mqtt_std::testkit::{Expect, Network, Peer, Script};
use mqtt_std::{Backoff, CleanStart, Client, Options, ProtocolVersion, QoS, ReasonCode, TopicAliasUse};
use tokio::time::timeout;

use super::film::Film;
use super::support::{BOTH, PATIENCE, V5, next};

fn options(network: &Network, version: ProtocolVersion, film: &Film) -> Options {
    Options::new("memory", 1883)
        .connector(network.clone())
        .client_identifier("client")
        .version(version)
        .backoff(Backoff::new().minimum(1).maximum(10))
        .tape(&film.tape)
}

/// Of virtual time, in which the client is patient.
const LONG: Duration = Duration::from_secs(3_600);

/// What a broker says behind CONNACK that no broker should.
const WRONG: [&[u8]; 9] = [
    &[0x00, 0],                         // no packet has this type
    &[0xD0, 0xFF, 0xFF, 0xFF, 0xFF, 1], // a Remaining Length of five bytes
    &[0x30, 3, 0, 5, b'a'],             // a topic that is longer than its packet
    &[0x36, 5, 0, 1, b't', 0, 1],       // QoS 3
    &[0x32, 6, 0, 1, b't', 0, 0, 0],    // Packet Identifier 0
    &[0x30, 5, 0, 3, b'a', 0xFF, 0xFE], // no UTF-8
    &[0x40, 2, 0, 0],                   // PUBACK of nothing
    &[0x90, 4, 0, 9, 0, 0],             // SUBACK that nobody waits for
    &[0x20, 3, 0, 0, 0],                // CONNACK again
];

#[tokio::test(start_paused = true)]
async fn a_broker_that_says_what_none_should() {
    for &version in BOTH {
        let (film, network) = (Film::new(), Network::new());
        let mut script = Script::new(version);
        for wrong in WRONG {
            script = script.expect(Expect::connect()).connack(false).send_bytes(wrong);
            if version.is_v5() {
                script = script.expect(Expect::packet(PacketType::Disconnect));
            }
            script = script.expect_end();
        }
        let playing = script.expect(Expect::connect()).connack(false).start(&network);
        let client = Client::connect_retrying(options(&network, version, &film)).unwrap();
        let mut conversation = timeout(LONG, playing.and_then()).await.unwrap().unwrap().unwrap();
        let receipt = client.publish("t", "after all").qos(QoS::AtLeastOnce).send().await.unwrap();
        conversation.expect(&Expect::publish("t")).await.unwrap();
        conversation.answer().await.unwrap();
        receipt.await.unwrap();
        client.shutdown(PATIENCE).await.unwrap();
        film.keep(&format!("kit-broken-{}", version.level())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_breaks_off_at_each_packet() {
    for &version in BOTH {
        let (film, network) = (Film::new(), Network::new());
        let peer = Peer::in_memory(&network, version);
        let first = PacketIdentifier::new(1).unwrap();
        let again = Publish {
            topic: Some(TopicName::new("a").unwrap()),
            delivery: Delivery::ExactlyOnce { packet_identifier: first, dup: true },
            retain: false,
            properties: Properties::EMPTY,
            payload: b"x",
        };
        let resumed = |script: Script| script.expect(Expect::connect().clean_start(false)).connack(true);
        let script = Script::new(version).expect(Expect::connect()).answer().expect(Expect::subscribe("a")).close();
        let script = resumed(script).expect(Expect::subscribe("a")).answer().expect(Expect::publish("c").dup(false));
        let script = resumed(script.close()).expect(Expect::publish("c").dup(true)).answer().expect(Expect::pubrel());
        let script = resumed(script.reset()).expect(Expect::pubrel()).answer().publish("a", QoS::ExactlyOnce, "x");
        let script = resumed(script.expect(Expect::packet(PacketType::Pubrec)).close()).send(&Packet::Publish(again));
        let script = script.expect(Expect::packet(PacketType::Pubrec));
        let script = script.acknowledge(AckKind::Pubrel, 1, ReasonCode::SUCCESS);
        let script = script.expect(Expect::packet(PacketType::Pubcomp));

        let options = options(&network, version, &film).keep_session().clean_start(CleanStart::First);
        let client = Client::connect_retrying(options).unwrap();
        let application = async {
            let stream = client.subscribe("a", QoS::ExactlyOnce).await.unwrap();
            client.publish("c", "b").qos(QoS::ExactlyOnce).await.unwrap();
            stream
        };
        let (played, mut stream) =
            timeout(LONG, async { tokio::join!(script.play(&peer), application) }).await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"x");

        // And the session is lost.
        let receipt = client.publish("d", "e").qos(QoS::ExactlyOnce).send().await.unwrap();
        let mut conversation = played.unwrap().unwrap();
        conversation.expect(&Expect::publish("d")).await.unwrap();
        drop(conversation);
        let mut conversation = peer.welcome(false).await.unwrap();
        conversation.expect(&Expect::subscribe("a")).await.unwrap();
        conversation.answer().await.unwrap();
        assert!(receipt.await.is_err(), "its outcome is unknown");
        let _ = client.shutdown(Duration::ZERO).await;
        film.keep(&format!("kit-cuts-{}", version.level())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_of_narrow_limits_that_refuses_and_falls_silent() {
    let (film, network) = (Film::new(), Network::new());
    let limits = [Property::ReceiveMaximum(1), Property::TopicAliasMaximum(1), Property::ServerKeepAlive(20)];
    let properties = Properties::new(&limits);
    let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties };
    let mut script = Script::new(V5).expect(Expect::connect()).send(&Packet::Connack(connack));
    for number in 0..4 {
        script = script.expect(Expect::packet(PacketType::Publish).payload(number.to_string()));
        script = match number {
            1 => script.answer_with(ReasonCode::QUOTA_EXCEEDED),
            _ => script.answer().expect(Expect::pubrel()).answer(),
        };
    }
    let playing = script.start(&network);
    let client = Client::connect_retrying(options(&network, V5, &film).keep_alive(60).in_flight(4)).unwrap();
    let mut receipts = Vec::new();
    for number in 0..4 {
        let publish = client.publish("a", number.to_string()).qos(QoS::ExactlyOnce);
        receipts.push(publish.topic_alias(TopicAliasUse::Automatic).send().await.unwrap());
    }
    let mut conversation = timeout(LONG, playing.and_then()).await.unwrap().unwrap().unwrap();
    // Which is not answered.
    conversation.expect(&Expect::packet(PacketType::Pingreq)).await.unwrap();
    conversation.expect_end().await.unwrap();
    for (number, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(receipt.await.is_ok(), number != 1, "{number}");
    }
    let _ = client.shutdown(Duration::ZERO).await;
    film.keep("kit-limits-5").await;
}
