//! One network connection: what dies with the socket.
//!
//! [`Connection`] holds negotiated limits, Topic Aliases, quotas and timers. It owns nothing of the
//! [`Session`](crate::Session), which its calls take. Each concern is a file: the handshake, what is received, what is
//! transmitted, Keep Alive, the Server's limits, aliases.

mod alias;
mod commands;
mod error;
mod event;
mod handshake;
mod keep_alive;
mod limits;
mod progress;
mod receive;
mod strays;
mod transmit;

pub use alias::{Aliases, ArrayAliases, NoAliases};
pub use error::{ConnectionError, ProtocolError, UsageError};
pub use event::{Connected, Event, Message};
pub use limits::ServerLimits;
pub use receive::ReceiveError;
pub use transmit::{Transmit, TransmitPayload};

use crate::error::DecodeError;
use crate::maybe::Maybe;
use crate::options::{Acknowledge, ConnectOptions};
use crate::session::{Session, Storage};
use crate::time::{Deadline, Instant};
use crate::trace;
use crate::types::{PacketIdentifier, ReasonCode};
use crate::version::ProtocolVersion;
use handshake::Authentication;
use keep_alive::KeepAlive;
use progress::Progress;
use receive::Inbound;
use strays::Strays;

/// A connection, from CONNECT to the end.
///
/// ```text
/// New --connect--> Connecting --CONNACK--> Connected --any error, disconnect--> Closing --DISCONNECT given out--> Closed
///                      +--CONNACK refuses, no CONNACK in time--------------------------------------------------------^
/// ```
///
/// After a fatal error, `receive` and what writes a packet at once repeat it; `poll_transmit` still gives the DISCONNECT with
/// the Reason Code (5.0), then nothing. The session takes commands all the same, and can be resumed on a new connection.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Connection<A = NoAliases> {
    aliases: A,
    version: ProtocolVersion,
    phase: Phase,
    failure: Maybe<ConnectionError>,
    ours: Ours,
    limits: ServerLimits,
    keep_alive: KeepAlive,
    connack_deadline: Deadline,
    authentication: Authentication,
    inbound: Maybe<Inbound>,
    strays: Strays,
    /// The subscriptions before this place of the list are not due for renewal; `None`: none is.
    renewal_from: Option<usize>,
    refused_renewals: u16,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Phase {
    New,
    Connecting,
    Connected,
    /// A DISCONNECT with this reason is to be given out.
    Closing(ReasonCode),
    Closed,
}

/// What CONNECT said, as far as answers are measured by it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Ours {
    clean_start: bool,
    keep_alive: u16,
    pingresp_timeout: u32,
    /// Receive Maximum, and what is borne beyond.
    receive_limit: u16,
    send_maximum: u16,
    maximum_packet_size: Option<u32>,
    session_expiry_interval: u32,
    needs_client_identifier: bool,
    no_problem_information: bool,
    response_information: bool,
    acknowledge_at_once: bool,
    streaming: bool,
    republish_exactly_once: bool,
}

impl Ours {
    /// Nothing was said yet.
    const NONE: Self = Self {
        clean_start: false,
        keep_alive: 0,
        pingresp_timeout: 0,
        receive_limit: 0,
        send_maximum: 0,
        maximum_packet_size: None,
        session_expiry_interval: 0,
        needs_client_identifier: false,
        no_problem_information: false,
        response_information: false,
        acknowledge_at_once: false,
        streaming: false,
        republish_exactly_once: false,
    };

    const fn new(options: &ConnectOptions<'_>, clean_start: bool, receive_maximum: u16) -> Self {
        Self {
            clean_start,
            keep_alive: options.keep_alive,
            pingresp_timeout: options.pingresp_timeout,
            receive_limit: receive_maximum.saturating_add(options.receive_beyond_maximum),
            send_maximum: match options.send_maximum {
                Some(maximum) => maximum,
                None => u16::MAX,
            },
            maximum_packet_size: options.maximum_packet_size,
            session_expiry_interval: options.session_expiry_interval,
            needs_client_identifier: false,
            no_problem_information: !options.request_problem_information,
            response_information: options.request_response_information,
            acknowledge_at_once: matches!(options.acknowledge, Acknowledge::AtOnce),
            streaming: options.streaming,
            republish_exactly_once: options.republish_exactly_once,
        }
    }
}

