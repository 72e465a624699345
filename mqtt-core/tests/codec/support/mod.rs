//! Samples, hand-made bytes, strategies and what must hold for any bytes at all.

pub(crate) mod any_bytes;
pub(crate) mod any_topics;
pub(crate) mod samples;
pub(crate) mod strategies;
pub(crate) mod tables;
pub(crate) mod wire;
