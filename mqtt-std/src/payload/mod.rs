//! Payloads that are too large to be held in memory.
//!
//! On their way out they are read from a [`Source`] whenever their PUBLISH is sent: a task of its own reads ahead
//! (`inflow`), the connection takes what is ready.

mod file;
mod inflow;
mod source;

pub(crate) use inflow::{Inflow, Owner, SourceFailed};
pub(crate) use source::Sources;

pub use file::PayloadFile;
pub use source::{Opening, PayloadSource, Source};
