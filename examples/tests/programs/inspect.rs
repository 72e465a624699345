//! `inspect`

use crate::support::{Config, Mosquitto, Program, VERSIONS, Watcher, example, url};

/// A line of the table without the spaces between.
fn line(said: &str, name: &str) -> String {
    let line = said.lines().find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("{name:?} is not in\n{said}"));
    line.trim_start()[name.len()..].trim().to_owned()
}

#[test]
fn what_a_broker_promises_and_what_it_keeps_is_told() {
    let Some(broker) = Mosquitto::start_with(|port, _| {
        format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nlog_type all\n\
             max_inflight_messages 7\nmax_keepalive 50\nmax_qos 1\nmax_packet_size 10000\nretain_available false\n"
        )
    }) else {
        return;
    };
    let ended = Program::start(example("inspect").args([&url(&broker, "5.0"), "--bytes", "20000"])).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let said = ended.stdout();
    for (name, value) in [
        ("MQTT 5.0", "spoken"),
        ("keep alive", "50 s"),
        ("receive maximum", "7"),
        ("maximum QoS", "1"),
        ("maximum packet size", "10000 bytes"),
        ("retained messages", "no"),
        ("shared subscriptions", "yes"),
        ("MQTT 3.1.1", "spoken"),
        ("publish at QoS 0", "yes, it comes at QoS 0"),
        ("publish at QoS 1", "yes, it comes at QoS 1"),
        ("No Local", "yes"),
    ] {
        assert_eq!(line(&said, name), value, "{said}");
    }
    for name in ["publish at QoS 2", "retained message ", "message of that size"] {
        assert!(line(&said, name).starts_with("no: "), "{said}");
    }
    assert!(line(&said, "no client identifier").starts_with("yes, it assigns one: "), "{said}");
}

#[test]
fn a_broker_without_limits_does_all_of_it_and_nothing_stays_behind() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let ended = Program::start(example("inspect").args([&url(&broker, "5.0"), "--bytes", "1000000"])).end();
    let said = ended.stdout();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(!said.contains("no:"), "{said}");
    for version in VERSIONS {
        let mut watcher = Watcher::new(&broker, version, "inspect/#");
        watcher.publish("inspect/end", "");
        assert_eq!(watcher.next().topic(), "inspect/end", "what is retained would come first");
    }
}

#[test]
fn a_broker_that_is_not_there_or_lets_nobody_in_is_an_error() {
    let ended = Program::start(example("inspect").arg("mqtt://127.0.0.1:1")).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("refused") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    let Some(broker) = Mosquitto::start(Config::CREDENTIALS) else { return };
    let ended = Program::start(example("inspect").arg(url(&broker, "5.0"))).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.to_lowercase().contains("not authorized"), "{}", ended.stderr);
    let url = url(&broker, "5.0").replace("127.0.0.1", "alice:secret@127.0.0.1");
    let program = Program::start(example("inspect").arg(url));
    program.wait_for("publish at QoS 0");
    program.interrupt();
    assert_eq!(program.end().code, Some(0));
}
