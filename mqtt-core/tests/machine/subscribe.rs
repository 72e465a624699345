//! SUBSCRIBE, UNSUBSCRIBE, and the renewal of what a Server lost.

use mqtt_core::{
    CleanStart, Properties, Property, ProtocolVersion, QoS, ReasonCode, ReasonCodes, Renewal, Suback, SubscribeRequest,
    Subscription, SubscriptionList, TopicFilter, UnsubscribeRequest, UsageError,
};

use crate::support::{Pair, any_version, id, options};

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

fn list(pair: &Pair) -> Vec<String> {
    let subscriptions = &pair.machine.subscriptions;
    (0..subscriptions.len())
        .map(|index| {
            let (subscription, _) = subscriptions.get(index).unwrap();
            format!(
                "{}:{} {:?}",
                subscription.filter,
                subscription.options.qos as u8,
                subscriptions.renewal(index).unwrap()
            )
        })
        .collect()
}

// [v3 MQTT-2.3.1-7 MQTT-3.8.4-2 MQTT-3.9.3-1]
// [v5 MQTT-2.2.1-6 MQTT-3.8.4-2 MQTT-3.8.4-7 MQTT-3.9.3-1]
#[test]
fn suback_completes_its_request_with_a_code_for_each_filter() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert_eq!(pair.subscribe(&[("a", 0), ("b", 2), ("c", 1)]), Ok(1));
        assert_eq!(pair.subscribe(&[("d", 1)]), Ok(2));
        assert_eq!(pair.sent(), ["SUBSCRIBE #1 a:0 b:2 c:1", "SUBSCRIBE #2 d:1"]);
        assert_eq!(pair.suback(2, &[0]), ["Subscribed #2 0x00"]);
        assert_eq!(pair.suback(1, &[0, 0x80, 1]), ["Subscribed #1 0x00 0x80 0x01"]);
        // What was refused is not renewed.
        assert_eq!(list(&pair), ["d:1 Granted", "a:0 Granted", "c:1 Granted"]);
    }
}

// [v3 MQTT-2.3.1-7 MQTT-3.10.4-4] [v5 MQTT-2.2.1-6 MQTT-3.10.4-5 MQTT-3.11.3-1]; trap Q5: 0x11 counts as success
#[test]
fn unsuback_completes_its_request() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a", 0), ("b", 0), ("c", 0)]).unwrap();
        pair.sent();
        pair.suback(1, &[0, 0, 0]);
        assert_eq!(pair.unsubscribe(&["c", "b"]), Ok(2));
        assert_eq!(pair.unsubscribe(&["a"]), Ok(3));
        assert_eq!(pair.sent(), ["UNSUBSCRIBE #2 c b", "UNSUBSCRIBE #3 a"]);
        let codes = if version.is_v5() { " 0x11" } else { "" };
        assert_eq!(pair.unsuback(3, &[0x11]), [format!("Unsubscribed #3{codes}")]);
        let codes = if version.is_v5() { " 0x00 0x87" } else { "" };
        assert_eq!(pair.unsuback(2, &[0, 0x87]), [format!("Unsubscribed #2{codes}")]);
        // What the Server refused to end stands.
        let left = if version.is_v5() { vec!["b:0 Granted"] } else { vec![] };
        assert_eq!(list(&pair), left);
    }
}

