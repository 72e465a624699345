//! A client of the test's own, without `async`.

use std::time::Instant;

use mqtt_std::blocking::{Client, Subscription};
use mqtt_std::{Backoff, Message, Options, QoS};

use super::{Mosquitto, PATIENCE};

/// Versions that programs are tested in, as an address says it.
pub(crate) const VERSIONS: [&str; 2] = ["5.0", "3.1.1"];

/// The address of a broker, in this version.
pub(crate) fn url(broker: &Mosquitto, version: &str) -> String {
    format!("mqtt://127.0.0.1:{}?version={version}", broker.port())
}

/// Publishes, and sees what matches a filter.
pub(crate) struct Watcher {
    pub(crate) client: Client,
    messages: Subscription,
}

impl Watcher {
    pub(crate) fn new(broker: &Mosquitto, version: &str, filter: &str) -> Self {
        Self::at(&url(broker, version), filter)
    }

    /// One who misses nothing while the broker is away.
    pub(crate) fn lasting(broker: &Mosquitto, version: &str, filter: &str) -> Self {
        let options: Options = url(broker, version).parse().unwrap();
        Self::with(options.client_identifier("watcher").keep_session(), filter)
    }

    /// At the broker of this address.
    pub(crate) fn at(url: &str, filter: &str) -> Self {
        Self::with(url.parse().unwrap(), filter)
    }

    fn with(options: Options, filter: &str) -> Self {
        let client = Client::connect(options.backoff(Backoff::new().minimum(20).maximum(200))).unwrap();
        let messages = client.subscribe(filter, QoS::ExactlyOnce).wait().unwrap();
        Self { client, messages }
    }

    pub(crate) fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, payload.into()).qos(QoS::AtLeastOnce).wait().unwrap();
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Message {
        self.next_where("", |_| true)
    }

    /// The next message of this kind; others are passed over.
    #[track_caller]
    pub(crate) fn next_where(&mut self, kind: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.messages.next_timeout(left) {
                Ok(Some(message)) if wanted(&message) => return message,
                Ok(Some(_)) => {}
                other => panic!("no message comes, {kind:?}: {other:?}"),
            }
        }
    }
}

/// The payload as JSON.
#[track_caller]
pub(crate) fn json(message: &Message) -> serde_json::Value {
    message.json().unwrap_or_else(|error| panic!("{error}: {message:?}"))
}
