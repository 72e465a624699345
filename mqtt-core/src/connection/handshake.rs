//! CONNECT and CONNACK, §3.1 and §3.2, and enhanced authentication, §4.12.

use super::event::{Connected, Event};
use super::receive::ReceiveError;
use super::{Aliases, Connection, ConnectionError, Ours, Phase, ProtocolError, ServerLimits, UsageError};
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;
use crate::error::EncodeError;
use crate::maybe::Maybe;
use crate::options::{CleanStart, ConnectOptions};
use crate::packet::{Auth, Connack, ConnectParts, PacketType, Sender};
use crate::property::{Properties, Property, PropertyIdentifier};
use crate::session::{Session, Storage, Table};
use crate::subscription_list::{Renewal, SubscriptionList};
use crate::time::{Deadline, Instant};
use crate::trace;
use crate::types::ReasonCode;
use crate::version::ProtocolVersion;

/// Where enhanced authentication stands.
///
/// The method is kept as a number made of it: the machine holds no text of unknown length.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Authentication {
    method: Option<u32>,
    /// The Server has asked for more, and the answer is due.
    challenged: bool,
    /// Re-authentication has begun and is not over.
    renewing: bool,
}

impl Authentication {
    pub(super) const NONE: Self = Self { method: None, challenged: false, renewing: false };

    fn of(properties: Properties<'_>) -> Self {
        if !cfg!(feature = "auth") {
            return Self::NONE;
        }
        Self { method: method(properties).map(fingerprint), ..Self::NONE }
    }

    /// Every AUTH and a successful CONNACK name the method of CONNECT [MQTT-4.12.0-5].
    fn check(&self, properties: Properties<'_>) -> Result<(), ProtocolError> {
        let same = if cfg!(feature = "auth") {
            method(properties).map(fingerprint) == self.method
        } else {
            !properties.has(PropertyIdentifier::AuthenticationMethod)
        };
        if same { Ok(()) } else { Err(ProtocolError::AuthenticationMethod) }
    }
}

fn method(properties: Properties<'_>) -> Option<&str> {
    properties.find(PropertyIdentifier::AuthenticationMethod).map(|method| method.text())
}

/// The most bytes of the properties of CONNECT that the machine acts upon.
const FIXED_LEN: usize = 20;

