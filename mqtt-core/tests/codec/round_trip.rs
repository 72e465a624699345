//! Whatever can be written is read as the same, and whatever can be read is written as the same.

use mqtt_core::{Framing, Input, Packet, TopicFilter, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::any_bytes;
use crate::support::samples::samples;
use crate::support::strategies::{packet, topic_filter};

fn written(packet: Packet<'_>, version: mqtt_core::ProtocolVersion, sender: mqtt_core::Sender) -> Vec<u8> {
    let len = packet.encoded_len(version, sender).unwrap_or_else(|error| panic!("{packet:?}: {error}"));
    let mut out = vec![0; len];
    assert_eq!(packet.encode(version, sender, &mut out), Ok(len));
    out
}

/// What §4.7 says, by recursion over levels.
fn matches_by_the_book(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => matches_by_the_book(filter, topic),
        ([wanted, filter @ ..], [level, topic @ ..]) => wanted == level && matches_by_the_book(filter, topic),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_is_read_as_it_was_written((version, sender, packet) in packet()) {
        let wire = written(packet, version, sender);
        prop_assert_eq!(Packet::decode(version, sender, &wire), Ok(packet));
        prop_assert_eq!(Framing::packet_len(&wire), Some(wire.len()));
        let mut framing = Framing::new(version);
        prop_assert_eq!(framing.next(&wire, wire.len()), Ok(Some((Input::Packet(&wire), wire.len()))));
        any_bytes::decode(&wire);
    }

    #[test]
    fn a_packet_cut_short_or_changed_is_refused_or_another_packet(
        (version, sender, packet) in packet(),
        index in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut wire = written(packet, version, sender);
        let index = index.index(wire.len());
        prop_assert!(Packet::decode(version, sender, &wire[..index]).is_err());
        wire[index] = byte;
        any_bytes::decode(&wire);
    }

    #[test]
    fn any_bytes_at_all(bytes in vec(any::<u8>(), 0..64)) {
        any_bytes::decode(&bytes);
        any_bytes::frames(&bytes);
    }

    #[test]
    fn a_stream_of_packets_in_any_pieces(
        packets in vec(packet(), 1..6),
        capacity in 0..300_usize,
        pieces in vec(1..40_usize, 1..8),
    ) {
        let version = packets[0].0;
        let packets = packets.iter().filter(|(found, ..)| *found == version);
        let stream: Vec<u8> =
            packets.flat_map(|&(version, sender, packet)| written(packet, version, sender)).collect();
        let mut pieces = pieces.into_iter().cycle();
        any_bytes::split_anywhere(version, capacity, &stream, || pieces.next().unwrap_or(1));
    }

    #[test]
    fn filters_match_by_the_book(filter in topic_filter(), topic in "[ab/]{0,4}[ab/$]") {
        let topic = TopicName::new(&topic).unwrap();
        let levels: Vec<_> = topic.as_str().split('/').collect();
        let filter_levels: Vec<_> = filter.without_share().split('/').collect();
        let hidden = topic.as_str().starts_with('$') && matches!(filter_levels[0], "#" | "+");
        prop_assert_eq!(filter.matches(topic), !hidden && matches_by_the_book(&filter_levels, &levels));
        prop_assert!(TopicFilter::new(topic.as_str()).unwrap().matches(topic));
    }
}

#[test]
fn frames_of_samples_with_any_selector() {
    let stream: Vec<u8> = samples().iter().flat_map(|sample| sample.wire.clone()).collect();
    for selector in 0..3 {
        for capacity in 0..=255 {
            for step in [0, 1] {
                any_bytes::frames(&[&[selector, 0, capacity, step], &stream[..]].concat());
            }
        }
    }
}
