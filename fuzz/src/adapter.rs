//! `mqtt-std`, where strangers' bytes come in: a damaged log, and a server that answers a handshake.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use mqtt_core::{PacketIdentifier, Properties, Record, RecordedMessage, TopicName};
use mqtt_std::store::{Batch, FileStore, Fsync, Store, StoreError};
use mqtt_std::transport::{Proxy, Server};
use mqtt_std::{Client, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

const RECORDS: u16 = 12;

/// Whatever became of the log's bytes: its first records are there, each as it was written, or an error says what is wrong.
/// What was opened takes another record.
pub fn store(bytes: &[u8]) {
    static WHOLE: OnceLock<(PathBuf, PathBuf, Vec<u8>)> = OnceLock::new();
    let (directory, file, whole) = WHOLE.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("mqtt-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let mut store = open(&directory);
        store.load(&mut |_| {}).expect("an empty one");
        store.claim("fuzz").expect("it can be written");
        append(&mut store, 1..=RECORDS);
        drop(store);
        let files = fs::read_dir(&directory).expect("it is there").map(|entry| entry.expect("a file").path());
        let file = files.max_by_key(|path| path.metadata().map_or(0, |data| data.len())).expect("a log");
        let whole = fs::read(&file).expect("it can be read");
        (directory, file, whole)
    });
    let mut damaged = whole.clone();
    for edit in bytes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % damaged.len().max(1);
        match edit[0] % 4 {
            0 => damaged.truncate(at),
            1 => damaged.extend(&edit[1..]),
            _ => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= edit[3]),
        }
    }
    fs::write(file, &damaged).expect("it can be written");
    let mut store = open(directory);
    let mut found = Vec::new();
    match store.load(&mut |record| found.push(text(record))) {
        Ok(_) => {
            let expected: Vec<String> = (1..=RECORDS).map(|number| text(&record(number))).collect();
            assert!(expected.starts_with(&found), "{found:?}");
            if store.load(&mut |_| {}).is_ok_and(|loaded| loaded.client_identifier.is_none()) {
                store.claim("fuzz").expect("it can be written");
            }
            append(&mut store, RECORDS + 1..=RECORDS + 1);
            drop(store);
            let mut again = Vec::new();
            open(directory).load(&mut |record| again.push(text(record))).expect("what was written can be read");
            found.push(text(&record(RECORDS + 1)));
            assert_eq!(again, found);
        }
        Err(error) => assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Format), "{error}"),
    }
}

fn open(directory: &PathBuf) -> FileStore {
    FileStore::open(directory).expect("nobody else has it").fsync(Fsync::Never)
}

fn append(store: &mut FileStore, numbers: impl Iterator<Item = u16>) {
    let mut batch = Batch::new();
    numbers.for_each(|number| batch.push(&record(number)).expect("it can be encoded"));
    store.append(&batch).expect("it can be written");
    store.sync().expect("it can be written");
}

/// One that stays: a message that nobody acknowledges.
fn record(number: u16) -> Record<'static> {
    Record::Published {
        packet_identifier: PacketIdentifier::new(number).expect("not 0"),
        message: RecordedMessage {
            topic: TopicName::new("fuzz/topic").expect("a topic"),
            retain: false,
            properties: Properties::EMPTY,
            payload: b"payload",
        },
        exactly_once: number % 2 == 0,
        expires_in: None,
        source: None,
    }
}

fn text(record: &Record<'_>) -> String {
    format!("{record:?}")
}

/// A server answers with any bytes: an attempt to connect ends, in a client or an error. The first byte chooses WebSocket, SOCKS5
/// or HTTP CONNECT.
pub fn handshakes(bytes: &[u8]) {
    let Some((kind, answer)) = bytes.split_first() else { return };
    let answer = answer.to_vec();
    let connected = match kind % 3 {
        0 => in_memory().block_on(async {
            let server = Server::websocket("fuzz", 80, "/mqtt");
            let options = Options::of(server).connector(move |_: Server| {
                let (near, far) = tokio::io::duplex(4096);
                tokio::spawn(answer_in_memory(far, answer.clone()));
                async move { Ok(near) }
            });
            Client::connect(options).await
        }),
        kind => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("it has one").port();
            let server = std::thread::spawn(move || {
                if let Ok((stream, _)) = listener.accept() {
                    answer_by_tcp(stream, &answer);
                }
            });
            let proxy = if kind == 1 { Proxy::socks5("127.0.0.1", port) } else { Proxy::http("127.0.0.1", port) };
            let proxy = proxy.credentials("alice", "secret");
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let connected = runtime.block_on(Client::connect(Options::new("broker.invalid", 1883).proxy(proxy)));
            drop(runtime);
            server.join().expect("it does not panic");
            connected
        }
    };
    drop(connected);
}

/// Time passes as soon as everybody waits.
fn in_memory() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

async fn answer_in_memory(mut far: DuplexStream, answer: Vec<u8>) {
    let mut request = [0; 2048];
    let _ = far.read(&mut request).await;
    let _ = far.write_all(&answer).await;
    let _ = far.shutdown().await;
    while far.read(&mut request).await.is_ok_and(|len| len > 0) {}
}

fn answer_by_tcp(mut stream: TcpStream, answer: &[u8]) {
    let mut request = [0; 2048];
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.read(&mut request);
    let _ = stream.write_all(answer);
    let _ = stream.shutdown(Shutdown::Write);
    while stream.read(&mut request).is_ok_and(|len| len > 0) {}
}
