//! How a connection is made.

use core::fmt;

use crate::packet::Will;
use crate::property::Property;
use crate::version::ProtocolVersion;

/// What CONNECT says and how the connection behaves, §3.1.
///
/// 3.1.1 and 3.1 cannot say some of it. Properties, of the Will too, are refused there; Session Expiry Interval, Receive
/// Maximum, Maximum Packet Size, and what is requested of Response and Problem Information are not sent.
/// [`for_version`](Self::for_version) tells what is lost.
///
/// Required parts are arguments of [`new`](Self::new); the rest chains, cannot fail, and works in a `const`:
///
/// ```
/// use mqtt_core::ConnectOptions;
///
/// const OPTIONS: ConnectOptions<'static> = ConnectOptions::new("pump-7").keep_alive(30).session_expiry_interval(3_600);
/// assert_eq!(OPTIONS.keep_alive, 30);
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectOptions<'a> {
    /// See [`new`](Self::new).
    pub client_identifier: &'a str,
    /// See [`version`](Self::version).
    pub version: ProtocolVersion,
    /// See [`clean_start`](Self::clean_start).
    pub clean_start: CleanStart,
    /// See [`keep_session`](Self::keep_session).
    pub keep_session: bool,
    /// See [`session_expiry_interval`](Self::session_expiry_interval).
    pub session_expiry_interval: u32,
    /// See [`keep_alive`](Self::keep_alive).
    pub keep_alive: u16,
    /// See [`will`](Self::will).
    pub will: Option<Will<'a>>,
    /// See [`user_name`](Self::user_name).
    pub user_name: Option<&'a str>,
    /// See [`password`](Self::password).
    pub password: Option<&'a [u8]>,
    /// See [`receive_maximum`](Self::receive_maximum).
    pub receive_maximum: Option<u16>,
    /// See [`receive_beyond_maximum`](Self::receive_beyond_maximum).
    pub receive_beyond_maximum: u16,
    /// See [`send_maximum`](Self::send_maximum).
    pub send_maximum: Option<u16>,
    /// See [`maximum_packet_size`](Self::maximum_packet_size).
    pub maximum_packet_size: Option<u32>,
    /// See [`request_response_information`](Self::request_response_information).
    pub request_response_information: bool,
    /// See [`request_problem_information`](Self::request_problem_information).
    pub request_problem_information: bool,
    /// See [`properties`](Self::properties).
    pub properties: &'a [Property<'a>],
    /// See [`acknowledge`](Self::acknowledge).
    pub acknowledge: Acknowledge,
    /// See [`streaming`](Self::streaming).
    pub streaming: bool,
    /// See [`republish_exactly_once`](Self::republish_exactly_once).
    pub republish_exactly_once: bool,
    /// See [`connack_timeout`](Self::connack_timeout).
    pub connack_timeout: u32,
    /// See [`pingresp_timeout`](Self::pingresp_timeout).
    pub pingresp_timeout: u32,
}

impl<'a> ConnectOptions<'a> {
    /// Options with this Client Identifier, §3.1.3.1. An empty one lets the Server choose; in 5.0 its choice is kept and used
    /// from then on.
    #[must_use]
    pub const fn new(client_identifier: &'a str) -> Self {
        Self {
            client_identifier,
            version: if cfg!(feature = "v5") { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 },
            clean_start: CleanStart::First,
            keep_session: false,
            session_expiry_interval: 300,
            keep_alive: 60,
            will: None,
            user_name: None,
            password: None,
            receive_maximum: None,
            receive_beyond_maximum: 0,
            send_maximum: None,
            maximum_packet_size: None,
            request_response_information: false,
            request_problem_information: true,
            properties: &[],
            acknowledge: Acknowledge::AtOnce,
            streaming: false,
            republish_exactly_once: false,
            connack_timeout: 10_000,
            pingresp_timeout: 10_000,
        }
    }

    /// Sets the version; default: 5.0 where the build has it.
    #[must_use]
    pub const fn version(mut self, version: ProtocolVersion) -> Self {
        self.version = version;
        self
    }

    /// Sets when CONNECT asks for a new session; default: [`CleanStart::First`]. 3.1.1 has [`keep_session`](Self::keep_session)
    /// instead.
    #[must_use]
    pub const fn clean_start(mut self, clean_start: CleanStart) -> Self {
        self.clean_start = clean_start;
        self
    }

    /// 3.1.1 and 3.1: keeps the session after the connection, Clean Session 0; default: no, because such a Server may keep it
    /// for ever. 5.0 has [`session_expiry_interval`](Self::session_expiry_interval) instead.
    #[must_use]
    pub const fn keep_session(mut self, keep_session: bool) -> Self {
        self.keep_session = keep_session;
        self
    }

    /// Sets for how many seconds the Server keeps the session after the connection, 5.0 §3.1.2.11.2; default: 300. 0: it ends
    /// with the connection; 4,294,967,295: it never ends. The Server may choose another.
    #[must_use]
    pub const fn session_expiry_interval(mut self, seconds: u32) -> Self {
        self.session_expiry_interval = seconds;
        self
    }

    /// Sets the Keep Alive in seconds, §3.1.2.10; default: 60. 0: no PINGREQ and no timers. A Server of 5.0 may choose another.
    ///
    /// PINGREQ leaves when three quarters of the interval have passed since the last packet was sent, or one interval since
    /// anything was received.
    #[must_use]
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// Sets the Will: what the Server publishes when the connection ends without a DISCONNECT, §3.1.2.5; default: none.
    #[must_use]
    pub const fn will(mut self, will: Will<'a>) -> Self {
        self.will = Some(will);
        self
    }

