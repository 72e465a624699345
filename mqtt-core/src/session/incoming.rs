//! Messages from the Server at QoS 1 and 2, §4.3, and their acknowledgements in order, §4.6.

use super::Session;
use super::list::{Link, Linked, List};
use super::record::PendingRecord;
use super::storage::Storage;
use super::table::Table;
use crate::packet::AckKind;
use crate::types::{PacketIdentifier, QoS, ReasonCode};

/// A message that the Server sent and whose exchange is not over.
///
/// ```text
/// QoS 1:  Puback(waits for the application) --acknowledge--> Puback(ready) --PUBACK sent--> gone
/// QoS 2:  Pubrec(waits) --acknowledge--> Pubrec(ready) --PUBREC sent--> AwaitPubrel --PUBREL--> Pubcomp --PUBCOMP sent--> gone
///                                               --PUBREC sent, failure--> gone
/// ```
///
/// With a store what is recorded is acknowledged by PUBREC. PUBCOMP waits for the application then, so that the Server's
/// quota bounds what the application has not confirmed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Arrival {
    link: Link,
    stage: Stage,
    delivery: DeliveryNumber,
    /// It is on one of the lists of acknowledgements.
    queued: bool,
    /// The application has it, or is not asked: PUBCOMP may answer PUBREL.
    confirmed: bool,
    /// PUBRECs owed: the Server may send its PUBLISH again before the first one leaves.
    owed: u8,
    /// The connection on which its PUBLISH came last; it counts against our Receive Maximum on that one only.
    connection: u16,
    /// The record that must be durable before the next packet may leave.
    record: u64,
}

/// What is sent next; the reason is there once it may be sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Stage {
    Puback(Option<ReasonCode>),
    Pubrec(Option<ReasonCode>),
    AwaitPubrel,
    Pubcomp,
}

impl Linked for Arrival {
    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }

    fn link(&self) -> Link {
        self.link
    }
}

/// Counts the messages at QoS 1 and 2 that were handed over in a session, from 1.
///
/// With a store it is stable: a message that comes again after a crash comes with the number it had, so that an application
/// which commits the number together with its own work counts it once.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeliveryNumber(pub u64);

/// The right to acknowledge one received message, once.
///
/// Dropping it acknowledges nothing, and at QoS 1 holds back the PUBACKs of later messages, at QoS 2 the PUBRECs, until the
/// connection ends: acknowledgements are sent in the order of arrival [MQTT-4.6.0-2] [MQTT-4.6.0-3]. After a message came
/// again, or the session was lost, it is stale.
///
/// With a store PUBREC is sent at QoS 2 once the message is recorded, and this is the right to confirm it, which PUBCOMP waits for: one
/// that is dropped holds back that PUBCOMP only, and takes one of our Receive Maximum for as long as the session lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Acknowledgement {
    pub(crate) packet_identifier: PacketIdentifier,
    pub(crate) delivery: DeliveryNumber,
    pub(crate) exactly_once: bool,
}

impl Acknowledgement {
    /// The right to confirm a message that came again from its record after a crash, as
    /// [`Session::confirm`](super::Session::confirm) does.
    #[must_use]
    pub const fn of_record(delivery: DeliveryNumber, packet_identifier: PacketIdentifier) -> Self {
        Self { packet_identifier, delivery, exactly_once: true }
    }

    /// The number of the message that it acknowledges.
    #[must_use]
    pub const fn delivery_number(self) -> DeliveryNumber {
        self.delivery
    }

    /// The Packet Identifier of the Server's PUBLISH.
    #[must_use]
    pub const fn packet_identifier(self) -> PacketIdentifier {
        self.packet_identifier
    }
}

