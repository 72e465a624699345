//! When to try again, and with which version: pure functions, no clock.

use crate::connection::ConnectionError;
use crate::options::{CleanStart, ConnectOptions};
use crate::packet::Connack;
use crate::types::ReasonCode;
use crate::version::ProtocolVersion;

/// What kind of error ended a connection, or an attempt at one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorClass {
    /// It passes: network errors, a Server that restarts.
    Retry,
    /// It passes slowly: a Server that asks to be left alone, another client with the same Client Identifier.
    RetrySlowly,
    /// Trying again cannot mend it: bad credentials, not authorised.
    Stop,
}

impl ErrorClass {
    /// The class of a Reason Code of CONNACK or DISCONNECT.
    #[must_use]
    pub const fn of_reason(reason_code: ReasonCode) -> Self {
        match reason_code {
            ReasonCode::SERVER_BUSY
            | ReasonCode::QUOTA_EXCEEDED
            | ReasonCode::CONNECTION_RATE_EXCEEDED
            | ReasonCode::MESSAGE_RATE_TOO_HIGH
            | ReasonCode::SERVER_UNAVAILABLE
            | ReasonCode::ADMINISTRATIVE_ACTION
            | ReasonCode::SESSION_TAKEN_OVER
            | ReasonCode::MAXIMUM_CONNECT_TIME => Self::RetrySlowly,
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
            | ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
            | ReasonCode::BAD_USER_NAME_OR_PASSWORD
            | ReasonCode::NOT_AUTHORIZED
            | ReasonCode::BANNED
            | ReasonCode::BAD_AUTHENTICATION_METHOD
            | ReasonCode::USE_ANOTHER_SERVER
            | ReasonCode::SERVER_MOVED
            | ReasonCode::RETAIN_NOT_SUPPORTED
            | ReasonCode::QOS_NOT_SUPPORTED => Self::Stop,
            _ => Self::Retry,
        }
    }

    /// The class of what ended a connection.
    #[must_use]
    pub const fn of_error(error: ConnectionError) -> Self {
        match error {
            // Of one packet perhaps: if it is of the client, CONNACK says so.
            ConnectionError::Disconnected(
                ReasonCode::NOT_AUTHORIZED | ReasonCode::RETAIN_NOT_SUPPORTED | ReasonCode::QOS_NOT_SUPPORTED,
            ) => Self::RetrySlowly,
            ConnectionError::Refused(reason) | ConnectionError::Disconnected(reason) => Self::of_reason(reason),
            ConnectionError::Closed => Self::Stop,
            // What the peer says is wrong will be wrong again; it may be another peer by then.
            ConnectionError::Decode(_) | ConnectionError::Protocol(_) | ConnectionError::MaximumPacketSizeTooSmall => {
                Self::RetrySlowly
            }
            ConnectionError::ConnackTimeout
            | ConnectionError::PingrespTimeout
            | ConnectionError::TransportLost
            | ConnectionError::SourceFailed => Self::Retry,
        }
    }
}

/// How long to wait before the next attempt: exponential with full jitter, between bounds.
///
/// ```
/// use mqtt_core::{Backoff, ErrorClass};
///
/// let backoff = Backoff::new();
/// // A number made from the seed, between the minimum and 2, 4, 8 ... times it.
/// let first = backoff.delay(ErrorClass::Retry, 0, 42).unwrap();
/// assert!((500..=1_000).contains(&first));
/// assert_eq!(backoff.delay(ErrorClass::Stop, 0, 42), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    minimum: u32,
    maximum: u32,
    slow_minimum: u32,
    stable: u32,
    retry_all: bool,
}

impl Backoff {
    /// At least 0.5 s, at most 60 s, at least 10 s where a Server asks to be left alone; a connection that stood for 10 s
    /// was stable.
    #[must_use]
    pub const fn new() -> Self {
        Self { minimum: 500, maximum: 60_000, slow_minimum: 10_000, stable: 10_000, retry_all: false }
    }

    /// Sets the shortest delay in milliseconds, at least 1.
    #[must_use]
    pub const fn minimum(mut self, milliseconds: u32) -> Self {
        self.minimum = if milliseconds == 0 { 1 } else { milliseconds };
        self
    }

