//! What an MQTT client costs: ours, others, and a raw socket that writes the same bytes, against one minimal server.
//!
//! Each measurement is a process of its own, so that nothing of one client is in the figures of another.

mod bench;
mod clients;
mod measure;
mod raw;
mod server;
mod smoke;
mod summary;

use std::process::ExitCode;

const USAGE: &str = "\
usage:
  client-benches bench [--file F] [--repetitions N] [--scale PERCENT] [--only TEXT]   measures all, appends to F (results.tsv)
  client-benches summary [--file F]          F as Markdown tables
  client-benches smoke                       a few messages by each client
  client-benches server                      prints its port, serves until its standard input ends
  client-benches run CLIENT MEASURE QOS PAYLOAD COUNT PORT     one measurement
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("bench") => bench::run(&arguments),
        Some("summary") => summary::print(&arguments),
        Some("smoke") => smoke::run(),
        Some("server") => server::serve(),
        Some("run") => clients::run(&arguments),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The word behind `--name`.
fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}
