//! Load for a broker: many clients, so many messages a second, and how long each took.
//!
//! ```text
//! cargo run --release --example load -- --clients 100 --rate 5000 --qos 1 --seconds 30
//! ```
//!
//! Each client subscribes to a topic of its own below `load/` and publishes to it, `--rate` messages a second in all, of `--bytes` each (at
//! least 8). A message carries the time at which it was due, and its latency is measured from then to its arrival. So a broker
//! that is too slow cannot hide it by making senders wait: what waits counts. Latencies are in a histogram of fixed size (HdrHistogram), exact to
//! 3 digits, from 1 µs to 60 s.
//!
//! What is under way is bounded: each client has at most 100 messages unacknowledged (QoS 1 and 2) or unsent (QoS 0); beyond that it waits. When the
//! time is over what is under way has 5 s more. What has not come by then is lost, or was refused; at QoS 1 something may come twice.
//! Load belongs to brokers that are yours.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use mqtt_examples::{Arguments, Interrupt, Result, run};
use mqtt_std::{Client, Options, QoS, Subscription};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

const USAGE: &str = "load [BROKER] [--clients N] [--rate N] [--qos N] [--bytes N] [--seconds N]";

/// So many clients connect at once.
const AT_ONCE: usize = 50;

/// So many messages of a client are under way.
const WINDOW: u16 = 100;

/// How long what is under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Copy)]
struct Load {
    clients: u32,
    rate: u32,
    qos: QoS,
    bytes: usize,
    time: Duration,
}

/// What has come of it so far.
struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
    repeated: AtomicU64,
    /// In microseconds.
    latencies: Mutex<Histogram<u64>>,
}

fn main() -> ExitCode {
    run(load())
}

async fn load() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let mut load = Load { clients: 10, rate: 100, qos: QoS::AtMostOnce, bytes: 100, time: Duration::from_secs(10) };
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "clients" => load.clients = bounded(&mut arguments, 1, 10_000)?,
            "rate" => load.rate = bounded(&mut arguments, 1, 1_000_000)?,
            "bytes" => load.bytes = bounded(&mut arguments, 8, 1 << 20)? as usize,
            "seconds" => load.time = Duration::from_secs(bounded(&mut arguments, 1, 86_400)?.into()),
            "qos" => {
                load.qos = match bounded(&mut arguments, 0, 2)? {
                    0 => QoS::AtMostOnce,
                    1 => QoS::AtLeastOnce,
                    _ => QoS::ExactlyOnce,
                }
            }
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let options = arguments.broker()?.in_flight(WINDOW).queue(WINDOW.into()).stream_capacity(WINDOW.into());
    arguments.finish()?;
    let mut interrupt = Interrupt::new()?;
    let Some(connected) = interrupt.or(connect(&options, load)).await else { return Ok(()) };
    let connected = connected?;
    writeln!(std::io::stdout(), "{} clients connected", connected.len())?;

    let tally = Arc::new(Tally {
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        repeated: AtomicU64::new(0),
        latencies: Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3)?),
    });
    let begun = Instant::now();
    let (stop, stopped) = watch::channel(false);
    let mut senders = JoinSet::new();
    let mut receivers = JoinSet::new();
    let mut clients = Vec::new();
    for (number, (client, messages)) in (0..).zip(connected) {
        clients.push(client.clone());
        senders.spawn(send(client, number, load, begun, Arc::clone(&tally), stopped.clone()));
        receivers.spawn(receive(messages, begun, Arc::clone(&tally)));
    }
    let sent = interrupt.or(watch(&mut senders, &tally)).await;
    stop.send_replace(true);
    let sent = match sent {
        Some(sent) => sent,
        None => all(&mut senders).await,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let arrived = async {
        while tally.received.load(Ordering::Relaxed) < tally.sent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(PATIENCE, arrived).await;
    let mut goodbyes = JoinSet::new();
    for client in clients {
        goodbyes.spawn(async move { client.shutdown(Duration::from_secs(1)).await });
    }
    while goodbyes.join_next().await.is_some() {}
    receivers.shutdown().await;
    report(&tally, seconds)?;
    sent
}

fn bounded(arguments: &mut Arguments, least: u32, most: u32) -> Result<u32> {
    let value = arguments.value()?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is not from {least} to {most}").into())
    }
}

