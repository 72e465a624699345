//! What becomes of a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_examples::{Rate, printable, run_to_end};
use mqtt_std::{Client, Error, Message, QoS};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Config;

/// Names of tasks and topics are told up to here.
const TOLD: usize = 128;

/// How long tasks have to end when the program does.
const GRACE: Duration = Duration::from_secs(3);

pub struct Service {
    client: Client,
    config: Arc<Config>,
    rate: Rate,
    /// Of those that were dropped, how many were reported.
    reported: u64,
    running: JoinSet<()>,
}

/// The answer, and what is reported of a task.
#[derive(Serialize)]
struct Answer<'a> {
    task: &'a str,
    result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    output_is_cut: bool,
    seconds: f64,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Done,
    Failed,
    TimedOut,
    NotStarted,
    UnknownTask,
    Busy,
}

/// What is reported besides.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Report<'a> {
    UnknownTopic(&'a str),
    Retained(&'a str),
    /// The answer is wanted at a topic that is not for answers.
    AnswerElsewhere(&'a str),
    Dropped(u64),
}

impl Service {
    pub fn new(client: Client, config: Config) -> Self {
        let rate = Rate::new(config.per_second, Duration::from_secs(1));
        Self { client, config: Arc::new(config), rate, reported: 0, running: JoinSet::new() }
    }

    /// Takes a message; does not wait.
    pub fn take(&mut self, message: Message) {
        if !self.rate.allows(Instant::now()) {
            return;
        }
        let topic = message.topic();
        if message.retain() {
            return self.report(&Report::Retained(cut(topic)));
        }
        if !self.is_start_task(topic) {
            return self.report(&Report::UnknownTopic(cut(topic)));
        }
        if let Ok(answer) = self.client.respond(&message, "") {
            if !self.config.may_answer_to(answer.topic()) {
                return self.report(&Report::AnswerElsewhere(cut(answer.topic())));
            }
        }
        let name = String::from_utf8_lossy(message.payload()).into_owned();
        let refused = if !self.config.tasks.contains_key(&name) {
            Outcome::UnknownTask
        } else if self.running.len() >= self.config.at_once {
            Outcome::Busy
        } else {
            let (client, config) = (self.client.clone(), Arc::clone(&self.config));
            self.running.spawn(async move {
                let answer = run_task(&config, &name).await;
                tell(&client, &config, &message, &answer);
            });
            return;
        };
        tell(&self.client, &self.config, &message, &Answer::refused(cut(&name), refused));
    }

    /// Whether it is the topic of tasks. In 3.1.1 that for the answer stands behind it.
    fn is_start_task(&self, topic: &str) -> bool {
        let rest = topic.strip_prefix(&self.config.base_topic).and_then(|rest| rest.strip_prefix("/start_task"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("/request/"))
    }

    /// Waits for the end of a task; for ever where none runs.
    pub async fn task_ended(&mut self) {
        match self.running.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => eprintln!("a task: {error}"),
            None => std::future::pending().await,
        }
    }

    pub fn report_dropped(&mut self) {
        let dropped = self.rate.refused();
        if dropped > self.reported {
            self.report(&Report::Dropped(dropped - self.reported));
            self.reported = dropped;
        }
    }

    /// Waits for the tasks that run, not for long; those that are left are killed.
    pub async fn finish(mut self) {
        let _ = timeout(GRACE, async { while self.running.join_next().await.is_some() {} }).await;
        self.running.shutdown().await;
    }

    fn report(&self, what: &Report<'_>) {
        report(&self.client, &self.config, what);
    }
}

/// Runs a task of the configuration to its end.
async fn run_task<'a>(config: &Config, name: &'a str) -> Answer<'a> {
    let Some(task) = config.tasks.get(name) else { return Answer::refused(name, Outcome::UnknownTask) };
    let finished = match run_to_end(&task.command, Duration::from_secs(task.timeout), config.output).await {
        Ok(finished) => finished,
        Err(error) => {
            eprintln!("task {name}: {error}");
            return Answer::refused(name, Outcome::NotStarted);
        }
    };
    let result = match (finished.timed_out, finished.status.success()) {
        (true, _) => Outcome::TimedOut,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::Failed,
    };
    Answer {
        task: name,
        result,
        exit_status: finished.status.code(),
        output: Some(String::from_utf8_lossy(&finished.output).into_owned()),
        output_is_cut: finished.truncated,
        seconds: finished.took.as_secs_f64(),
    }
}

impl<'a> Answer<'a> {
    const fn refused(task: &'a str, result: Outcome) -> Self {
        Self { task, result, exit_status: None, output: None, output_is_cut: false, seconds: 0.0 }
    }
}

/// Answers, where an answer is wanted, and reports. What cannot leave now is given up: nobody shall be able to fill the queue.
fn tell(client: &Client, config: &Config, message: &Message, answer: &Answer<'_>) {
    let json = serde_json::to_vec(answer).map_err(Error::Json);
    match json.and_then(|json| client.respond(message, json)?.try_send()) {
        Ok(_) | Err(Error::NotARequest) => {}
        Err(error) => eprintln!("no answer: {error}"),
    }
    report(client, config, answer);
}

/// Reports to the topic for it, and to the terminal.
fn report(client: &Client, config: &Config, report: &impl Serialize) {
    let topic = format!("{}/report", config.report_topic);
    let json = serde_json::to_string(report).map_err(Error::Json);
    let reported = json.and_then(|json| {
        println!("{}", printable(&json));
        client.publish(topic, json).qos(QoS::AtLeastOnce).try_send()
    });
    if let Err(error) = reported {
        eprintln!("not reported: {error}");
    }
}

/// The beginning of a text from outside.
fn cut(text: &str) -> &str {
    text.char_indices().nth(TOLD).map_or(text, |(end, _)| &text[..end])
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
fn is_false(value: &bool) -> bool {
    !value
}
