//! A server that takes its time, or says much that means nothing: what ends that.

use embedded_io_async::Write as _;
use mqtt_embedded::tls::TlsOptions;
use mqtt_embedded::{Clock as _, ConnectionError, Failure, ProtocolVersion, Status};

use super::certificates::{Authority, now};
use super::script::{APPLICATION_DATA, Proof, Script};
use super::terminator::{config, terminate};
use super::{NAME, play};
use crate::support::{Small, Time, Wire};

const V5: ProtocolVersion = ProtocolVersion::V5_0;
const KEY: &[u8] = b"open sesame";

/// A connection on which CONNECT has been heard.
async fn opened(wire: &Wire) -> Script {
    let mut script = Script::begin(wire.accept().await, Proof::Psk(KEY)).await.unwrap();
    script.finish(Proof::Psk(KEY)).await.unwrap();
    assert_eq!(script.hear().await.unwrap().0, APPLICATION_DATA);
    script
}

const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];

#[test]
fn a_handshake_of_a_byte_a_second_ends_in_time() {
    let ca = Authority::new("ca");
    let server = ca.server(NAME);
    let (wire, plain, resources) = (Wire::default(), Wire::default(), Small::new(Time::default()));
    let (client, time) = (resources.client(), resources.clock().clone());
    let front = terminate(wire.clone(), plain, config(&server, None), time.clone(), 1_000);
    let tls = TlsOptions::with_ca(&ca.certificate, now);
    play(&resources, V5, tls, &wire, vec![Box::pin(front)], async {
        let failed = client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
        assert_eq!(failed, Status::Waiting(Failure::ConnectTimeout));
        assert!(time.now().as_millis() <= 10_100, "{} ms", time.now().as_millis());
    });
}

#[test]
fn a_record_of_a_byte_a_second_is_no_sign_of_life() {
    for (accepted, error) in [(false, ConnectionError::ConnackTimeout), (true, ConnectionError::PingrespTimeout)] {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let server = async {
            let mut script = opened(&wire).await;
            if accepted {
                script.send(APPLICATION_DATA, CONNACK).await;
            }
            for byte in [APPLICATION_DATA, 3, 3, 0x0F, 0xFF].into_iter().chain(std::iter::repeat(7)) {
                if script.wire.write_all(&[byte]).await.is_err() {
                    return;
                }
                time.sleep(1_000).await;
            }
        };
        play(&resources, V5, TlsOptions::with_psk(b"lamp", KEY), &wire, vec![Box::pin(server)], async {
            let failed = client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
            assert_eq!(failed, Status::Waiting(Failure::Connection(error)));
            // Keep Alive is a second here, its answer has 10.
            assert!(time.now().as_millis() <= 12_500, "{} ms", time.now().as_millis());
        });
    }
}

#[test]
fn tickets_are_passed_over_and_a_new_key_ends_the_connection() {
    const TICKET: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b't', 0, 0];
    for (kind, body, count, connected) in [(4, TICKET, 1_000, true), (24, &[0][..], 1, false), (24, &[1], 1_000, false)]
    {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (client, time) = (resources.client(), resources.clock().clone());
        let server = async {
            let mut script = opened(&wire).await;
            for _ in 0..count {
                script.say(kind, body).await;
            }
            script.send(APPLICATION_DATA, CONNACK).await;
            while script.hear().await.is_some() {}
        };
        play(&resources, V5, TlsOptions::with_psk(b"lamp", KEY), &wire, vec![Box::pin(server)], async {
            time.sleep(5_000).await;
            let is_connected = matches!(client.status(), Status::Connected { .. });
            assert_eq!(is_connected, connected, "{kind}: {:?}", client.status());
        });
    }
}
