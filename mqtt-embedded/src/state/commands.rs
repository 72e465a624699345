//! What handles ask for: to publish, to subscribe, and what became of it.

use core::task::{Context, Poll};

use mqtt_core::{
    Body, EncodeError, Instant, Outcome, PacketIdentifier, Payload, PublishRequest, QoS, ReasonCode, Subscription,
    UsageError,
};

use super::{State, copy};
use crate::error::Error;
use crate::inbox::{Head, Messages as _};
use crate::receipts::{self, Receipt};
use crate::resources::Capacities;
use crate::routes::{Request, RouteList as _, bit};

impl<P: Capacities> State<P> {
    /// Takes a message over, and tells the place of its receipt: none at QoS 0. `WouldWait`: no room now.
    #[inline(never)]
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        payload: &[u8],
    ) -> Result<Option<u8>, Error> {
        self.check_open()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(request, payload).map(|()| None);
        }
        if self.loading || !self.has_receipt()? {
            return Err(Error::WouldWait);
        }
        match self.machine.publish(now, request, Body::Stored(payload)) {
            Ok(id) => Ok(self.accepted(id)),
            Err(error) if self.passes(error) => Err(Error::WouldWait),
            Err(error) => Err(error.into()),
        }
    }

    /// Encoded once, here; only while connected: it waits for no connection.
    fn publish_at_most_once(&mut self, request: &PublishRequest<'_>, payload: &[u8]) -> Result<(), Error> {
        if !self.machine.is_connected() || self.inflow.is_open() {
            return Err(Error::WouldWait);
        }
        let queue = self.queue.as_mut();
        let capacity = queue.len();
        let room = queue.get_mut(self.queued..).unwrap_or_default();
        // The head goes in front of the room that the payload takes.
        let head = room.len().checked_sub(payload.len()).and_then(|len| room.get_mut(..len)).unwrap_or_default();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head_len = match self.machine.publish_at_most_once(request, Payload::Source { length }, head) {
            Ok(transmit) => transmit.head_len,
            Err(UsageError::Encode(EncodeError::BufferTooSmall { needed })) => {
                let needed = needed.saturating_add(payload.len());
                return Err(if needed > capacity { Error::BufferTooSmall { needed } } else { Error::WouldWait });
            }
            Err(error) => return Err(error.into()),
        };
        let copied = copy(payload, room.get_mut(head_len..).unwrap_or_default());
        self.queued = self.queued.saturating_add(head_len).saturating_add(copied);
        self.wake_runner();
        Ok(())
    }

    /// Waits until a message is taken over, and with a store until it is on record.
    #[inline(never)]
    pub(crate) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        (request, payload): (&PublishRequest<'_>, &[u8]),
        begun: &mut bool,
        place: &mut Option<u8>,
    ) -> Poll<Result<(), Error>> {
        if let Err(error) = self.begin_send(now, (request, payload), begun, place) {
            return self.wait_if(cx, error);
        }
        let receipt = place.and_then(|place| self.receipts.as_mut().get(usize::from(place)));
        match receipt {
            Some(Receipt::Done(Err(Outcome::StoreFailed))) => {
                Poll::Ready(Err(Error::NotDelivered(Outcome::StoreFailed)))
            }
            Some(Receipt::Waiting(id)) if !self.machine.session.is_recorded(*id) => self.wait(cx.waker()),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Waits until a message is delivered.
    #[inline(never)]
    pub(crate) fn poll_deliver(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        (request, payload): (&PublishRequest<'_>, &[u8]),
        begun: &mut bool,
        place: &mut Option<u8>,
    ) -> Poll<Result<ReasonCode, Error>> {
        match self.begin_send(now, (request, payload), begun, place) {
            Ok(()) => self.poll_receipt(cx, place),
            Err(error) => self.wait_if(cx, error),
        }
    }

    fn begin_send(
        &mut self,
        now: Instant,
        (request, payload): (&PublishRequest<'_>, &[u8]),
        begun: &mut bool,
        place: &mut Option<u8>,
    ) -> Result<(), Error> {
        if !*begun {
            *place = self.publish(now, request, payload)?;
            *begun = true;
        }
        Ok(())
    }

    /// An error, or a wait for what it says is missing.
    fn wait_if<T>(&mut self, cx: &Context<'_>, error: Error) -> Poll<Result<T, Error>> {
        if let Error::WouldWait = error { self.wait(cx.waker()) } else { Poll::Ready(Err(error)) }
    }

    pub(crate) fn accepted(&mut self, id: PacketIdentifier) -> Option<u8> {
        self.wake_runner();
        receipts::open(self.receipts.as_mut(), id)
    }

    /// A place for the outcome of the next command; `Ok(false)`: not now.
    pub(crate) fn has_receipt(&mut self) -> Result<bool, Error> {
        let receipts = self.receipts.as_mut();
        if receipts::vacant(receipts).is_some() {
            return Ok(true);
        }
        let waits = receipts.iter().any(|receipt| matches!(receipt, Receipt::Waiting(_)));
        if waits { Ok(false) } else { Err(Error::ReceiptsFull) }
    }

    /// Tells whether it is a lack of room that outcomes mend.
    pub(crate) fn passes(&self, error: UsageError) -> bool {
        self.machine.session.outgoing_len() > 0
            && matches!(error, UsageError::InFlightFull | UsageError::StorageFull(_))
            || matches!(error, UsageError::RecordPending)
    }

    /// The message that a receipt waits for.
    pub(crate) fn waiting_for(&mut self, receipt: u8) -> Option<PacketIdentifier> {
        match self.receipts.as_mut().get(usize::from(receipt)) {
            Some(Receipt::Waiting(id)) => Some(*id),
            _ => None,
        }
    }

    /// Waits for an answer, with which the place is free; without a place there is none to wait for.
    pub(crate) fn poll_receipt(&mut self, cx: &Context<'_>, place: &mut Option<u8>) -> Poll<Result<ReasonCode, Error>> {
        let Some(receipt) = *place else { return Poll::Ready(Ok(ReasonCode::SUCCESS)) };
        let Some(answer) = receipts::take(self.receipts.as_mut(), receipt) else { return self.wait(cx.waker()) };
        *place = None;
        self.wake_handles();
        Poll::Ready(match answer {
            Ok(reason) if reason.is_failure() => Err(Error::Rejected(reason)),
            Ok(reason) => Ok(reason),
            Err(outcome) => Err(Error::NotDelivered(outcome)),
        })
    }

    pub(crate) fn close_receipt(&mut self, receipt: u8) {
        receipts::close(self.receipts.as_mut(), receipt);
        self.wake_handles();
    }

    /// Takes a place for a subscription, which is asked for as soon as there is room; what waits for it is its own from now on.
    pub(crate) fn subscribe(&mut self, subscription: Subscription<'_>) -> Result<u8, Error> {
        self.check_open()?;
        let route = self.machine.subscriptions.open(subscription).ok_or(Error::FiltersFull)?;
        self.unwanted &= !bit(route);
        self.claim(route, subscription.filter);
        self.wake_runner();
        Ok(route)
    }

    /// Waits for the Server's answer to a subscription.
    pub(crate) fn poll_granted(&mut self, cx: &Context<'_>, route: u8) -> Poll<Result<ReasonCode, Error>> {
        match self.machine.subscriptions.request(route) {
            Some(Request::Answered(Ok(reason))) if reason.is_failure() => Poll::Ready(Err(Error::Rejected(reason))),
            Some(Request::Answered(Ok(reason))) => Poll::Ready(Ok(reason)),
            Some(Request::Answered(Err(outcome))) => Poll::Ready(Err(Error::NotDelivered(outcome))),
            _ if self.is_closed() => Poll::Ready(Err(Error::Closed)),
            _ => self.wait(cx.waker()),
        }
    }

    /// The subscriber is gone: what it did not take is given up, and the Server is told.
    pub(crate) fn unsubscribe(&mut self, now: Instant, route: u8) {
        let reader = bit(route);
        while let Some((index, entry, _)) = self.inbox.parts().find(|entry| entry.readers & reader != 0) {
            let (handed, last, head) = (entry.handed & reader != 0, entry.readers == reader, entry.head);
            if !handed {
                self.take(index, reader);
            } else if !last {
                self.inbox.parts().take(index, reader);
            } else {
                self.leave_in_hand(now, index, reader, head);
            }
        }
        self.aborted &= !reader;
        self.streaming &= !reader;
        // Also where it was asked for and the answer is still to come.
        self.machine.subscriptions.close(route);
        self.unwanted |= reader;
        self.wake_runner();
    }

    /// What is in nobody's hands any more and was not acknowledged is not, as of now: it comes again. It must not hold back the
    /// acknowledgements of others on this connection.
    fn leave_in_hand(&mut self, now: Instant, index: usize, readers: u32, head: Head) {
        if head.qos == QoS::ExactlyOnce && !self.machine.session.is_durable() {
            // It does not: the Server would only ask whether it is here.
            self.take(index, readers);
            return;
        }
        self.inbox.parts().remove(index);
        let awaited = head.acknowledgement.is_some_and(|token| self.machine.session.awaits(token));
        if awaited && head.qos == QoS::AtLeastOnce {
            self.overflow(now, 0);
        }
    }
}
