//! A broker, a program that runs, and a client to look at what it does.

#[allow(dead_code)] // what other suites need
#[path = "../../../../mqtt-std/tests/mosquitto/support/mosquitto.rs"]
mod mosquitto;
#[allow(dead_code)] // what programs that run until Ctrl-C need
mod program;

use std::time::Duration;

pub(crate) use mosquitto::{Config, Mosquitto};
pub(crate) use program::{Program, example};

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
