//! A broker that listens in every way, certificates, and peers.

mod certificates;
#[allow(dead_code)] // what other suites need
#[path = "../../mosquitto/support/mosquitto.rs"]
mod mosquitto;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::{Buf, BytesMut};
use mqtt_core::{Connack, Framing, Input, Packet, Properties, ReasonCode, Sender};
use mqtt_std::transport::{TransportError, TransportFault};
use mqtt_std::{Backoff, Client, Error, Options, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) use certificates::{Authority, Issued};
use mosquitto::{Mosquitto, free_port};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const BOTH: [ProtocolVersion; 2] = [V5, V3];

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The key that the broker knows for "pump-7".
pub(crate) const KEY: [u8; 16] = *b"0123456789abcdef";

/// Runs a test on a runtime of one thread. It fails if it is not over in a minute.
pub(crate) fn run(test: impl AsyncFnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ended = ended; // also if it panics
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
        runtime.shutdown_background();
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = end.recv_timeout(3 * PATIENCE) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Mosquitto, listening in every way there is.
pub(crate) struct Everywhere {
    pub(crate) tcp: u16,
    pub(crate) tls: u16,
    /// Asks for a client certificate.
    pub(crate) mutual: u16,
    pub(crate) psk: u16,
    pub(crate) ws: u16,
    pub(crate) wss: u16,
    pub(crate) unix: String,
    pub(crate) files: Files,
    pub(crate) authority: Authority,
    _broker: Mosquitto,
}

/// PEM files, in the broker's directory.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), contents).unwrap();
        self.path(name)
    }

    /// `name.pem` and `name.key`.
    pub(crate) fn write_pair(&self, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
        (self.write(&format!("{name}.pem"), &issued.chain), self.write(&format!("{name}.key"), &issued.key))
    }
}

impl Everywhere {
    /// `None`: there is no Mosquitto here, and none is required. The broker's certificate is for "localhost", 127.0.0.1 and ::1.
    pub(crate) fn start() -> Option<Self> {
        let authority = Authority::new("the authority");
        Self::with_certificate(authority, |authority| authority.server("localhost"))
    }

    pub(crate) fn with_certificate(authority: Authority, certificate: impl Fn(&Authority) -> Issued) -> Option<Self> {
        let mut ports = [0; 6];
        let mut files = Files(PathBuf::new());
        let broker = Mosquitto::start_with(|port, directory| {
            files = Files(directory.to_owned());
            files.write("ca.pem", &authority.pem);
            files.write_pair("server", &certificate(&authority));
            let hex = KEY.map(|byte| format!("{byte:02x}")).concat();
            files.write("psk", format!("pump-7:{hex}\n"));
            ports = [port, free_port(), free_port(), free_port(), free_port(), free_port()];
            configuration(ports, directory)
        })?;
        let [tcp, tls, mutual, psk, ws, wss] = ports;
        let unix = files.path("m.sock").to_str().unwrap().to_owned();
        Some(Self { tcp, tls, mutual, psk, ws, wss, unix, files, authority, _broker: broker })
    }
}

fn configuration(ports: [u16; 6], directory: &Path) -> String {
    let [tcp, tls, mutual, psk, ws, wss] = ports;
    let data = directory.display();
    let server = format!("cafile {data}/ca.pem\ncertfile {data}/server.pem\nkeyfile {data}/server.key\n");
    format!(
        "user root\nlog_dest stderr\nlog_type all\nper_listener_settings true\n\
         listener {tcp} 127.0.0.1\nallow_anonymous true\n\
         listener {tls} 127.0.0.1\nallow_anonymous true\n{server}\
         listener {mutual} 127.0.0.1\nallow_anonymous true\n{server}require_certificate true\n\
         listener {psk} 127.0.0.1\nallow_anonymous true\npsk_hint hint\npsk_file {data}/psk\nuse_identity_as_username true\n\
         listener {ws} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n\
         listener {wss} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n{server}\
         listener 0 {data}/m.sock\nallow_anonymous true\n"
    )
}

/// Options that come back soon.
pub(crate) fn options(url: &str) -> Options {
    let options: Options = url.parse().unwrap();
    options.backoff(Backoff::new().minimum(20).maximum(200)).client_identifier("client")
}

/// The error of an attempt that must fail because of the transport.
pub(crate) async fn failure(options: Options) -> TransportError {
    match timeout(PATIENCE, Client::connect(options)).await.expect("it takes too long") {
        Err(Error::Transport(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// An attempt fails with this fault, and says these words.
#[track_caller]
pub(crate) fn assert_fails(options: Options, fault: TransportFault, words: &str) -> impl Future<Output = ()> {
    let caller = core::panic::Location::caller();
    async move {
        let error = failure(options).await;
        assert_eq!(error.fault(), fault, "{error}, at {caller}");
        assert!(error.to_string().contains(words), "{error}, at {caller}");
    }
}

pub(crate) async fn end(client: Client) {
    let end = timeout(PATIENCE, client.shutdown(PATIENCE)).await.expect("shutdown takes too long").unwrap();
    assert_eq!(end.undelivered, 0);
}

/// The other side of MQTT, on whatever stream.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    framing: Framing,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S, version: ProtocolVersion) -> Self {
        Self { stream, framing: Framing::new(version), buffer: BytesMut::new() }
    }

    /// Takes CONNECT and accepts it.
    pub(crate) async fn welcome(&mut self) {
        assert_eq!(self.receive().await[0], 0x10);
        let properties = Properties::EMPTY;
        let packet = Packet::Connack(Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties });
        let mut bytes = [0; 16];
        let len = packet.encode(V5, Sender::Server, &mut bytes).unwrap();
        self.stream.write_all(&bytes[..len]).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next packet.
    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some((Input::Packet(packet), len)) = self.framing.next(&self.buffer, usize::MAX).unwrap() {
                let packet = packet.to_vec();
                self.buffer.advance(len);
                return packet;
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "closed");
        }
    }
}
