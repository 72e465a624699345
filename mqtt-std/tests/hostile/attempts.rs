//! Attempts to connect: however they end there are few of them, and what is for one server goes to no other.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use mqtt_core::Property;
use mqtt_core::Property::ServerReference;
use mqtt_std::transport::{Server, TransportError, TransportFault};
use mqtt_std::{Client, Fallback, QoS, ReasonCode, Redirects};

use super::support::*;

/// What a broker does with a connection that has sent CONNECT.
type Deed = &'static str;

const DEEDS: [Deed; 12] = [
    "close",
    "reset at once",
    "accept and close",
    "accept and say farewell",
    "another version",
    "nonsense",
    "a session that cannot be",
    "a limit of 0",
    "send it to itself",
    "send it round",
    "send it to thousands",
    "busy",
];

async fn treat(wire: &mut Wire, deed: Deed, number: u32) {
    use ReasonCode as R;
    match deed {
        "close" | "reset at once" => {}
        "accept and close" => wire.connack(R::SUCCESS, &[]).await,
        "accept and say farewell" => {
            wire.connack(R::SUCCESS, &[]).await;
            wire.write(&[0xe0, 1, 0x8b]).await;
        }
        "another version" => wire.connack(R::UNSUPPORTED_PROTOCOL_VERSION, &[]).await,
        "nonsense" => drop(wire.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await),
        "a session that cannot be" => drop(wire.write(&[0x20, 3, 1, 0, 0]).await),
        "a limit of 0" => drop(wire.write(&[0x20, 6, 0, 0, 3, 0x21, 0, 0]).await),
        "send it to itself" => wire.connack(R::USE_ANOTHER_SERVER, &[ServerReference("broker.example:1883")]).await,
        "send it round" => {
            let next = format!("broker{}.example", number % 3);
            wire.connack(R::SERVER_MOVED, &[ServerReference(&next)]).await;
        }
        "send it to thousands" => {
            let all: Vec<_> = (0..3_000).map(|other| format!("b{number}-{other}.example")).collect();
            let all = all.join(" ");
            assert!(all.len() < 65_536);
            wire.connack(R::USE_ANOTHER_SERVER, &[ServerReference(&all)]).await;
        }
        "busy" => wire.connack(R::SERVER_BUSY, &[]).await,
        other => panic!("{other}"),
    }
}

