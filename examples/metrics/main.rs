//! Publishes how this machine fares, and what its users and its services do.
//!
//! ```text
//! mosquitto -v &
//! cargo run --example metrics -- examples/metrics/metrics.toml &
//! mosquitto_sub -v -t metrics/#
//! echo '{"user":"ann","host":"pc-7","command":"session_start"}' >/dev/udp/127.0.0.1/9997
//! ```
//!
//! A configuration file says where the broker is, which of the three there is, and its topic: health, the machine's real load and memory as
//! JSON, retained; user events and log events, which programs on this machine send as UDP datagrams of JSON. All at QoS 1. A Last
//! Will says when the machine is gone. As long as the broker is away what is new waits in a queue, and the oldest is dropped
//! when that is full; a health that is out of date is not sent.

mod config;
mod events;
mod health;

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use config::Config;
use events::{Event, Listener, LogEvent, UserEvent};
use health::Machine;
use mqtt_examples::{Arguments, Interrupt, Presence, Result, end, read_config, run, tell_status};
use mqtt_std::{Client, Error, Publish, QoS};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

fn main() -> ExitCode {
    run(publish())
}

async fn publish() -> Result<()> {
    let mut arguments = Arguments::new("metrics CONFIG.toml");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let config: Config = read_config(arguments.word()?)?;
    arguments.finish()?;

    let mut interrupt = Interrupt::new()?;
    let (base, server) = (&config.broker.base_topic, config.server()?);
    let health_topic = format!("{base}/{}/{server}", config.health.topic);
    let user_topic = format!("{base}/{}/{server}", config.user_events.topic);
    let log_topic = format!("{base}/{}/{server}", config.log_events.topic);
    let presence = Presence::new(format!("{base}/status/{server}"));

    let mut machine = Machine::new();
    let period = Duration::try_from_secs_f64(config.health.interval).map_err(|error| format!("interval: {error}"))?;
    let period = period.max(Machine::SHORTEST);
    let mut due = interval_at(Instant::now() + Machine::SHORTEST, period);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut users = Listener::<UserEvent>::bind("user", &config.user_events).await?;
    let mut logs = Listener::<LogEvent>::bind("log", &config.log_events).await?;

    // It tries until the broker is there: the machine may be up first.
    let client = Client::connect_retrying(presence.will(config.broker.options()?))?;
    presence.announce(&client);
    let mut told = pin!(tell_status(&client));
    loop {
        tokio::select! {
            ended = &mut told => return ended,
            _ = due.tick(), if config.health.enabled => {
                let health = client.publish_json(&health_topic, &machine.health(&server))?;
                // By then there is a newer one.
                send(health.retain().deadline(period))?;
            }
            event = users.next() => tell(&client, &user_topic, &event)?,
            event = logs.next() => tell(&client, &log_topic, &event)?,
            () = interrupt.wait() => break,
        }
    }
    presence.leave(&client).await?;
    end(&client).await?;
    println!("{users}\n{logs}");
    let done = client.statistics();
    println!(
        "{} acknowledged, {} refused, {} dropped",
        done.acknowledged,
        done.rejected,
        done.overflowed + done.expired
    );
    Ok(())
}

fn tell(client: &Client, topic: &str, event: &impl Event) -> Result<()> {
    send(client.publish_json(format!("{topic}/{}", event.kind()), event)?)
}

/// Publishes, and does not wait: what is to be published next is not held up.
fn send(publish: Publish<'_>) -> Result<()> {
    match publish.qos(QoS::AtLeastOnce).try_send() {
        // All that waits has been sent once and is not acknowledged.
        Ok(_) | Err(Error::Full) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