impl<A: Aliases> Connection<A> {
    /// A connection that is to be begun with [`connect`](Self::connect), with this memory for Topic Aliases.
    ///
    /// All of it is zero, and so is a new session: a machine in a `static` has no initial values in flash.
    #[must_use]
    pub const fn new(aliases: A) -> Self {
        Self {
            aliases,
            version: ProtocolVersion::V5_0,
            phase: Phase::New,
            failure: Maybe::None,
            ours: Ours::NONE,
            limits: ServerLimits::NONE,
            keep_alive: KeepAlive::OFF,
            connack_deadline: Deadline::NONE,
            authentication: Authentication::NONE,
            inbound: Maybe::None,
            strays: Strays::NONE,
            renewal_from: None,
            refused_renewals: 0,
            progress: Progress::START,
        }
    }

    /// Makes the value ready for a new network connection: nothing of the one before is left.
    pub fn reset(&mut self) {
        self.aliases.clear();
        self.phase = Phase::New;
        self.failure = Maybe::None;
        self.limits = ServerLimits::NONE;
        self.keep_alive = KeepAlive::OFF;
        self.connack_deadline = Deadline::NONE;
        self.authentication = Authentication::NONE;
        self.inbound = Maybe::None;
        self.strays = Strays::NONE;
        self.renewal_from = None;
        self.refused_renewals = 0;
        self.progress = Progress::START;
    }

    /// The version that CONNECT asked for.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// What the Server can take; those of the standard before CONNACK.
    #[must_use]
    pub const fn limits(&self) -> &ServerLimits {
        // No Server has this one: no connection was begun.
        if self.limits.receive_maximum == 0 { &ServerLimits::STANDARD } else { &self.limits }
    }

    /// Tells whether CONNACK has accepted the connection and it is not over.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    /// Tells whether nothing is left to do but to send what was given out and to close the transport.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Tells whether nothing more is received or written, but perhaps a DISCONNECT.
    pub(crate) const fn is_over(&self) -> bool {
        !matches!(self.phase, Phase::Connecting | Phase::Connected)
    }

    /// Tells whether subscriptions may be due for renewal.
    pub(crate) const fn is_renewing(&self) -> bool {
        self.renewal_from.is_some()
    }

    /// Subscriptions have left the list, and others have other places: what is due is looked for from the first one on.
    pub(crate) const fn look_for_renewals_again(&mut self) {
        if self.renewal_from.is_some() {
            self.renewal_from = Some(0);
        }
    }

    /// Why the connection is over, if it is.
    #[must_use]
    pub const fn failure(&self) -> Option<ConnectionError> {
        self.failure.get()
    }

    /// Tells whether PINGREQ was sent and PINGRESP has not come yet.
    #[must_use]
    pub const fn awaits_pingresp(&self) -> bool {
        self.keep_alive.awaits_pingresp()
    }

    /// How many answers came that belong to no exchange; they are borne.
    #[must_use]
    pub const fn ignored(&self) -> u32 {
        self.strays.ignored
    }

    /// How many renewals of subscriptions [`poll_transmit`](Self::poll_transmit) did not send on this connection, because they
    /// are beyond the Server's limits. They are marked in the list as
    /// [`Renewal::Refused`](crate::Renewal::Refused).
    #[must_use]
    pub const fn refused_renewals(&self) -> u16 {
        self.refused_renewals
    }

    /// Some bytes have arrived, of whatever packet: a sign of life. Call it for each read, before `receive`.
    pub fn bytes_received(&mut self, now: Instant) {
        self.keep_alive.heard(now);
    }

    /// Says whether the adapter reads from the transport. While it does not, because the application is slow, PINGREQ still
    /// goes out and no PINGRESP is waited for.
    pub fn set_reading(&mut self, now: Instant, reading: bool) {
        self.keep_alive.set_paused(now, !reading);
    }

