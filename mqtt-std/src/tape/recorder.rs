//! Takes notes of each call and its answer.

use core::fmt::Debug;
use core::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use mqtt_core::{ProtocolVersion, Sender, SubscriptionList as _, Transmit, TransmitPayload};

use super::answer::{Answer, REFUSED, Told, Written, put_answer};
use super::encode::Pen;
use super::format::{Clock, Header, Kind, put_entry, put_number, put_option};
use super::mask::Mask;
use super::pipe::Pipe;
use super::{Redact, Stop};
use crate::machine::{Call, Capacities, Inner};
use crate::options::Options;

/// What the machine has for its notes: somebody who takes them, or nobody.
pub(crate) struct Notes(Option<Box<Recorder>>);

impl Notes {
    /// As the options of a client say.
    pub(crate) fn of(options: &Options, capacities: Capacities) -> Self {
        let tape = options.tape.as_ref();
        Self(tape.and_then(|tape| tape.begin(options.version, capacities)).map(Box::new))
    }

    /// Of a replay: what was left out already is not masked again.
    pub(super) fn of_replay() -> Self {
        Self(Some(Box::new(Recorder::new(Sink::Memory(Vec::new()), Redact::NOTHING))))
    }

    /// The entries that came since they were taken last.
    pub(crate) fn take(&mut self) -> Vec<Note> {
        match self.0.as_deref_mut() {
            Some(Recorder { sink: Sink::Memory(entries), .. }) => core::mem::take(entries),
            _ => Vec::new(),
        }
    }

    /// The last entry is not wanted.
    pub(crate) fn drop_last(&mut self) {
        if let Some(Recorder { sink: Sink::Memory(entries), .. }) = self.0.as_deref_mut() {
            entries.pop();
        }
    }

    /// Before a call.
    pub(crate) fn call<'a>(&mut self, machine: &Inner, call: impl FnOnce() -> Call<'a>) {
        self.close_if(|recorder| recorder.call(machine, &call()));
    }

    /// After it.
    pub(crate) fn answer(&mut self, answer: &impl Told) {
        self.close_if(|recorder| recorder.answer(answer));
    }

    /// After one that writes a packet to `out`.
    pub(crate) fn wrote<E: Debug>(&mut self, machine: &Inner, out: &[u8], written: Result<Option<Transmit>, E>) {
        self.close_if(|recorder| recorder.wrote(machine, out, written));
    }

    /// In a replay, for a call that is not made again.
    pub(crate) fn refused(&mut self, machine: &Inner) {
        self.close_if(|recorder| recorder.between(machine));
    }

    /// What the machine has become.
    pub(crate) fn state(&mut self, machine: &Inner) {
        self.close_if(|recorder| recorder.line(machine).and_then(|()| recorder.state(machine)));
    }

    /// Nothing more is noted.
    pub(crate) fn end(&mut self, machine: &Inner) {
        self.state(machine);
        self.0 = None;
    }

    /// Takes a note, which may be the last.
    fn close_if(&mut self, note: impl FnOnce(&mut Recorder) -> Result<(), Stop>) {
        if let Some(recorder) = self.0.as_deref_mut() {
            if let Err(stop) = note(recorder) {
                recorder.end(stop);
                self.0 = None;
            }
        }
    }
}

/// Where entries go.
enum Sink {
    File(Arc<Pipe>, u64),
    Memory(Vec<Note>),
}

/// An entry of a replay.
pub(crate) struct Note {
    pub(super) bytes: Vec<u8>,
    /// Where the answer begins.
    pub(super) answer_at: usize,
}

/// What the machine looks like between two calls; without what is masked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Line {
    timeout: Option<u64>,
    outgoing: u16,
    incoming: u16,
    used: u64,
    subscriptions: u64,
    flags: u8,
}

impl Line {
    fn of(machine: &Inner) -> Self {
        let flags = [machine.is_connected(), machine.is_closed(), machine.connection.awaits_pingresp()];
        Self {
            timeout: machine.poll_timeout().map(mqtt_core::Instant::as_millis),
            outgoing: machine.session.outgoing_len(),
            incoming: machine.session.incoming_len(),
            used: machine.session.storage().used() as u64,
            subscriptions: machine.subscriptions.len() as u64,
            flags: flags.into_iter().fold(0, |bits, flag| bits << 1 | u8::from(flag)),
        }
    }
}

pub(super) struct Recorder {
    sink: Sink,
    mask: Mask,
    clock: Clock,
    last: Line,
    /// Calls since the hash of the state was noted.
    calls: u32,
    entry: Vec<u8>,
    answer: Vec<u8>,
    /// The call makes no packet, so it must be refused.
    is_refused: bool,
}

/// So many calls are between two hashes of the machine's state.
const STATE_EVERY: u32 = 256;

/// What the mark at the end takes.
const END_LEN: u64 = 3;

impl Recorder {
    pub(super) fn to_file(pipe: Arc<Pipe>, limit: u64, header: &Header) -> Self {
        let header_bytes = header.write();
        let left = limit.saturating_sub(END_LEN).checked_sub(header_bytes.len() as u64);
        let _ = pipe.push(&header_bytes);
        Self::new(Sink::File(pipe, left.unwrap_or(0)), header.redact)
    }

    fn new(sink: Sink, redact: Redact) -> Self {
        Self {
            sink,
            mask: Mask::new(redact),
            clock: Clock::default(),
            last: Line::default(),
            calls: 0,
            entry: Vec::new(),
            answer: Vec::new(),
            is_refused: false,
        }
    }