/// The acknowledgements of this connection, each kind in its order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Acknowledgements {
    pubacks: List,
    pubrecs: List,
    pubcomps: List,
    /// PUBREL has come, and the application has not confirmed the message.
    unconfirmed: List,
    /// Numbers the connections; one long ago may have had the same number.
    connection: u16,
    /// PUBLISHes of this connection whose exchange is not over: what counts against our Receive Maximum (§4.9).
    unacknowledged: u16,
}

/// What to do with a PUBLISH at QoS 1 or 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Hand it over, with its [`token`](Session::token).
    Deliver,
    /// It was handed over before [MQTT-4.3.3-10].
    Duplicate,
    /// The table is full.
    Full,
    /// Its identifier is in use for the other QoS.
    IdentifierInUse,
}

impl<S: Storage> Session<S> {
    /// A whole PUBLISH has arrived. `acknowledge`: at once, without the application. `skipped`: nobody is given its payload, so
    /// there is nothing to record.
    pub(crate) fn arrived(&mut self, id: PacketIdentifier, qos: QoS, acknowledge: bool, skipped: bool) -> Verdict {
        let exactly_once = cfg!(feature = "qos2") && matches!(qos, QoS::ExactlyOnce);
        let ready = acknowledge.then_some(ReasonCode::SUCCESS);
        if let Some(arrival) = self.storage.incoming_mut().get_mut(id) {
            return match (arrival.stage, exactly_once) {
                // The Server did not wait for our PUBACK; it is the same message with the same answer.
                (Stage::Puback(_), false) => Verdict::Deliver,
                (Stage::Puback(_), true) | (_, false) => Verdict::IdentifierInUse,
                _ => {
                    self.owe_pubrec(id);
                    Verdict::Duplicate
                }
            };
        }
        if self.storage.incoming().len() >= self.storage.incoming().capacity() {
            return Verdict::Full;
        }
        let delivery = DeliveryNumber(self.last_delivery.0.saturating_add(1));
        let record = if exactly_once && !skipped { self.number_record() } else { None };
        // With a store, what is recorded is acknowledged; the application confirms it apart.
        let ready = if record.is_some() { Some(ReasonCode::SUCCESS) } else { ready };
        let arrival = Arrival {
            link: Link::NONE,
            stage: if exactly_once { Stage::Pubrec(ready) } else { Stage::Puback(ready) },
            delivery,
            queued: true,
            confirmed: record.is_none() || acknowledge,
            owed: 1,
            connection: self.acknowledgements.connection,
            record: record.unwrap_or(0),
        };
        self.storage.incoming_mut().insert(id, arrival);
        self.acknowledgements.unacknowledged = self.acknowledgements.unacknowledged.saturating_add(1);
        self.last_delivery = delivery;
        let queue = if exactly_once { &mut self.acknowledgements.pubrecs } else { &mut self.acknowledgements.pubacks };
        queue.push_back(self.storage.incoming_mut(), id);
        Verdict::Deliver
    }

    /// The right to acknowledge a message that is handed over now, and the number of its record; 0 without a store.
    pub(crate) fn token(&self, id: PacketIdentifier) -> Option<(Acknowledgement, u64)> {
        let arrival = self.storage.incoming().get(id)?;
        let exactly_once = cfg!(feature = "qos2") && !matches!(arrival.stage, Stage::Puback(_));
        let token = Acknowledgement { packet_identifier: id, delivery: arrival.delivery, exactly_once };
        Some((token, if exactly_once { arrival.record } else { 0 }))
    }

    /// Tells whether an acknowledgement is on its way out, or waits for the application, so that room will be made without the
    /// Server.
    pub(crate) const fn makes_room(&self) -> bool {
        !self.acknowledgements.is_idle()
    }

    /// Tells whether a PUBLISH at QoS 2 with this identifier was handed over before.
    pub(crate) fn is_duplicate(&self, id: PacketIdentifier, qos: QoS) -> bool {
        cfg!(feature = "qos2")
            && matches!(qos, QoS::ExactlyOnce)
            && self.storage.incoming().get(id).is_some_and(|arrival| !matches!(arrival.stage, Stage::Puback(_)))
    }

