//! A machine joined with a scripted broker, and packets and events as short lines.

mod broker;
mod lines;
mod pair;

pub(crate) use lines::packet_line;
pub(crate) use pair::{Aliases, Pair, Small, Subscriptions, any_version, id, options, topic};
