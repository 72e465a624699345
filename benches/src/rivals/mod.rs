//! The others, each at its best: its own types made beforehand, its buffers used again.
//!
//! MQTT 3.1.1 has a row of PUBLISH only, so that is all their 3.1.1 codecs are asked for here.

use bytes::{BufMut, BytesMut};

pub mod mqtt_protocol_core;
pub mod mqttbytes;
pub mod rumqttc;

/// The read buffer of codecs that split packets off a `BytesMut`.
///
/// A `BytesMut` allocates a reference count when it is split for the first time. A connection meets that once in a
/// buffer's life, so it happens here, where it is not measured.
fn read_buffer(wire: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(wire.len() + 1);
    buffer.put_slice(wire);
    buffer.put_u8(0);
    drop(buffer.split_off(wire.len()));
    buffer
}
