//! Payloads that the broker cannot read or change: encrypted from end to end.
//!
//! ```text
//! cargo run --example encrypted -- key house.key
//! cargo run --example encrypted -- receive 'secret/#' --key house.key &
//! cargo run --example encrypted -- send secret/door --key house.key open
//! ```
//!
//! TLS protects the way to the broker; whoever runs the broker sees everything. Here each payload is sealed with XChaCha20-Poly1305, by the
//! crate `chacha20poly1305`, and a key that both sides have in a file. The topic is bound to it as associated data: a message that somebody moves to
//! another topic cannot be opened there. Who sealed it, and its number, are its nonce, so a receiver refuses what it had before, a
//! replay (`sealed.rs` has the format, and what a restart means). Messages go at QoS 2: at QoS 1 the broker may repeat them itself.
//!
//! Not hidden are topics, lengths, times, and who talks to whom. Whoever has the key can send as anybody. What is not to be believed is a line on
//! stderr that says why, and nothing else.

mod sealed;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mqtt_examples::{Arguments, Interrupt, Result, end, printable, read_secret, run};
use mqtt_std::{Client, Options, QoS};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, stdin};

use sealed::{Opener, Sealer, Secret};

const USAGE: &str = "encrypted key FILE, or encrypted send TOPIC [TEXT] --key FILE, or encrypted receive FILTER --key FILE; [--broker URL]";

/// Longer lines are not sent.
const LINE: u64 = 1 << 20;

fn main() -> ExitCode {
    run(encrypted())
}

async fn encrypted() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let mut key = None;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "key" => key = Some(arguments.value::<PathBuf>()?),
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let words = arguments.words();
    let options = arguments.broker()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (words.as_slice(), key) {
        (["key", path], None) => Ok(write_key(Path::new(path)).map_err(|error| format!("{path}: {error}"))?),
        (["send", topic, text @ ..], Some(key)) if text.len() <= 1 => {
            send(options, topic, text.first().copied(), Sealer::new(read_key(&key)?)).await
        }
        (["receive", filter], Some(key)) => receive(options, filter, Opener::new(read_key(&key)?)).await,
        _ => Err(format!("usage: {USAGE}").into()),
    }
}

/// Writes a new key, readable for its owner only.
fn write_key(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let digits: String = Secret::generate().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(options.open(path)?, "{digits}")
}

fn read_key(path: &Path) -> Result<Secret> {
    let text = read_secret(path)?;
    let mut key = [0; 32];
    let digits = text.trim().as_bytes();
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    for (byte, pair) in key.iter_mut().zip(pairs) {
        let value = pair.filter(|pair| !pair.starts_with('+')).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = value.ok_or_else(|| format!("{}: it is no key", path.display()))?;
    }
    if digits.len() != 64 {
        return Err(format!("{}: a key has 64 digits", path.display()).into());
    }
    Ok(Secret::new(key))
}

/// Sends one text, or each line of the standard input.
async fn send(options: Options, topic: &str, text: Option<&str>, mut sealer: Sealer) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options).await?;
    if let Some(text) = text {
        client.publish(topic, sealer.seal(topic, text.as_bytes())).qos(QoS::ExactlyOnce).await?;
        return end(&client).await;
    }
    let mut input = BufReader::new(stdin());
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut input).take(LINE);
        match interrupt.or(limited.read_until(b'\n', &mut line)).await {
            None | Some(Ok(0)) => break,
            Some(read) => read?,
        };
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == LINE {
            return Err("a line is too long".into());
        }
        client.publish(topic, sealer.seal(topic, &line)).qos(QoS::ExactlyOnce).send().await?;
    }
    end(&client).await
}

/// Prints what comes, until Ctrl-C.
async fn receive(options: Options, filter: &str, mut opener: Opener) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options).await?;
    let mut messages = client.subscribe(filter, QoS::ExactlyOnce).await?;
    println!("listening to {filter}");
    while let Some(message) = interrupt.or(messages.next()).await {
        let message = message.ok_or("the client has ended")?;
        match opener.open(message.topic(), message.payload()) {
            Ok(text) => println!("{} {}", printable(message.topic()), printable(&String::from_utf8_lossy(&text))),
            Err(error) => eprintln!("{}: {error}", printable(message.topic())),
        }
    }
    end(&client).await
}
