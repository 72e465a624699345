//! What a client counts, through the facade of the crate `metrics`.
//!
//! Nothing is recorded while messages pass: [`Metrics`] takes a snapshot now and then, and hands on what has changed.
//!
//! | name | kind | labels besides `client` |
//! | --- | --- | --- |
//! | `mqtt_client_published_messages`, `mqtt_client_published_bytes` | counter | `qos`: 0, 1, 2 |
//! | `mqtt_client_received_messages`, `mqtt_client_received_bytes` | counter | `qos`: 0, 1, 2 |
//! | `mqtt_client_outcomes` | counter | `outcome`: acknowledged, rejected, overflowed, expired, refused, unknown, failed |
//! | `mqtt_client_lost_messages` | counter | `cause`: unrouted, stream_full, too_large, abandoned |
//! | `mqtt_client_connections` | counter | `event`: attempted, accepted, lost |
//! | `mqtt_client_transport_bytes` | counter | `direction`: sent, received |
//! | `mqtt_client_idle_acknowledgements` | counter | `kind`: stray, stale, withheld |
//! | `mqtt_client_in_flight_messages`, `mqtt_client_undelivered_messages` | gauge | |
//! | `mqtt_client_queued_messages`, `mqtt_client_unacknowledged_messages` | gauge | |
//! | `mqtt_client_stream_messages`, `mqtt_client_stored_bytes` | gauge | |
//! | `mqtt_client_round_trip_seconds` | histogram | `kind`: publish, ping |
//!
//! They mean what [`Statistics`] says. The label `client` is the name that the application gives, and no other label has a value
//! that comes from outside, so there are as many series as there are names. Topics, Client Identifiers, addresses and
//! credentials are in none. A round trip is recorded with the upper bound of its class, see [`Histogram`].

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use ::metrics::{
    Counter, Gauge, Histogram as Recorded, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};
use tokio::sync::watch;

use crate::state::Shared;
use crate::statistics::{Histogram, Statistics};
use crate::status::Status;

/// Hands what a client counts to the recorder that the application has installed; see [`Client::metrics`](crate::Client::metrics).
///
/// It does not keep the client alive. Install the recorder before it is made.
///
/// ```no_run
/// # async fn f() -> Result<(), mqtt_std::Error> {
/// use std::time::Duration;
///
/// let client = mqtt_std::Client::connect("mqtt://localhost").await?;
/// tokio::spawn(client.metrics("cellar").run(Duration::from_secs(10)));
/// # Ok(())
/// # }
/// ```
pub struct Metrics {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
    counters: Vec<(Counter, Number)>,
    gauges: Vec<(Gauge, Number)>,
    histograms: [(Recorded, Times); 2],
    last: Statistics,
}

type Number = fn(&Statistics) -> u64;
type Times = fn(&Statistics) -> &Histogram;

impl Metrics {
    pub(crate) fn new(shared: Arc<Shared>, status: watch::Receiver<Status>, name: SharedString) -> Self {
        describe();
        let of_one = |metric: &'static str, label: &'static str, value: &'static str| counter!(metric, "client" => name.clone(), label => value);
        let counters = COUNTERS.iter().map(|(metric, label, value, number)| (of_one(metric, label, value), *number));
        let gauges = GAUGES.iter().map(|(metric, _, number)| (gauge!(*metric, "client" => name.clone()), *number));
        let round_trip = |kind: &'static str| histogram!(ROUND_TRIP, "client" => name.clone(), "kind" => kind);
        Self {
            counters: counters.collect(),
            gauges: gauges.collect(),
            histograms: [
                (round_trip("publish"), |statistics| &statistics.publish_round_trip),
                (round_trip("ping"), |statistics| &statistics.ping_round_trip),
            ],
            shared,
            status,
            last: Statistics::default(),
        }
    }

