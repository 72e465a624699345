//! A broker whose every byte is the test's, and the memory that a client takes meanwhile.

use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use mqtt_core::{Connack, Framing, Input, Packet, Properties, Property, ProtocolVersion, ReasonCode, Sender};
use mqtt_std::store::{Batch, Loaded, Record, Store, StoreError};
use mqtt_std::testkit::{Conditions, LinkEnd, Network};
use mqtt_std::{Client, Options, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::log;

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const BOTH: [ProtocolVersion; 2] = [V5, V3];

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

/// Runs a test on a runtime of this thread, on a clock that leaps on whenever everybody waits. Nothing of what is tested may hang: after
/// two minutes on another clock all tests end.
pub(crate) fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
    let (_over, over) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or_default().to_owned();
    thread::spawn(move || {
        if over.recv_timeout(120 * SECOND) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs");
            std::process::abort();
        }
    });
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(test())
}

/// Runs a test, and tells how many bytes this thread had allocated at most: the client's, the link's, and the test's own.
pub(crate) fn peak(test: impl AsyncFnOnce()) -> u64 {
    let mut test = Some(test);
    let measured = log::unheard(|| allocation_counter::measure(|| run(test.take().unwrap())));
    measured.bytes_max
}

/// Where the hostile broker is.
pub(crate) struct Lair {
    network: Network,
    version: ProtocolVersion,
}

impl Lair {
    pub(crate) fn new(version: ProtocolVersion) -> Self {
        Self { network: Network::with(Conditions::new().capacity(64 * 1024)), version }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Options for a client of its own, with the defaults.
    pub(crate) fn options(&self) -> Options {
        Options::new("broker.example", 1883)
            .connector(self.network.clone())
            .client_identifier("client")
            .version(self.version)
    }

    pub(crate) async fn accept(&self) -> Wire {
        let end = self.network.accept().await;
        Wire { end, framing: Framing::new(self.version), buffer: Vec::new(), version: self.version }
    }

    /// A client and its connection, with a CONNACK that says this.
    pub(crate) async fn connect(&self, options: Options, properties: &[Property<'_>]) -> (Client, Wire) {
        let greet = async {
            let mut wire = self.accept().await;
            wire.packet().await;
            wire.connack(ReasonCode::SUCCESS, properties).await;
            wire
        };
        let (client, wire) = tokio::join!(Client::connect(options), greet);
        (client.unwrap(), wire)
    }
}

/// The broker's end of a connection.
pub(crate) struct Wire {
    pub(crate) end: LinkEnd,
    framing: Framing,
    buffer: Vec<u8>,
    version: ProtocolVersion,
}

impl Wire {
    /// The next packet of the client.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        loop {
            if let Some((Input::Packet(packet), len)) = self.framing.next(&self.buffer, usize::MAX).unwrap() {
                let packet = packet.to_vec();
                self.buffer.drain(..len);
                return packet;
            }
            assert!(self.end.read_buf(&mut self.buffer).await.unwrap() > 0, "the client has closed");
        }
    }

    /// Writes these bytes; `false`: the client has closed.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.end.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn connack(&mut self, reason_code: ReasonCode, properties: &[Property<'_>]) {
        self.write(&connack(self.version, reason_code, properties)).await;
    }

    /// Takes the client's SUBSCRIBE, and grants its filter.
    pub(crate) async fn grant(&mut self) {
        let packet = self.packet().await;
        assert_eq!(packet[0], 0x82, "a SUBSCRIBE");
        let id = &packet[2..4];
        let suback =
            if self.version.is_v5() { vec![0x90, 4, id[0], id[1], 0, 2] } else { vec![0x90, 3, id[0], id[1], 2] };
        assert!(self.write(&suback).await);
    }

    /// Reads all that comes, until the client closes or so much time has passed.
    pub(crate) async fn read_for(&mut self, time: Duration) -> Vec<u8> {
        let mut read = Vec::new();
        let _ = tokio::time::timeout(time, self.end.read_to_end(&mut read)).await;
        read
    }
}

/// A PUBLISH: flags, topic, identifier above QoS 0, properties as on the wire (in 3.1.1 none), payload.
pub(crate) fn publish(
    version: ProtocolVersion,
    qos: u8,
    topic: &str,
    id: u16,
    properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if version.is_v5() {
        body.extend(length(properties.len()));
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload);
    packet(0x30 | qos << 1, &body)
}

/// A packet with this first byte.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(body.len()));
    bytes.extend_from_slice(body);
    bytes
}

/// A Variable Byte Integer.
pub(crate) fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = value > 127;
        bytes.push((value % 128) as u8 | if more { 128 } else { 0 });
        value /= 128;
        if !more {
            return bytes;
        }
    }
}

