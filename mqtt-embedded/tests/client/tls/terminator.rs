//! `rustls` in front of a Server: what arrives on one wire goes on in the clear on another.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorKind, Read as _, Write as _};
use mqtt_embedded::Clock as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::certificates::{Authority, Issued, now};
use crate::support::{Time, Wire};

/// The time of the tests.
#[derive(Debug)]
struct Now;

impl rustls::time_provider::TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now())))
    }
}

/// A server with this certificate, which asks for the clients' certificates of this authority.
pub(crate) fn config(server: &Issued, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Now));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.certificate.clone())).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = server.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(server.key_der()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

/// Serves one connection after another; `pace`: milliseconds between one byte to the client and the next.
pub(crate) async fn terminate(outside: Wire, inside: Wire, config: Arc<ServerConfig>, time: Time, pace: u64) {
    loop {
        let mut wire = outside.accept().await;
        let mut plain = inside.dial();
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut out = VecDeque::new();
        let mut due = time.now();
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut out).unwrap();
            }
            let (mut outer, mut inner) = ([0; 512], [0; 512]);
            match next(wire.read(&mut outer), plain.read(&mut inner), time.sleep_until(due), !out.is_empty()).await {
                Next::Outside(Ok(len)) if len > 0 => {
                    let mut bytes = &outer[..len];
                    while !bytes.is_empty() {
                        tls.read_tls(&mut bytes).unwrap();
                        tls.process_new_packets().expect("the client keeps to TLS");
                    }
                    let mut clear = Vec::new();
                    let _ = tls.reader().read_to_end(&mut clear); // `WouldBlock` behind what there is
                    if plain.write_all(&clear).await.is_err() {
                        break;
                    }
                }
                Next::Inside(Ok(len)) if len > 0 => tls.writer().write_all(&inner[..len]).unwrap(),
                Next::Due => {
                    let count = if pace == 0 { out.len() } else { 1 };
                    let bytes: Vec<u8> = out.drain(..count).collect();
                    if wire.write_all(&bytes).await.is_err() {
                        break;
                    }
                    due = time.now().plus_millis(pace);
                }
                Next::Outside(_) | Next::Inside(_) => break,
            }
        }
        wire.cut();
    }
}

enum Next {
    Outside(Result<usize, ErrorKind>),
    Inside(Result<usize, ErrorKind>),
    Due,
}

/// What happens first. None of the three loses anything when it is dropped.
async fn next(
    outside: impl Future<Output = Result<usize, ErrorKind>>,
    inside: impl Future<Output = Result<usize, ErrorKind>>,
    due: impl Future<Output = ()>,
    anything: bool,
) -> Next {
    let (mut outside, mut inside, mut due) = (pin!(outside), pin!(inside), pin!(due));
    poll_fn(|cx| {
        if let Poll::Ready(len) = outside.as_mut().poll(cx) {
            return Poll::Ready(Next::Outside(len));
        }
        if let Poll::Ready(len) = inside.as_mut().poll(cx) {
            return Poll::Ready(Next::Inside(len));
        }
        if anything && due.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Next::Due);
        }
        Poll::Pending
    })
    .await
}
