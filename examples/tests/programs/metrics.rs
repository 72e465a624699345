//! `metrics`

use std::net::UdpSocket;

use mqtt_std::QoS;
use serde_json::{Value, json};

use crate::support::{Config, Files, Mosquitto, Program, VERSIONS, Watcher, example, json};

/// A configuration for this broker, with all features on.
fn config(port: u16, version: &str) -> String {
    format!(
        r#"
server = "cellar"
[broker]
host = "127.0.0.1"
port = {port}
base_topic = "metrics"
version = "{version}"
[health]
enabled = true
topic = "health"
interval = 0.3
[user_events]
enabled = true
topic = "user"
listen = "127.0.0.1:0"
per_second = 100
[log_events]
enabled = true
topic = "log"
listen = "127.0.0.1:0"
per_second = 100
"#
    )
}

fn start(files: &Files, config: &str) -> Program {
    Program::start(example("metrics").arg(files.write("metrics.toml", config)))
}

/// Sends datagrams to where the program listens for events of this kind.
struct Sender(UdpSocket);

impl Sender {
    fn new(program: &Program, kind: &str) -> Self {
        let line = program.wait_for(&format!("{kind} events at "));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(line.rsplit(' ').next().unwrap()).unwrap();
        Self(socket)
    }

    fn send(&self, event: impl AsRef<[u8]>) {
        self.0.send(event.as_ref()).unwrap();
    }
}

#[test]
fn the_machine_s_real_health_is_published() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut watcher = Watcher::new(&broker, version, "metrics/health/#");
        let files = Files::new();
        let program = start(&files, &config(broker.port(), version));
        let message = watcher.next();
        assert_eq!((message.topic(), message.qos()), ("metrics/health/cellar", QoS::AtLeastOnce));
        let health = json(&message);
        assert_eq!(health["server"], "cellar");
        let number = |pointer: &str| health.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        assert!(number("/processor/cores") >= cores, "{health}");
        assert!((0.0..=100.0).contains(&number("/processor/usage")), "{health}");
        assert!(number("/memory/used") > 1e6 && number("/memory/used") < number("/memory/total"), "{health}");
        #[cfg(target_os = "linux")]
        {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            assert!((number("/uptime") - uptime).abs() < 30.0, "{health} {uptime}");
        }
        // It goes on, and a latecomer sees the latest.
        let time = watcher.next();
        assert!(json(&time)["time"].as_u64() >= health["time"].as_u64());
        let mut latecomer = Watcher::new(&broker, version, "metrics/health/+");
        assert!(latecomer.next().retain());
        program.interrupt();
        assert_eq!(program.end().code, Some(0));
    }
}

