//! Two clients with one Client Identifier, which throw each other out.

use crate::connection::ConnectionError;
use crate::types::ReasonCode;

/// Finds out that another client uses the same Client Identifier: each that connects ends the connection of the other
/// [MQTT-3.1.4-3].
///
/// A Server of 5.0 says so. One of 3.1.1 closes the connection, soon after the other client has come back.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rivalry {
    in_a_row: u32,
}

impl Rivalry {
    /// Nothing has happened yet.
    pub const NONE: Self = Self { in_a_row: 0 };

    /// A connection that CONNACK had accepted has ended. `without_reason`: it stood for less time than a stable one, and the Server
    /// owed no answer, so that it was not for something that this side had sent.
    ///
    /// Returns how many connections in a row were ended by another client as it seems; 0: none. Where the Server does not say
    /// so, three in a row must have been closed without a reason.
    pub const fn connection_ended(&mut self, error: ConnectionError, without_reason: bool) -> u32 {
        let said = matches!(error, ConnectionError::Disconnected(ReasonCode::SESSION_TAKEN_OVER));
        let closed = matches!(error, ConnectionError::TransportLost) && without_reason;
        self.in_a_row = if said || closed { self.in_a_row.saturating_add(1) } else { 0 };
        if said || self.in_a_row >= 3 { self.in_a_row } else { 0 }
    }

    /// A connection has stood for so long that whatever ended those before is over.
    pub const fn calm(&mut self) {
        self.in_a_row = 0;
    }
}
