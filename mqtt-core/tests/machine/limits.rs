//! What the Server named in CONNACK, and what this side named in CONNECT.

use mqtt_core::{
    Acknowledge, EncodeError, Property, PropertyIdentifier, ProtocolVersion, PublishRequest, QoS, ReasonCode,
    SubscribeRequest, Subscription, TopicFilter, UsageError,
};

use crate::support::{Pair, any_version, id, options, topic};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

// trap L3; [v5 MQTT-3.2.2-11]
#[test]
fn maximum_qos_is_a_local_error() {
    let mut pair = Pair::limited(&[Property::MaximumQoS(1)]);
    let refused = Err(UsageError::QoSNotSupported { maximum: QoS::AtLeastOnce });
    assert_eq!(pair.publish(2, "a"), refused);
    assert!(pair.publish(1, "a").is_ok());
    let mut pair = Pair::limited(&[Property::MaximumQoS(0)]);
    assert_eq!(pair.publish(1, "a"), Err(UsageError::QoSNotSupported { maximum: QoS::AtMostOnce }));
    assert!(pair.publish(0, "a").is_ok());
    assert_eq!(pair.sent(), ["PUBLISH q0 t a"]);
    assert!(pair.session().is_idle());
}

// trap L3; [v5 MQTT-3.2.2-14]
#[test]
fn retain_available_is_a_local_error() {
    let mut pair = Pair::limited(&[Property::RetainAvailable(0)]);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let request = PublishRequest::new(topic("t")).retain(true).qos(qos);
        assert_eq!(pair.publish_request(&request, b"a"), Err(UsageError::RetainNotSupported));
    }
}

// trap L3
// [v5 §3.2.2.3.11: no wildcard subscription where there is none]
// [v5 §3.2.2.3.12: no subscription identifier where there is none]
// [v5 §3.2.2.3.13: no shared subscription where there is none]
#[test]
fn what_of_a_subscription_the_server_lacks_is_a_local_error() {
    for (property, filter, identifier, error) in [
        (Property::WildcardSubscriptionAvailable(0), "a/#", None, UsageError::WildcardSubscriptionsNotSupported),
        (Property::WildcardSubscriptionAvailable(0), "+", None, UsageError::WildcardSubscriptionsNotSupported),
        (Property::SharedSubscriptionAvailable(0), "$share/g/a", None, UsageError::SharedSubscriptionsNotSupported),
        (Property::SubscriptionIdentifierAvailable(0), "a", Some(1), UsageError::SubscriptionIdentifiersNotSupported),
    ] {
        let mut pair = Pair::limited(&[property]);
        let filters = [
            Subscription::new(TopicFilter::new("plain").unwrap(), QoS::AtMostOnce),
            Subscription::new(TopicFilter::new(filter).unwrap(), QoS::AtMostOnce),
        ];
        let mut request = SubscribeRequest::new(&filters);
        request.subscription_identifier = identifier;
        assert_eq!(pair.machine.subscribe(&request), Err(error));
        assert!(pair.machine.subscribe(&SubscribeRequest::new(&filters[..1])).is_ok());
    }
}

// 5.0 §3.1.2.11.4
#[test]
fn a_maximum_packet_size_of_0_is_not_announced() {
    let error = Pair::new(V5).try_connect(&options(V5).maximum_packet_size(0)).unwrap_err();
    assert_eq!(error, UsageError::Encode(EncodeError::PropertyValue(PropertyIdentifier::MaximumPacketSize)));
}

// trap L1; [v5 MQTT-3.2.2-15]
#[test]
fn maximum_packet_size_counts_the_whole_packet() {
    // PUBLISH #1 q1 with topic "t" and 10 bytes: 2 + 3 + 2 + 1 + 10.
    for (maximum, fits) in [(18, true), (17, false)] {
        let mut pair = Pair::limited(&[Property::MaximumPacketSize(maximum)]);
        let answer = pair.publish(1, "0123456789");
        let error = UsageError::PacketTooLarge { needed: 18, maximum };
        assert_eq!(answer, if fits { Ok(1) } else { Err(error) });
        // QoS 0 has no Packet Identifier.
        assert_eq!(pair.publish(0, "0123456789-"), Ok(0));
        let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).message_expiry_interval(5);
        let error = UsageError::PacketTooLarge { needed: 23, maximum };
        assert_eq!(pair.publish_request(&request, b"0123456789"), Err(error), "with the property that is added");
    }
}

