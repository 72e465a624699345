//! Checked values: what has one of these types obeys the standard's rules for it.

mod packet_identifier;
mod qos;
mod reason_code;
pub(crate) mod string;
mod topic_filter;
mod topic_name;

pub use packet_identifier::PacketIdentifier;
pub use qos::QoS;
pub use reason_code::{ReasonCode, ReasonCodes};
pub use topic_filter::{InvalidTopicFilter, TopicFilter};
pub use topic_name::{InvalidTopicName, TopicName};
