//! `bridge`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mqtt_std::blocking::{Client, Subscription};
use mqtt_std::{Backoff, Message, Options, ProtocolVersion, QoS};

use crate::support::{Config, Files, Mosquitto, PATIENCE, Program, example, url};

const V5: ProtocolVersion = ProtocolVersion::V5_0;
const V3: ProtocolVersion = ProtocolVersion::V3_1_1;

/// Two brokers, a bridge between them, and somebody who looks at each.
struct Scene {
    local: End,
    remote: End,
    files: Files,
    line: &'static str,
    bridge: Option<Program>,
}

/// A broker, somebody who publishes, and somebody who sees everything.
struct End {
    broker: Mosquitto,
    version: ProtocolVersion,
    publisher: Client,
    watcher: Client,
    seen: Subscription,
}

impl End {
    fn start(config: Config, version: ProtocolVersion) -> Option<Self> {
        let broker = Mosquitto::start(config)?;
        let options = |name| {
            let backoff = Backoff::new().minimum(20).maximum(200);
            Options::new("127.0.0.1", broker.port())
                .client_identifier(name)
                .version(version)
                .backoff(backoff)
                .keep_session()
        };
        let publisher = Client::connect(options("publisher")).unwrap();
        let watcher = Client::connect(options("watcher")).unwrap();
        let seen = watcher.subscribe("#", QoS::ExactlyOnce).wait().unwrap();
        Some(Self { broker, version, publisher, watcher, seen })
    }

    fn url(&self) -> String {
        url(&self.broker, if self.version == V5 { "5.0" } else { "3.1.1" })
    }

    #[track_caller]
    fn publish(&self, topic: &str, payload: impl Into<String>) {
        self.publisher.publish(topic, payload.into()).qos(QoS::ExactlyOnce).wait_timeout(PATIENCE).unwrap();
    }

    #[track_caller]
    fn next(&mut self) -> Message {
        self.seen.next_timeout(PATIENCE).unwrap().unwrap()
    }

    #[track_caller]
    fn next_line(&mut self) -> String {
        let message = self.next();
        format!("{} {}", message.topic(), message.payload_str().unwrap())
    }

    /// Counts how often each message comes, until there are so many different ones.
    #[track_caller]
    fn collect(&mut self, seen: &mut BTreeMap<String, u32>, wanted: usize) {
        while seen.len() < wanted {
            *seen.entry(self.next_line()).or_insert(0) += 1;
        }
    }

    /// So many different messages have come, each once, and for a moment no more come.
    #[track_caller]
    fn each_once(&mut self, mut seen: BTreeMap<String, u32>, wanted: usize) {
        self.collect(&mut seen, wanted);
        while let Ok(Some(message)) = self.seen.next_timeout(Duration::from_millis(300)) {
            *seen.entry(format!("{} {}", message.topic(), message.payload_str().unwrap())).or_insert(0) += 1;
        }
        let wrong: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
        assert!(seen.len() == wanted && wrong.is_empty(), "{} seen, {wrong:?}", seen.len());
    }
}

impl Scene {
    fn set(config: Config, local: ProtocolVersion, remote: ProtocolVersion, line: &'static str) -> Option<Self> {
        Some(Self::of(End::start(config, local)?, End::start(config, remote)?, line))
    }

    fn of(local: End, remote: End, line: &'static str) -> Self {
        let files = Files::new();
        let mut scene = Self { local, remote, files, line, bridge: None };
        scene.bridge = Some(scene.start_bridge());
        scene.bridge().wait_for("local subscribed");
        if !line.contains(" out ") {
            scene.bridge().wait_for("remote subscribed");
        }
        scene.bridge().wait_for("remote connected");
        scene
    }

    fn start_bridge(&self) -> Program {
        let mut command = example("bridge");
        command.args(["--broker", &self.local.url(), "--remote", &self.remote.url(), "--topic", self.line]);
        Program::start(command.arg("--store").arg(self.files.path("store")))
    }

    fn bridge(&self) -> &Program {
        self.bridge.as_ref().unwrap()
    }

    #[track_caller]
    fn end(self) {
        self.bridge().interrupt();
        let ended = self.bridge.unwrap().end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        for end in [self.local, self.remote] {
            end.publisher.shutdown(PATIENCE).unwrap();
            end.watcher.shutdown(PATIENCE).unwrap();
        }
    }
}

