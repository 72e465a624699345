//! Topic Aliases, 5.0.

use mqtt_core::{
    Aliases, Machine, NoAliases, NoSubscriptions, Payload, Property, PropertyIdentifier, ProtocolVersion,
    PublishRequest, QoS, TopicAliasUse, UsageError,
};

use crate::support::{Pair, options, topic};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

fn alias(number: u16) -> [Property<'static>; 1] {
    [Property::TopicAlias(number)]
}

fn publish(pair: &mut Pair, name: &str, alias: TopicAliasUse) -> String {
    let request = PublishRequest::new(topic(name)).topic_alias(alias);
    pair.publish_request(&request, b"x").unwrap();
    pair.sent().pop().unwrap()
}

// trap L4; [v5 MQTT-3.3.2-10]
#[test]
fn every_incoming_alias_up_to_the_maximum_is_learned() {
    let mut pair = Pair::connected(V5);
    for number in 1..=3 {
        let name = format!("topic/{number}");
        assert_eq!(pair.message_to(Some(&name), &alias(number)), [format!("Message q0 {name} x")]);
    }
    for number in 1..=3 {
        assert_eq!(pair.message_to(None, &alias(number)), [format!("Message q0 topic/{number} x")]);
    }
    // It can be changed.
    pair.message_to(Some("other"), &alias(2));
    assert_eq!(pair.message_to(None, &alias(2)), ["Message q0 other x"]);
    assert_eq!(pair.message_to(None, &alias(1)), ["Message q0 topic/1 x"]);
}

// trap L4; [v5 MQTT-3.1.2-26 MQTT-3.3.2-11]
// [v5 §3.3.4: an alias of 0 or above the maximum is answered with 0x94]
// [v5 §3.3.4: an alias without a mapping and without a topic name is answered with 0x82]
#[test]
fn an_alias_above_the_maximum_or_unknown_closes() {
    for (name, number, error, reason) in [
        (Some("t"), 4, "TopicAliasInvalid", "0x94"),
        (None, 4, "TopicAliasInvalid", "0x94"),
        (Some("t"), u16::MAX, "TopicAliasInvalid", "0x94"),
        (None, 2, "TopicAliasUnknown", "0x82"),
    ] {
        let mut pair = Pair::connected(V5);
        pair.message_to(Some("t"), &alias(1));
        assert_eq!(pair.message_to(name, &alias(number)), [format!("error Protocol({error})")]);
        assert_eq!(pair.sent(), [format!("DISCONNECT {reason}")]);
    }
}

// [v5 MQTT-3.1.2-27]
#[test]
fn an_alias_where_none_was_announced_closes() {
    let mut machine = Machine::with(crate::support::Small::new(), NoAliases, NoSubscriptions);
    let (now, mut out) = (mqtt_core::Instant::ZERO, [0; 100]);
    let len = machine.connect(now, &options(V5), &mut out).unwrap();
    assert!(!out[..len].contains(&(PropertyIdentifier::TopicAliasMaximum as u8)), "it is not announced");
    machine.receive(now, mqtt_core::Input::Packet(&[0x20, 3, 0, 0, 0])).unwrap();
    let publish = [0x30, 7, 0, 1, b't', 3, 0x23, 0, 1];
    let error = machine.receive(now, mqtt_core::Input::Packet(&publish)).unwrap_err();
    assert!(format!("{error:?}").contains("TopicAliasInvalid"));
}

// trap L4: after a reconnect; [v5 MQTT-3.3.2-7]
#[test]
fn incoming_aliases_end_with_the_connection() {
    let mut pair = Pair::connected(V5);
    pair.message_to(Some("t"), &alias(1));
    pair.reconnect(true);
    assert_eq!(pair.message_to(None, &alias(1)), ["error Protocol(TopicAliasUnknown)"]);
}

#[test]
fn a_topic_too_long_for_the_memory_of_aliases_closes() {
    let mut pair = Pair::connected(V5);
    let long = "x".repeat(17);
    assert_eq!(pair.message_to(Some(&long), &alias(1)), ["error Protocol(TopicAliasTooLong)"]);
    assert_eq!(pair.sent(), ["DISCONNECT 0x83"]);
}

