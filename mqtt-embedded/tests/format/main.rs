//! `defmt` shows every public type: with that feature this compiles.

#![allow(clippy::unwrap_used)] // the lints' configuration exempts test functions, not their helpers

#[path = "../../../mqtt-core/tests/format/exported.rs"]
mod exported;

use std::path::Path;

#[cfg(feature = "defmt")]
#[allow(dead_code, reason = "it is compiled, which is all: on a host nobody collects what `defmt` writes")]
mod every_type {
    use embassy_sync::blocking_mutex::raw::NoopRawMutex as Mutex;
    use mqtt_embedded::*;

    type Memory = Sizes<1, 1, 1, 1, 1, 1, 1>;
    type Ticks = blocking::PolledClock<fn() -> u64>;

    fn shown<T: defmt::Format + ?Sized>() {}

    fn all() {
        shown::<Client<'_, Mutex, Ticks, Memory>>();
        shown::<Error>();
        shown::<Failure>();
        shown::<FromSource<&[u8]>>();
        shown::<Half<'_, ()>>();
        shown::<Message<'_>>();
        shown::<NoStore>();
        shown::<Options<'_>>();
        shown::<Paced<NoStore, Ticks>>();
        shown::<PayloadFile<()>>();
        shown::<Publish<'_, '_, Mutex, Ticks, Memory>>();
        shown::<Receipt<'_, Mutex, Ticks, Memory>>();
        shown::<Request<'_, '_, '_, Mutex, Ticks, Memory, 1>>();
        shown::<Requests<'_, '_, Mutex, Ticks, Memory, 1>>();
        shown::<Resources<Mutex, Ticks, Memory>>();
        shown::<Runner<'_, Mutex, Ticks, Memory>>();
        shown::<Shared<()>>();
        shown::<Sizes<1, 1, 1, 1, 1, 1, 1>>();
        shown::<Source<&[u8]>>();
        shown::<Statistics>();
        shown::<Status>();
        shown::<Subscriber<'_, Mutex, Ticks, Memory>>();
        shown::<TcpConnector<'_, (), ()>>();
        shown::<TcpError<(), ()>>();
        shown::<blocking::Client<'_, '_, Mutex, Ticks, Memory, ()>>();
        shown::<blocking::Connector<fn()>>();
        shown::<blocking::PolledClock<fn() -> u64>>();
        shown::<blocking::Polling<()>>();
    }

    #[cfg(feature = "embassy-time")]
    fn time() {
        shown::<EmbassyClock>();
    }

    #[cfg(feature = "flash")]
    fn flash<F: embedded_storage_async::nor_flash::NorFlash>() {
        shown::<FlashError<F::Error>>();
        shown::<FlashStore<F, 1, 1, 1>>();
    }

    #[cfg(feature = "tls")]
    fn tls<T: embedded_io_async::Read + embedded_io_async::Write>() {
        shown::<tls::Records<'_, T>>();
        shown::<tls::TlsConnector<'_, (), (), ()>>();
        shown::<tls::TlsDialled<'_, T, ()>>();
        shown::<tls::TlsOptions<'_>>();
        shown::<tls::TlsTransport<'_, T>>();
    }
}

#[test]
fn every_public_type_is_among_those_that_defmt_shows() {
    let names = exported::types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(names.len() > 30, "{names:?}");
    let shown = include_str!("main.rs");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !shown.contains(&format!("shown::<{name}>")) && !shown.contains(&format!("shown::<{name}<")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
