//! Messages on their way out, until they are in the session or the outbox.

use bytes::Bytes;
use mqtt_core::{Body, Instant, Outcome, PacketIdentifier, Payload, PublishRequest, QoS, ReasonCode};
use mqtt_core::{TransmitPayload, UsageError};
use tokio::sync::oneshot;

use super::deadlines::Unsent;
use super::replies::{Due, Key, Published};
use super::waiting::{Queued, Reply};
use super::{Clock, EXPIRY_CHECK, State};
use crate::error::Error;
use crate::options::Overflow;
use crate::payload::Source;
use crate::publish::Publication;

/// How a message was taken over, and where its outcome is told.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// At QoS 0: it is in the outbox, and nobody acknowledges it.
    Sent,
    /// At QoS 0 from a source, whose end is told.
    Source(oneshot::Receiver<Published>),
    /// At QoS 1 and 2, and what waits at QoS 0.
    Kept(Key, Unsent),
    /// There was no room, and it is not wanted that much.
    Dropped,
}

impl State {
    /// Takes a message over. `Ok(None)`: no room now. One at QoS 0 whose caller cannot wait is queued while others leave; to
    /// wait costs less.
    pub(crate) fn publish(
        &mut self,
        clock: Clock,
        publication: &Publication<'_>,
        can_wait: bool,
    ) -> Result<Option<Accepted>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        let request = publication.request()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(clock, &request, publication, can_wait);
        }
        // What does not expire has no use for the time.
        let expires = request.message_expiry_interval.is_some();
        let now = if expires { clock.now() } else { Instant::from_millis(0) };
        let id = loop {
            let body = match &publication.source {
                Some(source) => Body::Source { length: source.length_for(request.qos)?, key: source.named() },
                None => Body::Stored(publication.payload.clone()),
            };
            match self.machine.publish(now, &request, body) {
                Ok(id) => break id,
                Err(error) if self.passes(error) => {
                    if let Some(accepted) = self.make_room(publication.topic())? {
                        return Ok(accepted);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.take_record(now);
        if let Some(source) = &publication.source {
            self.sources.insert(id, source.clone());
        }
        self.statistics.published(request.qos, publication.payload_len());
        if self.machine.is_connected() {
            self.statistics.accepted(id);
        }
        if expires {
            self.expiry_check.get_or_insert_with(|| now.plus_millis(EXPIRY_CHECK));
        }
        let key = self.replies.of_publish(id);
        if let Some(deadline) = publication.deadline {
            self.replies.deadlines.add(clock.of(deadline), Unsent::Exchange(id));
        }
        if self.overflow == Overflow::LatestPerTopic {
            self.replace_latest(publication.topic(), id);
        }
        Ok(Some(Accepted::Kept(key, Unsent::Exchange(id))))
    }

    /// The session is full. `None`: there may be room now; otherwise what becomes of the message.
    fn make_room(&mut self, topic: &str) -> Result<Option<Option<Accepted>>, Error> {
        let unsent = match self.overflow {
            Overflow::Wait => None,
            Overflow::Refuse => return Err(Error::Full),
            Overflow::DropNewest => {
                self.statistics.overflowed += 1;
                return Ok(Some(Some(Accepted::Dropped)));
            }
            Overflow::DropOldest => self.machine.session().next_unsent(),
            Overflow::LatestPerTopic => self.latest_unsent(topic),
        };
        let dropped = unsent.is_some_and(|id| self.take_back(Unsent::Exchange(id), Outcome::NotSent));
        if !dropped {
            return Ok(Some(None));
        }
        self.statistics.overflowed += 1;
        self.resolve_outcomes();
        Ok(None)
    }

    /// The publish of this topic that waits.
    fn latest_unsent(&self, topic: &str) -> Option<PacketIdentifier> {
        let id = *self.latest.get(topic)?;
        self.machine.session().unsent_topic(id).filter(|unsent| unsent.as_str() == topic).map(|_| id)
    }

    /// It takes the place of the publish of its topic that waits.
    fn replace_latest(&mut self, topic: &str, id: PacketIdentifier) {
        // What is known may be over long since, and the identifier be this one's again.
        if let Some(before) = self.latest_unsent(topic).filter(|before| *before != id) {
            if self.take_back(Unsent::Exchange(before), Outcome::NotSent) {
                self.statistics.overflowed += 1;
                self.resolve_outcomes();
            }
        }
        self.latest.insert(topic.into(), id);
        // Those that are over are forgotten when they are the most.
        let session = self.machine.session();
        if self.latest.len() > usize::from(session.outgoing_len()).saturating_mul(2).saturating_add(64) {
            self.latest.retain(|topic, id| session.unsent_topic(*id).is_some_and(|unsent| *unsent.as_str() == **topic));
        }
    }

    fn publish_at_most_once(
        &mut self,
        clock: Clock,
        request: &PublishRequest<'_>,
        publication: &Publication<'_>,
        can_wait: bool,
    ) -> Result<Option<Accepted>, Error> {
        if let Some(source) = &publication.source {
            source.length_for(request.qos)?;
        } else if self.waiting.is_empty() && self.machine.is_connected() && !self.machine.is_one_at_a_time() {
            if publication.deadline.is_some_and(|deadline| clock.of(deadline) <= clock.now()) {
                return Err(self.expired());
            }
            if self.outbox.has_room() {
                self.send_at_most_once(request, &publication.payload)?;
                self.statistics.published(request.qos, publication.payload_len());
                return Ok(Some(Accepted::Sent));
            }
            if can_wait && self.overflow == Overflow::Wait {
                return Ok(None);
            }
        }
        let kept = publication.to_owned()?;
        let before = self.waiting.of_topic(kept.topic());
        while !self.waiting.has_room(kept.len(), before) {
            match self.overflow {
                Overflow::Wait | Overflow::LatestPerTopic => return Ok(None),
                Overflow::Refuse => return Err(Error::Full),
                Overflow::DropNewest => {
                    self.statistics.overflowed += 1;
                    return Ok(Some(Accepted::Dropped));
                }
                Overflow::DropOldest => self.overflow_queued(None),
            }
        }
        if before.is_some() {
            self.overflow_queued(before);
        }
        let now = clock.now();
        let expires_at = request.message_expiry_interval.map(|seconds| now.plus_secs(seconds));
        let until = expires_at.into_iter().chain(publication.deadline.map(|deadline| clock.of(deadline))).min();
        self.statistics.published(request.qos, publication.payload_len());
        let accepted = if let Some(source) = &publication.source {
            let (sender, end) = oneshot::channel();
            let number = self.waiting.push_back(kept, now, until, Reply::Source(source.clone(), sender));
            (number, Accepted::Source(end))
        } else {
            let key = self.replies.of_queued();
            let number = self.waiting.push_back(kept, now, until, Reply::Key(key));
            (number, Accepted::Kept(key, Unsent::Queued(number)))
        };
        if let Some(until) = until {
            self.replies.deadlines.add(until, Unsent::Queued(accepted.0));
        }
        Ok(Some(accepted.1))
    }

    /// Drops a message that waits: this one, or the oldest.
    fn overflow_queued(&mut self, number: Option<u64>) {
        let dropped = match number {
            Some(number) => self.waiting.remove(number),
            None => self.waiting.pop_front(),
        };
        if let Some(queued) = dropped {
            self.statistics.overflowed += 1;
            self.end_queued(queued, Outcome::NotSent);
        }
    }

    /// Ends a message that was never sent with this outcome; tells whether it did.
    pub(super) fn take_back(&mut self, unsent: Unsent, outcome: Outcome) -> bool {
        match unsent {
            Unsent::Exchange(id) => {
                if !self.machine.cancel(id) {
                    return false;
                }
                // The machine tells of it too: not sent, to nobody.
                self.later.wakers.extend(self.replies.published(id, Err(outcome)));
            }
            Unsent::Queued(number) => {
                let Some(queued) = self.waiting.remove(number) else { return false };
                self.end_queued(queued, outcome);
            }
        }
        if outcome == Outcome::Expired {
            self.statistics.ended(outcome);
        }
        true
    }

    /// The application takes a message back, if it is still the one of this key.
    pub(crate) fn cancel(&mut self, key: Key, unsent: Unsent) -> bool {
        let open = match unsent {
            Unsent::Exchange(id) => self.replies.is_open(id, key),
            Unsent::Queued(_) => true,
        };
        let cancelled = open && self.take_back(unsent, Outcome::NotSent);
        if cancelled {
            self.statistics.ended(Outcome::NotSent);
        }
        self.resolve_outcomes();
        cancelled
    }

    /// A message was not even accepted in time.
    pub(crate) fn expired(&mut self) -> Error {
        self.statistics.ended(Outcome::Expired);
        Error::NotDelivered(Outcome::Expired)
    }

    fn send_at_most_once(&mut self, request: &PublishRequest<'_>, payload: &Bytes) -> Result<(), UsageError> {
        let machine = &mut self.machine;
        let transmit = self.outbox.encode(|out| {
            let transmit = machine.publish_at_most_once(request, Payload::Bytes(payload), out)?;
            Ok((transmit, transmit.head_len))
        })?;
        if transmit.payload == TransmitPayload::Given {
            self.outbox.set_payload(payload.clone());
        }
        Ok(())
    }

    /// A limit that this broker has may refuse what another would have taken.
    pub(super) fn send_queued(&mut self, now: Instant, queued: Queued) {
        let sent = if queued.until.is_some_and(|until| now >= until) {
            Err(Outcome::Expired)
        } else {
            let waited = now.secs_since(queued.since);
            let remaining = |seconds: u32| seconds.saturating_sub(waited).max(1);
            queued.publication.request().map_err(|_| Outcome::NotSent).and_then(|mut request| {
                request.message_expiry_interval = request.message_expiry_interval.map(remaining);
                let sent = match &queued.reply {
                    Reply::Source(source, _) => self.send_head(&request, source),
                    Reply::Key(_) => self.send_at_most_once(&request, &queued.publication.payload),
                };
                sent.map_err(Outcome::Refused)
            })
        };
        if let Err(outcome) = sent {
            tracing::warn!(?outcome, topic = queued.publication.topic(), "a queued message at QoS 0 was not sent");
            self.statistics.ended(outcome);
            self.end_queued(queued, outcome);
            return;
        }
        self.replies.deadlines.left(queued.until, queued.number());
        match queued.reply {
            Reply::Key(key) => {
                self.later.wakers.extend(self.replies.answer(key, Ok(ReasonCode::SUCCESS.into())));
            }
            Reply::Source(source, sender) => self.begin_at_most_once(source, sender),
        }
    }

    /// Writes a PUBLISH without the payload that its source is to give.
    fn send_head(&mut self, request: &PublishRequest<'_>, source: &Source) -> Result<(), UsageError> {
        let payload = Payload::Source { length: source.length_for(request.qos)? };
        let machine = &mut self.machine;
        self.outbox.encode(|out| Ok(((), machine.publish_at_most_once(request, payload, out)?.head_len)))
    }

    /// The end: what waits is not sent.
    pub(super) fn give_up_queue(&mut self) {
        while let Some(queued) = self.waiting.pop_front() {
            self.statistics.ended(Outcome::NotSent);
            self.end_queued(queued, Outcome::NotSent);
        }
    }

    fn end_queued(&mut self, queued: Queued, outcome: Outcome) {
        self.replies.deadlines.left(queued.until, queued.number());
        match queued.reply {
            Reply::Key(key) => self.later.wakers.extend(self.replies.answer(key, Err(outcome))),
            Reply::Source(source, sender) => {
                self.later.due.push(Due::Publish(sender, Err(outcome)));
                self.later.sources.push(source);
            }
        }
    }
}