// trap L7; [v3 MQTT-3.8.4-5] [v5 MQTT-3.8.4-6 MQTT-3.11.3-2]
#[test]
fn an_answer_to_no_request_or_with_the_wrong_count_closes() {
    for version in any_version() {
        for (case, error) in [
            ("suback unknown", "UnknownPacketIdentifier"),
            ("suback for unsubscribe", "UnknownPacketIdentifier"),
            ("suback for publish", "UnknownPacketIdentifier"),
            ("suback too few", "ReasonCodeCount"),
            ("suback too many", "ReasonCodeCount"),
            ("unsuback unknown", "UnknownPacketIdentifier"),
            ("unsuback for subscribe", "UnknownPacketIdentifier"),
            ("unsuback too many", "ReasonCodeCount"),
            ("suback twice", "UnknownPacketIdentifier"),
            ("suback of the connection before", "UnknownPacketIdentifier"),
        ] {
            let mut pair = Pair::connected(version);
            pair.subscribe(&[("a", 0), ("b", 0)]).unwrap();
            pair.unsubscribe(&["a"]).unwrap();
            pair.publish(1, "a").unwrap();
            pair.sent();
            let events = match case {
                "suback unknown" => pair.suback(9, &[0]),
                "suback for unsubscribe" => pair.suback(2, &[0]),
                "suback for publish" => pair.suback(3, &[0]),
                "suback too few" => pair.suback(1, &[0]),
                "suback too many" => pair.suback(1, &[0, 0, 0]),
                "unsuback unknown" => pair.unsuback(9, &[0]),
                "unsuback for subscribe" => pair.unsuback(1, &[0, 0]),
                "unsuback too many" if !version.is_v5() => continue, // it has no codes
                "unsuback too many" => pair.unsuback(2, &[0, 0]),
                "suback twice" => {
                    pair.suback(1, &[0, 0]);
                    pair.suback(1, &[0, 0])
                }
                _ => {
                    pair.reconnect(true);
                    pair.suback(1, &[0, 0])
                }
            };
            assert_eq!(events, [format!("error Protocol({error})")], "{case}");
            assert_eq!(pair.sent(), if version.is_v5() { vec!["DISCONNECT 0x82"] } else { vec![] }, "{case}");
            assert!(pair.machine.is_closed());
        }
    }
}

// [v3 MQTT-3.8.3-3 MQTT-3.10.3-2] [v5 MQTT-3.8.3-2 MQTT-3.10.3-2]
#[test]
fn a_request_needs_a_filter() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let empty = UsageError::Encode(mqtt_core::EncodeError::EmptyPayload);
        assert_eq!(pair.subscribe(&[]), Err(empty));
        assert_eq!(pair.unsubscribe(&[]), Err(empty));
        assert!(pair.session().is_idle());
    }
}

// trap L5; [v5 MQTT-3.8.3-4]
#[test]
fn a_shared_subscription_has_no_no_local() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    let mut subscription = Subscription::new(filter("$share/g/a"), QoS::AtMostOnce);
    subscription.options.no_local = true;
    let refused = pair.machine.subscribe(&SubscribeRequest::new(&[subscription]));
    assert_eq!(refused, Err(UsageError::Encode(mqtt_core::EncodeError::NoLocalOnShared)));
}

#[test]
fn what_3_1_1_cannot_say_is_refused() {
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    let mut subscription = Subscription::new(filter("a"), QoS::AtMostOnce);
    let filters = [subscription];
    let refused = Err(UsageError::Encode(mqtt_core::EncodeError::NotInVersion));
    assert_eq!(pair.machine.subscribe(&SubscribeRequest::new(&filters).subscription_identifier(1)), refused);
    let properties = [Property::UserProperty("a", "b")];
    assert_eq!(pair.machine.subscribe(&SubscribeRequest::new(&filters).properties(&properties)), refused);
    subscription.options.no_local = true;
    assert_eq!(pair.machine.subscribe(&SubscribeRequest::new(&[subscription])), refused);
    let filters = [filter("a")];
    assert_eq!(pair.machine.unsubscribe(&UnsubscribeRequest::new(&filters).properties(&properties)), refused);
    assert!(pair.session().is_idle());
}

#[test]
fn every_option_reaches_the_wire() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    let filters = [Subscription::new(filter("a/#"), QoS::AtLeastOnce)];
    let properties = [Property::UserProperty("who", "me")];
    let request = SubscribeRequest::new(&filters).subscription_identifier(268_435_455).properties(&properties);
    pair.machine.subscribe(&request).unwrap();
    let filters = [filter("b")];
    pair.machine.unsubscribe(&UnsubscribeRequest::new(&filters).properties(&properties)).unwrap();
    assert_eq!(
        pair.sent(),
        [
            "SUBSCRIBE #1 a/#:1 [SubscriptionIdentifier(268435455), UserProperty(\"who\", \"me\")]",
            "UNSUBSCRIBE #2 b [UserProperty(\"who\", \"me\")]"
        ]
    );
    for identifier in [0, 268_435_456] {
        let filters = [Subscription::new(filter("a"), QoS::AtMostOnce)];
        let request = SubscribeRequest::new(&filters).subscription_identifier(identifier);
        assert!(pair.machine.subscribe(&request).is_err(), "{identifier}");
    }
}

