//! Publishes a request and prints the answer: `mosquitto_rr` by another name. `README.md` here has the options.
//!
//! ```text
//! cargo install --path examples
//! mqtt-rr --help
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_examples::tool::request()
}
