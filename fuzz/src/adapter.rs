//! `mqtt-std`, where strangers' bytes come in: a damaged log, and a server that answers a handshake.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mqtt_core::{PacketIdentifier, Properties, Record, RecordedMessage, TopicName};
use mqtt_std::store::{Batch, FileStore, Fsync, Store, StoreError};
use mqtt_std::transport::{Proxy, Server, Stream};
use mqtt_std::{Client, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Builder;
use tungstenite::handshake::derive_accept_key;

const RECORDS: u16 = 12;

/// Whatever became of the log's bytes: its first records are there, each as it was written, or an error says what is wrong.
/// What was opened takes another record.
pub fn store(bytes: &[u8]) {
    static WHOLE: OnceLock<(PathBuf, PathBuf, Vec<u8>)> = OnceLock::new();
    let (directory, file, whole) = WHOLE.get_or_init(|| {
        // In memory where there is such a place: on a disk the files take nearly all of the time.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = place.join(format!("mqtt-fuzz-{}", std::process::id()));
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

/// A server answers with any bytes: an attempt to connect ends, in a client or an error. The first byte chooses the handshake.
pub fn handshakes(bytes: &[u8]) {
    let Some((kind, answer)) = bytes.split_first() else { return };
    let answer = answer.to_vec();
    let (server, proxy) = match kind % 4 {
        0 | 1 => (Server::websocket("fuzz", 80, "/mqtt"), None),
        2 => (Server::tcp("fuzz", 1883), Some(Proxy::socks5("proxy", 1080).credentials("alice", "secret"))),
        _ => (Server::tcp("fuzz", 1883), Some(Proxy::http("proxy", 8080).credentials("alice", "secret"))),
    };
    // Nobody guesses the key's answer: for the half of them it is there, and the bytes are frames.
    let opens = kind % 4 == 1;
    let options = Options::of(server).connector(move |server: Server| {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(answer_with(far, answer.clone(), opens));
        let proxy = proxy.clone();
        async move {
            match proxy {
                None => Ok(Box::new(near) as Box<dyn Stream>),
                Some(proxy) => Ok(proxy.connect(&server, near).await?),
            }
        }
    });
    // All is in memory, and time passes as soon as everybody waits. What still runs then ends with its runtime.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    drop(runtime.block_on(Client::connect(options)));
}

async fn answer_with(mut far: DuplexStream, answer: Vec<u8>, opens: bool) {
    let mut request = [0; 2048];
    let len = far.read(&mut request).await.unwrap_or(0);
    if opens {
        let request = String::from_utf8_lossy(&request[..len]);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt";
        let _ = far.write_all(format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes()).await;
    }
    let _ = far.write_all(&answer).await;
    let _ = far.shutdown().await;
    while far.read(&mut request).await.is_ok_and(|len| len > 0) {}
}
