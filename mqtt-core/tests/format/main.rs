//! `defmt` shows every public type: with that feature this compiles.

#![allow(clippy::unwrap_used)] // the lints' configuration exempts test functions, not their helpers

mod exported;

use std::path::Path;

#[cfg(feature = "defmt")]
#[allow(dead_code, reason = "it is compiled, which is all: on a host nobody collects what `defmt` writes")]
mod every_type {
    use mqtt_core::*;

    fn shown<T: defmt::Format>() {}

    fn all() {
        shown::<Ack<'_>>();
        shown::<AckKind>();
        shown::<Acknowledge>();
        shown::<Acknowledgement>();
        shown::<AnswerTo<'_>>();
        shown::<ArrayAliases<1, 1, 1>>();
        shown::<ArrayStorage<1, 1, 1>>();
        shown::<ArraySubscriptions<1, 1>>();
        shown::<ArrayTable<Exchange, 1>>();
        shown::<Arrival>();
        shown::<Attempt>();
        shown::<Auth<'_>>();
        shown::<Backoff>();
        shown::<Body<&[u8]>>();
        shown::<CleanStart>();
        shown::<Command>();
        shown::<CommandOutcome>();
        shown::<Connack<'_>>();
        shown::<Connect<'_>>();
        shown::<ConnectOptions<'_>>();
        shown::<Connected<'_>>();
        shown::<Connection<NoAliases>>();
        shown::<ConnectionError>();
        shown::<DecodeError>();
        shown::<Delivery>();
        shown::<DeliveryNumber>();
        shown::<Disconnect<'_>>();
        shown::<EncodeError>();
        shown::<ErrorClass>();
        shown::<Event<'_>>();
        shown::<Exchange>();
        shown::<Fallback>();
        shown::<Frames<'_>>();
        shown::<Framing>();
        shown::<GeneratedClientIdentifier>();
        shown::<Input<'_>>();
        shown::<Instant>();
        shown::<InvalidTopicFilter>();
        shown::<InvalidTopicName>();
        shown::<Loss>();
        shown::<Machine<ArrayStorage<1, 1, 1>, NoAliases, NoSubscriptions>>();
        shown::<Message<'_>>();
        shown::<NoAliases>();
        shown::<NoSubscriptions>();
        shown::<Outcome>();
        shown::<Packet<'_>>();
        shown::<PacketIdentifier>();
        shown::<PacketType>();
        shown::<Payload<'_>>();
        shown::<Properties<'_>>();
        shown::<PropertiesIter<'_>>();
        shown::<Property<'_>>();
        shown::<PropertyIdentifier>();
        shown::<ProtocolError>();
        shown::<ProtocolVersion>();
        shown::<Publish<'_>>();
        shown::<PublishRequest<'_>>();
        shown::<QoS>();
        shown::<ReasonCode>();
        shown::<ReasonCodes<'_>>();
        shown::<ReceiveError>();
        shown::<Record<'_>>();
        shown::<RecordTicket>();
        shown::<RecordedMessage<'_>>();
        shown::<Renewal>();
        shown::<RequestKey>();
        shown::<RetainHandling>();
        shown::<Rivalry>();
        shown::<Sender>();
        shown::<ServerLimits>();
        shown::<Session<ArrayStorage<1, 1, 1>>>();
        shown::<StorageFull>();
        shown::<Suback<'_>>();
        shown::<Subscribe<'_>>();
        shown::<SubscribeRequest<'_>>();
        shown::<Subscription<'_>>();
        shown::<SubscriptionOptions>();
        shown::<Subscriptions<'_>>();
        shown::<Suspicion>();
        shown::<TopicAliasUse>();
        shown::<TopicFilter<'_>>();
        shown::<TopicFilters<'_>>();
        shown::<TopicName<'_>>();
        shown::<Transmit>();
        shown::<TransmitPayload>();
        shown::<Unsuback<'_>>();
        shown::<Unsubscribe<'_>>();
        shown::<UnsubscribeRequest<'_>>();
        shown::<UsageError>();
        shown::<Will<'_>>();
    }
}

#[test]
fn every_public_type_is_among_those_that_defmt_shows() {
    let names = exported::types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(names.len() > 80, "{names:?}");
    let shown = include_str!("main.rs");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !shown.contains(&format!("shown::<{name}>")) && !shown.contains(&format!("shown::<{name}<")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
