//! Topic Filters and how they match, MQTT 5.0 §4.7 and §4.8, MQTT 3.1.1 §4.7.

use core::fmt;

use super::{TopicName, string};
use crate::error::DecodeError;

/// What a subscription asks for: 1 to 65,535 bytes of UTF-8, wildcards in their places, without U+0000.
///
/// A filter that begins with `$share/` is a shared subscription (5.0 §4.8.2); its share name and the filter behind it
/// are checked too.
///
/// ```
/// use mqtt_core::{TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("$share/workers/jobs/#")?;
/// assert_eq!(filter.share_name(), Some("workers"));
/// assert!(filter.matches(TopicName::new("jobs/7").unwrap()));
/// assert!(filter.matches(TopicName::new("jobs").unwrap()));
/// # Ok::<(), mqtt_core::InvalidTopicFilter>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopicFilter<'a>(&'a str);

const SHARE: &str = "$share/";

impl<'a> TopicFilter<'a> {
    /// Checks a Topic Filter.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn new(text: &'a str) -> Result<Self, InvalidTopicFilter> {
        if text.is_empty() {
            return Err(InvalidTopicFilter::Empty);
        }
        if text.len() > string::MAX_LEN {
            return Err(InvalidTopicFilter::TooLong);
        }
        if string::contains_null(text.as_bytes()) {
            return Err(InvalidTopicFilter::NullCharacter);
        }
        let filter = match text.strip_prefix(SHARE) {
            Some(shared) => {
                let (name, filter) = split_level(shared).ok_or(InvalidTopicFilter::ShareName)?;
                if name.is_empty() || name.bytes().any(is_wildcard) {
                    return Err(InvalidTopicFilter::ShareName);
                }
                filter
            }
            None => text,
        };
        if filter.is_empty() {
            return Err(InvalidTopicFilter::Empty);
        }
        if has_misplaced_wildcard(filter) { Err(InvalidTopicFilter::Wildcard) } else { Ok(Self(text)) }
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::new(string::decode(bytes)?).map_err(|_| DecodeError::InvalidTopicFilter)
    }

    /// A filter that was checked before it was stored.
    pub(crate) const fn from_checked(text: &'a str) -> Self {
        Self(text)
    }

    /// The whole text, with `$share/` and share name where there are any.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The share name of a shared subscription, 5.0 §4.8.2.
    #[must_use]
    pub fn share_name(self) -> Option<&'a str> {
        split_level(self.0.strip_prefix(SHARE)?).map(|(name, _)| name)
    }

    /// The filter that is matched against topics: all of it, or what follows the share name.
    #[must_use]
    pub fn without_share(self) -> &'a str {
        match self.0.strip_prefix(SHARE).and_then(split_level) {
            Some((_, filter)) => filter,
            None => self.0,
        }
    }

    /// Tells whether it is a shared subscription.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.0.starts_with(SHARE)
    }

    /// Tells whether it has a wildcard.
    #[must_use]
    pub fn has_wildcard(self) -> bool {
        self.without_share().bytes().any(is_wildcard)
    }

    /// Tells whether a message with this topic belongs to the subscription, §4.7.
    ///
    /// `a/#` matches `a` as well. A filter that begins with a wildcard does not match a topic that begins with `$`
    /// [MQTT-4.7.2-1]. Levels are compared byte by byte.
    #[must_use]
    pub fn matches(self, topic: TopicName<'_>) -> bool {
        let filter = self.without_share().as_bytes();
        let topic = topic.as_str().as_bytes();
        if topic.starts_with(b"$") && matches!(filter, [b'#' | b'+', ..]) {
            return false;
        }
        let mut wanted = levels(filter);
        let mut levels = levels(topic);
        loop {
            match (wanted.next(), levels.next()) {
                (Some(b"#"), _) | (None, None) => return true,
                (Some(b"+"), Some(_)) => {}
                (Some(filter), Some(level)) if filter == level => {}
                _ => return false,
            }
        }
    }

    /// Tells whether this filter matches every topic that `other` matches, so that a message for both may come twice (5.0
    /// §3.3.4). Shared subscriptions have messages of their own: they cover only themselves.
    ///
    /// ```
    /// use mqtt_core::TopicFilter;
    ///
    /// assert!(TopicFilter::new("a/#")?.covers(TopicFilter::new("a/+/c")?));
    /// assert!(!TopicFilter::new("#")?.covers(TopicFilter::new("$SYS/#")?));
    /// # Ok::<(), mqtt_core::InvalidTopicFilter>(())
    /// ```
    #[must_use]
    pub fn covers(self, other: TopicFilter<'_>) -> bool {
        let (general, special) = (self.0.as_bytes(), other.0.as_bytes());
        // No other filter covers a shared one: `$share` is a first level that none of them has, nor a wildcard at its place.
        if self.is_shared() {
            return general == special;
        }
        if special.starts_with(b"$") && matches!(general, [b'#' | b'+', ..]) {
            return false;
        }
        // `#` stands for no level too, but there is no topic without a character.
        let special: &[u8] = match special {
            b"#" => b"+/#",
            b"/#" => b"/+/#",
            _ => special,
        };
        let (mut general, mut special) = (levels(general), levels(special));
        loop {
            match (general.next(), special.next()) {
                (Some(b"#"), _) | (None, None) => return true,
                (Some(b"+"), Some(level)) if level != b"#" => {}
                (Some(general), Some(special)) if general == special => {}
                _ => return false,
            }
        }
    }
}

/// Wildcards fill a whole level, and `#` only the last one [MQTT-4.7.1-1] (3.1.1: [MQTT-4.7.1-2], [MQTT-4.7.1-3]).
fn has_misplaced_wildcard(filter: &str) -> bool {
    // One pass over the bytes takes half the code that splitting into levels does.
    let mut before = b'/';
    for byte in filter.bytes() {
        let alone = match before {
            b'/' => true,
            b'+' => byte == b'/',
            b'#' => false,
            _ => !is_wildcard(byte),
        };
        if !alone {
            return true;
        }
        before = byte;
    }
    false
}

const fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'#' | b'+')
}

/// The levels between the slashes. Bytes, because splitting a `str` leaves a panic behind that the compiler cannot rule
/// out; no other character of UTF-8 has a byte that is a slash.
fn levels(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'/')
}

/// The first level and what follows its slash.
fn split_level(text: &str) -> Option<(&str, &str)> {
    let slash = text.bytes().position(|byte| byte == b'/')?;
    let (level, rest) = text.split_at_checked(slash)?;
    Some((level, rest.strip_prefix('/')?))
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> TryFrom<&'a str> for TopicFilter<'a> {
    type Error = InvalidTopicFilter;

    fn try_from(text: &'a str) -> Result<Self, InvalidTopicFilter> {
        Self::new(text)
    }
}

/// Why a text is no Topic Filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InvalidTopicFilter {
    /// It has no character, or none behind the share name.
    Empty,
    /// It has more than 65,535 bytes.
    TooLong,
    /// `+` shares a level with other characters, or `#` does or is not at the end.
    Wildcard,
    /// It begins with `$share/`, but no share name and filter follow.
    ShareName,
    /// It has U+0000.
    NullCharacter,
}

impl fmt::Display for InvalidTopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a topic filter has at least one character",
            Self::TooLong => "a topic filter has at most 65535 bytes",
            Self::Wildcard => "a wildcard fills a level alone, and # is the last level",
            Self::ShareName => "$share/ is followed by a share name, a slash and a topic filter",
            Self::NullCharacter => "a topic filter has no null character",
        })
    }
}

impl core::error::Error for InvalidTopicFilter {}
