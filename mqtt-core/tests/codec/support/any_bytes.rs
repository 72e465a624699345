//! What must hold for any bytes at all: the fuzzer calls these functions, and so do tests.

use mqtt_core::{
    DecodeError, EncodeError, Frames, Framing, Input, Packet, PropertyIdentifier, ProtocolVersion, Sender,
};

const VERSIONS: [ProtocolVersion; 3] = [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1, ProtocolVersion::V3_1];

/// Decodes the bytes in every version and direction. What decodes must encode, but for a Response Topic that is none,
/// into as many bytes as were promised and not one less, and the encoding must decode to the same.
pub(crate) fn decode(bytes: &[u8]) {
    for version in VERSIONS {
        for sender in [Sender::Client, Sender::Server] {
            if let Ok(packet) = Packet::decode(version, sender, bytes) {
                encode_again(packet, version, sender);
            }
        }
    }
}

fn encode_again(packet: Packet<'_>, version: ProtocolVersion, sender: Sender) {
    const UNTOUCHED: u8 = 0xa5;
    let needed = match packet.encoded_len(version, sender) {
        // What is no topic is borne, and never written.
        Err(EncodeError::PropertyValue(PropertyIdentifier::ResponseTopic)) => return,
        needed => needed.expect("a decoded packet can be encoded"),
    };
    let mut encoded = vec![UNTOUCHED; needed + 1];
    assert_eq!(packet.encode(version, sender, &mut encoded), Ok(needed));
    assert_eq!(encoded.pop(), Some(UNTOUCHED), "more was written than was said");
    assert_eq!(Packet::decode(version, sender, &encoded), Ok(packet));
    let mut small = vec![UNTOUCHED; needed - 1];
    assert_eq!(packet.encode(version, sender, &mut small), Err(EncodeError::BufferTooSmall { needed }));
    assert!(small.iter().all(|&byte| byte == UNTOUCHED), "a failed encoding wrote something");
}

/// Takes version, capacity and a way to split from the first four bytes, and frames the others.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((&[selector, high, low, step], stream)) = bytes.split_first_chunk() else {
        return;
    };
    let version = VERSIONS[usize::from(selector) % VERSIONS.len()];
    let capacity = usize::from(u16::from_be_bytes([high & 0x03, low]));
    let mut state = u32::from(step);
    split_anywhere(version, capacity, stream, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Single bytes for one half of the seeds, up to 64 at once for the other.
        if step % 2 == 0 { 1 } else { 1 + (state >> 26) as usize }
    });
}

/// Frames the stream in one piece and in the pieces that `next_piece` says, and compares.
pub(crate) fn split_anywhere(
    version: ProtocolVersion,
    capacity: usize,
    stream: &[u8],
    next_piece: impl FnMut() -> usize,
) {
    let whole = in_one_piece(version, capacity, stream);
    assert_eq!(whole, in_pieces(version, capacity, stream, next_piece), "capacity {capacity}");
    // Without a limit there are whole packets only; what came in parts must be the same packets.
    let unlimited = in_one_piece(version, usize::MAX, stream);
    for (found, packet) in whole.found.iter().zip(&unlimited.found) {
        match (found, packet) {
            (Found::Packet(found), Found::Packet(packet)) => assert_eq!(found, packet),
            (Found::InParts { head, payload_len, payload }, Found::Packet(packet)) => {
                assert_eq!(*packet, [head.as_slice(), payload].concat());
                assert_eq!(payload.len(), *payload_len as usize);
                if let Ok(Packet::Publish(publish)) = Packet::decode(version, Sender::Server, packet) {
                    assert_eq!(publish.payload, payload);
                }
            }
            (_, Found::InParts { .. }) => panic!("a packet in parts without a limit"),
        }
    }
}

/// All that framing found in a stream; parts of one payload are joined.
#[derive(Debug, Default, Eq, PartialEq)]
struct Findings {
    found: Vec<Found>,
    error: Option<DecodeError>,
}

#[derive(Debug, Eq, PartialEq)]
enum Found {
    Packet(Vec<u8>),
    InParts { head: Vec<u8>, payload_len: u32, payload: Vec<u8> },
}

impl Findings {
    /// Returns how many bytes the input has.
    fn add(&mut self, input: Input<'_>) -> usize {
        match input {
            Input::Packet(packet) => {
                self.found.push(Found::Packet(packet.to_vec()));
                packet.len()
            }
            Input::PublishHead { head, payload_len } => {
                assert_ne!(payload_len, 0);
                self.found.push(Found::InParts { head: head.to_vec(), payload_len, payload: vec![] });
                head.len()
            }
            Input::PublishPayload { bytes, last } => {
                let Some(Found::InParts { payload_len, payload, .. }) = self.found.last_mut() else {
                    panic!("a payload without a head");
                };
                assert!(!bytes.is_empty());
                payload.extend_from_slice(bytes);
                assert_eq!(last, payload.len() == *payload_len as usize);
                bytes.len()
            }
        }
    }
}

fn in_one_piece(version: ProtocolVersion, capacity: usize, stream: &[u8]) -> Findings {
    let mut findings = Findings::default();
    let mut framing = Framing::new(version);
    let mut rest = stream;
    loop {
        match framing.next(rest, capacity) {
            Ok(Some((input, consumed))) => {
                assert_eq!(findings.add(input), consumed);
                rest = &rest[consumed..];
            }
            Ok(None) => return findings,
            Err(error) => {
                assert_eq!(framing.next(rest, capacity), Err(error), "an error is not repeated");
                return Findings { error: Some(error), ..findings };
            }
        }
    }
}

fn in_pieces(
    version: ProtocolVersion,
    capacity: usize,
    stream: &[u8],
    mut next_piece: impl FnMut() -> usize,
) -> Findings {
    let mut findings = Findings::default();
    let mut buffer = vec![0; capacity];
    let mut frames = Frames::new(&mut buffer, version);
    let mut rest = stream;
    loop {
        loop {
            match frames.next() {
                Ok(Some(input)) => findings.add(input),
                Ok(None) => break,
                Err(error) => return Findings { error: Some(error), ..findings },
            };
        }
        if rest.is_empty() {
            return findings;
        }
        let space = frames.space();
        assert!(!space.is_empty(), "nothing can be read");
        let (piece, later) = rest.split_at(next_piece().clamp(1, space.len().min(rest.len())));
        space[..piece.len()].copy_from_slice(piece);
        frames.filled(piece.len());
        rest = later;
    }
}
