//! Servers that are not who they say, and those in between: nothing is said to them. In memory.

use std::sync::Arc;

use mqtt_core::{Connack, Packet, Properties, Property, ReasonCode, Sender};
use mqtt_std::testkit::{LinkEnd, Network};
use mqtt_std::transport::{Tls, TransportFault};
use mqtt_std::{Client, Error, Options, Redirects};
use openssl::x509::extension::{ExtendedKeyUsage, SubjectAlternativeName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::support::*;

fn acceptor(issued: &Issued) -> TlsAcceptor {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(&issued.chain).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&issued.key).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap()).into()
}

async fn accept(network: &Network, issued: &Issued) -> std::io::Result<TlsStream<LinkEnd>> {
    acceptor(issued).accept(network.accept().await).await
}

fn options_in(network: &Network, host: &str, authority: &Authority) -> Options {
    options(&format!("mqtts://{host}")).connector(network.clone()).tls(Tls::new().ca_pem(authority.pem.clone()))
}

enum Name {
    Dns(&'static str),
    Ip(&'static str),
    /// In the subject, as it was done long ago.
    Common(&'static str),
}

#[test]
fn a_certificate_is_for_the_names_that_it_lists_and_no_other() {
    use Name::{Common, Dns, Ip};
    run(async || {
        let authority = Authority::new("the authority");
        for (name, host, good) in [
            (Dns("a.example"), "a.example", true),
            (Dns("a.example"), "A.Example", true),
            (Dns("a.example"), "b.example", false),
            (Dns("a.example"), "a.example.evil", false),
            (Dns("a.example"), "xa.example", false),
            (Dns("*.b.example"), "a.b.example", true),
            (Dns("*.b.example"), "a.a.b.example", false),
            (Dns("*.b.example"), "b.example", false),
            (Dns("a*.b.example"), "aa.b.example", false),
            // A whole top-level domain is nobody's.
            (Dns("*.example"), "a.example", false),
            (Dns("*"), "localhost", false),
            (Common("a.example"), "a.example", false),
            (Ip("10.0.0.1"), "10.0.0.1", true),
            (Ip("10.0.0.1"), "10.0.0.2", false),
            (Ip("10.0.0.1"), "a.example", false),
            (Ip("::1"), "[::1]", true),
            (Dns("10.0.0.1"), "10.0.0.1", false),
            (Common("10.0.0.1"), "10.0.0.1", false),
        ] {
            let mut names = SubjectAlternativeName::new();
            let (shown, names) = match name {
                Dns(name) => (name, Some(&*names.dns(name))),
                Ip(name) => (name, Some(&*names.ip(name))),
                Common(name) => (name, None),
            };
            let issued = authority.issue(shown, names, &ExtendedKeyUsage::new().server_auth().build().unwrap());
            let network = Network::new();
            let serve = async {
                let mut peer = Peer::new(accept(&network, &issued).await.ok()?, V5);
                let mut first = [0];
                // Behind a handshake that it does not like the client says nothing.
                if peer.stream.read(&mut first).await.unwrap_or(0) == 0 {
                    return None;
                }
                peer.stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
                peer.stream.flush().await.unwrap();
                Some(peer)
            };
            let (client, peer) = tokio::join!(Client::connect(options_in(&network, host, &authority)), serve);
            assert_eq!((client.is_ok(), peer.is_some()), (good, good), "{shown} for {host}: {client:?}");
            if let Err(error) = client {
                let Error::Transport(error) = error else { panic!("{error:?}") };
                let fault = error.fault();
                let named = [TransportFault::CertificateOfOther, TransportFault::CertificateInvalid];
                assert!(named.contains(&fault), "{shown} for {host}: {fault:?}");
            }
        }
    });
}

#[test]
fn a_certificate_of_a_client_or_of_itself_is_not_one_of_a_server() {
    run(async || {
        let (authority, other) = (Authority::new("the authority"), Authority::new("a.example"));
        let mut names = SubjectAlternativeName::new();
        let names = names.dns("a.example");
        let client_auth = ExtendedKeyUsage::new().client_auth().build().unwrap();
        let server_auth = ExtendedKeyUsage::new().server_auth().build().unwrap();
        for (issued, fault) in [
            (authority.issue("a.example", Some(names), &client_auth), TransportFault::CertificateInvalid),
            (other.issue("a.example", Some(names), &server_auth), TransportFault::CertificateNotTrusted),
            (Issued { chain: other.pem.clone(), key: other.key() }, TransportFault::CertificateInvalid),
        ] {
            let network = Network::new();
            let connect = Client::connect(options_in(&network, "a.example", &authority));
            let (client, served) = tokio::join!(connect, accept(&network, &issued));
            let Err(Error::Transport(error)) = client else { panic!("{client:?}") };
            assert_eq!(error.fault(), fault, "{error}");
            let said = match served {
                Ok(mut stream) => stream.read(&mut [0]).await.unwrap_or(0),
                Err(_) => 0,
            };
            assert_eq!(said, 0);
        }
    });
}

#[test]
fn sent_elsewhere_tls_stays_and_the_name_is_the_new_one() {
    run(async || {
        let authority = Authority::new("the authority");
        let usage = ExtendedKeyUsage::new().server_auth().build().unwrap();
        let issue = |name| authority.issue(name, Some(SubjectAlternativeName::new().dns(name)), &usage);
        // Where it is sent it finds the right certificate, that of the first server, or somebody without TLS.
        for there in [Some("b.example"), Some("a.example"), None] {
            let network = Network::new();
            let options = options_in(&network, "a.example", &authority).user_name("alice").password("s3cret");
            // A name that is demanded is that of the server that the options name.
            let tls = Tls::new().ca_pem(authority.pem.clone()).server_name("a.example");
            let options = options.tls(tls).follow_redirects(Redirects::up_to(1));
            let connect = tokio::spawn(Client::connect(options));
            let mut first = Peer::new(accept(&network, &issue("a.example")).await.unwrap(), V5);
            first.receive().await;
            let properties = [Property::ServerReference("b.example:1883")];
            let properties = Properties::new(&properties);
            let reason_code = ReasonCode::USE_ANOTHER_SERVER;
            let packet = Packet::Connack(Connack { session_present: false, reason_code, properties });
            let mut bytes = [0; 64];
            let len = packet.encode(V5, Sender::Server, &mut bytes).unwrap();
            first.stream.write_all(&bytes[..len]).await.unwrap();
            first.stream.flush().await.unwrap();
            let Some(name) = there else {
                // Port 1883 or not: it begins with the head of a handshake, and goes nowhere without an answer.
                let mut plain = network.accept().await;
                assert_eq!(plain.read_u8().await.unwrap(), 22);
                plain.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
                let mut rest = Vec::new();
                let _ = plain.read_to_end(&mut rest).await;
                let has = |text: &[u8]| rest.windows(text.len()).any(|bytes| bytes == text);
                assert!(has(b"b.example") && !has(b"a.example") && !has(b"MQTT"));
                connect.abort();
                continue;
            };
            let second = accept(&network, &issue(name)).await;
            if name == "b.example" {
                let second = second.unwrap();
                assert_eq!(second.get_ref().1.server_name(), Some("b.example"));
                let mut second = Peer::new(second, V5);
                let connect = second.receive().await;
                assert!(!connect.windows(6).any(|bytes| bytes == b"s3cret"));
            } else if let Ok(mut second) = second {
                assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
            }
            connect.abort();
        }
    });
}

#[test]
fn a_handshake_in_drips_or_without_end_has_the_time_of_one() {
    for endless in [false, true] {
        run(async move || {
            tokio::time::pause();
            let network = Network::new();
            let authority = Authority::new("the authority");
            let begun = Instant::now();
            let serve = async {
                let mut end = network.accept().await;
                // A handshake record that announces 16 KiB; or records of the least length, one after the other.
                let mut sent = 0;
                let bytes: &[u8] = if endless { &[22, 3, 3, 0, 1, 2] } else { &[22, 3, 3, 0x40, 0] };
                loop {
                    let next = bytes.get(sent % bytes.len()..).filter(|_| sent < bytes.len() || endless);
                    let byte = next.map_or(0, |rest| rest[0]);
                    if end.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    sent += 1;
                    tokio::time::sleep(Duration::from_millis(if endless { 1 } else { 1_000 })).await;
                }
            };
            let (client, ()) = tokio::join!(Client::connect(options_in(&network, "a.example", &authority)), serve);
            let error = client.unwrap_err();
            assert!(matches!(error, Error::ConnectTimeout | Error::Transport(_)), "{error:?}");
            assert!(begun.elapsed() <= Duration::from_secs(12), "{:?}", begun.elapsed());
        });
    }
}
