//! Clients that run for a while, with connections that are lost again and again: their memory must stay flat.
//!
//! ```text
//! cargo run --release --example soak -- --seconds 600
//! cargo run --release --example soak -- --seconds 20 --rate 500 --reconnect 2
//! ```
//!
//! Two clients, in 5.0 and in 3.1.1, publish to themselves at QoS 0, 1 and 2 through a broker in the process, which throws them
//! out every few seconds; streams are opened and dropped, some payloads are large, and a thousand messages are kept, as an
//! application might. The resident memory of the process, clients and broker, is read from `/proc/self/statm` ten times a
//! second after a warm-up (a third of the time). The program fails if it has grown by more than `--limit` KiB since then, as
//! both the line through all readings and the least of each half say; or if a message at QoS 1 or 2 was lost, or came twice at QoS 2.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Backoff, Client, Options, ProtocolVersion, QoS, Statistics, Subscription};
use tokio::time::{MissedTickBehavior, interval, timeout};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Once for so many rounds a stream is opened and dropped, and a large payload is sent.
const SELDOM: u64 = 20;
const LARGE: usize = 60_000;

/// Messages that the application keeps.
const KEPT: usize = 1_000;

/// How long the last messages may take.
const GRACE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let broker = Broker::start(BrokerOptions::new()).await?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let start = |version, name| tokio::spawn(run(options(&broker, version, name), name, arguments.rate, end));
    let clients =
        [("5.0", start(ProtocolVersion::V5_0, "soak-5")), ("3.1.1", start(ProtocolVersion::V3_1_1, "soak-3"))];
    let memory = tokio::spawn(measure(end, arguments.seconds));
    let mut throwing = interval(Duration::from_secs(arguments.reconnect.max(1)));
    throwing.tick().await;
    while Instant::now() < end {
        throwing.tick().await;
        let _ = (broker.disconnect_client("soak-5"), broker.disconnect_client("soak-3"));
    }

    let mut faults = 0;
    for (version, client) in clients {
        let (statistics, seen) = client.await??;
        println!(
            "{version}: {} published, {} received, {} reconnects; at QoS 1 {} lost, {} again; at QoS 2 {} lost, {} again",
            statistics.published,
            statistics.received,
            statistics.reconnects(),
            seen[1].lost,
            seen[1].again,
            seen[2].lost,
            seen[2].again,
        );
        println!("{version}: publish {:?}", statistics.publish_round_trip);
        faults += seen[1].lost + seen[2].lost + seen[2].again;
    }
    let readings = memory.await?;
    let grown = match Trend::of(&readings) {
        None => {
            println!("memory: not measured (no /proc/self/statm, or too short)");
            0.0
        }
        Some(trend) => {
            let Trend { first, last, most, slope, growth, floors: [before, after] } = trend;
            println!("memory: {first:.0} KiB after the warm-up, {most:.0} at most, {last:.0} in the end");
            println!("memory: slope {:+.1} KiB/min, {growth:+.0} KiB over {} readings", slope * 60.0, readings.len());
            println!("memory: at least {before:.0} KiB in the first half, {after:.0} in the second");
            growth.min(after - before)
        }
    };
    if faults > 0 {
        return Err(format!("{faults} messages were lost or doubled").into());
    }
    if grown > arguments.limit {
        return Err(format!("memory has grown by {grown:.0} KiB").into());
    }
    Ok(())
}

fn options(broker: &Broker, version: ProtocolVersion, name: &str) -> Options {
    let address = broker.address();
    Options::new(address.ip().to_string(), address.port())
        .client_identifier(name)
        .version(version)
        .keep_session()
        .backoff(Backoff::new().minimum(10).maximum(500))
}

/// What a client has sent to itself and got back, by QoS.
async fn run(options: Options, name: &str, rate: u64, end: Instant) -> Result<(Statistics, [Seen; 3])> {
    let client = Client::connect(options).await?;
    let stream = client.subscribe(format!("{name}/+"), QoS::ExactlyOnce).await?;
    let (published, seen) = tokio::join!(publish(&client, name, rate, end), read(stream, end));
    published?;
    let seen = seen?;
    let statistics = client.statistics();
    client.shutdown(GRACE).await?;
    Ok((statistics, seen))
}

