//! Does again what a tape says, and compares.

use core::fmt;

use super::apply::Player;
use super::describe;
use super::format::{Damaged, Header, Kind, Reader, put_entry};
use super::recorder::{Note, layout};
use super::{Redact, Stop};
use crate::machine::Capacities;

/// A tape that was replayed, and nothing was different.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Replayed {
    /// Calls that were made again.
    pub calls: u64,
    /// Hashes of the whole state that were compared; 0 where other code than this wrote the tape.
    pub states: u64,
    /// Calls whose arguments make no packet, so that the machine refused them.
    pub refused: u64,
    /// Why the tape ends; `None`: the program that wrote it died.
    pub end: Option<Stop>,
    /// What was left out.
    pub redact: Redact,
}

impl Replayed {
    /// Tells whether it is all that the client did.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.end, Some(Stop::ClientEnded))
    }
}

/// A tape cannot be replayed, or what happens is not what happened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is no tape, or of another format.
    Format,
    /// The entry with this number, from 1, cannot be read.
    Damaged {
        /// Which entry.
        entry: u64,
    },
    /// The first answer that is another one.
    Different(Box<Difference>),
}

/// The first entry that is not as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Its number, from 1.
    pub entry: u64,
    /// Its moment: milliseconds of the client's life.
    pub at: u64,
    /// What was called, and what that does now.
    pub call: String,
    /// What stands in the tape.
    pub recorded: String,
    /// What came instead.
    pub replayed: String,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("not a tape of this format"),
            Self::Damaged { entry } => write!(f, "entry {entry} is damaged"),
            Self::Different(different) => {
                let Difference { entry, at, call, recorded, replayed } = &**different;
                write!(
                    f,
                    "entry {entry}, at {at} ms, is another one: {call}\n  recorded: {recorded}\n  replayed: {replayed}"
                )
            }
        }
    }
}

impl core::error::Error for ReplayError {}

/// Does again what a tape says.
///
/// # Errors
/// Those of [`ReplayError`].
pub fn replay(tape: &[u8]) -> Result<Replayed, ReplayError> {
    play(tape, None)
}

