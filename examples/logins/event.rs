//! What an event says.

use mqtt_examples::printable;
use serde_json::Value;

/// So many characters of a value are told.
const TOLD: usize = 200;

/// A field of an event: its name, or names with dots between.
pub fn field<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(event, |value, name| value.get(name))
}

/// A field as text for people: short, and without what a terminal would obey.
pub fn text(event: &Value, path: &str) -> String {
    let text = match field(event, path) {
        None => "?".to_owned(),
        Some(Value::String(text)) => text.chars().take(TOLD).collect(),
        Some(other) => other.to_string().chars().take(TOLD).collect(),
    };
    printable(&text)
}

/// Puts values in the place of `{name}`; what is between other braces, or in none, stays.
pub fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else { break };
        filled += before;
        filled += &value(name);
        rest = after;
    }
    filled + rest
}
