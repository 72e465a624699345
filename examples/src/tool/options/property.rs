//! `-D`: properties of packets.

use super::Stop;
use super::given::Words;

/// Those of CONNECT.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tool) enum ConnectProperty {
    SessionExpiryInterval(u32),
    ReceiveMaximum(u16),
    MaximumPacketSize(u32),
    TopicAliasMaximum(u16),
    RequestResponseInformation(bool),
    RequestProblemInformation(bool),
    User(String, String),
}

/// Those of PUBLISH.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tool) enum PublishProperty {
    PayloadIsText(bool),
    MessageExpiryInterval(u32),
    ContentType(String),
    ResponseTopic(String),
    CorrelationData(Vec<u8>),
    TopicAlias(u16),
    User(String, String),
}

/// Those of the Will.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tool) enum WillProperty {
    Delay(u32),
    PayloadIsText(bool),
    MessageExpiryInterval(u32),
    ContentType(String),
    ResponseTopic(String),
    CorrelationData(Vec<u8>),
    User(String, String),
}

/// All that were given, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::tool) struct Properties {
    pub(in crate::tool) connect: Vec<ConnectProperty>,
    pub(in crate::tool) publish: Vec<PublishProperty>,
    pub(in crate::tool) will: Vec<WillProperty>,
    /// User Properties of SUBSCRIBE, UNSUBSCRIBE and DISCONNECT.
    pub(in crate::tool) subscribe: Vec<(String, String)>,
    pub(in crate::tool) unsubscribe: Vec<(String, String)>,
    pub(in crate::tool) disconnect: Vec<(String, String)>,
    /// Of DISCONNECT.
    pub(in crate::tool) session_expiry_interval_at_end: Option<u32>,
    pub(in crate::tool) authentication_method: Option<String>,
    pub(in crate::tool) authentication_data: Vec<u8>,
    pub(in crate::tool) subscription_identifier: Option<u32>,
}

impl Properties {
    pub(super) fn has_response_topic(&self) -> bool {
        self.publish.iter().any(|property| matches!(property, PublishProperty::ResponseTopic(_)))
    }

    /// Takes `command identifier value`, or `command identifier name value`.
    pub(super) fn take(&mut self, words: &mut Words<'_>) -> Result<(), Stop> {
        let short = |_| Stop::error("--property argument given but not enough arguments specified.");
        let command = words.text("command").map_err(short)?.to_ascii_lowercase();
        let name = words.text("identifier").map_err(short)?;
        let first = words.value("value").map_err(short)?;
        let mut value = Value { name: &name, bytes: first };
        if name == "user-property" {
            let pair = (value.text()?, Value { name: &name, bytes: words.value("value").map_err(short)? }.text()?);
            return self.take_user_property(&command, pair);
        }
        self.take_single(&command, &mut value)
    }

    fn take_user_property(&mut self, command: &str, (name, value): (String, String)) -> Result<(), Stop> {
        match command {
            "connect" => self.connect.push(ConnectProperty::User(name, value)),
            "publish" => self.publish.push(PublishProperty::User(name, value)),
            "will" => self.will.push(WillProperty::User(name, value)),
            "subscribe" => self.subscribe.push((name, value)),
            "unsubscribe" => self.unsubscribe.push((name, value)),
            "disconnect" => self.disconnect.push((name, value)),
            _ => return Err(not_supported(command, "user-property")),
        }
        Ok(())
    }

    fn take_single(&mut self, command: &str, value: &mut Value<'_>) -> Result<(), Stop> {
        match (command, value.name) {
            ("connect", "authentication-method") => self.authentication_method = Some(value.text()?),
            ("connect", "authentication-data") => self.authentication_data = value.bytes.to_vec(),
            ("disconnect", "session-expiry-interval") => {
                self.session_expiry_interval_at_end = Some(value.number(0, u32::MAX)?);
            }
            ("connect", name) => self.connect.push(match name {
                "session-expiry-interval" => ConnectProperty::SessionExpiryInterval(value.number(0, u32::MAX)?),
                "receive-maximum" => ConnectProperty::ReceiveMaximum(value.number_16(1)?),
                "maximum-packet-size" => ConnectProperty::MaximumPacketSize(value.number(1, u32::MAX)?),
                "topic-alias-maximum" => ConnectProperty::TopicAliasMaximum(value.number_16(0)?),
                "request-response-information" => ConnectProperty::RequestResponseInformation(value.flag()?),
                "request-problem-information" => ConnectProperty::RequestProblemInformation(value.flag()?),
                _ => return Err(not_supported(command, name)),
            }),
            ("publish", name) => self.publish.push(match name {
                "payload-format-indicator" => PublishProperty::PayloadIsText(value.flag()?),
                "message-expiry-interval" => PublishProperty::MessageExpiryInterval(value.number(0, u32::MAX)?),
                "content-type" => PublishProperty::ContentType(value.text()?),
                "response-topic" => PublishProperty::ResponseTopic(value.text()?),
                "correlation-data" => PublishProperty::CorrelationData(value.bytes.to_vec()),
                "topic-alias" => PublishProperty::TopicAlias(value.number_16(1)?),
                _ => return Err(not_supported(command, name)),
            }),
            ("will", name) => self.will.push(match name {
                "will-delay-interval" => WillProperty::Delay(value.number(0, u32::MAX)?),
                "payload-format-indicator" => WillProperty::PayloadIsText(value.flag()?),
                "message-expiry-interval" => WillProperty::MessageExpiryInterval(value.number(0, u32::MAX)?),
                "content-type" => WillProperty::ContentType(value.text()?),
                "response-topic" => WillProperty::ResponseTopic(value.text()?),
                "correlation-data" => WillProperty::CorrelationData(value.bytes.to_vec()),
                _ => return Err(not_supported(command, name)),
            }),
            ("subscribe", "subscription-identifier") => {
                self.subscription_identifier = Some(value.number(1, 268_435_455)?);
            }
            (command, name) => return Err(not_supported(command, name)),
        }
        Ok(())
    }
}

fn not_supported(command: &str, name: &str) -> Stop {
    let command = command.to_ascii_uppercase();
    Stop::error(format!("{name} property not supported for {command} in --property argument."))
}

struct Value<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Value<'_> {
    fn text(&self) -> Result<String, Stop> {
        let text = std::str::from_utf8(self.bytes).map(str::to_owned);
        text.map_err(|_| Stop::error(format!("Malformed UTF-8 in property {}.", self.name)))
    }

    fn number(&self, least: u32, most: u32) -> Result<u32, Stop> {
        let text = self.text()?;
        let number = text.trim().parse().ok().filter(|number| (least..=most).contains(number));
        let complaint = || Stop::error(format!("Property value ({text}) out of range for property {}.", self.name));
        number.ok_or_else(complaint)
    }

    fn number_16(&self, least: u32) -> Result<u16, Stop> {
        Ok(u16::try_from(self.number(least, u16::MAX.into())?).unwrap_or(u16::MAX))
    }

    fn flag(&self) -> Result<bool, Stop> {
        Ok(self.number(0, 1)? == 1)
    }
}
