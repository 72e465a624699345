//! What a recorder of the crate `metrics` gets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use core::time::Duration;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use mqtt_std::testkit::{Broker, BrokerOptions, Network};
use mqtt_std::{Client, QoS};

use super::support::*;

type Values = Arc<Mutex<BTreeMap<String, Vec<f64>>>>;

/// Writes everything down.
#[derive(Clone, Default)]
struct Notes {
    values: Values,
    described: Arc<Mutex<Vec<String>>>,
}

struct Note {
    name: String,
    values: Values,
}

impl Note {
    fn add(&self, value: f64) {
        self.values.lock().unwrap().entry(self.name.clone()).or_default().push(value);
    }
}

impl metrics::CounterFn for Note {
    fn increment(&self, value: u64) {
        let mut values = self.values.lock().unwrap();
        let sum = values.entry(self.name.clone()).or_insert_with(|| vec![0.0]);
        sum[0] += value as f64;
    }

    fn absolute(&self, _: u64) {
        panic!("two clients with one name would not add up");
    }
}

impl metrics::GaugeFn for Note {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        self.values.lock().unwrap().insert(self.name.clone(), vec![value]);
    }
}

impl metrics::HistogramFn for Note {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Notes {
    fn note(&self, key: &Key) -> Arc<Note> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name().strip_prefix("mqtt_client_").unwrap(), labels.join(" "));
        Arc::new(Note { name, values: Arc::clone(&self.values) })
    }

    fn describe(&self, name: &KeyName) {
        self.described.lock().unwrap().push(name.as_str().strip_prefix("mqtt_client_").unwrap().to_owned());
    }

    fn of(&self, name: &str) -> Vec<f64> {
        self.values.lock().unwrap().get(name).cloned().unwrap_or_default()
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.note(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.note(key))
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_is_recorded_once_under_the_name_that_was_given() {
    let network = Network::new();
    let _broker = Broker::start_in(&network, BrokerOptions::new());
    let options = options(&network, V5)
        .client_identifier("a secret name")
        .user_name("a secret user")
        .password("a secret password");
    let client = Client::connect(options).await.unwrap();
    let notes = Notes::default();
    let mut recording = metrics::with_local_recorder(&notes, || client.metrics("lamp"));
    let mut stream = client.subscribe("a secret topic", QoS::AtLeastOnce).await.unwrap();
    for _ in 0..3 {
        client.publish("a secret topic", "12345").qos(QoS::AtLeastOnce).await.unwrap();
        recording.record();
        recording.record();
    }
    stream.next().await.unwrap();
    recording.record();
    let statistics = client.statistics();
    for (name, value) in [
        ("published_messages client=lamp qos=0", 0),
        ("published_messages client=lamp qos=1", 3),
        ("published_bytes client=lamp qos=1", 15),
        ("received_messages client=lamp qos=1", 3),
        ("outcomes client=lamp outcome=acknowledged", 3),
        ("outcomes client=lamp outcome=rejected", 0),
        ("connections client=lamp event=accepted", 1),
        ("transport_bytes client=lamp direction=sent", statistics.bytes_sent),
        ("stream_messages client=lamp", 2),
        ("in_flight_messages client=lamp", 0),
    ] {
        assert_eq!(notes.of(name), [value as f64], "{name}");
    }
    assert_eq!(notes.of("round_trip_seconds client=lamp kind=publish").len(), 3);
    let values = notes.values.lock().unwrap();
    assert!(values.keys().all(|name| name.contains(" client=lamp") && !name.contains("secret")), "{values:?}");
    let described = notes.described.lock().unwrap();
    for name in values.keys() {
        let metric = name.split(' ').next().unwrap();
        assert!(described.iter().any(|known| known == metric), "{metric} is not described");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_runs_ends_with_the_client_and_keeps_it_not_alive() {
    let network = Network::new();
    let broker = Broker::start_in(&network, BrokerOptions::new());
    let client = Client::connect(options(&network, V5)).await.unwrap();
    let notes = Notes::default();
    let running = metrics::with_local_recorder(&notes, || client.metrics("lamp").run(Duration::from_secs(10)));
    let running = tokio::spawn(running);
    client.publish("t", "x").await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(notes.of("published_messages client=lamp qos=0"), [1.0]);
    client.publish("t", "x").await.unwrap();
    drop(client);
    running.await.unwrap();
    assert_eq!(notes.of("published_messages client=lamp qos=0"), [2.0], "the last one is recorded at the end");
    assert_eq!(broker.statistics().connections, 0);
}
