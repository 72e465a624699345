//! Which events are alarming.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mqtt_examples::{Rate, Result};
use mqtt_std::{TopicFilter, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{field, fill, text};

/// Of so many values of `by` events are counted, for each rule.
const COUNTED: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub filter: String,
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    when: HashMap<String, Value>,
    #[serde(default = "one")]
    count: usize,
    /// In seconds.
    #[serde(default)]
    within: u64,
    #[serde(default)]
    by: String,
    message: String,
    #[serde(default = "six")]
    per_minute: u32,
    pub file: Option<PathBuf>,
    pub publish: Option<String>,
    pub command: Option<Vec<String>>,
    /// When events came, for each value of `by`.
    #[serde(skip)]
    seen: HashMap<String, VecDeque<Instant>>,
    #[serde(skip)]
    rate: Option<Rate>,
}

const fn one() -> usize {
    1
}

const fn six() -> u32 {
    6
}

/// What somebody is told.
#[derive(Debug, Serialize)]
pub struct Alert<'a> {
    pub rule: String,
    pub message: String,
    pub count: usize,
    pub event: &'a Value,
}

/// Refuses rules that could not work.
pub fn check(filter: &str, rules: &mut [Rule]) -> Result<()> {
    let filter = TopicFilter::new(filter).map_err(|error| format!("filter: {error}"))?;
    for rule in rules {
        let name = &rule.name;
        if rule.when.is_empty() {
            return Err(format!("rule {name:?}: when is empty, so every event would be alarming").into());
        }
        if rule.count == 0 || rule.count > 1 && rule.within == 0 {
            return Err(format!("rule {name:?}: a count wants a time: within").into());
        }
        if rule.command.as_ref().is_some_and(|command| command.first().is_none_or(|program| program.contains('{'))) {
            return Err(format!("rule {name:?}: the command has no program that is the same always").into());
        }
        if let Some(topic) = &rule.publish {
            let topic_name = TopicName::new(topic).map_err(|error| format!("rule {name:?}: {topic:?}: {error}"))?;
            if filter.matches(topic_name) {
                return Err(format!("rule {name:?}: alerts to {topic:?} would be events themselves").into());
            }
        }
        rule.rate = Some(Rate::new(rule.per_minute, Duration::from_secs(60)));
    }
    Ok(())
}

impl Rule {
    /// What somebody is to be told because of this event.
    pub fn judge<'a>(&mut self, event: &'a Value, now: Instant) -> Option<Alert<'a>> {
        let matches = |(path, wanted): (&String, &Value)| match (field(event, path), wanted) {
            (Some(value), Value::Array(any)) => any.contains(value),
            (value, wanted) => value == Some(wanted),
        };
        if !self.when.iter().all(matches) || !self.is_enough(event, now) {
            return None;
        }
        if !self.rate.as_mut()?.allows(now) {
            return None;
        }
        let count = self.count;
        let message = fill(&self.message, |name| if name == "count" { count.to_string() } else { text(event, name) });
        Some(Alert { rule: self.name.clone(), message, count, event })
    }

    /// Counts an event; tells whether it completes an alert, after which counting begins anew.
    fn is_enough(&mut self, event: &Value, now: Instant) -> bool {
        if self.count == 1 {
            return true;
        }
        let within = Duration::from_secs(self.within);
        let key = text(event, &self.by);
        if self.seen.len() >= COUNTED && !self.seen.contains_key(&key) {
            self.forget_oldest();
        }
        let times = self.seen.entry(key).or_default();
        times.retain(|time| now.saturating_duration_since(*time) < within);
        times.push_back(now);
        let enough = times.len() >= self.count;
        if enough {
            times.clear();
        }
        enough
    }

    /// Makes room: the one goes that was silent for longest.
    fn forget_oldest(&mut self) {
        let oldest = self.seen.iter().min_by_key(|(_, times)| times.back().copied());
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.seen.remove(&key);
        }
    }

    /// How many alerts were beyond the limit.
    pub fn suppressed(&self) -> u64 {
        self.rate.as_ref().map_or(0, Rate::refused)
    }
}