#[test]
fn messages_pass_both_ways_once_and_never_come_back() {
    for (local, remote) in [(V5, V5), (V5, V3), (V3, V5), (V3, V3)] {
        let Some(mut scene) = Scene::set(Config::PLAIN, local, remote, r#"cellar/# both 2 "" house/"#) else { return };
        // A broker of 3.1.1 gets what would come back with a level more.
        let mark = |version| if version == V3 { "/~bridge" } else { "" };
        scene.local.publish("cellar/lamp", "out");
        assert_eq!(scene.local.next_line(), "cellar/lamp out");
        assert_eq!(scene.remote.next_line(), format!("house/cellar/lamp{} out", mark(remote)));
        scene.remote.publish("house/cellar/lamp", "in");
        assert_eq!(scene.remote.next_line(), "house/cellar/lamp in");
        assert_eq!(scene.local.next_line(), format!("cellar/lamp{} in", mark(local)));
        // What is elsewhere stays there; and nothing more has come by the time that later messages have passed both ways.
        scene.local.publish("attic/lamp", "stays");
        assert_eq!(scene.local.next_line(), "attic/lamp stays");
        for round in 0..3 {
            scene.local.publish("cellar/last", round.to_string());
            assert_eq!(scene.local.next_line(), format!("cellar/last {round}"));
            assert_eq!(scene.remote.next_line(), format!("house/cellar/last{} {round}", mark(remote)));
        }
        scene.end();
    }
}

#[test]
fn a_ring_of_bridges_passes_each_message_once() {
    for (local, remote) in [(V5, V5), (V5, V3), (V3, V3)] {
        let Some(mut scene) = Scene::set(Config::PLAIN, local, remote, "ring/# both") else { return };
        let mut command = example("bridge");
        command.args(["--broker", &scene.local.url(), "--remote", &scene.remote.url(), "--topic", scene.line]);
        let second = Program::start(command.args(["--name", "second", "--store"]).arg(scene.files.path("second")));
        second.wait_for("local subscribed");
        second.wait_for("remote subscribed");
        scene.local.publish("ring/x", "once");
        // Each bridge passes on what is published here, and there what the other one has; and then nothing more comes.
        for (end, wanted) in [(&mut scene.local, 3), (&mut scene.remote, 2)] {
            let mut came: Vec<_> = (0..wanted).map(|_| end.next().topic().to_owned()).collect();
            while let (true, Ok(Some(more))) = (came.len() < 20, end.seen.next_timeout(Duration::from_millis(300))) {
                came.push(more.topic().to_owned());
            }
            assert_eq!(came.len(), wanted, "{local:?} {remote:?}: {came:?}");
        }
        second.interrupt();
        assert_eq!(second.end().code, Some(0));
        scene.end();
    }
}

#[test]
fn retained_messages_and_properties_stay_as_they_are() {
    let Some(mut scene) = Scene::set(Config::PLAIN, V5, V5, "cellar/# out 2") else { return };
    let publish = scene.local.publisher.publish("cellar/status", "on").qos(QoS::ExactlyOnce).retain();
    let publish = publish.content_type("text/plain").user_property("floor", "0").response_topic("cellar/answer");
    publish.correlation_data(b"7").wait().unwrap();
    let message = scene.remote.next();
    assert_eq!((message.content_type(), message.user_property("floor")), (Some("text/plain"), Some("0")));
    assert_eq!((message.response_topic(), message.correlation_data()), (Some("cellar/answer"), Some(&b"7"[..])));
    // Somebody who comes later finds what was kept.
    let mut late = scene.remote.publisher.subscribe("cellar/status", QoS::ExactlyOnce).wait().unwrap();
    let message = late.next_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!((message.retain(), message.payload()), (true, &b"on"[..]));
    // A bridge that starts again finds the retained message in its session, and does not bring it twice.
    scene.bridge().interrupt();
    assert_eq!(scene.bridge.take().unwrap().end().code, Some(0));
    scene.bridge = Some(scene.start_bridge());
    scene.bridge().wait_for("local subscribed");
    scene.local.publish("cellar/last", "x");
    assert_eq!(scene.remote.next_line(), "cellar/last x");
    scene.end();
}

#[test]
fn nothing_is_lost_or_doubled_while_a_side_is_away_and_the_bridge_ends() {
    for (local, remote, signal) in [(V5, V3, "-KILL"), (V3, V5, "-TERM")] {
        let Some(mut scene) = Scene::set(Config::PERSISTENT, local, remote, "cellar/# out 2") else { return };
        scene.local.publish("cellar/first", "0");
        assert_eq!(scene.remote.next_line(), "cellar/first 0");
        scene.remote.broker.stop();
        scene.bridge().wait_for("remote is away");
        for number in 0..40 {
            scene.local.publish("cellar/n", number.to_string());
        }
        scene.bridge().signal(signal);
        let ended = scene.bridge.take().unwrap().end();
        assert_eq!(ended.code, if signal == "-KILL" { None } else { Some(0) }, "{}", ended.stderr);
        scene.local.publish("cellar/n", "40");
        // It starts with a broker that is not there.
        scene.bridge = Some(scene.start_bridge());
        scene.bridge().wait_for("local subscribed");
        scene.local.publish("cellar/n", "41");
        scene.remote.broker.resume();
        scene.remote.each_once(BTreeMap::new(), 42);
        scene.end();
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_either_broker_is_restarted() {
    for (local, remote) in [(V5, V5), (V5, V3)] {
        let Some(mut scene) = Scene::set(Config::PERSISTENT, local, remote, "cellar/# out 2 left/ right/") else {
            return;
        };
        for round in 0..2 {
            for number in 0..60 {
                let payload = format!("{round} {number}");
                let publish = scene.local.publisher.publish("left/cellar/n", payload).qos(QoS::ExactlyOnce);
                publish.send().unwrap();
            }
            let broker = if round == 0 { &mut scene.remote.broker } else { &mut scene.local.broker };
            broker.stop();
            broker.resume();
            scene.remote.each_once(BTreeMap::new(), 60);
        }
        scene.end();
    }
}

#[test]
fn nothing_is_lost_or_doubled_whenever_the_bridge_is_killed() {
    const ROUNDS: usize = 8;
    for (local, remote) in [(V5, V5), (V5, V3)] {
        let line = "cellar/# both 2 left/ right/";
        let Some(mut scene) = Scene::set(Config::PERSISTENT, local, remote, line) else { return };
        let mut seen = [BTreeMap::new(), BTreeMap::new()];
        for round in 0..ROUNDS {
            for number in 0..25 {
                for (end, topic) in [(&scene.local, "left/cellar/n"), (&scene.remote, "right/cellar/n")] {
                    let payload = format!("{round} {number} from {topic}");
                    let _ = end.publisher.publish(topic, payload).qos(QoS::ExactlyOnce).send().unwrap();
                }
            }
            // Sometimes it is busy with the first message, sometimes with the last.
            std::thread::sleep(Duration::from_millis(7 * round as u64));
            scene.bridge().signal("-KILL");
            assert_eq!(scene.bridge.take().unwrap().end().code, None);
            scene.bridge = Some(scene.start_bridge());
            // Each side has what is its own, and what comes from the other one. A bridge is not killed again before that: Mosquitto
            // 2.0 sends PUBLISH again where a connection breaks while it sends PUBREL again.
            for (end, seen) in [&mut scene.local, &mut scene.remote].into_iter().zip(&mut seen) {
                end.collect(seen, (round + 1) * 2 * 25);
            }
        }
        for (end, seen) in [&mut scene.local, &mut scene.remote].into_iter().zip(seen) {
            end.each_once(seen, ROUNDS * 2 * 25);
        }
        scene.end();
    }
}

#[test]
fn a_message_at_qos_1_is_acknowledged_when_the_other_side_has_it() {
    let Some(mut scene) = Scene::set(Config::PERSISTENT, V5, V5, "cellar/# out 1") else { return };
    scene.remote.broker.stop();
    scene.bridge().wait_for("remote is away");
    scene.local.publish("cellar/lamp", "on");
    scene.local.broker.wait_for("Sending PUBLISH to bridge-local");
    // The broker hears of it once the other one has it, and not before.
    let before = scene.local.broker.log();
    assert!(!before.contains("Received PUBACK from bridge-local"), "{before}");
    scene.remote.broker.resume();
    assert_eq!(scene.remote.next_line(), "cellar/lamp on");
    scene.local.broker.wait_for("Received PUBACK from bridge-local");
    scene.end();
}

#[test]
fn what_the_other_broker_does_not_take_is_dropped_and_said_and_holds_up_nothing() {
    let ends = (End::start(Config::PLAIN, V5), End::start(Config::SMALL, V5));
    let (Some(local), Some(remote)) = ends else { return };
    let mut scene = Scene::of(local, remote, "cellar/# out 2");
    scene.local.publish("cellar/large", "x".repeat(2_000));
    let said = scene.bridge().wait_for("cellar/large is dropped, remote does not take it: ");
    assert!(said.contains("above the server's maximum"), "{said}");
    scene.local.publish("cellar/small", "x");
    assert_eq!(scene.remote.next_line(), "cellar/small x");
    // Nobody else may have its store.
    let ended = scene.start_bridge().end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("in use") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    scene.bridge().interrupt();
    assert_eq!(scene.bridge.take().unwrap().end().code, Some(0));
}

#[test]
fn what_it_cannot_do_is_one_line_on_stderr() {
    let files = Files::new();
    let begun = Instant::now();
    for (arguments, line) in [
        (&["--topic", "a/#"][..], "usage: bridge "),
        (&["--remote", "mqtt://127.0.0.1:1"], "there is no --topic"),
        (
            &["--remote", "mqtt://127.0.0.1:1", "--topic", "a/# up"],
            "topic: \"a/# up\": \"up\" is no direction: out, in, or both",
        ),
        (
            &["--remote", "mqtt://127.0.0.1:1", "--topic", "a/#", "--topic", "a/b"],
            "a/# and a/b would bring messages twice",
        ),
        (&["--remote", "nonsense", "--topic", "a/#"], "remote: \"nonsense\": address is not valid"),
    ] {
        let ended = Program::start(example("bridge").args(arguments).arg("--store").arg(files.path("store"))).end();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.starts_with(line) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
    assert!(begun.elapsed() < PATIENCE);
}
