//! What is logged, by its fields; and what never is.

use core::cell::RefCell;
use core::fmt;
use std::sync::Once;

use mqtt_std::{Backoff, Client, Credentials, Error, QoS, ReasonCode};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::support::*;

thread_local! {
    /// Each event of this crate on this thread as a line: `message: field=value ...`. A test has a thread of its own.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
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

#[test]
fn the_states_are_logged_with_their_fields_and_no_secrets() {
    run(async || {
        static SET: Once = Once::new();
        SET.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
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
            let mqtt_std::Status::Waiting { retry_in, .. } = status(&client, is_waiting).await else { panic!() };
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
