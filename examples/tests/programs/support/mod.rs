//! A broker, a program that runs, and a client to look at what it does.

#[cfg(feature = "tls")]
mod certificates;
mod files;
#[allow(dead_code)] // what other suites need
#[path = "../../../../mqtt-std/tests/mosquitto/support/mosquitto.rs"]
mod mosquitto;
mod program;
mod watcher;

use std::time::Duration;

#[cfg(feature = "tls")]
pub(crate) use certificates::Authority;
pub(crate) use files::Files;
#[cfg(feature = "tls")]
pub(crate) use mosquitto::{ALICE, free_port};
pub(crate) use mosquitto::{Config, Mosquitto};
pub(crate) use program::{Program, example};
pub(crate) use watcher::{VERSIONS, Watcher, json, url};

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
