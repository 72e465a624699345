//! `commands`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mqtt_std::QoS;
use mqtt_std::blocking::Client;
use serde_json::{Value, json};

use crate::support::{Config, Files, Mosquitto, PATIENCE, Program, VERSIONS, Watcher, example, json, url};

const CONFIG: &str = r#"
base_topic = "qliksense"
report_topic = "commands"
at_once = 1
per_second = 40
output = 100
[tasks.greet]
command = ["printf", "%s", "$HOME; `id`"]
timeout = 10
[tasks.talk]
command = ["head", "-c", "100000", "/dev/zero"]
timeout = 10
[tasks.fail]
command = ["sh", "-c", "echo no >&2; exit 3"]
timeout = 10
[tasks.hang]
command = ["sleep", "600"]
timeout = 1
[tasks.wait]
command = ["sleep", "1"]
timeout = 10
[tasks.absent]
command = ["/nowhere/at-all"]
timeout = 10
"#;

const START: &str = "qliksense/start_task";

/// The program that serves, and who looks at its reports.
struct Served {
    _files: Files,
    program: Program,
    reports: Watcher,
}

impl Served {
    fn start(broker: &Mosquitto, version: &str) -> Self {
        let reports = Watcher::new(broker, version, "commands/report");
        let files = Files::new();
        let config = files.write("commands.toml", CONFIG);
        let program = Program::start(example("commands").arg(config).arg(url(broker, version)));
        program.wait_for("serving qliksense/#");
        Self { _files: files, program, reports }
    }

    /// Asks for a task as a client does that wants the answer.
    fn ask(&self, task: &[u8]) -> Value {
        let client: &Client = &self.reports.client;
        let requests = client.wait(client.as_async().requests()).unwrap().unwrap();
        let request = requests.request(START, task.to_vec()).qos(QoS::ExactlyOnce).deadline(Duration::from_secs(20));
        json(&client.wait(request).unwrap().unwrap())
    }

    fn end(self) {
        self.program.interrupt();
        let ended = self.program.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn what_is_allowed_runs_and_the_answer_says_how_it_ended() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut served = Served::start(&broker, version);
        for (task, result, status, output) in [
            ("greet", "done", json!(0), json!("$HOME; `id`")),
            ("fail", "failed", json!(3), json!("no\n")),
            ("talk", "done", json!(0), json!("\0".repeat(100))),
            ("hang", "timed_out", json!(null), json!("")),
        ] {
            let answer = served.ask(task.as_bytes());
            assert_eq!((&answer["task"], &answer["result"]), (&json!(task), &json!(result)), "{version}");
            assert_eq!((&answer["exit_status"], &answer["output"]), (&status, &output), "{version} {task}");
            assert_eq!(answer["output_is_cut"] == true, task == "talk", "{version} {task}");
            // The report says the same.
            assert_eq!(json(&served.reports.next()), answer);
        }
        // Without a wish for an answer there is the report.
        served.reports.publish(START, "greet");
        assert_eq!(json(&served.reports.next())["result"], "done");
        served.end();
    }
}

#[test]
fn what_is_not_allowed_does_not_run() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut served = Served::start(&broker, "5.0");
    let forbidden = served._files.path("forbidden");
    let injection = format!("greet; touch {}", forbidden.display());
    let long = "x".repeat(10_000);
    for task in [&b""[..], b"GREET", b"greet ", b"../greet", b"\xff\xfe", injection.as_bytes(), long.as_bytes()] {
        let answer = served.ask(task);
        assert_eq!(answer["result"], "unknown_task", "{task:?}");
        assert!(answer["task"].as_str().unwrap().len() <= 128);
        assert_eq!(json(&served.reports.next()), answer);
    }
    assert!(!forbidden.exists());
    // One that cannot be started says so, and says the service's owner why.
    assert_eq!(served.ask(b"absent")["result"], "not_started");
    served.program.wait_for("task absent: /nowhere/at-all: No such file");
    // The broker does not pass on what is too large, so the next report is of what comes behind it.
    served.reports.next();
    served.reports.publish(START, vec![b'x'; 100_000]);
    served.reports.publish("qliksense/\u{202e}exe", "");
    assert_eq!(json(&served.reports.next()), json!({"unknown_topic": "qliksense/\u{202e}exe"}));
    served.program.wait_for(r#"{"unknown_topic":"qliksense/\u{202e}exe"}"#);
    served.program.interrupt();
    assert_eq!(served.program.end().code, Some(0));
}

// [v5 MQTT-3.3.2-14] is for the sender; Mosquitto 2.0 passes it on.
#[test]
fn a_response_topic_that_is_none_harms_nobody() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let served = Served::start(&broker, "5.0");
    // No client of ours would say it.
    let mut hostile = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
    hostile.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0];
    hostile.write_all(b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01x").unwrap();
    hostile.read_exact(&mut answer).unwrap();
    hostile.write_all(&[b"\x32\x24\0\x14", START.as_bytes(), b"\0\x01\x06\x08\0\x03a/#bribe\xe0\0"].concat()).unwrap();
    // Until the broker has taken all that, DISCONNECT too, or has hung up.
    let _ = hostile.read_to_end(&mut Vec::new());
    assert_eq!(served.ask(b"greet")["result"], "done");
    served.end();
}