    /// The Server sent a message again before PUBREL: every one of them is answered.
    fn owe_pubrec(&mut self, id: PacketIdentifier) {
        let Some(arrival) = self.storage.incoming_mut().get_mut(id) else { return };
        arrival.owed = arrival.owed.saturating_add(1);
        if arrival.connection != self.acknowledgements.connection {
            arrival.connection = self.acknowledgements.connection;
            self.acknowledgements.unacknowledged = self.acknowledgements.unacknowledged.saturating_add(1);
        }
        if matches!(arrival.stage, Stage::AwaitPubrel) {
            arrival.stage = Stage::Pubrec(Some(ReasonCode::SUCCESS));
        }
        // Once PUBREL has been here, the PUBCOMP that is queued answers all.
        if !arrival.queued {
            arrival.queued = true;
            arrival.owed = 1;
            self.acknowledgements.pubrecs.push_back(self.storage.incoming_mut(), id);
        }
    }

    /// PUBREL has arrived; tells whether it belongs to a message.
    pub(crate) fn released(&mut self, id: PacketIdentifier) -> bool {
        if !cfg!(feature = "qos2") {
            return false;
        }
        let Some(arrival) = self.storage.incoming().get(id) else { return false };
        let queued = arrival.queued;
        match arrival.stage {
            Stage::Puback(_) => return false,
            Stage::Pubcomp => return true,
            Stage::Pubrec(_) | Stage::AwaitPubrel => {}
        }
        if queued {
            self.acknowledgements.pubrecs.remove(self.storage.incoming_mut(), id);
        }
        let record = self.pend(PendingRecord::Released(id));
        let Some(arrival) = self.storage.incoming_mut().get_mut(id) else { return false };
        arrival.stage = Stage::Pubcomp;
        arrival.queued = true;
        arrival.record = record;
        let lists = &mut self.acknowledgements;
        let list = if arrival.confirmed { &mut lists.pubcomps } else { &mut lists.unconfirmed };
        list.push_back(self.storage.incoming_mut(), id);
        true
    }

    /// The application has a message that was acknowledged when it was recorded.
    fn confirmed(&mut self, token: Acknowledgement) {
        let id = token.packet_identifier;
        let arrival = self.storage.incoming_mut().get_mut(id);
        let Some(arrival) = arrival.filter(|arrival| arrival.delivery == token.delivery && !arrival.confirmed) else {
            return;
        };
        arrival.confirmed = true;
        if matches!(arrival.stage, Stage::Pubcomp) {
            self.acknowledgements.unconfirmed.remove(self.storage.incoming_mut(), id);
            self.acknowledgements.pubcomps.push_back(self.storage.incoming_mut(), id);
        }
    }

    /// The application has taken the message over, or refuses it; tells whether the token was good.
    pub(crate) fn acknowledge(&mut self, token: Acknowledgement, reason_code: ReasonCode) -> bool {
        if cfg!(feature = "qos2") && token.exactly_once && self.is_durable() {
            self.confirmed(token);
            self.pend(PendingRecord::Confirmed(token.delivery));
            return true;
        }
        let arrival = self.storage.incoming_mut().get_mut(token.packet_identifier);
        let Some(arrival) = arrival.filter(|arrival| arrival.delivery == token.delivery) else { return false };
        match &mut arrival.stage {
            Stage::Puback(reason @ None) | Stage::Pubrec(reason @ None) => *reason = Some(reason_code),
            _ => return false,
        }
        true
    }

    /// Tells whether the token acknowledges something: it is not stale, and was not used. With a store that of a message at QoS 2
    /// always does.
    #[must_use]
    pub fn awaits(&self, token: Acknowledgement) -> bool {
        if cfg!(feature = "qos2") && token.exactly_once && self.is_durable() {
            return true;
        }
        self.storage.incoming().get(token.packet_identifier).is_some_and(|arrival| {
            arrival.delivery == token.delivery && matches!(arrival.stage, Stage::Puback(None) | Stage::Pubrec(None))
        })
    }

