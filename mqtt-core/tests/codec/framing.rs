//! Packets in a stream: any split gives the same packets.

use crate::support::any_bytes;
use crate::support::samples::samples;
use crate::support::wire::{ALL, packet};
use mqtt_core::{DecodeError, Frames, Framing, Input, ProtocolVersion};

/// All samples of a version behind one another.
fn stream(version: ProtocolVersion) -> Vec<u8> {
    samples()
        .iter()
        .filter(|sample| sample.versions.contains(&version))
        .flat_map(|sample| sample.wire.clone())
        .collect()
}

#[test]
fn pieces_of_any_one_size_give_the_same_packets() {
    for &version in ALL {
        let stream = stream(version);
        for capacity in [stream.len(), 200, 100] {
            for size in 1..=stream.len().min(130) {
                any_bytes::split_anywhere(version, capacity, &stream, || size);
            }
        }
    }
}

#[test]
fn a_split_at_any_two_places_gives_the_same_packets() {
    for &version in ALL {
        for sample in samples().iter().filter(|sample| sample.versions.contains(&version)) {
            let stream = [&sample.wire[..], &[0xc0, 0]].concat();
            for first in 1..stream.len() {
                for second in 1..stream.len() - first {
                    let mut sizes = [first, second].into_iter();
                    any_bytes::split_anywhere(version, 64, &stream, || sizes.next().unwrap_or(usize::MAX));
                }
            }
        }
    }
}

#[test]
fn any_capacity_gives_the_same_packets_or_the_same_error() {
    for &version in ALL {
        for sample in samples().iter().filter(|sample| sample.versions.contains(&version)) {
            let stream = [&sample.wire[..], &[0xc0, 0]].concat();
            for capacity in 0..=stream.len() + 1 {
                any_bytes::split_anywhere(version, capacity, &stream, || 1);
            }
        }
    }
}

#[test]
fn broken_streams_break_at_the_same_place_however_they_are_split() {
    for &version in ALL {
        for sample in samples().iter().filter(|sample| sample.versions.contains(&version)) {
            let mut stream = [&sample.wire[..], &[0xc0, 0]].concat();
            for index in 0..stream.len() {
                let good = stream[index];
                for byte in [0x00, 0x01, 0x36, 0x7f, 0x80, 0xff] {
                    stream[index] = byte;
                    for capacity in [5, 9, 64] {
                        any_bytes::split_anywhere(version, capacity, &stream, || 1);
                    }
                }
                stream[index] = good;
            }
        }
    }
}

#[test]
fn what_is_wrong_with_the_first_byte_is_found_at_the_first_byte() {
    for (first, error) in [
        (0x00, DecodeError::ReservedPacketType),
        (0x0f, DecodeError::ReservedPacketType),
        (0x21, DecodeError::InvalidFlags),
        (0x36, DecodeError::InvalidQoS),
        (0x38, DecodeError::InvalidFlags),
        (0x60, DecodeError::InvalidFlags),
        (0xd8, DecodeError::InvalidFlags),
        (0xff, DecodeError::InvalidFlags),
    ] {
        for &version in ALL {
            assert_eq!(Framing::new(version).next(&[first], 64), Err(error), "{first:02x}");
        }
    }
}

#[test]
fn a_remaining_length_is_wrong_as_soon_as_it_is_too_long() {
    for (bytes, result) in [
        (&[0x30, 0x80, 0x80, 0x80][..], Ok(None)),
        (&[0x30, 0x80, 0x80, 0x80, 0x80], Err(DecodeError::VariableByteInteger)),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], Err(DecodeError::VariableByteInteger)),
        (&[0x30, 0x80, 0x00], Err(DecodeError::VariableByteInteger)),
        (&[0xc0, 0x80, 0x80, 0x00], Err(DecodeError::VariableByteInteger)),
    ] {
        for &version in ALL {
            assert_eq!(Framing::new(version).next(bytes, 64), result, "{bytes:02x?}");
        }
    }
}

