//! Jobs for many processes: each job goes to one of them, and is done though any of them may die.
//!
//! ```text
//! cargo run --example workers -- --name one &
//! cargo run --example workers -- --name two &
//! cargo run --example workers -- --submit 100
//! ```
//!
//! Workers have a shared subscription (§4.8.2): the broker gives each message to one of the group. A worker does a job, publishes the
//! result, and acknowledges the job by hand when the broker has the result. So a job whose worker dies is not acknowledged. What becomes of
//! it then, 5.0 leaves to the broker: it should go to another worker once the session of the dead one has ended, after 10 s here; Mosquitto
//! drops it. Hence whoever has submitted jobs submits those again that have no result when nothing has come for a while. Every job is done
//! at least once: its work must bear being done twice.
//!
//! A worker has few jobs at a time, Receive Maximum, so that the others have some too. The work here is to wait for `--millis`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, end, printable, run};
use mqtt_std::{Acknowledge, Client, Message, Options, QoS, ReasonCode};
use tokio::time::{Instant, sleep, timeout_at};

const USAGE: &str = "workers [BROKER] [--name NAME] [--millis N], or workers [BROKER] --submit JOBS [--again SECONDS]";

/// Who has submitted a job is the last level.
const JOBS: &str = "workers/jobs/";
const DONE: &str = "workers/done/";

/// So many jobs a worker has at once.
const AT_ONCE: u16 = 4;

/// Of a worker's name so many characters are told.
const NAME: usize = 100;

fn main() -> ExitCode {
    run(workers())
}

async fn workers() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let (mut name, mut millis) = (format!("worker-{}", std::process::id()), 100);
    let (mut jobs, mut again) = (None, 10);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "name" => name = arguments.value()?,
            "millis" => millis = arguments.value()?,
            "submit" => jobs = Some(arguments.value()?),
            "again" => again = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let options = arguments.broker()?;
    arguments.finish()?;
    match jobs {
        Some(jobs) => submit(options, jobs, Duration::from_secs(again)).await,
        None => work(options, &name, Duration::from_millis(millis)).await,
    }
}

/// Does jobs until Ctrl-C.
async fn work(options: Options, name: &str, takes: Duration) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options.session_expiry_interval(10).in_flight(AT_ONCE)).await?;
    let filter = format!("$share/workers/{JOBS}+");
    let mut jobs = client.subscribe(filter, QoS::AtLeastOnce).acknowledge(Acknowledge::ByHand).await?;
    println!("{name} is ready");
    // A job that was begun is done.
    while let Some(Some(job)) = interrupt.or(jobs.next()).await {
        let Some((number, submitter)) = parse(&job) else {
            eprintln!("{} is no job", printable(job.topic()));
            // It cannot be refused in 3.1.1.
            if job.reject(ReasonCode::PAYLOAD_FORMAT_INVALID).is_err() {
                let _ = job.acknowledge();
            }
            continue;
        };
        sleep(takes).await;
        let result = format!("{number} {name}");
        client.publish(format!("{DONE}{submitter}"), result).qos(QoS::AtLeastOnce).await?;
        println!("{name} did {number}");
        // On another connection than the one it came on there is nothing to acknowledge: it comes again.
        let _ = job.acknowledge();
    }
    end(&client).await
}

/// The number of a job, and who has submitted it.
fn parse(job: &Message) -> Option<(u32, &str)> {
    Some((job.payload_str().ok()?.parse().ok()?, job.topic().strip_prefix(JOBS)?))
}

/// Gives out jobs, and waits until all are done.
async fn submit(options: Options, jobs: u32, again: Duration) -> Result<()> {
    let mut interrupt = Interrupt::new()?;
    let client = Client::connect(options).await?;
    let (topic, results) = (format!("{JOBS}{}", std::process::id()), format!("{DONE}{}", std::process::id()));
    let mut results = client.subscribe(results, QoS::AtLeastOnce).await?;
    let mut open: BTreeSet<u32> = (0..jobs).collect();
    let mut done_by = BTreeMap::<String, u32>::new();
    let (mut repeated, mut resubmitted) = (0, 0);
    for number in &open {
        client.publish(topic.as_str(), number.to_string()).qos(QoS::AtLeastOnce).send().await?;
    }
    // What is no result of an open job puts nothing off.
    let mut patience = Instant::now() + again;
    while !open.is_empty() {
        let Some(result) = interrupt.or(timeout_at(patience, results.next())).await else { break };
        let Ok(result) = result else {
            for number in &open {
                client.publish(topic.as_str(), number.to_string()).qos(QoS::AtLeastOnce).send().await?;
            }
            resubmitted += open.len();
            patience = Instant::now() + again;
            continue;
        };
        let result = result.ok_or("the client has ended")?;
        // Whoever else publishes there says nothing.
        let result = result.payload_str().ok().and_then(|result| result.split_once(' '));
        let Some((number, worker)) = result.and_then(|(number, worker)| Some((number.parse().ok()?, worker))) else {
            continue;
        };
        if open.remove(&number) {
            let worker = printable(worker).chars().take(NAME).collect();
            *done_by.entry(worker).or_default() += 1;
            patience = Instant::now() + again;
        } else {
            repeated += 1;
        }
    }
    for (worker, count) in &done_by {
        println!("{worker} did {count}");
    }
    println!("{} of {jobs} done; {resubmitted} submitted again, {repeated} done again", jobs as usize - open.len());
    end(&client).await
}
