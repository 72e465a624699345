//! Messages on their way out, until they are in the session or the outbox.

use bytes::Bytes;
use mqtt_core::{Body, Instant, Outcome, Payload, PublishRequest, QoS, TransmitPayload, UsageError};
use tokio::sync::oneshot;

use super::replies::{Due, Key, Published};
use super::{Clock, EXPIRY_CHECK, State};
use crate::error::Error;
use crate::payload::Source;
use crate::publish::Publication;

/// A message at QoS 0 that waits, and until when it is wanted.
pub(super) struct Queued {
    pub(super) publication: Publication<'static>,
    since: Instant,
    expires_at: Option<Instant>,
    /// Where the payload is read from instead, and who waits for its end.
    source: Option<(Source, oneshot::Sender<Published>)>,
}

/// How a message was taken over, and where its outcome is told.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// At QoS 0: nobody acknowledges it.
    Queued,
    /// At QoS 0 from a source, whose end is told.
    Source(oneshot::Receiver<Published>),
    /// At QoS 1 and 2.
    Kept(Key),
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
        let body = match &publication.source {
            Some(source) => Body::Source { length: source.length_for(request.qos)?, key: source.named() },
            None => Body::Stored(publication.payload.clone()),
        };
        match self.machine.publish(now, &request, body) {
            Ok(id) => {
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
                Ok(Some(Accepted::Kept(self.replies.of_publish(id))))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn publish_at_most_once(
        &mut self,
        clock: Clock,
        request: &PublishRequest<'_>,
        publication: &Publication<'_>,
        can_wait: bool,
    ) -> Result<Option<Accepted>, Error> {
        let mut accepted = Accepted::Queued;
        let source = match &publication.source {
            Some(source) => {
                source.length_for(request.qos)?;
                let (sender, end) = oneshot::channel();
                accepted = Accepted::Source(end);
                Some((source.clone(), sender))
            }
            None => None,
        };
        let direct = source.is_none()
            && self.queue.is_empty()
            && self.machine.is_connected()
            && !self.suspicion.is_one_at_a_time();
        if direct && self.outbox.has_room() {
            self.send_at_most_once(request, &publication.payload)?;
        } else if self.queue.len() < self.queue_limit && !(direct && can_wait) {
            let now = clock.now();
            let expires_at = request.message_expiry_interval.map(|seconds| now.plus_secs(seconds));
            self.queue.push_back(Queued { publication: publication.to_owned()?, since: now, expires_at, source });
        } else {
            return Ok(None);
        }
        self.statistics.published(request.qos, publication.payload_len());
        Ok(Some(accepted))
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
        let Queued { publication, since, expires_at, source } = queued;
        let sent = if expires_at.is_some_and(|expires_at| now >= expires_at) {
            Err(Outcome::Expired)
        } else {
            let waited = now.secs_since(since);
            let remaining = |seconds: u32| seconds.saturating_sub(waited).max(1);
            publication.request().map_err(|_| Outcome::NotSent).and_then(|mut request| {
                request.message_expiry_interval = request.message_expiry_interval.map(remaining);
                let sent = match &source {
                    Some((source, _)) => self.send_head(&request, source),
                    None => self.send_at_most_once(&request, &publication.payload),
                };
                sent.map_err(Outcome::Refused)
            })
        };
        match (sent, source) {
            (Ok(()), None) => {}
            (Ok(()), Some((source, sender))) => self.begin_at_most_once(source, sender),
            (Err(outcome), source) => {
                tracing::warn!(?outcome, topic = publication.topic(), "a queued message at QoS 0 was not sent");
                self.give_up(source, outcome);
            }
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
        for queued in core::mem::take(&mut self.queue) {
            self.give_up(queued.source, Outcome::NotSent);
        }
    }

    fn give_up(&mut self, source: Option<(Source, oneshot::Sender<Published>)>, outcome: Outcome) {
        self.statistics.ended(outcome);
        if let Some((source, sender)) = source {
            self.later.due.push(Due::Publish(sender, Err(outcome)));
            self.later.sources.push(source);
        }
    }
}