/// FNV-1a.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl<A: Aliases> Connection<A> {
    /// Begins the connection: writes CONNECT to the start of `out` and returns its length. Send it, and tell
    /// [`transmitted`](Self::transmitted).
    ///
    /// The session goes on with the same Client Identifier; with another one its state is not carried over. Where
    /// `options` has none, the one that a Server assigned before is used again.
    ///
    /// # Errors
    /// What the version cannot say, or the storage not hold, is refused by name; `Encode(BufferTooSmall)` says how much CONNECT
    /// takes. Nothing has begun then.
    pub fn connect<S: Storage>(
        &mut self,
        session: &mut Session<S>,
        now: Instant,
        options: &ConnectOptions<'_>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        if !matches!(self.phase, Phase::New) {
            return Err(UsageError::AlreadyConnected);
        }
        let version = options.version;
        let v5 = version.is_v5();
        let clean_start = check_options(options, session.is_known_as(options.client_identifier))?;
        let capacity = session.storage.incoming().capacity();
        let receive_maximum = options.receive_maximum.unwrap_or(capacity);
        if receive_maximum > capacity || options.receive_maximum == Some(0) {
            return Err(UsageError::ReceiveMaximum { capacity });
        }
        // Where the storage holds none, the least that can be announced is 1.
        let receive_maximum = receive_maximum.max(1);
        let mut ours = Ours::new(options, clean_start, receive_maximum);

        let mut fixed = [0; FIXED_LEN];
        let fixed_len = if v5 { self.write_fixed_properties(options, receive_maximum, &mut fixed)? } else { 0 };
        let client_identifier = if options.client_identifier.is_empty() {
            session.storage.client_identifier()
        } else {
            options.client_identifier
        };
        ours.needs_client_identifier = v5 && client_identifier.is_empty();
        let connect = ConnectParts {
            version,
            clean_start,
            keep_alive: options.keep_alive,
            client_identifier,
            properties: Properties::with_encoded(fixed.get(..fixed_len).unwrap_or(&[]), options.properties),
            will: options.will.as_ref(),
            user_name: options.user_name,
            password: options.password,
        };
        let len = connect.encode(Sender::Client, out)?;
        session.begin_connection(options.client_identifier, clean_start, options.republish_exactly_once)?;

        self.version = version;
        self.ours = ours;
        self.limits = ServerLimits::STANDARD;
        self.authentication = Authentication::of(Properties::new(options.properties));
        self.connack_deadline = Deadline::at(now.plus_millis(u64::from(options.connack_timeout)));
        self.phase = Phase::Connecting;
        self.progress.give_out(len);
        Ok(len)
    }

    /// The properties of CONNECT that the machine acts upon.
    fn write_fixed_properties(
        &self,
        options: &ConnectOptions<'_>,
        receive_maximum: u16,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        use PropertyIdentifier as P;
        let topic_alias_maximum = if cfg!(feature = "alias") { self.aliases.incoming_maximum() } else { 0 };
        if options.maximum_packet_size == Some(0) {
            return Err(EncodeError::PropertyValue(P::MaximumPacketSize));
        }
        let mut writer = Writer::over(out);
        if options.session_expiry_interval != 0 {
            writer.u8(P::SessionExpiryInterval as u8);
            writer.u32(options.session_expiry_interval);
        }
        if receive_maximum != u16::MAX {
            writer.u8(P::ReceiveMaximum as u8);
            writer.u16(receive_maximum);
        }
        if let Some(bytes) = options.maximum_packet_size {
            writer.u8(P::MaximumPacketSize as u8);
            writer.u32(bytes);
        }
        if topic_alias_maximum != 0 {
            writer.u8(P::TopicAliasMaximum as u8);
            writer.u16(topic_alias_maximum);
        }
        if options.request_response_information {
            writer.bytes(&[P::RequestResponseInformation as u8, 1]);
        }
        if !options.request_problem_information {
            writer.bytes(&[P::RequestProblemInformation as u8, 0]);
        }
        let left = writer.room();
        Ok(out.len().saturating_sub(left))
    }

    pub(super) fn take_connack<'a, S: Storage>(
        &mut self,
        session: &mut Session<S>,
        subscriptions: &mut impl SubscriptionList,
        now: Instant,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Event<'a>>, ReceiveError> {
        let connack = Connack::decode(self.version, reader)?;
        if !matches!(self.phase, Phase::Connecting) {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Connack).into());
        }
        if connack.reason_code.is_failure() {
            self.failure = Maybe::Some(ConnectionError::Refused(connack.reason_code));
            self.phase = Phase::Closed;
            return Ok(Some(Event::Refused(connack)));
        }
        let assigned = self.check_connack(&connack, session.established)?;
        // A Server of 3.1 does not say; it has the session that it was asked to keep.
        let session_present = match self.version {
            ProtocolVersion::V3_1 => session.established && !self.ours.clean_start,
            _ => connack.session_present,
        };
        if let Some(assigned) = assigned {
            // One that does not fit cannot be used again: the next connection has a new session.
            let _ = session.storage.set_client_identifier(assigned);
        }
        let session_expiry_interval = match (self.version.is_v5(), self.ours.clean_start) {
            (true, _) => self.ours.session_expiry_interval,
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        self.limits = ServerLimits::from_connack(&connack, session_expiry_interval);
        let keep_alive = connack.properties.find(PropertyIdentifier::ServerKeepAlive);
        let keep_alive = keep_alive.map_or(self.ours.keep_alive, |seconds| seconds.number as u16);
        self.keep_alive.start(now, keep_alive, self.ours.pingresp_timeout);
        self.authentication.challenged = false;
        self.phase = Phase::Connected;
        let session_lost = session.established && !session_present;
        if session_present {
            session.resume();
        } else {
            session.start_anew(self.ours.republish_exactly_once);
        }
        renew(subscriptions, session_present);
        self.renewal_from = Some(0);
        // A session that ends with the connection is not there for the next one.
        session.established = self.limits.session_expiry_interval != 0;
        trace::connected(session_present);
        Ok(Some(Event::Connected(Connected { session_present, session_lost, properties: connack.properties })))
    }

    /// Checks what CONNACK says against what CONNECT said; returns the Assigned Client Identifier.
    fn check_connack<'a>(&self, connack: &Connack<'a>, established: bool) -> Result<Option<&'a str>, ProtocolError> {
        let v5 = self.version.is_v5();
        // [MQTT-3.2.2-2] [MQTT-3.2.2-4]; 3.1.1 [MQTT-3.2.2-1]
        if connack.session_present && (self.ours.clean_start || v5 && !established) {
            return Err(ProtocolError::SessionPresent);
        }
        if !v5 {
            return Ok(None);
        }
        self.authentication.check(connack.properties)?;
        let mut assigned = None;
        let information = PropertyIdentifier::ResponseInformation;
        if !self.ours.response_information && connack.properties.has(information) {
            return Err(ProtocolError::Unrequested(information));
        }
        // One beside that of CONNECT is not asked for, and not used.
        if self.ours.needs_client_identifier {
            let identifier = connack.properties.find(PropertyIdentifier::AssignedClientIdentifier);
            assigned = identifier.map(|identifier| identifier.text()).filter(|identifier| !identifier.is_empty());
            if assigned.is_none() {
                return Err(ProtocolError::AssignedClientIdentifierMissing);
            }
        }
        Ok(assigned)
    }

    #[inline(never)]
    pub(super) fn take_auth<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Event<'a>>, ReceiveError> {
        let auth = Auth::decode(self.version, Sender::Server, reader)?;
        self.check_diagnostics(auth.properties)?;
        if self.authentication.method.is_none() {
            return Err(ProtocolError::UnexpectedPacket(PacketType::Auth).into());
        }
        let renewing = self.authentication.renewing;
        // A Success may leave out the method with all properties, §3.15.2.1; decoding has refused others without.
        if !auth.properties.is_empty() {
            self.authentication.check(auth.properties)?;
        }
        match auth.reason_code {
            ReasonCode::CONTINUE_AUTHENTICATION if renewing || matches!(self.phase, Phase::Connecting) => {
                self.authentication.challenged = true;
            }
            ReasonCode::SUCCESS if renewing => self.authentication.renewing = false,
            _ => return Err(ProtocolError::AuthenticationReason.into()),
        }
        Ok(Some(Event::Authentication(auth)))
    }

    /// Answers an AUTH of the Server, with Reason Code Continue authentication; `properties` name the Authentication Method of
    /// CONNECT [MQTT-4.12.0-3]. Writes AUTH to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `NoAuthentication` if the Server has not asked or the method is another; `ConnectionClosed`; `Encode`.
    pub fn authenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        if !self.authentication.challenged {
            return Err(UsageError::NoAuthentication);
        }
        let len = self.write_auth(ReasonCode::CONTINUE_AUTHENTICATION, properties, out)?;
        self.authentication.challenged = false;
        Ok(len)
    }

    /// Begins re-authentication, §4.12.1, with the Authentication Method of CONNECT. Writes AUTH to the start of `out` and
    /// returns its length.
    ///
    /// # Errors
    /// `NoAuthentication` if CONNECT had no method, or another; `NotConnected`, `ConnectionClosed`; `Encode`.
    pub fn reauthenticate(&mut self, properties: &[Property<'_>], out: &mut [u8]) -> Result<usize, UsageError> {
        self.check_connected()?;
        let len = self.write_auth(ReasonCode::RE_AUTHENTICATE, properties, out)?;
        self.authentication.renewing = true;
        Ok(len)
    }

    fn write_auth(
        &mut self,
        reason_code: ReasonCode,
        properties: &[Property<'_>],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        if !cfg!(feature = "auth") {
            return Err(UsageError::FeatureAbsent);
        }
        if let Some(error) = self.failure() {
            return Err(UsageError::ConnectionClosed(error));
        }
        let properties = Properties::new(properties);
        if self.authentication.method.is_none() || self.authentication.check(properties).is_err() {
            return Err(UsageError::NoAuthentication);
        }
        let mut auth = Auth { reason_code, properties };
        let len = auth.encode_within(self.version, Sender::Client, self.limits.maximum_packet_size, out)?;
        self.progress.give_out(len);
        Ok(len)
    }
}

