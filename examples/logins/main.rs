//! Watches login events and tells somebody about those that are alarming.
//!
//! ```text
//! mosquitto -v &
//! cargo run --example logins -- examples/logins/logins.toml &
//! mosquitto_sub -v -t alerts/# &
//! mosquitto_pub -t logging/door -m '{"event":"login","result":"success","user":"root","client":{"address":"10.0.0.7"}}'
//! ```
//!
//! Rules in a file say which events they are about, how many there must be in what time, and where the alert goes: to a file, to
//! another topic, to a command.
//!
//! Events come from outside, and may be hostile. Messages larger than 16 KiB are not taken. What of an event becomes part of an alert is
//! short and printable; of a command it is a part of an argument, never a program, and never the beginning of an option. Files
//! have lines of JSON, so no event makes two of them, and 10 MiB, of which the last two are kept. Each rule has a limit of alerts in a minute; so many commands run at once, each for
//! 10 s; of so many different addresses or users the events are counted.

mod alert;
mod event;
mod rules;

use std::process::ExitCode;
use std::time::Instant;

use alert::Alarm;
use mqtt_examples::{Arguments, Interrupt, Result, end, read_config, run};
use mqtt_std::{Client, QoS};
use rules::Config;

/// Larger packets are not taken.
const MAXIMUM_PACKET: u32 = 16 * 1024;

fn main() -> ExitCode {
    run(watch())
}

async fn watch() -> Result<()> {
    let mut arguments = Arguments::new("logins RULES.toml [BROKER]");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let Config { filter, mut rules } = read_config(arguments.word()?)?;
    let options = arguments.broker()?.maximum_packet_size(MAXIMUM_PACKET);
    arguments.finish()?;
    rules::check(&filter, &mut rules)?;

    let client = Client::connect(options).await?;
    let mut events = client.subscribe(&filter, QoS::AtLeastOnce).await?;
    let mut interrupt = Interrupt::new()?;
    println!("watching {filter} with {} rules", rules.len());
    let mut alarm = Alarm::new(client.clone());
    let (mut taken, mut not_understood) = (0_u64, 0_u64);
    while let Some(message) = interrupt.or(events.next()).await {
        let message = message.ok_or("the client has ended")?;
        let Ok(event) = message.json() else {
            not_understood += 1;
            continue;
        };
        taken += 1;
        for rule in &mut rules {
            if let Some(alert) = rule.judge(&event, Instant::now()) {
                alarm.raise(rule, &alert);
            }
        }
    }
    drop(events);
    alarm.finish().await;
    let suppressed: u64 = rules.iter().map(rules::Rule::suppressed).sum();
    println!("{taken} events, {not_understood} not understood; {} alerts, {suppressed} suppressed", alarm.raised());
    end(&client).await
}
