//! Pre-shared keys that are none, or others.

use mqtt_core::ErrorClass;
use mqtt_std::Options;
use mqtt_std::transport::{Psk, Tls, TransportFault};

use super::support::*;

#[test]
fn a_key_or_an_identity_that_the_broker_does_not_know_is_refused() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let options = || options(&format!("mqtts://localhost:{}", broker.psk));
        for psk in [Psk::new("pump-7", *b"another key"), Psk::new("pump-8", KEY)] {
            let error = failure(options().psk(psk.clone())).await;
            assert_eq!(
                (error.fault(), error.class()),
                (TransportFault::PskRefused, ErrorClass::Stop),
                "{psk:?} {error}"
            );
        }
        // A certificate is no way around the key.
        let error =
            failure(crate::support::options(&format!("mqtts://localhost:{}", broker.tls)).psk(Psk::new("pump-7", KEY)))
                .await;
        assert!(matches!(error.fault(), TransportFault::PskRefused | TransportFault::Tls), "{error:?}");
        // The last one of the two counts.
        let error =
            failure(options().psk(Psk::new("pump-7", KEY)).tls(Tls::new().ca_pem(broker.authority.pem.clone()))).await;
        assert_eq!(error.fault(), TransportFault::Tls, "{error}");
    });
}

#[test]
fn what_cannot_be_a_key_is_told() {
    run(async || {
        // It does not get as far as TLS.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtts://{}", listener.local_addr().unwrap());
        for (psk, words) in [
            (Psk::new("", KEY), "identity"),
            (Psk::new("a\0b", KEY), "identity"),
            (Psk::new("x".repeat(129), KEY), "identity"),
            (Psk::new("pump-7", []), "key"),
            (Psk::new("pump-7", [1; 257]), "key"),
        ] {
            assert_fails(options(&url).psk(psk), TransportFault::Settings, words).await;
        }
    });
}

#[test]
fn the_key_is_not_shown() {
    let psk = Psk::new("pump-7", *b"s3cret");
    let shown = format!("{psk:?} {:?}", Options::new("a", 1).psk(psk.clone()));
    assert!(shown.contains("pump-7") && !shown.contains("s3cret") && !shown.contains("115, 51"), "{shown}");
}