#[test]
fn however_a_connection_ends_there_are_few_attempts() {
    for version in BOTH {
        for deed in DEEDS {
            run(async || {
                let lair = Lair::new(version);
                let options = lair.options().follow_redirects(Redirects::up_to(5)).fallback(Fallback::ON);
                let client = Client::connect_retrying(options).unwrap();
                let serve = async {
                    for number in 0.. {
                        let mut wire = lair.accept().await;
                        if deed != "reset at once" {
                            wire.packet().await;
                        }
                        treat(&mut wire, deed, number).await;
                        if deed.starts_with("accept") {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                };
                let _ = tokio::time::timeout(3_600 * SECOND, serve).await;
                drop(client);
                let attempts = lair.network().attempts();
                // Up to a minute between them, half of one on the average; a redirect is followed at once, five times in a row.
                assert!(attempts <= 300, "{version:?} {deed}: {attempts} in an hour");
            });
        }
    }
}

#[test]
fn a_broker_that_sends_the_client_on_and_on_leads_it_as_far_as_was_said() {
    run(async || {
        let lair = Lair::new(V5);
        let client = Client::connect_retrying(lair.options().follow_redirects(Redirects::up_to(4))).unwrap();
        let begun = tokio::time::Instant::now();
        for number in 0..5 {
            let mut wire = lair.accept().await;
            wire.packet().await;
            treat(&mut wire, "send it to thousands", number).await;
        }
        // The first and four more, without a delay; the fifth word is not followed.
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(is_over(&status(&client, is_over).await));
        assert_eq!(lair.network().attempts(), 5);
    });
}

/// Where the client went, as addresses.
fn watched(lair: &Lair) -> (mqtt_std::Options, Arc<std::sync::Mutex<Vec<Server>>>) {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (network, noted) = (lair.network().clone(), Arc::clone(&seen));
    let connector = move |server: Server| {
        noted.lock().unwrap().push(server);
        let network = network.clone();
        async move { network.connect().await }
    };
    (lair.options().connector(connector), seen)
}

#[test]
fn a_reference_cannot_say_how_to_speak_or_what_else_to_do() {
    run(async || {
        for reference in [
            "mqtt://evil.example",
            "ws://evil.example/",
            "unix:/tmp/socket",
            "/tmp/socket",
            "evil.example/path",
            "alice@evil.example",
            "evil.example:0",
            "evil.example:1883:1883",
            "evil\u{202e}elpmaxe",
            "evil\u{85}example",
            "[evil.example]",
            "[::1",
            "",
            " ",
            "*",
            "%00",
        ] {
            let lair = Lair::new(V5);
            let (options, seen) = watched(&lair);
            let client = Client::connect_retrying(options.follow_redirects(Redirects::up_to(9))).unwrap();
            let mut wire = lair.accept().await;
            wire.packet().await;
            wire.connack(ReasonCode::USE_ANOTHER_SERVER, &[ServerReference(reference)]).await;
            status(&client, is_over).await;
            assert_eq!(seen.lock().unwrap().len(), 1, "{reference:?}");
        }
    });
}

#[test]
fn what_once_was_good_is_tried_again_whatever_anybody_on_the_way_says() {
    for (fault, accepted) in [
        (TransportFault::ClientCertificateRequired, true),
        (TransportFault::PskRefused, true),
        (TransportFault::ProxyRefused, true),
        (TransportFault::ProxyRefused, false),
    ] {
        run(async || {
            let lair = Lair::new(V5);
            let forged = Arc::new(AtomicU32::new(u32::from(!accepted)));
            let (network, forge) = (lair.network().clone(), Arc::clone(&forged));
            let connector = move |_| {
                let (network, forge) = (network.clone(), Arc::clone(&forge));
                async move {
                    if forge.load(Ordering::Relaxed) > 0 {
                        forge.fetch_sub(1, Ordering::Relaxed);
                        return Err(io::Error::from(TransportError::new(fault, "forged")));
                    }
                    network.connect().await
                }
            };
            let client = Client::connect_retrying(lair.options().connector(connector)).unwrap();
            if accepted {
                let mut wire = lair.accept().await;
                wire.packet().await;
                wire.connack(ReasonCode::SUCCESS, &[]).await;
                status(&client, mqtt_std::Status::is_connected).await;
                forged.store(3, Ordering::Relaxed);
                drop(wire);
                let mut wire = lair.accept().await;
                wire.packet().await;
                wire.connack(ReasonCode::SUCCESS, &[]).await;
                status(&client, mqtt_std::Status::is_connected).await;
            } else {
                // Options that never were good are wrong.
                let end = status(&client, is_over).await;
                assert!(matches!(end, mqtt_std::Status::Closed { .. }), "{end:?}");
            }
        });
    }
}

#[test]
fn a_session_that_the_broker_claims_to_have_is_not_believed() {
    run(async || {
        let lair = Lair::new(V5);
        let client = Client::connect_retrying(lair.options()).unwrap();
        let receipt = client.publish("t", "x").qos(QoS::ExactlyOnce).send().await.unwrap();
        let mut wire = lair.accept().await;
        wire.packet().await;
        // Session Present, and the client has asked for a new one.
        wire.write(&[0x20, 3, 1, 0, 0]).await;
        status(&client, is_over).await;
        // What was to be sent still is, to one that says what can be.
        let mut wire = lair.accept().await;
        wire.packet().await;
        wire.connack(ReasonCode::SUCCESS, &[Property::ReceiveMaximum(1)]).await;
        assert_eq!(wire.packet().await[0], 0x34);
        drop(receipt);
    });
}

#[test]
fn where_nobody_answers_one_attempt_waits_at_a_time() {
    run(async || {
        let lair = Lair::new(V5);
        lair.network().set_reach(mqtt_std::testkit::Reach::Silent);
        let _client = Client::connect_retrying(lair.options()).unwrap();
        tokio::time::sleep(1_000 * SECOND).await;
        // Each has 10 s.
        let attempts = lair.network().attempts();
        assert!((10..=100).contains(&attempts), "{attempts}");
    });
}

#[test]
fn each_lost_subscription_is_asked_for_though_others_are_refused() {
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options(), &[]).await;
        let mut streams = Vec::new();
        // More than are under way at once.
        for number in 0..2_000 {
            let (stream, ()) = tokio::join!(client.subscribe(format!("t/{number}"), QoS::AtMostOnce), wire.grant());
            streams.push(stream.unwrap());
        }
        drop(wire);
        let mut wire = lair.accept().await;
        wire.packet().await;
        wire.connack(ReasonCode::SUCCESS, &[]).await;
        for _ in 0..streams.len() {
            let packet = wire.packet().await;
            assert_eq!(packet[0], 0x82);
            assert!(wire.write(&[0x90, 4, packet[2], packet[3], 0, 0x97]).await);
        }
        for mut stream in streams {
            assert!(stream.next().await.is_none());
        }
    });
}