    /// The acknowledgement to send next; [`acknowledgement_sent`](Self::acknowledgement_sent) takes it off.
    pub(crate) fn next_acknowledgement(&self) -> Option<(AckKind, PacketIdentifier, ReasonCode)> {
        let lists = &self.acknowledgements;
        [lists.pubacks, lists.pubrecs, lists.pubcomps].into_iter().find_map(|list| {
            let id = list.first()?;
            let arrival = self.storage.incoming().get(id)?;
            if !self.may_leave(arrival.record) {
                return None;
            }
            match arrival.stage {
                Stage::Puback(reason) => Some((AckKind::Puback, id, reason?)),
                _ if !cfg!(feature = "qos2") => None,
                Stage::Pubrec(reason) => Some((AckKind::Pubrec, id, reason?)),
                Stage::Pubcomp => Some((AckKind::Pubcomp, id, ReasonCode::SUCCESS)),
                Stage::AwaitPubrel => None,
            }
        })
    }

    pub(crate) fn acknowledgement_sent(&mut self, id: PacketIdentifier) {
        let Some(arrival) = self.storage.incoming_mut().get_mut(id) else { return };
        let lists = &mut self.acknowledgements;
        let (list, gone) = match arrival.stage {
            Stage::Puback(_) => (&mut lists.pubacks, true),
            _ if !cfg!(feature = "qos2") => return,
            Stage::Pubcomp => (&mut lists.pubcomps, true),
            Stage::AwaitPubrel => return,
            Stage::Pubrec(reason) => {
                arrival.owed = arrival.owed.saturating_sub(1);
                if arrival.owed > 0 {
                    return;
                }
                arrival.queued = false;
                arrival.stage = Stage::AwaitPubrel;
                // After a refusal the identifier means a new message [MQTT-4.3.3-9].
                (&mut lists.pubrecs, reason.is_some_and(ReasonCode::is_failure))
            }
        };
        list.remove(self.storage.incoming_mut(), id);
        if gone {
            self.forget_arrival(id);
        }
    }

    fn forget_arrival(&mut self, id: PacketIdentifier) {
        if self.storage.incoming_mut().remove(id) {
            self.give_back_quota();
        }
    }

    /// Each PUBACK and PUBCOMP gives the Server back one of our Receive Maximum, also for a message of the connection before,
    /// whose PUBLISH took none on this one: it may have more under way then, but never more at first (§4.9).
    pub(crate) const fn give_back_quota(&mut self) {
        self.acknowledgements.unacknowledged = self.acknowledgements.unacknowledged.saturating_sub(1);
    }

    /// How much of our Receive Maximum the Server has used up on this connection.
    pub(crate) const fn received_unacknowledged(&self) -> u16 {
        self.acknowledgements.unacknowledged
    }

    /// A new connection: the Server sends again what it has no acknowledgement for. At QoS 1 that is a new hand-over; at QoS 2
    /// the identifier is known, so what was handed over is only acknowledged.
    pub(super) fn forget_acknowledgements(&mut self) {
        while let Some(id) = self.acknowledgements.pubacks.pop_front(self.storage.incoming_mut()) {
            self.storage.incoming_mut().remove(id);
        }
        if cfg!(feature = "qos2") {
            self.forget_qos2_acknowledgements();
        }
        self.acknowledgements.connection = self.acknowledgements.connection.wrapping_add(1);
        self.acknowledgements.unacknowledged = 0;
    }

