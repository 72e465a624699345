//! Values, options, requests, policy and framing.

use mqtt_core::*;

use any::{call, compared, derived, ordered, walk};

pub(crate) fn call_all() {
    types();
    properties();
    framing();
    options();
    requests();
    policy();
}

fn types() {
    ordered::<PacketIdentifier>();
    call(PacketIdentifier::new);
    call(PacketIdentifier::number);
    call(PacketIdentifier::next);
    ordered::<QoS>();
    call(QoS::from_u8);
    call(QoS::default);

    ordered::<ReasonCode>();
    call(ReasonCode::from_u8);
    call(ReasonCode::as_u8);
    call(ReasonCode::is_failure);
    call(ReasonCode::connack_return_code);
    call(ReasonCode::from_connack_return_code);
    call(ReasonCode::default);
    derived::<ReasonCodes<'_>>();
    call(ReasonCodes::new);
    call(ReasonCodes::as_bytes);
    call(ReasonCodes::len);
    call(ReasonCodes::is_empty);
    call(ReasonCodes::get);
    call(|codes: ReasonCodes<'_>| walk(ReasonCodes::iter(codes)));
    call(|codes: ReasonCodes<'_>| codes.iter().len());
    call(ReasonCodes::default);

    derived::<TopicName<'_>>();
    call(TopicName::new);
    call(TopicName::as_str);
    call(|text: &'static str| TopicName::try_from(text));
    compared::<InvalidTopicName>();
    derived::<TopicFilter<'_>>();
    call(TopicFilter::new);
    call(TopicFilter::as_str);
    call(TopicFilter::share_name);
    call(TopicFilter::without_share);
    call(TopicFilter::is_shared);
    call(TopicFilter::has_wildcard);
    call(TopicFilter::matches);
    call(TopicFilter::covers);
    call(|text: &'static str| TopicFilter::try_from(text));
    compared::<InvalidTopicFilter>();

    ordered::<ProtocolVersion>();
    call(ProtocolVersion::is_v5);
    call(ProtocolVersion::is_supported);
    call(ProtocolVersion::level);
    call(ProtocolVersion::protocol_name);
    ordered::<Instant>();
    call(Instant::from_millis);
    call(Instant::as_millis);
    call(Instant::plus_millis);
    call(Instant::plus_secs);
    call(Instant::millis_since);
    call(Instant::secs_since);
}

fn properties() {
    ordered::<PropertyIdentifier>();
    call(PropertyIdentifier::from_u8);
    derived::<Property<'_>>();
    call(Property::identifier);
    derived::<Properties<'_>>();
    call(Properties::new);
    call(Properties::without_diagnostics);
    call(Properties::is_empty);
    call(Properties::default);
    call(|properties: Properties<'_>| walk(Properties::iter(properties)));
    call(|properties: Properties<'_>| walk(properties.into_iter()));
    call(|properties: Properties<'_>| walk(Properties::user_properties(properties)));
    call(Properties::reason_string);
    call(Properties::topic_alias);
    call(Properties::response_topic);
    call(Properties::correlation_data);
    call(Properties::only);
    derived::<RequestKey>();
    call(RequestKey::new);
    call(RequestKey::number);
    call(RequestKey::correlation_data);
    call(RequestKey::request_topic);
    call(RequestKey::of_answer);
    call(AnswerTo::request);
    call(Properties::from_encoded);
    call(Properties::as_encoded);
    call(Properties::encode);
    derived_errors();
}

fn derived_errors() {
    derived::<DecodeError>();
    call(DecodeError::reason_code);
    derived::<EncodeError>();
    derived::<ConnectionError>();
    call(ConnectionError::disconnect_reason);
    call(|error: DecodeError| ConnectionError::from(error));
    call(|error: ProtocolError| ConnectionError::from(error));
    derived::<ProtocolError>();
    call(ProtocolError::reason_code);
    derived::<UsageError>();
    call(|error: StorageFull| UsageError::from(error));
    call(|error: EncodeError| UsageError::from(error));
    compared::<ReceiveError>();
    call(|error: DecodeError| ReceiveError::from(error));
    derived::<StorageFull>();
}

fn framing() {
    derived::<Input<'_>>();
    derived::<Framing>();
    call(Framing::new);
    call(Framing::next);
    call(Framing::packet_len);
    call(|input: &'static Input<'static>| Input::message_qos(input));
    call(Frames::new);
    call(Frames::space);
    call(Frames::filled);
    call(|frames: &'static mut Frames<'static>| Frames::next(frames));
    call(Frames::reset);
    call(put);
    call(move_to_front);
}

fn options() {
    derived::<CleanStart>();
    derived::<Acknowledge>();
    compared::<ConnectOptions<'_>>();
    call(ConnectOptions::new);
    call(ConnectOptions::version);
    call(ConnectOptions::clean_start);
    call(ConnectOptions::keep_session);
    call(ConnectOptions::session_expiry_interval);
    call(ConnectOptions::keep_alive);
    call(ConnectOptions::will);
    call(ConnectOptions::user_name);
    call(ConnectOptions::password);
    call(ConnectOptions::receive_maximum);
    call(ConnectOptions::receive_beyond_maximum);
    call(ConnectOptions::send_maximum);
    call(ConnectOptions::maximum_packet_size);
    call(ConnectOptions::request_response_information);
    call(ConnectOptions::request_problem_information);
    call(ConnectOptions::properties);
    call(ConnectOptions::acknowledge);
    call(ConnectOptions::streaming);
    call(ConnectOptions::republish_exactly_once);
    call(ConnectOptions::connack_timeout);
    call(ConnectOptions::pingresp_timeout);
    call(ConnectOptions::for_version);
}

fn requests() {
    call(PublishRequest::new);
    call(PublishRequest::qos);
    call(PublishRequest::retain);
    call(PublishRequest::topic_alias);
    call(PublishRequest::message_expiry_interval);
    call(PublishRequest::properties);
    call(SubscribeRequest::new);
    call(SubscribeRequest::subscription_identifier);
    call(SubscribeRequest::properties);
    call(UnsubscribeRequest::new);
    call(UnsubscribeRequest::properties);
    compared::<PublishRequest<'_>>();
    compared::<SubscribeRequest<'_>>();
    compared::<UnsubscribeRequest<'_>>();
    compared::<Body<&[u8]>>();
    compared::<Payload<'_>>();
    derived::<TopicAliasUse>();
    call(TopicAliasUse::default);
}

fn policy() {
    derived::<ErrorClass>();
    call(ErrorClass::of_reason);
    call(ErrorClass::of_error);
    derived::<Backoff>();
    call(Backoff::new);
    call(Backoff::default);
    call(Backoff::minimum);
    call(Backoff::maximum);
    call(Backoff::slow_minimum);
    call(Backoff::stable);
    call(Backoff::retry_all);
    call(Backoff::delay);
    call(Backoff::next_attempt);
    derived::<GeneratedClientIdentifier>();
    call(GeneratedClientIdentifier::new);
    call(GeneratedClientIdentifier::as_str);
    derived::<Attempt>();
    call(Attempt::of);
    derived::<Fallback>();
    call(Fallback::default);
    call(Fallback::after_close);
    call(Fallback::next_version);
    derived::<Loss>();
    call(Loss::default);
    call(Loss::is_none);
    derived::<Rivalry>();
    call(Rivalry::default);
    call(Rivalry::connection_ended);
    call(Rivalry::calm);
    derived::<Suspicion>();
    call(Suspicion::new);
    call(Suspicion::is_one_at_a_time);
}
