//! `workers`

use crate::support::{Config, Mosquitto, Program, VERSIONS, example, url};

fn worker(url: &str, name: &str) -> Program {
    let worker = Program::start(example("workers").args([url, "--name", name, "--millis", "20"]));
    worker.wait_for("is ready");
    worker
}

#[test]
fn every_job_is_done_though_a_worker_is_killed() {
    for version in VERSIONS {
        let Some(broker) = Mosquitto::start(Config::PLAIN) else { return };
        let url = url(&broker, version);
        let mortal = worker(&url, "mortal");
        let [one, two] = ["one", "two"].map(|name| worker(&url, name));
        let submit = Program::start(example("workers").args([&url, "--submit", "60", "--again", "1"]));
        mortal.wait_for_many("mortal did ", 3);
        mortal.signal("-KILL");
        assert_eq!(mortal.end().code, None);
        let ended = submit.end();
        let said = ended.stdout();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(said.contains("60 of 60 done; "), "{said}");
        // It had some that it has not done.
        assert!(!said.contains("done; 0 submitted again"), "{said}");
        let did = |name: &str| -> u32 {
            let line = said.lines().find_map(|line| line.strip_prefix(&format!("{name} did "))).unwrap();
            line.parse().unwrap()
        };
        assert_eq!(did("mortal") + did("one") + did("two"), 60, "each counts once: {said}");
        assert!(did("one") > 10 && did("two") > 10, "they share the work: {said}");
        for worker in [one, two] {
            worker.interrupt();
            let ended = worker.end();
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        }
    }
}

#[test]
fn a_worker_acknowledges_a_job_when_the_broker_has_its_result_and_refuses_what_is_none() {
    let Some(mut broker) = Mosquitto::start(Config::PLAIN) else { return };
    let url = url(&broker, "5.0&client_id=worker");
    let worker = worker(&url, "careful");
    let submit = Program::start(example("workers").args([&url.replace("=worker", "=boss"), "--submit", "1"]));
    assert_eq!(submit.end().code, Some(0));
    worker.wait_for("careful did 0");
    broker.wait_for("Received PUBACK from worker");
    let watcher = crate::support::Watcher::new(&broker, "5.0", "none");
    watcher.publish("workers/jobs/x", "not a number");
    worker.wait_for("workers/jobs/x is no job");
    worker.interrupt();
    assert_eq!(worker.end().code, Some(0));
    broker.stop();
    let log = broker.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in {log}"));
    assert!(at("Sending PUBACK to worker") < at("Received PUBACK from worker"), "the result first");
    assert!(log.contains("Received PUBACK from worker (Mid: 2, RC:153)"), "{log}");
}

#[test]
fn without_a_broker_there_is_no_work() {
    let ended = Program::start(example("workers").arg("mqtt://127.0.0.1:1")).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("refused") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
}
