//! Properties of a message by their names, as text and as JSON.

use mqtt_std::{Message, Property};

use super::format::Printing;
use super::json::Json;

/// The name of a property of PUBLISH, and its value.
fn named<'a>(property: &Property<'a>) -> Option<(&'static str, Json)> {
    Some(match property {
        Property::PayloadFormatIndicator(value) => ("payload-format-indicator", Json::Number((*value).into())),
        Property::MessageExpiryInterval(value) => ("message-expiry-interval", Json::Number((*value).into())),
        Property::ContentType(value) => ("content-type", Json::text(value)),
        Property::ResponseTopic(value) => ("response-topic", Json::text(value)),
        Property::CorrelationData(value) => ("correlation-data", Json::text(value)),
        Property::SubscriptionIdentifier(value) => ("subscription-identifier", Json::Number((*value).into())),
        Property::TopicAlias(value) => ("topic-alias", Json::Number((*value).into())),
        _ => return None,
    })
}

/// The value as text, if the property has this name.
pub(super) fn value(property: &Property<'_>, name: &str) -> Option<Vec<u8>> {
    if let (Property::CorrelationData(value), "correlation-data") = (property, name) {
        return Some(value.to_vec());
    }
    match named(property)? {
        (found, Json::Text(text)) if found == name => Some(text),
        (found, Json::Number(number)) if found == name => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// All of them in their order, User Properties together where the first of them is.
pub(super) fn properties_json(message: &Message, printing: &Printing<'_>) -> Vec<(Vec<u8>, Json)> {
    let mut members: Vec<(Vec<u8>, Json)> = Vec::new();
    for property in message.properties().iter().filter(|property| printing.shows(property)) {
        if let Property::UserProperty(name, value) = property {
            let pair = Json::Object(vec![(name.into(), Json::text(value))]);
            match members.iter_mut().find(|(name, _)| name == USER_PROPERTIES) {
                Some((_, Json::List(list))) => list.push(pair),
                _ => members.push((USER_PROPERTIES.to_vec(), Json::List(vec![pair]))),
            }
        } else if let Some((name, value)) = named(&property) {
            members.push((name.into(), value));
        }
    }
    members
}

const USER_PROPERTIES: &[u8] = b"user-properties";
