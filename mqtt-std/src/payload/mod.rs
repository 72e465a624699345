//! Payloads that are too large to be held in memory.
//!
//! On their way out they are read from a [`Source`] whenever their PUBLISH is sent: a task of its own reads ahead
//! (`inflow`), the connection takes what is ready.
//!
//! On their way in they go through a bounded pipe for each reader (`pipe`) as they arrive. The message is in the streams as soon
//! as its head is here (`inbound`); a reader with too much before it stops the reading from the connection, for a while.

mod file;
mod inbound;
mod inflow;
mod pipe;
mod reader;
mod source;

pub(crate) use inbound::Inbound;
pub(crate) use inflow::{Inflow, Owner, SourceFailed};
pub(crate) use pipe::{End, ReadEnd};
pub(crate) use source::{Finder, Sources};

pub use file::PayloadFile;
pub use reader::PayloadReader;
pub use source::{Opening, PayloadSource, Source};
