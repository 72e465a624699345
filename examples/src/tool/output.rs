//! What is printed.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Zoned;
use mqtt_std::{Message, Property};

use super::format::{Complaint, Printing, message_json};
use super::json::Json;
use super::options::{Settings, Style};

/// Standard output, and what was on it.
pub(super) struct Output {
    style: Style,
    pretty: bool,
    line_end: bool,
    identifiers: bool,
    quiet: bool,
    /// Somebody looks at it: what a message says is not to be obeyed by the terminal.
    terminal: bool,
    /// `--random-filter`: the rest of a hundred messages is not printed.
    chance: f64,
    random: u64,
    /// `-w`: the line of each topic.
    lines: Option<HashMap<String, usize>>,
    /// `--message-rate`: so many since it was printed last.
    rate: u64,
}

impl Output {
    /// Clears the terminal where it is to be watched.
    pub(super) fn begin(settings: &Settings) -> io::Result<Self> {
        if settings.watch {
            write_out(format!("\x1b[2J\x1b[1;1HBroker: {}\n", settings.host).as_bytes())?;
        }
        // Nobody is to be surprised: a seed that differs is enough.
        let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).as_ref().map_or(1, Duration::as_nanos);
        Ok(Self {
            style: settings.style.clone(),
            pretty: settings.pretty,
            line_end: !settings.no_line_end,
            identifiers: settings.properties.subscription_identifier.is_some(),
            quiet: settings.quiet,
            terminal: io::stdout().is_terminal(),
            chance: settings.random_filter,
            random: seed as u64 | 1,
            lines: settings.watch.then(HashMap::new),
            rate: 0,
        })
    }

    /// Whether rates are printed, and not messages.
    pub(super) fn is_rate(&self) -> bool {
        self.style == Style::Rate
    }

    /// A second is over.
    pub(super) fn print_rate(&mut self) -> io::Result<()> {
        let count = std::mem::take(&mut self.rate);
        write_out(format!("{count} msgs/s\n").as_bytes())
    }

    pub(super) fn print(&mut self, message: &Message) -> io::Result<()> {
        self.rate += 1;
        if self.is_rate() || !self.is_chosen() {
            return Ok(());
        }
        let time = Zoned::now();
        let printing =
            Printing { time: &time, pretty: self.pretty, identifiers: self.identifiers, terminal: self.terminal };
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        if let Some(lines) = &mut self.lines {
            let line = line_of(lines, message.topic());
            out.extend(format!("\x1b[{line};1H").bytes());
        }
        match &self.style {
            // Not even an end of line, as with its namesake.
            Style::Payload if message.payload().is_empty() => return Ok(()),
            Style::Payload | Style::Rate => out.extend(printing.shown(message.payload().into())),
            Style::TopicAndPayload => {
                out.extend(printing.shown(message.topic().as_bytes().into()));
                // What its namesake prints where there is nothing.
                let payload = if message.payload().is_empty() { b"(null)" } else { message.payload() };
                out.push(b' ');
                out.extend(printing.shown(payload.into()));
            }
            Style::Format(format) => complaints = format.write(message, &printing, &mut out),
            Style::Ndjson => {
                let mut json = Vec::new();
                ndjson(message, &printing).write(&mut json);
                out.extend(printing.shown(json));
            }
        }
        if self.line_end {
            out.push(b'\n');
        }
        if let Some(lines) = &self.lines {
            // Behind all of them.
            out.extend(format!("\x1b[{};1H\n", lines.len() + FIRST_LINE - 1).bytes());
        }
        if !self.quiet {
            for complaint in complaints {
                complain(complaint, message);
            }
        }
        write_out(&out)
    }

    fn is_chosen(&mut self) -> bool {
        if self.chance >= 100.0 {
            return true;
        }
        // Xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64 * 100.0 < self.chance
    }
}

/// The line of a topic. What comes beyond those that have one of their own has the last of them.
fn line_of(lines: &mut HashMap<String, usize>, topic: &str) -> usize {
    let next = lines.len() + FIRST_LINE;
    match lines.get(topic) {
        Some(line) => *line,
        None if lines.len() >= WATCHED => next - 1,
        None => *lines.entry(topic.to_owned()).or_insert(next),
    }
}

/// So many topics have a line of their own.
const WATCHED: usize = 1_000;

/// On the line before is the broker.
const FIRST_LINE: usize = 2;

fn complain(complaint: Complaint, message: &Message) {
    match complaint {
        Complaint::Json => {
            let topic = crate::printable(message.topic());
            eprintln!("Error: Message payload is not valid JSON on topic {topic}.");
        }
        Complaint::Float => eprint!("requested float printing, but non-float data received"),
        Complaint::Double => eprint!("requested double printing, but non-double data received"),
    }
}

/// At once: whoever reads it waits for it.
fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// `--json`: as `%j`, with all there is, and valid whatever the bytes are. What is not UTF-8 is in base64, and its name says so.
fn ndjson(message: &Message, printing: &Printing<'_>) -> Json {
    let Ok(Json::Object(mut members)) = message_json(message, printing, false) else { return Json::Null };
    members.retain(|(name, _)| name != b"payload");
    members.push((b"dup".to_vec(), Json::Bool(message.dup())));
    if let Some((_, Json::Object(properties))) = members.iter_mut().find(|(name, _)| name == b"properties") {
        let binary = message.properties().iter().find_map(|property| match property {
            Property::CorrelationData(bytes) => Some(bytes),
            _ => None,
        });
        if let (Some(bytes), Some(place)) =
            (binary, properties.iter_mut().find(|(name, _)| name == b"correlation-data"))
        {
            *place = bytes_json("correlation-data", bytes);
        }
    }
    members.push(bytes_json("payload", message.payload()));
    Json::Object(members)
}

fn bytes_json(name: &str, bytes: &[u8]) -> (Vec<u8>, Json) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (name.into(), Json::Text(text.into())),
        Err(_) => (format!("{name}-base64").into(), Json::Text(STANDARD.encode(bytes).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_topics_are_watched_and_no_more_are_remembered() {
        let mut lines = HashMap::new();
        for number in 0..3 * WATCHED {
            let line = line_of(&mut lines, &number.to_string());
            assert_eq!(line, FIRST_LINE + number.min(WATCHED - 1));
        }
        assert_eq!((lines.len(), line_of(&mut lines, "7")), (WATCHED, FIRST_LINE + 7));
    }
}
