//! Enhanced authentication, §4.12, with a method of the test's own.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mqtt_core::Packet;
use mqtt_core::Property::{AuthenticationData, AuthenticationMethod, ReasonString};
use mqtt_std::authentication::{Authenticator, Conversation, Judging, Saying};
use mqtt_std::testkit::Received;
use mqtt_std::{Cause, Client, ConnectionError, Error, Fallback, QoS, ReasonCode, Status, UsageError};

use super::support::*;

const MORE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;
const METHOD: mqtt_core::Property<'_> = AuthenticationMethod("BACKWARDS");

/// Answers each challenge backwards, and takes "good" for the right server. Where it panics or hangs is told by name.
#[derive(Clone, Default)]
struct Backwards {
    fault: Option<(&'static str, Fault)>,
    /// What the application's code was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Panic,
    Error,
    Hang,
}

impl Backwards {
    fn with(place: &'static str, fault: Fault) -> Self {
        Self { fault: Some((place, fault)), ..Self::default() }
    }

    async fn step(&self, place: &'static str, data: &[u8]) -> Result<(), std::io::Error> {
        self.asked.lock().unwrap().push(format!("{place} {}", core::str::from_utf8(data).unwrap()));
        tokio::task::yield_now().await;
        match self.fault.filter(|(where_, _)| *where_ == place) {
            Some((_, Fault::Panic)) => panic!("on purpose"),
            Some((_, Fault::Error)) => Err(std::io::Error::other("out of luck")),
            Some((_, Fault::Hang)) => core::future::pending().await,
            None => Ok(()),
        }
    }

    fn asked(&self) -> Vec<String> {
        core::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Authenticator for Backwards {
    fn method(&self) -> &'static str {
        "BACKWARDS"
    }

    fn begin(&self) -> Box<dyn Conversation> {
        assert!(self.fault != Some(("begin", Fault::Panic)), "on purpose");
        Box::new(self.clone())
    }
}

impl Conversation for Backwards {
    fn start(&mut self) -> Saying<'_> {
        Box::pin(async {
            self.step("start", b"").await?;
            Ok(Bytes::from_static(b"hello"))
        })
    }

    fn answer(&mut self, data: Bytes) -> Saying<'_> {
        Box::pin(async move {
            self.step("answer", &data).await?;
            Ok(data.iter().rev().copied().collect())
        })
    }

    fn finish(&mut self, data: Bytes) -> Judging<'_> {
        Box::pin(async move {
            self.step("finish", &data).await?;
            if data == "good" { Ok(()) } else { Err("another server".into()) }
        })
    }
}

/// Reason Code and data of an AUTH, or the data of a CONNECT; both name the method.
fn said(received: &Received) -> (ReasonCode, String) {
    let (reason, properties) = match received.packet() {
        Ok(Packet::Connect(connect)) => (ReasonCode::SUCCESS, connect.properties),
        Ok(Packet::Auth(auth)) => (auth.reason_code, auth.properties),
        _ => panic!("{received}"),
    };
    assert!(properties.iter().any(|property| property == METHOD), "{received}");
    let data = properties.iter().find_map(|property| match property {
        AuthenticationData(data) => Some(String::from_utf8(data.to_vec()).unwrap()),
        _ => None,
    });
    (reason, data.unwrap_or_default())
}

/// Takes CONNECT and challenges twice.
async fn challenged(peer: &Peer) -> Link {
    let mut link = peer.accept().await;
    assert_eq!(said(&link.packet().await).1, "hello");
    for (challenge, answer) in [("abc", "cba"), ("12", "21")] {
        link.auth(MORE, &[METHOD, AuthenticationData(challenge.as_bytes())]).await;
        assert_eq!(said(&link.packet().await), (MORE, answer.to_owned()));
    }
    link
}

