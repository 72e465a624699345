//! Packets and answers in words.

use core::fmt::Write as _;

use mqtt_core::{Packet, PacketType, ProtocolVersion, Sender};

use super::answer::REFUSED;
use super::format::{Kind, Reader};
use super::mask::as_whole;
use crate::describe::describe;

/// A packet as a line; the head of a PUBLISH as well, and what cannot be read.
pub(super) fn packet(version: ProtocolVersion, sender: Sender, bytes: &[u8]) -> String {
    match Packet::decode(version, sender, &as_whole(bytes).0) {
        Ok(decoded) => {
            let mut line = describe(&decoded);
            if let Some((place, _)) = line.char_indices().nth(LONGEST) {
                line.truncate(place);
                let _ = write!(line, ".. ({} bytes)", bytes.len());
            }
            line
        }
        Err(error) => {
            let name = bytes.first().and_then(|first| PacketType::from_first_byte(*first));
            let name = name.map_or_else(|| "a packet".to_owned(), |name| name.to_string());
            format!("{name} that cannot be read ({error}): {:02x?}", bytes.get(..SHOWN).unwrap_or(bytes))
        }
    }
}

/// A line has at most so many characters.
const LONGEST: usize = 300;

/// So many bytes of what cannot be read are shown.
const SHOWN: usize = 64;

/// What stands behind the arguments of a call.
pub(super) fn answer(kind: Kind, bytes: &[u8]) -> String {
    let mut reader = Reader(bytes);
    let Ok(len) = reader.number() else { return "nothing".to_owned() };
    let shown = reader.0;
    let refused = !matches!(
        kind,
        Kind::Expire
            | Kind::Cancel
            | Kind::ConnectionDied
            | Kind::PollOutcome
            | Kind::PollRecord
            | Kind::NextIdentifier
    );
    match shown {
        [] => "nothing".to_owned(),
        [REFUSED, name @ ..] if refused => format!("refused: {}", name.escape_ascii()),
        // A packet: what it begins with tells most of it.
        [0, 1, length_and_packet @ ..] if writes(kind) => {
            let mut packet = Reader(length_and_packet);
            let (_, _) = (packet.number(), packet.number());
            let name = packet.0.first().and_then(|first| PacketType::from_first_byte(*first));
            let name = name.map_or_else(|| "bytes".to_owned(), |name| name.to_string());
            format!("{name}, {len} bytes: {:02x?}", packet.0)
        }
        _ => format!("{len} bytes: {shown:02x?}"),
    }
}

/// Tells whether the answer is a packet.
const fn writes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::PollTransmit
            | Kind::PublishAtMostOnce
            | Kind::Connect
            | Kind::Authenticate
            | Kind::Reauthenticate
            | Kind::Disconnect
    )
}

/// What the machine looked like between two calls.
pub(super) fn line(entry: &[u8]) -> String {
    let mut reader = Reader(entry);
    let (_, flags) = (reader.byte(), reader.byte().unwrap_or(0));
    let timeout = reader.option::<u64>().ok().flatten();
    let numbers: Vec<u64> = core::iter::from_fn(|| reader.number().ok()).collect();
    let of = |place: usize| numbers.get(place).copied().unwrap_or(0);
    format!(
        "connected {}, closed {}, PINGRESP due {}, deadline {timeout:?}, {} exchanges out, {} in, {} bytes kept, {} subscriptions",
        flags & 4 != 0,
        flags & 2 != 0,
        flags & 1 != 0,
        of(0),
        of(1),
        of(2),
        of(3)
    )
}