    fn call(&mut self, machine: &Inner, call: &Call<'_>) -> Result<(), Stop> {
        self.between(machine)?;
        self.entry.clear();
        let clock = self.clock;
        let version = machine.connection.version();
        let mut pen = Pen { bytes: &mut self.entry, clock: &mut self.clock, mask: &self.mask, version };
        self.is_refused = pen.call(call).is_err();
        if self.is_refused {
            pen.bytes.clear();
            *pen.clock = clock;
            pen.refused(call);
        }
        Ok(())
    }

    /// Before each call.
    fn between(&mut self, machine: &Inner) -> Result<(), Stop> {
        self.line(machine)?;
        self.calls = self.calls.saturating_add(1);
        if self.calls >= STATE_EVERY { self.state(machine) } else { Ok(()) }
    }

    fn answer(&mut self, answer: &impl Told) -> Result<(), Stop> {
        self.answer.clear();
        answer.tell(&mut Answer { bytes: &mut self.answer, mask: &self.mask });
        if self.is_refused && self.answer.first() != Some(&REFUSED) {
            return Err(Stop::Unwritable);
        }
        let answer_at = self.entry.len();
        put_answer(&mut self.entry, &self.answer);
        self.note(answer_at)
    }

    fn wrote<E: Debug>(
        &mut self,
        machine: &Inner,
        out: &[u8],
        written: Result<Option<Transmit>, E>,
    ) -> Result<(), Stop> {
        let mut packet = match &written {
            Ok(Some(transmit)) => out.get(..transmit.head_len).unwrap_or_default().to_vec(),
            _ => Vec::new(),
        };
        self.mask.packet(machine.connection.version(), Sender::Client, &mut packet);
        let stored = match &written {
            Ok(Some(Transmit { payload: TransmitPayload::Stored(id), .. })) => {
                machine.session.storage().shared_payload(*id)
            }
            _ => bytes::Bytes::new(),
        };
        self.answer(&written.map(|transmit| transmit.map(|transmit| Written(transmit, &packet, &stored))))
    }

    /// What has changed since the last call, as far as that is short.
    fn line(&mut self, machine: &Inner) -> Result<(), Stop> {
        let line = Line::of(machine);
        if line == self.last {
            return Ok(());
        }
        self.last = line;
        self.entry.clear();
        self.entry.extend([Kind::Line as u8, line.flags]);
        put_option(&mut self.entry, line.timeout);
        for number in [line.outgoing.into(), line.incoming.into(), line.used, line.subscriptions] {
            put_number(&mut self.entry, number);
        }
        self.note(0)
    }

    /// The hash of all that the machine knows, without what is masked.
    fn state(&mut self, machine: &Inner) -> Result<(), Stop> {
        self.calls = 0;
        self.entry.clear();
        self.entry.push(Kind::State as u8);
        self.entry.extend(state_hash(machine).to_be_bytes());
        self.note(0)
    }

    /// Hands an entry on.
    fn note(&mut self, answer_at: usize) -> Result<(), Stop> {
        match &mut self.sink {
            Sink::Memory(entries) => entries.push(Note { bytes: self.entry.clone(), answer_at }),
            Sink::File(pipe, left) => {
                let mut framed = Vec::with_capacity(self.entry.len().saturating_add(2));
                put_entry(&mut framed, &self.entry);
                *left = left.checked_sub(framed.len() as u64).ok_or(Stop::Limit)?;
                pipe.push(&framed)?;
            }
        }
        Ok(())
    }

    /// Leaves a mark that says why nothing follows.
    fn end(&mut self, stop: Stop) {
        if let Sink::File(pipe, _) = &self.sink {
            pipe.close(stop, &[2, Kind::End as u8, stop.number()]);
        }
    }
}

impl Drop for Recorder {
    /// Of a client that was never driven.
    fn drop(&mut self) {
        self.end(Stop::ClientEnded);
    }
}

/// The hash of all that the machine knows, but of texts and payloads their lengths.
pub(super) fn state_hash(machine: &Inner) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    machine.hash(&mut hasher);
    // Of 32 bits.
    hasher.finish() as u32
}

/// Names the code that makes the hashes of states: it is the hash after a small conversation.
pub(super) fn layout() -> u32 {
    use mqtt_core::{Body, ConnectOptions, Input, Instant, PublishRequest, QoS, SubscribeRequest, Subscription};
    use mqtt_core::{TopicFilter, TopicName};

    let capacities = Capacities { exchanges: 4, storage: 1_000, aliases_in: 2, aliases_out: 2, suspect_after: 0 };
    let mut machine = capacities.build();
    let (mut out, now) = ([0; 256], Instant::from_millis(1));
    let _ = machine.connect(now, &ConnectOptions::new("layout").version(ProtocolVersion::V5_0), &mut out);
    // CONNACK; then a message at QoS 2.
    for packet in [&[0x20, 3, 0, 0, 0][..], &[0x34, 7, 0, 1, b't', 0, 1, 0, b'p']] {
        let _ = machine.receive(now, Input::Packet(packet)).map(|event| event.is_some());
    }
    if let (Ok(topic), Ok(filter)) = (TopicName::new("t"), TopicFilter::new("t/#")) {
        let request = PublishRequest::new(topic).qos(QoS::ExactlyOnce);
        let _ = machine.publish(now, &request, Body::Stored(bytes::Bytes::from_static(b"p")));
        let _ = machine.subscribe(&SubscribeRequest::new(&[Subscription::new(filter, QoS::AtLeastOnce)]));
    }
    let _ = machine.poll_transmit(now, &mut out);
    state_hash(&machine)
}
