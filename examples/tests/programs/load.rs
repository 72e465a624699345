//! `load`

use std::time::Instant;

use crate::support::{Config, Mosquitto, PATIENCE, Program, VERSIONS, example, url};

/// A latency in the report, in milliseconds.
fn within(said: &str, name: &str) -> f64 {
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap();
    line.trim_start_matches(" within").trim_end_matches(" ms").trim().parse().unwrap()
}

#[test]
fn each_message_is_counted_and_timed() {
    for (version, qos) in VERSIONS.into_iter().zip(["2", "1"]).chain([("5.0", "0")]) {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let words = ["--clients", "20", "--rate", "400", "--seconds", "1", "--qos", qos];
        let ended = Program::start(example("load").arg(&url).args(words)).end();
        let said = ended.stdout();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(said.starts_with("20 clients connected\nsent 400 in "), "{said}");
        assert!(said.contains("received 400, lost 0, repeated 0"), "{said}");
        let (half, all) = (within(&said, "50 %"), within(&said, "all"));
        assert!(0.0 < half && half <= all && all < 5_000.0, "{said}");
    }
}

#[test]
fn ctrl_c_ends_it_with_a_report_and_what_is_too_much_is_refused() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    let begun = Instant::now();
    let program = Program::start(example("load").args([&url, "--seconds", "600", "--clients", "2"]));
    program.wait_for("/s sent");
    program.interrupt();
    let ended = program.end();
    assert!(ended.code == Some(0) && ended.stdout().contains("lost 0"), "{}", ended.stderr);
    assert!(begun.elapsed() < PATIENCE);
    for (words, line) in [
        (["--clients", "10001"], "10001 is not from 1 to 10000\n"),
        (["--bytes", "7"], "7 is not from 8 to 1048576\n"),
        (["--qos", "3"], "3 is not from 0 to 2\n"),
    ] {
        let ended = Program::start(example("load").arg(&url).args(words)).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), line));
    }
    // Both have said goodbye.
    assert_eq!(broker.count_at_end("Received DISCONNECT"), 2);
    let ended = Program::start(example("load").arg("mqtt://127.0.0.1:1")).end();
    assert!(ended.code == Some(1) && ended.stderr.contains("refused"), "{}", ended.stderr);
}
