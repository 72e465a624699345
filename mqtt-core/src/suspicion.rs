//! Which exchange kills every connection on which it is sent, if one does.

use crate::connection::{Aliases, ConnectionError, Transmit};
use crate::error::EncodeError;
use crate::machine::Machine;
use crate::session::{Outcome, Storage};
use crate::subscription_list::SubscriptionList;
use crate::time::Instant;
use crate::types::{PacketIdentifier, ReasonCode};

/// Finds the message, or the subscription, that makes the Server end every connection on which it is sent.
///
/// Sessions outlive connections, so such an exchange is sent again on the next one, and nothing else gets on. Here it fails
/// alone, with [`Outcome::GivenUp`]:
///
/// * So many connections as are allowed die with the same exchange unanswered. From then on exchanges are sent one at a time,
///   and on each connection a PINGREQ comes first: one that dies without its answer does not die of an exchange.
/// * Two connections die with the same one sent alone: that one is given up.
/// * Once all that was unanswered has its answer, or was given up, everything is sent as before.
///
/// The adapter keeps the value, transmits by its [`poll_transmit`](Self::poll_transmit), and tells of each connection that the
/// peer has ended. Who does not use it pays nothing for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Suspicion {
    allowed: u8,
    died: u8,
    /// The first PUBREL, request and PUBLISH without an answer when the latest connection died.
    suspects: [Option<Suspect>; 3],
    /// The last one that was unanswered when sending one at a time began.
    last: Option<PacketIdentifier>,
    /// With which a connection died that was sent alone.
    accused: Option<Suspect>,
    life: Life,
}

/// Whether the connection there is lives without a suspect.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Life {
    Unknown,
    Asked,
    Proved,
}

/// Who is the same on every connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Suspect {
    Exchange(PacketIdentifier),
    /// By its place in the list: a renewal has a new identifier on each connection.
    Renewal(u16),
}

impl Suspicion {
    /// No suspicion yet. `connections`: so many may die with the same exchange unanswered before exchanges are sent one at a time;
    /// 0: nothing is ever suspected.
    #[must_use]
    pub const fn new(connections: u8) -> Self {
        Self { allowed: connections, died: 0, suspects: [None; 3], last: None, accused: None, life: Life::Unknown }
    }

    /// Tells whether exchanges are sent one at a time now. A message at QoS 0 should wait until this is over: it could be taken for the
    /// culprit's doing.
    #[must_use]
    pub const fn is_one_at_a_time(&self) -> bool {
        self.allowed != 0 && self.died >= self.allowed
    }

