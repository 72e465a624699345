//! `mqtt-pub`, `mqtt-sub` and `mqtt-rr`: the options, the output and the exit status of `mosquitto_pub`, `mosquitto_sub` and
//! `mosquitto_rr` 2.1, so that a script which calls those runs with these by changing the name. `tools/README.md` has the table.
//!
//! | file | subject |
//! | --- | --- |
//! | `options/` | the command line, configuration files, properties |
//! | `connect` | from those to a client: version, session, will, TLS |
//! | `publish`, `subscribe`, `request` | the three programs |
//! | `input` | what is published: a text, a file, lines |
//! | `output` | what is printed of a message, and what is left out |
//! | `format/`, `json`, `properties_json` | `-F`, `--json` |
//! | `failure` | what is said on stderr, and the exit status |
//! | `debug` | `-d` |

mod connect;
mod debug;
mod failure;
mod format;
mod input;
mod json;
mod options;
mod output;
mod properties_json;
mod publish;
mod request;
mod subscribe;

use std::process::ExitCode;

use failure::Failure;
use options::{Settings, Tool};

/// `mqtt-pub`.
pub fn publish() -> ExitCode {
    start(Tool::Pub, publish::run)
}

/// `mqtt-sub`.
pub fn subscribe() -> ExitCode {
    start(Tool::Sub, subscribe::run)
}

/// `mqtt-rr`.
pub fn request() -> ExitCode {
    start(Tool::Rr, request::run)
}

fn start(tool: Tool, program: impl AsyncFnOnce(Settings) -> Result<(), Failure>) -> ExitCode {
    let settings = match Settings::from_command_line(tool) {
        Ok(settings) => settings,
        Err(stop) => return stop.tell(tool),
    };
    let (quiet, version) = (settings.quiet, settings.version);
    if settings.debug {
        debug::begin();
    }
    // A file is read on threads of their own: under load, without a bound, hundreds of them.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(1).max_blocking_threads(8).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(failure::OTHER, error).tell(quiet),
    };
    let ended = runtime.block_on(program(settings));
    // Standard input may have nothing to say, and no end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.in_version(version).tell(quiet),
    }
}
