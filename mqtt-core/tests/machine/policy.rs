//! When to try again, with which version, and under which name.

use mqtt_core::{
    Attempt, Backoff, CleanStart, ConnectOptions, ConnectionError, DecodeError, ErrorClass, Fallback,
    GeneratedClientIdentifier, Property, ProtocolError, ProtocolVersion, QoS, ReasonCode, Rivalry, UsageError, Will,
};

use crate::support::{Pair, topic};

const SEEDS: u64 = 2_000;

// trap R1: delays follow the policy, never 0
#[test]
fn delays_grow_between_their_bounds() {
    let backoff = Backoff::new();
    for attempt in 0..40 {
        let ceiling = 500_u64.saturating_mul(2 << attempt.min(30)).min(60_000) as u32;
        let delays: Vec<_> = (0..SEEDS).map(|seed| backoff.delay(ErrorClass::Retry, attempt, seed).unwrap()).collect();
        let (least, most) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
        assert!(least >= 500 && most <= ceiling, "{attempt}: {least} to {most}");
        // Full jitter: spread over all of it.
        let span = ceiling - 500;
        assert!(least < 500 + span / 20 + 5 && most > ceiling - span / 20 - 5, "{attempt}: {least} to {most}");
    }
}

#[test]
fn the_same_seed_gives_the_same_delay() {
    let backoff = Backoff::new();
    for attempt in 0..5 {
        assert_eq!(backoff.delay(ErrorClass::Retry, attempt, 7), backoff.delay(ErrorClass::Retry, attempt, 7));
    }
}

#[test]
fn bounds_are_options_and_odd_ones_are_borne() {
    for (backoff, class, least, most) in [
        (Backoff::new().minimum(0), ErrorClass::Retry, 1, 60_000),
        (Backoff::new().minimum(5_000).maximum(100), ErrorClass::Retry, 5_000, 5_000),
        (Backoff::new().maximum(2_000), ErrorClass::Retry, 500, 2_000),
        (Backoff::new().minimum(u32::MAX).maximum(u32::MAX), ErrorClass::Retry, u32::MAX, u32::MAX),
        (Backoff::new(), ErrorClass::RetrySlowly, 10_000, 60_000),
        (Backoff::new().slow_minimum(20_000), ErrorClass::RetrySlowly, 20_000, 60_000),
        (Backoff::new().slow_minimum(0), ErrorClass::RetrySlowly, 500, 60_000),
        (Backoff::new().retry_all(true), ErrorClass::Stop, 10_000, 60_000),
    ] {
        for attempt in [0, 1, 10, 31, 32, u32::MAX] {
            for seed in 0..50 {
                let delay = backoff.delay(class, attempt, seed).unwrap();
                assert!((least..=most).contains(&delay), "{backoff:?} {attempt}: {delay}");
            }
        }
    }
}

// trap R2
#[test]
fn a_connection_that_closes_at_once_does_not_reset_the_delays() {
    let backoff = Backoff::new();
    let mut attempt = 0;
    let mut longest = 0;
    for round in 0..20 {
        longest = longest.max(backoff.delay(ErrorClass::Retry, attempt, round).unwrap());
        attempt = backoff.next_attempt(attempt, 15);
    }
    assert_eq!(attempt, 20);
    assert!(longest > 20_000);
    assert_eq!(backoff.next_attempt(attempt, 9_999), 21);
    assert_eq!(backoff.next_attempt(attempt, 10_000), 0, "it was stable");
    assert_eq!(backoff.stable(0).next_attempt(attempt, 0), 0);
    assert_eq!(backoff.next_attempt(u32::MAX, 0), u32::MAX);
}