// trap S3; [v3 MQTT-2.3.1-3]
#[test]
fn a_request_in_flight_at_the_cut_is_sent_again_with_its_identifier() {
    for version in any_version() {
        for present in [true, false] {
            let mut pair = Pair::connected(version);
            pair.subscribe(&[("a", 1)]).unwrap();
            pair.unsubscribe(&["b"]).unwrap();
            assert_eq!(pair.sent().len(), 2);
            pair.subscribe(&[("c", 1)]).unwrap();
            pair.reconnect(present);
            assert_eq!(pair.sent(), ["SUBSCRIBE #1 a:1", "UNSUBSCRIBE #2 b", "SUBSCRIBE #3 c:1"]);
            assert_eq!(pair.suback(1, &[1]).len(), 1);
            assert_eq!(pair.unsuback(2, &[0]).len(), 1);
            assert_eq!(pair.suback(3, &[1]).len(), 1);
            assert!(pair.session().is_idle());
        }
    }
}

#[test]
fn a_request_can_be_taken_back_between_connections() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a", 1)]).unwrap();
        pair.sent();
        assert!(!pair.machine.cancel(id(1)), "in flight");
        pair.subscribe(&[("b", 1)]).unwrap();
        assert!(pair.machine.cancel(id(2)));
        pair.connect(&options(version));
        assert!(pair.machine.cancel(id(1)));
        assert_eq!(pair.outcomes(), ["Subscribe #2 NotSent", "Subscribe #1 Unknown"]);
        pair.connack(true, &[]);
        assert!(pair.sent().is_empty());
    }
}

// trap S9
#[test]
fn subscriptions_that_the_server_lost_are_asked_for_again() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a", 1), ("b", 2)]).unwrap();
        pair.sent();
        pair.suback(1, &[1, 2]);
        pair.reconnect(true);
        assert!(pair.sent().is_empty(), "they stand");
        pair.publish(1, "x").unwrap();
        assert_eq!(pair.reconnect(false), ["Connected lost"]);
        assert_eq!(pair.sent(), ["SUBSCRIBE #3 a:1", "SUBSCRIBE #4 b:2", "PUBLISH #2 q1 t x"]);
        assert_eq!(pair.suback(3, &[1]), ["Renewed 1 0"]);
        assert_eq!(pair.suback(4, &[0x80]), ["Renewed 0 1"]);
        assert_eq!(list(&pair), ["a:1 Granted", "b:2 Refused(ReasonCode(128))"]);
        assert_eq!(pair.puback(2), ["Published #2"]);
        assert!(pair.session().is_idle());
        // The next loss is another chance.
        pair.reconnect(false);
        assert_eq!(pair.sent(), ["SUBSCRIBE #5 a:1", "SUBSCRIBE #6 b:2"]);
    }
}

// trap S9, 3.1.1 with Clean Session 1: each connection begins without them.
#[test]
fn a_clean_session_renews_its_subscriptions_each_time() {
    for version in any_version() {
        let clean = options(version).keep_session(false).clean_start(CleanStart::Always);
        let mut pair = Pair::connected_as(&clean.clean_start(if version.is_v5() {
            CleanStart::Always
        } else {
            CleanStart::First
        }));
        pair.subscribe(&[("a", 1)]).unwrap();
        pair.sent();
        pair.suback(1, &[1]);
        for number in 2..5 {
            assert_eq!(pair.connect(&clean), "CONNECT c clean");
            pair.connack(false, &[]);
            assert_eq!(pair.sent(), [format!("SUBSCRIBE #{number} a:1")]);
            pair.suback(number, &[1]);
        }
    }
}

#[test]
fn a_renewal_that_was_cut_is_made_again() {
    for version in any_version() {
        for present in [true, false] {
            let mut pair = Pair::connected(version);
            pair.subscribe(&[("a", 1), ("b", 1)]).unwrap();
            pair.sent();
            pair.suback(1, &[1, 1]);
            pair.reconnect(false);
            assert!(pair.next_packet().is_some(), "one of two");
            pair.reconnect(present);
            let sent = pair.sent();
            assert_eq!(sent.len(), 2, "{sent:?}");
            assert!(sent[0].ends_with("a:1") && sent[1].ends_with("b:1"), "{sent:?}");
        }
    }
}

