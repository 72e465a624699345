//! `Display` of every type that has it.

use core::fmt::{Display, Result, Write, write};
use core::hint::black_box;

use mqtt_core::*;

use any::{call, opaque};

pub(crate) fn call_all() {
    display::<PacketIdentifier>();
    display::<TopicFilter<'_>>();
    display::<InvalidTopicFilter>();
    display::<TopicName<'_>>();
    display::<InvalidTopicName>();
    display::<ReasonCode>();
    display::<PacketType>();
    display::<PropertyIdentifier>();
    display::<DecodeError>();
    display::<EncodeError>();
    display::<StorageFull>();
    display::<ReceiveError>();
    display::<ConnectionError>();
    display::<ProtocolError>();
    display::<UsageError>();
}

fn display<T: Display>() {
    call(|value: &T| write(&mut Sink, format_args!("{value}")));
}

/// May fail at any time.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> Result {
        black_box(text);
        opaque()
    }
}
