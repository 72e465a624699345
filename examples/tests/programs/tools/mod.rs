//! `mqtt-pub`, `mqtt-sub`, `mqtt-rr`: scripts that are run with them and with their namesakes, and what they do beyond those.

mod beyond;
mod broker;
mod rows;
mod same;
