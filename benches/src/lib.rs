//! The same packets, given to several MQTT codecs.
//!
//! ```text
//! packets   what a packet says, in no codec's own types
//! rows      which packets are measured together, and their bytes
//! codec     what every codec is asked to do
//! ours      mqtt-core
//! rivals    the others
//! agreement all codecs mean the same by the same bytes
//! ```
//! `benches/codec.rs` measures; nothing here does.

pub mod agreement;
pub mod codec;
pub mod ours;
pub mod packets;
pub mod rivals;
pub mod rows;
