//! A message as JSON.

use mqtt_std::{Message, QoS};

use super::{Complaint, Printing, message_identifier, time::timestamp};
use crate::tool::json::Json;
use crate::tool::properties_json::properties_json;

/// As `%j` has it, or `%J`, whose payload is JSON itself.
pub(crate) fn message_json(
    message: &Message,
    printing: &Printing<'_>,
    payload_is_json: bool,
) -> Result<Json, Complaint> {
    let payload = if payload_is_json {
        Json::parse(message.payload()).ok_or(Complaint::Json)?
    } else if message.payload().is_empty() {
        Json::Null
    } else {
        Json::text(message.payload())
    };
    let mut members: Vec<(Vec<u8>, Json)> = Vec::new();
    let mut add = |name: &str, value| members.push((name.into(), value));
    add("tst", Json::text(timestamp(printing.time)));
    add("topic", Json::text(message.topic()));
    add("qos", Json::Number(f64::from(message.qos() as u8)));
    add("retain", Json::Bool(message.retain()));
    add("payloadlen", Json::Number(message.payload_len() as f64));
    if message.qos() != QoS::AtMostOnce {
        add("mid", Json::Number(message_identifier(message).into()));
    }
    let properties = properties_json(message, printing);
    if !properties.is_empty() {
        add("properties", Json::Object(properties));
    }
    add("payload", payload);
    Ok(Json::Object(members))
}
