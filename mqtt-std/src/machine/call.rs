//! Every call into the machine that can change it, as a value.

use mqtt_core::{
    Acknowledgement, Body, ConnectOptions, DecodeError, Input, Instant, PacketIdentifier, Payload, Property,
    PublishRequest, ReasonCode, Record, SubscribeRequest, TopicFilter, UnsubscribeRequest,
};

/// A call and its arguments; each is that of the [method](super::Machine) with its name. `room`: bytes of the buffer that was lent.
#[cfg_attr(not(feature = "tape"), expect(dead_code, reason = "made for a tape alone"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Connect { now: Instant, options: &'a ConnectOptions<'a>, room: usize },
    Receive { now: Instant, input: Input<'a> },
    FailFraming { error: DecodeError },
    BytesReceived { now: Instant },
    SetReading { now: Instant, reading: bool },
    PollTransmit { now: Instant, room: usize },
    Transmitted { now: Instant, bytes: usize },
    SourceWaits { now: Instant },
    HandleTimeout { now: Instant },
    Expire { now: Instant },
    PollOutcome,
    PollRecord { now: Instant },
    RecordsDurable { number: u64 },
    RecordFailed { number: u64 },
    Restore { now: Instant, record: &'a Record<'a> },
    SetDurable { durable: bool },
    ExpectSessionPresent,
    EndSession,
    PublishAtMostOnce { request: &'a PublishRequest<'a>, payload: Payload<'a>, room: usize },
    Publish { now: Instant, request: &'a PublishRequest<'a>, body: Body<&'a [u8]> },
    Subscribe { request: &'a SubscribeRequest<'a> },
    Unsubscribe { request: &'a UnsubscribeRequest<'a> },
    Acknowledge { token: Acknowledgement, reason_code: ReasonCode },
    Ping,
    Authenticate { properties: &'a [Property<'a>], room: usize },
    Reauthenticate { properties: &'a [Property<'a>], room: usize },
    Disconnect { reason_code: ReasonCode, properties: &'a [Property<'a>], room: usize },
    TransportLost,
    ConnectionDied,
    SourceFailed { packet_identifier: Option<PacketIdentifier> },
    Cancel { packet_identifier: PacketIdentifier },
    SetIdentifiersAvailable { available: bool },
    ChooseIdentifier { identifier: u32 },
    NextIdentifier,
    RemoveSubscription { filter: TopicFilter<'a> },
}
