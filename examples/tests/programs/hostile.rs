//! What others publish, and files that others have put there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use mqtt_std::QoS;

use crate::support::{Config, Files, Mosquitto, Program, Watcher, example, url};

/// Clears the screen, sets the window's title, goes to the start of the line, turns the direction of writing round; and Unicode that does
/// nothing of the kind.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\r\u{202e}\u{9b}1m café";

/// Control characters other than the ends of lines, and those that change the direction of writing.
#[track_caller]
fn assert_harmless(said: &[u8]) {
    let text = std::str::from_utf8(said).unwrap();
    let obeyed = |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
    assert!(!text.contains(obeyed), "{text:?}");
    assert!(text.contains("\\u{1b}[2J") || text.contains("\\u{202e}"), "{text:?}");
}

#[test]
fn nothing_that_others_say_reaches_the_terminal_as_it_is() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    let publisher = Watcher::new(&broker, "5.0", "none");

    let once = Program::start(example("once").args(["receive", "a/#", "--broker", &url]));
    broker.wait_for("a/# (QoS 1)");
    publisher.publish("a/\u{202e}b", ESCAPES);
    let once = once.end();
    assert!(once.code == Some(0) && once.stdout().contains("café"), "{}", once.stderr);
    assert_harmless(&once.stdout);

    let callback = Program::start(example("callback").arg(&url));
    callback.wait_for("listening");
    publisher.publish("callback/\u{202e}b", ESCAPES);
    callback.wait_for("café");
    callback.interrupt();
    assert_harmless(&callback.end().stdout);

    let blocking = Program::start(example("blocking").arg(&url));
    blocking.wait_for("listening");
    publisher.publish("blocking/in", ESCAPES);
    publisher.publish("blocking/in", "adieu");
    assert_harmless(&blocking.end().stdout);

    let worker = Program::start(example("workers").arg(&url));
    worker.wait_for("is ready");
    publisher.publish("workers/jobs/\u{202e}x", ESCAPES);
    worker.wait_for("is no job");
    worker.interrupt();
    assert_harmless(worker.end().stderr.as_bytes());

    // As the reason why a program ends.
    let files = Files::new();
    let bigfile = Program::start(example("bigfile").arg("receive").arg(files.path("copy")).arg(&url));
    bigfile.wait_for("waiting for files/big");
    let publish = publisher.client.publish("files/big", "x").user_property("sha-256", "\u{202e}00");
    publish.qos(QoS::AtLeastOnce).wait().unwrap();
    assert_harmless(bigfile.end().stderr.as_bytes());
}

#[test]
fn what_is_no_result_does_not_put_off_that_jobs_are_submitted_again() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0");
    let mut jobs = Watcher::new(&broker, "5.0", "workers/jobs/+");
    let submit = Program::start(example("workers").args([&url, "--submit", "1", "--again", "1"]));
    let job = jobs.next();
    let done = job.topic().replace("jobs", "done");
    let noise = Watcher::new(&broker, "5.0", "none");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for payload in ["noise", "7 of another one", ""] {
                    noise.publish(&done, payload);
                }
            }
        });
        // Nobody works: it comes once more.
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| jobs.next()));
        over.store(true, Ordering::Relaxed);
        assert_eq!(again.expect("it is submitted again").payload(), b"0");
    });
    noise.publish(&done, format!("0 {}{}", "w".repeat(1_000), "\u{1b}[2J"));
    let ended = submit.end();
    assert!(ended.code == Some(0) && ended.stdout().lines().all(|line| line.len() < 200), "{}", ended.stdout());
}

#[test]
fn a_file_that_arrives_is_not_written_through_a_link() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let files = Files::new();
    let (victim, copy) = (files.write("victim", "precious"), files.path("copy"));
    symlink(&victim, files.path("copy.part")).unwrap();
    // Nor where the file itself is one.
    symlink(&victim, &copy).unwrap();
    let receive = Program::start(example("bigfile").arg("receive").arg(&copy).arg(url(&broker, "5.0")));
    receive.wait_for("waiting for files/big");
    Watcher::new(&broker, "5.0", "none").publish("files/big", "evil");
    let ended = receive.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::read(&copy).unwrap(), b"evil");
    assert!(fs::symlink_metadata(&copy).unwrap().is_file());
}

#[test]
fn a_password_in_a_file_that_others_may_read_is_told() {
    let Some(broker) = Mosquitto::start(Config::CREDENTIALS) else { return };
    let files = Files::new();
    let (open, closed) = (files.write("open", "secret\n"), files.write_secret("closed", "secret\n"));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let broker = format!("mqtt://alice@127.0.0.1:{}", broker.port());
    for (path, warning) in [(&open, true), (&closed, false)] {
        let mut once = example("once");
        let ended = Program::start(once.args(["publish", "a", "b", "--broker", &broker, "--password-file"]).arg(path));
        let ended = ended.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("is not for its owner alone"), warning, "{}", ended.stderr);
    }
    let ended = Program::start(example("once").args(["publish", "a", "b", "--broker", &broker])).end();
    assert!(ended.code == Some(1) && ended.stderr.contains("refused"), "{}", ended.stderr);
}

#[test]
fn alerts_are_for_their_owner_and_do_not_fill_the_disk() {
    const FULL: usize = 10 << 20;
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let files = Files::new();
    let alerts = files.path("alerts");
    let rules = format!(
        "filter = \"log/#\"\n[[rules]]\nname = \"all\"\nwhen = {{ e = 1 }}\nmessage = \"m\"\nper_minute = 60\nfile = {:?}\npublish = \"told\"",
        alerts.display()
    );
    let path = files.write("rules.toml", rules);
    let mut told = Watcher::new(&broker, "5.0", "told");
    let program = Program::start(example("logins").arg(path).arg(url(&broker, "5.0")));
    program.wait_for("watching");
    let mut event = || {
        told.publish("log/x", r#"{"e":1}"#);
        told.next();
    };
    event();
    assert_eq!(fs::metadata(&alerts).unwrap().mode() & 0o777, 0o600);
    let line = fs::metadata(&alerts).unwrap().len();
    // As if many had come before.
    fs::write(&alerts, vec![b'x'; FULL]).unwrap();
    event();
    assert_eq!(fs::metadata(&alerts).unwrap().len(), line);
    assert_eq!(fs::metadata(&alerts).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(files.path("alerts.1")).unwrap().len(), FULL as u64);
    program.interrupt();
    assert_eq!(program.end().code, Some(0));
}
