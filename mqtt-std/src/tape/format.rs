//! How a tape lies in a file: the bytes of numbers, texts and entries. [The module](super) has the format.

use mqtt_core::{Instant, ProtocolVersion};

use super::Redact;
use crate::machine::Capacities;

/// What every tape begins with.
const MAGIC: &[u8; 10] = b"MQTT tape\n";

/// The format that this code writes, and the only one that it reads.
const FORMAT: u8 = 1;

/// What fills the place of what is left out; and so what ends most fields that are long.
pub(super) const FILL: u8 = b'x';

/// As many fills at the end of a field are counted rather than written.
const RUN: usize = 8;

/// No field is longer: the largest packet there is.
const LONGEST: u64 = 268_435_455 + 5;

/// An answer up to this length stands as it is; of a longer one its beginning and its checksum do.
pub(super) const SHORT_ANSWER: usize = 40;
pub(super) const ANSWER_HEAD: usize = 24;

/// What an entry is. The numbers are the format's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    // What is known of the machine between two calls.
    Line = 1,
    State = 2,
    /// A call that cannot be written, because its arguments make no packet: the machine refuses it, and nothing has changed.
    Refused = 3,
    End = 4,
    // The calls.
    Connect = 16,
    Receive,
    FailFraming,
    BytesReceived,
    SetReading,
    PollTransmit,
    Transmitted,
    SourceWaits,
    HandleTimeout,
    Expire,
    PollOutcome,
    PollRecord,
    RecordsDurable,
    RecordFailed,
    Restore,
    SetDurable,
    ExpectSessionPresent,
    EndSession,
    PublishAtMostOnce,
    Publish,
    Subscribe,
    Unsubscribe,
    Acknowledge,
    Ping,
    Authenticate,
    Reauthenticate,
    Disconnect,
    TransportLost,
    ConnectionDied,
    SourceFailed,
    Cancel,
    SetIdentifiersAvailable,
    ChooseIdentifier,
    NextIdentifier,
    RemoveSubscription,
}

impl Kind {
    const ALL: [Self; 39] = [
        Self::Line,
        Self::State,
        Self::Refused,
        Self::End,
        Self::Connect,
        Self::Receive,
        Self::FailFraming,
        Self::BytesReceived,
        Self::SetReading,
        Self::PollTransmit,
        Self::Transmitted,
        Self::SourceWaits,
        Self::HandleTimeout,
        Self::Expire,
        Self::PollOutcome,
        Self::PollRecord,
        Self::RecordsDurable,
        Self::RecordFailed,
        Self::Restore,
        Self::SetDurable,
        Self::ExpectSessionPresent,
        Self::EndSession,
        Self::PublishAtMostOnce,
        Self::Publish,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Acknowledge,
        Self::Ping,
        Self::Authenticate,
        Self::Reauthenticate,
        Self::Disconnect,
        Self::TransportLost,
        Self::ConnectionDied,
        Self::SourceFailed,
        Self::Cancel,
        Self::SetIdentifiersAvailable,
        Self::ChooseIdentifier,
        Self::NextIdentifier,
        Self::RemoveSubscription,
    ];

    pub(super) fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What is needed to build the machine again, and to judge what it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) version: ProtocolVersion,
    pub(super) capacities: Capacities,
    pub(super) redact: Redact,
    /// Of the machine that was recorded: only the same code has the same hash of a state.
    pub(super) layout: u32,
    /// Milliseconds since 1970, by the clock of the computer.
    pub(super) began: u64,
}

impl Header {
    pub(super) fn write(&self) -> Vec<u8> {
        let Capacities { exchanges, storage, aliases_in, aliases_out, suspect_after } = self.capacities;
        let mut bytes = MAGIC.to_vec();
        bytes.extend([FORMAT, self.version.level(), self.redact.to_u8(), suspect_after]);
        bytes.extend(self.layout.to_be_bytes());
        for number in [self.began, exchanges.into(), storage as u64, aliases_in.into(), aliases_out.into()] {
            put_number(&mut bytes, number);
        }
        bytes
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        if reader.take(MAGIC.len())? != MAGIC || reader.byte()? != FORMAT {
            return Err(Damaged);
        }
        let version = version(reader.byte()?).ok_or(Damaged)?;
        let redact = Redact::from_u8(reader.byte()?).ok_or(Damaged)?;
        let suspect_after = reader.byte()?;
        let layout = u32::from_be_bytes(reader.array()?);
        let began = reader.number()?;
        let capacities = Capacities {
            exchanges: reader.narrow()?,
            storage: reader.narrow()?,
            aliases_in: reader.narrow()?,
            aliases_out: reader.narrow()?,
            suspect_after,
        };
        Ok(Self { version, capacities, redact, layout, began })
    }
}

