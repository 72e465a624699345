//! Switches the stair lamp: `lamp`, or the one of `firmware`.
//!
//! ```text
//! cargo run --example remote -- on
//! cargo run --example remote -- off mqtt://cellar.local
//! cargo run --example remote -- status
//! ```
//!
//! A command is only sent to a lamp that is there, which its retained status tells, and has worked when the lamp says so: what comes after
//! the command and is not retained is the lamp's answer. All of it has `--seconds` (default: 5); otherwise the exit status is 1.

use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, end, run};
use mqtt_std::{Client, QoS, Subscription};
use tokio::time::timeout;

const USAGE: &str = "remote on|off|status [BROKER] [--seconds N]";
const COMMAND: &str = "cellar/stairlamp/cmd";
const STATUS: &str = "cellar/stairlamp/status";

fn main() -> ExitCode {
    run(remote())
}

async fn remote() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let mut seconds = 5;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "seconds" => seconds = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let wanted = arguments.word()?;
    let options = arguments.broker()?;
    arguments.finish()?;
    if !["on", "off", "status"].contains(&wanted.as_str()) {
        return Err(format!("usage: {USAGE}").into());
    }
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options).await?;
    let mut statuses = client.subscribe(STATUS, QoS::AtLeastOnce).await?;
    let mut stage = "nobody says how the lamp is";
    let switched = timeout(Duration::from_secs(seconds), switch(&client, &mut statuses, &wanted, &mut stage));
    let switched = interrupt.or(switched).await;
    end(&client).await?;
    match switched {
        None => Ok(()),
        Some(Err(_)) => Err(stage.into()),
        Some(Ok(switched)) => switched,
    }
}

async fn switch(client: &Client, statuses: &mut Subscription, wanted: &str, stage: &mut &'static str) -> Result<()> {
    let mut state = next(statuses).await?.0;
    if wanted != "status" {
        *stage = "the lamp does not answer";
        client.publish(COMMAND, wanted.to_owned()).qos(QoS::ExactlyOnce).await?;
        loop {
            let (now, retained) = next(statuses).await?;
            if !retained && now == wanted {
                state = now;
                break;
            }
        }
    }
    println!("the lamp is {state}");
    Ok(())
}

/// How the lamp is, and whether that is what the broker has kept.
async fn next(statuses: &mut Subscription) -> Result<(String, bool)> {
    let message = statuses.next().await.ok_or("the client has ended")?;
    match message.payload_str() {
        Ok(state @ ("on" | "off")) => Ok((state.to_owned(), message.retain())),
        // The firmware says the latter when it is told to quit.
        Ok("offline" | "gone") => Err("the lamp is offline".into()),
        _ => Err("whoever speaks there is no lamp".into()),
    }
}
