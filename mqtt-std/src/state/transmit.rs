//! What is written next: CONNECT, what the machine has, what waits, DISCONNECT.

use mqtt_core::{ConnectOptions, Instant, Property, ReasonCode, TransmitPayload, UsageError};

use super::State;
use crate::options::Farewell;

impl State {
    /// Puts what is to be sent into the outbox, as far as it takes.
    pub(crate) fn fill_outbox(&mut self, now: Instant) {
        while self.outbox.has_room() {
            let machine = &mut self.machine;
            let transmit = self.outbox.encode(|out| {
                let transmit = machine.poll_transmit(now, out)?;
                Ok((transmit, transmit.map_or(0, |transmit| transmit.head_len)))
            });
            match transmit {
                Ok(Some(transmit)) => match transmit.payload {
                    TransmitPayload::Stored(id) => {
                        self.outbox.set_payload(self.machine.session().storage().shared_payload(id));
                    }
                    TransmitPayload::Source { packet_identifier, length, key } => {
                        self.begin_source(packet_identifier, length, key);
                    }
                    _ => {}
                },
                Ok(None) if self.machine.is_connected() && !self.machine.is_one_at_a_time() => {
                    match self.waiting.pop_front() {
                        Some(queued) => self.send_queued(now, queued),
                        None => return,
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "cannot encode");
                    return;
                }
            }
        }
    }

    /// The peer has ended the connection: was it for something that was sent?
    pub(crate) fn suspect_of_death(&mut self) {
        let suspected = self.machine.is_one_at_a_time();
        if self.machine.connection_died() {
            tracing::warn!("given up: each connection on which it was sent has died");
            self.end_refused();
        } else if self.machine.is_one_at_a_time() && !suspected {
            tracing::warn!("connections die with the same exchange unanswered: one at a time from here on");
        }
        self.resolve_outcomes();
    }

    /// Begins a connection: CONNECT is in the outbox.
    pub(crate) fn connect(&mut self, now: Instant, options: &ConnectOptions<'_>) -> Result<(), UsageError> {
        self.clear_outbox();
        self.overrun = false;
        let machine = &mut self.machine;
        self.outbox.encode(|out| Ok(((), machine.connect(now, options, out)?)))
    }

    /// Ends the last connection: DISCONNECT is in the outbox, with what the options have for it.
    pub(crate) fn say_goodbye(&mut self, session_ends: bool) {
        let Farewell { session_expiry_interval, user_properties } = core::mem::take(&mut self.farewell);
        let expiry = session_expiry_interval.or(session_ends.then_some(0)).map(Property::SessionExpiryInterval);
        let user = user_properties.iter().map(|(name, value)| Property::UserProperty(name, value));
        let properties: Vec<_> = expiry.into_iter().chain(user).collect();
        self.end_connection(ReasonCode::NORMAL_DISCONNECTION, &properties);
    }

    /// Ends the connection: DISCONNECT is in the outbox.
    pub(crate) fn disconnect(&mut self, reason: ReasonCode) {
        self.end_connection(reason, &[]);
    }

    fn end_connection(&mut self, reason: ReasonCode, properties: &[Property<'_>]) {
        let v5 = self.machine.connection().version().is_v5();
        let properties = if v5 { properties } else { &[] };
        let machine = &mut self.machine;
        let mut write = |properties| self.outbox.encode(|out| Ok(((), machine.disconnect(reason, properties, out)?)));
        let mut written = write(properties);
        if let (Err(error), false) = (&written, properties.is_empty()) {
            tracing::warn!(%error, "DISCONNECT is sent without its properties");
            written = write(&[]);
        }
        if let Err(error) = written {
            tracing::warn!(%error, "no DISCONNECT is sent");
        }
    }
}