#[test]
fn what_is_taken_out_of_the_list_lets_the_others_be_renewed() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a", 1), ("b", 1), ("c", 1)]).unwrap();
        pair.sent();
        pair.suback(1, &[1, 1, 1]);
        pair.reconnect(false);
        assert!(pair.next_packet().is_some(), "a: one of three");
        assert_eq!(pair.suback(2, &[0x80]), ["Renewed 0 1"]);
        pair.machine.remove_subscription(filter("a"));
        assert_eq!(pair.sent(), ["SUBSCRIBE #3 b:1", "SUBSCRIBE #4 c:1"]);
        pair.machine.remove_subscription(filter("b"));
        assert_eq!(pair.sent(), [""; 0], "nothing is due");
        assert_eq!(list(&pair), ["c:1 Asked(PacketIdentifier(4))"]);
    }
}

#[test]
fn a_renewal_keeps_options_and_identifier() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    let mut subscription = Subscription::new(filter("a"), QoS::AtLeastOnce);
    subscription.options.no_local = true;
    subscription.options.retain_as_published = true;
    let filters = [subscription];
    pair.machine.subscribe(&SubscribeRequest::new(&filters).subscription_identifier(7)).unwrap();
    let first = pair.sent_bytes();
    pair.suback(1, &[1]);
    pair.reconnect(false);
    let mut again = pair.sent_bytes();
    assert_eq!(again[0][3], 2, "another Packet Identifier");
    again[0][3] = 1;
    assert_eq!(again, first);
}

#[test]
fn a_renewal_that_the_new_server_cannot_take_is_marked() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.subscribe(&[("a/+", 1), ("b", 1)]).unwrap();
    pair.sent();
    pair.suback(1, &[1, 1]);
    pair.connect(&options(ProtocolVersion::V5_0));
    pair.connack(false, &[Property::WildcardSubscriptionAvailable(0)]);
    assert_eq!(pair.sent(), ["SUBSCRIBE #2 b:1"]);
    let refused = Renewal::Refused(ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
    assert_eq!(pair.machine.subscriptions.renewal(0), Some(refused));
    assert_eq!(pair.machine.refused_renewals(), 1);
    // The next Server can.
    pair.reconnect(false);
    assert_eq!(pair.machine.refused_renewals(), 0);
    assert_eq!(pair.sent().len(), 2);
}

