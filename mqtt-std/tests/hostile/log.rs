//! All that is logged, by everybody, at every level.

use core::cell::Cell;
use core::fmt;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What tests of this program log, whichever thread does.
static LOGGED: Mutex<String> = Mutex::new(String::new());

thread_local! {
    /// What is written down here would count as the memory of who is measured.
    static DEAF: Cell<bool> = const { Cell::new(false) };
}

struct Log;

struct Written<'a>(&'a mut String);

impl Visit for Written<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is: whoever writes it must not have to escape it first to find a secret.
        self.0.push_str(&format!(" {}={value}", field.name()));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.0.push_str(&format!(" {}={}", field.name(), String::from_utf8_lossy(value)));
    }
}

fn write(target: &str, record: impl FnOnce(&mut Written<'_>)) {
    if DEAF.get() {
        return;
    }
    let mut logged = LOGGED.lock().unwrap();
    logged.push_str(target);
    record(&mut Written(&mut logged));
    logged.push('\n');
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        write(attributes.metadata().target(), |written| attributes.record(written));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        write("span", |written| values.record(written));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        write(event.metadata().target(), |written| event.record(written));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// From here on.
pub(crate) fn listen() {
    static SET: Once = Once::new();
    SET.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// Does this without listening to this thread.
pub(crate) fn unheard<T>(act: impl FnOnce() -> T) -> T {
    DEAF.set(true);
    let value = act();
    DEAF.set(false);
    value
}

pub(crate) fn logged() -> String {
    LOGGED.lock().unwrap().clone()
}