// trap L1: obeyed by every kind; [v5 MQTT-3.2.2-15]
#[test]
fn maximum_packet_size_holds_for_requests() {
    let mut pair = Pair::limited(&[Property::MaximumPacketSize(20)]);
    let long = "x".repeat(13);
    assert_eq!(pair.subscribe(&[(&long, 0)]), Err(UsageError::PacketTooLarge { needed: 21, maximum: 20 }));
    assert!(pair.subscribe(&[(&long[..12], 0)]).is_ok());
    let long = "x".repeat(14);
    assert_eq!(pair.unsubscribe(&[&long]), Err(UsageError::PacketTooLarge { needed: 21, maximum: 20 }));
    assert!(pair.unsubscribe(&[&long[..13]]).is_ok());
    assert!(pair.sent_bytes().iter().all(|packet| packet.len() == 20));
}

// trap L1: DISCONNECT; [v5 MQTT-3.14.2-3 MQTT-3.14.2-4]
#[test]
fn disconnect_leaves_out_its_diagnostics_rather_than_to_be_too_large() {
    let diagnostics = [Property::ReasonString("too long a reason"), Property::UserProperty("who", "me")];
    let mut pair = Pair::limited(&[Property::MaximumPacketSize(16)]);
    let sent = pair.disconnect(ReasonCode::UNSPECIFIED_ERROR, &diagnostics).unwrap();
    assert_eq!(sent, "DISCONNECT 0x80");
    let mut pair = Pair::limited(&[Property::MaximumPacketSize(100)]);
    let sent = pair.disconnect(ReasonCode::UNSPECIFIED_ERROR, &diagnostics).unwrap();
    assert!(sent.contains("too long a reason") && sent.contains("who"), "{sent}");
}

// trap L1: our acknowledgements
#[test]
fn a_limit_that_has_no_room_for_an_acknowledgement_ends_the_connection() {
    let mut pair = Pair::new(V5);
    pair.connect(&options(V5).acknowledge(Acknowledge::ByApplication));
    pair.connack(false, &[Property::MaximumPacketSize(4)]);
    pair.message(1, 1, "a");
    pair.message(1, 2, "b");
    let (first, second) = (pair.tokens[0], pair.tokens[1]);
    pair.machine.acknowledge(first, ReasonCode::SUCCESS).unwrap();
    assert_eq!(pair.sent(), ["PUBACK #1"], "4 bytes fit");
    pair.machine.acknowledge(second, ReasonCode::QUOTA_EXCEEDED).unwrap();
    assert!(pair.sent().is_empty(), "5 bytes do not, and success would be a lie");
    assert!(pair.machine.is_closed());
}

// [v5 MQTT-3.2.2-15]: also of what nobody has asked for.
#[test]
fn a_limit_that_has_no_room_for_a_pingreq_ends_the_connection() {
    for (bytes, sent) in [(1, &[][..]), (2, &["PINGREQ"])] {
        let mut pair = Pair::limited(&[Property::MaximumPacketSize(bytes)]);
        pair.next_deadline().unwrap();
        assert_eq!(pair.sent(), sent, "{bytes}");
        assert_eq!(pair.machine.is_closed(), sent.is_empty(), "{bytes}");
    }
}

// trap L2
#[test]
fn our_limits_do_not_limit_what_we_send() {
    let small = options(V5).maximum_packet_size(30).receive_maximum(1);
    let mut pair = Pair::connected_as(&small);
    pair.publish(1, &"x".repeat(500)).unwrap();
    pair.publish(1, "b").unwrap();
    assert_eq!(pair.sent(), ["PUBLISH #1 q1 t <500>", "PUBLISH #2 q1 t b"]);
}

