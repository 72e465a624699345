//! What the client tells `log` or `defmt`, where those features are on, besides what the core tells. None is on the way of a message
//! that is delivered.

#![cfg_attr(not(any(feature = "defmt", feature = "log")), allow(dead_code, reason = "nobody asks what a notice says"))]

use core::fmt;

use mqtt_core::ReasonCode;

use crate::error::Failure;

/// Something to know of.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Notice {
    /// A connection is lost, or an attempt has failed; the next one comes in so many milliseconds.
    Waiting(Failure, u32),
    /// The client gives up.
    GivenUp(Failure),
    /// A message found no room in the inbox, and will not come again.
    Dropped,
    /// The inbox is full: messages at QoS 1 and 2 are passed over, until the connection is made anew.
    Overflowed,
    /// A record could not be written.
    StoreFailed,
    /// The Server refuses a subscription.
    SubscriptionRefused(ReasonCode),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(failure, milliseconds) => write!(f, "{failure}; next attempt in {milliseconds} ms"),
            Self::GivenUp(failure) => write!(f, "{failure}; giving up"),
            Self::Dropped => f.write_str("message dropped: no room in the inbox"),
            Self::Overflowed => f.write_str("inbox is full: messages will come again on another connection"),
            Self::StoreFailed => f.write_str("record could not be written"),
            Self::SubscriptionRefused(reason) => write!(f, "subscription refused: {reason}"),
        }
    }
}

pub(crate) fn tell(notice: Notice) {
    #[cfg(feature = "log")]
    log::info!("{notice}");
    #[cfg(feature = "defmt")]
    defmt::info!("{}", notice);
    let _ = notice;
}
