//! CONNECT and the Will in it, §3.1.

use core::fmt;

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, PropertyIdentifier, Scope};
use crate::types::{QoS, TopicName};
use crate::version::ProtocolVersion;

/// The first packet of a connection, §3.1.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Connect<'a> {
    /// The version that all packets of the connection are written in. It counts for this packet too, whatever version
    /// a call is given beside it.
    pub version: ProtocolVersion,
    /// Begins without the session that the Server may have. 3.1.1: Clean Session, which ends it with the connection too.
    pub clean_start: bool,
    /// Seconds that may pass between two packets of the Client; 0: any.
    pub keep_alive: u16,
    /// Names the session; empty: the Server chooses a name. 3.1.1: empty only with Clean Session; 3.1: never empty.
    pub client_identifier: &'a str,
    /// What the Client allows and asks for; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// What the Server publishes if the connection is lost.
    pub will: Option<Will<'a>>,
    /// The User Name; empty is not absent.
    pub user_name: Option<&'a str>,
    /// The Password; empty is not absent. 3.1.1: only with a User Name.
    pub password: Option<&'a [u8]>,
}

impl fmt::Debug for Connect<'_> {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_identifier", &self.client_identifier)
            .field("properties", &self.properties)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Connect<'_> {
    /// Without the password.
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Connect {{ version: {}, clean_start: {}, keep_alive: {}, client_identifier: {}, has_password: {} }}",
            self.version,
            self.clean_start,
            self.keep_alive,
            self.client_identifier,
            self.password.is_some()
        );
    }
}

/// What the Server publishes if the connection is lost, §3.1.2.5.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Will<'a> {
    /// Where the message belongs.
    pub topic: TopicName<'a>,
    /// The message: at most 65,535 bytes.
    pub payload: &'a [u8],
    /// The QoS it is published with.
    pub qos: QoS,
    /// Tells whether it is kept for later subscribers.
    pub retain: bool,
    /// Will Delay Interval, and what a PUBLISH says about its message; empty in 3.1.1.
    pub properties: Properties<'a>,
}

// The Connect Flags, §3.1.2.3.
const USER_NAME: u8 = 0b1000_0000;
const PASSWORD: u8 = 0b0100_0000;
const WILL_RETAIN: u8 = 0b0010_0000;
const WILL_QOS: u8 = 0b0001_1000;
const WILL: u8 = 0b0000_0100;
const CLEAN_START: u8 = 0b0000_0010;
const RESERVED: u8 = 0b0000_0001;

const SCOPE: Scope = Scope::Packet(PacketType::Connect, Sender::Client);

/// The lengths of the two blocks of properties, without their own, and of all of it.
struct MeasuredConnect {
    packet: Measured,
    will_properties_len: u32,
}

impl<'a> Connect<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = decode_version(reader)?;
        let flags = reader.u8();
        reader.result()?;
        check_flags(flags, version)?;
        let keep_alive = reader.u16();
        let properties = Properties::decode(version, reader, SCOPE);
        let method = PropertyIdentifier::AuthenticationMethod;
        reader.check(has_needed_method(properties), DecodeError::PropertyMissing(method));
        let client_identifier = reader.string();
        let clean_start = flags & CLEAN_START != 0;
        let valid = may_be_identifier(client_identifier, version, clean_start);
        reader.check(valid, DecodeError::ClientIdentifierEmpty);
        let will = if flags & WILL != 0 { Some(Will::decode(flags, version, reader)?) } else { None };
        let user_name = if flags & USER_NAME != 0 { Some(reader.string()) } else { None };
        let password = if flags & PASSWORD != 0 { Some(reader.binary()) } else { None };
        reader.finish()?;
        Ok(Self { version, clean_start, keep_alive, client_identifier, properties, will, user_name, password })
    }

    /// The exact length of the packet; `self.version` counts, not the one given.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, _version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.parts().measure(sender)?.packet.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length; `self.version` counts, not the one given.
    ///
    /// # Errors
    /// `ClientIdentifierEmpty`, `PasswordWithoutUserName`, `NullCharacter`, `FieldTooLong`, `NotInVersion` for
    /// properties in 3.1.1, `PropertyMissing` for Authentication Data without its method, the errors of properties, and
    /// `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, _version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.parts().encode(sender, out)
    }

    const fn parts(&self) -> Parts<'_> {
        Parts {
            version: self.version,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_identifier: self.client_identifier,
            properties: self.properties,
            will: self.will.as_ref(),
            user_name: self.user_name,
            password: self.password,
        }
    }
}

/// A CONNECT to be written, wherever its Will is: one that is moved is copied with a `memcpy` that a small image has no other use
/// for.
pub(crate) struct Parts<'a> {
    pub(crate) version: ProtocolVersion,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_identifier: &'a str,
    pub(crate) properties: Properties<'a>,
    pub(crate) will: Option<&'a Will<'a>>,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
}

