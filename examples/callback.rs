//! Functions that are called for messages, and a Last Will.
//!
//! ```text
//! cargo run --example callback
//! mosquitto_pub -t callback/ping -m hello
//! ```
//!
//! With Python's paho one writes `subscribe.callback(on_message, "callback/#", will=...)`: it connects with that will, subscribes, and calls the
//! function for each message, for ever. There, too, a client has `message_callback_add(filter, function)` for a function of each
//! filter. Here both are a [`Router`]: handlers by pattern, whose levels have names, and one for the rest. A handler that fails or
//! panics is counted and logged, and the others go on; one that is `async` may wait, and publish.
//!
//! `callback/ping` is answered at `callback/pong`. The will is at `callback/status`, and it comes when this program is killed; Ctrl-C says
//! goodbye instead.

use std::process::ExitCode;

use mqtt_examples::{Arguments, Interrupt, Presence, Result, end, printable, run};
use mqtt_std::{Client, QoS, Router};

fn main() -> ExitCode {
    run(callback())
}

async fn callback() -> Result<()> {
    let mut arguments = Arguments::new("callback [BROKER]");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    let mut interrupt = Interrupt::new()?;
    let presence = Presence::new("callback/status");
    let client = Client::connect(presence.will(options)).await?;
    presence.announce(&client);

    let answering = client.clone();
    let router = Router::new()
        .first_match()
        .on("callback/ping", move |message, _| {
            let client = answering.clone();
            async move { client.publish("callback/pong", message.payload_bytes()).qos(QoS::AtLeastOnce).await.map(drop) }
        })?
        .on_sync("callback/{what..}", |message, captures| {
            let what = captures.get("what").unwrap_or_default();
            println!("{}: {}", printable(what), printable(&String::from_utf8_lossy(message.payload())));
        })?;
    let routing = router.subscribe(&client).await?;
    println!("listening");
    interrupt.or(routing.run()).await;
    presence.leave(&client).await?;
    end(&client).await
}
