//! Requests and their answers, 5.0 §4.10, and how versions without properties say the same.

use crate::codec::bytes::put;
use crate::error::EncodeError;
use crate::property::{Properties, PropertyIdentifier};
use crate::types::TopicName;

const REQUEST: &str = AnswerTo::REQUEST;

/// Bytes of a key in a topic.
const DIGITS: usize = 16;

/// Names one request among those of a client; its answer names it again.
///
/// In 5.0 a request has a Response Topic and the key as its Correlation Data. In 3.1.1, where a message cannot have them, the
/// request for `pump/start` is published to `pump/start/request/{response topic}/{key}`, and the answer comes one level
/// below the response topic.
///
/// ```
/// use mqtt_core::{AnswerTo, Properties, Property, RequestKey, TopicName};
///
/// let (topic, answers) = (TopicName::new("pump/start")?, TopicName::new("answers")?);
/// let key = RequestKey::new(7);
/// // 5.0
/// let data = key.correlation_data();
/// let list = [Property::ResponseTopic("answers"), Property::CorrelationData(&data)];
/// let to = AnswerTo::request(topic, Properties::new(&list)).unwrap();
/// assert_eq!(to.topic.as_str(), "answers");
/// assert_eq!(RequestKey::of_answer(answers, to.topic, to.properties), Some(key));
/// // 3.1.1
/// let mut out = [0; 64];
/// let topic = key.request_topic(topic, answers, &mut out)?;
/// assert_eq!(topic.as_str(), "pump/start/request/answers/0000000000000007");
/// let to = AnswerTo::request(topic, Properties::EMPTY).unwrap();
/// assert_eq!(to.topic.as_str(), "answers/0000000000000007");
/// assert_eq!(RequestKey::of_answer(answers, to.topic, Properties::EMPTY), Some(key));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestKey(u64);

impl RequestKey {
    /// The key with this number, which no other request has that waits.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The Correlation Data of the request, 5.0.
    #[must_use]
    pub const fn correlation_data(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Writes the topic of a request of 3.1.1 to the start of `out`: it names the topic for the answer, too.
    ///
    /// # Errors
    /// `BufferTooSmall` with the bytes that are needed; `FieldTooLong` above 65,535 bytes.
    pub fn request_topic<'o>(
        self,
        topic: TopicName<'_>,
        response_topic: TopicName<'_>,
        out: &'o mut [u8],
    ) -> Result<TopicName<'o>, EncodeError> {
        let (topic, response_topic) = (topic.as_str(), response_topic.as_str());
        let lengths = [topic.len(), REQUEST.len(), response_topic.len(), 1, DIGITS];
        let needed = lengths.iter().fold(0_usize, |sum, len| sum.saturating_add(*len));
        let out = out.get_mut(..needed).ok_or(EncodeError::BufferTooSmall { needed })?;
        let mut rest = &mut *out;
        for text in [topic, REQUEST, response_topic, "/"] {
            rest = put(rest, text.as_bytes()).ok_or(EncodeError::BufferTooSmall { needed })?;
        }
        let digits = rest.iter_mut().rev().zip(0_u32..);
        for (digit, place) in digits {
            let value = self.0.checked_shr(place.saturating_mul(4)).unwrap_or(0) as u8 & 0xf;
            *digit = if value < 10 { b'0'.wrapping_add(value) } else { b'a'.wrapping_add(value.wrapping_sub(10)) };
        }
        // Of two Topic Names; only its length can be wrong.
        let text = core::str::from_utf8(out).map_err(|_| EncodeError::FieldTooLong)?;
        TopicName::new(text).map_err(|_| EncodeError::FieldTooLong)
    }

    /// The key that an answer names; `None`: it names none. The answer came to the response topic or one level below.
    #[must_use]
    pub fn of_answer(response_topic: TopicName<'_>, topic: TopicName<'_>, properties: Properties<'_>) -> Option<Self> {
        let below = topic.as_str().strip_prefix(response_topic.as_str())?;
        if let Some(level) = below.strip_prefix('/') {
            return parse(level.as_bytes()).map(Self);
        }
        let data = properties.correlation_data()?;
        Some(Self(u64::from_be_bytes(*data.first_chunk()?))).filter(|_| data.len() == 8 && below.is_empty())
    }
}

/// Hexadecimal digits.
fn parse(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(number.wrapping_shl(4) | u64::from(value))
    })
}

/// Where the answer to a request goes, and what it carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AnswerTo<'a> {
    /// The Response Topic, or what follows `/request/` in the request's own topic.
    pub topic: TopicName<'a>,
    /// The request's Correlation Data, if it has any.
    pub properties: Properties<'a>,
}

