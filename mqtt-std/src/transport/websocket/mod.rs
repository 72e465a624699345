//! MQTT in the frames of a WebSocket (5.0 and 3.1.1 §6): binary ones, whose borders mean nothing.

mod frames;
mod handshake;

pub(super) use frames::WebSocket;
pub(super) use handshake::{Headers, connect};
