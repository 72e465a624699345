//! What is counted while it happens.

use mqtt_core::{Outcome, PacketIdentifier, QoS};

use super::{Histogram, Statistics, Traffic};

/// Behind the lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    outgoing: [Traffic; 3],
    incoming: [Traffic; 3],
    acknowledged: u64,
    rejected: u64,
    pub(crate) overflowed: u64,
    expired: u64,
    refused: u64,
    unknown: u64,
    failed: u64,
    pub(crate) unrouted: u64,
    pub(crate) dropped: u64,
    pub(crate) skipped: u64,
    pub(crate) abandoned: u64,
    pub(crate) attempts: u64,
    pub(crate) connections: u64,
    losses: u64,
    bytes_sent: u64,
    bytes_received: u64,
    strays: u64,
    pub(crate) stale: u64,
    pub(crate) withheld: u64,
    /// An idle client needs none.
    publish_round_trip: Option<Box<Histogram>>,
    ping_round_trip: Option<Box<Histogram>>,
    probe: Probe,
    /// Stray acknowledgements of this connection that are counted.
    borne: u32,
    /// Since when a PINGRESP is waited for, in microseconds.
    ping_since: Option<u64>,
    /// The time of the driver's present turn, in microseconds.
    now: u64,
}

/// The one publish that is measured.
#[derive(Clone, Copy, Debug, Default)]
enum Probe {
    /// The next one will be.
    #[default]
    Free,
    /// It was accepted; the driver has not seen it yet.
    Accepted(PacketIdentifier),
    /// It leaves, or has left, since so many microseconds.
    Since(PacketIdentifier, u64),
}

impl Counters {
    /// A message is accepted to be sent.
    pub(crate) const fn published(&mut self, qos: QoS, bytes: u64) {
        count(&mut self.outgoing, qos, bytes);
    }

    /// A message at QoS 1 or 2 is accepted while there is a connection.
    pub(crate) const fn accepted(&mut self, id: PacketIdentifier) {
        if matches!(self.probe, Probe::Free) {
            self.probe = Probe::Accepted(id);
        }
    }

    /// A message has arrived.
    pub(crate) const fn received(&mut self, qos: QoS, bytes: u64) {
        count(&mut self.incoming, qos, bytes);
    }

    /// A turn of the driver begins; `pinged`: a PINGRESP is waited for.
    pub(crate) const fn turn(&mut self, microseconds: u64, pinged: bool) {
        self.now = microseconds;
        if pinged && self.ping_since.is_none() {
            self.ping_since = Some(microseconds);
        }
    }

    /// Bytes were given to the transport.
    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.bytes_sent = self.bytes_sent.saturating_add(bytes as u64);
    }

    /// Bytes were taken from the transport.
    pub(crate) const fn taken(&mut self, bytes: usize) {
        self.bytes_received = self.bytes_received.saturating_add(bytes as u64);
    }

    /// A turn has put into the outbox what there is.
    pub(crate) const fn filled(&mut self) {
        if let Probe::Accepted(id) = self.probe {
            self.probe = Probe::Since(id, self.now);
        }
    }

    /// The broker has answered a publish.
    pub(crate) fn answered(&mut self, id: PacketIdentifier, failure: bool) {
        if failure {
            self.rejected = self.rejected.saturating_add(1);
        } else {
            self.acknowledged = self.acknowledged.saturating_add(1);
        }
        match self.probe {
            Probe::Since(probe, since) if probe == id => {
                self.publish_round_trip.get_or_insert_default().record(self.now.saturating_sub(since));
                self.probe = Probe::Free;
            }
            Probe::Accepted(probe) if probe == id => self.probe = Probe::Free,
            _ => {}
        }
    }

    /// The broker will not answer a publish.
    pub(crate) fn unanswered(&mut self, id: PacketIdentifier) {
        if matches!(self.probe, Probe::Accepted(probe) | Probe::Since(probe, _) if probe == id) {
            self.probe = Probe::Free;
        }
    }

    /// A message has another end.
    pub(crate) const fn ended(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Expired => &mut self.expired,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Refused(_) => &mut self.refused,
            _ => &mut self.failed,
        };
        *counter = counter.saturating_add(1);
    }

    /// What was read is known; `pinged`: a PINGRESP is still waited for; and how many stray acknowledgements the connection has
    /// borne so far.
    pub(crate) fn heard(&mut self, pinged: bool, strays: u32) {
        if let Some(since) = self.ping_since.filter(|_| !pinged) {
            self.ping_round_trip.get_or_insert_default().record(self.now.saturating_sub(since));
            self.ping_since = None;
        }
        self.strays = self.strays.saturating_add(u64::from(strays.saturating_sub(self.borne)));
        self.borne = strays;
    }

    /// A connection is over: what is under way is not measured. `lost`: it stood before.
    pub(crate) fn disconnected(&mut self, lost: bool) {
        self.losses = self.losses.saturating_add(u64::from(lost));
        self.probe = Probe::Free;
        self.ping_since = None;
        self.borne = 0;
    }

    /// What is counted. What there is now is left out.
    pub(crate) fn snapshot(&self) -> Statistics {
        let all = |traffic: &[Traffic; 3]| traffic.iter().map(|traffic| traffic.messages).sum();
        Statistics {
            published: all(&self.outgoing),
            outgoing: self.outgoing,
            acknowledged: self.acknowledged,
            rejected: self.rejected,
            overflowed: self.overflowed,
            expired: self.expired,
            refused: self.refused,
            unknown: self.unknown,
            failed: self.failed,
            received: all(&self.incoming),
            incoming: self.incoming,
            unrouted: self.unrouted,
            dropped: self.dropped,
            skipped: self.skipped,
            abandoned: self.abandoned,
            attempts: self.attempts,
            connections: self.connections,
            losses: self.losses,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            stray_acknowledgements: self.strays,
            stale_acknowledgements: self.stale,
            withheld_acknowledgements: self.withheld,
            publish_round_trip: self.publish_round_trip.as_deref().copied().unwrap_or_default(),
            ping_round_trip: self.ping_round_trip.as_deref().copied().unwrap_or_default(),
            ..Statistics::default()
        }
    }
}

const fn count(traffic: &mut [Traffic; 3], qos: QoS, bytes: u64) {
    let [at_most_once, at_least_once, exactly_once] = traffic;
    let traffic = match qos {
        QoS::AtMostOnce => at_most_once,
        QoS::AtLeastOnce => at_least_once,
        QoS::ExactlyOnce => exactly_once,
    };
    traffic.messages = traffic.messages.saturating_add(1);
    traffic.bytes = traffic.bytes.saturating_add(bytes);
}
