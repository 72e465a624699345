//! `once`, `callback`, `blocking`

use crate::support::{Config, Mosquitto, Program, VERSIONS, Watcher, example, url};

#[test]
fn one_job_is_done_and_a_client_gone() {
    for version in VERSIONS {
        let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let receive = Program::start(example("once").args(["receive", "once/#", "3", "--broker", &url]));
        broker.wait_for("once/# (QoS 1)");
        let words = ["publish", "once/one", "hello", "once/two", "world", "once/one", "again", "--broker", &url];
        let ended = Program::start(example("once").args(words)).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let ended = receive.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert_eq!(ended.stdout(), "once/one hello\nonce/two world\nonce/one again\n");
        // Ctrl-C says goodbye, too.
        let receive = Program::start(example("once").args(["receive", "none", "--broker", &url]));
        broker.wait_for("none (QoS 1)");
        receive.interrupt();
        assert_eq!(receive.end().code, Some(0));
        assert_eq!(broker.count_at_end("Received DISCONNECT"), 3);
    }
}

#[test]
fn what_was_not_done_in_time_is_told() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    let watcher = Watcher::new(&broker, "5.0", "x");
    watcher.client.publish("once/kept", "one").retain().wait().unwrap();
    let words = ["receive", "once/#", "2", "--broker", &url, "--seconds", "1"];
    let ended = Program::start(example("once").args(words)).end();
    assert_eq!((ended.code, ended.stdout().as_str()), (Some(1), "once/kept one\n"));
    assert_eq!(ended.stderr, "not in time after 1 messages\n");
    let words = ["publish", "once/#", "x", "--broker", &url];
    let ended = Program::start(example("once").args(words)).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("1 of 1 messages not delivered, number 0: "), "{}", ended.stderr);
}

#[test]
fn functions_are_called_and_a_will_is_left() {
    for version in VERSIONS {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let mut watcher = Watcher::new(&broker, version, "callback/#");
        let program = Program::start(example("callback").arg(&url));
        program.wait_for("listening");
        watcher.publish("callback/ping", "hello");
        let pong = watcher.next_where("pong", |message| message.topic() == "callback/pong");
        assert_eq!(pong.payload(), b"hello");
        watcher.publish("callback/a/b", "something");
        program.wait_for("a/b: something");
        program.interrupt();
        assert_eq!(program.end().code, Some(0));
        watcher.next_where("goodbye", |message| message.payload() == b"offline");
        let program = Program::start(example("callback").arg(&url));
        watcher.next_where("online", |message| message.payload() == b"online");
        program.signal("-KILL");
        watcher.next_where("its will", |message| message.payload() == b"offline");
    }
}

#[test]
fn a_loop_goes_on_until_adieu_over_a_restart_of_the_broker() {
    for version in VERSIONS {
        let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let mut watcher = Watcher::new(&broker, version, "blocking/out");
        let start = || {
            let program = Program::start(example("blocking").arg(&url));
            program.wait_for("listening");
            program
        };
        let program = start();
        watcher.next_where("hello", |message| message.payload() == b"hello");
        watcher.publish("blocking/in", "one");
        program.wait_for("blocking/in one");
        broker.stop();
        broker.resume();
        broker.wait_for("blocking/in (QoS 1)");
        watcher.publish("blocking/in", "adieu");
        let ended = program.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let program = start();
        program.interrupt();
        assert_eq!(program.end().code, Some(0));
        start().signal("-KILL");
        watcher.next_where("its will", |message| message.payload() == b"adieu");
    }
}

#[test]
fn each_says_in_one_line_that_there_is_no_broker() {
    for command in [
        example("once").args(["publish", "a", "b", "--broker", "mqtt://127.0.0.1:1"]),
        example("callback").arg("mqtt://127.0.0.1:1"),
        example("blocking").arg("mqtt://127.0.0.1:1"),
    ] {
        let ended = Program::start(command).end();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("refused") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
}
