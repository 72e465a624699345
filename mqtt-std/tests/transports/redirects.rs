//! A server sends the client elsewhere: who it is stays behind.

use std::sync::Arc;

use mqtt_core::{Connack, Packet, Properties, Property, ReasonCode, Sender};
use mqtt_std::transport::Tls;
use mqtt_std::{Client, Options, Redirects};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::support::*;

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.pem).unwrap()).unwrap();
    roots
}

fn pair(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![CertificateDer::from_pem_slice(&issued.chain).unwrap()], PrivateKeyDer::from_pem_slice(&issued.key).unwrap())
}

/// Takes client certificates, and clients without one.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    async fn start(authority: &Authority) -> Self {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(roots(authority));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap());
        let (chain, key) = pair(&authority.server("localhost"));
        let config = builder.with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: Arc::new(config).into() }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// A client that has sent CONNECT, and whether it has shown a certificate.
    async fn accept(&self) -> (Peer<TlsStream<TcpStream>>, bool) {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("nobody comes").unwrap();
        let stream = self.acceptor.accept(stream).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().is_some();
        (Peer::new(stream, V5), shown)
    }
}

#[test]
fn a_client_certificate_goes_to_hosts_that_the_options_name_only() {
    run(async || {
        let authority = Authority::new("the authority");
        let client = authority.client("pump-7");
        let own = Tls::new().ca_pem(authority.pem.clone()).server_name("localhost");
        let own = own.client_certificate_pem(client.chain.clone(), client.key.clone());
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = pair(&client);
        let config = config.with_root_certificates(roots(&authority)).with_client_auth_cert(chain, key).unwrap();
        let given = Tls::new().config(Arc::new(config));
        for tls in [own, given] {
            for (host, redirects, shows) in [
                ("127.0.0.1", Redirects::up_to(1), false),
                ("127.0.0.1", Redirects::up_to(1).with_credentials(), true),
                ("localhost", Redirects::up_to(1), true),
            ] {
                let (first, second) = (Server::start(&authority).await, Server::start(&authority).await);
                let options: Options = options(&format!("mqtts://localhost:{}", first.port()));
                let options = options.tls(tls.clone()).follow_redirects(redirects);
                let connect = tokio::spawn(Client::connect(options));
                let (mut peer, shown) = first.accept().await;
                assert!(shown);
                peer.receive().await;
                let reference = format!("{host}:{}", second.port());
                let properties = [Property::ServerReference(&reference)];
                let properties = Properties::new(&properties);
                let reason_code = ReasonCode::USE_ANOTHER_SERVER;
                let packet = Packet::Connack(Connack { session_present: false, reason_code, properties });
                let mut bytes = [0; 64];
                let len = packet.encode(V5, Sender::Server, &mut bytes).unwrap();
                peer.stream.write_all(&bytes[..len]).await.unwrap();
                peer.stream.flush().await.unwrap();
                let (mut peer, shown) = second.accept().await;
                assert_eq!(shown, shows, "{host} {redirects:?}");
                peer.welcome().await;
                drop(connect.await.unwrap().unwrap());
            }
        }
    });
}