    /// Sets the longest delay in milliseconds; the shortest one holds if that is longer.
    #[must_use]
    pub const fn maximum(mut self, milliseconds: u32) -> Self {
        self.maximum = milliseconds;
        self
    }

    /// Sets the shortest delay in milliseconds for [`ErrorClass::RetrySlowly`].
    #[must_use]
    pub const fn slow_minimum(mut self, milliseconds: u32) -> Self {
        self.slow_minimum = milliseconds;
        self
    }

    /// Sets for how many milliseconds a connection must have stood so that delays begin anew.
    #[must_use]
    pub const fn stable(mut self, milliseconds: u32) -> Self {
        self.stable = milliseconds;
        self
    }

    /// Tries again, slowly, also after errors of [`ErrorClass::Stop`].
    #[must_use]
    pub const fn retry_all(mut self, retry_all: bool) -> Self {
        self.retry_all = retry_all;
        self
    }

    /// Milliseconds to wait before the next attempt; `None`: do not try again. `attempt` counts failures since the last
    /// stable connection, from 0; `seed` is random and another one for each client and attempt.
    #[must_use]
    pub fn delay(&self, class: ErrorClass, attempt: u32, seed: u64) -> Option<u32> {
        let minimum = match class {
            ErrorClass::Retry => self.minimum,
            ErrorClass::RetrySlowly => self.minimum.max(self.slow_minimum),
            ErrorClass::Stop if self.retry_all => self.minimum.max(self.slow_minimum),
            ErrorClass::Stop => return None,
        };
        // 2^(attempt + 1) times the minimum, as far as the maximum allows.
        let doublings = attempt.saturating_add(1).min(31);
        let factor = 1_u32.wrapping_shl(doublings);
        let ceiling = minimum.saturating_mul(factor).min(self.maximum.max(minimum));
        let span = u64::from(ceiling.saturating_sub(minimum)).saturating_add(1);
        // The upper half of a product spreads 32 random bits over the span without a division.
        let random = mix(seed) >> 32;
        let offset = (random.wrapping_mul(span) >> 32) as u32;
        Some(minimum.saturating_add(offset))
    }

    /// The number of the next attempt after a connection that stood for so many milliseconds: 0 if it was stable.
    #[must_use]
    pub const fn next_attempt(&self, attempt: u32, connected_for: u64) -> u32 {
        if connected_for >= self.stable as u64 { 0 } else { attempt.saturating_add(1) }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// A Client Identifier made from random bits: 23 characters of 0-9, a-z and A-Z, which every Server accepts (3.1.1
/// §3.1.3.1).
///
/// ```
/// let identifier = mqtt_core::GeneratedClientIdentifier::new([7; 16]);
/// assert_eq!(identifier.as_str().len(), 23);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct GeneratedClientIdentifier([u8; 23]);

impl GeneratedClientIdentifier {
    /// Makes it from 16 random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        let mut state = u64::from_be_bytes(first_half(random));
        let other = u64::from_be_bytes(second_half(random));
        let mut text = [b'0'; 23];
        for (index, place) in text.iter_mut().enumerate() {
            if index == 11 {
                state ^= other;
            }
            state = mix(state);
            // The upper half of a product spreads 32 random bits over the 62 characters.
            let number = ((state >> 32).wrapping_mul(62) >> 32) as u8;
            *place = match number {
                0..=9 => b'0' + number,
                10..=35 => b'a' + (number - 10),
                _ => b'A' + (number - 36).min(25),
            };
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

const fn first_half(bytes: [u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    [a, b, c, d, e, f, g, h]
}

const fn second_half(bytes: [u8; 16]) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = bytes;
    [a, b, c, d, e, f, g, h]
}

/// Makes every bit depend on all (SplitMix64).
const fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// How an attempt with 5.0 ended, as far as the choice of version is concerned.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Attempt {
    /// CONNACK refused with this Reason Code; the return code 1 of 3.1.1 counts as 0x84.
    Refused(ReasonCode),
    /// The Server closed without a CONNACK.
    ClosedWithoutConnack,
}

impl Attempt {
    /// What this CONNACK says.
    #[must_use]
    pub const fn of(connack: &Connack<'_>) -> Self {
        Self::Refused(connack.reason_code)
    }
}

/// Whether to speak 3.1.1 with a Server that does not speak 5.0. Remember the answer for the Server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fallback {
    enabled: bool,
    after_close: bool,
}

impl Fallback {
    /// No fallback.
    pub const OFF: Self = Self { enabled: false, after_close: false };

    /// After a CONNACK 0x01 or 0x84.
    pub const ON: Self = Self { enabled: true, after_close: false };

    /// Also when the Server closes without a CONNACK, as some do on a level they do not know; so does a network that fails.
    #[must_use]
    pub const fn after_close(mut self, after_close: bool) -> Self {
        self.after_close = after_close;
        self
    }

    /// The version to try next on this Server, if another one.
    #[must_use]
    pub const fn next_version(&self, version: ProtocolVersion, attempt: Attempt) -> Option<ProtocolVersion> {
        let refused = match attempt {
            Attempt::Refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION) => true,
            Attempt::Refused(_) => false,
            Attempt::ClosedWithoutConnack => self.after_close,
        };
        match version {
            ProtocolVersion::V5_0 if self.enabled && refused && ProtocolVersion::V3_1_1.is_supported() => {
                Some(ProtocolVersion::V3_1_1)
            }
            _ => None,
        }
    }
}

/// What options lose when they are said in 3.1.1 or 3.1.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Loss {
    /// The session ends with the connection, or is kept for ever: seconds cannot be said.
    pub session_expiry_interval: bool,
    /// Properties of CONNECT: User Properties, enhanced authentication.
    pub properties: bool,
    /// Properties of the Will, its delay among them.
    pub will_properties: bool,
    /// The Server is not told how many messages it may send at once.
    pub receive_maximum: bool,
    /// The Server is not told how large a packet may be.
    pub maximum_packet_size: bool,
    /// The Server is not asked for Response Information.
    pub request_response_information: bool,
    /// The Server is not told to leave out Reason Strings and User Properties; it has none to send.
    pub request_problem_information: bool,
}

