//! Bytes: reading and writing the data types of the standard (§1.5), and finding packets in a stream.

pub(crate) mod bytes;
pub(crate) mod framing;
pub(crate) mod reader;
pub(crate) mod variable_byte_integer;
pub(crate) mod writer;