/// The version of this level.
pub(super) const fn version(level: u8) -> Option<ProtocolVersion> {
    match level {
        3 => Some(ProtocolVersion::V3_1),
        4 => Some(ProtocolVersion::V3_1_1),
        5 => Some(ProtocolVersion::V5_0),
        _ => None,
    }
}

/// The last moment that an entry had, from which the next one counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Clock(u64);

impl Clock {
    /// 0 is itself, since calls that do not depend on the time have it; others are told by what has passed.
    pub(super) fn put(&mut self, bytes: &mut Vec<u8>, now: Instant) {
        let now = now.as_millis();
        if now == 0 {
            return put_number(bytes, 0);
        }
        let later = now >= self.0;
        let distance = now.abs_diff(self.0);
        self.0 = now;
        // Whatever its size: an odd number is one that goes back.
        put_number(bytes, distance.saturating_mul(2).saturating_add(u64::from(!later)).saturating_add(1));
    }

    pub(super) fn take(&mut self, reader: &mut Reader<'_>) -> Result<Instant, Damaged> {
        let Some(coded) = reader.number()?.checked_sub(1) else { return Ok(Instant::ZERO) };
        let distance = coded / 2;
        let now = if coded % 2 == 0 { self.0.checked_add(distance) } else { self.0.checked_sub(distance) };
        self.0 = now.ok_or(Damaged)?;
        Ok(Instant::from_millis(self.0))
    }

    /// Milliseconds.
    pub(super) const fn now(self) -> u64 {
        self.0
    }
}

/// Seven bits a byte, the lowest first.
pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Length, how many of its last bytes are [`FILL`] and are left out, and the others.
pub(super) fn put_bytes(bytes: &mut Vec<u8>, field: &[u8]) {
    let kept = field.iter().rposition(|byte| *byte != FILL).map_or(0, |last| last.saturating_add(1));
    let run = field.len().saturating_sub(kept);
    let run = if run < RUN { 0 } else { run };
    put_number(bytes, field.len() as u64);
    put_number(bytes, run as u64);
    bytes.extend_from_slice(field.get(..field.len().saturating_sub(run)).unwrap_or(field));
}

/// An entry with its length in front.
pub(super) fn put_entry(bytes: &mut Vec<u8>, entry: &[u8]) {
    put_number(bytes, entry.len() as u64);
    bytes.extend_from_slice(entry);
}

/// `None` is 0, others are one more.
pub(super) fn put_option(bytes: &mut Vec<u8>, number: Option<u64>) {
    put_number(bytes, number.map_or(0, |number| number.saturating_add(1)));
}

/// The bytes are not those of a tape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Damaged;

/// Reads what the functions above write; whatever the bytes are, it is an error or a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damaged> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Damaged> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    /// A number that fits.
    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged)
    }

    pub(super) fn option<T: TryFrom<u64>>(&mut self) -> Result<Option<T>, Damaged> {
        let number = self.number()?.checked_sub(1);
        number.map(|number| T::try_from(number).map_err(|_| Damaged)).transpose()
    }

    /// The length of a buffer, or of a field.
    pub(super) fn len(&mut self) -> Result<usize, Damaged> {
        self.number().and_then(|len| if len > LONGEST { Err(Damaged) } else { Ok(len as usize) })
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Damaged> {
        let (len, run) = (self.len()?, self.len()?);
        let mut field = self.take(len.checked_sub(run).ok_or(Damaged)?)?.to_vec();
        field.resize(len, FILL);
        Ok(field)
    }

    /// The next entry; `None` at the end, or where the last one is not whole.
    pub(super) fn entry(&mut self) -> Option<&'a [u8]> {
        let mut rest = *self;
        let len = rest.narrow().ok()?;
        let entry = rest.take(len).ok()?;
        *self = rest;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for number in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(Reader(&bytes).number(), Ok(number));
        }
        for field in [&b""[..], b"x", b"xxxxxxx", b"xxxxxxxxx", b"topic", b"topicxxxxxxxxxxxx"] {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, field);
            assert_eq!(Reader(&bytes).bytes().as_deref(), Ok(field));
            assert_eq!(Reader(&bytes[..bytes.len() - 1]).bytes(), Err(Damaged));
        }
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, &[FILL; 100_000]);
        assert!(bytes.len() < 10, "{} bytes", bytes.len());
    }

    #[test]
    fn moments_are_told_by_what_has_passed() {
        let (mut written, mut bytes) = (Clock::default(), Vec::new());
        let moments = [0, 5, 5, 0, 100, 90, u64::MAX / 4].map(Instant::from_millis);
        moments.iter().for_each(|now| written.put(&mut bytes, *now));
        let (mut read, mut reader) = (Clock::default(), Reader(&bytes));
        for now in moments {
            assert_eq!(read.take(&mut reader), Ok(now));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn each_kind_has_a_number_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_u8(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_u8(0), None);
        assert_eq!(Kind::from_u8(Kind::RemoveSubscription as u8 + 1), None, "the last one is in the list");
    }
}
