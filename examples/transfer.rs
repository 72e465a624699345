//! A file through a broker, in constant memory on both sides.
//!
//! ```text
//! mosquitto -v &
//! cargo run --release --example transfer -- receive mqtt://localhost files/a copy.bin &
//! cargo run --release --example transfer -- send mqtt://localhost files/a original.bin
//! ```
//!
//! The file goes as one message at QoS 2, at most 256 MiB: it is read while it is sent, also when it is sent again after a lost
//! connection, and written while it arrives. Most brokers hold all of it in memory, and some allow less.

use std::error::Error;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mqtt_std::{Client, Options, PayloadFile, QoS};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, copy};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Larger packets are not held in memory.
const HELD: u32 = 64 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["send", broker, topic, path] => send(broker, topic, path).await?,
        ["receive", broker, topic, path] => receive(broker, topic, path).await?,
        _ => return Err("transfer send|receive BROKER TOPIC FILE".into()),
    }
    if let Some(peak) = peak_memory() {
        println!("memory at most {peak}");
    }
    Ok(())
}

async fn send(broker: &str, topic: &str, path: &str) -> Result<()> {
    let client = Client::connect(broker).await?;
    let file = PayloadFile::new(path).await?;
    let begun = Instant::now();
    client.publish_from(topic, file).qos(QoS::ExactlyOnce).await?;
    println!("sent in {:?}", begun.elapsed());
    client.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

async fn receive(broker: &str, topic: &str, path: &str) -> Result<()> {
    let options: Options = broker.parse()?;
    let client = Client::connect(options.maximum_packet_size(HELD).streaming()).await?;
    let mut files = client.subscribe(topic, QoS::ExactlyOnce).streamed().await?;
    while let Some(message) = files.next().await {
        let begun = Instant::now();
        let mut file = File::create(path).await?;
        match copy(&mut message.reader(), &mut file).await {
            Ok(bytes) => {
                file.sync_all().await?;
                println!("received {bytes} bytes in {:?}", begun.elapsed());
                break;
            }
            // It comes again.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => file.shutdown().await?,
            Err(error) => return Err(error.into()),
        }
    }
    client.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// What the process had in memory at most, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
