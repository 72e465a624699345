//! Publishes measurements as InfluxDB lines at a rate, and shows what becomes of them when the broker is slow or away.
//!
//! ```text
//! mosquitto -v &
//! cargo run --example telemetry -- --rate 500                            # a point a message
//! cargo run --example telemetry -- --rate 5000 --batch 100               # a hundred
//! cargo run --example telemetry -- --rate 500 --in-flight 50 --policy oldest   # and stop the broker for a while
//! ```
//!
//! A point of the measurement `heating` goes to `telegraf/<host>/heating` at QoS 1, each with its number in the field `sequence`. What the
//! broker has not acknowledged waits in the client, `--in-flight` messages at most. Beyond that, because the broker is slow or
//! away, `--policy` says what gives:
//!
//! | policy | a point for which there is no room |
//! | --- | --- |
//! | `wait` | holds up the one who makes points: those that were due meanwhile are not made |
//! | `refuse` | is refused, which its maker is told |
//! | `oldest` | takes the place of the one that has waited longest |
//! | `newest` | is dropped |
//! | `latest` | as soon as one waits, takes its place: of each topic one waits |
//!
//! What was sent is never dropped, acknowledged or not: if all that waits was sent, the maker is held up by `oldest` and `latest` too.
//!
//! Once a second, or `--every` so many, a line says how many points were made, acknowledged and so on; they add up. Ctrl-C waits for what is under way.

mod line;
mod producer;

use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mqtt_examples::{Arguments, Interrupt, Result, end, printable, run};
use mqtt_std::{Client, Overflow, QoS, Status};
use producer::Producer;
use tokio::time::{MissedTickBehavior, interval};

const USAGE: &str = "telemetry [--rate POINTS] [--batch POINTS] [--in-flight MESSAGES] [--count POINTS] [--qos 1|2] \
    [--policy wait|refuse|oldest|newest|latest] [--every SECONDS] [BROKER]";

fn main() -> ExitCode {
    run(publish())
}

async fn publish() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let (mut in_flight, mut policy, mut every) = (1_000, Overflow::Wait, 1.0);
    let mut producer = Producer::new();
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "rate" => producer.rate = arguments.value()?,
            "batch" => producer.batch = arguments.value()?,
            "count" => producer.count = arguments.value()?,
            "in-flight" => in_flight = arguments.value()?,
            "qos" => producer.qos = qos(arguments.value()?)?,
            "every" => every = arguments.value()?,
            "policy" => policy = overflow(&arguments.value::<String>()?)?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    producer.check()?;
    let every = Duration::try_from_secs_f64(every).map_err(|error| format!("every: {error}"))?;
    let every = every.max(Duration::from_millis(10));
    let options = arguments.broker()?.in_flight(in_flight).overflow(policy);
    arguments.finish()?;

    let client = Client::connect(options).await?;
    let mut interrupt = Interrupt::new()?;
    let mut connection = Connection::default();
    let mut status = client.status();
    let mut report = interval(every);
    report.set_missed_tick_behavior(MissedTickBehavior::Skip);
    report.tick().await;
    {
        let mut producing = pin!(producer.run(&client));
        loop {
            tokio::select! {
                ended = &mut producing => break ended?,
                _ = report.tick() => {
                    connection.look(&client);
                    println!("{}", producer.report(&client));
                }
                changed = status.changed() => {
                    changed?;
                    connection.tell(&status.borrow_and_update().clone(), &client)?;
                }
                () = interrupt.wait() => break,
            }
        }
    }
    let ended = end(&client).await;
    println!("{}", producer.report(&client));
    ended
}

fn qos(number: u8) -> Result<QoS> {
    match number {
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(format!("QoS {number}: say 1 or 2, which the broker acknowledges").into()),
    }
}

fn overflow(name: &str) -> Result<Overflow> {
    Ok(match name {
        "wait" => Overflow::Wait,
        "refuse" => Overflow::Refuse,
        "oldest" => Overflow::DropOldest,
        "newest" => Overflow::DropNewest,
        "latest" => Overflow::LatestPerTopic,
        _ => return Err(format!("policy {name:?}: say wait, refuse, oldest, newest or latest").into()),
    })
}

/// Tells when the broker goes away, and when it is back.
#[derive(Default)]
struct Connection {
    lost: Option<Instant>,
    /// The most messages that were seen waiting without one.
    waiting: u64,
}

impl Connection {
    /// The broker may be back, and have been sent the first of them, before this program hears of it: so it looks now and then.
    fn look(&mut self, client: &Client) {
        if self.lost.is_some() {
            self.waiting = self.waiting.max(client.statistics().undelivered);
        }
    }

    fn tell(&mut self, status: &Status, client: &Client) -> Result<()> {
        self.look(client);
        match status {
            Status::Connected { .. } => {
                if let Some(lost) = self.lost.take() {
                    let seconds = lost.elapsed().as_secs_f64();
                    println!("online again after {seconds:.1} s, {} messages have waited", self.waiting);
                }
            }
            Status::Closed { error: Some(error), .. } => return Err(error.to_string().into()),
            _ => {
                if let (None, Status::Waiting { error, .. }) = (self.lost, status) {
                    *self = Self { lost: Some(Instant::now()), waiting: 0 };
                    println!("offline: {}", printable(&error.to_string()));
                }
            }
        }
        Ok(())
    }
}
