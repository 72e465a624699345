//! A device, a laptop and a broker: metrics as JSON at every QoS, retained messages, wildcards, and a Last Will.
//!
//! ```text
//! cargo run --example quickstart                                  # with a broker of its own, in the process
//! cargo run --example quickstart -- --broker mqtt://localhost     # with yours
//! cargo run --example quickstart -- --version 3.1.1               # in another version of MQTT
//! ```

// As in a user's program: `std`, and an index that is known to be there.
#![allow(clippy::indexing_slicing, clippy::std_instead_of_core)]

use std::error::Error;
use std::time::Duration;

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, Delivered, Message, Options, ProtocolVersion, QoS, Subscription, Will};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Every topic of this run begins with it.
const BASE: &str = "quickstart/cellar";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(tell(arguments))
}

async fn tell(arguments: Arguments) -> Result<()> {
    let mut embedded = None;
    let url = if let Some(url) = &arguments.broker {
        url.clone()
    } else {
        let broker = Broker::start(BrokerOptions::new()).await?;
        let url = broker.url();
        embedded = Some(broker);
        url
    };
    println!("broker    {url}{}", if embedded.is_some() { "  (in this process, for demonstrations)" } else { "" });

    let laptop = Client::connect(arguments.options(&url, "quickstart-laptop")?).await?;
    let mut everything = laptop.subscribe(format!("{BASE}/#"), QoS::ExactlyOnce).await?;
    println!("laptop    connected, subscribed to {BASE}/#: {}", everything.granted()[0]);

    let mut seen = Seen::default();
    let device = Device::start(arguments.options(&url, "quickstart-device")?)?;
    // The device says that it is there; then metrics at each QoS, twice.
    for _ in 0..7 {
        seen.print("laptop", &next(&mut everything).await?);
    }

    println!("device    dies: no DISCONNECT, the connection just breaks");
    device.die();
    let will = next(&mut everything).await?;
    seen.print("laptop", &will);
    assert_eq!((will.topic(), will.payload_str()?), (status_topic().as_str(), "offline"), "the device's last will");

    let latecomer = Client::connect(arguments.options(&url, "quickstart-latecomer")?).await?;
    let mut kept = latecomer.subscribe(format!("{BASE}/+"), QoS::AtLeastOnce).await?;
    println!("latecomer connected, subscribed to {BASE}/+: what the broker has kept");
    for _ in 0..2 {
        let message = next(&mut kept).await?;
        assert!(message.retain(), "a latecomer gets what was kept");
        seen.print("latecomer", &message);
    }

    // Nothing of this run stays at the broker: an empty retained message removes what was kept.
    for topic in [status_topic(), format!("{BASE}/health")] {
        laptop.publish(topic, "").qos(QoS::AtLeastOnce).retain().await?;
    }
    let _ = latecomer.shutdown(PATIENCE).await?;
    let end = laptop.shutdown(PATIENCE).await?;
    if let Some(mut broker) = embedded {
        broker.shutdown().await;
    }
    println!(
        "summary   {} messages (QoS 0: {}, 1: {}, 2: {}), {} retained, 1 last will, {} undelivered",
        seen.total, seen.by_qos[0], seen.by_qos[1], seen.by_qos[2], seen.retained, end.undelivered
    );
    Ok(())
}

/// A device with a runtime of its own, so that it can die like one: all at once.
struct Device {
    runtime: tokio::runtime::Runtime,
}

impl Device {
    fn start(options: Options) -> Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.spawn(async move {
            if let Err(error) = Self::live(options).await {
                eprintln!("device    failed: {error}");
            }
        });
        Ok(Self { runtime })
    }

    async fn live(options: Options) -> Result<()> {
        let will = Will::new(status_topic(), "offline").qos(QoS::AtLeastOnce).retain();
        let device = Client::connect(options.will(will).keep_alive(30)).await?;
        device.publish(status_topic(), "online").qos(QoS::AtLeastOnce).retain().await?;
        println!("device    connected, with a last will on {}", status_topic());
        for round in 1..=2 {
            let health = format!(r#"{{"uptime":{},"load":0.{round}}}"#, round * 60);
            let delivered = device.publish(format!("{BASE}/health"), health).qos(QoS::ExactlyOnce).retain().await?;
            let temperature = format!(r#"{{"celsius":{}.5}}"#, 17 + round);
            device.publish(format!("{BASE}/metrics/temperature"), temperature).await?;
            let pump = format!(r#"{{"litres":{}}}"#, round * 12);
            let receipt = device.publish(format!("{BASE}/metrics/pump"), pump).qos(QoS::AtLeastOnce).send().await?;
            let pump = receipt.await?;
            println!("device    round {round}: QoS 2 {}, QoS 1 {}", words(delivered), words(pump));
        }
        // It would go on; somebody pulls the plug.
        std::future::pending().await
    }

    /// Pulls the plug.
    fn die(self) {
        self.runtime.shutdown_background();
    }
}

fn words(delivered: Delivered) -> String {
    match delivered {
        Delivered::Sent => "sent".to_owned(),
        Delivered::Acknowledged(answer) => format!("acknowledged ({answer})"),
    }
}

fn status_topic() -> String {
    format!("{BASE}/status")
}

async fn next(stream: &mut Subscription) -> Result<Message> {
    let message = tokio::time::timeout(PATIENCE, stream.next()).await.map_err(|_| "no message within 10 s")?;
    message.ok_or_else(|| "the client has ended".into())
}

/// What was seen, for the summary.
#[derive(Default)]
struct Seen {
    total: u32,
    by_qos: [u32; 3],
    retained: u32,
}

impl Seen {
    fn print(&mut self, who: &str, message: &Message) {
        self.total += 1;
        self.by_qos[message.qos() as usize] += 1;
        self.retained += u32::from(message.retain());
        let kept = if message.retain() { " (retained)" } else { "" };
        let payload = String::from_utf8_lossy(message.payload());
        println!("{who:9} <- {} {payload}  QoS {}{kept}", message.topic(), message.qos() as u8);
    }
}

const USAGE: &str = "say --broker URL, --version 5.0, 3.1.1 or 3.1";

/// What the command line says.
struct Arguments {
    broker: Option<String>,
    version: Option<ProtocolVersion>,
}

impl Arguments {
    fn read() -> Result<Self> {
        let mut arguments = Self { broker: None, version: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match (word.as_str(), value.as_str()) {
                ("--broker", url) => arguments.broker = Some(url.to_owned()),
                ("--version", "5" | "5.0") => arguments.version = Some(ProtocolVersion::V5_0),
                ("--version", "3.1.1") => arguments.version = Some(ProtocolVersion::V3_1_1),
                ("--version", "3.1") => arguments.version = Some(ProtocolVersion::V3_1),
                _ => return Err(format!("{word} {value} is not known; {USAGE}").into()),
            }
        }
        Ok(arguments)
    }

    fn options(&self, url: &str, client_identifier: &str) -> Result<Options> {
        let options: Options = url.parse()?;
        let options = options.client_identifier(client_identifier);
        Ok(match self.version {
            Some(version) => options.version(version),
            None => options,
        })
    }
}
