//! Several servers, and servers that send the client elsewhere.

use core::time::Duration;

use mqtt_core::Packet;
use mqtt_core::Property::ServerReference;
use mqtt_std::testkit::Received;
use mqtt_std::transport::Server;
use mqtt_std::{Backoff, Cause, Client, ConnectionError, Credentials, Error, QoS, ReasonCode, Redirects, Status, Will};

use super::support::*;

const USE: ReasonCode = ReasonCode::USE_ANOTHER_SERVER;
const MOVED: ReasonCode = ReasonCode::SERVER_MOVED;

fn server_of(status: &Status) -> Server {
    match status {
        Status::Connecting { server, .. } | Status::Connected { server, .. } | Status::Waiting { server, .. } => {
            server.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_next_server_is_tried_at_once_and_all_of_them_again_after_a_delay() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let (nobody, rude, good) = (Reserved::new(), Peer::new(version).await, Peer::new(version).await);
            let options = nobody.options().version(version).client_identifier("client");
            let options = options.and_server(rude.server()).and_server(good.server());
            let welcome = async {
                // Of its own accord: no time passes.
                drop(rude.accept().await);
                good.welcome(false).await
            };
            let (client, mut link) = tokio::join!(Client::connect(options), welcome);
            let client = client.unwrap();
            assert_eq!(server_of(&client.status().borrow()), good.server());
            let (receipt, ()) = tokio::join!(client.publish("t", "x").qos(QoS::AtMostOnce), async {
                link.expect("PUBLISH q0 t \"x\"").await;
            });
            receipt.unwrap();

            // It was the last of the round, and stood for a moment only.
            drop(link);
            for round in 1..=3 {
                let waiting = status(&client, is_waiting).await;
                let Status::Waiting { retry_in, attempt, .. } = waiting else { panic!("{waiting:?}") };
                assert_eq!((server_of(&waiting), attempt), (good.server(), round));
                clock.pass(retry_in).await;
                drop(rude.accept().await);
                drop(good.accept().await);
            }
        }
    });
}

#[test]
fn after_a_stable_connection_the_first_server_is_tried_first() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let (first, second) = (Reserved::new(), Peer::new(version).await);
            let options = first.options().version(version).client_identifier("client").and_server(second.server());
            let (client, link) = tokio::join!(Client::connect(options), second.welcome(false));
            let client = client.unwrap();
            clock.pass(Duration::from_secs(20)).await;
            let first = Peer::on(first.listen(), version);
            drop(link);
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!("not waiting") };
            clock.pass(retry_in).await;
            let _link = first.welcome(false).await;
            assert_eq!(server_of(&status(&client, is_connected).await), first.server());
        }
    });
}

#[test]
fn connect_fails_once_all_servers_have_failed() {
    run(async || {
        let (one, two) = (Reserved::new(), Peer::new(V5).await);
        let refusing = async {
            let mut link = two.accept().await;
            link.packet().await;
            link.connack(false, ReasonCode::NOT_AUTHORIZED).await;
        };
        let options = one.options().and_server(two.server());
        let (error, ()) = tokio::join!(Client::connect(options.clone()), refusing);
        let refused = ConnectionError::Refused(ReasonCode::NOT_AUTHORIZED);
        assert!(matches!(error, Err(Error::Connection(found)) if found == refused));
        // One that refuses does not end the client as long as another may come back.
        let client = Client::connect_retrying(options).unwrap();
        let mut link = two.accept().await;
        link.packet().await;
        link.connack(false, ReasonCode::NOT_AUTHORIZED).await;
        let waiting = status(&client, |status| is_waiting(status) || is_closed(status)).await;
        let Status::Waiting { retry_in, .. } = waiting else { panic!("{waiting:?}") };
        assert!(retry_in >= Duration::from_secs(10), "{retry_in:?}");

        // Where all refuse it ends.
        let (three, four) = (Peer::new(V5).await, Peer::new(V5).await);
        let client = Client::connect_retrying(three.options().and_server(four.server())).unwrap();
        for peer in [&three, &four] {
            let mut link = peer.accept().await;
            link.packet().await;
            link.connack(false, ReasonCode::NOT_AUTHORIZED).await;
        }
        status(&client, is_closed).await;
    });
}

/// User name and password of a CONNECT.
fn credentials(connect: &Received) -> (Option<String>, Option<Vec<u8>>) {
    let Ok(Packet::Connect(connect)) = connect.packet() else { panic!("{connect}") };
    (connect.user_name.map(str::to_owned), connect.password.map(<[u8]>::to_vec))
}