/// The topic of a client, which others in the network do not have.
fn topic(number: u32) -> String {
    format!("load/{}/{number}", std::process::id())
}

/// All clients, with the streams of what they publish themselves.
async fn connect(options: &Options, load: Load) -> Result<Vec<(Client, Subscription)>> {
    let turn = Arc::new(Semaphore::new(AT_ONCE));
    let mut connecting = JoinSet::new();
    for number in 0..load.clients {
        // One Client Identifier is for one client.
        let options = options.clone().client_identifier(format!("load-{}-{number}", std::process::id()));
        let turn = Arc::clone(&turn);
        connecting.spawn(async move {
            let _turn = turn.acquire().await;
            let client = Client::connect(options).await?;
            let messages = client.subscribe(topic(number), load.qos).await?;
            Ok::<_, mqtt_std::Error>((client, messages))
        });
    }
    let mut connected = Vec::new();
    while let Some(one) = connecting.join_next().await {
        connected.push(one??);
    }
    Ok(connected)
}

/// Publishes whenever a message is due, until the time is over.
async fn send(
    client: Client,
    number: u32,
    load: Load,
    begun: Instant,
    tally: Arc<Tally>,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let topic = topic(number);
    let all = u64::from(load.rate) * load.time.as_secs();
    // They take turns.
    for message in (u64::from(number)..all).step_by(load.clients as usize) {
        let due = Duration::from_secs_f64(message as f64 / f64::from(load.rate));
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            () = sleep_until(begun + due) => {}
        }
        let mut payload = vec![0; load.bytes];
        payload[..8].copy_from_slice(&(due.as_micros() as u64).to_le_bytes());
        let sending = client.publish(topic.as_str(), payload).qos(load.qos).send();
        tokio::select! {
            biased;
            // A broker that takes nothing more does not keep us.
            () = sleep_until(begun + load.time + PATIENCE) => return Err("the broker takes nothing more".into()),
            sent = sending => drop(sent?),
        }
        tally.sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Measures what arrives.
async fn receive(mut messages: Subscription, begun: Instant, tally: Arc<Tally>) {
    // Of the latest messages: what comes twice does so soon.
    let mut seen = HashSet::new();
    while let Some(message) = messages.next().await {
        let Some(due) = message.payload().first_chunk::<8>().map(|due| u64::from_le_bytes(*due)) else { continue };
        if seen.len() > 10 * usize::from(WINDOW) {
            seen.clear();
        }
        if !seen.insert(due) {
            tally.repeated.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let now = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut latencies = tally.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.saturating_record(now.saturating_sub(due).max(1));
        tally.received.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells each second how it goes, until all is sent.
async fn watch(senders: &mut JoinSet<Result<()>>, tally: &Tally) -> Result<()> {
    let mut before = (0, 0);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.tick().await;
    loop {
        tokio::select! {
            sent = senders.join_next() => match sent {
                Some(sent) => sent??,
                None => return Ok(()),
            },
            _ = seconds.tick() => {
                let now = (tally.sent.load(Ordering::Relaxed), tally.received.load(Ordering::Relaxed));
                eprintln!("{}/s sent, {}/s received, {} under way", now.0 - before.0, now.1 - before.1, now.0.saturating_sub(now.1));
                before = now;
            }
        }
    }
}

async fn all(senders: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(())
}

fn report(tally: &Tally, seconds: f64) -> Result<()> {
    let (sent, received) = (tally.sent.load(Ordering::Relaxed), tally.received.load(Ordering::Relaxed));
    let repeated = tally.repeated.load(Ordering::Relaxed);
    let latencies = tally.latencies.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = std::io::stdout();
    writeln!(out, "sent {sent} in {seconds:.1} s, {:.0}/s", sent as f64 / seconds)?;
    writeln!(out, "received {received}, lost {}, repeated {repeated}", sent.saturating_sub(received))?;
    for (name, quantile) in [("50 %", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999), ("all", 1.0)] {
        writeln!(out, "{name:>7} within {:>9.3} ms", latencies.value_at_quantile(quantile) as f64 / 1_000.0)?;
    }
    Ok(())
}
