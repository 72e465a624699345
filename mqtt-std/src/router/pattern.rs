//! Filters whose levels have names.

use core::fmt;
use std::sync::Arc;

use mqtt_core::{InvalidTopicFilter, TopicFilter};

use crate::message::Message;

/// A Topic Filter, and where in it the captures are.
#[derive(Debug)]
pub(crate) struct Pattern {
    filter: Box<str>,
    wildcards: Vec<Wildcard>,
}

#[derive(Debug)]
struct Wildcard {
    name: Option<Box<str>>,
    /// From 0, without share name.
    level: usize,
    /// It takes this level and all behind it.
    tail: bool,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let levels_at = share_len(text);
        let (share, levels) = text.split_at_checked(levels_at).unwrap_or((text, ""));
        let mut filter = share.to_owned();
        let mut wildcards: Vec<Wildcard> = Vec::new();
        let mut position = levels_at;
        for (level, text) in levels.split('/').enumerate() {
            let fault = |reason| InvalidPattern { position, reason };
            if level > 0 {
                filter.push('/');
            }
            if let Some(last) = wildcards.last().filter(|last| last.tail) {
                let wildcard = InvalidPatternReason::TopicFilter(InvalidTopicFilter::Wildcard);
                let reason = if last.name.is_some() { InvalidPatternReason::TailNotLast } else { wildcard };
                return Err(fault(reason));
            }
            let found = read_level(text, &mut filter).map_err(fault)?;
            if let Some((name, tail)) = found {
                let taken = wildcards.iter().any(|other| name.is_some() && other.name.as_deref() == name);
                if taken {
                    return Err(fault(InvalidPatternReason::NameTwice));
                }
                wildcards.push(Wildcard { name: name.map(Box::from), level, tail });
            }
            position += text.len() + 1;
        }
        match TopicFilter::new(&filter) {
            Ok(_) => Ok(Self { filter: filter.into(), wildcards }),
            Err(error) => Err(InvalidPattern { position: 0, reason: InvalidPatternReason::TopicFilter(error) }),
        }
    }

    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// Tells whether it has a wildcard for all that follows.
    pub(crate) fn has_tail(&self) -> bool {
        self.wildcards.last().is_some_and(|wildcard| wildcard.tail)
    }
}

/// The length of `$share/`, share name and slash, where there are any.
fn share_len(text: &str) -> usize {
    let share = text.strip_prefix("$share/").and_then(|rest| rest.find('/'));
    share.map_or(0, |slash| "$share/".len() + slash + 1)
}

/// Reads a level, writes what a filter has in its place, and returns name and kind of its wildcard.
fn read_level<'a>(
    level: &'a str,
    filter: &mut String,
) -> Result<Option<(Option<&'a str>, bool)>, InvalidPatternReason> {
    if level == "+" || level == "#" {
        filter.push_str(level);
        return Ok(Some((None, level == "#")));
    }
    if level.starts_with('{') && !level.starts_with("{{") {
        let inner = level.strip_prefix('{').unwrap_or_default();
        let Some((inner, behind)) = inner.split_once('}') else { return Err(InvalidPatternReason::Unclosed) };
        if !behind.is_empty() {
            return Err(InvalidPatternReason::NotAWholeLevel);
        }
        let (name, tail) = inner.strip_suffix("..").map_or((inner, false), |name| (name, true));
        if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-')) {
            return Err(InvalidPatternReason::Name);
        }
        filter.push(if tail { '#' } else { '+' });
        return Ok(Some((Some(name), tail)));
    }
    let mut letters = level.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '{' if letters.next() != Some('{') => return Err(InvalidPatternReason::NotAWholeLevel),
            '}' if letters.next() != Some('}') => return Err(InvalidPatternReason::LoneBrace),
            '+' | '#' => return Err(InvalidPatternReason::TopicFilter(InvalidTopicFilter::Wildcard)),
            _ => filter.push(letter),
        }
    }
    Ok(None)
}

/// What the wildcards of a pattern stand for in a topic. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Captures {
    message: Message,
    pattern: Option<Arc<Pattern>>,
}

impl Captures {
    pub(crate) const fn new(message: Message, pattern: Option<Arc<Pattern>>) -> Self {
        Self { message, pattern }
    }

    /// What `{name}` or `{name..}` stands for. `None`: the pattern has no such name, or it is a tail and the topic ends before
    /// it, as `a` does for `a/{rest..}`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let wildcard = self.wildcards().iter().find(|wildcard| wildcard.name.as_deref() == Some(name))?;
        self.value(wildcard)
    }

    /// What the wildcard with this number stands for, from 0, those without a name among them.
    #[must_use]
    pub fn nth(&self, number: usize) -> Option<&str> {
        self.value(self.wildcards().get(number)?)
    }

    /// All wildcards in their order: the name, where there is one, and what it stands for.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
        self.wildcards().iter().map(|wildcard| (wildcard.name.as_deref(), self.value(wildcard)))
    }

    fn wildcards(&self) -> &[Wildcard] {
        self.pattern.as_ref().map_or(&[], |pattern| &pattern.wildcards)
    }

    fn value(&self, wildcard: &Wildcard) -> Option<&str> {
        value(wildcard, self.message.topic())
    }
}

