//! Any packet that can be written, for proptest.
//!
//! Packets borrow, and a strategy has nothing to lend from: what it makes is leaked. A run of tests can afford that.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Connect, Delivery, Disconnect, Packet, PacketIdentifier, PacketType, Properties,
    Property, PropertyIdentifier, ProtocolVersion, Publish, QoS, ReasonCode, ReasonCodes, RetainHandling, Sender,
    Suback, Subscribe, Subscription, SubscriptionOptions, Subscriptions, TopicFilter, TopicFilters, TopicName,
    Unsuback, Unsubscribe, Will,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::tables::{Block, PROPERTIES, is_allowed, is_code_of};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// A packet with the version and the sender that can write it.
pub(crate) fn packet() -> impl Strategy<Value = (ProtocolVersion, Sender, Packet<'static>)> {
    let versions = select(&[ProtocolVersion::V3_1, ProtocolVersion::V3_1_1, V5][..]);
    (versions, select(&[Sender::Client, Sender::Server][..])).prop_flat_map(|(version, sender)| {
        let packet_types: Vec<_> = (1..=15)
            .filter_map(|number| PacketType::from_first_byte(number << 4))
            .filter(|packet_type| packet_type.is_sent_by(sender, version))
            .collect();
        let packet = select(packet_types).prop_flat_map(move |packet_type| packet_of(packet_type, version, sender));
        (Just(version), Just(sender), packet)
    })
}

fn packet_of(packet_type: PacketType, version: ProtocolVersion, sender: Sender) -> BoxedStrategy<Packet<'static>> {
    let block = Block::Of(packet_type, sender);
    let properties = properties(version, block);
    let codes = code(version, packet_type, sender);
    let list_of_codes = vec(codes.clone(), 1..5).prop_map(|codes| {
        let bytes: Vec<u8> = codes.into_iter().map(ReasonCode::as_u8).collect();
        ReasonCodes::new(bytes.leak())
    });
    match packet_type {
        PacketType::Connect => connect(version).prop_map(Packet::Connect).boxed(),
        PacketType::Connack => (any::<bool>(), codes, properties)
            .prop_map(move |(present, reason_code, properties)| {
                let can_say = reason_code == ReasonCode::SUCCESS && version != ProtocolVersion::V3_1;
                Packet::Connack(Connack { session_present: present && can_say, reason_code, properties })
            })
            .boxed(),
        PacketType::Publish => publish(version, sender).prop_map(Packet::Publish).boxed(),
        PacketType::Puback => ack(AckKind::Puback, codes, properties),
        PacketType::Pubrec => ack(AckKind::Pubrec, codes, properties),
        PacketType::Pubrel => ack(AckKind::Pubrel, codes, properties),
        PacketType::Pubcomp => ack(AckKind::Pubcomp, codes, properties),
        PacketType::Subscribe => (packet_identifier(), properties, vec(subscription(version), 1..5))
            .prop_map(|(packet_identifier, properties, filters)| {
                let filters = Subscriptions::new(filters.leak());
                Packet::Subscribe(Subscribe { packet_identifier, properties, filters })
            })
            .boxed(),
        PacketType::Suback => (packet_identifier(), properties, list_of_codes)
            .prop_map(|(packet_identifier, properties, reason_codes)| {
                Packet::Suback(Suback { packet_identifier, properties, reason_codes })
            })
            .boxed(),
        PacketType::Unsubscribe => (packet_identifier(), properties, vec(topic_filter(), 1..5))
            .prop_map(|(packet_identifier, properties, filters)| {
                let filters = TopicFilters::new(filters.leak());
                Packet::Unsubscribe(Unsubscribe { packet_identifier, properties, filters })
            })
            .boxed(),
        PacketType::Unsuback => (packet_identifier(), properties, list_of_codes)
            .prop_map(move |(packet_identifier, properties, reason_codes)| {
                let reason_codes = if version == V5 { reason_codes } else { ReasonCodes::default() };
                Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes })
            })
            .boxed(),
        PacketType::Pingreq => Just(Packet::Pingreq).boxed(),
        PacketType::Pingresp => Just(Packet::Pingresp).boxed(),
        PacketType::Disconnect => (codes, properties)
            .prop_map(|(reason_code, properties)| Packet::Disconnect(Disconnect { reason_code, properties }))
            .boxed(),
        PacketType::Auth => (codes, properties)
            .prop_map(|(reason_code, properties)| Packet::Auth(Auth { reason_code, properties }))
            .boxed(),
    }
}

