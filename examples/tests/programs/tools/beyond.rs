//! What the tools do that their namesakes do not, or cannot be asked in a script.

use std::process::{Command, Stdio};
use std::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions, Expect, Peer};
use mqtt_std::{ProtocolVersion, ReasonCode};

use super::broker::{Everything, ours};
use crate::support::{Config, Files, Mosquitto, Program, Watcher};

/// A tool, at this port, without configuration files.
fn tool(name: &str, port: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new(ours(name));
    command.args(["-p", &port.to_string()]).args(arguments).env("XDG_CONFIG_HOME", "/nowhere");
    command
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn json_has_a_line_for_each_message_whatever_is_in_it() {
    let Some(broker) = Everything::start(None) else { return };
    let properties = "-D PUBLISH content-type text/plain -D PUBLISH user-property a 1 -D PUBLISH user-property a 2";
    let properties: Vec<_> = properties.split(' ').collect();
    let files = Files::new();
    for (topic, payload) in [("json/a", &b"two\nlines\0"[..]), ("json/b", b"\xff\0"), ("json/c", b"")] {
        let path = files.write("payload", payload).display().to_string();
        let mut publish = broker.tool("pub", &["-t", topic, "-r", "-q", "1", "-f", &path]);
        if topic == "json/a" {
            publish.args(&properties).args(["-D", "PUBLISH", "correlation-data", "c\u{e9}"]);
        }
        assert_eq!(Program::start(&mut publish).end().code, Some(0));
    }
    // Nothing is kept of what has no payload.
    let ended =
        Program::start(&mut broker.tool("sub", &["-V", "5", "-t", "json/+", "--json", "-q", "1", "-C", "2"])).end();
    let text = ended.stdout();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [a, b] = &lines[..] else { panic!("{text}") };
    assert_eq!((&a["topic"], &a["payload"], &a["qos"]), (&"json/a".into(), &"two\nlines\0".into(), &1.into()));
    assert_eq!((&a["retain"], &a["dup"], &a["payloadlen"]), (&true.into(), &false.into(), &10.into()));
    let properties = serde_json::json!({
        "content-type": "text/plain", "user-properties": [{"a": "1"}, {"a": "2"}], "correlation-data": "c\u{e9}"
    });
    assert_eq!(a["properties"], properties);
    assert_eq!((&b["payload-base64"], b.get("payload"), b.get("properties")), (&"/wA=".into(), None, None));
}

#[test]
fn a_subscription_that_is_refused_is_told_and_the_others_go_on() {
    let runtime = runtime();
    let broker = runtime.block_on(Broker::start(BrokerOptions::new().max_subscriptions(1))).unwrap();
    let port = broker.address().port();
    let publish = ["-t", "a", "-r", "-m", "x"];
    assert_eq!(Program::start(&mut tool("pub", port, &publish)).end().code, Some(0));
    // 0x97: Quota exceeded. In 3.1.1 it is 0x80, whatever the reason.
    for (version, status) in [("5", 0x97), ("311", 0x80)] {
        let two = ["-V", version, "-t", "a", "-t", "b", "-C", "1", "-v"];
        let ended = Program::start(&mut tool("sub", port, &two)).end();
        assert_eq!((ended.code, ended.stdout()), (Some(status), "a x\n".to_owned()), "{}", ended.stderr);
        assert!(ended.stderr.contains("Subscription to b refused"), "{}", ended.stderr);
    }
}

#[test]
fn a_subscription_that_is_refused_alone_ends_with_its_reason() {
    let runtime = runtime();
    for (version, name, reason) in [
        (ProtocolVersion::V5_0, "5", ReasonCode::NOT_AUTHORIZED),
        (ProtocolVersion::V3_1_1, "311", ReasonCode::UNSPECIFIED_ERROR),
    ] {
        let peer = runtime.block_on(Peer::listen(version)).unwrap();
        let port = peer.address().unwrap().port();
        for (program, arguments) in
            [("sub", &["-t", "a"][..]), ("sub", &["-t", "a", "-E"]), ("rr", &["-t", "b", "-e", "a", "-n"])]
        {
            let program = Program::start(tool(program, port, arguments).args(["-V", name, "-i", "me"]));
            runtime.block_on(async {
                let mut conversation = peer.welcome(false).await.unwrap();
                conversation.expect(&Expect::subscribe("a")).await.unwrap();
                conversation.answer_with(reason).await.unwrap();
                conversation.expect(&Expect::unsubscribe("a")).await.unwrap();
                conversation.answer().await.unwrap();
                conversation.expect(&Expect::disconnect()).await.unwrap();
            });
            let ended = program.end();
            assert_eq!(ended.code, Some(reason.as_u8().into()), "{}", ended.stderr);
            assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_publish_that_is_refused_ends_with_its_reason() {
    let Some(broker) = Everything::start(None) else { return };
    let port = broker.port("ACL_PORT").parse().unwrap();
    for qos in ["1", "2"] {
        let ended = Program::start(&mut tool("pub", port, &["-V", "5", "-t", "secret/a", "-m", "x", "-q", qos])).end();
        assert_eq!(ended.code, Some(135), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("Error: rejected by the broker"), "{}", ended.stderr);
    }
    // One line does not stop the others.
    let files = Files::new();
    let lines = std::fs::File::open(files.write("lines", "1\n2\n")).unwrap();
    let mut command = tool("pub", port, &["-V", "5", "-t", "secret/a", "-l", "-q", "1"]);
    assert_eq!(Program::start_with(&mut command, lines).end().code, Some(135));
}

#[test]
fn an_acknowledgement_that_does_not_come_is_a_failure() {
    let runtime = runtime();
    let peer = runtime.block_on(Peer::listen(ProtocolVersion::V3_1_1)).unwrap();
    let port = peer.address().unwrap().port();
    let program = Program::start(&mut tool("pub", port, &["-t", "a", "-m", "x", "-q", "1"]));
    runtime.block_on(async {
        let mut conversation = peer.welcome(false).await.unwrap();
        conversation.expect(&Expect::publish("a").payload("x")).await.unwrap();
    });
    let ended = program.end();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("Error: The connection was lost"), "{}", ended.stderr);
}

#[test]
fn subscriptions_survive_a_restart_of_the_broker() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let program =
        Program::start(&mut tool("sub", broker.port(), &["-V", "5", "-t", "a/+", "-t", "b", "-v", "-C", "3"]));
    let topics = ["a/1", "b"];
    {
        let watcher = Watcher::new(&broker, "5.0", "unused");
        // Retained: it does not matter who is first.
        watcher.client.publish("a/0", "before").retain().wait().unwrap();
        program.wait_for("a/0 before");
    }
    broker.stop();
    broker.resume();
    let watcher = Watcher::new(&broker, "5.0", "unused");
    for topic in topics {
        watcher.client.publish(topic, "after").retain().wait().unwrap();
        program.wait_for(&format!("{topic} after"));
    }
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn an_interrupt_is_a_good_end() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let mut watcher = Watcher::new(&broker, "5.0", "will");
    watcher.client.publish("t", "ready").retain().wait().unwrap();
    let program =
        Program::start(&mut tool("sub", broker.port(), &["-t", "t", "--will-topic", "will", "--will-payload", "no"]));
    program.wait_for("ready");
    program.interrupt();
    assert_eq!(program.end().code, Some(0));
    // Input that has no end.
    let mut command =
        tool("pub", broker.port(), &["-t", "l", "-l", "-d", "--will-topic", "will", "--will-payload", "no"]);
    let program = Program::start_with(&mut command, Stdio::piped());
    program.wait_for("connected");
    program.interrupt();
    assert_eq!(program.end().code, Some(0));
    // The broker has published neither will, or this one would not be the first.
    watcher.publish("will", "yes");
    assert_eq!(watcher.next().payload(), b"yes");
}

#[test]
fn thousands_of_lines_keep_their_order_through_a_kept_session() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let files = Files::new();
    let lines: String = (0..3_000).map(|n| format!("line {n}\n")).collect();
    for version in ["5", "311"] {
        let sub = |more: &[&str]| {
            let session = ["-V", version, "-t", "lines", "-q", "2", "-c", "-i", version];
            Program::start(tool("sub", broker.port(), &session).args(more)).end()
        };
        assert_eq!(sub(&["-E"]).code, Some(0));
        let input = std::fs::File::open(files.write("lines", &lines)).unwrap();
        let mut publish = tool("pub", broker.port(), &["-V", version, "-t", "lines", "-q", "2", "-l"]);
        assert_eq!(Program::start_with(&mut publish, input).end().code, Some(0));
        // In two parts: what was not printed is not acknowledged.
        let (first, rest) = (sub(&["-C", "1000"]).stdout(), sub(&["-C", "2000"]).stdout());
        assert!(first + &rest == lines, "{version}");
    }
}

#[test]
fn nobody_who_reads_any_more_is_a_good_end() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let watcher = Watcher::new(&broker, "5.0", "unused");
    for topic in ["t/1", "t/2", "t/3"] {
        watcher.client.publish(topic, "x".repeat(100_000)).retain().wait().unwrap();
    }
    let script = format!("{} -p {} -t t/+ --quiet | head -c 1", ours("sub"), broker.port());
    let ended = Program::start(Command::new("sh").args(["-c", &script])).end();
    assert_eq!((ended.code, ended.stdout()), (Some(0), "x".to_owned()));
}