#[test]
fn a_redirect_is_followed_by_option_and_bounded() {
    run(async || {
        let clock = Clock::stop();
        for reason in [USE, MOVED] {
            for after_connack in [false, true] {
                let (first, second) = (Peer::new(V5).await, Peer::new(V5).await);
                let reference = format!("127.0.0.1:{}", second.port());
                let options = first.options().backoff(Backoff::new()).follow_redirects(Redirects::up_to(1));
                let client = Client::connect_retrying(options).unwrap();
                let mut link = first.accept().await;
                link.packet().await;
                if after_connack {
                    link.accept(&[]).await;
                    link.disconnect(reason, &[ServerReference(&reference)]).await;
                } else {
                    link.refuse(reason, &[ServerReference(&reference)]).await;
                }
                // At once.
                let mut link = second.welcome(false).await;
                until(|| server_of(&client.status().borrow()) == second.server()).await;
                status(&client, is_connected).await;
                // Not back to where it came from.
                let back = format!("127.0.0.1:{}", first.port());
                link.disconnect(reason, &[ServerReference(&back)]).await;
                let end = status(&client, |status| is_waiting(status) || is_closed(status)).await;
                let Status::Closed { error: Some(Cause::Connection(error)), explanation, .. } = end else {
                    panic!("{end:?}")
                };
                assert_eq!(error, ConnectionError::Disconnected(reason));
                assert_eq!(explanation.unwrap().server_reference.as_deref(), Some(&*back));
            }
        }
        drop(clock);
    });
}

#[test]
fn where_a_server_has_moved_to_is_remembered() {
    run(async || {
        let clock = Clock::stop();
        for (reason, remembered) in [(USE, false), (MOVED, true)] {
            let (first, second) = (Peer::new(V5).await, Peer::new(V5).await);
            let reference = format!("127.0.0.1:{}", second.port());
            let options = first.options().backoff(Backoff::new()).follow_redirects(Redirects::up_to(1));
            let client = Client::connect_retrying(options).unwrap();
            let mut link = first.accept().await;
            link.packet().await;
            link.refuse(reason, &[ServerReference(&reference)]).await;
            let link = second.welcome(false).await;
            status(&client, is_connected).await;
            clock.pass(Duration::from_secs(20)).await;
            drop(link);
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!("not waiting") };
            clock.pass(retry_in).await;
            let next = if remembered { &second } else { &first };
            let _link = next.welcome(false).await;
            status(&client, is_connected).await;
        }
    });
}

#[test]
fn credentials_do_not_follow_to_a_host_that_the_options_do_not_name() {
    run(async || {
        let all = (Some("alice".to_owned()), Some(b"s3cret".to_vec()));
        let without = Redirects::up_to(2);
        for (host, redirects, provider, expected) in [
            ("localhost", without, false, (None, None)),
            ("localhost", without, true, (None, None)),
            ("localhost", without.with_credentials(), false, all.clone()),
            ("localhost", without.with_credentials(), true, all.clone()),
            ("127.0.0.1", without, false, all.clone()),
        ] {
            let (first, second) = (Peer::new(V5).await, Peer::new(V5).await);
            let options = first.options().follow_redirects(redirects).will(Will::new("gone", "x"));
            let options = if provider {
                options.credentials(async |_| Ok::<_, Error>(Credentials::new("alice").password("s3cret")))
            } else {
                options.user_name("alice").password("s3cret")
            };
            let _client = Client::connect_retrying(options).unwrap();
            let mut link = first.accept().await;
            assert_eq!(credentials(&link.packet().await), all);
            link.refuse(USE, &[ServerReference(&format!("{host}:{}", second.port()))]).await;
            let mut link = second.accept().await;
            let connect = link.packet().await;
            assert_eq!(credentials(&connect), expected, "{host} {redirects:?}");
            // The Will does, as is said there.
            let Ok(Packet::Connect(connect)) = connect.packet() else { panic!("{connect}") };
            assert!(connect.will.is_some());
        }
    });
}

#[test]
fn a_redirect_is_an_error_where_it_is_not_wanted_or_names_nobody() {
    run(async || {
        let nobody = Reserved::new();
        let reference = format!("127.0.0.1:{}", nobody.port());
        for (redirects, reference) in [
            (Redirects::NONE, Some(&*reference)),
            (Redirects::up_to(3), None),
            (Redirects::up_to(3), Some("not/a/host u@host host:0")),
        ] {
            let peer = Peer::new(V5).await;
            let client = Client::connect_retrying(peer.options().follow_redirects(redirects)).unwrap();
            let mut link = peer.accept().await;
            link.packet().await;
            let property = reference.map(ServerReference);
            link.refuse(USE, property.as_slice()).await;
            let end = status(&client, is_closed).await;
            let Status::Closed { error: Some(Cause::Connection(error)), explanation, .. } = end else {
                panic!("{end:?}")
            };
            assert_eq!(error, ConnectionError::Refused(USE));
            assert_eq!(explanation.unwrap().server_reference.as_deref(), reference);
        }
    });
}
