//! Values as the command line has them: bytes.

use std::path::PathBuf;

use mqtt_std::{QoS, TopicFilter, TopicName};

use super::Stop;

/// The words that follow.
pub(super) struct Words<'a> {
    words: std::slice::Iter<'a, Vec<u8>>,
    /// The option that came last.
    pub(super) option: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [Vec<u8>]) -> Self {
        Self { words: words.iter(), option: "" }
    }

    /// The next option; what is not UTF-8 is none.
    pub(super) fn next_option(&mut self) -> Option<Result<&'a str, Stop>> {
        let word = self.words.next()?;
        let option = std::str::from_utf8(word)
            .map_err(|_| Stop::error(format!("Unknown option '{}'.", String::from_utf8_lossy(word))));
        self.option = option.as_ref().copied().unwrap_or_default();
        Some(option)
    }

    /// The value of the option that came last; `what` it is.
    pub(super) fn value(&mut self, what: &str) -> Result<&'a [u8], Stop> {
        let missing = || Stop::error(format!("{} argument given but no {what} specified.", self.option));
        self.words.next().map(Vec::as_slice).ok_or_else(missing)
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, Stop> {
        let value = self.value(what)?;
        self.utf_8(value)
    }

    pub(super) fn path(&mut self) -> Result<PathBuf, Stop> {
        self.value("file").map(path)
    }

    fn utf_8(&self, value: &[u8]) -> Result<String, Stop> {
        let text = std::str::from_utf8(value).map(str::to_owned);
        text.map_err(|_| Stop::error(format!("Malformed UTF-8 in {} argument.", self.option)))
    }

    /// A whole number within these bounds, or what is wrong: `complaint`.
    pub(super) fn number(
        &mut self,
        what: &str,
        bounds: std::ops::RangeInclusive<i64>,
        complaint: &str,
    ) -> Result<i64, Stop> {
        let text = self.text(what)?;
        let number = text.trim().parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| Stop::error(format!("{complaint} {text}")))
    }

    pub(super) fn decimal(&mut self, what: &str, good: impl Fn(f64) -> bool, complaint: &str) -> Result<f64, Stop> {
        let number = self.text(what)?.trim().parse().ok().filter(|number: &f64| good(*number));
        number.ok_or_else(|| Stop::error(complaint))
    }

    pub(super) fn qos(&mut self, complaint: &str) -> Result<QoS, Stop> {
        Ok(match self.number("QoS", 0..=2, complaint)? {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        })
    }

    pub(super) fn topic_name(&mut self, kind: &str) -> Result<String, Stop> {
        let topic = self.text("topic")?;
        check_name(kind, &topic)?;
        Ok(topic)
    }

    pub(super) fn topic_filter(&mut self, kind: &str) -> Result<String, Stop> {
        let filter = self.text("topic")?;
        check_filter(kind, &filter)?;
        Ok(filter)
    }
}

pub(super) fn check_name(kind: &str, topic: &str) -> Result<(), Stop> {
    let error = |_| Stop::error(format!("Invalid {kind} topic '{topic}', does it contain '+' or '#'?"));
    TopicName::new(topic).map(drop).map_err(error)
}

pub(super) fn check_filter(kind: &str, filter: &str) -> Result<(), Stop> {
    let error = |_| Stop::error(format!("Invalid {kind} topic '{filter}', are all '+' and '#' wildcards correct?"));
    TopicFilter::new(filter).map(drop).map_err(error)
}

#[cfg(unix)]
pub(super) fn path(bytes: impl AsRef<[u8]>) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::OsStr::from_bytes(bytes.as_ref()).into()
}

#[cfg(not(unix))]
pub(super) fn path(bytes: impl AsRef<[u8]>) -> PathBuf {
    String::from_utf8_lossy(bytes.as_ref()).into_owned().into()
}