    fn forget_qos2_acknowledgements(&mut self) {
        // PUBREL comes again, and its PUBCOMP still waits for its record.
        let lists = &mut self.acknowledgements;
        let table = self.storage.incoming_mut();
        while let Some(id) = lists.pubcomps.pop_front(table).or_else(|| lists.unconfirmed.pop_front(table)) {
            if let Some(arrival) = table.get_mut(id) {
                arrival.stage = Stage::AwaitPubrel;
                arrival.queued = false;
                arrival.owed = 0;
            }
        }
        while let Some(id) = self.acknowledgements.pubrecs.pop_front(self.storage.incoming_mut()) {
            if let Some(arrival) = self.storage.incoming_mut().get_mut(id) {
                arrival.queued = false;
                arrival.owed = 0;
            }
        }
    }

    /// The Server lost the session: its identifiers mean new messages.
    pub(super) fn forget_arrivals(&mut self) {
        self.acknowledgements = Acknowledgements::NEW;
        self.storage.incoming_mut().clear();
    }

    /// A record says that these came in sessions that the Server has no longer.
    pub(super) fn forget_arrivals_up_to(&mut self, last: DeliveryNumber) {
        if last >= self.last_delivery {
            return self.forget_arrivals();
        }
        // The record was written late, which is so rare that the table need not be able to list what it has.
        for id in (1..=u16::MAX).filter_map(PacketIdentifier::new) {
            if self.storage.incoming().get(id).is_some_and(|arrival| arrival.delivery <= last) {
                self.storage.incoming_mut().remove(id);
            }
        }
    }

    /// A record says that a message was received before the crash; its PUBREC may have been sent.
    pub(super) fn restore_arrival(&mut self, id: PacketIdentifier, delivery: DeliveryNumber) -> bool {
        self.last_delivery = self.last_delivery.max(delivery);
        let arrival = Arrival {
            link: Link::NONE,
            stage: Stage::AwaitPubrel,
            delivery,
            queued: false,
            // It waits in the store, where nothing bounds it but the store.
            confirmed: true,
            owed: 0,
            connection: self.acknowledgements.connection,
            record: 0,
        };
        self.storage.incoming_mut().remove(id);
        self.storage.incoming_mut().insert(id, arrival)
    }

    /// Tells whether a PUBCOMP waits for this record.
    pub(super) fn awaits_release(&self, id: PacketIdentifier, record: u64) -> bool {
        self.storage.incoming().get(id).is_some_and(|arrival| arrival.record == record)
    }

    /// A PUBCOMP waits for this record from now on.
    pub(super) fn await_release(&mut self, id: PacketIdentifier, record: u64) {
        if let Some(arrival) = self.storage.incoming_mut().get_mut(id) {
            arrival.record = record;
        }
    }

    /// The record of a message could not be made durable: it counts as not received. 5.0 refuses it, which frees the
    /// identifier; 3.1.1 cannot, so it stays unanswered and comes again on the next connection.
    pub(super) fn arrival_record_failed(&mut self, id: PacketIdentifier, record: u64, v5: bool) {
        if !cfg!(feature = "qos2") {
            return;
        }
        let arrival = self.storage.incoming_mut().get_mut(id);
        let Some(arrival) = arrival.filter(|arrival| arrival.record == record) else { return };
        if v5 {
            arrival.stage = Stage::Pubrec(Some(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR));
            arrival.record = 0;
        } else {
            if arrival.queued {
                self.acknowledgements.pubrecs.remove(self.storage.incoming_mut(), id);
            }
            self.forget_arrival(id);
        }
    }
}

impl Acknowledgements {
    pub(super) const NEW: Self = Self {
        pubacks: List::NEW,
        pubrecs: List::NEW,
        pubcomps: List::NEW,
        unconfirmed: List::NEW,
        connection: 0,
        unacknowledged: 0,
    };

    const fn is_idle(&self) -> bool {
        let completed = self.pubrecs.is_empty() && self.pubcomps.is_empty() && self.unconfirmed.is_empty();
        self.pubacks.is_empty() && (!cfg!(feature = "qos2") || completed)
    }
}
