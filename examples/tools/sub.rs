//! Prints messages: `mosquitto_sub` by another name. `README.md` here has the options.
//!
//! ```text
//! cargo install --path examples
//! mqtt-sub --help
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_examples::tool::subscribe()
}
