//! What a broker tells of itself, and how fast it changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use mqtt_examples::printable;

/// What has come so far from `$SYS/#`.
#[derive(Default)]
pub struct Figures {
    values: BTreeMap<String, String>,
    pub messages_in: Rate,
    pub messages_out: Rate,
    pub bytes_in: Rate,
    pub bytes_out: Rate,
    /// How many clients were connected, in each of the last seconds.
    pub clients: VecDeque<u64>,
}

/// A number that grows, and by how much in a second.
#[derive(Default)]
pub struct Rate {
    last: Option<(u64, Instant)>,
    /// Between the last two times that it was told.
    gap: Duration,
    per_second: f64,
    /// In each of the last seconds.
    pub history: VecDeque<u64>,
}

/// Seconds that are remembered.
const HISTORY: usize = 300;

/// A broker that tells more than this is not listened to: so many values, of so many bytes.
const VALUES: usize = 500;
const LENGTH: usize = 200;

const CLIENTS: &str = "clients/connected";

impl Figures {
    /// Something was told. What was retained is from earlier, and nobody knows when.
    pub fn take(&mut self, topic: &str, payload: &str, retained: bool, now: Instant) {
        // Mosquitto and those that follow it; of others the values are shown as they are.
        let name = topic.strip_prefix("$SYS/broker/").or_else(|| topic.strip_prefix("$SYS/")).unwrap_or(topic);
        if payload.len() > LENGTH
            || name.len() > LENGTH
            || self.values.len() >= VALUES && !self.values.contains_key(name)
        {
            return;
        }
        let rate = match name {
            "publish/messages/received" => Some(&mut self.messages_in),
            "publish/messages/sent" => Some(&mut self.messages_out),
            "bytes/received" => Some(&mut self.bytes_in),
            "bytes/sent" => Some(&mut self.bytes_out),
            _ => None,
        };
        if let (Some(rate), Ok(total), false) = (rate, payload.parse(), retained) {
            rate.take(total, now);
        }
        // What would change the terminal stays out of it.
        let [name, value] = [name, payload].map(printable);
        self.values.insert(name, value);
    }

    /// A second has passed.
    pub fn tick(&mut self, now: Instant) {
        for rate in [&mut self.messages_in, &mut self.messages_out, &mut self.bytes_in, &mut self.bytes_out] {
            let per_second = rate.per_second(now);
            remember(&mut rate.history, per_second.round() as u64);
        }
        let clients = self.number(CLIENTS).unwrap_or(0);
        remember(&mut self.clients, clients);
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A value, by the end of its topic.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// All values, by the ends of their topics.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All in one line.
    pub fn line(&self, now: Instant) -> String {
        let number = |name| self.number(name).map_or("?".to_owned(), |number| number.to_string());
        let [messages_in, messages_out, bytes_in, bytes_out] =
            [&self.messages_in, &self.messages_out, &self.bytes_in, &self.bytes_out].map(|rate| rate.per_second(now));
        format!(
            "clients {}  subscriptions {}  retained {}  dropped {}  messages/s in {messages_in:.1} out {messages_out:.1}  \
             bytes/s in {bytes_in:.0} out {bytes_out:.0}",
            number(CLIENTS),
            number("subscriptions/count"),
            number("retained messages/count"),
            number("publish/messages/dropped"),
        )
    }
}

impl Rate {
    fn take(&mut self, total: u64, now: Instant) {
        if let Some((before, at)) = self.last {
            let gap = now.saturating_duration_since(at);
            // A broker that was restarted begins anew; two values at once are one.
            if total >= before && gap > Duration::from_millis(100) {
                self.per_second = (total - before) as f64 / gap.as_secs_f64();
                self.gap = gap;
            }
        }
        self.last = Some((total, now));
    }

    /// By how much it grows. What does not change is not told again: after a while it stands still.
    pub fn per_second(&self, now: Instant) -> f64 {
        match self.last {
            Some((_, at)) if now.saturating_duration_since(at) <= 2 * self.gap => self.per_second,
            _ => 0.0,
        }
    }
}

fn remember(history: &mut VecDeque<u64>, value: u64) {
    if history.len() >= HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}
