//! Each client does the same in the way that its documentation shows, with as few copies as its interface allows.

#[cfg(feature = "rivals")]
mod gneiss;
#[cfg(feature = "rivals")]
mod mqtt5;
#[cfg(feature = "rivals")]
mod ntex;
mod ours;
#[cfg(feature = "rivals")]
mod paho;
#[cfg(feature = "rivals")]
mod rumqttc;
#[cfg(feature = "rivals")]
mod rumqttc_next;

use std::error::Error;
use std::future::Future;

use crate::measure::{Figures, Measure, Task};
use crate::raw;

pub type Done = Result<Figures, Box<dyn Error>>;

pub struct Client {
    pub name: &'static str,
    publish: fn(&Task) -> Done,
    receive: fn(&Task) -> Done,
    round_trip: fn(&Task) -> Done,
    /// Whether the clients are used before they are idle.
    idle: fn(&Task, bool) -> Done,
}

macro_rules! client {
    ($name:literal, $module:path) => {{
        use $module as module;
        Client {
            name: $name,
            publish: module::publish,
            receive: module::receive,
            round_trip: module::round_trip,
            idle: module::idle,
        }
    }};
}

/// Ours first, and last what is no client.
pub const CLIENTS: &[Client] = &[
    client!("mqtt-std", ours),
    #[cfg(feature = "rivals")]
    client!("rumqttc", rumqttc),
    #[cfg(feature = "rivals")]
    client!("rumqttc-next", rumqttc_next),
    #[cfg(feature = "rivals")]
    client!("ntex-mqtt", ntex),
    #[cfg(feature = "rivals")]
    client!("gneiss-mqtt", gneiss),
    #[cfg(feature = "rivals")]
    client!("paho-mqtt", paho),
    #[cfg(feature = "rivals")]
    client!("mqtt5", mqtt5),
    client!("raw", raw),
];

/// `run CLIENT MEASURE QOS PAYLOAD COUNT PORT`: prints the figures.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let [_, client, measure, qos, payload, count, port] = arguments else {
        return Err("run CLIENT MEASURE QOS PAYLOAD COUNT PORT".to_owned());
    };
    let client = CLIENTS.iter().find(|known| known.name == client).ok_or("no such client, or not built in")?;
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let task =
        Task { port: number(port)? as u16, qos: number(qos)? as u8, payload: number(payload)?, count: number(count)? };
    let done = match measure.parse()? {
        Measure::Publish => (client.publish)(&task),
        Measure::Receive => (client.receive)(&task),
        Measure::RoundTrip => (client.round_trip)(&task),
        Measure::Idle => (client.idle)(&task, false),
        Measure::IdleUsed => (client.idle)(&task, true),
    };
    match done {
        Ok(figures) => println!("{figures}"),
        Err(error) if error.to_string() == NOT_MEASURED => println!("{error}"),
        Err(error) => return Err(error.to_string()),
    }
    // What a client leaves running is not waited for.
    std::process::exit(0);
}

/// All clients that run on tokio have one thread; the server has the other core.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}")).block_on(future)
}

/// What a client says of what it cannot do.
pub const NOT_MEASURED: &str = "not measured";

/// Long enough for what a client does after its connection stands.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(1_500);
