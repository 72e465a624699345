//! `telemetry`

/// Its own tests run here.
#[path = "../../telemetry/line.rs"]
mod line;

use std::collections::BTreeSet;
use std::time::Instant;

use mqtt_std::Message;

use crate::support::{Config, Mosquitto, PATIENCE, Program, VERSIONS, Watcher, example, url};

/// What the program says in a line of numbers.
#[derive(Debug, Eq, PartialEq)]
struct Report {
    made: u64,
    acknowledged: u64,
    waiting: u64,
    dropped: u64,
    refused: u64,
    not_made: u64,
}

impl Report {
    fn read(line: &str) -> Self {
        let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let numbers: Vec<u64> = numbers.map(|word| word.parse().unwrap()).collect();
        let [made, acknowledged, waiting, dropped, refused, not_made] = numbers[..] else { panic!("{line}") };
        Self { made, acknowledged, waiting, dropped, refused, not_made }
    }
}

/// The numbers of the points in a message.
fn sequences(message: &Message) -> Vec<u64> {
    let sequence = |line: &str| -> u64 {
        let (tags, rest) = line.split_once(" celsius=").unwrap();
        assert!(tags.starts_with("heating,host=") && tags.ends_with(r",room=boiler\ room"), "{line}");
        let (_, rest) = rest.split_once("sequence=").unwrap();
        let (sequence, time) = rest.split_once("i ").unwrap();
        assert!(time.parse::<u128>().unwrap() > 1_700_000_000_000_000_000, "{line}");
        sequence.parse().unwrap()
    };
    message.payload_str().unwrap().lines().map(sequence).collect()
}

#[test]
fn points_come_as_lines_one_by_one_or_in_batches() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    for version in VERSIONS {
        for (batch, sizes) in [("1", &[1; 10][..]), ("4", &[4, 4, 2])] {
            let mut watcher = Watcher::new(&broker, version, "telegraf/+/heating");
            let arguments = ["--rate", "1000", "--count", "10", "--batch", batch, &url(&broker, version)];
            let ended = Program::start(example("telemetry").args(arguments)).end();
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
            assert!(ended.stdout().lines().last().unwrap().starts_with("10 made: "), "{}", ended.stdout());
            let mut next = 0..;
            for size in sizes {
                let expected: Vec<u64> = next.by_ref().take(*size).collect();
                assert_eq!(sequences(&watcher.next()), expected);
            }
        }
    }
}

#[test]
fn the_rate_is_kept_and_ctrl_c_waits_for_what_is_under_way() {
    let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
    let program = Program::start(example("telemetry").args(["--rate", "200", "--qos", "2", &url(&broker, "5.0")]));
    let first = Report::read(&program.wait_for(" made: "));
    let second = Report::read(&program.wait_for_many(" made: ", 2));
    let made = second.made - first.made + second.not_made - first.not_made;
    assert!((100..=400).contains(&made), "{first:?} {second:?}");
    program.interrupt();
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let end = Report::read(ended.stdout().lines().last().unwrap());
    assert_eq!((end.acknowledged, end.waiting, end.dropped, end.refused), (end.made, 0, 0, 0));
}

/// The first report of this kind.
#[track_caller]
fn report_where(program: &Program, wanted: impl Fn(&Report) -> bool) -> Report {
    let end = Instant::now() + PATIENCE;
    for number in 1.. {
        let report = Report::read(&program.wait_for_many(" made: ", number));
        if wanted(&report) {
            return report;
        }
        assert!(Instant::now() < end, "it stays {report:?}");
    }
    unreachable!()
}

/// So many messages wait. It takes the program half a second to make them: by the time that they are there it knows that the broker is
/// away, and has not sent them all.
const ROOM: u64 = 200;

/// Stops the broker for a while under a policy. Returns the last report, and what has come.
fn outage(policy: &str, suffered: impl Fn(&Report) -> bool) -> Option<(Report, BTreeSet<u64>)> {
    let mut broker = Mosquitto::start(Config::PERSISTENT)?;
    let mut watcher = Watcher::lasting(&broker, "5.0", "telegraf/#");
    let arguments =
        ["--rate", "400", "--in-flight", &ROOM.to_string(), "--every", "0.1", "--policy", policy, &url(&broker, "5.0")];
    let program = Program::start(example("telemetry").args(arguments));
    // The first one that comes; one before it may have been dropped already.
    let mut come = BTreeSet::from_iter(sequences(&watcher.next()));
    broker.stop();
    program.wait_for("offline: ");
    let before = report_where(&program, suffered);
    broker.resume();
    let line = program.wait_for("online again after ");
    let waited: u64 = line.split(" s, ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1..=ROOM).contains(&waited), "{line}");
    // It goes on.
    report_where(&program, |report| report.acknowledged > before.acknowledged + ROOM);
    program.interrupt();
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report = Report::read(ended.stdout().lines().last().unwrap());
    assert_eq!(report.made, report.acknowledged + report.dropped + report.refused, "{report:?}");
    assert_eq!(report.waiting, 0, "{report:?}");

    watcher.publish("telegraf/end", "");
    // What was acknowledged has come, at QoS 1 perhaps twice; what was dropped or refused has not.
    loop {
        let message = watcher.next();
        if message.topic() == "telegraf/end" {
            assert_eq!(come.len() as u64, report.acknowledged, "{report:?}");
            return Some((report, come));
        }
        come.extend(sequences(&message));
    }
}

#[test]
fn policy_wait_holds_up_the_maker_and_loses_nothing() {
    let Some((report, come)) = outage("wait", |report| report.waiting == ROOM) else { return };
    assert_eq!(come.last().copied(), Some(report.made - 1));
    assert!(report.not_made > 0 && report.dropped == 0 && report.refused == 0, "{report:?}");
}

#[test]
fn policy_refuse_tells_the_maker() {
    let Some((report, _)) = outage("refuse", |report| report.refused > 0) else { return };
    assert_eq!(report.dropped, 0, "{report:?}");
}

#[test]
fn policy_oldest_keeps_what_is_new() {
    let Some((report, come)) = outage("oldest", |report| report.dropped > 20) else { return };
    assert_eq!(come.last().copied(), Some(report.made - 1));
    // What is missing was dropped.
    let numbers: Vec<u64> = come.into_iter().collect();
    let missing: u64 = numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
    assert_eq!(missing, report.dropped, "{report:?}");
}

#[test]
fn policy_newest_keeps_what_waits() {
    let Some((report, _)) = outage("newest", |report| report.dropped > 20) else { return };
    assert_eq!(report.refused, 0, "{report:?}");
}

#[test]
fn policy_latest_keeps_one() {
    let Some((report, come)) = outage("latest", |report| report.dropped > 20) else { return };
    assert_eq!(come.last().copied(), Some(report.made - 1));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for (arguments, said) in [
        (&["--rate", "0"][..], "the rate is above 0"),
        (&["--rate", "fast"], "rate: \"fast\": invalid float literal"),
        (&["--batch", "0"], "a batch has 1 to 10000 points"),
        (&["--every", "-1"], "every: "),
        (&["--qos", "0"], "QoS 0: say 1 or 2"),
        (&["--policy", "hope"], "policy \"hope\": say wait"),
        (&["--colour"], "option \"colour\" is not known; usage: telemetry "),
        (&["http://localhost"], "address is not valid"),
        (&["mqtt://127.0.0.1:1"], "refused"),
        (&["mqtt://127.0.0.1:1", "more"], "\"more\" is not expected"),
    ] {
        let ended = Program::start(example("telemetry").args(arguments)).end();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said:?}: {}", ended.stderr);
    }
}
