//! What is done once the lock is free: wakers are code of somebody else's, who may come back for the lock.

use core::ops::{Deref, DerefMut};
use core::task::Waker;
use std::sync::MutexGuard;

use super::State;
use crate::payload::Source;

use super::replies::{Due, Requests};

/// Those to wake, and those to answer.
#[derive(Debug, Default)]
pub(crate) struct Later {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) due: Vec<Due>,
    /// Dropped then: an application's code may run.
    pub(crate) sources: Vec<Source>,
    /// Dropped then: who waits for one of them is told that nothing comes.
    pub(super) given_up: Option<Requests>,
}

impl Later {
    fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.due.is_empty() && self.sources.is_empty() && self.given_up.is_none()
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        for due in self.due.drain(..) {
            due.send();
        }
    }
}

/// The state, locked. What it leaves for later is done when the lock is free.
pub(crate) struct Locked<'a> {
    // Fields are dropped in this order.
    state: MutexGuard<'a, State>,
    later: Option<Later>,
}

impl<'a> Locked<'a> {
    pub(crate) fn new(state: MutexGuard<'a, State>) -> Self {
        Self { state, later: None }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if !self.state.later.is_empty() {
            self.later = Some(core::mem::take(&mut self.state.later));
        }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}
