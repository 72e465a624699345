//! A file through a broker as one message, in constant memory on both sides.
//!
//! ```text
//! mosquitto -v &
//! cargo run --release --example bigfile -- receive copy.bin &
//! cargo run --release --example bigfile -- send original.bin
//! ```
//!
//! A message has at most 256 MiB. It goes at QoS 2: the file is read while it is sent, and once more if the connection is lost, and written
//! while it arrives. What arrives is called `copy.bin.part` until all of it is there, is what was sent, and is on disk; only then
//! `copy.bin`. Whether it is what was sent the checksum tells, SHA-256, which goes along as a User Property; 3.1.1 has none, and both sides
//! print it. Most brokers hold all of the file in memory, and some allow less. On a terminal there is a progress bar. Ctrl-C before the end
//! disconnects, too, and is an error: there is no file then.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, FileWithBar, Interrupt, Result, bar, end, run};
use mqtt_std::{Client, Message, Options, QoS};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const USAGE: &str = "bigfile send|receive FILE [BROKER] [--topic TOPIC]";

/// Larger packets are not held in memory.
const HELD: u32 = 64 * 1024;

/// So many bytes are read from a file, or written to it, at once.
const CHUNK: usize = 64 * 1024;

/// The User Property with the checksum.
const CHECKSUM: &str = "sha-256";

fn main() -> ExitCode {
    run(bigfile())
}

async fn bigfile() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let mut topic = "files/big".to_owned();
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "topic" => topic = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let (verb, path) = (arguments.word()?, PathBuf::from(arguments.word()?));
    let options = arguments.broker()?;
    arguments.finish()?;
    match verb.as_str() {
        "send" => send(options, &topic, path).await?,
        "receive" => receive(options, &topic, &path).await?,
        _ => return Err(format!("usage: {USAGE}").into()),
    }
    if let Some(peak) = peak_memory() {
        println!("memory at most {peak}");
    }
    Ok(())
}

async fn send(options: Options, topic: &str, path: PathBuf) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let file = FileWithBar::new(&path, |_| true).await.map_err(|error| format!("{}: {error}", path.display()))?;
    let checksum = tokio::task::spawn_blocking(move || checksum(&path)).await??;
    let client = Client::connect(options).await?;
    let publish = client.publish_from(topic, file.clone()).qos(QoS::ExactlyOnce);
    let publish = if speaks_v5(&client) { publish.user_property(CHECKSUM, &checksum) } else { publish };
    let Some(sent) = interrupt.or(publish.into_future()).await else {
        client.shutdown(Duration::ZERO).await?;
        return Err("interrupted".into());
    };
    file.done();
    sent?;
    println!("sent {checksum}");
    end(&client).await
}

fn speaks_v5(client: &Client) -> bool {
    matches!(&*client.status().borrow(), mqtt_std::Status::Connected { version, .. } if version.is_v5())
}

async fn receive(options: Options, topic: &str, path: &Path) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options.maximum_packet_size(HELD).streaming()).await?;
    let mut files = client.subscribe(topic, QoS::ExactlyOnce).streamed().await?;
    println!("waiting for {topic}");
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let received = loop {
        let written = async {
            let message = files.next().await.ok_or("the client has ended")?;
            write(&message, &part).await
        };
        match interrupt.or(written).await {
            None => break Err("interrupted".into()),
            Some(Err(error)) => break Err(error),
            // It comes again.
            Some(Ok(None)) => {}
            Some(Ok(Some(checksum))) => break Ok(checksum),
        }
    };
    let named = match received {
        Ok(checksum) => fs::rename(&part, path).await.map(|()| println!("received {checksum}")).map_err(Into::into),
        Err(error) => {
            // There may be none.
            let _ = fs::remove_file(&part).await;
            Err(error)
        }
    };
    end(&client).await?;
    named
}

/// Writes a payload as it arrives, and returns its checksum; `None`: the connection was lost.
async fn write(message: &Message, part: &Path) -> Result<Option<String>> {
    // Not what somebody has put there, a link perhaps: one that is this program's.
    let _ = fs::remove_file(part).await;
    let file = File::options().write(true).create_new(true).open(part).await;
    let mut file = file.map_err(|error| format!("{}: {error}", part.display()))?;
    let (mut reader, mut hash, mut chunk) = (message.reader(), Sha256::new(), vec![0; CHUNK]);
    let bar = bar(message.payload_len() as u64);
    loop {
        let read = match reader.read(&mut chunk).await {
            Ok(0) => break,
            Ok(read) => &chunk[..read],
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        hash.update(read);
        file.write_all(read).await?;
        bar.inc(read.len() as u64);
    }
    bar.finish_and_clear();
    file.sync_all().await?;
    let found = hexadecimal(hash);
    match message.user_property(CHECKSUM) {
        Some(sent) if sent != found => Err(format!("checksum is {found}, and should be {sent}").into()),
        _ => Ok(Some(found)),
    }
}

fn checksum(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut chunk) = (std::fs::File::open(path)?, Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hexadecimal(hash)),
            read => hash.update(&chunk[..read]),
        }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the process had in memory at most, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