/// In each round one message at each QoS, so that `rate` of them pass in a second; the last one says so.
async fn publish(client: &Client, name: &str, rate: u64, end: Instant) -> Result<()> {
    let mut rounds = interval(Duration::from_secs(3) / u32::try_from(rate.max(1))?);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0_u64;
    while Instant::now() < end {
        rounds.tick().await;
        let size = if round % SELDOM == 1 { LARGE } else { 16 };
        let payload = || format!("{round:<size$}");
        client.publish(format!("{name}/0"), payload()).await?;
        // Of the two with a receipt one is waited for, so that both ways are gone.
        let _receipt = client.publish(format!("{name}/1"), payload()).qos(QoS::AtLeastOnce).send().await?;
        let once = client.publish(format!("{name}/2"), payload()).qos(QoS::ExactlyOnce);
        if round % SELDOM == 0 {
            once.await?;
            let other = format!("{name}/other/{round}");
            let mut stream = client.subscribe(&other, QoS::AtLeastOnce).await?;
            client.publish(&other, payload()).qos(QoS::AtLeastOnce).await?;
            timeout(GRACE, stream.next()).await?.ok_or("the client has ended")?;
            // The stream ends here, and the broker is told.
            stream.unsubscribe().await?;
        } else {
            let _receipt = once.send().await?;
        }
        round += 1;
    }
    // It overtakes nothing at its own QoS; those at QoS 1 have arrived once they are acknowledged.
    while client.statistics().in_flight > 0 {
        rounds.tick().await;
    }
    client.publish(format!("{name}/2"), "end").qos(QoS::ExactlyOnce).await?;
    Ok(())
}

/// The next number that is expected, and how often it was another one.
#[derive(Clone, Copy, Default)]
struct Seen {
    next: u64,
    lost: u64,
    again: u64,
}

async fn read(mut stream: Subscription, end: Instant) -> Result<[Seen; 3]> {
    let mut seen = [Seen::default(); 3];
    let mut kept = VecDeque::new();
    loop {
        let patience = end.saturating_duration_since(Instant::now()) + GRACE;
        let message = timeout(patience, stream.next()).await.map_err(|_| "messages are missing in the end")?;
        let message = message.ok_or("the client has ended")?;
        let payload = message.payload_str()?;
        if payload == "end" {
            return Ok(seen);
        }
        let number: u64 = payload.trim_end().parse()?;
        let Seen { next, lost, again } = &mut seen[message.qos() as usize];
        *lost += number.saturating_sub(*next);
        *again += u64::from(number < *next);
        *next = (*next).max(number + 1);
        // Of the large ones too many would be the application's fault.
        if payload.len() < LARGE {
            kept.push_back(message);
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// Seconds, and KiB of resident memory.
type Reading = (f64, f64);

async fn measure(end: Instant, seconds: u64) -> Vec<Reading> {
    tokio::time::sleep(Duration::from_secs(seconds) / 3).await;
    let begun = Instant::now();
    // Its pages are touched beforehand, so that it does not measure itself.
    let mut readings = vec![(1.0, 1.0); usize::try_from(seconds * 10).unwrap_or(0)];
    readings.clear();
    let mut ticks = interval(Duration::from_millis(100));
    while Instant::now() < end {
        ticks.tick().await;
        readings.extend(resident().map(|kib| (begun.elapsed().as_secs_f64(), kib)));
    }
    readings
}

/// KiB, where a page has 4 of them.
fn resident() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(f64::from(pages) * 4.0)
}

/// The line through all readings, by least squares.
struct Trend {
    first: f64,
    most: f64,
    last: f64,
    /// KiB in a second.
    slope: f64,
    /// KiB from the first reading to the last, as the line says.
    growth: f64,
    /// The least in each half: what comes back after each burst is no part of it.
    floors: [f64; 2],
}

impl Trend {
    fn of(readings: &[Reading]) -> Option<Self> {
        let (first, last) = (readings.first()?, readings.last()?);
        #[allow(clippy::cast_precision_loss)] // some thousands
        let count = readings.len() as f64;
        let mean = |of: fn(&Reading) -> f64| readings.iter().map(of).sum::<f64>() / count;
        let (middle, level) = (mean(|reading| reading.0), mean(|reading| reading.1));
        let spread: f64 = readings.iter().map(|(at, _)| (at - middle).powi(2)).sum();
        let together: f64 = readings.iter().map(|(at, kib)| (at - middle) * (kib - level)).sum();
        let slope = if spread > 0.0 { together / spread } else { return None };
        let most = readings.iter().map(|reading| reading.1).fold(0.0, f64::max);
        let (early, late) = readings.split_at(readings.len() / 2);
        let floors = [early, late].map(|half| half.iter().map(|reading| reading.1).fold(f64::INFINITY, f64::min));
        Some(Self { floors, first: first.1, most, last: last.1, slope, growth: slope * (last.0 - first.0) })
    }
}

#[derive(Clone, Copy)]
struct Arguments {
    seconds: u64,
    rate: u64,
    reconnect: u64,
    limit: f64,
}

impl Arguments {
    fn read() -> Result<Self> {
        let mut arguments = Self { seconds: 60, rate: 300, reconnect: 3, limit: 1024.0 };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--seconds" => arguments.seconds = value.parse()?,
                "--rate" => arguments.rate = value.parse()?,
                "--reconnect" => arguments.reconnect = value.parse()?,
                "--limit" => arguments.limit = value.parse()?,
                _ => return Err(format!("{word}? --seconds, --rate, --reconnect and --limit are known").into()),
            }
        }
        Ok(arguments)
    }
}
