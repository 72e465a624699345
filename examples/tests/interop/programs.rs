//! What the programs do with the broker.

use std::collections::BTreeSet;
use std::process::Command;

use mqtt_std::{Message, QoS};

use crate::guest::{Guest, Lacks};
use crate::support::{Config, Files, Mosquitto, Program, Watcher, example};

type Checked = Result<(), Lacks>;

/// Lines from one to the other, as in a shell.
pub(crate) fn tools(guest: &mut Guest) -> Checked {
    let (server, topic) = (guest.server(), guest.topic("lines"));
    let version = if guest.version().is_v5() { "5" } else { "311" };
    let tool = |program| {
        let mut command = Command::new(program);
        command.args(["-h", server.host(), "-p", &server.port().to_string(), "-V", version, "-q", "1", "-t", &topic]);
        command
    };
    let publish = |arguments: &[&str]| {
        let ended = Program::start(tool(env!("CARGO_BIN_EXE_mqtt-pub")).args(arguments)).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    };
    // What is kept tells when the subscription stands.
    publish(&["-r", "-m", "zero"]);
    let sub = Program::start(tool(env!("CARGO_BIN_EXE_mqtt-sub")).args(["-v", "-C", "4"]));
    sub.wait_for("zero");
    publish(&["-r", "-n"]);
    for text in ["one", "two"] {
        publish(&["-m", text]);
    }
    let ended = sub.end();
    let lines = ["zero", "(null)", "one", "two"].map(|text| format!("{topic} {text}\n")).concat();
    assert_eq!((ended.code, ended.stdout(), ended.stderr.as_str()), (Some(0), lines, ""));
    Ok(())
}

pub(crate) fn lamp(guest: &mut Guest) -> Checked {
    let url = guest.url();
    let remote = |word: &str| {
        let ended = Program::start(example("remote").args([word, &url, "--seconds", "5"])).end();
        (ended.stdout() + &ended.stderr).trim_end().to_owned()
    };
    let lamp = Program::start(example("lamp").arg(&url));
    lamp.wait_for("status off");
    let switched = remote("on");
    if switched != "the lamp is on" && !guest.takes_qos_2() {
        return Err(Lacks(switched));
    }
    assert_eq!(switched, "the lamp is on");
    assert_eq!(remote("off"), "the lamp is off");
    let mut watcher = Watcher::at(&url, "cellar/stairlamp/status");
    lamp.signal("-KILL");
    watcher.next_where("offline", |message| message.payload() == b"offline");
    assert_eq!(remote("on"), "the lamp is offline");
    // Nothing of it stays.
    for topic in ["cellar/stairlamp/status", "homeassistant/light/stairlamp/config"] {
        watcher.client.publish(topic, "").qos(QoS::AtLeastOnce).retain().wait().unwrap();
    }
    Ok(())
}

/// Both ways, and nothing comes back.
pub(crate) fn bridge(guest: &mut Guest) -> Checked {
    let Some(mosquitto) = Mosquitto::start(Config::PLAIN) else { return Err(Lacks("no Mosquitto here".to_owned())) };
    let near = crate::support::url(&mosquitto, "5.0");
    let files = Files::new();
    let qos = if guest.takes_qos_2() { 2 } else { 1 };
    let topics = format!(r#"cellar/# both {qos} "" {}/"#, guest.topic("house"));
    let mut command = example("bridge");
    command.args(["--broker", &near, "--remote", &guest.url(), "--topic", &topics]);
    let bridge = Program::start(command.arg("--store").arg(files.path("store")));
    for said in ["local subscribed", "remote subscribed", "remote connected"] {
        bridge.wait_for(said);
    }
    let (mut here, mut there) = (Watcher::at(&near, "#"), Watcher::at(&guest.url(), &guest.topic("#")));
    for round in 0..5 {
        here.publish("cellar/lamp", format!("out {round}"));
        there.publish(&guest.topic("house/cellar/door"), format!("in {round}"));
    }
    // A broker of 3.1.1 gets what would come back with a level more.
    let mark = if guest.version().is_v5() { "" } else { "/~bridge" };
    let both = |lamp: &str, door: &str| {
        let lines = (0..5).flat_map(|round| [format!("{lamp} out {round}"), format!("{door} in {round}")]);
        lines.collect::<BTreeSet<_>>()
    };
    let far = guest.topic("house/cellar");
    assert_eq!(each_once(&mut here, 10), both("cellar/lamp", "cellar/door"));
    assert_eq!(each_once(&mut there, 10), both(&format!("{far}/lamp{mark}"), &format!("{far}/door")));
    // By the time that these have passed nothing else has come.
    here.publish("cellar/last", "out");
    assert_eq!(line(&here.next()), "cellar/last out");
    assert_eq!(line(&there.next()), format!("{far}/last{mark} out"));
    there.publish(&format!("{far}/last"), "in");
    assert_eq!(line(&there.next()), format!("{far}/last in"));
    assert_eq!(line(&here.next()), "cellar/last in");
    bridge.interrupt();
    let ended = bridge.end();
    assert_eq!(ended.code, Some(0));
    Ok(())
}

fn line(message: &Message) -> String {
    format!("{} {}", message.topic(), message.payload_str().unwrap())
}

/// So many messages, of which none comes twice.
fn each_once(watcher: &mut Watcher, count: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..count {
        let line = line(&watcher.next());
        assert!(!seen.contains(&line), "comes again: {line}");
        seen.insert(line);
    }
    seen
}
