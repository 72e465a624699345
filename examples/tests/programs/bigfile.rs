//! `bigfile`

use std::fs;
use std::path::Path;

use crate::support::{Config, Files, Mosquitto, Program, VERSIONS, Watcher, example, url};

const SIZE: usize = 64 << 20;

/// Bytes that do not repeat soon.
fn fill(path: &Path, len: usize) {
    let mut state = 7_u64;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    });
    let bytes: Vec<u8> = words.take(len / 8).flat_map(u64::to_le_bytes).collect();
    fs::write(path, bytes).unwrap();
}

/// What a program says that it had in memory at most, in bytes.
fn peak(said: &str) -> usize {
    let line = said.lines().find_map(|line| line.strip_prefix("memory at most ")).unwrap();
    line.strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_large_file_passes_in_constant_memory() {
    let files = Files::new();
    let original = files.path("original");
    fill(&original, SIZE);
    for version in VERSIONS {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let copy = files.path(version);
        let receive = Program::start(example("bigfile").arg("receive").arg(&copy).arg(&url));
        receive.wait_for("waiting for files/big");
        let sent = Program::start(example("bigfile").arg("send").arg(&original).arg(&url)).end();
        assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""));
        let received = receive.end();
        assert_eq!((received.code, received.stderr.as_str()), (Some(0), ""));
        assert!(fs::read(&copy).unwrap() == fs::read(&original).unwrap(), "it is another file");
        assert!(!files.path(&format!("{version}.part")).exists());
        for ended in [&sent, &received] {
            assert!(peak(&ended.stdout()) < SIZE / 3, "{}", ended.stdout());
        }
        // The same checksum on both sides.
        let checksum =
            |said: String, verb: &str| said.lines().find_map(|line| Some(line.strip_prefix(verb)?.to_owned()));
        assert_eq!(checksum(sent.stdout(), "sent "), checksum(received.stdout(), "received "));
    }
}

#[test]
fn nothing_bears_the_name_of_a_file_that_is_not_whole() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let files = Files::new();
    let (url, copy) = (url(&broker, "5.0"), files.path("copy"));
    let receive = || {
        let receive = Program::start(example("bigfile").arg("receive").arg(&copy).arg(&url));
        receive.wait_for("waiting for files/big");
        receive
    };
    // A file that is not what its sender says.
    let program = receive();
    let sender = Watcher::new(&broker, "5.0", "none").client;
    sender.publish("files/big", "not it").user_property("sha-256", "00").wait().unwrap();
    let ended = program.end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.ends_with("and should be 00\n") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    // Ctrl-C.
    let program = receive();
    program.interrupt();
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "interrupted\n"));
    for name in ["copy", "copy.part"] {
        assert!(!files.path(name).exists(), "{name} is there");
    }
    // It has said goodbye.
    broker.stop();
    assert!(broker.log().contains("Received DISCONNECT"), "{}", broker.log());
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let ended = Program::start(example("bigfile").args(["send", "/nowhere/at/all"])).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("/nowhere/at/all: ") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
}
