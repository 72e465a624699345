//! A stair lamp: the application, the same on every board and over every transport.
//!
//! | topic | |
//! | --- | --- |
//! | `cellar/stairlamp/cmd` | `on` or `off`, and perhaps a word behind it; `quit` ends it |
//! | `cellar/stairlamp/status` | `on`, `off`, `gone`, or `offline` by the Will; retained |
//! | `cellar/stairlamp/switched` | each command that was carried out, at QoS 2, with the number of its delivery |
//! | `cellar/stairlamp/telemetry` | figures as JSON, each second |
//!
//! A board gives it a pin, a console, and a client with its runner.

#![no_std]

pub mod settings;

use core::fmt::{self, Write as _};
use core::future::Future;

use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, Timer, with_timeout};
use embedded_hal::digital::OutputPin;
use mqtt_embedded::{
    Backoff, CleanStart, Client, ConnectOptions, EmbassyClock, Error, Failure, Message, Options, Properties,
    ProtocolVersion, QoS, Sizes, Status, Subscriber, Will, mqtt_core::TopicName,
};

/// 4 exchanges in flight with 512 bytes, 4 messages to us with 512 bytes, 256 bytes at QoS 0, 2 filters of 32 bytes.
pub type Memory = Sizes<4, 512, 4, 512, 256, 2, 32>;
/// The memory of the lamp's client: a `static` of the board's.
pub type Resources = mqtt_embedded::Resources<CriticalSectionRawMutex, EmbassyClock, Memory>;
/// The lamp's client.
pub type Mqtt = Client<'static, CriticalSectionRawMutex, EmbassyClock, Memory>;
/// Where the lamp tells what happens, line by line.
pub type Console = fn(fmt::Arguments<'_>);

const COMMAND: &str = "cellar/stairlamp/cmd";
const STATUS: &str = "cellar/stairlamp/status";
const SWITCHED: &str = "cellar/stairlamp/switched";
const TELEMETRY: &str = "cellar/stairlamp/telemetry";

/// How the lamp connects; `durable`: its session is in a store, and outlives a loss of power.
#[must_use]
pub fn options(version: ProtocolVersion, durable: bool) -> Options<'static> {
    let will = Will {
        topic: TopicName::new(STATUS).expect("it is one"),
        payload: b"offline",
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    let connect = ConnectOptions::new("stairlamp").version(version).keep_alive(10).keep_session(true).will(will);
    let connect = match durable {
        true => connect.session_expiry_interval(3_600).clean_start(CleanStart::Never),
        false => connect,
    };
    Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000))
}

/// The lamp's life, for as long as its runner runs.
///
/// # Errors
/// Those of the runner.
pub async fn live(
    client: Mqtt,
    mut lamp: impl OutputPin,
    console: Console,
    runner: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let tasks = join3(obey(client, &mut lamp, console), watch(client, console), tell_figures(client));
    match select(runner, tasks).await {
        Either::First(end) => end,
        Either::Second(_) => Ok(()),
    }
}

/// Does what it is told.
async fn obey(client: Mqtt, lamp: &mut impl OutputPin, console: Console) {
    let mut commands = client.subscribe(COMMAND, QoS::ExactlyOnce).expect("there is a place for a filter").by_hand();
    tell_status(client, console, "off").await;
    console(format_args!("ready"));
    let mut buffer = [0; 128];
    while let Some(message) = commands.next(&mut buffer).await {
        let result = match message {
            Ok(message) => carry_out(client, lamp, console, &commands, &message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            console(format_args!("{error}"));
        }
    }
}

/// One command. It is acknowledged behind what it does: with a store it comes again until that is accepted.
async fn carry_out(
    client: Mqtt,
    lamp: &mut impl OutputPin,
    console: Console,
    commands: &Subscriber<'static, CriticalSectionRawMutex, EmbassyClock, Memory>,
    message: &Message<'_>,
) -> Result<(), Error> {
    let text = message.payload_str().unwrap_or_default();
    let (command, word) = text.split_once(' ').unwrap_or((text, ""));
    // A pin of a microcontroller's own cannot fail.
    let status = match command {
        "on" => lamp.set_high().map(|()| "on"),
        "off" => lamp.set_low().map(|()| "off"),
        "quit" => {
            commands.acknowledge(message)?;
            tell_status(client, console, "gone").await;
            client.shutdown(2_000).await;
            return Ok(());
        }
        _ => {
            console(format_args!("not understood"));
            return commands.acknowledge(message);
        }
    };
    if let Ok(status) = status {
        let mut line = Text::default();
        let number = message.delivery_number().map_or(0, |number| number.0);
        // A word that does not fit is left out.
        let _ = write!(line, "{status} as {number} {word}");
        client.publish(SWITCHED, line.as_bytes())?.qos(QoS::ExactlyOnce).send().await?;
        commands.acknowledge(message)?;
        tell_status(client, console, status).await;
    }
    Ok(())
}

async fn tell_status(client: Mqtt, console: Console, status: &str) {
    let publish = client.publish(STATUS, status.as_bytes()).expect("it is a topic");
    match publish.qos(QoS::AtLeastOnce).retain().deliver().await {
        Ok(_) => console(format_args!("status {status}")),
        Err(error) => console(format_args!("status {status} not delivered: {error}")),
    }
}

/// Says how the connection is.
async fn watch(client: Mqtt, console: Console) {
    let mut last = Status::Connecting;
    loop {
        last = client.wait_for(|status| status != last && status != Status::Connecting).await;
        match last {
            Status::Connected { session_present } => {
                console(format_args!("connected, session present: {session_present}"));
            }
            Status::Waiting(failure) => console(format_args!("waiting: {failure}")),
            _ => return,
        }
    }
}

/// Tells its figures every second, as JSON.
async fn tell_figures(client: Mqtt) {
    for count in 0_u32.. {
        Timer::after(Duration::from_secs(1)).await;
        let mut json = Text::default();
        let connections = client.statistics().connections;
        if write!(json, r#"{{"count":{count},"connections":{connections}}}"#).is_err() {
            continue;
        }
        let publish = client.publish(TELEMETRY, json.as_bytes()).expect("it is a topic");
        // It is not worth waiting for.
        let _ = with_timeout(Duration::from_millis(500), publish.send()).await;
        if client.status() == Status::Closed {
            return;
        }
    }
}

/// A line of text.
struct Text {
    bytes: [u8; 64],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