fn connect(version: ProtocolVersion) -> impl Strategy<Value = Connect<'static>> {
    let properties = properties(version, Block::Of(PacketType::Connect, Sender::Client));
    let credentials = (option::of(text()), option::of(bytes()));
    (any::<bool>(), any::<u16>(), text(), properties, option::of(will(version)), credentials).prop_map(
        move |(clean_start, keep_alive, client_identifier, properties, will, (user_name, password))| Connect {
            version,
            clean_start,
            keep_alive,
            client_identifier: if client_identifier.is_empty() && version != V5 { "c" } else { client_identifier },
            properties,
            will,
            user_name,
            password: password.filter(|_| version == V5 || user_name.is_some()),
        },
    )
}

fn will(version: ProtocolVersion) -> impl Strategy<Value = Will<'static>> {
    (topic_name(), bytes(), qos(), any::<bool>(), properties(version, Block::OfWill))
        .prop_map(|(topic, payload, qos, retain, properties)| Will { topic, payload, qos, retain, properties })
}

fn publish(version: ProtocolVersion, sender: Sender) -> impl Strategy<Value = Publish<'static>> {
    let delivery = (qos(), packet_identifier(), any::<bool>()).prop_map(|(qos, packet_identifier, dup)| match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier, dup },
    });
    let properties = properties(version, Block::Of(PacketType::Publish, sender));
    (topic_name(), any::<bool>(), delivery, any::<bool>(), properties, bytes()).prop_map(
        |(topic, by_alias, delivery, retain, properties, payload)| {
            let topic = if by_alias && properties.topic_alias().is_some() { None } else { Some(topic) };
            Publish { topic, delivery, retain, properties, payload }
        },
    )
}

fn ack(
    kind: AckKind,
    codes: impl Strategy<Value = ReasonCode> + 'static,
    properties: impl Strategy<Value = Properties<'static>> + 'static,
) -> BoxedStrategy<Packet<'static>> {
    (packet_identifier(), codes, properties)
        .prop_map(move |(packet_identifier, reason_code, properties)| {
            Packet::Ack(Ack { kind, packet_identifier, reason_code, properties })
        })
        .boxed()
}

fn subscription(version: ProtocolVersion) -> impl Strategy<Value = Subscription<'static>> {
    let retain_handling =
        select(&[RetainHandling::SendAtSubscribe, RetainHandling::SendIfNew, RetainHandling::DoNotSend][..]);
    (topic_filter(), qos(), any::<bool>(), any::<bool>(), retain_handling).prop_map(
        move |(filter, qos, no_local, retain_as_published, retain_handling)| {
            let no_local = no_local && !filter.is_shared();
            let options = SubscriptionOptions { qos, no_local, retain_as_published, retain_handling };
            Subscription { filter, options: if version == V5 { options } else { SubscriptionOptions::new(qos) } }
        },
    )
}

/// The codes of the standard's tables. An ack of 3.1.1 knows success only, and its CONNACK six codes.
fn code(
    version: ProtocolVersion,
    packet_type: PacketType,
    sender: Sender,
) -> impl Strategy<Value = ReasonCode> + Clone {
    let codes: Vec<_> = (0..=255)
        .filter(|&code| match (version, packet_type) {
            (V5, _) => is_code_of(code, packet_type, sender),
            (_, PacketType::Suback) => matches!(code, 0..=2 | 0x80),
            (_, PacketType::Connack) => matches!(code, 0 | 0x84..=0x88),
            _ => code == 0,
        })
        .map(ReasonCode::from_u8)
        .collect();
    // Packets without a code get one too, which nobody looks at.
    select(if codes.is_empty() { vec![ReasonCode::SUCCESS] } else { codes })
}

/// Any of the properties that may stand here, in any order, the repeatable ones repeated.
fn properties(version: ProtocolVersion, block: Block) -> BoxedStrategy<Properties<'static>> {
    if version != V5 {
        return Just(Properties::EMPTY).boxed();
    }
    let allowed: Vec<_> = PROPERTIES.iter().map(|row| row.1).filter(|&property| is_allowed(property, block)).collect();
    let len = allowed.len();
    subsequence(allowed, 0..=len)
        .prop_flat_map(move |mut chosen| {
            use PropertyIdentifier as I;
            let of = |packet_type| matches!(block, Block::Of(found, _) if found == packet_type);
            let needs_method =
                of(PacketType::Auth) || of(PacketType::Connect) && chosen.contains(&I::AuthenticationData);
            if needs_method && !chosen.contains(&I::AuthenticationMethod) {
                chosen.push(I::AuthenticationMethod);
            }
            if chosen.contains(&I::UserProperty) {
                chosen.extend([I::UserProperty; 2]);
            }
            if of(PacketType::Publish) && chosen.contains(&I::SubscriptionIdentifier) {
                chosen.push(I::SubscriptionIdentifier);
            }
            Just(chosen).prop_shuffle()
        })
        .prop_flat_map(|chosen| chosen.into_iter().map(property).collect::<Vec<_>>())
        .prop_map(|list| Properties::new(list.leak()))
        .boxed()
}

