//! One job and goodbye: what Python's paho has in `paho.mqtt.publish` and `paho.mqtt.subscribe`.
//!
//! ```text
//! cargo run --example once -- receive 'once/#' 2
//! cargo run --example once -- publish once/one hello once/two world
//! ```
//!
//! | with paho one says | and here |
//! | --- | --- |
//! | `publish.single`, a topic, a payload, a host | [`one_shot::publish`] with one [`Outgoing`](one_shot::Outgoing) |
//! | `publish.multiple`, a list of such | the same with several: they leave in their order over one connection |
//! | `subscribe.simple`, a filter and how many messages | [`one_shot::receive`] with a count; what was retained counts |
//! | `subscribe.callback`, a function and a filter | [`one_shot::listen`]; see `callback`, too |
//!
//! Each connects, does its job, and disconnects; each has a time (`--seconds`, default: 30), and what was not done in it is told, message by
//! message. In a program without `async` the same calls end in `wait` in place of `await`.

use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, printable, run};
use mqtt_std::one_shot::{self, Outgoing};
use mqtt_std::{Options, QoS};

const USAGE: &str = "once publish TOPIC PAYLOAD..., or once receive FILTER [COUNT]; [--broker URL] [--seconds N]";

/// A job that is dropped says DISCONNECT behind our back, and has so long for it.
const GOODBYE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    run(once())
}

async fn once() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let mut seconds = 30;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "seconds" => seconds = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let words = arguments.words();
    let (options, time) = (arguments.broker()?, Duration::from_secs(seconds));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut interrupt = Interrupt::new()?;
    let done = match words.as_slice() {
        ["publish", pairs @ ..] if !pairs.is_empty() && pairs.len() % 2 == 0 => {
            interrupt.or(publish(options, pairs, time)).await
        }
        ["receive", filter] => interrupt.or(receive(options, filter, 1, time)).await,
        ["receive", filter, count] => interrupt.or(receive(options, filter, count.parse()?, time)).await,
        _ => return Err(format!("usage: {USAGE}").into()),
    };
    if done.is_none() {
        tokio::time::sleep(GOODBYE).await;
    }
    done.unwrap_or(Ok(()))
}

async fn publish(options: Options, pairs: &[&str], time: Duration) -> Result<()> {
    let messages = pairs.chunks_exact(2).map(|pair| Outgoing::new(pair[0], pair[1].to_owned()).qos(QoS::AtLeastOnce));
    Ok(one_shot::publish(options, messages).timeout(time).await?)
}

async fn receive(options: Options, filter: &str, count: usize, time: Duration) -> Result<()> {
    let received = one_shot::receive(options, filter, QoS::AtLeastOnce).count(count).timeout(time).await;
    // Those that came before something went wrong are messages all the same.
    let (messages, error) = match received {
        Ok(messages) => (messages, None),
        Err(incomplete) => {
            let error = incomplete.to_string();
            (incomplete.messages, Some(error))
        }
    };
    for message in messages {
        println!("{} {}", printable(message.topic()), printable(&String::from_utf8_lossy(message.payload())));
    }
    error.map_or(Ok(()), |error| Err(error.into()))
}