#[test]
fn a_publish_that_fits_is_whole_and_one_that_does_not_comes_in_parts() {
    let v5 = packet(0x32, b"\0\x01t\0\x09\x03\x23\0\x01payload");
    let v3 = packet(0x32, b"\0\x01t\0\x09payload");
    for (version, publish, head_len) in
        [(ProtocolVersion::V5_0, v5, 11), (ProtocolVersion::V3_1_1, v3.clone(), 7), (ProtocolVersion::V3_1, v3, 7)]
    {
        let mut framing = Framing::new(version);
        let len = publish.len();
        assert_eq!(framing.next(&publish, len), Ok(Some((Input::Packet(&publish), len))));
        assert_eq!(framing.next(&publish[..len - 1], len), Ok(None), "waits for the last byte of what fits");

        let (head, payload) = publish.split_at(head_len);
        assert_eq!(framing.next(&publish[..head_len - 1], len - 1), Ok(None));
        let found = framing.next(&publish[..head_len + 3], len - 1);
        assert_eq!(found, Ok(Some((Input::PublishHead { head, payload_len: 7 }, head_len))));
        let found = framing.next(&payload[..3], len - 1);
        assert_eq!(found, Ok(Some((Input::PublishPayload { bytes: b"pay", last: false }, 3))));
        assert_eq!(framing.next(&[], len - 1), Ok(None));
        // The payload ends within what is buffered: what follows is the next packet.
        let rest = [&payload[3..], &[0xd0, 0]].concat();
        let found = framing.next(&rest, len - 1);
        assert_eq!(found, Ok(Some((Input::PublishPayload { bytes: b"load", last: true }, 4))));
        assert_eq!(framing.next(&rest[4..], len - 1), Ok(Some((Input::Packet(&[0xd0, 0]), 2))));
    }
}

#[test]
fn what_does_not_fit_and_cannot_come_in_parts_is_too_large() {
    let publish = packet(0x30, b"\0\x05topic\0payload");
    let suback = packet(0x90, b"\0\x01\0\0\0\0\0");
    for (version, wire, capacity, too_large) in [
        (ProtocolVersion::V5_0, &publish, 9, true),
        (ProtocolVersion::V5_0, &publish, 10, false),
        (ProtocolVersion::V3_1_1, &publish, 8, true),
        (ProtocolVersion::V3_1_1, &publish, 9, false),
        (ProtocolVersion::V5_0, &suback, 8, true),
        (ProtocolVersion::V5_0, &suback, 9, false),
        (ProtocolVersion::V3_1_1, &suback, 8, true),
    ] {
        let found = Framing::new(version).next(wire, capacity);
        assert_eq!(found == Err(DecodeError::PacketTooLarge), too_large, "{version:?} in {capacity}: {found:?}");
    }
    // Known from the fixed header alone.
    let found = Framing::new(ProtocolVersion::V5_0).next(&suback[..2], 8);
    assert_eq!(found, Err(DecodeError::PacketTooLarge));
}

#[test]
fn a_head_that_is_longer_than_its_packet_is_refused() {
    for (version, publish) in [
        (ProtocolVersion::V5_0, packet(0x30, b"\0\x01t\x7fpayload")),
        (ProtocolVersion::V5_0, packet(0x30, b"\x01\0t\0payload")),
        (ProtocolVersion::V3_1_1, packet(0x30, b"\x01\0t\0payload")),
    ] {
        let found = Framing::new(version).next(&publish, publish.len() - 1);
        let refused = matches!(found, Err(DecodeError::UnexpectedEnd | DecodeError::PacketTooLarge));
        assert!(refused, "{publish:02x?}: {found:?}");
    }
}

#[test]
fn the_length_of_a_packet_is_known_with_its_fixed_header() {
    for (bytes, len) in [
        (&[][..], None),
        (&[0x30], None),
        (&[0x30, 0x80], None),
        (&[0x30, 0x05], Some(7)),
        (&[0x30, 0x80, 0x01], Some(131)),
        (&[0x30, 0xff, 0xff, 0xff, 0x7f, 0x00], Some(268_435_460)),
        (&[0x00, 0x05], None),
    ] {
        assert_eq!(Framing::packet_len(bytes), len, "{bytes:02x?}");
    }
}

#[test]
fn frames_begin_anew_with_a_new_connection() {
    let mut buffer = [0; 16];
    let mut frames = Frames::new(&mut buffer, ProtocolVersion::V5_0);
    let cut = &packet(0x30, b"\0\x01t\0 cut within this payload")[..10];
    frames.space()[..10].copy_from_slice(cut);
    frames.filled(10);
    assert!(matches!(frames.next(), Ok(Some(Input::PublishHead { .. }))));
    assert!(matches!(frames.next(), Ok(Some(Input::PublishPayload { last: false, .. }))));
    frames.reset(ProtocolVersion::V3_1_1);
    assert_eq!(frames.next(), Ok(None));
    assert_eq!(frames.space().len(), 16);
    frames.space()[..2].copy_from_slice(&[0xd0, 0]);
    frames.filled(2);
    assert_eq!(frames.next(), Ok(Some(Input::Packet(&[0xd0, 0]))));
}

#[test]
fn frames_take_no_more_than_there_is_space_for() {
    let mut buffer = [0xd0, 0];
    let mut frames = Frames::new(&mut buffer, ProtocolVersion::V5_0);
    frames.filled(usize::MAX);
    assert_eq!(frames.next(), Ok(Some(Input::Packet(&[0xd0, 0]))));
    assert_eq!(frames.next(), Ok(None));
}
