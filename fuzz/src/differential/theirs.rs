//! What `mqtt-protocol-core` read: another codec of both versions and both sides.

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData, RawPacket};
use mqtt_protocol_core::mqtt::packet::{Properties, SubEntry, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::PropertyValueAccess;
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::fields::Fields;

/// The fields of a whole packet, if it takes one. It is not told who sent it.
pub(super) fn read(v5: bool, bytes: &[u8]) -> Option<Fields> {
    let mut builder = PacketBuilder::new();
    // It makes room for all that the length promises.
    builder.set_maximum_packet_size(u32::try_from(bytes.len()).ok()?);
    let mut cursor = Cursor::new(bytes);
    let PacketBuildResult::Complete(raw) = builder.feed(&mut cursor) else { return None };
    if cursor.position() < bytes.len() as u64 {
        return None;
    }
    let mut to = Fields::default();
    to.number("packet type", raw.packet_type());
    let read = if v5 { read_v5(&raw, &mut to) } else { read_v3(&raw, &mut to) };
    read.ok().map(|()| to)
}

fn read_v5(raw: &RawPacket, to: &mut Fields) -> Result<(), MqttError> {
    match raw.packet_type() {
        1 => {
            let it = raw.parse_exact(v5_0::Connect::parse)?;
            to.number("clean start", it.clean_start());
            to.number("keep alive", it.keep_alive());
            properties(it.props(), "property", to);
            to.text("client identifier", it.client_id());
            if let (Some(topic), Some(payload)) = (it.will_topic(), it.will_payload()) {
                to.number("will qos", it.will_qos() as u8);
                to.number("will retain", it.will_retain());
                properties(it.will_props(), "will property", to);
                to.text("will topic", topic);
                to.binary("will payload", payload);
            }
            it.user_name().iter().for_each(|name| to.text("user name", name));
            it.password().iter().for_each(|password| to.binary("password", password));
        }
        2 => {
            let it = raw.parse_exact(v5_0::Connack::parse)?;
            to.number("session present", it.session_present());
            to.number("reason code", it.reason_code() as u8);
            properties(it.props(), "property", to);
        }
        3 => {
            let PacketData::Publish(body) = &raw.data else { return Err(MqttError::MalformedPacket) };
            let (it, _) = v5_0::Publish::parse(raw.flags(), body.clone())?;
            to.number("dup", it.dup());
            to.number("qos", it.qos() as u8);
            to.number("retain", it.retain());
            to.text("topic", it.topic_name());
            it.packet_id().iter().for_each(|id| to.number("packet identifier", *id));
            properties(it.props(), "property", to);
            to.binary("payload", it.payload().as_slice());
        }
        4 => {
            let it = raw.parse_exact(v5_0::Puback::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), it.props(), to);
        }
        5 => {
            let it = raw.parse_exact(v5_0::Pubrec::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), it.props(), to);
        }
        6 => {
            let it = raw.parse_exact(v5_0::Pubrel::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), it.props(), to);
        }
        7 => {
            let it = raw.parse_exact(v5_0::Pubcomp::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), it.props(), to);
        }
        8 => {
            let it = raw.parse_exact(v5_0::Subscribe::parse)?;
            to.number("packet identifier", it.packet_id());
            properties(it.props(), "property", to);
            it.entries().iter().for_each(|subscription| entry(subscription, to));
        }
        9 => {
            let it = raw.parse_exact(v5_0::Suback::parse)?;
            to.number("packet identifier", it.packet_id());
            properties(it.props(), "property", to);
            it.reason_codes().iter().for_each(|code| to.number("reason code", *code as u8));
        }
        10 => {
            let it = raw.parse_exact(v5_0::Unsubscribe::parse)?;
            to.number("packet identifier", it.packet_id());
            properties(it.props(), "property", to);
            it.entries().iter().for_each(|filter| to.text("topic filter", filter.as_str()));
        }
        11 => {
            let it = raw.parse_exact(v5_0::Unsuback::parse)?;
            to.number("packet identifier", it.packet_id());
            properties(it.props(), "property", to);
            it.reason_codes().iter().for_each(|code| to.number("reason code", *code as u8));
        }
        12 => drop(raw.parse_exact(v5_0::Pingreq::parse)?),
        13 => drop(raw.parse_exact(v5_0::Pingresp::parse)?),
        14 => {
            let it = raw.parse_exact(v5_0::Disconnect::parse)?;
            to.number("reason code", it.reason_code().map_or(0, |code| code as u8));
            it.props().iter().for_each(|block| properties(block, "property", to));
        }
        15 => {
            let it = raw.parse_exact(v5_0::Auth::parse)?;
            to.number("reason code", it.reason_code().map_or(0, |code| code as u8));
            it.props().iter().for_each(|block| properties(block, "property", to));
        }
        _ => return Err(MqttError::MalformedPacket),
    }
    Ok(())
}