    /// Hands on what has changed since the last time. For those who have a rhythm of their own, such as a scrape.
    pub fn record(&mut self) {
        let now = self.shared.lock().statistics();
        for (counter, number) in &self.counters {
            // Two that have the same name add up.
            counter.increment(number(&now).saturating_sub(number(&self.last)));
        }
        for (gauge, number) in &self.gauges {
            #[allow(clippy::cast_precision_loss)]
            gauge.set(number(&now) as f64);
        }
        for (recorded, times) in &self.histograms {
            let times = (times(&now), times(&self.last));
            for (bound, count) in times.0.since(times.1).filter(|(_, count)| *count > 0) {
                let bound = bound.unwrap_or_else(|| times.0.maximum());
                recorded.record_many(bound.as_secs_f64(), usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        self.last = now;
    }

    /// Records at this interval (at least a millisecond) until the client has ended, and then once more.
    ///
    /// May be dropped at any moment: what was not recorded yet is not.
    pub async fn run(mut self, interval: Duration) {
        let interval = interval.max(Duration::from_millis(1));
        let mut status = self.status.clone();
        let mut ended = core::pin::pin!(status.wait_for(|status| matches!(status, Status::Closed { .. })));
        while tokio::time::timeout(interval, ended.as_mut()).await.is_err() {
            self.record();
        }
        self.record();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("last", &self.last).finish_non_exhaustive()
    }
}

fn describe() {
    for (name, unit, text) in DESCRIBED {
        describe_counter!(*name, *unit, *text);
    }
    for (name, text, _) in GAUGES {
        let unit = if name.ends_with("bytes") { Unit::Bytes } else { Unit::Count };
        describe_gauge!(*name, unit, *text);
    }
    describe_histogram!(ROUND_TRIP, Unit::Seconds, "From a PUBLISH or PINGREQ to its answer");
}

const PUBLISHED: &str = "mqtt_client_published_messages";
const PUBLISHED_BYTES: &str = "mqtt_client_published_bytes";
const RECEIVED: &str = "mqtt_client_received_messages";
const RECEIVED_BYTES: &str = "mqtt_client_received_bytes";
const OUTCOMES: &str = "mqtt_client_outcomes";
const LOST: &str = "mqtt_client_lost_messages";
const CONNECTIONS: &str = "mqtt_client_connections";
const TRANSPORT_BYTES: &str = "mqtt_client_transport_bytes";
const IDLE: &str = "mqtt_client_idle_acknowledgements";
const ROUND_TRIP: &str = "mqtt_client_round_trip_seconds";

const DESCRIBED: &[(&str, Unit, &str)] = &[
    (PUBLISHED, Unit::Count, "Messages accepted to be sent"),
    (PUBLISHED_BYTES, Unit::Bytes, "Their payloads"),
    (RECEIVED, Unit::Count, "Messages received"),
    (RECEIVED_BYTES, Unit::Bytes, "Their payloads"),
    (OUTCOMES, Unit::Count, "What became of messages that were accepted"),
    (LOST, Unit::Count, "Messages received that nobody got, or not all who should"),
    (CONNECTIONS, Unit::Count, "Attempts to connect, connections accepted, and those lost"),
    (TRANSPORT_BYTES, Unit::Bytes, "Bytes of all packets"),
    (IDLE, Unit::Count, "Acknowledgements that acknowledged nothing, or never came"),
];

/// Name, label, its value, and the number.
const COUNTERS: &[(&str, &str, &str, Number)] = &[
    (PUBLISHED, "qos", "0", |statistics| statistics.outgoing[0].messages),
    (PUBLISHED, "qos", "1", |statistics| statistics.outgoing[1].messages),
    (PUBLISHED, "qos", "2", |statistics| statistics.outgoing[2].messages),
    (PUBLISHED_BYTES, "qos", "0", |statistics| statistics.outgoing[0].bytes),
    (PUBLISHED_BYTES, "qos", "1", |statistics| statistics.outgoing[1].bytes),
    (PUBLISHED_BYTES, "qos", "2", |statistics| statistics.outgoing[2].bytes),
    (RECEIVED, "qos", "0", |statistics| statistics.incoming[0].messages),
    (RECEIVED, "qos", "1", |statistics| statistics.incoming[1].messages),
    (RECEIVED, "qos", "2", |statistics| statistics.incoming[2].messages),
    (RECEIVED_BYTES, "qos", "0", |statistics| statistics.incoming[0].bytes),
    (RECEIVED_BYTES, "qos", "1", |statistics| statistics.incoming[1].bytes),
    (RECEIVED_BYTES, "qos", "2", |statistics| statistics.incoming[2].bytes),
    (OUTCOMES, "outcome", "acknowledged", |statistics| statistics.acknowledged),
    (OUTCOMES, "outcome", "rejected", |statistics| statistics.rejected),
    (OUTCOMES, "outcome", "overflowed", |statistics| statistics.overflowed),
    (OUTCOMES, "outcome", "expired", |statistics| statistics.expired),
    (OUTCOMES, "outcome", "refused", |statistics| statistics.refused),
    (OUTCOMES, "outcome", "unknown", |statistics| statistics.unknown),
    (OUTCOMES, "outcome", "failed", |statistics| statistics.failed),
    (LOST, "cause", "unrouted", |statistics| statistics.unrouted),
    (LOST, "cause", "stream_full", |statistics| statistics.dropped),
    (LOST, "cause", "too_large", |statistics| statistics.skipped),
    (LOST, "cause", "abandoned", |statistics| statistics.abandoned),
    (CONNECTIONS, "event", "attempted", |statistics| statistics.attempts),
    (CONNECTIONS, "event", "accepted", |statistics| statistics.connections),
    (CONNECTIONS, "event", "lost", |statistics| statistics.losses),
    (TRANSPORT_BYTES, "direction", "sent", |statistics| statistics.bytes_sent),
    (TRANSPORT_BYTES, "direction", "received", |statistics| statistics.bytes_received),
    (IDLE, "kind", "stray", |statistics| statistics.stray_acknowledgements),
    (IDLE, "kind", "stale", |statistics| statistics.stale_acknowledgements),
    (IDLE, "kind", "withheld", |statistics| statistics.withheld_acknowledgements),
];

/// Name, description, and the number.
const GAUGES: &[(&str, &str, Number)] = &[
    ("mqtt_client_in_flight_messages", "Messages at QoS 1 and 2 without an outcome", |statistics| statistics.in_flight),
    ("mqtt_client_undelivered_messages", "Messages without an outcome", |statistics| statistics.undelivered),
    ("mqtt_client_queued_messages", "Messages at QoS 0 that wait to be sent", |statistics| statistics.queued),
    ("mqtt_client_unacknowledged_messages", "Messages received, to be acknowledged", |statistics| {
        statistics.unacknowledged
    }),
    ("mqtt_client_stream_messages", "Messages that wait to be read", |statistics| statistics.in_streams),
    ("mqtt_client_stored_bytes", "Bytes of messages kept until the broker has them", |statistics| {
        statistics.stored_bytes
    }),
];
