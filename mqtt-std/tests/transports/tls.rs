//! Whom TLS trusts and who it says we are, and each way in which that fails.

use core::pin::Pin;
use core::task::Poll;
use std::fs;
use std::sync::Arc;

use mqtt_core::ErrorClass;
use mqtt_std::transport::{Tls, TlsVersion, TransportFault};
use mqtt_std::{Cause, Client, Options, Run, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};

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
fn the_name_alone_can_be_let_pass() {
    run(async || {
        let certificate = |authority: &Authority| authority.server("broker.example");
        let Some(broker) = Everywhere::with_certificate(Authority::new("a"), certificate) else { return };
        works(url(&broker).tls(trusting(&broker).danger_accept_any_name())).await;
        let stranger = Tls::new().ca_pem(Authority::new("a stranger").pem).danger_accept_any_name();
        assert_fails(url(&broker).tls(stranger), TransportFault::CertificateNotTrusted, "UnknownIssuer").await;
        let certificate = |authority: &Authority| authority.server_valid("broker.example", (-30, -1));
        let Some(broker) = Everywhere::with_certificate(Authority::new("a"), certificate) else { return };
        let options = url(&broker).tls(trusting(&broker).danger_accept_any_name());
        assert_fails(options, TransportFault::CertificateExpired, "certificate").await;
    });
}

#[test]
fn one_version_alone_is_spoken_if_that_is_wanted() {
    run(async || {
        let authority = Authority::new("a");
        let pair = authority.server("localhost");
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pair.chain).collect::<Result<_, _>>().unwrap();
        for (server, version) in [
            (&tokio_rustls::rustls::version::TLS12, TlsVersion::V1_2),
            (&tokio_rustls::rustls::version::TLS13, TlsVersion::V1_3),
        ] {
            let key = PrivateKeyDer::from_pem_slice(&pair.key).unwrap();
            let config = ServerConfig::builder_with_provider(ring::default_provider().into());
            let config = config.with_protocol_versions(&[server]).unwrap().with_no_client_auth();
            let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain.clone(), key).unwrap()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("mqtts://localhost:{}", listener.local_addr().unwrap().port());
            for (wanted, spoken) in [(TlsVersion::V1_2, version), (TlsVersion::V1_3, version)] {
                let tls = Tls::new().ca_pem(authority.pem.clone()).version(wanted);
                let attempt = tokio::spawn(Client::connect(options(&url).tls(tls)));
                let (stream, _) = listener.accept().await.unwrap();
                let accepted = timeout(PATIENCE, acceptor.accept(stream)).await.unwrap();
                assert_eq!(accepted.is_ok(), wanted == spoken, "{wanted:?} of {spoken:?}");
                attempt.abort();
            }
        }
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

/// A server of TLS that takes what it is offered, and tells it.
struct TlsServer {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsServer {
    async fn start(issued: &Issued) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&issued.chain).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&issued.key).unwrap();
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: Arc::new(config).into() }
    }

    /// A client with these options connects; what its handshake was, the name and the protocol that it asked for.
    async fn connect(&self, options: Options) -> (HandshakeKind, Option<String>, Option<Vec<u8>>) {
        let connect = tokio::spawn(Client::connect(options));
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("nobody comes").unwrap();
        let stream = self.acceptor.accept(stream).await.unwrap();
        let connection = stream.get_ref().1;
        let name = connection.server_name().map(str::to_owned);
        let found = (connection.handshake_kind().unwrap(), name, connection.alpn_protocol().map(<[u8]>::to_vec));
        let mut peer = Peer::new(stream, V5);
        peer.welcome().await;
        drop(connect.await.unwrap().unwrap());
        found
    }

    fn options(&self) -> Options {
        options(&format!("mqtts://127.0.0.1:{}", self.listener.local_addr().unwrap().port()))
    }
}

