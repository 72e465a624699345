//! Whom TLS trusts and who it says we are, and each way in which that fails.

use std::fs;
use std::sync::Arc;

use mqtt_core::ErrorClass;
use mqtt_std::transport::{Tls, TransportFault};
use mqtt_std::{Cause, Client, Options, Status};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::support::*;

fn url(broker: &Everywhere) -> Options {
    options(&format!("mqtts://localhost:{}", broker.tls))
}

fn trusting(broker: &Everywhere) -> Tls {
    Tls::new().ca_file(broker.files.path("ca.pem"))
}

async fn works(options: Options) {
    let client = timeout(PATIENCE, Client::connect(options)).await.expect("it takes too long").unwrap();
    client.publish("t", "x").await.unwrap();
    end(client).await;
}

#[test]
fn a_server_that_nobody_trusted_vouches_for_is_refused() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let stranger = Authority::new("a stranger");
        let tls = Tls::new().ca_pem(stranger.pem.clone());
        assert_fails(url(&broker).tls(tls), TransportFault::CertificateNotTrusted, "UnknownIssuer").await;
        // The system does not trust it either.
        let tls = Tls::new().ca_pem(stranger.pem).and_system_roots();
        assert_fails(url(&broker).tls(tls), TransportFault::CertificateNotTrusted, "UnknownIssuer").await;
        // With another authority beside it, it is trusted.
        works(url(&broker).tls(trusting(&broker).and_system_roots())).await;
        let error = failure(url(&broker).tls(Tls::new().ca_pem(Authority::new("other").pem))).await;
        assert_eq!(error.class(), ErrorClass::RetrySlowly);
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    run(async || {
        let authority = Authority::new("the authority");
        let certificate = |authority: &Authority| authority.server("broker.example");
        let Some(broker) = Everywhere::with_certificate(authority, certificate) else { return };
        let options = || url(&broker).tls(trusting(&broker));
        assert_fails(options(), TransportFault::CertificateOfOther, "broker.example").await;
        works(url(&broker).tls(trusting(&broker).server_name("broker.example"))).await;
        let tls = trusting(&broker).server_name("not a name");
        assert_fails(url(&broker).tls(tls), TransportFault::Settings, "not a name").await;
        assert_eq!(failure(options()).await.class(), ErrorClass::RetrySlowly);
    });
}

#[test]
fn a_certificate_is_good_in_its_time_only() {
    run(async || {
        for (days, fault) in
            [((-30, -1), TransportFault::CertificateExpired), ((1, 30), TransportFault::CertificateNotYetValid)]
        {
            let certificate = move |authority: &Authority| authority.server_valid("localhost", days);
            let Some(broker) = Everywhere::with_certificate(Authority::new("a"), certificate) else { return };
            assert_fails(url(&broker).tls(trusting(&broker)), fault, "certificate").await;
            assert_eq!(fault.class(), ErrorClass::RetrySlowly);
        }
    });
}

#[test]
fn what_is_switched_off_by_that_name_is_off() {
    run(async || {
        let certificate = |authority: &Authority| authority.server_valid("broker.example", (-30, -1));
        let Some(broker) = Everywhere::with_certificate(Authority::new("a"), certificate) else { return };
        works(url(&broker).tls(Tls::new().danger_accept_any_certificate())).await;
    });
}

#[test]
fn a_client_certificate_that_is_missing_ends_the_client() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let options = || options(&format!("mqtts://localhost:{}", broker.mutual)).tls(trusting(&broker));
        for _ in 0..5 {
            assert_fails(options(), TransportFault::ClientCertificateRequired, "CertificateRequired").await;
        }
        // Options do not change by themselves.
        let client = Client::connect_retrying(options()).unwrap();
        let closed = |status: &Status| matches!(status, Status::Closed { .. });
        let status = timeout(PATIENCE, client.status().wait_for(closed)).await.unwrap().unwrap().clone();
        let Status::Closed { error: Some(Cause::Transport(error)), .. } = status else { panic!("{status:?}") };
        assert_eq!(error.fault(), TransportFault::ClientCertificateRequired);
    });
}

#[test]
fn a_client_certificate_of_another_authority_is_refused() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let pair = Authority::new("a stranger").client("pump-7");
        let tls = trusting(&broker).client_certificate_pem(pair.chain, pair.key);
        let options = options(&format!("mqtts://localhost:{}", broker.mutual)).tls(tls);
        assert_fails(options.clone(), TransportFault::ClientCertificateRefused, "alert").await;
        assert_eq!(failure(options).await.class(), ErrorClass::RetrySlowly);
    });
}

#[test]
fn files_are_read_at_each_attempt() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let path = broker.files.path("renewed.pem");
        let options = url(&broker).tls(Tls::new().ca_file(&path));
        let missing = failure(options.clone()).await;
        assert_eq!((missing.fault(), missing.class()), (TransportFault::Settings, ErrorClass::RetrySlowly));
        let text = missing.to_string();
        assert!(text.contains("renewed.pem") && text.contains("No such file"), "{text}");

        fs::write(&path, "nothing\n").unwrap();
        assert_fails(options.clone(), TransportFault::Settings, "no certificate").await;
        fs::write(&path, Authority::new("a stranger").pem).unwrap();
        assert_fails(options.clone(), TransportFault::CertificateNotTrusted, "UnknownIssuer").await;
        fs::write(&path, &broker.authority.pem).unwrap();
        works(options.clone()).await;
        // What was good before is not kept.
        fs::write(&path, Authority::new("a stranger").pem).unwrap();
        assert_fails(options, TransportFault::CertificateNotTrusted, "UnknownIssuer").await;
    });
}

#[test]
fn a_key_that_is_none_or_of_another_certificate_is_told() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let pair = broker.authority.client("pump-7");
        let other = broker.authority.client("pump-8");
        for (key, words) in [(pair.chain.clone(), "no private key"), (other.key, "KeyMismatch")] {
            let tls = trusting(&broker).client_certificate_pem(pair.chain.clone(), key);
            assert_fails(url(&broker).tls(tls), TransportFault::Settings, words).await;
        }
    });
}

#[test]
fn a_configuration_and_a_provider_of_the_caller_s_are_used() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let provider = Arc::new(ring::default_provider());
        works(url(&broker).tls(trusting(&broker).provider(Arc::clone(&provider)))).await;

        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&broker.authority.pem).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        works(url(&broker).tls(Tls::new().config(config))).await;
    });
}

#[test]
fn a_server_without_tls_is_told_from_one_that_refuses() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let options = options(&format!("mqtts://localhost:{}", broker.tcp)).tls(trusting(&broker));
        let error = failure(options).await;
        // Mosquitto closes, or answers with MQTT.
        assert!(matches!(error.fault(), TransportFault::Tls | TransportFault::Io), "{error:?}");
    });
}

#[test]
fn keys_are_not_shown() {
    let tls =
        Tls::new().client_certificate_pem("s3cret chain", "s3cret key").client_certificate_files("a.pem", "b.key");
    let shown = format!("{:?} {:?}", tls, Options::new("a", 1).tls(tls.clone()));
    assert!(!shown.contains("s3cret") && !shown.contains("b.key"), "{shown}");
}
