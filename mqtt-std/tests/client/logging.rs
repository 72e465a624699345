//! What is logged, by its fields; and what never is.

use core::cell::{Cell, RefCell};
use core::fmt;
use std::sync::Once;

use mqtt_std::{Acknowledge, Backoff, Cause, Client, Credentials, Error, QoS, ReasonCode, Status};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::support::*;

thread_local! {
    /// Each event of this crate on this thread as a line: `message: field=value ...`. A test has a thread of its own.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Who is told of this panics.
    static UNBEARABLE: Cell<&'static str> = const { Cell::new("nothing") };
}

struct Log;

#[derive(Default)]
struct Line(String, String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        } else {
            self.1 += &format!(" {}={value:?}", field.name());
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().starts_with("mqtt_std") {
            let mut line = Line::default();
            event.record(&mut line);
            assert_ne!(line.0, UNBEARABLE.get(), "on purpose");
            LINES.with_borrow_mut(|lines| lines.push(format!("{}:{}", line.0, line.1)));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn find(lines: &[String], message: &str) -> String {
    let found = lines.iter().find(|line| line.starts_with(&format!("{message}:")));
    found.unwrap_or_else(|| panic!("no \"{message}\" in {lines:#?}")).clone()
}

fn log() {
    static SET: Once = Once::new();
    SET.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

#[test]
fn the_states_are_logged_with_their_fields_and_no_secrets() {
    run(async || {
        log();
        let clock = Clock::stop();
        let peer = Peer::new(V5).await;
        let options = peer.options().backoff(Backoff::new()).user_name("alice");
        let options = options.credentials(async |_| Ok::<_, Error>(Credentials::new("alice").password("s3cret")));
        let client = Client::connect_retrying(options).unwrap();
        let receipt = client.publish("t", "a s3cret payload").qos(QoS::AtLeastOnce).send().await.unwrap();
        for _ in 0..2 {
            let mut link = peer.welcome(false).await;
            link.receive().await;
            link.disconnect(ReasonCode::SESSION_TAKEN_OVER, &[]).await;
            let Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!() };
            clock.pass(retry_in).await;
        }
        let mut link = peer.accept().await;
        link.packet().await;
        link.connack(false, ReasonCode::BANNED).await;
        status(&client, is_closed).await;
        drop(receipt);

        let lines = LINES.take();
        let server = format!("server=mqtt://127.0.0.1:{}", peer.port());
        for (message, fields) in [
            ("connecting", &["client=\"client\"", &server, "attempt=0"][..]),
            ("connected", &["client=\"client\"", &server, "version=5", "session_present=false"]),
            ("another client seems to use the same client identifier", &["client=\"client\"", "times=1"]),
            ("connection failed, trying again", &["client=\"client\"", &server, "cause=", "attempt=1", "retry_in=1"]),
            ("connection failed, giving up", &["client=\"client\"", &server, "cause=connection refused: banned"]),
            ("closed", &["client=\"client\""]),
        ] {
            let line = find(&lines, message);
            for field in fields {
                assert!(line.contains(field), "no {field} in {line}");
            }
        }
        let all = lines.join("\n");
        assert!(!all.contains("s3cret"), "{all}");
    });
}

#[test]
fn what_is_dropped_and_not_acknowledged_by_hand_is_logged() {
    run(async || {
        log();
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let subscribe = client.subscribe("in", QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand);
        let (stream, _) = tokio::join!(subscribe, link.grant("in q1"));
        let mut stream = stream.unwrap();
        for number in 1..=3 {
            link.publish("in", QoS::AtLeastOnce, number, "x").await;
        }
        stream.next().await.unwrap().acknowledge().unwrap();
        link.expect("PUBACK #1").await;
        until(|| client.statistics().received == 3).await;
        const MESSAGE: &str = "dropped without being acknowledged by hand: later acknowledgements are held back";
        let is_told = || LINES.take().contains(&format!("{MESSAGE}: messages=1"));
        assert!(!is_told());
        drop(stream.next().await);
        link.publish("in", QoS::AtLeastOnce, 4, "x").await;
        until(|| client.statistics().received == 4).await;
        assert!(is_told());
        drop(stream);
        others().await;
        assert!(LINES.take().contains(&format!("{MESSAGE}: messages=2")));
    });
}

// A subscriber that panics does so on the client's task, some of it while the lock is held.
#[test]
fn when_the_client_s_task_panics_every_wait_ends_and_the_status_says_so() {
    for unbearable in
        ["connecting", "connected", "a queued message at QoS 0 was not sent", "connection failed, giving up"]
    {
        run(async move || {
            log();
            UNBEARABLE.set(unbearable);
            let peer = Peer::new(V5).await;
            let client = Client::connect_retrying(peer.options().queue(1)).unwrap();
            // The broker that comes takes no retained messages.
            let queued = client.publish("t", "x").retain().send().await.unwrap();
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let mut waiting = Box::pin(client.publish("t", "x").send());
            assert!(poll(&mut waiting).is_pending());
            let mut subscribe = client.subscribe("t", QoS::AtLeastOnce).into_future();
            assert!(poll(&mut subscribe).is_pending());
            let mut stream = client.listen("t").await.unwrap();
            let serve = async {
                let mut link = peer.accept().await;
                link.packet().await;
                if unbearable.ends_with("giving up") {
                    link.connack(false, ReasonCode::BANNED).await;
                } else {
                    link.accept(&[mqtt_core::Property::RetainAvailable(0)]).await;
                }
                core::future::pending::<()>().await;
            };
            let over = async {
                let end = status(&client, is_closed).await;
                let Status::Closed { error, .. } = end else { panic!("{end:?}") };
                assert_eq!(error, Some(Cause::Panicked), "{unbearable}");
                assert!(receipt.await.is_err());
                assert!(waiting.await.is_err());
                assert!(subscribe.await.is_err());
                assert!(stream.next().await.is_none());
                assert!(matches!(client.publish("t", "x").await, Err(Error::Closed)));
                assert!(matches!(client.reauthenticate().await, Err(Error::Closed)));
                client.shutdown(LONG).await.unwrap();
            };
            tokio::select! {
                () = over => {}
                () = serve => {}
            }
            drop(queued);
        });
    }
}
