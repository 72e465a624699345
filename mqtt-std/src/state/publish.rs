//! Messages on their way out, until they are in the session or the outbox.

use bytes::Bytes;
use mqtt_core::{Body, Instant, Payload, PublishRequest, QoS, TransmitPayload, UsageError};
use tokio::sync::oneshot;

use super::replies::Answer;
use super::{EXPIRY_CHECK, State};
use crate::error::Error;
use crate::publish::Publication;

/// A message at QoS 0 that waits, and until when it is wanted.
pub(super) struct Queued {
    pub(super) publication: Publication<'static>,
    since: Instant,
    expires_at: Option<Instant>,
}

impl State {
    /// Takes a message over. `Ok(None)`: no room now.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        publication: &Publication<'_>,
    ) -> Result<Option<Option<oneshot::Receiver<Answer>>>, Error> {
        if self.closed || self.shutdown.is_some() {
            return Err(Error::Closed);
        }
        let request = publication.request()?;
        if request.qos == QoS::AtMostOnce {
            return self.publish_at_most_once(now, &request, publication);
        }
        match self.machine.publish(now, &request, Body::Stored(publication.payload.clone())) {
            Ok(id) => {
                self.statistics.published += 1;
                if request.message_expiry_interval.is_some() {
                    self.expiry_check.get_or_insert_with(|| now.plus_millis(EXPIRY_CHECK));
                }
                Ok(Some(Some(self.replies.of_publish(id))))
            }
            Err(error) if self.passes(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn publish_at_most_once(
        &mut self,
        now: Instant,
        request: &PublishRequest<'_>,
        publication: &Publication<'_>,
    ) -> Result<Option<Option<oneshot::Receiver<Answer>>>, Error> {
        let direct = self.machine.is_connected() && self.queue.is_empty() && self.outbox.has_room();
        if direct {
            self.send_at_most_once(request, &publication.payload)?;
        } else if self.queue.len() < self.queue_limit {
            let expires_at = request.message_expiry_interval.map(|seconds| now.plus_secs(seconds));
            self.queue.push_back(Queued { publication: publication.to_owned(), since: now, expires_at });
        } else {
            return Ok(None);
        }
        self.statistics.published += 1;
        Ok(Some(None))
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
    pub(super) fn send_queued(&mut self, now: Instant, queued: &Queued) {
        let Queued { publication, since, expires_at } = queued;
        if expires_at.is_some_and(|expires_at| now >= expires_at) {
            tracing::debug!(topic = publication.topic(), "a queued message at QoS 0 has expired");
            return;
        }
        let sent = publication.request().and_then(|mut request| {
            let waited = now.secs_since(*since);
            request.message_expiry_interval =
                request.message_expiry_interval.map(|seconds| seconds.saturating_sub(waited).max(1));
            Ok(self.send_at_most_once(&request, &publication.payload)?)
        });
        if let Err(error) = sent {
            tracing::warn!(%error, topic = publication.topic(), "a queued message at QoS 0 was not sent");
        }
    }
}