// [v5 MQTT-3.1.2-24]
// [v5 §3.1.2.11.4: a packet above the maximum size is answered with 0x95]
#[test]
fn a_packet_above_our_maximum_closes_with_0x95() {
    for (payload, fits) in [(94, true), (95, false)] {
        let mut pair = Pair::connected_as(&options(V5).maximum_packet_size(100));
        let packet = pair.message_bytes(0, 0, false, &vec![b'x'; payload]);
        assert_eq!(packet.len(), payload + 6);
        let events = pair.deliver(&packet);
        if fits {
            assert_eq!(events.len(), 1);
            assert!(pair.machine.is_connected());
        } else {
            assert_eq!(events, ["error Protocol(PacketTooLarge)"]);
            assert_eq!(pair.sent(), ["DISCONNECT 0x95"]);
        }
    }
}

// In parts, too: the head says how long it will be.
// [v5 §3.1.2.11.4: a packet above the maximum size is answered with 0x95]
#[test]
fn a_streamed_packet_above_our_maximum_closes_with_0x95() {
    let mut pair = Pair::connected_as(&options(V5).maximum_packet_size(2_000).streaming(true));
    let packet = pair.message_bytes(0, 0, false, &[b'x'; 1_994]);
    assert!(packet.len() > 2_000);
    assert_eq!(pair.deliver(&packet), ["error Protocol(PacketTooLarge)"]);
}

// trap L6; [v5 MQTT-3.1.2-29]
#[test]
fn diagnostics_that_were_not_wanted_close_with_0x82_where_they_are_not_allowed() {
    let unwanted = options(V5).request_problem_information(false);
    let reason = [Property::ReasonString("r")];
    let user = [Property::UserProperty("a", "b")];
    for properties in [&reason[..], &user] {
        let properties = mqtt_core::Properties::new(properties);
        for case in 0..3 {
            let mut pair = Pair::connected_as(&unwanted);
            pair.subscribe(&[("a", 0)]).unwrap();
            pair.unsubscribe(&["a"]).unwrap();
            pair.publish(1, "a").unwrap();
            pair.sent();
            let codes = mqtt_core::ReasonCodes::new(&[0]);
            let events = pair.send(&match case {
                0 => mqtt_core::Packet::Suback(mqtt_core::Suback {
                    packet_identifier: id(1),
                    properties,
                    reason_codes: codes,
                }),
                1 => mqtt_core::Packet::Unsuback(mqtt_core::Unsuback {
                    packet_identifier: id(2),
                    properties,
                    reason_codes: codes,
                }),
                _ => mqtt_core::Packet::Ack(mqtt_core::Ack {
                    kind: mqtt_core::AckKind::Puback,
                    packet_identifier: id(3),
                    reason_code: ReasonCode::SUCCESS,
                    properties,
                }),
            });
            assert!(events[0].starts_with("error Protocol(Unrequested"), "{events:?}");
            assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
        }
    }
    // Answers without them are as ever.
    let mut pair = Pair::connected_as(&unwanted);
    pair.subscribe(&[("a", 0)]).unwrap();
    pair.unsubscribe(&["a"]).unwrap();
    pair.publish(1, "a").unwrap();
    pair.sent();
    assert_eq!(pair.suback(1, &[0]), ["Subscribed #1 0x00"]);
    assert_eq!(pair.unsuback(2, &[0]), ["Unsubscribed #2 0x00"]);
    assert_eq!(pair.puback(3), ["Published #3"]);
    // PUBLISH, CONNACK and DISCONNECT may.
    let mut pair = Pair::new(V5);
    pair.connect(&unwanted);
    assert_eq!(pair.connack(false, &[reason[0], user[0]]), ["Connected"]);
    assert_eq!(pair.message_to(Some("t"), &user), ["Message q0 t x"]);
    let properties = mqtt_core::Properties::new(&reason);
    let reason_code = ReasonCode::SERVER_BUSY;
    let events = pair.send(&mqtt_core::Packet::Disconnect(mqtt_core::Disconnect { reason_code, properties }));
    assert!(events[0].starts_with("Disconnected 0x89"));
}