// trap R3
#[test]
fn errors_are_classified() {
    use ErrorClass::{Retry, RetrySlowly, Stop};
    for (error, class) in [
        (ConnectionError::Refused(ReasonCode::BAD_USER_NAME_OR_PASSWORD), Stop),
        (ConnectionError::Refused(ReasonCode::NOT_AUTHORIZED), Stop),
        (ConnectionError::Refused(ReasonCode::BANNED), Stop),
        (ConnectionError::Refused(ReasonCode::SERVER_BUSY), RetrySlowly),
        (ConnectionError::Refused(ReasonCode::SERVER_UNAVAILABLE), RetrySlowly),
        (ConnectionError::Refused(ReasonCode::UNSPECIFIED_ERROR), Retry),
        (ConnectionError::Disconnected(ReasonCode::SESSION_TAKEN_OVER), RetrySlowly),
        (ConnectionError::Disconnected(ReasonCode::NOT_AUTHORIZED), RetrySlowly),
        (ConnectionError::Disconnected(ReasonCode::USE_ANOTHER_SERVER), Stop),
        (ConnectionError::Disconnected(ReasonCode::SERVER_SHUTTING_DOWN), Retry),
        (ConnectionError::Disconnected(ReasonCode::KEEP_ALIVE_TIMEOUT), Retry),
        (ConnectionError::Disconnected(ReasonCode::QUOTA_EXCEEDED), RetrySlowly),
        (ConnectionError::Closed, Stop),
        (ConnectionError::ConnackTimeout, Retry),
        (ConnectionError::PingrespTimeout, Retry),
        (ConnectionError::SourceFailed, Retry),
        (ConnectionError::Decode(DecodeError::UnexpectedEnd), RetrySlowly),
        (ConnectionError::Protocol(ProtocolError::SessionPresent), RetrySlowly),
        (ConnectionError::MaximumPacketSizeTooSmall, RetrySlowly),
    ] {
        assert_eq!(ErrorClass::of_error(error), class, "{error}");
        let delay = Backoff::new().delay(class, 0, 1);
        assert_eq!(delay.is_none(), class == Stop, "no hot loop, and no loop at all where it is in vain");
    }
}

#[test]
fn generated_client_identifiers_are_what_every_server_accepts() {
    let mut seen = std::collections::HashSet::new();
    let mut letters = std::collections::HashSet::new();
    for number in 0..2_000_u128 {
        let identifier = GeneratedClientIdentifier::new(number.to_be_bytes());
        let text = identifier.as_str();
        assert!((1..=23).contains(&text.len()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        assert!(seen.insert(text.to_owned()), "{text} came twice");
        letters.extend(text.bytes());
        // Either half of the random bytes counts.
        let other = GeneratedClientIdentifier::new((number << 64).to_be_bytes());
        assert!(number == 0 || seen.insert(other.as_str().to_owned()), "{} came twice", other.as_str());
    }
    assert_eq!(letters.len(), 62, "all of 0-9, a-z and A-Z");
    // 3.1 takes it as well.
    let identifier = GeneratedClientIdentifier::new([7; 16]);
    let options = ConnectOptions::new(identifier.as_str()).version(ProtocolVersion::V3_1);
    assert!(Pair::new(ProtocolVersion::V3_1).try_connect(&options).is_ok());
}

#[test]
fn a_fallback_follows_the_two_codes_only() {
    use ProtocolVersion::{V3_1, V3_1_1, V5_0};
    let unsupported = Attempt::Refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
    let closed = Attempt::ClosedWithoutConnack;
    let other = Attempt::Refused(ReasonCode::NOT_AUTHORIZED);
    for (fallback, version, attempt, next) in [
        (Fallback::ON, V5_0, unsupported, Some(V3_1_1)),
        (Fallback::ON, V5_0, other, None),
        (Fallback::ON, V5_0, closed, None),
        (Fallback::ON.after_close(true), V5_0, closed, Some(V3_1_1)),
        (Fallback::ON, V3_1_1, unsupported, None),
        (Fallback::ON, V3_1, unsupported, None),
        (Fallback::OFF, V5_0, unsupported, None),
        (Fallback::OFF.after_close(true), V5_0, closed, None),
        (Fallback::default(), V5_0, unsupported, None),
    ] {
        assert_eq!(fallback.next_version(version, attempt), next, "{fallback:?} {version:?} {attempt:?}");
    }
}

// A Server of 3.1.1 refuses, and the session goes on in 3.1.1: nothing of it was sent in 5.0.
#[test]
fn after_a_fallback_the_session_goes_on() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.publish(1, "a").unwrap();
    let options = ConnectOptions::new("c");
    pair.connect(&options);
    assert_eq!(pair.deliver(&[0x20, 2, 0, 1]), ["Refused 0x84"]);
    let Some(ConnectionError::Refused(reason)) = pair.machine.connection.failure() else { panic!("refused") };
    let version = Fallback::ON.next_version(ProtocolVersion::V5_0, Attempt::Refused(reason)).unwrap();
    let (options, loss) = options.for_version(version);
    assert!(loss.session_expiry_interval && !loss.properties);
    assert_eq!(pair.connect(&options), "CONNECT c clean");
    assert_eq!(pair.connack(false, &[]), ["Connected"]);
    assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a"]);
}

#[test]
fn what_is_lost_in_3_1_1_is_said() {
    let will_properties = [Property::WillDelayInterval(5)];
    let will = Will {
        topic: topic("w"),
        payload: b"",
        qos: QoS::AtMostOnce,
        retain: false,
        properties: mqtt_core::Properties::new(&will_properties),
    };
    let user = [Property::UserProperty("a", "b")];
    let options = ConnectOptions::new("c");
    let lost = |options: ConnectOptions<'_>| {
        let (_, loss) = options.for_version(ProtocolVersion::V3_1_1);
        let parts = [
            loss.session_expiry_interval,
            loss.properties,
            loss.will_properties,
            loss.receive_maximum,
            loss.maximum_packet_size,
            loss.request_response_information,
            loss.request_problem_information,
        ];
        assert_eq!(loss.is_none(), !parts.contains(&true));
        parts
    };
    let ends = options.session_expiry_interval(0);
    let none = [false; 7];
    let only = |part: usize| core::array::from_fn(|index| index == part);
    assert_eq!(lost(ends), none);
    assert_eq!(lost(options), only(0));
    assert_eq!(lost(options.session_expiry_interval(u32::MAX)), none, "kept for ever can be said");
    assert_eq!(lost(ends.properties(&user)), only(1));
    assert_eq!(lost(ends.will(will)), only(2));
    assert_eq!(lost(ends.receive_maximum(9)), only(3));
    assert_eq!(lost(ends.maximum_packet_size(9)), only(4));
    assert_eq!(lost(ends.request_response_information(true)), only(5));
    assert_eq!(lost(ends.request_problem_information(false)), only(6));
    // 5.0 loses nothing and changes nothing.
    let all = options.properties(&user).will(will).receive_maximum(9);
    let (same, loss) = all.for_version(ProtocolVersion::V5_0);
    assert!(loss.is_none());
    assert_eq!(same, all);
}