fn property(identifier: PropertyIdentifier) -> BoxedStrategy<Property<'static>> {
    use PropertyIdentifier as I;
    let flag = 0..=1_u8;
    match identifier {
        I::PayloadFormatIndicator => flag.prop_map(Property::PayloadFormatIndicator).boxed(),
        I::MessageExpiryInterval => any::<u32>().prop_map(Property::MessageExpiryInterval).boxed(),
        I::ContentType => text().prop_map(Property::ContentType).boxed(),
        I::ResponseTopic => topic_name().prop_map(|topic| Property::ResponseTopic(topic.as_str())).boxed(),
        I::CorrelationData => bytes().prop_map(Property::CorrelationData).boxed(),
        I::SubscriptionIdentifier => (1..=268_435_455_u32).prop_map(Property::SubscriptionIdentifier).boxed(),
        I::SessionExpiryInterval => any::<u32>().prop_map(Property::SessionExpiryInterval).boxed(),
        I::AssignedClientIdentifier => text().prop_map(Property::AssignedClientIdentifier).boxed(),
        I::ServerKeepAlive => any::<u16>().prop_map(Property::ServerKeepAlive).boxed(),
        I::AuthenticationMethod => text().prop_map(Property::AuthenticationMethod).boxed(),
        I::AuthenticationData => bytes().prop_map(Property::AuthenticationData).boxed(),
        I::RequestProblemInformation => flag.prop_map(Property::RequestProblemInformation).boxed(),
        I::WillDelayInterval => any::<u32>().prop_map(Property::WillDelayInterval).boxed(),
        I::RequestResponseInformation => flag.prop_map(Property::RequestResponseInformation).boxed(),
        I::ResponseInformation => text().prop_map(Property::ResponseInformation).boxed(),
        I::ServerReference => text().prop_map(Property::ServerReference).boxed(),
        I::ReasonString => text().prop_map(Property::ReasonString).boxed(),
        I::ReceiveMaximum => (1..=u16::MAX).prop_map(Property::ReceiveMaximum).boxed(),
        I::TopicAliasMaximum => any::<u16>().prop_map(Property::TopicAliasMaximum).boxed(),
        I::TopicAlias => (1..=u16::MAX).prop_map(Property::TopicAlias).boxed(),
        I::MaximumQoS => flag.prop_map(Property::MaximumQoS).boxed(),
        I::RetainAvailable => flag.prop_map(Property::RetainAvailable).boxed(),
        I::UserProperty => (text(), text()).prop_map(|(name, value)| Property::UserProperty(name, value)).boxed(),
        I::MaximumPacketSize => (1..=u32::MAX).prop_map(Property::MaximumPacketSize).boxed(),
        I::WildcardSubscriptionAvailable => flag.prop_map(Property::WildcardSubscriptionAvailable).boxed(),
        I::SubscriptionIdentifierAvailable => flag.prop_map(Property::SubscriptionIdentifierAvailable).boxed(),
        I::SharedSubscriptionAvailable => flag.prop_map(Property::SharedSubscriptionAvailable).boxed(),
    }
}

fn packet_identifier() -> impl Strategy<Value = PacketIdentifier> {
    (1..=u16::MAX).prop_filter_map("0 is no identifier", PacketIdentifier::new)
}

fn qos() -> impl Strategy<Value = QoS> {
    select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

/// Any text but U+0000; now and then one that takes the length field's upper byte.
fn text() -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![20 => "[^\0]{0,12}", 1 => "[a-z]{250,300}"].prop_map(|text| &*text.leak())
}

fn bytes() -> impl Strategy<Value = &'static [u8]> + Clone {
    prop_oneof![20 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 250..300)].prop_map(|bytes| &*bytes.leak())
}

fn topic_name() -> impl Strategy<Value = TopicName<'static>> + Clone {
    "[^\0+#]{1,12}".prop_map(|text| TopicName::new(text.leak()).unwrap())
}

pub(crate) fn topic_filter() -> impl Strategy<Value = TopicFilter<'static>> + Clone {
    let levels = (vec(prop_oneof!["[^\0+#/$]{1,3}", Just("+".into())], 1..4), any::<bool>(), any::<bool>());
    levels.prop_map(|(mut levels, rest, shared)| {
        if rest {
            levels.push("#".into());
        }
        let filter = levels.join("/");
        let text = if shared { format!("$share/group/{filter}") } else { filter };
        TopicFilter::new(text.leak()).unwrap()
    })
}
