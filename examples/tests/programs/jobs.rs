//! `jobs`

use std::process::Command;
use std::time::{Duration, Instant};

use mqtt_std::QoS;
use serde_json::{Value, json};

use crate::support::{Config, Files, Mosquitto, PATIENCE, Program, VERSIONS, Watcher, example, json, url};

/// Runs a command in a shell of its own, as the job "backup".
fn start(broker: &Mosquitto, version: &str, script: &str) -> Program {
    Program::start(example("jobs").args(["--broker", &url(broker, version), "backup", "--", "sh", "-c", script]))
}

/// What comes until the exit, and the exit.
fn told(watcher: &mut Watcher) -> (Vec<(String, Vec<u8>)>, Value) {
    let mut told = Vec::new();
    loop {
        let message = watcher.next_where("exit", |message| message.topic() != "processes/backup/status");
        assert_eq!(message.qos(), QoS::AtLeastOnce);
        match message.topic() {
            "processes/backup/exit" => return (told, json(&message)),
            topic => told.push((topic.to_owned(), message.payload().to_vec())),
        }
    }
}

#[test]
fn start_output_and_end_are_reported() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut watcher = Watcher::new(&broker, version, "processes/backup/#");
        let program = start(&broker, version, "echo one; printf '\\377\\n\\ntwo'; echo no >&2; exit 3");
        let (told, exit) = told(&mut watcher);
        let (topic, start) = &told[0];
        assert_eq!(topic, "processes/backup/start");
        let start: Value = serde_json::from_slice(start).unwrap();
        assert_eq!(start["program"], "sh");
        assert!(start["process"].as_u64() > Some(1) && start["time"].as_u64() > Some(1_700_000_000), "{start}");
        let lines = |stream: &str| -> Vec<&[u8]> {
            let topic = format!("processes/backup/{stream}");
            told.iter().filter(|(told, _)| *told == topic).map(|(_, line)| line.as_slice()).collect()
        };
        assert_eq!(lines("stdout"), [&b"one"[..], b"\xff", b"", b"two"]);
        assert_eq!(lines("stderr"), [b"no"]);
        assert_eq!((&exit["exit_status"], &exit["signal"], &exit["lines"]), (&json!(3), &json!(null), &json!(5)));
        assert_eq!((&exit["output_is_cut"], &exit["error"]), (&json!(false), &json!(null)));
        let ended = program.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), ""));
        // A latecomer sees how it went.
        let mut latecomer = Watcher::new(&broker, version, "processes/+/exit");
        assert_eq!(json(&latecomer.next()), exit);
        latecomer.client.publish("processes/backup/exit", "").qos(QoS::AtLeastOnce).retain().wait().unwrap();
    }
}

#[test]
fn much_output_comes_in_order_and_long_lines_in_parts() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "processes/backup/#");
    let program = start(&broker, "5.0", "seq 5000; head -c 20000 /dev/zero | tr '\\0' x; echo; echo end");
    let (told, exit) = told(&mut watcher);
    let lines: Vec<_> = told[1..].iter().map(|(_, line)| String::from_utf8_lossy(line)).collect();
    for (index, line) in lines[..5000].iter().enumerate() {
        assert_eq!(*line, (index + 1).to_string());
    }
    assert_eq!(lines[5000..].iter().map(|line| line.len()).collect::<Vec<_>>(), [8192, 8192, 3616, 3]);
    assert_eq!((&exit["lines"], &exit["dropped"]), (&json!(5002), &json!(0)));
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn what_a_command_leaves_running_does_not_hold_up_the_report() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "processes/backup/#");
    let program = start(&broker, "5.0", "sleep 60 & echo $!");
    let (told, exit) = told(&mut watcher);
    let (_, pid) = &told[1];
    let pid = std::str::from_utf8(pid).unwrap();
    assert!(Command::new("kill").arg(pid).status().unwrap().success(), "it should run still");
    assert_eq!((&exit["exit_status"], &exit["lines"], &exit["output_is_cut"]), (&json!(0), &json!(1), &json!(true)));
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn what_cannot_run_is_reported() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "processes/backup/#");
    let broker = url(&broker, "5.0");
    let program = Program::start(example("jobs").args(["--broker", &broker, "backup", "/nowhere/at-all", "--", "-x"]));
    let (told, exit) = told(&mut watcher);
    assert!(told.is_empty(), "{told:?}");
    let said = exit["error"].as_str().unwrap();
    assert!(said.starts_with("/nowhere/at-all: No such file"), "{said}");
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.trim_end()), (Some(1), said));
    for (arguments, said) in [(&["a/b", "true"][..], "\"a/b\" is no level of a topic"), (&["backup"], "usage: jobs ")] {
        let ended = Program::start(example("jobs").args(arguments)).end();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn ctrl_c_ends_the_command_and_that_is_reported() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut watcher = Watcher::new(&broker, version, "processes/backup/#");
        let program = start(&broker, version, "echo begun; sleep 600 & wait");
        watcher.next_where("begun", |message| message.payload() == b"begun");
        program.interrupt();
        let (_, exit) = told(&mut watcher);
        assert_eq!((&exit["exit_status"], &exit["signal"]), (&json!(null), &json!(15)));
        assert_eq!(watcher.next().payload(), b"offline");
        assert_eq!(program.end().code, Some(0));
        watcher.client.publish("processes/backup/exit", "").qos(QoS::AtLeastOnce).retain().wait().unwrap();
        watcher.next_where("", |message| message.payload().is_empty());
    }
}

#[test]
fn a_job_does_not_hang_because_the_broker_is_away() {
    let Some(mut broker) = Mosquitto::start(Config::PERSISTENT) else { return };
    let mut watcher = Watcher::lasting(&broker, "5.0", "processes/backup/#");
    let files = Files::new();
    let (go, done) = (files.path("go"), files.path("done"));
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
    let script = format!("echo begun; {wait}; seq 5000; rm {}; touch {}; {wait}", go.display(), done.display());
    let program = start(&broker, "5.0", &script);
    watcher.next_where("begun", |message| message.payload() == b"begun");
    broker.stop();
    files.write("go", "");
    let begun = Instant::now();
    while !done.exists() {
        assert!(begun.elapsed() < PATIENCE, "the job hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
    broker.resume();
    files.write("go", "");
    let (told, exit) = told(&mut watcher);
    assert_eq!(program.end().code, Some(0));
    // What was there first waited, the rest is counted.
    let dropped = exit["dropped"].as_u64().unwrap();
    assert!(dropped > 3_000, "{exit}");
    // At QoS 1 what came before may come twice.
    let numbers = told.iter().filter_map(|(_, line)| std::str::from_utf8(line).ok()?.parse::<u64>().ok());
    assert!(numbers.eq(1..=5_000 - dropped), "{exit} {told:?}");
}

#[test]
fn the_death_of_the_program_is_told_by_the_broker() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut status = Watcher::new(&broker, "5.0", "processes/backup/status");
    let program = start(&broker, "5.0", "sleep 3");
    assert_eq!(status.next().payload(), b"online");
    program.signal("-KILL");
    assert_eq!(status.next().payload(), b"offline");
}
