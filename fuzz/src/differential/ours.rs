//! What our codec read.

use mqtt_core::{Connect, Packet, Properties, Property as P, Publish, Subscription};

use super::fields::Fields;

pub(super) fn fields(v5: bool, packet: &Packet<'_>) -> Fields {
    let mut to = Fields::default();
    to.number("packet type", packet.packet_type() as u8);
    match packet {
        Packet::Connect(it) => connect(it, &mut to),
        Packet::Connack(it) => {
            to.number("session present", it.session_present);
            match it.reason_code.connack_return_code() {
                Some(code) if !v5 => to.number("return code", code),
                _ => to.number("reason code", it.reason_code.as_u8()),
            }
            properties(it.properties, "property", &mut to);
        }
        Packet::Publish(it) => publish(it, &mut to),
        Packet::Ack(it) => {
            to.number("packet identifier", it.packet_identifier.number());
            to.number("reason code", it.reason_code.as_u8());
            properties(it.properties, "property", &mut to);
        }
        Packet::Subscribe(it) => {
            to.number("packet identifier", it.packet_identifier.number());
            properties(it.properties, "property", &mut to);
            it.filters.iter().for_each(|subscription| entry(&subscription, &mut to));
        }
        Packet::Suback(it) => {
            to.number("packet identifier", it.packet_identifier.number());
            properties(it.properties, "property", &mut to);
            it.reason_codes.iter().for_each(|code| to.number("reason code", code.as_u8()));
        }
        Packet::Unsubscribe(it) => {
            to.number("packet identifier", it.packet_identifier.number());
            properties(it.properties, "property", &mut to);
            it.filters.iter().for_each(|filter| to.text("topic filter", filter.as_str()));
        }
        Packet::Unsuback(it) => {
            to.number("packet identifier", it.packet_identifier.number());
            properties(it.properties, "property", &mut to);
            it.reason_codes.iter().for_each(|code| to.number("reason code", code.as_u8()));
        }
        Packet::Pingreq | Packet::Pingresp => {}
        Packet::Disconnect(it) => {
            to.number("reason code", it.reason_code.as_u8());
            properties(it.properties, "property", &mut to);
        }
        Packet::Auth(it) => {
            to.number("reason code", it.reason_code.as_u8());
            properties(it.properties, "property", &mut to);
        }
    }
    to
}

fn connect(it: &Connect<'_>, to: &mut Fields) {
    to.number("clean start", it.clean_start);
    to.number("keep alive", it.keep_alive);
    properties(it.properties, "property", to);
    to.text("client identifier", it.client_identifier);
    if let Some(will) = &it.will {
        to.number("will qos", will.qos as u8);
        to.number("will retain", will.retain);
        properties(will.properties, "will property", to);
        to.text("will topic", will.topic.as_str());
        to.binary("will payload", will.payload);
    }
    it.user_name.iter().for_each(|name| to.text("user name", name));
    it.password.iter().for_each(|password| to.binary("password", password));
}

fn publish(it: &Publish<'_>, to: &mut Fields) {
    to.number("dup", it.delivery.dup());
    to.number("qos", it.delivery.qos() as u8);
    to.number("retain", it.retain);
    to.text("topic", it.topic.map_or("", |topic| topic.as_str()));
    it.delivery.packet_identifier().iter().for_each(|id| to.number("packet identifier", id.number()));
    properties(it.properties, "property", to);
    to.binary("payload", it.payload);
}

fn entry(it: &Subscription<'_>, to: &mut Fields) {
    to.text("topic filter", it.filter.as_str());
    to.number("maximum qos", it.options.qos as u8);
    to.number("no local", it.options.no_local);
    to.number("retain as published", it.options.retain_as_published);
    to.number("retain handling", it.options.retain_handling as u8);
}

fn properties(properties: Properties<'_>, name: &'static str, to: &mut Fields) {
    for property in properties {
        to.property(name, property.identifier() as u8);
        match property {
            P::PayloadFormatIndicator(value)
            | P::RequestProblemInformation(value)
            | P::RequestResponseInformation(value)
            | P::MaximumQoS(value)
            | P::RetainAvailable(value)
            | P::WildcardSubscriptionAvailable(value)
            | P::SubscriptionIdentifierAvailable(value)
            | P::SharedSubscriptionAvailable(value) => to.number("value", value),
            P::ServerKeepAlive(value)
            | P::ReceiveMaximum(value)
            | P::TopicAliasMaximum(value)
            | P::TopicAlias(value) => to.number("value", value),
            P::MessageExpiryInterval(value)
            | P::SubscriptionIdentifier(value)
            | P::SessionExpiryInterval(value)
            | P::WillDelayInterval(value)
            | P::MaximumPacketSize(value) => to.number("value", value),
            P::ContentType(text)
            | P::ResponseTopic(text)
            | P::AssignedClientIdentifier(text)
            | P::AuthenticationMethod(text)
            | P::ResponseInformation(text)
            | P::ServerReference(text)
            | P::ReasonString(text) => to.text("value", text),
            P::CorrelationData(bytes) | P::AuthenticationData(bytes) => to.binary("value", bytes),
            P::UserProperty(key, value) => {
                to.text("key", key);
                to.text("value", value);
            }
        }
    }
}
