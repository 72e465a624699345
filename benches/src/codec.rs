//! What every codec is asked to do.

use crate::packets::Packet;

pub trait Codec {
    /// How it is called in the tables.
    const NAME: &'static str;

    /// A packet in the codec's own type, with all that it wants to know beforehand: making it is not measured.
    type Prepared<'a>;
    /// Where it writes to; used again for every encoding, as a connection does.
    type Output: AsRef<[u8]>;
    /// Where it reads from. What the codec takes away by reading is made anew each time, and that is not measured.
    type Input;
    /// What it hands out for one packet.
    type Decoded<'a>;

    fn prepare(packet: &Packet) -> Self::Prepared<'_>;

    fn output(capacity: usize) -> Self::Output;

    /// Replaces what is in `output` by the packets, one behind the other.
    fn encode(packets: &[Self::Prepared<'_>], output: &mut Self::Output);

    fn input(wire: &[u8]) -> Self::Input;

    /// Gives every packet of `input` to `each`, readable to its last field: a codec that reads properties only when
    /// asked is asked here, so that nobody is measured for work put off. A packet is looked at where it was returned:
    /// moving it once more would cost some as much as decoding it.
    fn decode(input: &mut Self::Input, each: impl FnMut(&Self::Decoded<'_>));

    fn gist(decoded: &Self::Decoded<'_>) -> Gist;
}

/// The fields by which `agreement` compares what codecs read. CONNECT shows its will, SUBSCRIBE its first filter.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Gist {
    /// The Control Packet type (§2.1.2).
    pub packet_type: u8,
    /// Zero where there is none.
    pub packet_identifier: u16,
    pub topic: Vec<u8>,
    pub payload: Vec<u8>,
    /// The value of the User Property, whichever comes first.
    pub user_property: Vec<u8>,
}
