//! What is done once the lock is free: wakers are code of somebody else's, who may come back for the lock.

use core::ops::{Deref, DerefMut};
use core::task::Waker;
use std::sync::MutexGuard;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::replies::{Due, Requests};
use super::{Reauthentication, Recorded, State};
use crate::contain::contain;
use crate::payload::Source;

/// Those to wake, and those to answer.
#[derive(Debug, Default)]
pub(crate) struct Later {
    /// Mostly one or two, and often: they need no memory of their own.
    pub(crate) wakers: SmallVec<[Waker; 4]>,
    /// Those that are only dropped.
    pub(super) forgotten: Vec<Waker>,
    pub(crate) due: Vec<Due>,
    /// Those whose messages are in the store now, or not; `None`: they will not be told.
    pub(super) recorded: Vec<(oneshot::Sender<Recorded>, Option<Recorded>)>,
    /// So many messages will not be acknowledged, which is logged.
    pub(super) withheld: u64,
    /// Dropped then: an application's code may run.
    pub(crate) sources: Vec<Source>,
    /// Dropped then: who waits for one of them is told that nothing comes.
    pub(super) given_up: Option<Requests>,
    /// Dropped then, likewise.
    pub(super) reauthentications: Vec<Reauthentication>,
}

impl Later {
    fn is_empty(&self) -> bool {
        self.wakers.is_empty()
            && self.forgotten.is_empty()
            && self.due.is_empty()
            && self.recorded.is_empty()
            && self.withheld == 0
            && self.sources.is_empty()
            && self.given_up.is_none()
            && self.reauthentications.is_empty()
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        // All of them, whatever one does.
        for waker in self.wakers.drain(..) {
            let _ = contain(|| waker.wake());
        }
        for waker in self.forgotten.drain(..) {
            let _ = contain(|| drop(waker));
        }
        for due in self.due.drain(..) {
            let _ = contain(|| due.send());
        }
        for (sender, recorded) in self.recorded.drain(..) {
            let _ = contain(|| recorded.map(|recorded| sender.send(recorded))); // who asked may have gone
        }
        if self.withheld > 0 {
            let messages = self.withheld;
            let _ = contain(|| {
                tracing::warn!(
                    messages,
                    "dropped without being acknowledged by hand: later acknowledgements are held back"
                );
            });
        }
        for source in self.sources.drain(..) {
            let _ = contain(|| drop(source));
        }
        for waiting in self.reauthentications.drain(..) {
            let _ = contain(|| drop(waiting));
        }
        let given_up = self.given_up.take();
        let _ = contain(|| drop(given_up));
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
