//! `mqtt-replay`

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Files, Program};

/// Exit status, stdout, stderr.
fn replay(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = Program::start(Command::new(env!("CARGO_BIN_EXE_mqtt-replay")).args(arguments)).end();
    (ended.code, ended.stdout(), ended.stderr)
}

/// A tape of a conversation with a broker that says what none should.
fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../mqtt-std/tests/tapes/kept/kit-broken-5.tape")
}

#[test]
fn a_tape_is_shown_and_what_is_another_is_told() {
    let path = kept().display().to_string();
    let (code, stdout, stderr) = replay(&[&path, &path]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(lines[0].starts_with(&format!("{path}: the same, to its end: ")), "{stdout}");

    let (_, stdout, _) = replay(&["--show", &path]);
    for line in [
        "     0.000  ** connect; -> CONNECT 5 client clean",
        "     0.000  <- CONNACK 00",
        "     0.000  <- bytes that are no packet, refused: ReservedPacketType",
        "     0.000  -> DISCONNECT 81",
    ] {
        assert!(stdout.lines().any(|shown| shown == line), "{line:?} is not in\n{stdout}");
    }

    let files = Files::new();
    let mut bytes = std::fs::read(kept()).unwrap();
    // In the DISCONNECT that answers the first packet.
    let place = bytes.windows(4).position(|window| window[0] == 0xE0 && window[2] == 0x81).unwrap();
    bytes[place + 2] = 0x82;
    let other = files.write("other.tape", &bytes).display().to_string();
    let cut = files.write("cut.tape", &bytes[..place - 20]).display().to_string();
    let none = files.write("none.tape", "MQTT tapes are another thing").display().to_string();
    let (code, stdout, stderr) = replay(&[&other, &cut, &none]);
    assert_eq!(code, Some(1));
    assert!(stdout.starts_with(&format!("{cut}: the same, until it breaks off: ")), "{stdout}");
    let lines: Vec<_> = stderr.lines().collect();
    assert!(lines[0].starts_with(&format!("{other}: entry ")) && lines[0].contains("is another one"), "{}", stderr);
    assert!(lines[1].contains("recorded: PollTransmit") && lines[2].contains("replayed: PollTransmit"), "{}", stderr);
    assert_eq!(lines[3], format!("{none}: not a tape of this format"));

    // The same calls have the answers of now.
    let renewed = files.path("renewed.tape");
    let (code, _, stderr) = replay(&["--renew", &renewed.display().to_string(), &other]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read(&renewed).unwrap(), std::fs::read(kept()).unwrap());

    let (code, _, stderr) = replay(&["nowhere.tape"]);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("nowhere.tape: "), "{stderr}");
}
