//! Records that a server has no business to send: none of them is worth a panic.

use std::cell::Cell;

use mqtt_embedded::ProtocolVersion;
use mqtt_embedded::tls::TlsOptions;

use super::certificates::{Authority, now};
use super::script::{APPLICATION_DATA, Proof, Script, write_record};
use super::{NAME, play};
use crate::support::{Small, Time, Wire, WireEnd};

/// What is sent where.
#[derive(Clone, Debug)]
enum Injected {
    /// In the clear, as anybody on the path can.
    InTheClear(u8, Vec<u8>),
    /// Encrypted, with nothing inside: by a server, before it has proved anything, or after.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    BeforeServerHello,
    BehindServerHello,
    BehindConnect,
}

impl Injected {
    async fn send(&self, script: &mut Script) {
        match self {
            Self::InTheClear(kind, bytes) => write_record(&mut script.wire, *kind, bytes).await,
            Self::Nothing => script.send_nothing().await,
        }
    }
}

/// A connection on which that happens, as long as it stands.
async fn disturbed(mut wire: WireEnd, proof: Proof<'_>, place: Place, injected: &Injected) {
    if place == Place::BeforeServerHello {
        let Injected::InTheClear(kind, bytes) = injected else { return wire.cut() };
        write_record(&mut wire, *kind, bytes).await;
    }
    let Some(mut script) = Script::begin(wire, proof).await else { return };
    if place == Place::BehindServerHello {
        injected.send(&mut script).await;
    }
    if script.finish(proof).await.is_some() && script.hear().await.is_some() && place == Place::BehindConnect {
        injected.send(&mut script).await;
    }
    script.wire.cut();
}

#[test]
fn no_record_in_the_clear_and_no_empty_one_makes_a_device_panic() {
    let ca = Authority::new("ca");
    let good = ca.server(NAME);
    let proof = Proof::Signature { certificate: &good, signed_by: &good };
    let mut rows = vec![Injected::Nothing];
    for kind in [0, 20, 21, 22, 23, 24] {
        for bytes in [&[][..], &[1], &[0; 17], &[20; 36]] {
            rows.push(Injected::InTheClear(kind, bytes.to_vec()));
        }
    }
    // Messages of the handshake that can be read: a ticket, extensions, a request for a certificate, a key update.
    for message in [
        &[4, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[8, 0, 0, 2, 0, 0],
        &[13, 0, 0, 3, 0, 0, 0],
        &[24, 0, 0, 1, 0],
    ] {
        rows.push(Injected::InTheClear(22, message.to_vec()));
    }
    for place in [Place::BeforeServerHello, Place::BehindServerHello, Place::BehindConnect] {
        for injected in &rows {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let time = resources.clock().clone();
            let well = Cell::new(false);
            let server = async {
                disturbed(wire.accept().await, proof, place, injected).await;
                // It comes back, and all is well.
                let mut script = Script::begin(wire.accept().await, proof).await.unwrap();
                script.finish(proof).await.unwrap();
                well.set(script.hear().await.is_some_and(|(kind, _)| kind == APPLICATION_DATA));
            };
            let tls = TlsOptions::with_ca(&ca.certificate, now);
            play(&resources, ProtocolVersion::V5_0, tls, &wire, vec![Box::pin(server)], async {
                time.sleep(100_000).await;
            });
            assert!(well.get(), "{place:?}, {injected:?}: it does not come back");
        }
    }
}
