//! What is published.

use std::io::Read as _;
use std::path::Path;

use mqtt_std::{Client, PayloadSource as _, ProtocolVersion, Publish, TopicAliasUse};

use super::failure::{Failure, OTHER};
use super::options::{Input, PublishProperty, Settings};
use crate::FileWithBar;

/// The longest payload (5.0 §1.5.5).
pub(super) const LONGEST: u64 = 268_435_455;

/// Files of so many bytes have a bar.
const WORTH_A_BAR: u64 = 1 << 20;

/// A message that can be published again and again.
#[derive(Clone)]
pub(super) enum Payload {
    Bytes(bytes::Bytes),
    File(FileWithBar),
}

impl Payload {
    /// Reads standard input, or looks at the file. Lines are none of these.
    pub(super) async fn load(settings: &Settings) -> Result<Self, Failure> {
        match &settings.input {
            Some(Input::File(path)) => Ok(Self::File(file(path, settings.quiet).await?)),
            Some(Input::Stdin) => standard_input().map(|bytes| Self::Bytes(bytes.into())),
            Some(Input::Message(message)) => Ok(Self::Bytes(message.clone().into())),
            Some(Input::Lines) | None => Ok(Self::Bytes(bytes::Bytes::new())),
        }
    }

    /// The message, with what the settings say of it.
    pub(super) fn publish<'a>(&self, client: &'a Client, settings: &'a Settings) -> Publish<'a> {
        let topic = settings.topics.last().map(String::as_str).unwrap_or_default();
        let publish = match self {
            Self::Bytes(bytes) => client.publish(topic, bytes.clone()),
            Self::File(file) => client.publish_from(topic, file.clone()),
        };
        with_properties(if settings.retain { publish.retain() } else { publish }.qos(settings.qos), settings)
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        if let Self::File(file) = self {
            file.done();
        }
    }
}

fn with_properties<'a>(mut publish: Publish<'a>, settings: &'a Settings) -> Publish<'a> {
    // Of another version they are not said, as `mosquitto_pub -V 311` behind `-D` has it.
    let properties: &[_] = if settings.version == ProtocolVersion::V5_0 { &settings.properties.publish } else { &[] };
    for property in properties {
        publish = match property {
            PublishProperty::PayloadIsText(true) => publish.payload_is_text(),
            PublishProperty::PayloadIsText(false) => publish.payload_is_bytes(),
            PublishProperty::MessageExpiryInterval(seconds) => publish.message_expiry_interval(*seconds),
            PublishProperty::ContentType(text) => publish.content_type(text),
            PublishProperty::ResponseTopic(topic) => publish.response_topic(topic),
            PublishProperty::CorrelationData(data) => publish.correlation_data(data),
            PublishProperty::TopicAlias(number) => publish.topic_alias(TopicAliasUse::Number(*number)),
            PublishProperty::User(name, value) => publish.user_property(name, value),
        };
    }
    publish
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(OTHER, format_args!("standard input: {error}")))?;
    match bytes.len() as u64 {
        0 => Err(Failure::new(OTHER, "Zero length input.")),
        1..=LONGEST => Ok(bytes),
        _ => Err(Failure::new(OTHER, format_args!("Message length must be less than {LONGEST} bytes."))),
    }
}

/// Looks at a file.
async fn file(path: &Path, quiet: bool) -> Result<FileWithBar, Failure> {
    let file = FileWithBar::new(path, |length| length >= WORTH_A_BAR && !quiet).await;
    let unable = |error| Failure::new(OTHER, format_args!("Unable to read file \"{}\": {error}.", path.display()));
    let file = file.map_err(unable)?;
    if file.length() > LONGEST {
        return Err(Failure::new(OTHER, format_args!("File must be less than {LONGEST} bytes.")));
    }
    Ok(file)
}
