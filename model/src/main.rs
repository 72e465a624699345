//! Walks through every order in which things can happen between the library's machine and a broker.

mod broker;
mod client;
mod scenario;
mod scenarios;
mod wire;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use stateright::{Checker, Model};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let wanted = arguments.iter().find(|argument| !argument.starts_with("--"));
    println!("| scenario | states | transitions | longest way | seconds |\n| --- | ---: | ---: | ---: | ---: |");
    let mut failed = false;
    for scenario in scenarios::all(quick) {
        if wanted.is_some_and(|wanted| !scenario.name.contains(wanted.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let name = scenario.name;
        let checker = scenario.checker().threads(2).spawn_bfs().join();
        println!(
            "| {name} | {} | {} | {} | {:.1} |",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            begun.elapsed().as_secs_f64()
        );
        for (property, path) in checker.discoveries() {
            // That one is to be found.
            if property != "everything was done" {
                failed = true;
                println!("{name}: not so: {property}");
                for (world, action) in path.into_vec() {
                    println!("    {}\n- {action:?}", world.line());
                }
            }
        }
        if checker.discovery("everything was done").is_none() {
            failed = true;
            println!("{name}: nothing in it ends well");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