// [v5 §2.2.2.2: what holds without a property]
#[test]
fn limits_are_those_of_the_standard_without_a_word_of_the_server() {
    for version in any_version() {
        let pair = Pair::connected(version);
        let limits = pair.machine.limits();
        assert_eq!((limits.receive_maximum, limits.maximum_qos), (u16::MAX, QoS::ExactlyOnce));
        assert_eq!((limits.maximum_packet_size, limits.topic_alias_maximum), (None, 0));
        assert!(limits.retain_available && limits.wildcard_subscription_available);
        assert!(limits.shared_subscription_available && limits.subscription_identifier_available);
        let of_connect = if version.is_v5() { options(version).session_expiry_interval } else { u32::MAX };
        assert_eq!(limits.session_expiry_interval, of_connect, "as CONNECT said");
    }
}

#[test]
fn limits_end_with_their_connection() {
    let mut pair =
        Pair::limited(&[Property::MaximumQoS(0), Property::MaximumPacketSize(9), Property::RetainAvailable(0)]);
    pair.reconnect(true);
    assert!(pair.publish(2, "larger than nine bytes").is_ok());
}

// trap L5; [v5 MQTT-3.3.4-6]
#[test]
fn a_publish_takes_no_subscription_identifier_and_no_second_alias_or_expiry() {
    let mut pair = Pair::connected(V5);
    for (property, identifier) in [
        (Property::SubscriptionIdentifier(1), PropertyIdentifier::SubscriptionIdentifier),
        (Property::TopicAlias(1), PropertyIdentifier::TopicAlias),
        (Property::MessageExpiryInterval(1), PropertyIdentifier::MessageExpiryInterval),
    ] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let properties = [property];
            let request = PublishRequest::new(topic("t")).qos(qos).properties(&properties);
            let refused = Err(UsageError::Encode(EncodeError::PropertyNotAllowed(identifier)));
            assert_eq!(pair.publish_request(&request, b"a"), refused);
        }
    }
    assert!(pair.session().is_idle());
}

#[test]
fn properties_of_a_publish_are_refused_in_3_1_1_by_name() {
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    let properties = [Property::ContentType("a")];
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let request = PublishRequest::new(topic("t")).qos(qos).properties(&properties);
        assert_eq!(pair.publish_request(&request, b"a"), Err(UsageError::Encode(EncodeError::NotInVersion)));
    }
}

// trap L8
// [v5 §3.3.4: an alias of 0 or above the maximum is answered with 0x94]
#[test]
fn a_zero_where_none_may_be_closes() {
    let mut pair = Pair::new(V5);
    pair.connect(&options(V5));
    assert!(pair.deliver(&[0x20, 6, 0, 0, 3, 0x21, 0, 0])[0].starts_with("error Decode"), "Receive Maximum");
    let mut pair = Pair::new(V5);
    pair.connect(&options(V5));
    assert!(pair.deliver(&[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 0])[0].starts_with("error Decode"), "Maximum Packet Size");
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.deliver(&[0x40, 2, 0, 0]), ["error Decode(PacketIdentifierZero)"]);
    }
    let mut pair = Pair::connected(V5);
    // PUBLISH "t" with Topic Alias 0, with Subscription Identifier 0.
    assert!(pair.deliver(&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 0])[0].starts_with("error"));
    assert_eq!(pair.sent(), ["DISCONNECT 0x94"]);
    let mut pair = Pair::connected(V5);
    assert!(pair.deliver(&[0x30, 6, 0, 1, b't', 2, 0x0b, 0])[0].starts_with("error"));
    assert_eq!(pair.sent(), ["DISCONNECT 0x82"]);
}

#[test]
fn send_maximum_limits_3_1_1_too() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&options(version).send_maximum(2));
        pair.connack(false, &[]);
        for _ in 0..3 {
            pair.publish(1, "a").unwrap();
        }
        assert_eq!(pair.sent().len(), 2);
        pair.puback(1);
        assert_eq!(pair.sent().len(), 1);
    }
}
