//! Enhanced authentication on a link: AUTH packets, and who waits for a re-authentication.

use core::task::{Context, Poll};
use std::sync::Arc;

use mqtt_core::{ReasonCode, UsageError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::link::Link;
use super::talk::{Talk, Word};
use crate::contain::contain;
use crate::deadline::deadline;
use crate::error::{Error, ProviderError};
use crate::state::Shared;
use crate::status::Cause;

impl<T: AsyncRead + AsyncWrite + Unpin> Link<T> {
    /// Lets the application's code say its word, if it is its turn; tells whether it said one. The lock is free while it speaks.
    pub(super) fn converse(&mut self, cx: &mut Context<'_>) -> Result<bool, Cause> {
        let wanted = core::mem::take(&mut self.reauthentication_wanted);
        let Some(talk) = &mut self.talk else {
            if wanted {
                answer(&self.shared, || Err(UsageError::NoAuthentication.into()));
            }
            return Ok(false);
        };
        let conversed = converse(&self.shared, talk, wanted.then(|| deadline(self.answer_timeout)), cx);
        let Err(error) = conversed else { return conversed.map_err(Cause::Authentication) };
        answer(&self.shared, || Err(Error::Authentication(error.clone())));
        self.end_unauthenticated(Cause::Authentication(error)).map(|()| true)
    }

    /// Ends the connection: with a DISCONNECT if there is one to end, §4.12.1.
    fn end_unauthenticated(&mut self, cause: Cause) -> Result<(), Cause> {
        let mut state = self.shared.lock();
        if !state.machine.is_connected() || !state.outbox.takes_last() {
            return Err(cause);
        }
        self.talk = None;
        self.ending = Some(cause);
        state.disconnect(ReasonCode::UNSPECIFIED_ERROR);
        Ok(())
    }

    /// The server's next word in a re-authentication takes too long.
    pub(super) fn check_answer(&self, now: Instant) -> Option<Cause> {
        let overdue = self.talk.as_ref().and_then(|talk| talk.until).is_some_and(|until| now >= until);
        overdue.then(|| Cause::Authentication(ProviderError::new("no answer in time")))
    }
}

fn converse(
    shared: &Arc<Shared>,
    talk: &mut Talk,
    again_until: Option<Instant>,
    cx: &mut Context<'_>,
) -> Result<bool, ProviderError> {
    if let Some(until) = again_until.filter(|_| !talk.renewing) {
        talk.begin_again(until)?;
    }
    let Poll::Ready(word) = talk.poll(cx) else { return Ok(false) };
    let (data, again) = match word? {
        Word::Start(data) => (data, true),
        Word::Answer(data) => (data, false),
        Word::Approved => {
            answer(shared, || Ok(()));
            return Ok(true);
        }
    };
    let properties = talk.properties(&data);
    let mut state = shared.lock();
    let state = &mut *state;
    let machine = &mut state.machine;
    let written = state.outbox.encode(|out| {
        let written =
            if again { machine.reauthenticate(&properties, out) } else { machine.authenticate(&properties, out) };
        Ok(((), written?))
    });
    match written {
        // The connection is over: there is a cause already.
        Ok(()) | Err(UsageError::ConnectionClosed(_) | UsageError::NotConnected) => Ok(true),
        Err(error) => Err(ProviderError::new(error)),
    }
}

/// Tells those who wait for a re-authentication.
pub(super) fn answer(shared: &Shared, result: impl Fn() -> Result<(), Error>) {
    let waiting = core::mem::take(&mut shared.lock().reauthentications);
    for sender in waiting {
        // Who waits is woken.
        let _ = contain(|| sender.send(result()));
    }
}