    /// [`Connection::poll_transmit`](crate::Connection::poll_transmit), one exchange at a time while that is to be.
    ///
    /// # Errors
    /// As there.
    pub fn poll_transmit<S: Storage, A: Aliases, L: SubscriptionList>(
        &mut self,
        machine: &mut Machine<S, A, L>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, EncodeError> {
        if !self.is_one_at_a_time() || !machine.is_connected() {
            self.life = Life::Unknown;
            return machine.poll_transmit(now, out);
        }
        match self.life {
            Life::Unknown if machine.ping().is_ok() => self.life = Life::Asked,
            Life::Asked if machine.connection.has_all_pings_answered() => self.life = Life::Proved,
            _ => {}
        }
        let waiting = machine.session.unanswered().into_iter().any(|first| first.is_some());
        if (waiting || self.life != Life::Proved) && !machine.connection.has_own_packet(&machine.session) {
            return Ok(None);
        }
        let transmit = machine.poll_transmit(now, out)?;
        // Renewals are looked for by transmitting.
        let last_is_over = self.last.is_none_or(|last| !machine.session.is_open(last));
        if !waiting && last_is_over && !machine.connection.is_renewing() {
            *self = Self::new(self.allowed);
        }
        Ok(transmit)
    }

    /// The peer has ended the connection, by closing it or otherwise: call it before the next one is begun. Not for a network that
    /// failed, if the adapter can tell. Tells whether something was given up; if it has an outcome,
    /// [`poll_outcome`](Machine::poll_outcome) says so.
    ///
    /// A message that the Server may have got is given up all the same; its identifier is used again after all others only.
    pub fn connection_died<S: Storage, A: Aliases, L: SubscriptionList>(
        &mut self,
        machine: &mut Machine<S, A, L>,
    ) -> bool {
        self.life = Life::Unknown;
        let failure = machine.connection.failure();
        if self.allowed == 0 || !failure.is_some_and(may_be_of_a_packet) {
            return false;
        }
        let unanswered = machine.session.unanswered();
        let list = &machine.subscriptions;
        let suspects =
            unanswered.map(|id| id.map(|id| renewal(list, id).map_or(Suspect::Exchange(id), Suspect::Renewal)));
        let first = unanswered.into_iter().flatten().next();
        if self.is_one_at_a_time() {
            let alone = suspects.into_iter().flatten().next();
            let again = alone.is_some() && alone == self.accused;
            self.accused = alone.or(self.accused).filter(|_| !again);
            return again && first.is_some_and(|id| machine.give_up(id));
        }
        let same = suspects.iter().zip(&self.suspects).any(|(new, old)| new.is_some() && new == old);
        self.died = match (same, first.is_some()) {
            (true, _) => self.died.saturating_add(1),
            (false, true) => 1,
            // It may die before the suspect's turn.
            (false, false) => return false,
        };
        self.suspects = suspects;
        self.last = machine.session.last_unanswered();
        false
    }
}

/// The place of the subscription that this SUBSCRIBE was to renew.
fn renewal(list: &impl SubscriptionList, id: PacketIdentifier) -> Option<u16> {
    let asked = crate::subscription_list::Renewal::Asked(id);
    (0..list.len()).find(|index| list.renewal(*index) == Some(asked)).and_then(|index| u16::try_from(index).ok())
}

/// Tells whether a packet of ours may be why the connection ended this way.
const fn may_be_of_a_packet(error: ConnectionError) -> bool {
    match error {
        ConnectionError::TransportLost | ConnectionError::Decode(_) | ConnectionError::Protocol(_) => true,
        ConnectionError::Disconnected(reason) => !matches!(
            reason,
            ReasonCode::NORMAL_DISCONNECTION
                | ReasonCode::SERVER_BUSY
                | ReasonCode::SERVER_SHUTTING_DOWN
                | ReasonCode::KEEP_ALIVE_TIMEOUT
                | ReasonCode::SESSION_TAKEN_OVER
                | ReasonCode::MESSAGE_RATE_TOO_HIGH
                | ReasonCode::ADMINISTRATIVE_ACTION
                | ReasonCode::USE_ANOTHER_SERVER
                | ReasonCode::SERVER_MOVED
                | ReasonCode::CONNECTION_RATE_EXCEEDED
                | ReasonCode::MAXIMUM_CONNECT_TIME
        ),
        _ => false,
    }
}

impl<S: Storage, A: Aliases, L: SubscriptionList> Machine<S, A, L> {
    /// Gives up an exchange of this side's, sent or not, with [`Outcome::GivenUp`]; tells whether it did. One that is in flight
    /// cannot be given up before the connection is over. A renewal is marked in the list as
    /// [`Renewal::Refused`](crate::Renewal::Refused) with Unspecified error, and has no outcome.
    ///
    /// What was never sent can also be [cancelled](crate::Session::cancel).
    pub fn give_up(&mut self, packet_identifier: PacketIdentifier) -> bool {
        let over = self.connection.is_over();
        if !self.session.is_open(packet_identifier) || !over && self.session.is_in_flight(packet_identifier) {
            return false;
        }
        if let Some(index) = renewal(&self.subscriptions, packet_identifier) {
            let refused = crate::subscription_list::Renewal::Refused(ReasonCode::UNSPECIFIED_ERROR);
            self.subscriptions.set_renewal(usize::from(index), refused);
        }
        self.session.end_exchange(packet_identifier, Outcome::GivenUp);
        true
    }

    /// Gives up the renewal, request or publish whose turn is next: what [`poll_transmit`](Self::poll_transmit) cannot write because
    /// the lent buffer is too small, and no larger one can be lent. Tells whether there was one.
    pub fn give_up_next(&mut self) -> bool {
        if self.connection.refuse_next_renewal(&self.session, &mut self.subscriptions) {
            return true;
        }
        let queues = &self.session.queues;
        queues.requests.first().or(queues.publishes.first()).is_some_and(|id| self.give_up(id))
    }
}
