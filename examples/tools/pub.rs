//! Publishes messages: `mosquitto_pub` by another name. `README.md` here has the options.
//!
//! ```text
//! cargo install --path examples
//! mqtt-pub --help
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_examples::tool::publish()
}