    /// `bytes` of what was given out have been sent. Keep Alive counts from the last byte of a packet.
    pub fn transmitted(&mut self, now: Instant, bytes: usize) {
        let sent = self.progress.transmitted(bytes);
        if bytes > 0 {
            self.keep_alive.bytes_sent(now);
        }
        if sent.packet {
            self.keep_alive.packet_sent(now);
        }
        if sent.ping {
            self.keep_alive.ping_sent(now);
        }
    }

    /// What was given out has left as far as it is there: a source of a payload has nothing ready. That no byte leaves is not
    /// the transport's fault, so a PINGREQ behind the payload has its time from now on.
    pub fn source_waits(&mut self, now: Instant) {
        self.keep_alive.bytes_sent(now);
    }

    /// The earliest moment at which [`handle_timeout`](Self::handle_timeout) has work. May change after any call that takes
    /// `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting => self.connack_deadline.get(),
            Phase::Connected => self.keep_alive.deadline(),
            _ => None,
        }
    }

    /// Does what time demands. Too early or twice is harmless: it does nothing.
    ///
    /// # Errors
    /// `ConnackTimeout` or `PingrespTimeout`: the connection is over. Later calls repeat the error.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        match self.phase {
            Phase::Connecting if self.connack_deadline.get().is_some_and(|deadline| now >= deadline) => {
                Err(self.fail(ConnectionError::ConnackTimeout))
            }
            Phase::Connected if self.keep_alive.handle_timeout(now) => Err(self.fail(ConnectionError::PingrespTimeout)),
            _ => self.failure().map_or(Ok(()), Err),
        }
    }

    /// The transport has failed, or the peer has closed it: the connection is over, and no DISCONNECT is sent. The session can
    /// be resumed on another connection.
    pub fn transport_lost(&mut self) -> ConnectionError {
        let error = self.fail(ConnectionError::TransportLost);
        self.phase = Phase::Closed;
        error
    }

    /// Framing cannot read what arrived: the connection is over, with a DISCONNECT that says why.
    pub fn fail_framing(&mut self, error: DecodeError) -> ConnectionError {
        self.fail(ConnectionError::Decode(error))
    }

    /// The rest of the message that arrives in parts is not given to [`receive`](Self::receive): nobody takes it. It is not
    /// acknowledged, and at QoS 1 and 2 the Server sends it again on another connection.
    pub const fn pass_over_rest(&mut self) {
        self.inbound = Maybe::None;
    }

    /// A source of a payload ended early or failed: the packet cannot be finished, so the connection is over. The message
    /// alone fails, with [`Outcome::SourceFailed`](crate::Outcome::SourceFailed), and is not tried again; at QoS 0 there is
    /// no `packet_identifier`.
    pub fn source_failed<S: Storage>(&mut self, session: &mut Session<S>, packet_identifier: Option<PacketIdentifier>) {
        if let Some(packet_identifier) = packet_identifier {
            session.end_exchange(packet_identifier, crate::session::Outcome::SourceFailed);
        }
        self.fail(ConnectionError::SourceFailed);
        self.phase = Phase::Closed;
    }

    /// The connection is over. The first error stays.
    fn fail(&mut self, error: ConnectionError) -> ConnectionError {
        if let Some(first) = self.failure() {
            return first;
        }
        if !matches!(self.phase, Phase::New) {
            trace::connection_failed(error);
        }
        self.failure = Maybe::Some(error);
        self.phase = match error.disconnect_reason() {
            Some(reason) if self.version.is_v5() && !matches!(self.phase, Phase::New) => Phase::Closing(reason),
            _ => Phase::Closed,
        };
        error
    }

    /// Commands need a connection that CONNACK has accepted.
    const fn check_connected(&self) -> Result<(), UsageError> {
        match (self.phase, self.failure()) {
            (Phase::Connected, _) => Ok(()),
            (_, Some(error)) => Err(UsageError::ConnectionClosed(error)),
            _ => Err(UsageError::NotConnected),
        }
    }
}
