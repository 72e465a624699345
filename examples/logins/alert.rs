//! Telling somebody.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use mqtt_examples::{Result, printable, run_to_end};
use mqtt_std::{Client, QoS};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::event::{fill, text};
use crate::rules::{Alert, Rule};

/// So many commands run at once; further ones are given up.
const AT_ONCE: usize = 4;

/// So long a command may take.
const LIMIT: Duration = Duration::from_secs(10);

/// So many bytes a file of alerts has.
const FILE: u64 = 10 << 20;

/// How long commands have to end when the program does.
const GRACE: Duration = Duration::from_secs(3);

/// Sends alerts to where the rules want them.
pub struct Alarm {
    client: Client,
    commands: JoinSet<()>,
    raised: u64,
}

impl Alarm {
    pub fn new(client: Client) -> Self {
        Self { client, commands: JoinSet::new(), raised: 0 }
    }

    pub const fn raised(&self) -> u64 {
        self.raised
    }

    /// Raises an alert; does not wait. What fails is told, and the other ways are tried.
    pub fn raise(&mut self, rule: &Rule, alert: &Alert<'_>) {
        self.raised += 1;
        println!("{}: {}", rule.name, printable(&alert.message));
        for result in [self.write(rule, alert), self.publish(rule, alert), self.start(rule, alert)] {
            if let Err(error) = result {
                eprintln!("{}: {error}", rule.name);
            }
        }
    }

    fn write(&self, rule: &Rule, alert: &Alert<'_>) -> Result<()> {
        let Some(path) = &rule.file else { return Ok(()) };
        append(path, &(serde_json::to_string(alert)? + "\n"))
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn publish(&self, rule: &Rule, alert: &Alert<'_>) -> Result<()> {
        if let Some(topic) = &rule.publish {
            self.client.publish_json(topic, alert)?.qos(QoS::AtLeastOnce).try_send()?;
        }
        Ok(())
    }

    fn start(&mut self, rule: &Rule, alert: &Alert<'_>) -> Result<()> {
        let Some(command) = &rule.command else { return Ok(()) };
        while self.commands.try_join_next().is_some() {}
        if self.commands.len() >= AT_ONCE {
            return Err("too many commands run already".into());
        }
        let command: Vec<String> = command.iter().map(|argument| filled(argument, alert)).collect();
        let name = rule.name.clone();
        self.commands.spawn(async move {
            match run_to_end(&command, LIMIT, 0).await {
                Ok(finished) if finished.timed_out => eprintln!("{name}: the command took too long"),
                Ok(finished) if finished.status.success() => {}
                Ok(finished) => eprintln!("{name}: the command has failed: {}", finished.status),
                Err(error) => eprintln!("{name}: {error}"),
            }
        });
        Ok(())
    }

    /// Waits for the commands that run, not for long; those that are left are killed.
    pub async fn finish(&mut self) {
        let _ = timeout(GRACE, async { while self.commands.join_next().await.is_some() {} }).await;
        self.commands.shutdown().await;
    }
}

/// Adds a line to a file that its owner alone may read. One that is full is kept until the next one is, with `.1` behind its name.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if file.metadata()?.len().saturating_add(line.len() as u64) > FILE {
        let mut full = path.as_os_str().to_owned();
        full.push(".1");
        std::fs::rename(path, full)?;
        file = options.open(path)?;
    }
    file.write_all(line.as_bytes())
}

/// An argument with what the event says. It is an option only if the rule says so.
fn filled(template: &str, alert: &Alert<'_>) -> String {
    let argument = fill(template, |name| match name {
        "message" => alert.message.clone(),
        "rule" => alert.rule.clone(),
        "count" => alert.count.to_string(),
        name => text(alert.event, name),
    });
    if argument.starts_with('-') && !template.starts_with('-') { format!("?{argument}") } else { argument }
}