// [v5 MQTT-3.2.2-17 MQTT-3.3.2-8 MQTT-3.3.2-9]
#[test]
fn an_alias_by_hand_is_within_the_servers_maximum() {
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(5)]);
    assert_eq!(publish(&mut pair, "t", TopicAliasUse::Number(2)), "PUBLISH q0 t x [TopicAlias(2)]");
    assert_eq!(publish(&mut pair, "t", TopicAliasUse::Number(2)), "PUBLISH q0 - x [TopicAlias(2)]");
    assert_eq!(publish(&mut pair, "u", TopicAliasUse::Number(2)), "PUBLISH q0 u x [TopicAlias(2)]");
    assert_eq!(publish(&mut pair, "t", TopicAliasUse::Number(2)), "PUBLISH q0 t x [TopicAlias(2)]");
    // There is no memory for it here, so the topic goes each time.
    for _ in 0..2 {
        assert_eq!(publish(&mut pair, "t", TopicAliasUse::Number(5)), "PUBLISH q0 t x [TopicAlias(5)]");
    }
    for number in [0, 6] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let request = PublishRequest::new(topic("t")).topic_alias(TopicAliasUse::Number(number)).qos(qos);
            let refused = Err(UsageError::TopicAliasNotSupported { maximum: 5 });
            assert_eq!(pair.publish_request(&request, b"x"), refused);
        }
    }
}

// [v5 MQTT-3.2.2-18]
#[test]
fn without_a_maximum_no_alias_is_used() {
    for properties in [&[][..], &[Property::TopicAliasMaximum(0)]] {
        let mut pair = Pair::limited(properties);
        for _ in 0..3 {
            assert_eq!(publish(&mut pair, "t", TopicAliasUse::Automatic), "PUBLISH q0 t x");
        }
        let request = PublishRequest::new(topic("t")).topic_alias(TopicAliasUse::Number(1));
        assert_eq!(pair.publish_request(&request, b"x"), Err(UsageError::TopicAliasNotSupported { maximum: 0 }));
    }
    let mut pair = Pair::connected(ProtocolVersion::V3_1_1);
    assert_eq!(publish(&mut pair, "t", TopicAliasUse::Automatic), "PUBLISH q0 t x");
    let request = PublishRequest::new(topic("t")).topic_alias(TopicAliasUse::Number(1));
    assert_eq!(pair.publish_request(&request, b"x"), Err(UsageError::NotInVersion));
}

#[test]
fn automatic_aliases_replace_the_one_used_least_recently() {
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(10)]);
    let automatic = TopicAliasUse::Automatic;
    assert_eq!(publish(&mut pair, "a", automatic), "PUBLISH q0 a x [TopicAlias(1)]");
    assert_eq!(publish(&mut pair, "b", automatic), "PUBLISH q0 b x [TopicAlias(2)]");
    assert_eq!(publish(&mut pair, "a", automatic), "PUBLISH q0 - x [TopicAlias(1)]");
    assert_eq!(publish(&mut pair, "c", automatic), "PUBLISH q0 c x [TopicAlias(2)]");
    assert_eq!(publish(&mut pair, "a", automatic), "PUBLISH q0 - x [TopicAlias(1)]");
    assert_eq!(publish(&mut pair, "b", automatic), "PUBLISH q0 b x [TopicAlias(2)]");
    // The Server's maximum may be lower than the memory here.
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(1)]);
    assert_eq!(publish(&mut pair, "a", automatic), "PUBLISH q0 a x [TopicAlias(1)]");
    assert_eq!(publish(&mut pair, "b", automatic), "PUBLISH q0 b x [TopicAlias(1)]");
    assert_eq!(publish(&mut pair, "a", automatic), "PUBLISH q0 a x [TopicAlias(1)]");
    let (longest, long) = ("x".repeat(16), "x".repeat(17));
    assert_eq!(publish(&mut pair, &longest, automatic), format!("PUBLISH q0 {longest} x [TopicAlias(1)]"));
    assert_eq!(publish(&mut pair, &long, automatic), format!("PUBLISH q0 {long} x"), "no memory for it");
}

// An alias that was given to a topic too long to remember no longer stands for the one before.
#[test]
fn an_alias_never_stands_for_a_topic_that_the_server_has_forgotten() {
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(5)]);
    let long = "x".repeat(17);
    publish(&mut pair, "t", TopicAliasUse::Number(1));
    assert_eq!(publish(&mut pair, &long, TopicAliasUse::Number(1)), format!("PUBLISH q0 {long} x [TopicAlias(1)]"));
    assert_eq!(publish(&mut pair, "t", TopicAliasUse::Number(1)), "PUBLISH q0 t x [TopicAlias(1)]");
}

