//! A program without `async` that loops for ever, or until somebody says "adieu".
//!
//! ```text
//! cargo run --example blocking
//! mosquitto_pub -t blocking/in -m hello
//! mosquitto_pub -t blocking/in -m adieu
//! ```
//!
//! In C, with libmosquitto, it is a client made with `mosquitto_new`, a will ("adieu") set with `mosquitto_will_set`, callbacks for the connection,
//! in which it subscribes, and for messages; `mosquitto_connect`, and then `mosquitto_loop_forever`, which calls them and connects again when
//! the connection is lost. With Python's paho the same ends in `loop_forever()`.
//!
//! Here messages are an iterator. The connection is made again below it, with its subscriptions; nothing is to be called for that, nor
//! does a loop that is busy elsewhere lose the connection. What a callback would set up at each connection the client does by itself.

use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, printable};
use mqtt_std::blocking::Client;
use mqtt_std::{QoS, Will};

const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match blocking() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", printable(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn blocking() -> Result<()> {
    let mut arguments = Arguments::new("blocking [BROKER]");
    if let Some(option) = arguments.option()? {
        return Err(arguments.unknown(&option));
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    let client = Client::connect(options.will(Will::new("blocking/out", "adieu").qos(QoS::AtLeastOnce)))?;
    let mut messages = client.subscribe("blocking/in", QoS::AtLeastOnce).wait()?;
    end_at_ctrl_c(&client)?;
    client.publish("blocking/out", "hello").qos(QoS::AtLeastOnce).wait()?;
    println!("listening");
    for message in messages.by_ref() {
        println!("{} {}", printable(message.topic()), printable(&String::from_utf8_lossy(message.payload())));
        if message.payload() == b"adieu" {
            break;
        }
    }
    // A will is for those who cannot say goodbye themselves.
    client.shutdown(PATIENCE)?;
    Ok(())
}

/// Ends the client when Ctrl-C comes, and with it the loop.
fn end_at_ctrl_c(client: &Client) -> Result<()> {
    let mut interrupt = client.wait(async { Interrupt::new() })??;
    let client = client.clone();
    std::thread::spawn(move || {
        let _ = client.wait(async {
            interrupt.wait().await;
            client.as_async().shutdown(PATIENCE).await
        });
    });
    Ok(())
}