#[test]
fn whoever_asks_cannot_have_an_answer_published_where_he_may_not() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut served = Served::start(&broker, version);
        let mut all = Watcher::new(&broker, version, "#");
        // The lamp's commands; this program's own status, and tasks, which would be asked for again and again.
        for topic in ["cellar/lamp/cmd", "commands/status", START, "answer/1", "qliksense/start_task/request/answers/1"]
        {
            if version == "5.0" {
                all.client.publish(START, "greet").response_topic(topic).qos(QoS::AtLeastOnce).wait().unwrap();
            } else {
                all.publish(&format!("{START}/request/{topic}"), "greet");
            }
            // Where it asks through two topics it is the last one that counts, and that is for answers.
            let nested = version != "5.0" && topic.ends_with("answers/1");
            let expected = if nested { json!("done") } else { json!(null) };
            let report = json(&served.reports.next());
            assert_eq!(report["result"], expected, "{version} {topic}: {report}");
            assert_eq!(report["answer_elsewhere"].is_string(), !nested, "{version} {topic}: {report}");
        }
        all.publish("end", "");
        loop {
            let message = all.next();
            let topic = message.topic();
            let known = [START, "commands/report", "commands/status", "answers/1"];
            assert!(known.contains(&topic) || topic.contains("/request/") || topic == "end", "{topic}");
            assert!(topic != "commands/status" || message.payload() == b"online", "{message:?}");
            if topic == "end" {
                break;
            }
        }
        served.end();
    }
}

#[test]
fn unknown_topics_and_retained_commands_are_reported() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let publisher = Watcher::new(&broker, version, "nothing");
        publisher.client.publish(START, "greet").qos(QoS::AtLeastOnce).retain().wait().unwrap();
        let mut served = Served::start(&broker, version);
        assert_eq!(json(&served.reports.next()), json!({"retained": START}));
        publisher.client.publish(START, "").qos(QoS::AtLeastOnce).retain().wait().unwrap();
        assert_eq!(json(&served.reports.next())["result"], "unknown_task");
        for topic in ["qliksense", "qliksense/start_tasks", "qliksense/start_task/now", "qliksense/stop"] {
            served.reports.publish(topic, "greet");
            assert_eq!(json(&served.reports.next()), json!({"unknown_topic": topic}), "{version}");
        }
        served.end();
    }
}

#[test]
fn no_more_tasks_run_at_once_than_allowed_and_those_that_run_may_end() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut served = Served::start(&broker, "5.0");
    served.reports.publish(START, "wait");
    assert_eq!(served.ask(b"greet")["result"], "busy");
    assert_eq!(json(&served.reports.next())["result"], "busy");
    served.program.interrupt();
    let report = json(&served.reports.next());
    assert_eq!((&report["task"], &report["result"]), (&json!("wait"), &json!("done")));
    assert_eq!(served.program.end().code, Some(0));
}

#[test]
fn a_flood_is_dropped_and_the_service_goes_on() {
    const FLOOD: u64 = 2_000;
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut served = Served::start(&broker, "5.0");
    for _ in 0..FLOOD {
        served.reports.client.publish("qliksense/flood", "x").send().unwrap();
    }
    let (mut unknown, mut dropped) = (0, 0);
    while unknown + dropped < FLOOD {
        let report = json(&served.reports.next());
        unknown += u64::from(report["unknown_topic"] == "qliksense/flood");
        dropped += report["dropped"].as_u64().unwrap_or_default();
    }
    // The burst, and what a slow machine took longer for.
    assert!((40..FLOOD / 2).contains(&unknown) && unknown + dropped == FLOOD, "{unknown} {dropped}");
    assert_eq!(served.ask(b"greet")["result"], "done");
    served.end();
}

#[test]
fn its_status_is_kept_and_a_will_corrects_it() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut status = Watcher::new(&broker, "5.0", "commands/status");
    let served = Served::start(&broker, "5.0");
    assert_eq!(status.next().payload(), b"online");
    served.program.signal("-KILL");
    assert_eq!(status.next().payload(), b"offline");
    let served = Served::start(&broker, "5.0");
    assert_eq!(status.next().payload(), b"online");
    served.end();
    assert_eq!(status.next().payload(), b"offline");
}

#[test]
fn ctrl_c_ends_it_while_the_broker_is_away() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let served = Served::start(&broker, "5.0");
    broker.stop();
    served.program.interrupt();
    let ended = served.program.end();
    // At least nobody has been told that it is offline.
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.ends_with(" messages were not delivered\n"), "{}", ended.stderr);
}

#[test]
fn a_configuration_that_is_not_one_is_an_error() {
    let files = Files::new();
    for (text, said) in [
        (CONFIG.replace("at_once = 1", "at_once = many"), "commands.toml:4: "),
        (CONFIG.replace("[tasks.greet]", "shell = true\n[tasks.greet]"), "shell"),
        (CONFIG.replace(r#"["sleep", "1"]"#, "[]"), r#"task "wait" has no command"#),
        (CONFIG.replace("at_once = 1", "at_once = 1\nanswers = [\"#/x\"]"), r##"answers: "#/x": "##),
        (CONFIG.replace("at_once = 1", "at_once = 1\nanswers = [\"+/start_task\"]"), "topics of this program's own"),
        (CONFIG.replace(r#""commands""#, r#""qliksense/x""#), "report_topic is below base_topic"),
    ] {
        let config = files.write("commands.toml", text);
        let ended = Program::start(example("commands").arg(config)).end();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let ended = Program::start(&mut example("commands")).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "usage: commands CONFIG.toml [BROKER]\n"));
}