#[test]
fn what_was_mapped_can_be_said_in_3_1_1_or_is_refused_by_name() {
    let user = [Property::UserProperty("a", "b")];
    let method = [Property::AuthenticationMethod("SCRAM")];
    let named = ConnectOptions::new("c");
    for (options, begins) in [
        (named, Ok("CONNECT c clean")),
        (named.session_expiry_interval(u32::MAX), Ok("CONNECT c")),
        (named.session_expiry_interval(u32::MAX).clean_start(CleanStart::Always), Ok("CONNECT c clean")),
        (named.keep_session(true), Ok("CONNECT c")),
        (named.clean_start(CleanStart::Never), Ok("CONNECT c clean")),
        (named.properties(&user).receive_maximum(3).maximum_packet_size(100), Ok("CONNECT c clean")),
        (ConnectOptions::new(""), Ok("CONNECT  clean")),
        (ConnectOptions::new("").session_expiry_interval(u32::MAX), Err(UsageError::ClientIdentifier)),
        (named.properties(&method), Err(UsageError::Encode(mqtt_core::EncodeError::NotInVersion))),
        (named.password(b"p"), Err(UsageError::Encode(mqtt_core::EncodeError::PasswordWithoutUserName))),
    ] {
        let (mapped, _) = options.for_version(ProtocolVersion::V3_1_1);
        let answer = Pair::new(ProtocolVersion::V3_1_1).try_connect(&mapped);
        assert_eq!(answer, begins.map(String::from), "{options:?}");
    }
}

#[test]
fn a_connack_says_what_the_attempt_was() {
    let connack = mqtt_core::Connack {
        session_present: false,
        reason_code: ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        properties: mqtt_core::Properties::EMPTY,
    };
    assert_eq!(Attempt::of(&connack), Attempt::Refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION));
}

#[test]
fn clients_that_throw_each_other_out_are_found() {
    let taken_over = ConnectionError::Disconnected(ReasonCode::SESSION_TAKEN_OVER);
    let lost = ConnectionError::TransportLost;
    let mut rivalry = Rivalry::default();
    for (error, without_reason, in_a_row) in [
        (taken_over, false, 1),
        (taken_over, true, 2),
        (lost, false, 0),
        (lost, true, 0),
        (lost, true, 0),
        (lost, true, 3),
        (lost, true, 4),
        (ConnectionError::PingrespTimeout, true, 0),
        (lost, true, 0),
        (taken_over, false, 2),
    ] {
        assert_eq!(rivalry.connection_ended(error, without_reason), in_a_row, "{error} {without_reason}");
    }
    rivalry.calm();
    assert_eq!(rivalry, Rivalry::NONE);
}