#[test]
fn the_server_is_asked_for_a_name_and_a_protocol() {
    run(async || {
        let authority = Authority::new("the authority");
        let server = TlsServer::start(&authority.server("localhost")).await;
        let tls = Tls::new().ca_pem(authority.pem.clone());
        // An address is no name.
        assert_eq!(server.connect(server.options().tls(tls.clone())).await, (HandshakeKind::Full, None, None));
        let tls = tls.server_name("localhost").alpn(["x", "mqtt"]);
        let (_, name, protocol) = server.connect(server.options().tls(tls.clone())).await;
        assert_eq!((name.as_deref(), protocol.as_deref()), (Some("localhost"), Some(&b"mqtt"[..])));
        // None in common.
        let attempt = tokio::spawn(failure(server.options().tls(tls.alpn(["x"]))));
        let (stream, _) = server.listener.accept().await.unwrap();
        assert!(server.acceptor.accept(stream).await.is_err());
        let error = attempt.await.unwrap();
        assert!(error.fault() == TransportFault::Tls && error.to_string().contains("NoApplicationProtocol"), "{error}");
    });
}

#[test]
fn a_session_is_resumed_where_nothing_has_changed() {
    run(async || {
        let authority = Authority::new("the authority");
        let server = TlsServer::start(&authority.server("localhost")).await;
        let directory = std::env::temp_dir().join(format!("mqtt-std-tls-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("ca.pem");
        fs::write(&path, &authority.pem).unwrap();
        let options = server.options().tls(Tls::new().ca_file(&path));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            kinds.push(server.connect(options.clone()).await.0);
        }
        // Whoever else is trusted now, trust begins anew.
        fs::write(&path, [authority.pem.clone(), Authority::new("another").pem].concat()).unwrap();
        kinds.push(server.connect(options).await.0);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Full]);
    });
}

#[test]
fn a_server_that_hangs_up_without_a_word_has_hung_up() {
    run(async || {
        let authority = Authority::new("the authority");
        let server = TlsServer::start(&authority.server("localhost")).await;
        let options = server.options().tls(Tls::new().ca_pem(authority.pem));
        let connect = tokio::spawn(Client::connect(options));
        let (stream, _) = server.listener.accept().await.unwrap();
        let mut peer = Peer::new(server.acceptor.accept(stream).await.unwrap(), V5);
        peer.welcome().await;
        let client = connect.await.unwrap().unwrap();
        let (stream, _) = peer.stream.into_inner();
        drop(stream);
        let lost = |status: &Status| matches!(status, Status::Waiting { error: Cause::ConnectionLost, .. });
        timeout(PATIENCE, client.status().wait_for(lost)).await.expect("it stays").unwrap();
    });
}

/// Polls once, and waits until there is a reason to poll again, unless it is connected.
async fn poll_until_woken(client: &Client, run: &mut Pin<Box<Run>>) {
    let mut polled = false;
    core::future::poll_fn(|cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        let _ = run.as_mut().poll(cx);
        if client.status().borrow().is_connected() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn an_attempt_may_be_dropped_at_every_wait() {
    run(async || {
        let authority = Authority::new("the authority");
        let server = TlsServer::start(&authority.server("localhost")).await;
        let options = server.options().tls(Tls::new().ca_pem(authority.pem));
        let TlsServer { listener, acceptor } = server;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Most hang up before the end.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(&[0x20, 3, 0, 0, 0]).await;
                    stream.read(&mut [0; 1024]).await
                });
            }
        });
        let mut waits = 0;
        loop {
            let (client, run) = Client::new(options.clone()).unwrap();
            let mut run = Box::pin(run);
            for _ in 0..waits {
                if !client.status().borrow().is_connected() {
                    timeout(PATIENCE, poll_until_woken(&client, &mut run)).await.expect("nothing goes on");
                }
            }
            if client.status().borrow().is_connected() {
                break;
            }
            drop(run);
            assert!(matches!(*client.status().borrow(), Status::Closed { .. }));
            waits += 1;
        }
        assert!(waits >= 3, "{waits}");
    });
}

#[test]
fn keys_are_not_shown() {
    let tls =
        Tls::new().client_certificate_pem("s3cret chain", "s3cret key").client_certificate_files("a.pem", "b.key");
    let shown = format!("{:?} {:?}", tls, Options::new("a", 1).tls(tls.clone()));
    assert!(!shown.contains("s3cret") && !shown.contains("b.key"), "{shown}");
}
