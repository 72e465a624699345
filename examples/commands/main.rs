//! Runs what messages name, from a list of what is allowed, and answers with the result.
//!
//! ```text
//! mosquitto -v &
//! cargo run --example commands -- examples/commands/commands.toml &
//! mosquitto_rr -V 5 -t qliksense/start_task -e answers/me -m disk_space
//! mosquitto_sub -t commands/report &
//! mosquitto_pub -t qliksense/stop_everything -m now
//! ```
//!
//! A message to `qliksense/start_task` has the name of a task as its payload. The answer is JSON, to the Response Topic of the
//! message; in 3.1.1 to the topic behind `/request/`, as `Client::requests` asks for it. Whatever else comes below `qliksense/` is
//! reported to `commands/report`, as is every task.
//!
//! Whoever may publish may be hostile. Only programs of the configuration run, with its arguments: nothing of a message becomes an
//! argument or a path, and of a topic only what the configuration says is for answers: this program may publish what its clients may
//! not, so who names a topic for the answer must not choose freely. Messages larger than 16 KiB are not taken; a flood is dropped beyond a rate; so many
//! tasks run at once, each for so long, and of their output so much is kept. A retained message starts nothing, since it would again
//! at each start of this program; one at QoS 1 may come twice, and starts its task twice, one at QoS 2 does not.

mod config;
mod service;

use std::process::ExitCode;
use std::time::Duration;

use config::Config;
use mqtt_examples::{Arguments, Interrupt, Presence, Result, end, read_config, run};
use mqtt_std::{Client, QoS};
use service::Service;
use tokio::time::{MissedTickBehavior, interval};

/// Larger packets are not taken.
const MAXIMUM_PACKET: u32 = 16 * 1024;

fn main() -> ExitCode {
    run(serve())
}

async fn serve() -> Result<()> {
    let mut arguments = Arguments::new("commands CONFIG.toml [BROKER]");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let config: Config = read_config(arguments.word()?)?;
    config.check()?;
    let options = arguments.broker()?.maximum_packet_size(MAXIMUM_PACKET);
    arguments.finish()?;

    let presence = Presence::new(format!("{}/status", config.report_topic));
    let client = Client::connect(presence.will(options)).await?;
    presence.announce(&client);
    let filter = format!("{}/#", config.base_topic);
    let mut messages = client.subscribe(&filter, QoS::ExactlyOnce).capacity(64).await?;
    let mut interrupt = Interrupt::new()?;
    println!("serving {filter}: {}", config.names());

    let mut service = Service::new(client.clone(), config);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => service.take(message),
                None => return Err("the client has ended".into()),
            },
            () = service.task_ended() => {}
            _ = second.tick() => service.report_dropped(),
            () = interrupt.wait() => break,
        }
    }

    // Nothing new begins; what runs may end.
    drop(messages);
    service.finish().await;
    presence.leave(&client).await?;
    end(&client).await
}