async fn connected(peer: &Peer, method: &Backwards) -> (Client, Link) {
    let welcome = async {
        let mut link = challenged(peer).await;
        link.accept(&[METHOD, AuthenticationData(b"good")]).await;
        link
    };
    let (client, link) = tokio::join!(Client::connect(peer.options().authenticator(method.clone())), welcome);
    (client.unwrap(), link)
}

#[test]
fn each_challenge_is_answered_and_the_server_judged() {
    run(async || {
        let (peer, method) = (Peer::new(V5).await, Backwards::default());
        let (client, mut link) = connected(&peer, &method).await;
        assert_eq!(method.asked(), ["start ", "answer abc", "answer 12", "finish good"]);
        drop(client.publish("t", "x").send().await.unwrap());
        link.expect("PUBLISH q0 t \"x\"").await;
        // On the next connection all over again.
        drop(link);
        let mut link = challenged(&peer).await;
        link.accept(&[METHOD, AuthenticationData(b"good")]).await;
        status(&client, is_connected).await;
        assert_eq!(method.asked().len(), 4);
    });
}

#[test]
fn nothing_is_sent_to_a_server_that_is_not_the_right_one() {
    run(async || {
        for data in [&b"bad"[..], b""] {
            let (peer, method) = (Peer::new(V5).await, Backwards::default());
            let client = Client::connect_retrying(peer.options().authenticator(method)).unwrap();
            let receipt = client.publish("t", "a secret").qos(QoS::AtLeastOnce).send().await.unwrap();
            drop(client.publish("t", "another").send().await.unwrap());
            let mut link = challenged(&peer).await;
            let properties = [METHOD, AuthenticationData(data)];
            link.accept(if data.is_empty() { &properties[..1] } else { &properties }).await;
            assert!(["closed", "reset"].contains(&&*link.receive().await));
            let Status::Waiting { error: Cause::Authentication(error), retry_in, .. } =
                status(&client, is_waiting).await
            else {
                panic!("another cause")
            };
            assert_eq!(error.to_string(), "another server");
            assert!(retry_in >= Duration::from_secs(10));
            assert_eq!(client.statistics().connections, 0);
            drop((receipt, client));
        }
    });
}

#[test]
fn a_refusal_is_one_as_always() {
    run(async || {
        let (peer, method) = (Peer::new(V5).await, Backwards::default());
        let client = Client::connect_retrying(peer.options().authenticator(method.clone())).unwrap();
        let mut link = challenged(&peer).await;
        link.refuse(ReasonCode::BAD_AUTHENTICATION_METHOD, &[ReasonString("too slow")]).await;
        let end = status(&client, is_closed).await;
        let Status::Closed { error: Some(Cause::Connection(error)), explanation, .. } = end else { panic!("{end:?}") };
        assert_eq!(error, ConnectionError::Refused(ReasonCode::BAD_AUTHENTICATION_METHOD));
        assert_eq!(explanation.unwrap().reason_string.as_deref(), Some("too slow"));
        assert!(!method.asked().iter().any(|asked| asked.starts_with("finish")));
    });
}

#[test]
fn a_method_that_panics_or_fails_at_any_step_fails_the_attempt_only() {
    run(async || {
        for place in ["begin", "start", "answer", "finish"] {
            for (fault, text) in [(Fault::Panic, "panicked"), (Fault::Error, "out of luck")] {
                if place == "begin" && fault == Fault::Error {
                    continue;
                }
                let peer = Peer::new(V5).await;
                let options = peer.options().authenticator(Backwards::with(place, fault));
                let client = Client::connect_retrying(options).unwrap();
                let mut waiting = client.status();
                let script = async {
                    if ["answer", "finish"].contains(&place) {
                        let mut link = peer.accept().await;
                        link.packet().await;
                        if place == "answer" {
                            link.auth(MORE, &[METHOD, AuthenticationData(b"abc")]).await;
                        } else {
                            link.accept(&[METHOD, AuthenticationData(b"good")]).await;
                        }
                        link.receive().await;
                    }
                };
                let (waiting, ()) = tokio::join!(waiting.wait_for(is_waiting), script);
                let Status::Waiting { error: Cause::Authentication(error), .. } = &*waiting.unwrap() else {
                    panic!("{place}: another cause")
                };
                assert_eq!(error.to_string(), text, "{place}");
            }
        }
    });
}

