//! A machine joined with a scripted broker, and packets and events as short lines.

pub(crate) mod any_steps;
mod boxed;
mod broker;
mod lines;
mod model;
mod pair;

pub(crate) use boxed::Boxed;
pub(crate) use lines::packet_line;
pub(crate) use model::{FromBroker, Model};
pub(crate) use pair::{Pair, Small, any_version, id, options, topic};
