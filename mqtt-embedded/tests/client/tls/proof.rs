//! A server that cannot prove who it is hears no CONNECT.

use std::cell::RefCell;

use embedded_io_async::Write as _;
use embedded_tls::{
    Aes128GcmSha256, CertificateRef, CertificateVerifyRef, CryptoProvider, CryptoRngCore, TlsConfig, TlsConnection,
    TlsContext, TlsError, TlsVerifier,
};
use mqtt_embedded::tls::TlsOptions;
use mqtt_embedded::{Failure, ProtocolVersion, Status};

use super::certificates::{Authority, now};
use super::script::{APPLICATION_DATA, Proof, Script};
use super::{NAME, play};
use crate::support::{Dice, Small, Time, Wire, World};

/// What a server hears that proves itself like this: the application's bytes, and whether the client gave up because of the
/// handshake.
fn hears(tls: TlsOptions<'_>, proof: Proof<'_>) -> (Vec<u8>, bool) {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let (client, time) = (resources.client(), resources.clock().clone());
    let heard = RefCell::new(Vec::new());
    let server = async {
        let Some(mut script) = Script::begin(wire.accept().await, proof).await else { return };
        if script.finish(proof).await.is_some() {
            while let Some((kind, bytes)) = script.hear().await {
                if kind == APPLICATION_DATA {
                    heard.borrow_mut().extend(bytes);
                }
            }
        }
    };
    let refused = play(&resources, ProtocolVersion::V5_0, tls, &wire, vec![Box::pin(server)], async {
        // Either it gives up, or it has long sent CONNECT.
        let status = Status::Waiting(Failure::Handshake);
        time.sleep(1_000).await;
        client.status() == status
    });
    (heard.into_inner(), refused)
}

const CONNECT: u8 = 0x10;

fn assert_refused(tls: TlsOptions<'_>, proof: Proof<'_>, row: &str) {
    let (heard, refused) = hears(tls, proof);
    assert!(heard.is_empty(), "{row}: bytes have left: {heard:02x?}");
    assert!(refused, "{row}");
}

fn assert_accepted(tls: TlsOptions<'_>, proof: Proof<'_>, row: &str) {
    let (heard, refused) = hears(tls, proof);
    assert_eq!(heard.first(), Some(&CONNECT), "{row}");
    assert!(!refused, "{row}");
}

#[test]
fn a_server_that_leaves_out_a_proof_hears_no_connect() {
    let (ca, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let (good, impostor) = (ca.server(NAME), stranger.server(NAME));
    let tls = TlsOptions::with_ca(&ca.certificate, now);
    for (proof, row) in [
        (Proof::None, "no certificate at all"),
        (Proof::CertificateOnly(&good), "the broker's certificate, which everybody knows"),
        (Proof::SignatureOnly(&good), "a signature, and no certificate"),
        (
            Proof::Signature { certificate: &good, signed_by: &impostor },
            "the certificate of one, the signature of another",
        ),
        (Proof::Signature { certificate: &impostor, signed_by: &impostor }, "another authority"),
        (Proof::Signature { certificate: &impostor, signed_by: &good }, "another authority, a good signature"),
        (Proof::Psk(b"guessed"), "a key that nobody asked for"),
    ] {
        assert_refused(tls, proof, row);
    }
    // The same server is accepted when it leaves out nothing.
    assert_accepted(tls, Proof::Signature { certificate: &good, signed_by: &good }, "a server as it should be");
}

#[test]
fn a_certificate_is_of_the_authority_for_the_name_and_the_time() {
    let ca = Authority::new("ca");
    let tls = TlsOptions::with_ca(&ca.certificate, now);
    let device = ca.client("lamp-1");
    for (server, row) in [
        (ca.server("other.example"), "another name"),
        (ca.server_valid(NAME, (2027, 2030)), "expired"),
        (ca.server_valid(NAME, (2031, 2033)), "not valid yet"),
        (device.forge_server(NAME), "issued by a device"),
        (ca.server(NAME).forge_server(NAME), "issued by a server"),
        (ca.client(NAME), "for clients"),
    ] {
        assert_refused(tls, Proof::Signature { certificate: &server, signed_by: &server }, row);
    }
    for (server, tls, row) in [
        (ca.server(NAME), tls, "as it should be"),
        (ca.server("other.example"), tls.server_name("other.example"), "the name that the options have"),
        (ca.server("10.0.0.1"), tls.server_name("10.0.0.1"), "an address"),
    ] {
        assert_accepted(tls, Proof::Signature { certificate: &server, signed_by: &server }, row);
    }
}

#[test]
fn a_pre_shared_key_is_known_to_both() {
    let ca = Authority::new("ca");
    let good = ca.server(NAME);
    let tls = TlsOptions::with_psk(b"lamp", b"open sesame");
    assert_accepted(tls, Proof::Psk(b"open sesame"), "the same key");
    for (proof, row) in [
        (Proof::Psk(b"open barley"), "another key"),
        (Proof::Psk(&[0; 32]), "no key"),
        (Proof::None, "a server that does not speak of keys"),
        (Proof::Signature { certificate: &good, signed_by: &good }, "a certificate that nobody asked for"),
    ] {
        assert_refused(tls, proof, row);
    }
}

/// Refuses every certificate and every signature.
struct RefusesAll;

impl TlsVerifier<Aes128GcmSha256> for RefusesAll {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(&mut self, _: &sha2::Sha256, _: CertificateRef<'_>) -> Result<(), TlsError> {
        Err(TlsError::InvalidCertificate)
    }

    fn verify_signature(&mut self, _: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        Err(TlsError::InvalidSignature)
    }
}

struct Provider(RefusesAll);

impl CryptoProvider for Provider {
    type CipherSuite = Aes128GcmSha256;
    type Signature = p256::ecdsa::DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        Dice
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.0)
    }
}

#[test]
fn embedded_tls_by_itself_opens_to_a_server_that_leaves_out_its_proof() {
    // Why `connect` asks what was verified. Once this fails, it need not any more.
    let (wire, time) = (Wire::default(), Time::default());
    let heard = RefCell::new(None);
    let mut world = World::new(&time);
    world.spawn(async {
        let mut script = Script::begin(wire.accept().await, Proof::None).await.unwrap();
        script.finish(Proof::None).await.unwrap();
        *heard.borrow_mut() = script.hear().await;
    });
    let password = world.run(async {
        let (mut records_in, mut records_out) = ([0; 4096], [0; 2048]);
        let mut connection = TlsConnection::new(wire.dial(), &mut records_in, &mut records_out);
        let config = TlsConfig::new().with_server_name(NAME);
        connection.open(TlsContext::new(&config, Provider(RefusesAll))).await.unwrap();
        connection.write_all(b"password").await.unwrap();
        connection.flush().await.unwrap();
        time.sleep(1).await;
        heard.borrow_mut().take()
    });
    assert_eq!(password, Some((APPLICATION_DATA, b"password".to_vec())));
}
