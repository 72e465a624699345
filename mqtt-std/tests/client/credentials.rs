//! User name and password from a provider.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use mqtt_core::Packet;
use mqtt_std::{
    Backoff, Cause, Client, ConnectionError, Credentials, CredentialsRequest, Error, Options, QoS, ReasonCode, Status,
};

use super::support::*;

/// Attempt and refusal.
type Question = (u32, Option<ReasonCode>);

/// What a provider was asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Question>>>);

impl Asked {
    fn take(&self) -> Vec<Question> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    /// Gives `token 1`, `token 2` and so on.
    fn tokens(&self, options: Options) -> Options {
        let (asked, count) = (self.clone(), Arc::new(Mutex::new(0)));
        options.credentials(move |request: CredentialsRequest| {
            asked.0.lock().unwrap().push((request.attempt, request.refused));
            let mut count = count.lock().unwrap();
            *count += 1;
            let credentials = Credentials::new("alice").password(format!("token {count}"));
            async move { Ok::<_, Error>(credentials) }
        })
    }
}

async fn password(link: &mut Link) -> String {
    let connect = link.packet().await;
    let Ok(Packet::Connect(connect)) = connect.packet() else { panic!("{connect}") };
    assert_eq!(connect.user_name, Some("alice"));
    String::from_utf8(connect.password.unwrap().to_vec()).unwrap()
}

#[test]
fn a_token_that_expires_is_asked_for_anew() {
    // trap R3
    run(async || {
        let clock = Clock::stop();
        for (version, reason) in [
            (V5, ReasonCode::NOT_AUTHORIZED),
            (V5, ReasonCode::BAD_USER_NAME_OR_PASSWORD),
            (V3, ReasonCode::NOT_AUTHORIZED),
            (V3, ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        ] {
            let (peer, asked) = (Peer::new(version).await, Asked::default());
            let options = asked.tokens(peer.options().backoff(Backoff::new()));
            let client = Client::connect_retrying(options).unwrap();
            for attempt in 1..=4 {
                let mut link = peer.accept().await;
                assert_eq!(password(&mut link).await, format!("token {attempt}"));
                let refused = if attempt == 1 { None } else { Some(reason) };
                assert_eq!(asked.take(), [(attempt - 1, refused)]);
                link.connack(false, reason).await;
                let Status::Waiting { retry_in, error, .. } = status(&client, is_waiting).await else { panic!() };
                assert_eq!(error, Cause::Connection(ConnectionError::Refused(reason)));
                assert!(retry_in >= Duration::from_millis(500), "no hot loop: {retry_in:?}");
                clock.pass(retry_in).await;
            }
            let mut link = peer.accept().await;
            assert_eq!(password(&mut link).await, "token 5");
            link.connack(false, ReasonCode::SUCCESS).await;
            status(&client, is_connected).await;
            // At each attempt, and no refusal is told twice.
            asked.take();
            drop(link);
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!() };
            clock.pass(retry_in).await;
            assert_eq!(password(&mut peer.accept().await).await, "token 6");
            assert_eq!(asked.take()[0].1, None);
        }
    });
}

#[test]
fn a_token_that_expires_while_connected_is_asked_for_anew() {
    run(async || {
        let (peer, asked) = (Peer::new(V5).await, Asked::default());
        let options = asked.tokens(peer.options().backoff(Backoff::new().minimum(10).slow_minimum(3_600_000)));
        let client = Client::connect_retrying(options).unwrap();
        for attempt in 1..=3 {
            let mut link = peer.accept().await;
            assert_eq!(password(&mut link).await, format!("token {attempt}"));
            let refused = if attempt == 1 { None } else { Some(ReasonCode::NOT_AUTHORIZED) };
            assert_eq!(asked.take()[0].1, refused);
            link.connack(false, ReasonCode::SUCCESS).await;
            status(&client, is_connected).await;
            link.disconnect(ReasonCode::NOT_AUTHORIZED, &[]).await;
            status(&client, is_waiting).await;
        }
    });
}

#[test]
fn without_a_provider_a_refusal_ends_the_client() {
    run(async || {
        let peer = Peer::new(V5).await;
        let client = Client::connect_retrying(peer.options().user_name("alice").password("x")).unwrap();
        let mut link = peer.accept().await;
        link.packet().await;
        link.connack(false, ReasonCode::NOT_AUTHORIZED).await;
        status(&client, is_closed).await;
    });
}

#[test]
fn a_provider_that_fails_or_panics_is_the_cause_by_its_text_and_asked_again() {
    run(async || {
        let peer = Peer::new(V5).await;
        for (panics, text) in [(None, "the vault is locked"), (Some(false), "panicked"), (Some(true), "panicked")] {
            let count = Arc::new(Mutex::new(0));
            let options = peer.options().credentials(move |_| {
                let mut count = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *count += 1;
                let fails = *count < 3;
                drop(count);
                assert!(!(fails && panics == Some(true)), "on purpose");
                async move {
                    match panics {
                        _ if !fails => Ok(Credentials::none()),
                        None => Err(std::io::Error::other("the vault is locked")),
                        Some(_) => panic!("on purpose"),
                    }
                }
            });
            let client = Client::connect_retrying(options.clone()).unwrap();
            let Status::Waiting { error: Cause::Credentials(error), .. } = status(&client, is_waiting).await else {
                panic!("another cause")
            };
            assert_eq!(error.to_string(), text);
            let _link = peer.welcome(false).await;
            status(&client, is_connected).await;
            client.publish("t", "x").await.unwrap();
        }
    });
}

#[test]
fn a_provider_that_never_answers_is_waited_for_only_so_long_and_dropped_at_shutdown() {
    run(async || {
        let clock = Clock::stop();
        let nobody = Reserved::new();
        let alive = Arc::new(());
        let options = || {
            let alive = Arc::clone(&alive);
            nobody.options().connect_timeout(Duration::from_secs(7)).credentials(move |_| {
                let alive = Arc::clone(&alive);
                async move {
                    let _alive = alive;
                    core::future::pending::<Result<Credentials, Error>>().await
                }
            })
        };
        let (error, waited) = clock.until_over(Client::connect(options())).await;
        assert!(matches!(error, Err(Error::Credentials(error)) if error.to_string() == "no answer in time"));
        assert!((7..8).contains(&waited.as_secs()), "{waited:?}");

        let client = Client::connect_retrying(options()).unwrap();
        others().await;
        assert_eq!(client.shutdown(LONG).await.unwrap().undelivered, 0);
        drop(client);
        until(|| Arc::strong_count(&alive) == 1).await;
    });
}

#[test]
fn messages_wait_for_credentials_and_go_with_them() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (sender, receiver) = tokio::sync::watch::channel(false);
            let options = peer.options().credentials(move |_| {
                let mut receiver = receiver.clone();
                async move {
                    receiver.wait_for(|ready| *ready).await?;
                    Ok::<_, tokio::sync::watch::error::RecvError>(Credentials::new("alice").password("late"))
                }
            });
            let client = Client::connect_retrying(options).unwrap();
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            others().await;
            sender.send(true).unwrap();
            let mut link = peer.accept().await;
            assert_eq!(password(&mut link).await, "late");
            link.connack(false, ReasonCode::SUCCESS).await;
            link.expect("PUBLISH q1 #1 t \"x\"").await;
            link.ack(mqtt_core::AckKind::Puback, 1, ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
        }
    });
}
