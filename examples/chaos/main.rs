//! Publishes and subscribes at QoS 2 while everything dies, and counts what is lost and what comes twice.
//!
//! A publisher and a subscriber, each a process with a session in a file, talk to Mosquitto through a proxy that cuts
//! connections at random bytes. The broker is stopped and started again, the processes are killed with SIGKILL and started again.
//!
//! ```text
//! cargo run --release --example chaos -- --messages 100000 --cuts 500 --broker-restarts 20 --kills 20
//! ```
//!
//! A message counts as accepted once `send().await` has returned and its number is in the publisher's file. The subscriber writes
//! the delivery number of each message together with the message's own number, then acknowledges it: one that comes again with
//! a delivery number that is in the file is not counted. Lost is what was accepted and is not in the file; doubled is
//! what is there twice. Numbers that were being sent when the publisher was killed are in doubt: they may come or not.
//!
//! With `--broker-sigkill` the broker dies as the processes do. Mosquitto then forgets what it had not saved (every second here),
//! also what it had acknowledged. The publisher is told of some: their outcome is unknown, because the broker lost the session.
//! What else is lost the broker had acknowledged.

mod broker;
mod options;
mod proxy;
mod random;
mod roles;
mod run;
mod tally;

use std::process::ExitCode;

use options::{Options, Role};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let result = match options.role {
        Role::Publisher => roles::publish(&options).await,
        Role::Subscriber => roles::subscribe(&options).await,
        Role::Parent => run::run(&options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:?}: {error}", options.role);
            ExitCode::FAILURE
        }
    }
}
