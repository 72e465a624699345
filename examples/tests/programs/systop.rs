//! `systop`

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::support::{Files, Mosquitto, Program, Watcher, example, url};

#[allow(dead_code)] // what the program itself needs
#[path = "../../systop/figures.rs"]
mod figures;
#[path = "../../systop/view.rs"]
mod view;

use figures::Figures;

/// A broker that tells its figures every second.
fn telling_broker(more: &str) -> Option<Mosquitto> {
    Mosquitto::start_with(|port, _| {
        let log = "log_dest stderr\nlog_type all\n";
        format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n{log}{more}")
    })
}

#[test]
fn a_pipe_gets_a_line_every_second() {
    let Some(broker) = telling_broker("") else { return };
    let older = Program::start(example("systop").args([&url(&broker, "3.1.1"), "--interval", "1"]));
    let program = Program::start(example("systop").args([&url(&broker, "5.0"), "--interval", "1"]));
    let watcher = Watcher::new(&broker, "5.0", "none");
    // Some traffic, until it is told.
    let busy = (1..20).find_map(|line| {
        for _ in 0..20 {
            watcher.publish("a", "b");
        }
        let line = program.wait_for_many("clients ", line);
        (!line.contains("messages/s in 0.0")).then_some(line)
    });
    let busy = busy.expect("no rate is told");
    assert!(busy.contains("  dropped 0  messages/s in ") && !busy.contains(" out 0.0 "), "{busy}");
    for program in [program, older] {
        program.wait_for("clients 3 ");
        program.interrupt();
        let ended = program.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_broker_that_tells_nothing_is_an_error() {
    // Nobody may read anything but this.
    let files = Files::new();
    let list = files.write("acl", "topic readwrite a/#\n");
    let Some(broker) = telling_broker(&format!("acl_file {}\n", list.display())) else { return };
    let ended = Program::start(example("systop").args([&url(&broker, "5.0"), "--interval", "1"])).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "the broker tells nothing at $SYS/#\n"));
    let ended = Program::start(example("systop").arg("mqtt://127.0.0.1:1")).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("refused") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
}

#[test]
fn rates_are_differences_and_fade_when_nothing_is_told() {
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let mut figures = Figures::default();
    figures.take("$SYS/broker/bytes/received", "5000", true, at(0));
    figures.take("$SYS/broker/bytes/received", "6000", false, at(1));
    assert_eq!(figures.bytes_in.per_second(at(1)), 0.0, "what was retained is of another time");
    figures.take("$SYS/broker/bytes/received", "6500", false, at(11));
    for (second, rate) in [(11, 50.0), (20, 50.0), (31, 50.0), (32, 0.0)] {
        assert_eq!(figures.bytes_in.per_second(at(second)), rate, "at {second} s");
    }
    // A broker that was restarted.
    figures.take("$SYS/broker/bytes/received", "10", false, at(40));
    figures.take("$SYS/broker/bytes/received", "40", false, at(50));
    assert_eq!(figures.bytes_in.per_second(at(50)), 3.0);
}

#[test]
fn what_a_broker_tells_is_bounded() {
    let (mut figures, now) = (Figures::default(), Instant::now());
    for number in 0..2_000 {
        figures.take(&format!("$SYS/broker/x/{number}"), "1", false, now);
    }
    figures.take("$SYS/broker/x/long", &"y".repeat(10_000), false, now);
    assert_eq!(figures.values().count(), 500);
    for _ in 0..1_000 {
        figures.tick(now);
    }
    assert_eq!(figures.clients.len(), 300);
}

#[test]
fn the_dashboard_shows_figures_rates_and_sparks() {
    let begun = Instant::now();
    let mut figures = Figures::default();
    for (topic, value) in [
        ("version", "mosquitto version 2.0.11"),
        ("uptime", "17 seconds"),
        ("clients/connected", "3"),
        ("subscriptions/count", "4"),
        ("evil", "\u{1b}[2J"),
    ] {
        figures.take(&format!("$SYS/broker/{topic}"), value, true, begun);
    }
    for second in 0..20_u64 {
        let now = begun + Duration::from_secs(second);
        let total = (0..=second).map(|second| second * 10).sum::<u64>();
        figures.take("$SYS/broker/publish/messages/sent", &total.to_string(), false, now);
        figures.tick(now);
    }
    let now = begun + Duration::from_secs(19);
    let mut terminal = Terminal::new(TestBackend::new(90, 30)).unwrap();
    terminal.draw(|frame| view::draw(frame, &figures, "mqtt://localhost", now)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines: Vec<String> =
        buffer.content().chunks(90).map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect();
    let screen = lines.join("\n");
    for text in [
        "mqtt://localhost",
        "mosquitto version 2.0.11, up 17 seconds",
        "4 subscriptions, ? retained, ? stored, ? dropped",
        "clients: 3",
        "messages out: 190.0/s, 1900",
        "messages in: 0.0/s, ?",
        "publish/messages/sent",
    ] {
        assert!(screen.contains(text), "{text:?} is not in\n{screen}");
    }
    // The rate has grown: the bar on the right is whole, and what is left of it is lower.
    let row = lines.iter().position(|line| line.contains("messages out")).unwrap();
    let bottom = &lines[row + 3];
    assert!(bottom.trim_end_matches('│').ends_with("████"), "{bottom}");
    assert!(!screen.contains('\u{1b}'), "control characters stay out of the terminal");
    // A terminal that is too small for it is no reason to panic.
    let mut terminal = Terminal::new(TestBackend::new(5, 3)).unwrap();
    terminal.draw(|frame| view::draw(frame, &figures, "mqtt://localhost", now)).unwrap();
}