    /// Sets the user name, §3.1.3.5; default: none. An empty one is sent.
    #[must_use]
    pub const fn user_name(mut self, user_name: &'a str) -> Self {
        self.user_name = Some(user_name);
        self
    }

    /// Sets the password, §3.1.3.6; default: none. Only 5.0 allows one without a user name.
    #[must_use]
    pub const fn password(mut self, password: &'a [u8]) -> Self {
        self.password = Some(password);
        self
    }

    /// Sets how many messages at QoS 1 and 2 the Server may send without an acknowledgement, 5.0 §3.1.2.11.3; default and
    /// maximum: what the storage holds. Never 0.
    #[must_use]
    pub const fn receive_maximum(mut self, messages: u16) -> Self {
        self.receive_maximum = Some(messages);
        self
    }

    /// Sets how many messages beyond [`receive_maximum`](Self::receive_maximum) are borne, as far as the storage holds them; default: 0,
    /// the Server is told 0x93 then (5.0 §3.3.4). Mosquitto 2.0 sends more when it resumes a session with many messages
    /// waiting, again on every connection.
    #[must_use]
    pub const fn receive_beyond_maximum(mut self, messages: u16) -> Self {
        self.receive_beyond_maximum = messages;
        self
    }

    /// Sets how many messages at QoS 1 and 2 are sent without an acknowledgement, beside the Server's Receive Maximum;
    /// default: no further limit. For 3.1.1, which has no Receive Maximum.
    #[must_use]
    pub const fn send_maximum(mut self, messages: u16) -> Self {
        self.send_maximum = Some(messages);
        self
    }

    /// Sets the largest packet in bytes that the Server may send, 5.0 §3.1.2.11.4; default: no limit. Never 0.
    #[must_use]
    pub const fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.maximum_packet_size = Some(bytes);
        self
    }

    /// Asks for Response Information, 5.0 §3.1.2.11.6; default: no.
    #[must_use]
    pub const fn request_response_information(mut self, request: bool) -> Self {
        self.request_response_information = request;
        self
    }

    /// Allows Reason Strings and User Properties in every answer, 5.0 §3.1.2.11.7; default: yes.
    #[must_use]
    pub const fn request_problem_information(mut self, request: bool) -> Self {
        self.request_problem_information = request;
        self
    }

    /// Sets further properties of CONNECT, 5.0: User Property, Authentication Method, Authentication Data; default: none.
    #[must_use]
    pub const fn properties(mut self, properties: &'a [Property<'a>]) -> Self {
        self.properties = properties;
        self
    }

    /// Sets when received messages at QoS 1 and 2 are acknowledged; default: at once.
    #[must_use]
    pub const fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.acknowledge = acknowledge;
        self
    }

    /// Hands over messages larger than the buffer in pieces; default: no, their payload is skipped, acknowledged and reported.
    #[must_use]
    pub const fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Publishes a message at QoS 2 anew when the Server lost the session before PUBREC; default: no, its outcome is unknown,
    /// because it may arrive twice.
    #[must_use]
    pub const fn republish_exactly_once(mut self, republish: bool) -> Self {
        self.republish_exactly_once = republish;
        self
    }

    /// Sets for how many milliseconds CONNACK is waited for; default: 10,000.
    #[must_use]
    pub const fn connack_timeout(mut self, milliseconds: u32) -> Self {
        self.connack_timeout = milliseconds;
        self
    }

    /// Sets for how many milliseconds PINGRESP, or anything else, is waited for once PINGREQ has left; default: 10,000.
    #[must_use]
    pub const fn pingresp_timeout(mut self, milliseconds: u32) -> Self {
        self.pingresp_timeout = milliseconds;
        self
    }
}

impl fmt::Debug for ConnectOptions<'_> {
    /// What says who connects and how; no password, no Authentication Data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("client_identifier", &self.client_identifier)
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_session", &self.keep_session)
            .field("session_expiry_interval", &self.session_expiry_interval)
            .field("keep_alive", &self.keep_alive)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}

/// When CONNECT of 5.0 asks for a new session, §3.1.2.4.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CleanStart {
    /// As long as this side has no session; reconnects resume it.
    #[default]
    First,
    /// Each time.
    Always,
    /// Never: a session of the Server's is resumed. See
    /// [`Session::expect_session_present`](crate::Session::expect_session_present).
    Never,
}

/// When received messages at QoS 1 and 2 are acknowledged.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Acknowledge {
    /// As soon as they are handed over.
    #[default]
    AtOnce,
    /// When the application says so.
    ByApplication,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Connect;
    use crate::property::Properties;
    use std::format;

    #[test]
    fn a_password_is_not_shown() {
        let options = ConnectOptions::new("pump-7").user_name("alice").password(b"secret");
        let connect = Connect {
            version: ProtocolVersion::V5_0,
            clean_start: true,
            keep_alive: 60,
            client_identifier: "pump-7",
            properties: Properties::EMPTY,
            will: None,
            user_name: Some("alice"),
            password: Some(b"secret"),
        };
        let numbers = format!("{:?}", b"secret");
        for shown in [format!("{options:?}"), format!("{connect:?}")] {
            assert!(shown.contains("alice") && !shown.contains("secret") && !shown.contains(&numbers), "{shown}");
        }
    }
}
