//! The process that kills the others.

use std::error::Error;
use std::fs::File;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::options::{Options, Role};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::tally::{self, Tally};

/// Something that happens when so many messages were received.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    BrokerRestart,
    KillPublisher,
    KillSubscriber,
}

struct Processes {
    options: Options,
    publisher: Child,
    subscriber: Child,
    published: bool,
}

/// Runs everything, and prints what came of it.
pub async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut options = options.clone();
    options.directory = std::env::temp_dir().join(format!("mqtt-chaos-{}", std::process::id()));
    std::fs::create_dir_all(&options.directory)?;
    println!(
        "seed {}: {} messages, {} cuts, {} broker restarts, {} kills",
        options.seed, options.messages, options.cuts, options.broker_restarts, options.kills
    );
    let mut broker = Broker::start(&options.directory, options.broker_sigkill)?;
    let proxy = Proxy::start(broker.port, options.cuts, options.seed).await?;
    proxy.expect(options.messages);
    options.port = proxy.port;

    let mut events = plan(&options);
    let subscriber = start(&options, Role::Subscriber)?;
    wait_for_subscription(&options, begun).await?;
    let publisher = start(&options, Role::Publisher)?;
    let mut processes = Processes { options: options.clone(), publisher, subscriber, published: false };
    let (mut restarts, mut kills, mut progress) = (0, 0, Instant::now());
    let (mut calm_until, mut last_event) = (None, Instant::now());
    let outcome = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let received = tally::count::<2>(&tally::received(&options.directory));
        proxy.expect(options.messages.saturating_sub(received));
        if progress.elapsed() > Duration::from_secs(10) {
            progress = Instant::now();
            let accepted = tally::count::<1>(&tally::accepted(&options.directory));
            println!(
                "{:>4} s: {accepted} accepted, {received} received, {} cuts, {restarts} restarts, {kills} kills",
                begun.elapsed().as_secs(),
                proxy.done()
            );
        }
        processes.look_after()?;
        // One after the other: each is survived before the next one comes.
        if calm_until.is_some_and(|calm| received < calm) && last_event.elapsed() < PATIENCE {
            continue;
        }
        // What a broker that was killed has lost does not come: its events come all the same.
        let reached = if options.broker_sigkill && processes.published { options.messages } else { received };
        if let Some((_, event)) = next_event(&mut events, reached) {
            (calm_until, last_event) = (Some(received + 20), Instant::now());
            match event {
                Event::BrokerRestart => {
                    restarts += 1;
                    tokio::task::block_in_place(|| broker.restart(options.broker_sigkill))?;
                }
                Event::KillPublisher | Event::KillSubscriber => {
                    kills += 1;
                    processes.kill(event)?;
                }
            }
        }
        if processes.published {
            let tally = Tally::count(&options.directory)?;
            if tally.lost.is_empty() && events.is_empty() {
                break true;
            }
            // Only a broker that was killed loses something for good.
            if options.broker_sigkill && is_quiet(&options).await && events.is_empty() {
                break true;
            }
        }
        if begun.elapsed() > options.limit {
            break false;
        }
    };
    // What comes now would be too much.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(processes);
    let tally = Tally::count(&options.directory)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} accepted, {} received ({} of them in doubt), {} cuts, {restarts} broker restarts, {kills} kills, {seconds:.1} s",
        tally.accepted,
        tally.received,
        tally.in_doubt,
        proxy.done()
    );
    println!("{} lost, {} doubled", tally.lost.len(), tally.doubled.len());
    if options.broker_sigkill {
        let lost = tally.lost.len() as u64;
        println!(
            "the broker was killed: of those lost the publisher was told of {}, the broker had acknowledged {}; \
             those doubled it sent anew",
            tally.told.min(lost),
            lost.saturating_sub(tally.told)
        );
    }
    // The publisher has ended well: each of its messages had its outcome.
    let ours = !(options.broker_sigkill || tally.lost.is_empty() && tally.doubled.is_empty());
    if ours || !outcome {
        let show = |numbers: &[u64]| numbers.iter().take(20).copied().collect::<Vec<_>>();
        println!("lost: {:?}\ndoubled: {:?}", show(&tally.lost), show(&tally.doubled));
        println!("what they left is in {}", options.directory.display());
        return Err(if outcome { "messages are lost or doubled" } else { "not over in time" }.into());
    }
    std::fs::remove_dir_all(&options.directory)?;
    Ok(())
}

/// What there is to come after an event may be nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// The events, the next one last.
fn plan(options: &Options) -> Vec<(u64, Event)> {
    let mut random = Random::new(options.seed ^ 1);
    let mut events = Vec::new();
    for number in 0..options.broker_restarts + options.kills {
        let event = match number {
            number if number < options.broker_restarts => Event::BrokerRestart,
            number if number % 2 == 0 => Event::KillPublisher,
            _ => Event::KillSubscriber,
        };
        events.push((random.up_to(options.messages * 9 / 10), event));
    }
    events.sort_unstable();
    events.reverse();
    events
}

fn start(options: &Options, role: Role) -> io::Result<Child> {
    let name = if role == Role::Publisher { "publisher" } else { "subscriber" };
    let output = File::options().create(true).append(true).open(options.directory.join(format!("{name}.log")))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(format!("--{name}")).arg("--directory").arg(&options.directory);
    for (argument, value) in
        [("--port", u64::from(options.port)), ("--messages", options.messages), ("--seconds", options.limit.as_secs())]
    {
        command.arg(argument).arg(value.to_string());
    }
    if options.version == mqtt_std::ProtocolVersion::V3_1_1 {
        command.arg("--v3");
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()
}

/// Nothing is published before the broker knows the subscription.
async fn wait_for_subscription(options: &Options, begun: Instant) -> Result<(), Box<dyn Error>> {
    while !std::fs::read_to_string(options.directory.join("subscriber.log"))?.contains("ready") {
        if begun.elapsed() > options.limit {
            return Err("the subscriber is not ready in time".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Tells whether nothing has come for a while.
async fn is_quiet(options: &Options) -> bool {
    let before = tally::count::<2>(&tally::received(&options.directory));
    tokio::time::sleep(Duration::from_secs(5)).await;
    tally::count::<2>(&tally::received(&options.directory)) == before
}

impl Processes {
    /// A process that has ended by itself has failed; the publisher may be done.
    fn look_after(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(status) = self.subscriber.try_wait()? {
            return Err(format!("the subscriber has ended: {status}, see {}", self.options.directory.display()).into());
        }
        if self.published {
            return Ok(());
        }
        if let Some(status) = self.publisher.try_wait()? {
            if !status.success() {
                return Err(
                    format!("the publisher has ended: {status}, see {}", self.options.directory.display()).into()
                );
            }
            self.published = true;
        }
        Ok(())
    }

    /// SIGKILL, and a new life. A publisher that is done needs none: the subscriber dies for it.
    fn kill(&mut self, event: Event) -> io::Result<()> {
        let (child, role) = if event == Event::KillPublisher && !self.published {
            (&mut self.publisher, Role::Publisher)
        } else {
            (&mut self.subscriber, Role::Subscriber)
        };
        child.kill()?;
        child.wait()?;
        *child = start(&self.options, role)?;
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in [&mut self.publisher, &mut self.subscriber] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn next_event(events: &mut Vec<(u64, Event)>, received: u64) -> Option<(u64, Event)> {
    if events.last()?.0 <= received { events.pop() } else { None }
}