impl<'a> AnswerTo<'a> {
    /// Stands between the topic of a request and the topic for its answer, where the message cannot tell it otherwise.
    pub const REQUEST: &'static str = "/request/";

    /// Of a request with this topic and these properties; `None`: it asks for no answer.
    #[must_use]
    pub fn request(topic: TopicName<'a>, properties: Properties<'a>) -> Option<Self> {
        let to = match properties.response_topic() {
            Some(response_topic) => response_topic,
            None => {
                let text = topic.as_str();
                let at = text.as_bytes().windows(REQUEST.len()).rposition(|part| part == REQUEST.as_bytes())?;
                text.get(at.saturating_add(REQUEST.len())..)?
            }
        };
        let topic = TopicName::new(to).ok()?;
        Some(Self { topic, properties: properties.only(PropertyIdentifier::CorrelationData) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{PacketType, Sender};
    use crate::property::Property;

    fn name(text: &str) -> TopicName<'_> {
        TopicName::new(text).unwrap()
    }

    #[test]
    fn an_answer_names_its_request_by_correlation_data_or_by_its_topic() {
        let seven = RequestKey::new(7).correlation_data();
        assert_eq!(seven, [0, 0, 0, 0, 0, 0, 0, 7]);
        let (data, short, long) = (
            [Property::CorrelationData(&seven)],
            [Property::CorrelationData(&[7])],
            [Property::CorrelationData(&[0; 9])],
        );
        for (topic, properties, key) in [
            ("a/b", data.as_slice(), Some(7)),
            ("a/b", &short, None),
            ("a/b", &long, None),
            ("a/b", &[], None),
            ("a/b/00000000000000ff", &[], Some(255)),
            ("a/b/FFffFFffFFffFFff", &[], Some(u64::MAX)),
            // The topic is what a responder of 3.1.1 knows, so it comes first.
            ("a/b/8", data.as_slice(), Some(8)),
            ("a/b/", data.as_slice(), None),
            ("a/b/1ffffFFFFffffFFFF", &[], None),
            ("a/b/-1", &[], None),
            ("a/b/1/2", &[], None),
            ("a/bc", data.as_slice(), None),
            ("a", data.as_slice(), None),
        ] {
            let found = RequestKey::of_answer(name("a/b"), name(topic), Properties::new(properties));
            assert_eq!(found.map(RequestKey::number), key, "{topic} {properties:?}");
        }
    }

    #[test]
    fn a_request_says_where_its_answer_goes() {
        let list =
            [Property::UserProperty("a", "b"), Property::CorrelationData(b"7"), Property::ResponseTopic("answers")];
        let mut encoded = [0; 64];
        let len = Properties::new(&list).encode(PacketType::Publish, Sender::Server, &mut encoded).unwrap();
        let decoded = Properties::from_encoded(PacketType::Publish, Sender::Server, &encoded[..len]).unwrap();
        for properties in [Properties::new(&list), decoded, decoded.without_diagnostics()] {
            let to = AnswerTo::request(name("pump"), properties).unwrap();
            assert_eq!(to.topic.as_str(), "answers");
            assert!(to.properties.iter().eq([Property::CorrelationData(b"7")]));
        }
        for (topic, to) in [
            ("pump/request/a/b", Some("a/b")),
            ("pump/request/x/request/y", Some("y")),
            ("/request/y", Some("y")),
            ("pump/request/", None),
            ("pump/request", None),
            ("request/y", None),
            ("pump", None),
        ] {
            let found = AnswerTo::request(name(topic), Properties::EMPTY);
            assert_eq!(found.map(|to| to.topic.as_str()), to, "{topic}");
        }
    }

    #[test]
    fn a_request_of_3_1_1_is_written_whole_or_not_at_all() {
        let key = RequestKey::new(0x0123_4567_89ab_cdef);
        let mut out = [0; 40];
        for (topic, needed) in [("pump/start", Some(45)), ("p", None)] {
            let written = key.request_topic(name(topic), name("answers/1"), &mut out);
            match needed {
                Some(needed) => assert_eq!(written, Err(EncodeError::BufferTooSmall { needed })),
                None => assert_eq!(written.unwrap().as_str(), "p/request/answers/1/0123456789abcdef"),
            }
        }
        let mut large = std::vec![0; 70_000];
        let long = "t".repeat(65_530);
        assert_eq!(key.request_topic(name(&long), name("a"), &mut large), Err(EncodeError::FieldTooLong));
    }
}
