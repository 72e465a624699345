//! Which topics go where.

use std::str::FromStr;

use mqtt_examples::Result;
use mqtt_std::{QoS, TopicFilter};

/// One line of `--topic`.
#[derive(Debug, PartialEq)]
pub struct Line {
    filter: String,
    direction: Direction,
    pub qos: QoS,
    local_prefix: String,
    remote_prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    Out,
    In,
    Both,
}

/// What topics begin with at the broker a message comes from, and at the one it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefixes {
    pub from: String,
    pub to: String,
}

impl Prefixes {
    /// The topic at the other broker.
    pub fn translate(&self, topic: &str) -> Option<String> {
        topic.strip_prefix(&self.from).map(|rest| format!("{}{rest}", self.to))
    }
}

impl Line {
    /// What the local broker is asked for, and how its topics change; `None`: nothing goes out.
    pub fn outward(&self) -> Option<(String, Prefixes)> {
        let prefixes = Prefixes { from: self.local_prefix.clone(), to: self.remote_prefix.clone() };
        (self.direction != Direction::In).then(|| (format!("{}{}", self.local_prefix, self.filter), prefixes))
    }

    /// What the remote broker is asked for, and how its topics change; `None`: nothing comes in.
    pub fn inward(&self) -> Option<(String, Prefixes)> {
        let prefixes = Prefixes { from: self.remote_prefix.clone(), to: self.local_prefix.clone() };
        (self.direction != Direction::Out).then(|| (format!("{}{}", self.remote_prefix, self.filter), prefixes))
    }

    /// What the local broker is asked for.
    pub fn local(&self) -> Option<String> {
        self.outward().map(|(filter, _)| filter)
    }

    /// What the remote broker is asked for.
    pub fn remote(&self) -> Option<String> {
        self.inward().map(|(filter, _)| filter)
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> std::result::Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().map(|word| if word == "\"\"" { "" } else { word }).collect();
        let (&filter, rest) = words.split_first().ok_or("there is no filter")?;
        let direction = match rest.first().copied() {
            None | Some("out") => Direction::Out,
            Some("in") => Direction::In,
            Some("both") => Direction::Both,
            Some(word) => return Err(format!("{word:?} is no direction: out, in, or both")),
        };
        let qos = match rest.get(1).copied() {
            Some("0") => QoS::AtMostOnce,
            Some("1") => QoS::AtLeastOnce,
            None | Some("2") => QoS::ExactlyOnce,
            Some(word) => return Err(format!("{word:?} is no QoS: 0, 1, or 2")),
        };
        let prefix = |index: usize| (*rest.get(index).unwrap_or(&"")).to_owned();
        let line =
            Self { filter: filter.to_owned(), direction, qos, local_prefix: prefix(2), remote_prefix: prefix(3) };
        if rest.len() > 4 || line.local_prefix.contains(['+', '#']) || line.remote_prefix.contains(['+', '#']) {
            return Err("it ends with two prefixes without wildcards".to_owned());
        }
        if filter.starts_with("$share/") {
            return Err("a shared subscription would bring its messages back".to_owned());
        }
        for filter in [line.local(), line.remote()].into_iter().flatten() {
            TopicFilter::new(&filter).map_err(|error| format!("{filter:?}: {error}"))?;
        }
        Ok(line)
    }
}

/// Makes sure that there is a line, and that none brings what another one brings too.
pub fn check(lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Err("there is no --topic".into());
    }
    for filters in [filters(lines, Line::local), filters(lines, Line::remote)] {
        for (index, one) in filters.iter().enumerate() {
            for other in filters.iter().skip(index + 1) {
                let (first, second) = (TopicFilter::new(one)?, TopicFilter::new(other)?);
                if first.covers(second) || second.covers(first) {
                    return Err(format!("{one} and {other} would bring messages twice").into());
                }
            }
        }
    }
    Ok(())
}

/// All that one of the brokers is asked for.
pub fn filters(lines: &[Line], of: impl Fn(&Line) -> Option<String>) -> Vec<String> {
    lines.iter().filter_map(of).collect()
}
