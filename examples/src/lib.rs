//! What the programs in this folder share: arguments, Ctrl-C, how they end, other programs that they start. `README.md` lists the programs.
//! The first one, `cargo run --example quickstart`, is in `mqtt-std/examples`, where it builds in seconds.

mod arguments;
mod config;
mod connection;
mod interrupt;
mod presence;
mod process;
mod progress;
mod rate;
pub mod tool;

use std::error::Error;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use mqtt_std::Client;

pub use arguments::Arguments;
pub use config::{read_config, read_secret};
pub use connection::tell_status;
pub use interrupt::Interrupt;
pub use presence::Presence;
pub use process::{Finished, Process, run_to_end};
pub use progress::{FileWithBar, bar};
pub use rate::Rate;

/// What can fail in a program, and how a program ends.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long messages that were accepted may take when a program ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a program. Its error is one line on stderr and exit status 1.
pub fn run<T: Termination>(program: impl Future<Output = Result<T>>) -> ExitCode {
    let ended = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(program);
        // What blocks a thread (a file, a name that is looked up) does not keep the program.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(status) => status.report(),
        Err(error) => {
            // It may have what the broker says in it.
            eprintln!("{}", printable(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Makes sure that a name can be a level of a topic.
///
/// # Errors
/// It is empty, or has `/`, `+`, `#` or a null character.
pub fn check_level(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['/', '+', '#', '\0']) {
        return Err(format!("{name:?} is no level of a topic").into());
    }
    Ok(())
}

/// The text without what a terminal would obey, or would show as something else.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Ends a client: what was accepted is delivered, which takes at most 5 s, then comes DISCONNECT.
///
/// # Errors
/// Messages were not delivered.
pub async fn end(client: &Client) -> Result<()> {
    match client.shutdown(PATIENCE).await?.undelivered {
        0 => Ok(()),
        count => Err(format!("{count} messages were not delivered").into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(super::printable("\"café\" \u{1b}[2J\u{202e}\u{9b}\r"), r#""café" \u{1b}[2J\u{202e}\u{9b}\r"#);
    }
}