impl Loss {
    /// Tells whether nothing is lost.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        !(self.session_expiry_interval
            || self.properties
            || self.will_properties
            || self.receive_maximum
            || self.maximum_packet_size
            || self.request_response_information
            || self.request_problem_information)
    }
}

impl<'a> ConnectOptions<'a> {
    /// These options as `version` can say them, and what is lost. Clean Start becomes Clean Session: the session is kept where
    /// a Session Expiry Interval without end, or [`keep_session`](Self::keep_session), says so.
    ///
    /// What must not be lost (enhanced authentication, a password without a user name, an identifier that is too long for 3.1)
    /// is refused by name when the connection is begun.
    #[must_use]
    pub const fn for_version(mut self, version: ProtocolVersion) -> (Self, Loss) {
        self.version = version;
        if matches!(version, ProtocolVersion::V5_0) {
            return (
                self,
                Loss {
                    session_expiry_interval: false,
                    properties: false,
                    will_properties: false,
                    receive_maximum: false,
                    maximum_packet_size: false,
                    request_response_information: false,
                    request_problem_information: false,
                },
            );
        }
        let keep = self.keep_session || self.session_expiry_interval == u32::MAX;
        let keep = keep && !matches!(self.clean_start, CleanStart::Always);
        let mut loss = Loss {
            session_expiry_interval: self.session_expiry_interval != 0 && !keep,
            properties: !self.properties.is_empty(),
            will_properties: false,
            receive_maximum: self.receive_maximum.is_some(),
            maximum_packet_size: self.maximum_packet_size.is_some(),
            request_response_information: self.request_response_information,
            request_problem_information: !self.request_problem_information,
        };
        if let Some(will) = &mut self.will {
            loss.will_properties = !will.properties.is_empty();
            will.properties = crate::property::Properties::EMPTY;
        }
        if !self.has_authentication() {
            self.properties = &[];
        }
        self.keep_session = keep;
        self.clean_start = if keep { CleanStart::Never } else { CleanStart::First };
        self.receive_maximum = None;
        (self, loss)
    }

    const fn has_authentication(&self) -> bool {
        let mut rest = self.properties;
        while let Some((property, tail)) = rest.split_first() {
            if matches!(property, crate::property::Property::AuthenticationMethod(_)) {
                return true;
            }
            rest = tail;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::mix;

    #[test]
    fn numbers_are_mixed_as_split_mix_64_does() {
        // The first numbers of the generator, with the seeds 0 and 1234567.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }
}