#[test]
fn a_renewal_that_is_not_sent_is_marked_with_what_the_server_would_say() {
    use Property as P;
    let of_3_1_1 = options(ProtocolVersion::V3_1_1);
    let of_5_0 = options(ProtocolVersion::V5_0);
    for (options, connack, filter_text, code) in [
        (of_5_0, &[P::WildcardSubscriptionAvailable(0)][..], "+", ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        (of_5_0, &[P::SharedSubscriptionAvailable(0)], "$share/g/a", ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        (of_5_0, &[P::SubscriptionIdentifierAvailable(0)], "a", ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
        (of_5_0, &[P::MaximumPacketSize(11)], "a", ReasonCode::PACKET_TOO_LARGE),
        (of_3_1_1, &[], "a", ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
    ] {
        let mut pair = Pair::connected(ProtocolVersion::V5_0);
        let mut subscription = Subscription::new(filter(filter_text), QoS::AtLeastOnce);
        subscription.options.retain_as_published = true;
        let filters = [subscription];
        pair.machine.subscribe(&SubscribeRequest::new(&filters).subscription_identifier(200)).unwrap();
        pair.sent();
        pair.suback(1, &[1]);
        pair.connect(&options);
        pair.connack(false, connack);
        assert!(pair.sent().is_empty());
        assert_eq!(pair.machine.subscriptions.renewal(0), Some(Renewal::Refused(code)));
        assert_eq!(pair.machine.refused_renewals(), 1);
        assert!(pair.machine.is_connected());
    }
}

// What is asked for now comes behind what was granted before: the later word counts.
#[test]
fn a_request_comes_behind_the_renewal_that_it_changes() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a", 1), ("b", 1)]).unwrap();
        pair.sent();
        pair.suback(1, &[1, 1]);
        pair.connect(&options(version));
        pair.unsubscribe(&["a"]).unwrap();
        pair.subscribe(&[("b", 2)]).unwrap();
        pair.connack(false, &[]);
        assert_eq!(pair.sent(), ["SUBSCRIBE #4 a:1", "SUBSCRIBE #5 b:1", "UNSUBSCRIBE #2 a", "SUBSCRIBE #3 b:2"]);
        pair.suback(4, &[1]);
        pair.suback(5, &[1]);
        pair.unsuback(2, &[0]);
        pair.suback(3, &[2]);
        assert_eq!(list(&pair), ["b:2 Granted"]);
    }
}

#[test]
fn a_full_list_refuses_a_subscription_that_could_not_be_renewed() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let filters: Vec<_> = ["1", "2", "3", "4", "5", "6", "7"].iter().map(|filter| (*filter, 0)).collect();
        assert_eq!(pair.subscribe(&filters), Err(UsageError::SubscriptionsFull));
        pair.subscribe(&filters[..6]).unwrap();
        pair.sent();
        pair.suback(1, &[0; 6]);
        assert_eq!(pair.subscribe(&[("7", 0)]), Err(UsageError::SubscriptionsFull));
        let long = "x".repeat(33);
        assert_eq!(pair.subscribe(&[(&long, 0)]), Err(UsageError::SubscriptionsFull));
        // The same filter is one subscription.
        pair.unsubscribe(&["3"]).unwrap();
        pair.sent();
        pair.unsuback(2, &[0]);
        assert_eq!(pair.subscribe(&[("7", 0)]), Ok(3));
    }
}

#[test]
fn what_is_asked_for_has_its_room_in_the_list_already() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("1", 0), ("2", 0), ("3", 0)]).unwrap();
        pair.subscribe(&[("4", 0), ("5", 0)]).unwrap();
        assert_eq!(pair.subscribe(&[("6", 0), ("7", 0)]), Err(UsageError::SubscriptionsFull));
        pair.sent();
        pair.suback(1, &[0, 0x80, 0]);
        assert_eq!(pair.subscribe(&[("6", 0), ("7", 0)]), Ok(3), "one was refused");
        assert!(pair.machine.cancel(id(3)));
        pair.outcomes();
        assert_eq!(pair.subscribe(&[("8", 0), ("9", 0)]), Ok(4), "one was taken back");
        pair.sent();
        pair.suback(2, &[0, 0]);
        pair.suback(4, &[0, 0]);
        assert_eq!(list(&pair).len(), 6);
    }
}

#[test]
fn diagnostics_of_suback_are_handed_over() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.subscribe(&[("a", 1)]).unwrap();
    pair.sent();
    let properties = [Property::ReasonString("not today")];
    let events = pair.send(&mqtt_core::Packet::Suback(Suback {
        packet_identifier: id(1),
        properties: Properties::new(&properties),
        reason_codes: ReasonCodes::new(&[0x87]),
    }));
    assert_eq!(events, ["Subscribed #1 0x87"]);
}

// The table is full when the session is lost, so the UNSUBSCRIBE goes first; the Server refuses it.
#[test]
fn a_refused_unsubscribe_lets_the_renewal_through_that_waited_for_it() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.subscribe(&[("a", 1), ("b", 1)]).unwrap();
    pair.sent();
    pair.suback(1, &[1, 1]);
    pair.connect(&options(ProtocolVersion::V5_0));
    for _ in 0..15 {
        pair.publish(1, "x").unwrap();
    }
    let unsubscribe = pair.unsubscribe(&["a"]).unwrap();
    pair.connack(false, &[]);
    assert_eq!(pair.sent().len(), 16);
    pair.puback(2);
    let sent = pair.sent();
    assert!(sent.len() == 1 && sent[0].ends_with(" b:1"), "{sent:?}: not a behind the UNSUBSCRIBE");
    pair.puback(3);
    assert!(pair.sent().is_empty());
    pair.unsuback(unsubscribe, &[0x87]);
    assert!(pair.sent()[0].ends_with(" a:1"));
}
