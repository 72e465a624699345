//! `lamp` and `remote`

use crate::support::{Config, Mosquitto, Program, VERSIONS, Watcher, example, json, url};

fn remote(word: &str, url: &str) -> (Option<i32>, String, String) {
    let ended = Program::start(example("remote").args([word, url, "--seconds", "2"])).end();
    (ended.code, ended.stdout(), ended.stderr)
}

fn good(said: &str) -> (Option<i32>, String, String) {
    (Some(0), format!("{said}\n"), String::new())
}

fn bad(said: &str) -> (Option<i32>, String, String) {
    (Some(1), String::new(), format!("{said}\n"))
}

#[test]
fn a_lamp_is_switched_from_afar() {
    for version in VERSIONS {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let lamp = Program::start(example("lamp").arg(&url));
        lamp.wait_for("status off");
        assert_eq!(remote("status", &url), good("the lamp is off"));
        assert_eq!(remote("on", &url), good("the lamp is on"));
        // It is on already, and says so.
        assert_eq!(remote("on", &url), good("the lamp is on"));
        let mut watcher = Watcher::new(&broker, version, "cellar/stairlamp/status");
        let kept = watcher.next();
        assert_eq!((kept.payload(), kept.retain()), (&b"on"[..], true));
        watcher.publish("cellar/stairlamp/cmd", "blue\u{7}");
        lamp.wait_for("not understood: 5 bytes");
        assert_eq!(remote("off", &url), good("the lamp is off"));
        lamp.interrupt();
        assert_eq!(lamp.end().code, Some(0));
        assert_eq!(remote("on", &url), bad("the lamp is offline"));
    }
}

#[test]
fn a_lamp_that_dies_is_offline_and_one_that_is_back_says_how_it_is() {
    let Some(mut broker) = Mosquitto::start(Config::PERSISTENT) else { return };
    let url = url(&broker, "5.0");
    let mut watcher = Watcher::new(&broker, "5.0", "cellar/stairlamp/status");
    let lamp = Program::start(example("lamp").arg(&url));
    lamp.wait_for("status off");
    assert_eq!(remote("on", &url), good("the lamp is on"));
    // The broker is restarted, and hears again how the lamp is.
    broker.stop();
    broker.resume();
    lamp.wait_for_many("status on", 2);
    watcher.next_where("on, after off", |message| message.payload() == b"on");
    lamp.signal("-KILL");
    watcher.next_where("offline", |message| message.payload() == b"offline");
    assert_eq!(remote("on", &url), bad("the lamp is offline"));
}

#[test]
fn home_assistant_finds_the_lamp() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    let lamp = Program::start(example("lamp").arg(&url));
    lamp.wait_for("status off");
    let mut watcher = Watcher::new(&broker, "5.0", "homeassistant/#");
    let message = watcher.next();
    assert_eq!((message.topic(), message.retain()), ("homeassistant/light/stairlamp/config", true));
    let description = json(&message);
    assert_eq!(description["command_topic"], "cellar/stairlamp/cmd");
    assert_eq!(description["state_topic"], "cellar/stairlamp/status");
    let ended = Program::start(example("lamp").args([&url, "--forget"])).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(watcher.next().payload(), b"");
}

#[test]
fn where_no_lamp_is_and_has_never_been_the_remote_says_so() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    assert_eq!(remote("on", &url), bad("nobody says how the lamp is"));
    assert_eq!(remote("dim", &url), bad("usage: remote on|off|status [BROKER] [--seconds N]"));
}

#[test]
fn without_a_broker_there_is_neither() {
    for command in [example("lamp").arg("mqtt://127.0.0.1:1"), example("remote").args(["on", "mqtt://127.0.0.1:1"])] {
        let ended = Program::start(command).end();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("refused") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
}