impl Parts<'_> {
    fn measure(&self, sender: Sender) -> Result<MeasuredConnect, EncodeError> {
        let version = self.version;
        check_sender(PacketType::Connect, version, sender)?;
        if !may_be_identifier(self.client_identifier, version, self.clean_start) {
            return Err(EncodeError::ClientIdentifierEmpty);
        }
        if !version.is_v5() && self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError::PasswordWithoutUserName);
        }
        if !has_needed_method(self.properties) {
            return Err(EncodeError::PropertyMissing(PropertyIdentifier::AuthenticationMethod));
        }
        let mut measure = Measure::default();
        measure.add(2 + version.protocol_name().len());
        measure.add(4); // level, flags, keep alive
        let properties_len = self.properties.measure(version, SCOPE, &mut measure);
        measure.string(self.client_identifier);
        let will_properties_len = self.will.map_or(0, |will| will.measure(version, &mut measure));
        if let Some(user_name) = self.user_name {
            measure.string(user_name);
        }
        if let Some(password) = self.password {
            measure.binary(password);
        }
        Ok(MeasuredConnect { packet: measure.finish(properties_len)?, will_properties_len })
    }

    const fn flags(&self) -> u8 {
        let will = match self.will {
            Some(will) => WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 },
            None => 0,
        };
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.user_name.is_some() { USER_NAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }

    pub(crate) fn encode(&self, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let version = self.version;
        let MeasuredConnect { packet, will_properties_len } = self.measure(sender)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Connect.first_byte(), packet.remaining_length)?;
        writer.binary(version.protocol_name().as_bytes());
        writer.u8(version.level());
        writer.u8(self.flags());
        writer.u16(self.keep_alive);
        self.properties.write(version, &mut writer, packet.properties_len);
        writer.binary(self.client_identifier.as_bytes());
        if let Some(will) = self.will {
            will.properties.write(version, &mut writer, will_properties_len);
            writer.binary(will.topic.as_str().as_bytes());
            writer.binary(will.payload);
        }
        if let Some(user_name) = self.user_name {
            writer.binary(user_name.as_bytes());
        }
        if let Some(password) = self.password {
            writer.binary(password);
        }
        Ok(len)
    }
}

impl<'a> Will<'a> {
    fn decode(flags: u8, version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let qos = QoS::from_u8((flags & WILL_QOS) >> 3).ok_or(DecodeError::InvalidQoS)?;
        let properties = Properties::decode(version, reader, Scope::Will);
        let topic = TopicName::read(reader.binary(), reader);
        let payload = reader.binary();
        Ok(Self { topic, payload, qos, retain: flags & WILL_RETAIN != 0, properties })
    }

    fn measure(&self, version: ProtocolVersion, measure: &mut Measure) -> u32 {
        let properties_len = self.properties.measure(version, Scope::Will, measure);
        measure.binary(self.topic.as_str().as_bytes());
        measure.binary(self.payload);
        properties_len
    }
}

/// Reads Protocol Name and level, §3.1.2.1 and §3.1.2.2.
fn decode_version(reader: &mut Reader<'_>) -> Result<ProtocolVersion, DecodeError> {
    let name = reader.binary();
    let level = reader.u8();
    reader.result()?;
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1, ProtocolVersion::V3_1] {
        if level == version.level() && name == version.protocol_name().as_bytes() {
            return if version.is_supported() {
                Ok(version)
            } else {
                Err(DecodeError::UnsupportedProtocolVersion(level))
            };
        }
    }
    // A name that belongs to another level is wrong; a level that nobody knows may be of the future.
    if matches!(level, 3..=5) || name != ProtocolVersion::V5_0.protocol_name().as_bytes() {
        Err(DecodeError::InvalidProtocolName)
    } else {
        Err(DecodeError::UnsupportedProtocolVersion(level))
    }
}

const fn check_flags(flags: u8, version: ProtocolVersion) -> Result<(), DecodeError> {
    let will_bits_without_will = flags & WILL == 0 && flags & (WILL_RETAIN | WILL_QOS) != 0;
    let password_alone = flags & (USER_NAME | PASSWORD) == PASSWORD && !version.is_v5();
    if flags & RESERVED != 0 || will_bits_without_will || password_alone {
        Err(DecodeError::ReservedBits)
    } else if flags & WILL_QOS == WILL_QOS {
        Err(DecodeError::InvalidQoS)
    } else {
        Ok(())
    }
}

/// Authentication Data needs an Authentication Method, 5.0 §3.1.2.11.10.
fn has_needed_method(properties: Properties<'_>) -> bool {
    properties.is_empty()
        || !properties.has(PropertyIdentifier::AuthenticationData)
        || properties.has(PropertyIdentifier::AuthenticationMethod)
}

/// An empty Client Identifier asks the Server for one, which needs Clean Session in 3.1.1 [MQTT-3.1.3-7]; 3.1 has no such.
const fn may_be_identifier(client_identifier: &str, version: ProtocolVersion, clean_start: bool) -> bool {
    !client_identifier.is_empty() || version.is_v5() || matches!(version, ProtocolVersion::V3_1_1) && clean_start
}
