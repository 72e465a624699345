//! What the library and its programs do with a broker that is there: the one at the address in `MQTT_TEST_BROKER`. Without it nothing
//! is tried, which is said.
//!
//! ```text
//! ci/brokers/interop nats
//! MQTT_TEST_BROKER=mqtt://127.0.0.1:1883 cargo test -p mqtt-examples --test interop
//! ```
//!
//! It prints a row for each check and version: "ok"; "ok, borne: ..." where the broker did what the standard or its users do not expect and
//! the client went on; "not supported: ..." in the words of whoever refuses, the broker, or the client that was told not to ask. What
//! does not come though it was promised fails the test, after all rows.

#![allow(clippy::duplicate_mod)] // Mosquitto's process is in both of the modules of others

mod checks;
mod guest;
mod programs;
#[allow(dead_code, unused_imports)] // what the programs' own tests need
#[path = "../programs/support/mod.rs"]
mod support;
#[allow(dead_code, unused_imports)] // what the library's own tests need
#[path = "../../../mqtt-std/tests/mosquitto/support/mod.rs"]
mod waiting;

use std::io::Write as _;

use guest::{Guest, Lacks};
use mqtt_std::ProtocolVersion;

/// What is tried. Its name stands in the table.
type Check = (&'static str, fn(&mut Guest) -> Result<(), Lacks>);

/// In each version that the broker speaks.
const CHECKS: [Check; 18] = [
    ("connect", checks::connect),
    ("no client identifier", checks::without_identifier),
    ("QoS 0", checks::at_most_once),
    ("QoS 1", checks::at_least_once),
    ("QoS 2", checks::exactly_once),
    ("retained", checks::retained),
    ("retained, wildcard", checks::retained_by_wildcard),
    ("wildcards", checks::wildcards),
    ("shared subscription", checks::shared),
    ("256 KiB", checks::large),
    ("will", checks::will),
    ("takeover", checks::takeover),
    ("keep-alive of 2 s", checks::keep_alive),
    ("kept session", checks::kept_session),
    ("publish, link cut", checks::receipts_across_a_cut),
    ("mqtt-pub, mqtt-sub", programs::tools),
    ("lamp, remote", programs::lamp),
    ("bridge to Mosquitto", programs::bridge),
];

const VERSIONS: [(ProtocolVersion, &str); 2] = [(ProtocolVersion::V5_0, "5.0"), (ProtocolVersion::V3_1_1, "3.1.1")];

#[test]
fn the_broker_of_the_environment_bears_us_and_we_bear_it() {
    let Ok(broker) = std::env::var("MQTT_TEST_BROKER") else {
        // Not through `eprintln!`, which is shown for failed tests only.
        std::io::stderr().write_all(b"skipped: MQTT_TEST_BROKER names no broker\n").unwrap();
        return;
    };
    let mut failed = Vec::new();
    let mut row = |version: &'static str, name: &'static str, outcome: Result<String, String>| {
        let text = outcome.unwrap_or_else(|failure| {
            failed.push(format!("{name}, {version}"));
            format!("FAILED: {failure}")
        });
        writeln!(std::io::stdout(), "| {name} | {version} | {} |", text.replace(char::is_control, " ")).unwrap();
    };
    row("either", "connect", guest::run(&broker, None, checks::connect_falling_back));
    for (version, name) in VERSIONS {
        if let Some(refusal) = guest::refusal(&broker, version) {
            row(name, "everything", Ok(format!("not supported: {refusal}")));
            continue;
        }
        for (check, run) in CHECKS {
            row(name, check, guest::run(&broker, Some(version), run));
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
