//! The way out: what is written next, from everything that waits for it.

use core::task::{Context, Poll};

use mqtt_core::{
    Instant, Machine, Outcome, Property, ReasonCode, Storage as _, SubscribeRequest, TransmitPayload,
    UnsubscribeRequest, UsageError, move_to_front, put,
};

use super::{State, wake_readers};
use crate::error::Failure;
use crate::resources::Capacities;
use crate::routes::{Request, RouteList as _, bit};

/// What is on its way to the transport: the lent buffer, and how far it is.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(super) out: &'a mut [u8],
    pub(super) len: usize,
    sent: usize,
    /// What the transport took last.
    pub(crate) written: usize,
    /// It may still hold some of it back.
    unflushed: bool,
    /// The session ends with the client.
    pub(super) session_ends: bool,
    /// DISCONNECT is the last.
    disconnecting: bool,
}

impl<'a> Outgoing<'a> {
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0, sent: 0, written: 0, unflushed: false, session_ends: false, disconnecting: false }
    }

    /// What is to be written; empty: only to be flushed.
    pub(crate) fn rest(&self) -> &[u8] {
        self.out.get(self.sent..self.len).unwrap_or_default()
    }
}

impl<P: Capacities> State<P> {
    /// Waits for something to write, or to be flushed. `false`: nothing more is to be written.
    #[inline(never)]
    pub(crate) fn poll_write(&mut self, cx: &Context<'_>, now: Instant, outgoing: &mut Outgoing<'_>) -> Poll<bool> {
        let written = core::mem::take(&mut outgoing.written);
        if written > 0 {
            outgoing.sent = outgoing.sent.saturating_add(written);
            outgoing.unflushed = true;
            self.machine.transmitted(now, written);
            self.wake_runner();
        }
        if !outgoing.rest().is_empty() {
            return Poll::Ready(true);
        }
        outgoing.sent = 0;
        self.end = match self.fill(now, outgoing.out) {
            Ok(len) => {
                outgoing.len = len;
                if len > 0 || core::mem::take(&mut outgoing.unflushed) {
                    return Poll::Ready(true);
                }
                if outgoing.disconnecting {
                    Ok(())
                } else if self.is_to_begin_anew(now) {
                    Err(Failure::SlowConsumer)
                } else if self.machine.is_closed() {
                    Err(self.machine.connection.failure().map_or(Failure::ConnectionLost, Failure::Connection))
                } else if self.is_to_end(now) {
                    outgoing.disconnecting = true;
                    outgoing.len = self.disconnect(outgoing.session_ends, outgoing.out);
                    return Poll::Ready(true);
                } else {
                    return self.wait_as_runner(cx.waker());
                }
            }
            Err(error) => Err(Failure::Usage(error)),
        };
        Poll::Ready(false)
    }

    /// Writes what is sent next to the start of `out`, as far as it fits; 0: nothing now.
    fn fill(&mut self, now: Instant, out: &mut [u8]) -> Result<usize, UsageError> {
        self.machine.expire(now);
        self.send_requests();
        let mut len = 0_usize;
        loop {
            let room = out.get_mut(len..).unwrap_or_default();
            if let Some((id, sent)) = self.sending {
                // A large payload goes out from where it is kept, and nothing inside it.
                let rest = self.machine.session.storage().payload(id).get(sent..).unwrap_or_default();
                let copied = copy(rest, room);
                self.sending = (copied < rest.len()).then_some((id, sent.saturating_add(copied)));
                len = len.saturating_add(copied);
                if self.sending.is_some() {
                    return Ok(len);
                }
                continue;
            }
            if self.queued > 0 {
                // Given out by the machine before what it gives out next.
                let queue = self.queue.as_mut();
                let copied = copy(queue.get(..self.queued).unwrap_or_default(), room);
                move_to_front(queue, copied..self.queued);
                self.queued = self.queued.saturating_sub(copied);
                len = len.saturating_add(copied);
                if self.queued > 0 {
                    return Ok(len);
                }
                self.wake_handles();
                continue;
            }
            if self.inflow.is_open() {
                if len == 0 {
                    self.machine.source_waits(now);
                }
                break;
            }
            match self.machine.poll_transmit(now, room) {
                Ok(Some(transmit)) => {
                    len = len.saturating_add(transmit.head_len);
                    match transmit.payload {
                        TransmitPayload::Stored(id) => self.sending = Some((id, 0)),
                        TransmitPayload::Source { packet_identifier, length, .. } if cfg!(feature = "streaming") => {
                            self.inflow.begin(Some(packet_identifier), length);
                            self.wake_handles();
                        }
                        _ => {}
                    }
                }
                Ok(None) => break,
                Err(_) if len > 0 => break,
                Err(error) => {
                    // It will never fit: who waits for it is told, and the others go on.
                    if !self.machine.give_up_next() {
                        return Err(error.into());
                    }
                }
            }
        }
        self.resolve_outcomes();
        Ok(len)
    }

    /// Gives the machine what is to be subscribed to and unsubscribed from, as far as it has room.
    fn send_requests(&mut self) {
        if self.loading {
            return;
        }
        let Machine { connection, session, subscriptions } = &mut self.machine;
        let (waiting, readers) = (&mut self.waiting, self.readers.as_mut());
        while self.unwanted != 0 {
            let index = self.unwanted.trailing_zeros() as u8;
            if let Some(subscription) = subscriptions.subscription(index) {
                let filters = [subscription.filter];
                let asked = connection.unsubscribe(session, &UnsubscribeRequest::new(&filters));
                if let Err(UsageError::InFlightFull | UsageError::StorageFull(_) | UsageError::RecordPending) = asked {
                    return;
                }
            }
            self.unwanted &= !bit(index);
        }
        while let Some(index) = subscriptions.wanted() {
            let Some(subscription) = subscriptions.subscription(index) else { return };
            let filters = [subscription];
            let request = match connection.subscribe(session, subscriptions, &SubscribeRequest::new(&filters)) {
                Ok(id) => Request::Asked(id),
                Err(UsageError::InFlightFull | UsageError::StorageFull(_)) if session.outgoing_len() > 0 => return,
                Err(UsageError::RecordPending) => return,
                Err(error) => {
                    waiting.wake();
                    wake_readers(readers);
                    Request::Answered(Err(Outcome::Refused(error)))
                }
            };
            subscriptions.set_request(index, request);
        }
    }

    /// Ends the connection on this side: DISCONNECT is in `out`.
    fn disconnect(&mut self, session_ends: bool, out: &mut [u8]) -> usize {
        if self.inflow.is_open() {
            return 0; // it cannot go inside a packet
        }
        let v5 = self.machine.connection.version().is_v5();
        let properties: &[Property<'_>] = if session_ends && v5 { &[Property::SessionExpiryInterval(0)] } else { &[] };
        self.machine.disconnect(ReasonCode::NORMAL_DISCONNECTION, properties, out).unwrap_or(0)
    }
}

/// Copies as much as fits.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    match from.get(..len).and_then(|from| put(to, from)) {
        Some(_) => len,
        None => 0,
    }
}
