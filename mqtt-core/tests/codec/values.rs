//! Values compare, order and print by what they mean, wherever they are kept.

use core::fmt::Debug;
use core::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::hash::DefaultHasher;

use mqtt_core::{
    ArrayAliases, ArrayStorage, ArraySubscriptions, Backoff, ConnectOptions, NoSubscriptions, Packet, PacketType,
    Properties, Property, ProtocolVersion, QoS, Sender, Session, Subscription, SubscriptionList, Subscriptions,
    TopicFilter, TopicFilters,
};

use crate::support::wire::packet;

const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// One was decoded, one is a list.
fn assert_same<T: Debug + Eq + Hash>(decoded: T, list: T, other: T) {
    assert_eq!(decoded, list);
    assert_ne!(decoded, other);
    assert_eq!(format!("{decoded:?}"), format!("{list:?}"));
    assert_ne!(format!("{decoded:?}"), format!("{other:?}"));
    let hashes = BuildHasherDefault::<DefaultHasher>::default();
    assert_eq!(hashes.hash_one(&decoded), hashes.hash_one(&list));
    assert_ne!(hashes.hash_one(&decoded), hashes.hash_one(&other));
}

#[test]
fn what_was_decoded_is_equal_to_what_was_listed() {
    let encoded = b"\x26\x00\x01a\x00\x01b\x1f\x00\x01c";
    let list = [Property::UserProperty("a", "b"), Property::ReasonString("c")];
    let decoded = Properties::from_encoded(PacketType::Suback, Sender::Server, encoded).unwrap();
    assert_same(decoded, Properties::new(&list), Properties::default());

    let (a, b) = (TopicFilter::new("a").unwrap(), TopicFilter::new("b/#").unwrap());
    let subscriptions = [Subscription::new(a, QoS::AtMostOnce), Subscription::new(b, QoS::ExactlyOnce)];
    let bytes = packet(0x82, b"\x00\x01\x00\x00\x01a\x00\x00\x03b/#\x02");
    let Packet::Subscribe(subscribe) = Packet::decode(V5, Sender::Client, &bytes).unwrap() else { panic!() };
    assert_same(subscribe.filters, Subscriptions::new(&subscriptions), Subscriptions::new(&subscriptions[..1]));
    assert_eq!(subscribe.filters.len(), 2);

    let filters = [a, b];
    let bytes = packet(0xa2, b"\x00\x01\x00\x00\x01a\x00\x03b/#");
    let Packet::Unsubscribe(unsubscribe) = Packet::decode(V5, Sender::Client, &bytes).unwrap() else { panic!() };
    assert_same(unsubscribe.filters, TopicFilters::new(&filters), TopicFilters::new(&filters[1..]));
    assert_eq!((unsubscribe.filters.len(), TopicFilters::new(&filters[1..]).len()), (2, 1));
}

#[test]
fn versions_are_ordered_as_they_came() {
    let mut versions = [V5, ProtocolVersion::V3_1, ProtocolVersion::V3_1_1];
    versions.sort();
    assert_eq!(versions, [ProtocolVersion::V3_1, ProtocolVersion::V3_1_1, V5]);
    assert!(V5 > ProtocolVersion::V3_1_1);
}

#[test]
fn what_is_made_by_default_is_new() {
    assert_eq!(Backoff::default(), Backoff::new());
    assert!(Session::<ArrayStorage<1, 1, 8>>::new(ArrayStorage::default()) == Session::new(ArrayStorage::new()));
    assert!(ArrayAliases::<1, 1, 8>::default() == ArrayAliases::new());
    assert!(ArraySubscriptions::<1, 8>::default().is_empty());
    assert_eq!(ConnectOptions::new("").version, V5);
}

#[test]
fn a_list_keeps_what_it_is_given_and_no_list_takes_it_and_stays_empty() {
    let subscription = Subscription::new(TopicFilter::new("a").unwrap(), QoS::AtMostOnce);
    let mut list = ArraySubscriptions::<1, 8>::new();
    assert!(list.insert(subscription, None) && !list.is_empty());
    let mut none = NoSubscriptions;
    assert!(none.insert(subscription, None) && none.is_empty());
}
