//! Messages of a kept session that come before their streams.
//!
//! What the broker has kept comes right behind the first CONNACK, and the application subscribes when it gets to it. Until
//! then messages at QoS 1 and 2 wait here, unacknowledged, so that the Receive Maximum bounds them; for a while only, because
//! the session may have subscriptions that nobody wants any more.

use std::sync::Arc;

use mqtt_core::Instant;

use super::queue::{Offer, Queue};
use super::routes::Interest;
use super::tickets::Ticket;
use crate::message::Message;
use crate::state::Later;

#[derive(Debug)]
pub(crate) struct Early {
    session_is_kept: bool,
    /// Until when they wait, from the first connection on.
    until: Option<Instant>,
    messages: Vec<(Message, Arc<Ticket>)>,
    /// From a store: they were received before this client began, and wait as long as it lives.
    again: Vec<(Message, Arc<Ticket>)>,
}

impl Early {
    pub(crate) const fn new(session_is_kept: bool) -> Self {
        Self { session_is_kept, until: None, messages: Vec::new(), again: Vec::new() }
    }

    /// There is a connection; only the first one matters.
    pub(crate) fn connected(&mut self, until: Instant) {
        if self.session_is_kept {
            self.until.get_or_insert(until);
        }
    }

    /// Until when a message that no stream matches may wait for one.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// Tells whether a message that no stream matches may wait for one.
    pub(crate) fn may_wait(&self, now: Instant) -> bool {
        self.until(now).is_some()
    }

    pub(crate) fn push(&mut self, message: Message, ticket: Arc<Ticket>) {
        self.messages.push((message, ticket));
    }

    pub(crate) fn push_again(&mut self, message: Message, ticket: Arc<Ticket>) {
        self.again.push((message, ticket));
    }

    /// How many from a store still wait.
    pub(crate) fn again(&self) -> usize {
        self.again.len()
    }

    /// There is a stream for these.
    pub(crate) fn hand_over(&mut self, interest: Interest<'_>, queue: &Queue, later: &mut Later) {
        let mut hand_over = |(message, ticket): &(Message, Arc<Ticket>)| {
            let matches = interest.includes(message.topic());
            if matches {
                let offer = Offer { message, ticket: Some(ticket), may_wait: true, overdue: false };
                queue.push(&offer, later);
            }
            !matches
        };
        self.again.retain(&mut hand_over);
        self.messages.retain(hand_over);
    }

    /// When [`expire`](Self::expire) has work.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until.filter(|_| !self.messages.is_empty())
    }

    /// Gives up those that have waited long enough, and tells how many they were.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        if self.may_wait(now) {
            return 0;
        }
        let expired = self.messages.len() as u64;
        self.messages.clear(); // tickets come back
        expired
    }
}
