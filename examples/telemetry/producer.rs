//! Who makes points.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mqtt_examples::{Result, check_level};
use mqtt_std::{Client, Error, QoS};
use tokio::time::{Instant, sleep_until};

use crate::line::Point;

/// Makes points at a rate, and publishes them.
pub struct Producer {
    /// Points in a second.
    pub rate: f64,
    /// Points in a message.
    pub batch: u32,
    /// So many points, then it is done.
    pub count: u64,
    pub qos: QoS,
    made: Cell<u64>,
    refused: Cell<u64>,
    /// Points that were due while there was no room.
    not_made: Cell<u64>,
}

impl Producer {
    /// A hundred points a second, each alone, for ever.
    pub fn new() -> Self {
        let [made, refused, not_made] = [const { Cell::new(0) }; 3];
        Self { rate: 100.0, batch: 1, count: u64::MAX, qos: QoS::AtLeastOnce, made, refused, not_made }
    }

    pub fn check(&self) -> Result<()> {
        if !(self.rate > 0.0 && self.rate <= 1e6) {
            return Err("the rate is above 0, and at most a million points in a second".into());
        }
        if !(1..=10_000).contains(&self.batch) {
            return Err("a batch has 1 to 10000 points".into());
        }
        Ok(())
    }

    /// Makes all points. May be dropped at any moment.
    pub async fn run(&self, client: &Client) -> Result<()> {
        let host = sysinfo::System::host_name().filter(|name| check_level(name).is_ok());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let topic = format!("telegraf/{host}/heating");
        let batch = u64::from(self.batch);
        let period = Duration::from_secs_f64(f64::from(self.batch) / self.rate);
        let mut due = Instant::now();
        while self.made.get() < self.count {
            sleep_until(due).await;
            let first = self.made.get();
            let last = first.saturating_add(batch).min(self.count);
            let lines: Vec<String> = (first..last).filter_map(|sequence| point(&host, sequence)).collect();
            match client.publish(topic.as_str(), lines.join("\n")).qos(self.qos).send().await {
                Ok(_) => {}
                Err(Error::Full) => self.refused.set(self.refused.get() + (last - first)),
                Err(error) => return Err(error.into()),
            }
            self.made.set(last);
            due += period;
            // Held up: what was due is left out, so that there is no flood afterwards.
            while due + period < Instant::now() {
                due += period;
                self.not_made.set(self.not_made.get() + batch);
            }
        }
        Ok(())
    }

    /// What has become of the points so far.
    pub fn report(&self, client: &Client) -> String {
        let done = client.statistics();
        let (batch, refused) = (u64::from(self.batch), self.refused.get() + done.rejected * u64::from(self.batch));
        format!(
            "{} made: {} acknowledged, {} waiting, {} dropped, {refused} refused; {} not made",
            self.made.get(),
            done.acknowledged * batch,
            done.undelivered * batch,
            done.overflowed * batch,
            self.not_made.get(),
        )
    }
}

/// A point of now.
fn point(host: &str, sequence: u64) -> Option<String> {
    let angle = sequence as f64 / 100.0;
    let celsius = 60.0 + 5.0 * angle.sin();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Point::new("heating")
        .tag("host", host)
        .tag("room", "boiler room")
        .float("celsius", (celsius * 10.0).round() / 10.0)
        .boolean("burning", angle.cos() > 0.0)
        .text("mode", "day")
        .integer("sequence", sequence as i64)
        .at(now.as_nanos())
}
