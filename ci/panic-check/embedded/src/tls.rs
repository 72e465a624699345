//! TLS.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::tls::*;
use mqtt_embedded::*;

use crate::world::{Dice, Network, Time, run};
use any::{call, opaque};

type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;

pub(crate) fn call_all() {
    call(TlsOptions::with_ca);
    call(TlsOptions::with_psk);
    call(TlsOptions::server_name);
    call(TlsOptions::client_certificate);
    call(|mqtt: &'static Resources<NoopRawMutex, Time, Memory>, tls: TlsOptions<'static>| {
        let tcp = TcpConnector::new(&Network, &Network, opaque(), opaque());
        let mut connector = TlsConnector::new(tcp, tls, opaque(), opaque(), Dice);
        let options: &'static Options<'static> = opaque();
        run(Runner::new(mqtt, opaque(), opaque()).run(&mut connector, options, &mut Dice));
    });
}