#[test]
fn a_method_that_hangs_is_waited_for_only_so_long() {
    run(async || {
        let clock = Clock::stop();
        for (place, begins) in [("start", false), ("answer", true), ("finish", true)] {
            let peer = Peer::new(V5).await;
            let options = peer.options().authenticator(Backwards::with(place, Fault::Hang));
            let client = Client::connect_retrying(options).unwrap();
            let mut link = None;
            if begins {
                let mut begun = peer.accept().await;
                begun.packet().await;
                if place == "answer" {
                    begun.auth(MORE, &[METHOD, AuthenticationData(b"abc")]).await;
                } else {
                    begun.accept(&[METHOD, AuthenticationData(b"good")]).await;
                }
                link = Some(begun);
            }
            let (waiting, waited) = clock.until_over(status(&client, is_waiting)).await;
            assert!(waited <= Duration::from_secs(11), "{waited:?}");
            let Status::Waiting { error, .. } = waiting else { panic!("{waiting:?}") };
            match error {
                Cause::Authentication(error) => assert_eq!(error.to_string(), "no answer in time"),
                // What waits for CONNACK has its deadline.
                other => assert_eq!(other, Cause::Connection(ConnectionError::ConnackTimeout)),
            }
            drop(link);
        }
    });
}

#[test]
fn a_client_authenticates_anew_over_the_connection_there_is() {
    run(async || {
        let (peer, method) = (Peer::new(V5).await, Backwards::default());
        let (client, mut link) = connected(&peer, &method).await;
        method.asked();
        for data in [Some(&b"good"[..]), None] {
            let script = async {
                assert_eq!(said(&link.packet().await), (ReasonCode::RE_AUTHENTICATE, "hello".to_owned()));
                // Messages go on in the meantime.
                link.publish("in", QoS::AtLeastOnce, 7, "x").await;
                link.expect("PUBACK #7").await;
                link.auth(MORE, &[METHOD, AuthenticationData(b"abc")]).await;
                assert_eq!(said(&link.packet().await), (MORE, "cba".to_owned()));
                let properties = [METHOD, AuthenticationData(data.unwrap_or_default())];
                link.auth(ReasonCode::SUCCESS, if data.is_some() { &properties } else { &properties[..1] }).await;
            };
            // Two ask, one goes.
            let (one, two, ()) = tokio::join!(client.reauthenticate(), client.reauthenticate(), script);
            if data.is_some() {
                assert!(one.is_ok() && two.is_ok());
                assert_eq!(method.asked(), ["start ", "answer abc", "finish good"]);
                link.expect_nothing();
            } else {
                for answer in [one, two] {
                    assert!(
                        matches!(answer, Err(Error::Authentication(error)) if error.to_string() == "another server")
                    );
                }
                link.expect("DISCONNECT 80").await;
                link.expect("closed").await;
                let waiting = status(&client, is_waiting).await;
                assert!(matches!(waiting, Status::Waiting { error: Cause::Authentication(_), .. }), "{waiting:?}");
            }
        }
    });
}

