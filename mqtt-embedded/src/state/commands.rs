//! What handles ask for: to publish, to subscribe, and what became of it.

use core::task::{Context, Poll};

use mqtt_core::{
    Body, Delivery, Instant, Outcome, PacketIdentifier, Payload, ProtocolVersion, Publish, PublishRequest, QoS,
    ReasonCode, Sender, Subscription, UsageError,
};

use super::State;
use crate::error::Error;
use crate::inbox::Messages as _;
use crate::receipts::{self, Answer, Receipt};
use crate::resources::Capacities;
use crate::routes::{Request, RouteList as _, bit};

impl<P: Capacities> State<P> {
    /// Takes a message over. `Ok(None)`: no room now.
    #[inline(never)]
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        payload: &[u8],
    ) -> Result<Option<Option<u8>>, Error> {
        self.check_open()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(request, payload);
        }
        if self.loading || !self.has_receipt()? {
            return Ok(None);
        }
        match self.machine.publish(now, request, Body::Stored(payload)) {
            Ok(id) => Ok(Some(self.accepted(id))),
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Encoded once, here; only while connected: it waits for no connection.
    fn publish_at_most_once(
        &mut self,
        request: &PublishRequest<'_>,
        payload: &[u8],
    ) -> Result<Option<Option<u8>>, Error> {
        if !self.machine.is_connected() || self.inflow.is_open() {
            return Ok(None);
        }
        let queue = self.queue.as_mut();
        let capacity = queue.len();
        let room = queue.get_mut(self.queued..).unwrap_or_default();
        let needed = packet_len(request, payload, self.machine.connection.version());
        if needed > room.len() {
            return if needed > capacity { Err(Error::BufferTooSmall { needed }) } else { Ok(None) };
        }
        let transmit = self.machine.publish_at_most_once(request, Payload::Bytes(payload), room)?;
        self.queued = self.queued.saturating_add(transmit.head_len);
        self.wake_runner();
        Ok(Some(None))
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

    /// With a store: waits until the record of the command behind a receipt is durable; tells whether it is now.
    pub(crate) fn poll_recorded(&mut self, cx: &Context<'_>, receipt: u8) -> Poll<bool> {
        let recorded = match self.receipts.as_mut().get(usize::from(receipt)) {
            Some(Receipt::Waiting(id)) => self.machine.session.is_recorded(*id),
            Some(Receipt::Done(Err(Outcome::StoreFailed))) => return Poll::Ready(false),
            _ => true,
        };
        if recorded {
            return Poll::Ready(true);
        }
        self.wait(cx.waker())
    }

    /// The message that a receipt waits for.
    pub(crate) fn waiting_for(&mut self, receipt: u8) -> Option<PacketIdentifier> {
        match self.receipts.as_mut().get(usize::from(receipt)) {
            Some(Receipt::Waiting(id)) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn poll_receipt(&mut self, cx: &Context<'_>, receipt: u8) -> Poll<Answer> {
        match receipts::take(self.receipts.as_mut(), receipt) {
            Some(answer) => {
                self.wake_handles();
                Poll::Ready(answer)
            }
            None => self.wait(cx.waker()),
        }
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
    pub(crate) fn unsubscribe(&mut self, route: u8) {
        let reader = bit(route);
        // What is in its hands and was not acknowledged is not, as of now: it comes again.
        while let Some((index, entry, _)) = self.inbox.parts().find(|entry| entry.handed & entry.readers & reader != 0)
        {
            if entry.readers == reader {
                self.inbox.parts().remove(index);
            } else {
                self.inbox.parts().take(index, reader);
            }
        }
        while let Some(index) = self.inbox.parts().position(reader) {
            self.take(index, reader);
        }
        self.aborted &= !reader;
        // Also where it was asked for and the answer is still to come.
        self.machine.subscriptions.close(route);
        self.unwanted |= reader;
        self.wake_runner();
    }
}

/// As many bytes as the packet takes at the most.
pub(crate) fn packet_len(request: &PublishRequest<'_>, payload: &[u8], version: ProtocolVersion) -> usize {
    /// Message Expiry Interval and Topic Alias.
    const OWN_PROPERTIES: usize = 8;
    let publish = Publish {
        topic: Some(request.topic),
        delivery: Delivery::AtMostOnce,
        retain: request.retain,
        properties: request.properties,
        payload,
    };
    let len = publish.encoded_len(version, Sender::Client).unwrap_or(0);
    len.saturating_add(OWN_PROPERTIES)
}