fn read_v3(raw: &RawPacket, to: &mut Fields) -> Result<(), MqttError> {
    match raw.packet_type() {
        1 => {
            let it = raw.parse_exact(v3_1_1::Connect::parse)?;
            to.number("clean start", it.clean_session());
            to.number("keep alive", it.keep_alive());
            to.text("client identifier", it.client_id());
            if let (Some(topic), Some(payload)) = (it.will_topic(), it.will_payload()) {
                to.number("will qos", it.will_qos() as u8);
                to.number("will retain", it.will_retain());
                to.text("will topic", topic);
                to.binary("will payload", payload);
            }
            it.user_name().iter().for_each(|name| to.text("user name", name));
            it.password().iter().for_each(|password| to.binary("password", password));
        }
        2 => {
            let it = raw.parse_exact(v3_1_1::Connack::parse)?;
            to.number("session present", it.session_present());
            to.number("return code", it.return_code() as u8);
        }
        3 => {
            let PacketData::Publish(body) = &raw.data else { return Err(MqttError::MalformedPacket) };
            let (it, _) = v3_1_1::Publish::parse(raw.flags(), body.clone())?;
            to.number("dup", it.dup());
            to.number("qos", it.qos() as u8);
            to.number("retain", it.retain());
            to.text("topic", it.topic_name());
            it.packet_id().iter().for_each(|id| to.number("packet identifier", *id));
            to.binary("payload", it.payload().as_slice());
        }
        4 => {
            let it = raw.parse_exact(v3_1_1::Puback::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), &None, to);
        }
        5 => {
            let it = raw.parse_exact(v3_1_1::Pubrec::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), &None, to);
        }
        6 => {
            let it = raw.parse_exact(v3_1_1::Pubrel::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), &None, to);
        }
        7 => {
            let it = raw.parse_exact(v3_1_1::Pubcomp::parse)?;
            ack(it.packet_id(), it.reason_code().map(|code| code as u8), &None, to);
        }
        8 => {
            let it = raw.parse_exact(v3_1_1::Subscribe::parse)?;
            to.number("packet identifier", it.packet_id());
            it.entries().iter().for_each(|subscription| entry(subscription, to));
        }
        9 => {
            let it = raw.parse_exact(v3_1_1::Suback::parse)?;
            to.number("packet identifier", it.packet_id());
            it.return_codes().iter().for_each(|code| to.number("reason code", *code as u8));
        }
        10 => {
            let it = raw.parse_exact(v3_1_1::Unsubscribe::parse)?;
            to.number("packet identifier", it.packet_id());
            it.entries().iter().for_each(|filter| to.text("topic filter", filter.as_str()));
        }
        11 => to.number("packet identifier", raw.parse_exact(v3_1_1::Unsuback::parse)?.packet_id()),
        12 => drop(raw.parse_exact(v3_1_1::Pingreq::parse)?),
        13 => drop(raw.parse_exact(v3_1_1::Pingresp::parse)?),
        14 => {
            raw.parse_exact(v3_1_1::Disconnect::parse)?;
            to.number("reason code", 0_u8);
        }
        _ => return Err(MqttError::MalformedPacket),
    }
    Ok(())
}

fn ack(packet_identifier: u16, reason_code: Option<u8>, block: &Option<Properties>, to: &mut Fields) {
    to.number("packet identifier", packet_identifier);
    to.number("reason code", reason_code.unwrap_or(0));
    block.iter().for_each(|block| properties(block, "property", to));
}

fn entry(it: &SubEntry, to: &mut Fields) {
    let options = it.sub_opts();
    to.text("topic filter", it.topic_filter());
    to.number("maximum qos", options.qos() as u8);
    to.number("no local", options.nl());
    to.number("retain as published", options.rap());
    to.number("retain handling", options.rh() as u8);
}

fn properties(block: &Properties, name: &'static str, to: &mut Fields) {
    for property in block {
        to.property(name, property.id() as u8);
        property.as_u8().iter().for_each(|value| to.number("value", *value));
        property.as_u16().iter().for_each(|value| to.number("value", *value));
        property.as_u32().iter().for_each(|value| to.number("value", *value));
        property.as_str().iter().for_each(|text| to.text("value", text));
        property.as_bytes().iter().for_each(|bytes| to.binary("value", bytes));
        property.as_key_value().iter().for_each(|(key, value)| {
            to.text("key", key);
            to.text("value", value);
        });
    }
}
