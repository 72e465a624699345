//! Topic Filters against a plain model of §4.7: the fuzzer calls this, and so does a test.

use mqtt_core::{TopicFilter, TopicName};

/// Takes a topic and two filters, which zeros divide.
pub(crate) fn topics(bytes: &[u8]) {
    // Few characters, so that levels are equal now and then; all others stand for themselves.
    let text: String = String::from_utf8_lossy(bytes).into_owned();
    let mut parts = text.split('\0');
    let Some(name) = parts.next() else { return };
    let Ok(topic) = TopicName::new(name) else {
        assert!(!is_topic(name), "{name:?} is a topic");
        return;
    };
    assert!(is_topic(name), "{name:?} is no topic");
    let mut filters = Vec::new();
    for text in parts.take(2) {
        let filter = TopicFilter::new(text);
        assert_eq!(filter.is_ok(), is_filter(text), "{text:?}");
        let Ok(filter) = filter else { continue };
        let levels = without_share(text);
        assert_eq!(filter.matches(topic), matches(levels, name), "{text:?} and {name:?}");
        filters.push((filter, text));
    }
    let [(general, _), (special, _)] = filters[..] else { return };
    if general.covers(special) {
        assert!(!special.matches(topic) || general.matches(topic), "{general} covers {special}, but not {name:?}");
    }
    assert!(general.covers(general), "{general} covers itself");
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= 65_535 && !text.contains('\0')
}

pub(crate) fn is_topic(text: &str) -> bool {
    is_text(text) && !text.contains(['+', '#'])
}

pub(crate) fn is_filter(text: &str) -> bool {
    if !is_text(text) {
        return false;
    }
    let levels = without_share(text);
    if text.starts_with("$share/") {
        let share = text.split('/').nth(1).unwrap_or_default();
        if share.is_empty() || share.contains(['+', '#']) || levels.is_empty() || text.split('/').count() < 3 {
            return false;
        }
    }
    let levels: Vec<&str> = levels.split('/').collect();
    levels.iter().enumerate().all(|(index, level)| {
        let whole = matches!(*level, "+" | "#");
        let last = index + 1 == levels.len();
        (whole || !level.contains(['+', '#'])) && (*level != "#" || last)
    })
}

fn without_share(text: &str) -> &str {
    text.strip_prefix("$share/").map_or(text, |rest| rest.split_once('/').map_or("", |(_, filter)| filter))
}

fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => levels_match(filter, topic),
        ([level, filter @ ..], [named, topic @ ..]) => level == named && levels_match(filter, topic),
        _ => false,
    }
}
