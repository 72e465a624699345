//! `logins`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Config, Files, Mosquitto, PATIENCE, Program, VERSIONS, Watcher, example, json, url};

/// Rules, with files and a command in this directory.
fn rules(files: &Files) -> String {
    let script = files.write("tell", "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.new\" && mv \"$0.new\" \"$0.said\"\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (file, script) = (files.path("alerts"), script.display());
    format!(
        r#"
filter = "logging/#"
[[rules]]
name = "root"
when = {{ result = "success", user = "root" }}
message = "{{user}} from {{client.address}}{{no}}"
file = "{}"
publish = "alerts/root"
[[rules]]
name = "passwords"
when = {{ result = ["failure", "locked"] }}
count = 3
within = 600
by = "client.address"
message = "{{count}} from {{client.address}}"
publish = "alerts/passwords"
per_minute = 2
[[rules]]
name = "command"
when = {{ tell = true }}
message = "for {{user}}"
command = ["{script}", "{{user}}", "-m", "{{message}} $HOME"]
publish = "alerts/command"
"#,
        file.display()
    )
}

/// The program that watches, and who sees its alerts.
struct Watched {
    files: Files,
    program: Program,
    alerts: Watcher,
}

impl Watched {
    fn start(broker: &Mosquitto, version: &str) -> Self {
        let alerts = Watcher::new(broker, version, "alerts/#");
        let files = Files::new();
        let path = files.write("logins.toml", rules(&files));
        let program = Program::start(example("logins").arg(path).arg(url(broker, version)));
        program.wait_for("watching logging/#");
        Self { files, program, alerts }
    }

    fn event(&self, event: &Value) {
        self.alerts.publish("logging/door", event.to_string());
    }

    /// The summary in the end.
    fn end(self) -> String {
        self.program.interrupt();
        let ended = self.program.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout().lines().last().unwrap().to_owned()
    }
}

#[test]
fn an_alarming_event_goes_to_a_file_and_a_topic() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut watched = Watched::start(&broker, version);
        watched.event(&json!({"result": "success", "user": "ann"}));
        watched.event(&json!({"result": "failure", "user": "root"}));
        // As hostile as it can be: lines, escapes of a terminal, braces.
        let event = json!({"result": "success", "user": "root", "client": {"address": "10.0.0.7\n\u{1b}[2J{user}"}});
        watched.event(&event);
        let message = watched.alerts.next();
        assert_eq!(message.topic(), "alerts/root");
        let alert = json(&message);
        assert_eq!(alert["rule"], "root");
        assert_eq!(alert["message"], r"root from 10.0.0.7\n\u{1b}[2J{user}?");
        assert_eq!(alert["event"], event);
        let written = fs::read_to_string(watched.files.path("alerts")).unwrap();
        assert_eq!(written.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), alert);
        watched.program.wait_for(r"root: root from 10.0.0.7\n\u{1b}[2J{user}?");
        assert_eq!(watched.end(), "3 events, 0 not understood; 1 alerts, 0 suppressed");
    }
}

#[test]
fn events_are_counted_for_each_address_and_alerts_are_limited() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watched = Watched::start(&broker, "5.0");
    let failure = |address: &str| json!({"result": "failure", "user": "x", "client": {"address": address}});
    for address in ["a", "b", "a", "b", "c", "a"] {
        watched.event(&failure(address));
    }
    assert_eq!(json(&watched.alerts.next())["message"], "3 from a");
    for address in ["a", "a", "c", "b"] {
        watched.event(&failure(address));
    }
    assert_eq!(json(&watched.alerts.next())["message"], "3 from b");
    // Two a minute: no third one.
    watched.event(&failure("c"));
    watched.event(&json!({"result": "success", "user": "root"}));
    assert_eq!(watched.alerts.next().topic(), "alerts/root");
    assert_eq!(watched.end(), "12 events, 0 not understood; 3 alerts, 1 suppressed");
}

#[test]
fn a_command_gets_what_the_event_says_as_arguments_and_nothing_else() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watched = Watched::start(&broker, "5.0");
    let said = watched.files.path("tell.said");
    for (user, told) in [
        ("ann; touch x && `id` $(id)", "ann; touch x && `id` $(id)"),
        ("--help", "?--help"),
        ("a\nb", r"a\nb"),
        (&"x".repeat(500), &"x".repeat(200)),
    ] {
        let _ = fs::remove_file(&said);
        watched.event(&json!({"tell": true, "user": user}));
        watched.alerts.next();
        let begun = Instant::now();
        while !said.exists() {
            assert!(begun.elapsed() < PATIENCE, "the command does not run");
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = fs::read_to_string(&said).unwrap();
        let plain = told.trim_start_matches('?');
        assert_eq!(text.lines().collect::<Vec<_>>(), [told, "-m", &format!("for {plain} $HOME")]);
    }
    watched.end();
}

#[test]
fn what_is_no_event_is_counted() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watched = Watched::start(&broker, "5.0");
    for payload in [&b""[..], b"\xff", b"{", "[".repeat(10_000).as_bytes()] {
        watched.alerts.publish("logging/door", payload);
    }
    for event in [json!(null), json!([{"user": "root"}]), json!({"result": {"success": 1}, "user": ["root"]})] {
        watched.event(&event);
    }
    watched.event(&json!({"result": "success", "user": "root"}));
    assert_eq!(watched.alerts.next().topic(), "alerts/root");
    assert_eq!(watched.end(), "4 events, 4 not understood; 1 alerts, 0 suppressed");
}

#[test]
fn ctrl_c_ends_it_while_the_broker_is_away() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let watched = Watched::start(&broker, "5.0");
    broker.stop();
    assert_eq!(watched.end(), "0 events, 0 not understood; 0 alerts, 0 suppressed");
}

#[test]
fn rules_that_could_not_work_are_an_error() {
    let files = Files::new();
    let good = rules(&files);
    for (from, to, said) in [
        ("\"logging/#\"", "\"logging/#/x\"", "filter: "),
        ("alerts/root", "logging/root", "alerts to \"logging/root\" would be events themselves"),
        ("alerts/root", "alerts/+", "rule \"root\": \"alerts/+\": "),
        ("within = 600", "", "rule \"passwords\": a count wants a time"),
        ("{ tell = true }", "{ }", "rule \"command\": when is empty"),
        ("[\"/", "[\"{user}/", "rule \"command\": the command has no program"),
        ("per_minute = 2", "per_minute = -2", "logins.toml:17: "),
        ("per_minute", "per_second", "unknown field `per_second`"),
    ] {
        assert!(good.contains(from));
        let path = files.write("logins.toml", good.replace(from, to));
        let ended = Program::start(example("logins").arg(path)).end();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said:?}: {}", ended.stderr);
    }
}