// trap L4: replayed with the full topic; [v5 MQTT-3.3.2-7]
#[test]
fn outgoing_aliases_end_with_the_connection() {
    for use_of_alias in [TopicAliasUse::Automatic, TopicAliasUse::Number(1)] {
        let mut pair = Pair::limited(&[Property::TopicAliasMaximum(2)]);
        let request = PublishRequest::new(topic("t")).qos(QoS::AtLeastOnce).topic_alias(use_of_alias);
        pair.publish_request(&request, b"a").unwrap();
        pair.publish_request(&request, b"b").unwrap();
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 t a [TopicAlias(1)]", "PUBLISH #2 q1 - b [TopicAlias(1)]"]);
        pair.connect(&options(V5));
        pair.connack(true, &[Property::TopicAliasMaximum(2)]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t a [TopicAlias(1)]", "PUBLISH #2 q1 dup - b [TopicAlias(1)]"]);
        // A Server without aliases: the full topic says the same.
        pair.connect(&options(V5));
        pair.connack(true, &[]);
        assert_eq!(pair.sent(), ["PUBLISH #1 q1 dup t a", "PUBLISH #2 q1 dup t b"]);
    }
}

#[test]
fn alias_and_expiry_stand_beside_the_message_s_own_properties() {
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(2)]);
    let properties = [Property::ContentType("c")];
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let request = PublishRequest::new(topic("t"))
            .qos(qos)
            .topic_alias(TopicAliasUse::Automatic)
            .message_expiry_interval(9)
            .properties(&properties);
        pair.publish_request(&request, b"x").unwrap();
        let line = pair.sent().pop().unwrap();
        for property in ["TopicAlias(1)", "MessageExpiryInterval(9)", "ContentType(\"c\")"] {
            assert!(line.contains(property), "{line}");
        }
    }
}

#[test]
fn an_alias_that_makes_the_packet_too_large_is_left_out() {
    let mut pair = Pair::limited(&[Property::TopicAliasMaximum(4), Property::MaximumPacketSize(18)]);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let request = PublishRequest::new(topic("t")).qos(qos).topic_alias(TopicAliasUse::Automatic);
        pair.publish_request(&request, b"0123456789").unwrap();
        let line = pair.sent().pop().unwrap();
        assert!(line.ends_with(" t 0123456789"), "{line}");
        assert!(pair.outcomes().is_empty());
    }
    // One that was asked for by its number is not.
    let request = PublishRequest::new(topic("t")).topic_alias(TopicAliasUse::Number(1));
    let refused = UsageError::PacketTooLarge { needed: 19, maximum: 18 };
    assert_eq!(pair.publish_request(&request, b"0123456789"), Err(refused));
}

/// Memory that is not to be asked for an outgoing alias.
#[derive(Clone)]
struct NotAsked;

impl Aliases for NotAsked {
    fn incoming_maximum(&self) -> u16 {
        0
    }

    fn incoming(&self, _: u16) -> Option<&str> {
        None
    }

    fn set_incoming(&mut self, _: u16, _: &str) -> bool {
        false
    }

    fn outgoing(&mut self, topic: &str) -> Option<u16> {
        panic!("{topic}")
    }

    fn outgoing_topic(&self, alias: u16) -> Option<&str> {
        panic!("{alias}")
    }

    fn choose_outgoing(&self, topic: &str, maximum: u16) -> Option<u16> {
        panic!("{topic} {maximum}")
    }

    fn set_outgoing(&mut self, alias: u16, topic: &str) -> bool {
        panic!("{alias} {topic}")
    }

    fn clear(&mut self) {}
}

// [v5 MQTT-3.2.2-18]
#[test]
fn a_server_without_aliases_leaves_their_memory_alone() {
    let mut machine = Machine::with(crate::support::Small::new(), NotAsked, NoSubscriptions);
    let (now, mut out) = (mqtt_core::Instant::ZERO, [0; 100]);
    machine.connect(now, &options(V5), &mut out).unwrap();
    machine.receive(now, mqtt_core::Input::Packet(&[0x20, 3, 0, 0, 0])).unwrap();
    let request = PublishRequest::new(topic("t")).topic_alias(TopicAliasUse::Automatic);
    let sent = machine.publish_at_most_once(&request, Payload::Bytes(b"x"), &mut out).unwrap();
    assert_eq!(out[..sent.head_len], [0x30, 5, 0, 1, b't', 0, b'x']);
}

#[test]
fn without_memory_no_alias_stands_for_anything() {
    let mut none = NoAliases;
    assert!(!none.set_incoming(1, "t") && !none.set_outgoing(1, "t"));
    assert_eq!((none.incoming_maximum(), none.incoming(1)), (0, None));
    assert_eq!((none.outgoing("t"), none.outgoing_topic(1), none.choose_outgoing("t", 1)), (None, None, None));
}