/// Refuses what the version cannot say, by name; returns Clean Start (3.1.1: Clean Session).
fn check_options(options: &ConnectOptions<'_>, established: bool) -> Result<bool, UsageError> {
    let version = options.version;
    if !version.is_supported() {
        return Err(UsageError::FeatureAbsent);
    }
    for property in options.properties {
        use PropertyIdentifier as P;
        match property.identifier() {
            P::UserProperty => {}
            P::AuthenticationMethod | P::AuthenticationData if cfg!(feature = "auth") => {}
            P::AuthenticationMethod | P::AuthenticationData => return Err(UsageError::FeatureAbsent),
            // What the machine acts upon is said by its own option, or it would not know.
            own => return Err(EncodeError::PropertyNotAllowed(own).into()),
        }
    }
    let first = !established;
    if version.is_v5() {
        return Ok(match options.clean_start {
            CleanStart::First => first,
            CleanStart::Always => true,
            CleanStart::Never => false,
        });
    }
    match (options.clean_start, options.keep_session) {
        (CleanStart::Always, true) | (CleanStart::Never, false) => return Err(UsageError::NotInVersion),
        _ => {}
    }
    // Characters, without the table and the loops that `chars().count()` brings: all bytes but those that continue one.
    let length = options.client_identifier.bytes().filter(|byte| byte & 0b1100_0000 != 0b1000_0000).count();
    let valid = match version {
        ProtocolVersion::V3_1 => (1..=23).contains(&length),
        _ => length > 0 || !options.keep_session, // [MQTT-3.1.3-7]
    };
    if valid { Ok(!options.keep_session) } else { Err(UsageError::ClientIdentifier) }
}

/// The Server has lost the session: all its subscriptions are due. It has resumed it: those it was asked for and did not
/// answer are.
fn renew(subscriptions: &mut impl SubscriptionList, session_present: bool) {
    for index in 0..subscriptions.len() {
        let asked = matches!(subscriptions.renewal(index), Some(Renewal::Asked(_)));
        if asked || !session_present {
            subscriptions.set_renewal(index, Renewal::Due);
        }
    }
}
