//! The few events that go to `log` or `defmt`, where those features are on. None is on the way of a message.

use crate::connection::ConnectionError;

pub(crate) fn connected(session_present: bool) {
    #[cfg(feature = "log")]
    log::debug!("connected, session present: {session_present}");
    #[cfg(feature = "defmt")]
    defmt::debug!("connected, session present: {}", session_present);
    let _ = session_present;
}

pub(crate) fn connection_failed(error: ConnectionError) {
    #[cfg(feature = "log")]
    log::debug!("connection failed: {error}");
    #[cfg(feature = "defmt")]
    defmt::debug!("connection failed: {}", error);
    let _ = error;
}
