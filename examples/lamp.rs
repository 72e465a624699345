//! The stair lamp of `firmware`, on a laptop: the same topics, so `remote` and whatever else switches one switches the other.
//!
//! ```text
//! cargo run --example lamp
//! cargo run --example remote -- on
//! ```
//!
//! The lamp does what it is told at `cellar/stairlamp/cmd`, "on" or "off", and says how it is at `cellar/stairlamp/status`: retained, so that
//! whoever comes later knows, and at QoS 1. If it dies the broker says "offline" there, its Last Will; when it is back it says again how
//! it is. A command comes at QoS 2: it is done once.
//!
//! It describes itself to Home Assistant, at `homeassistant/light/stairlamp/config`, retained: it is found there as a lamp without anything
//! being configured. `--forget` takes that back and ends.

use std::pin::pin;
use std::process::ExitCode;

use mqtt_examples::{Arguments, Interrupt, Result, end, run, tell_status};
use mqtt_std::{Client, QoS, Status, Will};
use serde_json::json;

const COMMAND: &str = "cellar/stairlamp/cmd";
const STATUS: &str = "cellar/stairlamp/status";
const DISCOVERY: &str = "homeassistant/light/stairlamp/config";

fn main() -> ExitCode {
    run(lamp())
}

async fn lamp() -> Result<()> {
    let mut arguments = Arguments::new("lamp [BROKER] [--forget]");
    let mut forget = false;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "forget" => forget = true,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    if forget {
        let client = Client::connect(options).await?;
        // An empty message takes a retained one away.
        client.publish(DISCOVERY, "").qos(QoS::AtLeastOnce).retain().await?;
        return end(&client).await;
    }

    let mut interrupt = Interrupt::new()?;
    let will = Will::new(STATUS, "offline").qos(QoS::AtLeastOnce).retain();
    let client = Client::connect(options.will(will).keep_alive(10)).await?;
    let mut commands = client.subscribe(COMMAND, QoS::ExactlyOnce).await?;
    let description = serde_json::to_vec(&description())?;
    client.publish(DISCOVERY, description).qos(QoS::AtLeastOnce).retain().await?;
    let mut connection = client.status();
    let mut telling = pin!(tell_status(&client));
    let mut state = "off";
    say(&client, state).await?;
    loop {
        tokio::select! {
            () = interrupt.wait() => break,
            ended = &mut telling => return ended,
            // Perhaps the broker has said otherwise in between.
            _ = connection.changed() => {
                if matches!(*connection.borrow_and_update(), Status::Connected { .. }) {
                    say(&client, state).await?;
                }
            }
            command = commands.next() => {
                let command = command.ok_or("the client has ended")?;
                match command.payload() {
                    b"on" => state = "on",
                    b"off" => state = "off",
                    _ => {
                        eprintln!("not understood: {} bytes", command.payload().len());
                        continue;
                    }
                }
                say(&client, state).await?;
            }
        }
    }
    say(&client, "offline").await?;
    end(&client).await
}

/// Says how it is, as soon as there is a connection.
async fn say(client: &Client, state: &str) -> Result<()> {
    client.publish(STATUS, state.to_owned()).qos(QoS::AtLeastOnce).retain().send().await?;
    println!("status {state}");
    Ok(())
}

/// What Home Assistant is told.
fn description() -> serde_json::Value {
    json!({
        "name": "Stair lamp",
        "unique_id": "stairlamp",
        "command_topic": COMMAND,
        "state_topic": STATUS,
        "payload_on": "on",
        "payload_off": "off",
        "qos": 2,
        "availability_topic": STATUS,
        "availability_template": "{{ 'offline' if value == 'offline' else 'online' }}",
        "device": { "identifiers": ["stairlamp"], "name": "Stair lamp" },
    })
}
