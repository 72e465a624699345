//! The medians as Markdown, and what they are beside the goals.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bench::{Row, rows};
use crate::clients::CLIENTS;
use crate::measure::{Figures, Measure};
use crate::option;

/// The figures of a row, by client.
type Found = BTreeMap<(String, String), Vec<Figures>>;

pub fn print(arguments: &[String]) -> Result<(), String> {
    let path = Path::new(option(arguments, "--file").unwrap_or("results.tsv"));
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut found = Found::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(row), Some(client), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { continue };
        found.entry((row.to_owned(), client.to_owned())).or_default().push(rest.parse()?);
    }
    let of = |kinds: &[Measure]| rows().into_iter().filter(|row| kinds.contains(&row.measure)).collect::<Vec<_>>();
    let messages = of(&[Measure::Publish, Measure::Receive]);
    table("CPU time, ns a message", &messages, &found, |figures| figures.cpu, true);
    table("thousand messages/s", &messages, &found, |figures| 1e6 / figures.wall, false);
    let trips = of(&[Measure::RoundTrip]);
    table("Round trip, p50 in us", &trips, &found, |figures| figures.p50 / 1e3, true);
    table("Round trip, p99 in us", &trips, &found, |figures| figures.p99 / 1e3, false);
    table("Round trip, CPU time in us", &trips, &found, |figures| figures.cpu / 1e3, true);
    let idle = of(&[Measure::Idle, Measure::IdleUsed]);
    table("Resident memory, KiB a client", &idle, &found, |figures| figures.memory / 1024.0, true);
    Ok(())
}

fn table(title: &str, rows: &[Row], found: &Found, value: fn(&Figures) -> f64, with_goals: bool) {
    let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
    println!("**{title}** (medians)\n");
    print!("| | {} |", names.join(" | "));
    println!("{}", if with_goals { " ours / best other | ours / raw | goal |" } else { "" });
    print!("| --- |{}", " ---: |".repeat(names.len()));
    println!("{}", if with_goals { " ---: | ---: | --- |" } else { "" });
    for row in rows {
        let name = row.name();
        let median = |client: &str| {
            let mut values: Vec<f64> = found
                .get(&(name.clone(), client.to_owned()))?
                .iter()
                .map(value)
                .filter(|value| value.is_finite())
                .collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let values: Vec<Option<f64>> = names.iter().map(|client| median(client)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let texts: Vec<String> = values.iter().map(|value| value.map_or("–".to_owned(), number)).collect();
        print!("| {name} | {} |", texts.join(" | "));
        if with_goals {
            let ours = values.first().copied().flatten();
            let raw = values.last().copied().flatten();
            let others = values.get(1..values.len() - 1).unwrap_or(&[]);
            let best = others.iter().copied().flatten().min_by(f64::total_cmp);
            let over = |other: Option<f64>| ours.zip(other).map(|(ours, other)| ours / other);
            let ratio = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let goal = goal(row, ours, over(best), over(raw));
            print!(" {} | {} | {goal} |", ratio(over(best)), ratio(over(raw)));
        }
        println!();
    }
    println!();
}

/// What is aimed at, and whether it is met.
fn goal(row: &Row, ours: Option<f64>, to_best: Option<f64>, to_raw: Option<f64>) -> String {
    let (goal, what, value) = match (row.measure, row.qos, row.payload) {
        (Measure::Publish | Measure::Receive, _, 65_536) | (Measure::RoundTrip, ..) => (1.2, "x raw", to_raw),
        (Measure::Publish, 0, 64) => (0.8, "x best", to_best),
        (Measure::Receive, 0, 64) => (0.6, "x best", to_best),
        (Measure::Publish | Measure::Receive, _, 64) => (0.5, "x best", to_best),
        (Measure::Idle | Measure::IdleUsed, ..) => (4.0, " KiB", ours),
        _ => return String::new(),
    };
    match value {
        Some(value) => format!("{goal}{what}: {}", if value <= goal { "met" } else { "**missed**" }),
        None => format!("{goal}{what}"),
    }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
