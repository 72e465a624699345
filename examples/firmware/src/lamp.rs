//! The application: the same over every transport.
//!
//! A lamp that is switched by messages on `cellar/stairlamp/cmd`, says how it is on `cellar/stairlamp/status`, and tells its figures
//! on `cellar/stairlamp/telemetry`. The command `quit` ends the run with success.

use core::fmt::Write as _;

use embassy_executor::Spawner;
use embassy_net::{Config, Runner as NetRunner, Stack, StackResources};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, Timer, with_timeout};
use mqtt_embedded::{
    Backoff, Client, Connect, ConnectOptions, EmbassyClock, Options, Properties, ProtocolVersion, QoS, Resources,
    Runner, Sizes, Status, Will, mqtt_core::TopicName,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{args, println};

/// 4 exchanges in flight with 512 bytes, 4 messages to us with 512 bytes, 256 bytes at QoS 0, 2 filters of 32 bytes.
type Memory = Sizes<4, 512, 4, 512, 256, 2, 32>;
type Mqtt = Client<'static, CriticalSectionRawMutex, EmbassyClock, Memory>;

static MQTT: Resources<CriticalSectionRawMutex, EmbassyClock, Memory> = Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static NET: StaticCell<StackResources<4>> = StaticCell::new();

const COMMAND: &str = "cellar/stairlamp/cmd";
const STATUS: &str = "cellar/stairlamp/status";
const TELEMETRY: &str = "cellar/stairlamp/telemetry";
/// The host, as the guest sees it.
pub const HOST: &str = "10.0.2.2";

/// Starts the network; returns once there is an address.
pub async fn network(spawner: Spawner) -> Stack<'static> {
    let config = Config::dhcpv4(embassy_net::DhcpConfig::default());
    let (stack, net) = embassy_net::new(crate::ethernet::Ethernet::start(), config, NET.init(StackResources::new()), 7);
    spawner.spawn(drive(net).expect("it is started once"));
    stack.wait_config_up().await;
    stack
}

#[embassy_executor::task]
async fn drive(mut net: NetRunner<'static, crate::ethernet::Ethernet>) {
    net.run().await;
}

/// The port of the broker on the host: the argument `port`.
#[must_use]
pub fn port() -> u16 {
    args::number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(1883)
}

/// The version to speak: the argument `version`, 5 or 311.
#[must_use]
pub fn version() -> ProtocolVersion {
    match args::number("version") {
        Some(311) => ProtocolVersion::V3_1_1,
        _ => ProtocolVersion::V5_0,
    }
}

/// Runs the lamp over these connections, and ends the program with it.
pub async fn run(spawner: Spawner, connector: &mut impl Connect) -> ! {
    spawner.spawn(lamp(MQTT.client()).expect("it is started once"));
    spawner.spawn(watch(MQTT.client()).expect("it is started once"));
    spawner.spawn(telemetry(MQTT.client()).expect("it is started once"));
    let will = Will {
        topic: TopicName::new(STATUS).expect("it is one"),
        payload: b"offline",
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    let connect = ConnectOptions::new("stairlamp").version(version()).keep_alive(10).keep_session(true).will(will);
    let options = Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000));
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let end = runner.run(connector, &options, &mut crate::random::HostRandom).await;
    println!("stack: {} bytes at the most", crate::stack::high_water());
    println!("mqtt: {} bytes of memory", size_of_val(&MQTT));
    match end {
        Ok(()) => semihosting::process::exit(0),
        Err(failure) => {
            println!("gave up: {failure}");
            semihosting::process::exit(1)
        }
    }
}

/// Says how the connection is.
#[embassy_executor::task]
async fn watch(client: Mqtt) {
    let mut last = Status::Connecting;
    loop {
        last = client.wait_for(|status| status != last && status != Status::Connecting).await;
        match last {
            Status::Connected { session_present } => println!("connected, session present: {session_present}"),
            Status::Waiting(failure) => println!("waiting: {failure}"),
            _ => return,
        }
    }
}

/// Does what it is told.
#[embassy_executor::task]
async fn lamp(client: Mqtt) {
    let mut commands = client.subscribe(COMMAND, QoS::ExactlyOnce).expect("it may subscribe");
    say(client, "off").await;
    println!("ready");
    let mut buffer = [0; 128];
    while let Some(message) = commands.next(&mut buffer).await {
        match message.map(|message| message.payload()) {
            Ok(b"on") => say(client, "on").await,
            Ok(b"off") => say(client, "off").await,
            Ok(b"quit") => {
                say(client, "gone").await;
                client.shutdown(2_000).await;
            }
            Ok(_) => println!("not understood"),
            Err(error) => println!("{error}"),
        }
    }
}

async fn say(client: Mqtt, status: &str) {
    let publish = client.publish(STATUS, status.as_bytes()).expect("it is a topic");
    match publish.qos(QoS::AtLeastOnce).retain().deliver().await {
        Ok(_) => println!("status {status}"),
        Err(error) => println!("status {status} not delivered: {error}"),
    }
}

/// Tells its figures every second, as JSON.
#[embassy_executor::task]
async fn telemetry(client: Mqtt) {
    for count in 0_u32.. {
        Timer::after(Duration::from_secs(1)).await;
        let mut json = Json::default();
        let connections = client.statistics().connections;
        if write!(json, r#"{{"count":{count},"connections":{connections}}}"#).is_err() {
            continue;
        }
        let publish = client.publish(TELEMETRY, &json.bytes[..json.len]).expect("it is a topic");
        // It is not worth waiting for.
        let _ = with_timeout(Duration::from_millis(500), publish.send()).await;
        if client.status() == Status::Closed {
            return;
        }
    }
}

#[derive(Default)]
struct Json {
    bytes: [u8; 32],
    len: usize,
}

impl core::fmt::Write for Json {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
