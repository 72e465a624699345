//! What may be run.

use std::collections::BTreeMap;

use mqtt_examples::Result;
use mqtt_std::{TopicFilter, TopicName};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub base_topic: String,
    pub report_topic: String,
    pub at_once: usize,
    pub per_second: u32,
    pub output: usize,
    /// Topics that answers may go to.
    #[serde(default = "usual_answers")]
    pub answers: Vec<String>,
    pub tasks: BTreeMap<String, Task>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub command: Vec<String>,
    /// In seconds.
    pub timeout: u64,
}

fn usual_answers() -> Vec<String> {
    ["answers/#", "response/#"].map(str::to_owned).into()
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
        for answers in &self.answers {
            let filter = TopicFilter::new(answers).map_err(|error| format!("answers: {answers:?}: {error}"))?;
            let own = [format!("{}/start_task", self.base_topic), format!("{}/report", self.report_topic)];
            if own.iter().any(|own| TopicName::new(own).is_ok_and(|own| filter.matches(own))) {
                return Err(format!("answers: {answers:?} has topics of this program's own").into());
            }
        }
        Ok(())
    }

    /// Whether an answer may go there. Whoever asks names the topic, and may have no right to publish to it himself.
    pub fn may_answer_to(&self, topic: &str) -> bool {
        let mut answers = self.answers.iter().filter_map(|answers| TopicFilter::new(answers).ok());
        TopicName::new(topic).is_ok_and(|topic| answers.any(|filter| filter.matches(topic)))
    }

    pub fn names(&self) -> String {
        self.tasks.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
