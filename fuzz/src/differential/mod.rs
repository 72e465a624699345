//! Our decoder beside that of `mqtt-protocol-core`: both take the same packets and read the same from them, but for the differences
//! in `differences`, each of which the standard decides.

mod differences;
mod fields;
mod ours;
mod theirs;

use mqtt_core::{DecodeError, Packet, ProtocolVersion, Sender};

/// Reads a packet with both, in both versions.
pub fn differential(bytes: &[u8]) {
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        compare(version, bytes);
    }
}

fn compare(version: ProtocolVersion, bytes: &[u8]) {
    let ours = decode(version, bytes);
    if let Ok(Packet::Connect(connect)) = ours
        && connect.version != version
    {
        // It says its own version, and ours believes it: theirs has one decoder for each.
        return;
    }
    let theirs = theirs::read(version.is_v5(), bytes);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(ours::fields(version.is_v5(), &ours), theirs),
        (Ok(ours), None) => {
            assert!(differences::only_ours(version, &ours, bytes), "only ours reads {ours:?} in {version:?}");
        }
        (Err(error), Some(theirs)) => {
            let known = differences::only_theirs(version, error, &theirs, bytes);
            assert!(known, "only theirs reads {theirs:?} in {version:?}, ours: {error}");
        }
        (Err(_), None) => {}
    }
}

/// From whichever side: theirs is not told who sent it. Where neither may have, the error that does not depend on that.
fn decode(version: ProtocolVersion, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    use DecodeError as E;
    let from_client = Packet::decode(version, Sender::Client, bytes);
    let from_server = Packet::decode(version, Sender::Server, bytes);
    match (from_client, from_server) {
        (Ok(packet), _) | (_, Ok(packet)) => Ok(packet),
        (Err(E::PacketNotAllowed(_) | E::ReasonCodeNotAllowed(_) | E::PropertyNotAllowed(_)), Err(error)) => Err(error),
        (Err(error), Err(_)) => Err(error),
    }
}
