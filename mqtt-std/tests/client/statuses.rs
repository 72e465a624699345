//! What the status tells beside the state.

use core::time::Duration;

use mqtt_core::Property::{
    AssignedClientIdentifier, MaximumQoS, ReasonString, ReceiveMaximum, ServerKeepAlive, TopicAliasMaximum,
    UserProperty,
};
use mqtt_std::{Backoff, Cause, Client, ConnectionError, Error, QoS, ReasonCode, Status};

use super::support::*;

#[test]
fn connected_tells_what_the_broker_said_and_what_it_can_take() {
    run(async || {
        let peer = Peer::new(V5).await;
        let client = Client::connect_retrying(peer.options().client_identifier("")).unwrap();
        let mut link = peer.accept().await;
        link.packet().await;
        link.accept(&[
            AssignedClientIdentifier("chosen"),
            ServerKeepAlive(17),
            ReceiveMaximum(3),
            MaximumQoS(1),
            TopicAliasMaximum(5),
            ReasonString("welcome"),
            UserProperty("node", "7"),
            UserProperty("node", "8"),
        ])
        .await;
        let connected = status(&client, is_connected).await;
        let Status::Connected { server, version, session_present, accepted, .. } = connected else { panic!() };
        assert_eq!((server, version, session_present), (peer.server(), V5, false));
        assert_eq!(accepted.assigned_client_identifier.as_deref(), Some("chosen"));
        assert_eq!(accepted.server_keep_alive, Some(17));
        assert_eq!((accepted.limits.receive_maximum, accepted.limits.maximum_qos), (3, QoS::AtLeastOnce));
        assert_eq!(accepted.limits.topic_alias_maximum, 5);
        assert_eq!(accepted.explanation.reason_string.as_deref(), Some("welcome"));
        let pair = |value: &str| ("node".to_owned(), value.to_owned());
        assert_eq!(accepted.explanation.user_properties, [pair("7"), pair("8")]);
        drop(link);
        // What was chosen is used again, and told again only if it is said again.
        let mut link = peer.accept().await;
        link.expect("CONNECT 5 chosen").await;
        link.accept(&[]).await;
        let Status::Connected { accepted, .. } = status(&client, is_connected).await else { panic!() };
        assert_eq!((&accepted.assigned_client_identifier, accepted.server_keep_alive), (&None, None));
        assert_eq!(accepted.limits.receive_maximum, u16::MAX);
    });
}

#[test]
fn a_refusal_and_a_goodbye_are_explained() {
    run(async || {
        let clock = Clock::stop();
        let peer = Peer::new(V5).await;
        let said = [ReasonString("come back at noon"), UserProperty("queue", "12")];
        let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
        for (attempt, after_connack) in [(1, false), (2, true)] {
            let mut link = peer.accept().await;
            link.packet().await;
            if after_connack {
                link.accept(&[]).await;
                link.disconnect(ReasonCode::SERVER_BUSY, &said).await;
            } else {
                link.refuse(ReasonCode::SERVER_BUSY, &said).await;
            }
            let waiting = status(&client, is_waiting).await;
            let Status::Waiting { error, server, explanation, retry_in, attempt: found, .. } = waiting else {
                panic!()
            };
            let cause = if after_connack { ConnectionError::Disconnected } else { ConnectionError::Refused };
            assert_eq!(
                (error, server, found),
                (Cause::Connection(cause(ReasonCode::SERVER_BUSY)), peer.server(), attempt)
            );
            let explanation = explanation.unwrap();
            assert_eq!(explanation.reason_code, ReasonCode::SERVER_BUSY);
            assert_eq!(explanation.reason_string.as_deref(), Some("come back at noon"));
            assert_eq!(explanation.user_properties, [("queue".to_owned(), "12".to_owned())]);
            clock.pass(retry_in).await;
            let now = client.status().borrow().clone();
            assert!(matches!(now, Status::Connecting { attempt: found, .. } if found == attempt), "{now:?}");
        }
        // 3.1.1 explains nothing.
        let peer = Peer::new(V3).await;
        let client = Client::connect_retrying(peer.options()).unwrap();
        let mut link = peer.accept().await;
        link.packet().await;
        link.connack(false, ReasonCode::SERVER_UNAVAILABLE).await;
        let Status::Waiting { explanation, .. } = status(&client, is_waiting).await else { panic!() };
        assert_eq!(explanation.map(|explanation| explanation.reason_string.clone()), Some(None));
    });
}

#[test]
fn attempts_are_counted_until_a_connection_was_stable() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().backoff(Backoff::new())).unwrap();
            for expected in [1, 2, 3, 1, 2] {
                let link = peer.welcome(false).await;
                status(&client, is_connected).await;
                if expected == 1 {
                    clock.pass(Duration::from_secs(15)).await;
                }
                drop(link);
                let Status::Waiting { attempt, retry_in, .. } = status(&client, is_waiting).await else { panic!() };
                assert_eq!(attempt, expected);
                clock.pass(retry_in).await;
            }
        }
    });
}

#[test]
fn a_cause_says_what_the_error_of_connect_says() {
    run(async || {
        let clock = Clock::stop();
        let (deaf, nobody, peer) = (Deaf::new().await, Reserved::new(), Peer::new(V5).await);
        for (options, text) in [
            (deaf.options(), "no connection in time"),
            (nobody.options(), "efused"),
            (peer.options().user_name("x".repeat(70_000)), "more than 65535 bytes"),
        ] {
            let (error, _) = clock.until_over(Client::connect(options.clone())).await;
            let error = error.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            let client = Client::connect_retrying(options).unwrap();
            let over = |status: &Status| is_waiting(status) || is_closed(status);
            let (ended, _) = clock.until_over(status(&client, over)).await;
            let (Status::Waiting { error: cause, .. } | Status::Closed { error: Some(cause), .. }) = ended else {
                panic!("{ended:?}")
            };
            // The address may be another one of the host's.
            assert!(cause.to_string().contains(text), "{cause}");
        }
        let peer = Peer::new(V5).await;
        let (error, ()) = tokio::join!(Client::connect(peer.options()), async { drop(peer.accept().await) });
        assert!(matches!(error, Err(Error::ConnectionLost | Error::Transport(_))));
    });
}
