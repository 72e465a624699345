//! `service`

use crate::support::{Config, Mosquitto, Program, example};

#[test]
fn commands_are_handled_and_requests_are_answered() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in ["5.0", "3.1.1"] {
        let url = format!("mqtt://127.0.0.1:{}?version={version}", broker.port());
        let ended = Program::start(example("service").arg(url)).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for line in [
            "program   service/stairs/status is off",
            "program   the stairs take 18 W",
            "service   4 handled, 1 failed",
        ] {
            assert!(ended.stdout().lines().any(|said| said == line), "{line:?} is not in {}", ended.stdout());
        }
    }
}

#[test]
fn a_broker_that_is_not_there_is_an_error() {
    let ended = Program::start(example("service").arg("mqtt://127.0.0.1:1")).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
}
