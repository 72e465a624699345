//! Each client does a little of everything: the program still works, whatever it measures.

use crate::bench::{Server, measure};
use crate::clients::{CLIENTS, NOT_MEASURED};
use crate::measure::{Measure, Task};

pub fn run() -> Result<(), String> {
    let server = Server::start()?;
    let mut failed = Vec::new();
    for client in CLIENTS {
        for kind in [Measure::Publish, Measure::Receive, Measure::RoundTrip, Measure::Idle] {
            for (qos, payload) in [(0, 64), (1, 64), (2, 64), (0, 65_536), (2, 65_536)] {
                let more = matches!(kind, Measure::RoundTrip | Measure::Idle);
                if more && (qos, payload) != (0, 64) {
                    continue;
                }
                let task = Task { port: server.port, qos, payload, count: if more { 10 } else { 1_500 } };
                let figures = match measure(client.name, kind, &task) {
                    Err(error) if error.contains(NOT_MEASURED) => continue,
                    Err(error) => {
                        failed.push(format!("{} {} QoS {qos} {payload} B: {error}", client.name, kind.name()));
                        continue;
                    }
                    Ok(figures) => figures,
                };
                println!("{}\t{}\t{qos}\t{payload}\t{figures}", client.name, kind.name());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}