#[test]
fn events_come_to_the_topics_of_their_kind() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        let mut watcher = Watcher::new(&broker, version, "metrics/#");
        let mut next = || watcher.next_where("event", |message| message.topic() != "metrics/status/cellar");
        let files = Files::new();
        let config = config(broker.port(), version).replacen("enabled = true", "enabled = false", 1);
        let program = start(&files, &config);
        let (users, logs) = (Sender::new(&program, "user"), Sender::new(&program, "log"));
        program.wait_for("connected to");
        users.send(r#"{"user":"ann","host":"pc-7","command":"session_start"}"#);
        let message = next();
        assert_eq!((message.topic(), message.qos()), ("metrics/user/cellar/session_start", QoS::AtLeastOnce));
        let event = json!({"user": "ann", "host": "pc-7", "command": "session_start", "message": ""});
        assert_eq!(json(&message), event);
        // What is none is counted; no topic is made of it.
        for hostile in [
            &br#"{"user":"ann","host":"pc-7","command":"../../x"}"#[..],
            br#"{"user":"ann","host":"pc-7","command":"session_stop","topic":"a"}"#,
            b"\xff\xfe",
            b"",
            "[".repeat(1_500).as_bytes(),
            format!(r#"{{"level":"info","subsystem":"{}","message":""}}"#, "x".repeat(3_000)).as_bytes(),
        ] {
            users.send(hostile);
            logs.send(hostile);
        }
        logs.send(r#"{"level":"warn","subsystem":"proxy","message":"slow"}"#);
        let message = next();
        assert_eq!(message.topic(), "metrics/log/cellar/warn");
        assert_eq!(json(&message)["message"], "slow");
        users.send(r#"{"user":"bob","host":"pc-8","command":"connection_close","message":"bye"}"#);
        assert_eq!(next().topic(), "metrics/user/cellar/connection_close");
        program.interrupt();
        let ended = program.end();
        assert_eq!(ended.code, Some(0));
        for line in
            ["user events: 2 taken, 6 not understood, 0 too many", "log events: 1 taken, 6 not understood, 0 too"]
        {
            assert!(ended.stdout().contains(line), "{}", ended.stdout());
        }
        assert!(ended.stdout().ends_with(" acknowledged, 0 refused, 0 dropped\n"), "{}", ended.stdout());
    }
}

#[test]
fn a_flood_of_events_is_bounded() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "metrics/+/cellar/#");
    let files = Files::new();
    let program = start(&files, &config(broker.port(), "5.0").replace("per_second = 100", "per_second = 5"));
    let logs = Sender::new(&program, "log");
    program.wait_for("connected to");
    for _ in 0..200 {
        logs.send(r#"{"level":"error","subsystem":"proxy","message":"again"}"#);
    }
    watcher.next_where("log", |message| message.topic() == "metrics/log/cellar/error");
    // The health goes on meanwhile.
    Watcher::new(&broker, "5.0", "metrics/health/#").next();
    program.interrupt();
    let summary = program.end().stdout();
    let line = summary.lines().find(|line| line.starts_with("log events:")).unwrap().to_owned();
    let numbers: Vec<u64> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    // The system may have dropped some itself.
    assert!(numbers[0] >= 5 && numbers[0] < 100 && numbers[2] > 0, "{line}");
}

#[test]
fn it_outlives_the_broker_and_the_broker_tells_of_its_death() {
    let Some(mut broker) = Mosquitto::start(Config::PERSISTENT) else { return };
    let mut watcher = Watcher::lasting(&broker, "5.0", "metrics/log/#");
    let files = Files::new();
    let program = start(&files, &config(broker.port(), "5.0"));
    program.wait_for("connected to");
    broker.stop();
    program.wait_for("no connection to");
    Sender::new(&program, "log").send(r#"{"level":"info","subsystem":"proxy","message":"while it was away"}"#);
    broker.resume();
    assert_eq!(json(&watcher.next())["message"], "while it was away");
    program.wait_for_many("connected to", 2);
    let mut watcher = Watcher::new(&broker, "5.0", "metrics/status/cellar");
    watcher.next_where("online", |message| message.payload() == b"online");
    program.signal("-KILL");
    assert_eq!(watcher.next().payload(), b"offline");
}

#[test]
#[cfg(feature = "tls")]
fn it_speaks_tls_and_shows_its_certificate_and_password() {
    use crate::support::{ALICE, Authority, free_port};

    let (authority, files) = (Authority::new("the authority"), Files::new());
    let (server, client) = (authority.server("localhost"), authority.client("cellar"));
    for (name, text) in [
        ("ca.pem", &authority.pem()),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("client.pem", &client.certificate),
        ("client.key", &client.key),
        ("passwords", &ALICE.to_owned()),
    ] {
        files.write(name, text);
    }
    files.write_secret("password", "secret\n");
    let path = |name: &str| files.path(name).display().to_string();
    let mut tls = 0;
    let broker = Mosquitto::start_with(|port, _| {
        tls = free_port();
        format!(
            "user root\nlog_dest stderr\nper_listener_settings true\n\
             listener {port} 127.0.0.1\nallow_anonymous true\n\
             listener {tls} 127.0.0.1\npassword_file {}\nrequire_certificate true\n\
             cafile {}\ncertfile {}\nkeyfile {}\n",
            path("passwords"),
            path("ca.pem"),
            path("server.pem"),
            path("server.key"),
        )
    });
    let Some(broker) = broker else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "metrics/health/#");
    let secrets = format!(
        "user_name = \"alice\"\npassword_file = {:?}\n[broker.tls]\nca_file = {:?}\ncertificate_file = {:?}\nkey_file = {:?}\n[health]",
        path("password"),
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
    );
    let good = config(tls, "5.0").replace("\"127.0.0.1\"", "\"localhost\"").replace("[health]", &secrets);
    let program = start(&files, &good);
    program.wait_for(&format!("connected to mqtts://localhost:{tls}"));
    assert_eq!(json(&watcher.next())["server"], "cellar");
    program.interrupt();
    assert_eq!(program.end().code, Some(0));
    // Without the password it is turned away, and gives up.
    let ended = start(&files, &good.replace("user_name = \"alice\"", "user_name = \"bob\"")).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("connection refused: "), "{}", ended.stderr);
}

#[test]
fn a_configuration_that_is_not_one_is_an_error() {
    let files = Files::new();
    let good = config(1, "5.0");
    for (text, said) in [
        (good.replace("port = 1\n", "port = 99999\n"), "metrics.toml:5: "),
        (good.replace("\"cellar\"", "\"cellar/#\""), "\"cellar/#\" is no level of a topic"),
        (good.replace("\"metrics\"", "\"metrics/#\""), "wildcard"),
        (good.replace("0.3", "-1"), "interval: "),
        (good.replace("[health]", "password_file = \"/nowhere/at-all\"\n[health]"), "/nowhere/at-all: "),
        (good.replace("[health]", "[broker.tls]\nkey_file = \"k\"\n[health]"), "go together"),
        (good.replace("127.0.0.1:0", "256.0.0.1:0"), "user events, 256.0.0.1:0: "),
    ] {
        let ended = start(&files, &text).end();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}
