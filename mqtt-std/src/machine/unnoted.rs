//! Nobody takes notes: without the feature `tape` this is all there is of it, and no code.

use mqtt_core::Transmit;

use super::{Call, Capacities, Inner};
use crate::options::Options;

/// As the one that takes notes, for the calls.
pub(crate) struct Notes;

impl Notes {
    pub(super) const fn of(_: &Options, _: Capacities) -> Self {
        Self
    }

    #[inline]
    pub(super) fn call<'a>(&self, _: &Inner, _: impl FnOnce() -> Call<'a>) {}

    #[inline]
    pub(super) const fn answer<T>(&self, _: &T) {}

    #[inline]
    pub(super) fn wrote<E>(&self, _: &Inner, _: &[u8], _: Result<Option<Transmit>, E>) {}

    #[inline]
    pub(super) const fn end(&self, _: &Inner) {}
}