/// User Properties without a word, as many as fit into so many bytes.
pub(crate) fn empty_user_properties(bytes: usize) -> Vec<u8> {
    [0x26, 0, 0, 0, 0].repeat(bytes / 5)
}

/// User Properties as large as they may be, about so many bytes of them.
pub(crate) fn large_user_properties(bytes: usize) -> Vec<u8> {
    let one = [&[0x26, 0, 1, b'k', 0xff, 0xff][..], &[b'v'; 0xffff]].concat();
    one.repeat(bytes / one.len())
}

pub(crate) async fn status(client: &Client, wanted: impl Fn(&Status) -> bool) -> Status {
    client.status().wait_for(wanted).await.unwrap().clone()
}

pub(crate) fn is_over(status: &Status) -> bool {
    matches!(status, Status::Waiting { .. } | Status::Closed { .. })
}

/// Why the latest connection ended.
pub(crate) async fn end(client: &Client) -> mqtt_std::Cause {
    match status(client, is_over).await {
        Status::Waiting { error, .. } | Status::Closed { error: Some(error), .. } => error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn connack(version: ProtocolVersion, reason_code: ReasonCode, properties: &[Property<'_>]) -> Vec<u8> {
    let properties = if version.is_v5() { Properties::new(properties) } else { Properties::EMPTY };
    // What 3.1.1 has for a refusal is one number for all that the tests say.
    let reason_code = if version.is_v5() || reason_code == ReasonCode::SUCCESS {
        reason_code
    } else {
        ReasonCode::SERVER_UNAVAILABLE
    };
    let packet = Packet::Connack(Connack { session_present: false, reason_code, properties });
    let mut bytes = vec![0; packet.encoded_len(version, Sender::Server).unwrap()];
    let len = packet.encode(version, Sender::Server, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// Takes all that is written. Once that has an answer there is always more of the same to read behind it, so that nothing makes the
/// client wait: 64 MiB of it, or a test that fails would not end.
pub(crate) struct Torrent {
    written: Vec<u8>,
    answer: fn(&[u8]) -> Option<Vec<u8>>,
    head: Option<Vec<u8>>,
    repeated: [u8; 2],
    left: Arc<AtomicUsize>,
    reader: Option<Waker>,
}

impl Torrent {
    pub(crate) fn new(answer: fn(&[u8]) -> Option<Vec<u8>>, repeated: [u8; 2]) -> (Self, Arc<AtomicUsize>) {
        let left = Arc::new(AtomicUsize::new(64 << 20));
        let torrent = Self { written: Vec::new(), answer, head: None, repeated, left: Arc::clone(&left), reader: None };
        (torrent, left)
    }
}

impl AsyncRead for Torrent {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(head) = &mut this.head else {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if !head.is_empty() {
            let len = head.len().min(buffer.remaining());
            buffer.put_slice(&head[..len]);
            head.drain(..len);
            return Poll::Ready(Ok(()));
        }
        let pairs = (buffer.remaining() / 2).min(this.left.load(Ordering::Relaxed) / 2);
        this.left.fetch_sub(2 * pairs, Ordering::Relaxed);
        buffer.put_slice(&this.repeated.repeat(pairs));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.head.is_none() {
            self.written.extend_from_slice(bytes);
            self.head = (self.answer)(&self.written);
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Publishes over a torrent, and ends the client: others have their turn all the while.
pub(crate) async fn survive(options: Options, answer: fn(&[u8]) -> Option<Vec<u8>>, repeated: [u8; 2]) {
    let (torrent, left) = Torrent::new(answer, repeated);
    let torrent = std::sync::Mutex::new(Some(torrent));
    let connector = move |_| {
        let torrent = torrent.lock().unwrap().take();
        async move { torrent.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused)) }
    };
    let client = Client::connect(options.connector(connector)).await.unwrap();
    client.publish("t", "x").await.unwrap();
    // Nobody waits, so the clock does not leap; this has its turn to let time pass.
    let clock = tokio::spawn(async {
        loop {
            tokio::time::advance(SECOND).await;
        }
    });
    client.shutdown(SECOND).await.unwrap();
    clock.abort();
    assert!(left.load(Ordering::Relaxed) > 0, "all of it was read first");
}

/// A store on a disk that takes nothing as long as somebody holds the other end; then it says this.
pub(crate) struct Stuck(pub(crate) mpsc::Receiver<()>, pub(crate) fn() -> Result<(), StoreError>);

impl Store for Stuck {
    fn load(&mut self, _: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn claim(&mut self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&mut self, _: &Batch) -> Result<(), StoreError> {
        let _ = self.0.recv();
        self.1()
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