/// Does again what a tape says, and shows it: a line for each packet and each command, with its moment.
///
/// # Errors
/// Those of [`ReplayError`]; what came before it was shown.
pub fn replay_and_show(tape: &[u8], show: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<Replayed, ReplayError> {
    play(tape, Some(show))
}

/// Makes the calls of a tape, and a tape of the answers that they have now: what was left out stays left out. Where the machine was
/// mended, the tape of the failure becomes that of how it should be.
///
/// # Errors
/// As for [`replay`], but that nothing is different; an entry is damaged also where a call cannot be made any more, since it names a record
/// that there is none of now.
pub fn renew(tape: &[u8]) -> Result<Vec<u8>, ReplayError> {
    let mut reader = Reader(tape);
    let header = Header::read(&mut reader).map_err(|Damaged| ReplayError::Format)?;
    let mut renewed = Header { layout: layout(), ..header }.write();
    let mut player = Player::new(&header);
    let mut number = 0_u64;
    while let Some(entry) = reader.entry() {
        number = number.saturating_add(1);
        let damaged = ReplayError::Damaged { entry: number };
        let mut fields = Reader(entry);
        let kind = fields.byte().ok().and_then(Kind::from_u8).ok_or(damaged.clone())?;
        let mut is_as_it_was = false;
        match kind {
            Kind::Line | Kind::State => continue,
            Kind::Refused => {
                if player.refused(&mut fields).map_err(|Damaged| damaged)? {
                    player.machine.drop_note();
                }
                is_as_it_was = true;
            }
            Kind::End => {
                player.machine.note_state();
                is_as_it_was = true;
            }
            _ => player.call(kind, &mut fields).map_err(|Damaged| damaged)?,
        }
        for note in player.machine.take_notes() {
            put_entry(&mut renewed, &note.bytes);
        }
        if is_as_it_was {
            put_entry(&mut renewed, entry);
        }
    }
    Ok(renewed)
}

type Show<'a> = Option<&'a mut dyn FnMut(fmt::Arguments<'_>)>;

fn play(tape: &[u8], mut show: Show<'_>) -> Result<Replayed, ReplayError> {
    let mut reader = Reader(tape);
    let header = Header::read(&mut reader).map_err(|Damaged| ReplayError::Format)?;
    let mut play = Play {
        player: Player::new(&header),
        same_layout: header.layout == layout(),
        entry: 0,
        waiting: Vec::new(),
        done: Replayed { calls: 0, states: 0, refused: 0, end: None, redact: header.redact },
    };
    if let Some(show) = &mut show {
        let Capacities { exchanges, storage, .. } = header.capacities;
        show(format_args!(
            "   seconds  made {} ms after 1970, level {}; room for {exchanges} exchanges, {storage} bytes; {:?}",
            header.began,
            header.version.level(),
            header.redact
        ));
    }
    while let Some(entry) = reader.entry() {
        play.entry = play.entry.saturating_add(1);
        play.entry(entry)?;
        let said = &*play.player.said;
        if let (Some(show), false) = (&mut show, said.is_empty()) {
            let now = play.player.clock.now();
            show(format_args!("{:>6}.{:03}  {said}", now / 1000, now % 1000));
        }
        play.player.said.clear();
        if play.done.end.is_some() {
            break;
        }
    }
    if play.done.end.is_some() && !reader.is_empty() {
        return Err(ReplayError::Damaged { entry: play.entry.saturating_add(1) });
    }
    Ok(play.done)
}

struct Play<'t> {
    player: Player,
    same_layout: bool,
    /// The number of the entry.
    entry: u64,
    /// Entries that tell of the state before the next call.
    waiting: Vec<&'t [u8]>,
    done: Replayed,
}

impl<'t> Play<'t> {
    fn entry(&mut self, entry: &'t [u8]) -> Result<(), ReplayError> {
        let damaged = ReplayError::Damaged { entry: self.entry };
        let mut reader = Reader(entry);
        let kind = reader.byte().ok().and_then(Kind::from_u8).ok_or(damaged.clone())?;
        match kind {
            Kind::Line | Kind::State => {
                self.waiting.push(entry);
                return Ok(());
            }
            Kind::Refused => {
                self.done.refused = self.done.refused.saturating_add(1);
                if self.player.refused(&mut reader).map_err(|Damaged| damaged)? {
                    // Its entry is another one.
                    self.player.machine.drop_note();
                }
            }
            Kind::End => {
                let stop = reader.byte().ok().and_then(Stop::from_u8).filter(|_| reader.is_empty()).ok_or(damaged)?;
                self.done.end = Some(stop);
                // One that ended before its client may have lost what comes before the next call.
                match (stop, self.waiting.is_empty()) {
                    (_, true) => {}
                    (Stop::ClientEnded, false) => self.player.machine.note_state(),
                    _ => self.waiting.clear(),
                }
            }
            _ => {
                self.player.call(kind, &mut reader).map_err(|Damaged| damaged)?;
                self.done.calls = self.done.calls.saturating_add(1);
                self.waiting.push(entry);
            }
        }
        self.compare()
    }

    /// What is recorded and what is noted now, one by one.
    fn compare(&mut self) -> Result<(), ReplayError> {
        let noted = self.player.machine.take_notes();
        let recorded = core::mem::take(&mut self.waiting);
        let count = recorded.len().max(noted.len());
        for place in 0..count {
            let (recorded, note) = (recorded.get(place), noted.get(place));
            let is_state = |entry: &[u8]| entry.first() == Some(&(Kind::State as u8));
            match (recorded, note) {
                (Some(recorded), Some(note)) if **recorded == *note.bytes => {
                    self.done.states = self.done.states.saturating_add(u64::from(is_state(recorded)));
                }
                (Some(recorded), Some(note)) if !self.same_layout && is_state(recorded) && is_state(&note.bytes) => {}
                (recorded, note) => {
                    let recorded = recorded.map_or("nothing".to_owned(), |entry| words(entry, note));
                    let replayed = note.map_or("nothing".to_owned(), |note| words(&note.bytes, Some(note)));
                    return Err(ReplayError::Different(Box::new(Difference {
                        entry: self.entry,
                        at: self.player.clock.now(),
                        call: self.player.said.clone(),
                        recorded,
                        replayed,
                    })));
                }
            }
        }
        Ok(())
    }
}

/// An entry's answer in words; `note` knows where it begins.
fn words(entry: &[u8], note: Option<&Note>) -> String {
    match entry.first().copied().and_then(Kind::from_u8) {
        Some(Kind::Line) => describe::line(entry),
        Some(Kind::State) => format!("the state's hash {:02x?}", entry.get(1..).unwrap_or_default()),
        Some(kind) => {
            let answer = note.and_then(|note| entry.get(note.answer_at..)).unwrap_or_default();
            format!("{kind:?}: {}", describe::answer(kind, answer))
        }
        None => "nothing".to_owned(),
    }
}
