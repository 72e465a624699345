//! `mqtt-replay`

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Ended, Files, Program};

fn replay(arguments: &[&str]) -> Ended {
    Program::start(Command::new(env!("CARGO_BIN_EXE_mqtt-replay")).args(arguments)).end()
}

/// A tape of a conversation with a broker that says what none should.
fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../mqtt-std/tests/tapes/kept/kit-broken-5.tape")
}

#[test]
fn a_tape_is_shown_and_what_is_another_is_told() {
    let path = kept().display().to_string();
    let ended = replay(&[&path, &path]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let stdout = ended.stdout();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(lines[0].starts_with(&format!("{path}: the same, to its end: ")), "{stdout}");

    let stdout = replay(&["--show", &path]).stdout();
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
    let place = bytes.windows(4).position(|window| window[..3] == [0xE0, 1, 0x81]).unwrap();
    bytes[place + 2] = 0x82;
    let other = files.write("other.tape", &bytes).display().to_string();
    let cut = files.write("cut.tape", &bytes[..place - 20]).display().to_string();
    let none = files.write("none.tape", "MQTT tapes are another thing").display().to_string();
    let ended = replay(&[&other, &cut, &none]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout().starts_with(&format!("{cut}: the same, until it breaks off: ")), "{}", ended.stdout());
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{other}: entry ")) && lines[0].contains("is another one"),
        "{}",
        ended.stderr
    );
    assert!(
        lines[1].contains("recorded: PollTransmit") && lines[2].contains("replayed: PollTransmit"),
        "{}",
        ended.stderr
    );
    assert_eq!(lines[3], format!("{none}: not a tape of this format"));

    let ended = replay(&["nowhere.tape"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("nowhere.tape: "), "{}", ended.stderr);
}
