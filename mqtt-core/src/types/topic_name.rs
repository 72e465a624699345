//! Topic Names, MQTT 5.0 and 3.1.1 §4.7.

use core::fmt;

use super::string;
use crate::codec::reader::Reader;
use crate::error::DecodeError;

/// The topic of a message: 1 to 65,535 bytes of UTF-8, without wildcards and without U+0000.
///
/// MQTT 5.0 and 3.1.1 §4.7 [MQTT-4.7.3-1], §3.3.2.1 [MQTT-3.3.2-2].
///
/// ```
/// use mqtt_core::TopicName;
///
/// let topic = TopicName::new("cellar/stairlamp/status")?;
/// assert_eq!(topic.as_str(), "cellar/stairlamp/status");
/// assert!(TopicName::new("cellar/+/status").is_err());
/// # Ok::<(), mqtt_core::InvalidTopicName>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks a Topic Name.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub const fn new(text: &'a str) -> Result<Self, InvalidTopicName> {
        match Self::check(text.as_bytes()) {
            None => Ok(Self(text)),
            Some(error) => Err(error),
        }
    }

    /// Decodes a Topic Name; the caller has dealt with an empty one, which stands for a Topic Alias.
    pub(crate) fn read(bytes: &'a [u8], reader: &mut Reader<'_>) -> Self {
        let text = core::str::from_utf8(bytes);
        let error = match (text, Self::check(bytes)) {
            (Ok(text), None) => return Self(text),
            (Err(_), _) => DecodeError::InvalidUtf8,
            (_, Some(InvalidTopicName::NullCharacter)) => DecodeError::NullCharacter,
            (_, Some(_)) => DecodeError::InvalidTopicName,
        };
        reader.fail(error);
        Self("")
    }

    /// A name that was checked before it was stored.
    pub(crate) const fn from_checked(text: &'a str) -> Self {
        Self(text)
    }

    const fn check(bytes: &[u8]) -> Option<InvalidTopicName> {
        if bytes.is_empty() {
            return Some(InvalidTopicName::Empty);
        }
        if bytes.len() > string::MAX_LEN {
            return Some(InvalidTopicName::TooLong);
        }
        if !string::contains(bytes, [0, b'#', b'+']) {
            return None;
        }
        Some(if string::contains(bytes, [0; 3]) { InvalidTopicName::NullCharacter } else { InvalidTopicName::Wildcard })
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = InvalidTopicName;

    fn try_from(text: &'a str) -> Result<Self, InvalidTopicName> {
        Self::new(text)
    }
}

/// Why a text is no Topic Name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InvalidTopicName {
    /// It has no character.
    Empty,
    /// It has more than 65,535 bytes.
    TooLong,
    /// It has `#` or `+`, which belong in Topic Filters.
    Wildcard,
    /// It has U+0000.
    NullCharacter,
}

impl fmt::Display for InvalidTopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a topic name has at least one character",
            Self::TooLong => "a topic name has at most 65535 bytes",
            Self::Wildcard => "a topic name has no wildcard",
            Self::NullCharacter => "a topic name has no null character",
        })
    }
}

impl core::error::Error for InvalidTopicName {}
