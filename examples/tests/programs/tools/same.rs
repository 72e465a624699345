//! The same script with Mosquitto's clients and with ours: the same bytes, the same exit status.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::broker::{Everything, namesakes, ours};
use super::rows::{Row, rows};

/// So many scripts run at once: most of them wait most of the time.
const AT_ONCE: usize = 6;

#[test]
fn a_script_does_the_same_with_either() {
    let namesakes = namesakes();
    let Some(broker) = Everything::start(namesakes.as_ref().map(|bin| bin.join("mosquitto")).as_deref()) else {
        return;
    };
    let rows: Vec<_> = rows().into_iter().filter(|row| namesakes.is_some() || !row.needs_2_1()).collect();
    assert!(rows.len() >= 60);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(String::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, row)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, rows.get(n)?)))
                {
                    let with_ours = run(&broker, row, &format!("o{number:03}"), |name| ours(name).to_owned());
                    let mut told = different("ours", row, &with_ours);
                    if let Some(bin) = &namesakes {
                        let theirs = |name: &str| bin.join(format!("mosquitto_{name}")).display().to_string();
                        // On a busy machine some of theirs lose a message of a kept session; what they mean, one good run tells.
                        let attempts = ["m", "n", "p"].map(|letter| format!("{letter}{number:03}"));
                        let mut attempts =
                            attempts.iter().map(|topic| different("theirs", row, &run(&broker, row, topic, theirs)));
                        let first = attempts.next().unwrap_or_default();
                        if !first.is_empty() && attempts.all(|told| !told.is_empty()) {
                            told += &first;
                        }
                    }
                    wrong.lock().unwrap().push_str(&told);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong}");
}

/// What a script wrote, and how it ended.
struct Outcome {
    stdout: Vec<u8>,
    stderr: String,
    status: Option<i32>,
}

fn run(broker: &Everything, row: &Row, topic: &str, tool: impl Fn(&str) -> String) -> Outcome {
    let directory = broker.files.path(topic);
    std::fs::create_dir(&directory).unwrap();
    let mut command = Command::new("timeout");
    command.args(["20", "sh", "-c", row.script]).stdin(Stdio::null()).envs(broker.variables.iter().cloned());
    for (variable, name) in [("PUB", "pub"), ("SUB", "sub"), ("RR", "rr")] {
        command
            .env(variable, format!("{} -p {}", tool(name), broker.port("PORT")))
            .env(format!("{variable}_"), tool(name));
    }
    command.env("T", topic).env("D", &directory).env("XDG_CONFIG_HOME", &directory).env("HOME", &directory);
    command.env("ALL", ALL).env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
    let output = command.output().unwrap();
    let stdout = without_times(&replaced(&output.stdout, topic.as_bytes(), b"root"));
    Outcome { stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned(), status: output.status.code() }
}

const ALL: &str = "-D PUBLISH content-type text/plain -D PUBLISH correlation-data c-1 -D PUBLISH payload-format-indicator 1 \
    -D PUBLISH response-topic re/topic -D PUBLISH user-property k1 v1 -D PUBLISH user-property k2 v2";

fn different(whose: &str, row: &Row, outcome: &Outcome) -> String {
    if outcome.stdout == row.stdout.as_bytes() && outcome.status == Some(row.status) {
        return String::new();
    }
    let Row { name, script, stdout, status } = row;
    format!(
        "{name}: {whose}\n  {script}\n  expected {status}:\n{stdout}  came {:?}:\n{}\n  {}\n",
        outcome.status,
        String::from_utf8_lossy(&outcome.stdout),
        outcome.stderr
    )
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend(&rest[..at]);
        out.extend(to);
        rest = &rest[at + from.len()..];
    }
    out.extend(rest);
    out
}

/// With `-` where JSON says when a message came.
fn without_times(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    const NAME: &[u8] = b"\"tst\":";
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        let (before, value) = rest.split_at(at + NAME.len());
        out.extend(before);
        let quotes: Vec<_> = (0..value.len()).filter(|at| value[*at] == b'"').take(2).collect();
        let [begin, end] = quotes[..] else { panic!("a time without quotes") };
        out.extend(&value[..=begin]);
        out.push(b'-');
        rest = &value[end..];
    }
    out.extend(rest);
    out
}

#[test]
fn times_and_topics_are_left_out() {
    assert_eq!(
        without_times(b"a {\"tst\":\t\"2026\",\n\"b\":1} {\"tst\":\"x\"}"),
        b"a {\"tst\":\t\"-\",\n\"b\":1} {\"tst\":\"-\"}"
    );
    assert_eq!(replaced(b"m01/a m01", b"m01", b"T"), b"T/a T");
}
