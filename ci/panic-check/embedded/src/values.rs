//! Options, errors, and how they are told.

use core::fmt::{Display, Result, Write, write};
use core::hint::black_box;

use mqtt_embedded::mqtt_core::{InvalidTopicFilter, InvalidTopicName};
use mqtt_embedded::*;

use crate::world::Dice;
use any::{call, compared, opaque};

pub(crate) fn call_all() {
    call(Options::new);
    call(Options::backoff);
    call(Options::fallback);
    call(Options::connect_timeout);
    call(Options::stall_timeout);
    call(|| client_identifier(&mut Dice));
    compared::<Status>();
    compared::<Error>();
    compared::<Failure>();
    call(|error: UsageError| Error::from(error));
    call(|error: InvalidTopicName| Error::from(error));
    call(|error: InvalidTopicFilter| Error::from(error));
    display::<Error>();
    display::<Failure>();
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