fn value<'a>(wildcard: &Wildcard, topic: &'a str) -> Option<&'a str> {
    let mut rest = topic;
    for _ in 0..wildcard.level {
        rest = rest.split_once('/')?.1;
    }
    Some(if wildcard.tail { rest } else { rest.split_once('/').map_or(rest, |(level, _)| level) })
}

/// Why a pattern cannot be used, and where in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidPattern {
    /// In bytes from the beginning: that of the level at fault; 0 where it is the whole.
    pub position: usize,
    /// What is at fault.
    pub reason: InvalidPatternReason,
}

/// See [`InvalidPattern`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidPatternReason {
    /// It is no Topic Filter.
    TopicFilter(InvalidTopicFilter),
    /// `{name}` shares a level with other characters.
    NotAWholeLevel,
    /// There is a `{` and no `}`.
    Unclosed,
    /// There is a `}` alone; a literal one is written `}}`.
    LoneBrace,
    /// A name has letters, digits, `_` and `-`, at least one.
    Name,
    /// The name stands before another wildcard too.
    NameTwice,
    /// `{name..}` is not the last level.
    TailNotLast,
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern at byte {}: ", self.position)?;
        f.write_str(match self.reason {
            InvalidPatternReason::TopicFilter(error) => return error.fmt(f),
            InvalidPatternReason::NotAWholeLevel => "a name in braces fills a level alone",
            InvalidPatternReason::Unclosed => "a brace is not closed",
            InvalidPatternReason::LoneBrace => "a brace is closed that is not open; a literal one is doubled",
            InvalidPatternReason::Name => "a name has letters, digits, _ and -",
            InvalidPatternReason::NameTwice => "the name is taken",
            InvalidPatternReason::TailNotLast => "a name with .. is the last level",
        })
    }
}

impl core::error::Error for InvalidPattern {}

#[cfg(test)]
mod tests {
    use InvalidPatternReason as Reason;

    use mqtt_core::TopicName;

    use super::*;

    #[test]
    fn captures_are_the_levels_in_their_places() {
        for (pattern, topic, expected) in [
            ("a", "a", Some(vec![])),
            ("a/{b}/c", "a/x/c", Some(vec![Some("x")])),
            ("a/{b}/c", "a//c", Some(vec![Some("")])),
            ("a/{b}/c", "a/x/y/c", None),
            ("{a}/+/{c..}", "x/y/z/w", Some(vec![Some("x"), Some("y"), Some("z/w")])),
            ("a/{rest..}", "a/", Some(vec![Some("")])),
            ("a/{rest..}", "a", Some(vec![None])),
            ("$share/g/{a}", "x", Some(vec![Some("x")])),
            ("{a}", "$SYS", None),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            let filter = TopicFilter::new(parsed.filter()).unwrap();
            let matches = filter.matches(TopicName::new(topic).unwrap());
            let values = matches.then(|| parsed.wildcards.iter().map(|wildcard| value(wildcard, topic)).collect());
            assert_eq!(values, expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn names_are_wildcards_of_the_filter() {
        for (pattern, filter) in [
            ("a", "a"),
            ("a/{b}/c", "a/+/c"),
            ("{a}", "+"),
            ("a/{b..}", "a/#"),
            ("{all..}", "#"),
            ("a/+/#", "a/+/#"),
            ("/{a}/", "/+/"),
            ("{{a}}/b{{}}", "{a}/b{}"),
            ("$share/{{g/a/{b}", "$share/{{g/a/+"),
            ("$SYS/{what..}", "$SYS/#"),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().filter(), filter, "{pattern}");
        }
    }

    #[test]
    fn a_fault_names_its_place() {
        let wildcard = Reason::TopicFilter(InvalidTopicFilter::Wildcard);
        for (pattern, position, reason) in [
            ("", 0, Reason::TopicFilter(InvalidTopicFilter::Empty)),
            ("$share/g", 0, Reason::TopicFilter(InvalidTopicFilter::ShareName)),
            ("$share/{g}/a+", 11, wildcard),
            ("$share/+/a", 0, Reason::TopicFilter(InvalidTopicFilter::ShareName)),
            ("a/b+/c", 2, wildcard),
            ("a/#/c", 4, wildcard),
            ("a/{b..}/c", 8, Reason::TailNotLast),
            ("a/{b}c", 2, Reason::NotAWholeLevel),
            ("a/c{b}", 2, Reason::NotAWholeLevel),
            ("a/{b}{c}", 2, Reason::NotAWholeLevel),
            ("a/{b/c}", 2, Reason::Unclosed),
            ("a/b}/c", 2, Reason::LoneBrace),
            ("a/{}", 2, Reason::Name),
            ("a/{..}", 2, Reason::Name),
            ("a/{b c}", 2, Reason::Name),
            ("é/{b}/{b}", 7, Reason::NameTwice),
            ("{b}/{b..}", 4, Reason::NameTwice),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err(), InvalidPattern { position, reason }, "{pattern}");
        }
    }
}
