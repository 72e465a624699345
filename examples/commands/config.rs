//! What may be run.

use std::collections::BTreeMap;

use mqtt_examples::Result;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub base_topic: String,
    pub report_topic: String,
    pub at_once: usize,
    pub per_second: u32,
    pub output: usize,
    pub tasks: BTreeMap<String, Task>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub command: Vec<String>,
    /// In seconds.
    pub timeout: u64,
}

impl Config {
    pub fn check(&self) -> Result<()> {
        if let Some((name, _)) = self.tasks.iter().find(|(_, task)| task.command.is_empty()) {
            return Err(format!("task {name:?} has no command").into());
        }
        let below = |topic: &str, base: &str| format!("{topic}/").starts_with(&format!("{base}/"));
        if below(&self.report_topic, &self.base_topic) {
            return Err("report_topic is below base_topic: every report would be reported".into());
        }
        Ok(())
    }

    pub fn names(&self) -> String {
        self.tasks.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