#[test]
fn a_large_file_is_not_held_in_memory() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let files = Files::new();
    let path = files.path("large");
    const LENGTH: u64 = 99_000_000;
    std::fs::File::create(&path).unwrap().set_len(LENGTH).unwrap();
    // Less than the file, and no heap beside the main one, which would only be room that nobody uses.
    let limited = format!("ulimit -v 85000; exec {} \"$@\"", ours("pub"));
    let publish = |input: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "mqtt-pub", "-p", &broker.port().to_string(), "-t", "large", "-q", "1"]);
        command.args(input).env("MALLOC_ARENA_MAX", "1").env("XDG_CONFIG_HOME", "/nowhere");
        Program::start_with(&mut command, std::fs::File::open(&path).unwrap()).end()
    };
    let ended = publish(&["-f", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The limit is one: as a whole it cannot be read.
    assert_ne!(publish(&["-s"]).code, Some(0));
}

#[test]
fn a_directory_of_authorities_is_trusted() {
    let Some(broker) = Everything::start(None) else { return };
    let port = broker.port("TLS_PORT").parse().unwrap();
    let publish = |directory: &str| {
        let directory = broker.files.path(directory).display().to_string();
        let arguments = ["-h", "localhost", "-t", "a", "-m", "x", "--capath", &directory];
        Program::start(&mut tool("pub", port, &arguments)).end()
    };
    assert_eq!(publish("authorities").code, Some(0));
    std::fs::create_dir(broker.files.path("empty")).unwrap();
    for (directory, complaint) in [("empty", "there is no certificate in it"), ("none", "No such file")] {
        let ended = publish(directory);
        assert!(ended.code == Some(1) && ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn a_pre_shared_key_is_good_or_refused() {
    let Some(broker) = Everything::start(None) else { return };
    let port = broker.port("PSK_PORT").parse().unwrap();
    for (key, good) in [("1F2e3d4c", true), ("00", false)] {
        let arguments = ["-t", "a", "-m", "x", "-q", "1", "--psk", key, "--psk-identity", "pump"];
        let ended = Program::start(&mut tool("pub", port, &arguments)).end();
        let code = if good && cfg!(feature = "psk") { 0 } else { 1 };
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("needs the feature `psk`"), !cfg!(feature = "psk"), "{}", ended.stderr);
    }
}

#[test]
fn what_is_told_on_the_way_goes_to_stderr() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let ended =
        Program::start(&mut tool("pub", broker.port(), &["-t", "a", "-m", "x", "-d", "-P", "secret", "-u", "a"])).end();
    assert_eq!((ended.code, ended.stdout()), (Some(0), String::new()));
    assert!(ended.stderr.contains("connected") && !ended.stderr.contains("secret"), "{}", ended.stderr);
    let quiet = Program::start(&mut tool("pub", 1, &["-t", "a", "-m", "x", "--quiet"])).end();
    assert_eq!((quiet.code, quiet.stderr), (Some(1), String::new()));
}

#[test]
fn nothing_is_left_out_of_all_of_a_hundred() {
    let Some(broker) = Everything::start(None) else { return };
    for n in 0..5 {
        let topic = format!("all/{n}");
        Program::start(&mut broker.tool("pub", &["-t", &topic, "-r", "-m", "x"])).end();
    }
    let arguments = ["-t", "all/+", "--random-filter", "100", "-C", "5"];
    assert_eq!(Program::start(&mut broker.tool("sub", &arguments)).end().stdout(), "x\n".repeat(5));
    // Of a small part five are hardly any, but they count.
    let begun = std::time::Instant::now();
    let arguments = ["-t", "all/+", "--random-filter", "0.1", "-C", "5"];
    let ended = Program::start(&mut broker.tool("sub", &arguments)).end();
    assert!(ended.code == Some(0) && begun.elapsed() < Duration::from_secs(10));
}