#[test]
fn a_re_authentication_always_has_an_answer() {
    run(async || {
        let clock = Clock::stop();
        let (peer, method) = (Peer::new(V5).await, Backwards::default());
        // Not connected.
        let nobody = Reserved::new();
        let client = Client::connect_retrying(nobody.options().authenticator(method.clone())).unwrap();
        let answer = client.reauthenticate().await;
        assert!(matches!(answer, Err(Error::Usage(UsageError::NotConnected))), "{answer:?}");
        // Without a method.
        let (client, _link) = peer.connect(peer.options()).await;
        let answer = client.reauthenticate().await;
        assert!(matches!(answer, Err(Error::Usage(UsageError::NoAuthentication))), "{answer:?}");
        // The server refuses, which ends the connection.
        let (client, mut link) = connected(&peer, &method).await;
        let refuse = async {
            link.packet().await;
            link.disconnect(ReasonCode::NOT_AUTHORIZED, &[]).await;
        };
        let (answer, ()) = tokio::join!(client.reauthenticate(), refuse);
        assert!(matches!(answer, Err(Error::ConnectionLost)), "{answer:?}");
        drop(client);
        // The server says nothing.
        let (client, mut link) = connected(&peer, &method).await;
        let mut answer = Box::pin(client.reauthenticate());
        assert!(poll(&mut answer).is_pending());
        link.packet().await;
        let (answer, waited) = clock.until_over(answer).await;
        assert!(matches!(answer, Err(Error::ConnectionLost | Error::Authentication(_))), "{answer:?}");
        assert!((9..12).contains(&waited.as_secs()), "{waited:?}");
        drop(client);
        // The client ends in the meantime.
        let (client, mut link) = connected(&peer, &method).await;
        let mut answer = Box::pin(client.reauthenticate());
        assert!(poll(&mut answer).is_pending());
        link.packet().await;
        clock.until_over(client.shutdown(Duration::ZERO)).await.0.unwrap();
        let answer = answer.await;
        assert!(matches!(answer, Err(Error::ConnectionLost | Error::Closed)), "{answer:?}");
        let answer = client.reauthenticate().await;
        assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
        // Nobody waits for the answer.
        let (client, mut link) = connected(&peer, &method).await;
        let mut dropped = Box::pin(client.reauthenticate());
        assert!(poll(&mut dropped).is_pending());
        drop(dropped);
        assert_eq!(said(&link.packet().await).0, ReasonCode::RE_AUTHENTICATE);
        link.auth(ReasonCode::SUCCESS, &[METHOD, AuthenticationData(b"good")]).await;
        others().await;
        assert!(client.status().borrow().is_connected());
    });
}

#[test]
fn an_attempt_may_be_dropped_at_every_await() {
    run(async || {
        for version in [V5, V3] {
            for polls in 0..40 {
                let peer = Peer::new(version).await;
                let alive = Arc::new(());
                let held = Arc::clone(&alive);
                let options = peer.options().credentials(move |_| {
                    let held = Arc::clone(&held);
                    async move {
                        let _held = held;
                        tokio::task::yield_now().await;
                        Ok::<_, Error>(mqtt_std::Credentials::new("alice"))
                    }
                });
                let options = if version == V5 { options.authenticator(Backwards::default()) } else { options };
                let serve = async {
                    let link = if version == V5 {
                        let mut link = challenged(&peer).await;
                        link.accept(&[METHOD, AuthenticationData(b"good")]).await;
                        link
                    } else {
                        peer.welcome(false).await
                    };
                    core::future::pending::<()>().await;
                    drop(link);
                };
                let mut serve = Box::pin(serve);
                let connected = tokio::select! {
                    biased;
                    connected = drop_after(polls, Client::connect(options)) => connected,
                    () = &mut serve => panic!("it goes on for ever"),
                };
                if let Some(connected) = connected {
                    assert!(connected.unwrap().status().borrow().is_connected());
                }
                drop(serve);
                // Nothing stays behind.
                until(|| Arc::strong_count(&alive) == 1).await;
            }
        }
    });
}

#[test]
fn it_is_not_left_out_for_a_server_of_3_1_1() {
    run(async || {
        let peer = Peer::new(V3).await;
        let options = peer.options().version(V5).fallback(Fallback::ON).authenticator(Backwards::default());
        let client = Client::connect_retrying(options).unwrap();
        let mut link = peer.accept().await;
        link.packet().await;
        link.connack(false, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION).await;
        let end = status(&client, is_closed).await;
        assert!(matches!(end, Status::Closed { error: Some(Cause::Usage(_)), .. }), "{end:?}");
    });
}
