//! All measurements, interleaved: in each repetition every client does each of them once.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clients::CLIENTS;
use crate::measure::{Figures, Measure, Task};
use crate::option;

/// One row of the tables.
pub struct Row {
    pub measure: Measure,
    pub qos: u8,
    pub payload: usize,
    pub count: usize,
}

impl Row {
    pub fn name(&self) -> String {
        let Self { measure, qos, payload, count } = self;
        let size = match payload {
            0..1024 => format!("{payload} B"),
            _ => format!("{} KiB", payload / 1024),
        };
        match measure {
            Measure::Publish | Measure::Receive => format!("{} QoS {qos} {size}", measure.name()),
            Measure::RoundTrip => format!("round trip {size}"),
            Measure::Idle => format!("idle, {count} clients"),
            Measure::IdleUsed => format!("idle after use, {count} clients"),
        }
    }
}

/// Everything, with so many messages that each takes some tenths of a second.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for measure in [Measure::Publish, Measure::Receive] {
        for (payload, counts) in
            [(64, [400_000, 200_000, 100_000]), (1024, [200_000, 100_000, 60_000]), (65_536, [8_000, 8_000, 8_000])]
        {
            for (qos, count) in (0_u8..).zip(counts) {
                rows.push(Row { measure, qos, payload, count });
            }
        }
    }
    rows.push(Row { measure: Measure::RoundTrip, qos: 0, payload: 64, count: 20_000 });
    for count in [1_000, 10_000] {
        rows.push(Row { measure: Measure::Idle, qos: 0, payload: 0, count });
    }
    rows.push(Row { measure: Measure::IdleUsed, qos: 0, payload: 0, count: 1_000 });
    rows
}

/// The server, in a process of its own, until this is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    pub fn start() -> Result<Self, String> {
        let mut child = this_program()?
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output of the server")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        let port = line.trim().parse().map_err(|_| "the server did not start")?;
        Ok(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Result<Command, String> {
    std::env::current_exe().map(Command::new).map_err(|error| error.to_string())
}

/// A measurement in a process of its own.
pub fn measure(client: &str, measure: Measure, task: &Task) -> Result<Figures, String> {
    let mut child = this_program()?
        .args(["run", client, measure.name()])
        .args(
            [usize::from(task.qos), task.payload, task.count, usize::from(task.port)].map(|number| number.to_string()),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let until = Instant::now() + TIMEOUT;
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            return Err("takes too long".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut line = String::new();
    let output = child.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    line.parse()
}

const TIMEOUT: Duration = Duration::from_secs(30);

pub fn run(arguments: &[String]) -> Result<(), String> {
    let number = |name: &str, default: usize| option(arguments, name).map_or(Ok(default), str::parse);
    let repetitions: usize = number("--repetitions", 5).map_err(|error| error.to_string())?;
    let scale: usize = number("--scale", 100).map_err(|error| error.to_string())?;
    let only = option(arguments, "--only").unwrap_or("");
    let path = option(arguments, "--file").unwrap_or("results.tsv");
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| error.to_string())?;
    let mut failed: Vec<(String, &str)> = Vec::new();
    for repetition in 1..=repetitions {
        for row in rows() {
            let name = row.name();
            let idle = matches!(row.measure, Measure::Idle | Measure::IdleUsed);
            // Memory varies little, and 10,000 connections take their time.
            if !name.contains(only) || idle && repetition > 3 {
                continue;
            }
            let count = if idle { row.count } else { (row.count * scale / 100).max(1) };
            for client in CLIENTS {
                if failed.iter().any(|(row, failed)| *row == name && *failed == client.name) {
                    continue;
                }
                let server = Server::start()?;
                let task = Task { port: server.port, qos: row.qos, payload: row.payload, count };
                match measure(client.name, row.measure, &task) {
                    Ok(figures) => {
                        writeln!(file, "{name}\t{}\t{figures}", client.name).map_err(|error| error.to_string())?;
                    }
                    Err(error) => {
                        eprintln!("{name}, {}: {error}", client.name);
                        // Once is enough.
                        failed.push((name.clone(), client.name));
                    }
                }
            }
            eprintln!("{repetition}/{repetitions} {name}");
        }
    }
    Ok(())
}
