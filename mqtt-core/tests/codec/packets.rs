//! Every kind of packet in every shape: bytes to value, value to bytes, and what is left when some of it is missing.

use crate::support::any_bytes;
use crate::support::samples::samples;
use crate::support::wire::{ALL, BOTH, packet};
use mqtt_core::{DecodeError, EncodeError, Packet, PacketType, ProtocolVersion, Sender};

// Each sample has its bytes in the order of the standard and with the flags of its type, written by hand.
// [v3 v5 MQTT-3.1.3-1] [v3 v5 MQTT-3.1.3-3] [v3 v5 MQTT-3.1.3-4]
// [v3 MQTT-3.1.3-10 MQTT-3.1.3-11] [v5 MQTT-3.1.3-11 MQTT-3.1.3-12]
// [v3 v5 MQTT-3.3.2-1] [v5 MQTT-3.3.2-13 MQTT-3.3.2-19] [v3 v5 MQTT-3.8.3-1] [v3 v5 MQTT-3.10.3-1]
// [v3 MQTT-2.2.2-1] [v3 v5 MQTT-3.8.1-1] [v3 v5 MQTT-3.10.1-1] [v3 MQTT-3.14.1-1]
// [v5 MQTT-2.2.2-1] [v5 MQTT-3.1.2-1] [v3 v5 MQTT-3.1.2-9] [v3 MQTT-3.1.2-11]
#[test]
fn each_sample_is_written_as_its_bytes_and_read_from_them() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            let name = format!("{} {version:?} {sender:?}", sample.name);
            assert_eq!(Packet::decode(version, sender, &sample.wire), Ok(sample.packet), "{name}");
            assert_eq!(sample.packet.encoded_len(version, sender), Ok(sample.wire.len()), "{name}");
            let mut out = vec![0; sample.wire.len()];
            assert_eq!(sample.packet.encode(version, sender, &mut out), Ok(out.len()), "{name}");
            assert_eq!(out, sample.wire, "{name}");
        }
    }
}

// [v3 §2.2.1: each packet from its side] [v5 §2.1.2: each packet from its side]
#[test]
fn every_packet_type_of_every_version_and_sender_has_a_sample() {
    let samples = samples();
    for version in ALL {
        for sender in BOTH {
            for packet_type in (1..=15).filter_map(|number| PacketType::from_first_byte(number << 4)) {
                let has_sample = samples.iter().any(|sample| {
                    sample.packet.packet_type() == packet_type
                        && sample.directions().any(|direction| direction == (*version, *sender))
                });
                assert_eq!(
                    has_sample,
                    packet_type.is_sent_by(*sender, *version),
                    "{packet_type} {version:?} {sender:?}"
                );
            }
        }
    }
}

// [v5 §1.2: fields fill the packet exactly]
#[test]
fn no_prefix_of_a_packet_is_a_packet() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            for len in 0..sample.wire.len() {
                let prefix = &sample.wire[..len];
                assert_eq!(
                    Packet::decode(version, sender, prefix),
                    Err(DecodeError::UnexpectedEnd),
                    "{len} bytes of {} {version:?}",
                    sample.name
                );
            }
        }
    }
}

// trap L11
// [v5 §1.2: fields fill the packet exactly]
#[test]
fn a_packet_that_says_it_is_shorter_is_refused_unless_the_rest_may_be_left_out() {
    for sample in samples() {
        let body = &sample.wire[2..];
        for (version, sender) in sample.directions() {
            for len in 0..body.len() {
                let shorter = packet(sample.wire[0], &body[..len]);
                let is_packet = Packet::decode(version, sender, &shorter).is_ok();
                assert_eq!(is_packet, sample.ends_at.contains(&len), "{len} bytes of {} {version:?}", sample.name);
            }
        }
    }
}

// [v5 §1.2: fields fill the packet exactly]
#[test]
fn nothing_follows_a_packet() {
    for sample in samples() {
        let longer = [&sample.wire[..], &[0]].concat();
        for (version, sender) in sample.directions() {
            let decoded = Packet::decode(version, sender, &longer);
            assert_eq!(decoded, Err(DecodeError::TrailingBytes), "{}", sample.name);
        }
    }
}

#[test]
fn any_byte_of_a_packet_may_be_any_other() {
    for sample in samples() {
        let mut changed = sample.wire.clone();
        for index in 0..changed.len() {
            for byte in 0..=255 {
                changed[index] = byte;
                any_bytes::decode(&changed);
            }
            changed[index] = sample.wire[index];
        }
    }
}

// [v3 §2.2.1: each packet from its side] [v5 §2.1.2: each packet from its side]
#[test]
fn a_packet_from_the_side_that_does_not_send_it_is_refused() {
    for sample in samples() {
        let packet_type = sample.packet.packet_type();
        for &version in sample.versions {
            for &sender in BOTH {
                if packet_type.is_sent_by(sender, version) {
                    continue;
                }
                let decoded = Packet::decode(version, sender, &sample.wire);
                assert_eq!(decoded, Err(DecodeError::PacketNotAllowed(packet_type)), "{} {sender:?}", sample.name);
                let error = match (packet_type, version) {
                    (PacketType::Disconnect, ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1) => {
                        EncodeError::NotInVersion
                    }
                    _ => EncodeError::PacketNotAllowed(packet_type),
                };
                assert_eq!(sample.packet.encoded_len(version, sender), Err(error), "{} {sender:?}", sample.name);
            }
        }
    }
}

// [v3 §2.2.1: types 0 and 15 are forbidden]
#[test]
fn auth_does_not_exist_before_5_0() {
    for version in [ProtocolVersion::V3_1, ProtocolVersion::V3_1_1] {
        for sender in [Sender::Client, Sender::Server] {
            assert_eq!(Packet::decode(version, sender, &[0xf0, 0]), Err(DecodeError::ReservedPacketType));
            for sample in samples().iter().filter(|sample| sample.packet.packet_type() == PacketType::Auth) {
                assert_eq!(sample.packet.encoded_len(version, sender), Err(EncodeError::NotInVersion));
            }
        }
    }
}

// trap L15
#[test]
fn a_buffer_too_small_says_what_is_needed_and_stays_as_it_was() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            let needed = sample.wire.len();
            for len in 0..needed {
                let mut out = vec![0xa5; len];
                let result = sample.packet.encode(version, sender, &mut out);
                assert_eq!(result, Err(EncodeError::BufferTooSmall { needed }), "{}", sample.name);
                assert_eq!(out, vec![0xa5; len], "{}", sample.name);
            }
        }
    }
}

// trap L15
#[test]
fn a_larger_buffer_is_written_at_its_start_only() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            let mut out = vec![0xa5; sample.wire.len() + 3];
            assert_eq!(sample.packet.encode(version, sender, &mut out), Ok(sample.wire.len()), "{}", sample.name);
            assert_eq!(out, [&sample.wire[..], &[0xa5; 3]].concat(), "{}", sample.name);
        }
    }
}

// trap L9
#[test]
fn pings_have_nothing_behind_their_fixed_header() {
    for &version in ALL {
        for (sender, first) in [(Sender::Client, 0xc0), (Sender::Server, 0xd0)] {
            let longer = packet(first, &[0]);
            let decoded = Packet::decode(version, sender, &longer);
            assert_eq!(decoded, Err(DecodeError::TrailingBytes), "{first:02x} {version:?}");
        }
    }
}
