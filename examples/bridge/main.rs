//! Joins two brokers: what is published at one is published at the other.
//!
//! ```text
//! cargo run --example bridge -- --remote mqtt://site.example --store /var/lib/bridge --topic 'cellar/# both 2 "" house/'
//! ```
//!
//! A line of `--topic`, which may be said often, is one of Mosquitto's configuration: a Topic Filter, the direction (`out` to the remote
//! broker, `in` from it, `both`; default: `out`), the QoS (default: 2), a prefix of the topics at the local broker, and one of those at the
//! remote one, `""` being none. So `cellar/lamp` here is `house/cellar/lamp` there.
//!
//! It shows:
//!
//! * *Acknowledging by hand.* A message at QoS 1 is acknowledged to its broker when the other broker has it. One at QoS 2 is in the store
//!   until then, and takes one of that broker's Receive Maximum.
//! * *Nothing lost, nothing doubled at QoS 2*, whichever broker or link goes away, and whenever the bridge is killed: what one side has
//!   received, what the other side is sending, and which message is which, are in files (`ledger.rs`, a store of its own around
//!   the library's). Only of a broker that comes back without the session that it had nobody knows what it had: it gets that again.
//! * *No loops.* In 5.0 the brokers leave out what the bridge published itself (No Local), and a User Property tells where a message has
//!   been, against rings of bridges. 3.1.1 has no such thing: what would come back from such a broker is published there with a level
//!   more at its end, `/~bridge`, and known by it. Whoever wants those, too, subscribes to `cellar/lamp/#` in place of `cellar/lamp`.
//! * *Retained messages stay retained.* A broker of 3.1.1 tells that only of what it had when the bridge subscribes.
//!
//! While one side is away as many messages of the other one wait here as its broker sends without an acknowledgement (Mosquitto:
//! `max_inflight_messages`, 20), at most 65,535 and 256 MiB; the broker keeps the rest, as many as its own queue has room for. At QoS 0
//! nothing is promised. What the other broker refuses, or cuts the connection for again and again, is dropped, with a line on stderr.

mod forward;
mod ledger;
mod side;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mqtt_examples::{Arguments, Interrupt, Result, read_secret, run};
use mqtt_std::Options;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use forward::Route;
use side::Side;
use topics::Line;

const USAGE: &str = "bridge [BROKER] --remote URL --store DIRECTORY --topic 'FILTER [out|in|both [QOS [LOCAL REMOTE]]]'... [--name NAME] \
    [--password-file FILE] [--remote-password-file FILE]";

/// How long what was taken may take to be delivered, at the end. The rest is in the store.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    run(bridge())
}

async fn bridge() -> Result<()> {
    let mut arguments = Arguments::new(USAGE);
    let (mut remote, mut remote_password, mut store, mut name) = (None, None, None, "bridge".to_owned());
    let mut lines = Vec::<Line>::new();
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "remote" => remote = Some(arguments.value::<Options>()?),
            "remote-password-file" => remote_password = Some(read_secret(arguments.value::<PathBuf>()?)?),
            "store" => store = Some(arguments.value::<PathBuf>()?),
            "topic" => lines.push(arguments.value()?),
            "name" => name = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let local = arguments.broker()?;
    arguments.finish()?;
    let (Some(remote), Some(store)) = (remote, store) else { return Err(format!("usage: {USAGE}").into()) };
    topics::check(&lines)?;
    let remote = match remote_password {
        Some(password) => remote.password(password),
        None => remote,
    };

    let mut interrupt = Interrupt::new()?;
    let local = Side::start("local", local, &store, &name, topics::filters(&lines, |line| line.local()))?;
    let remote = Side::start("remote", remote, &store, &name, topics::filters(&lines, |line| line.remote()))?;
    let (stop, stopped) = watch::channel(false);
    let (mut routes, mut watches) = (JoinSet::new(), JoinSet::new());
    for side in [&local, &remote] {
        watches.spawn(Arc::clone(side).watch());
    }
    for line in lines {
        for (from, to, ends) in [(&local, &remote, line.outward()), (&remote, &local, line.inward())] {
            if let Some((filter, prefixes)) = ends {
                let route = Route { from: Arc::clone(from), to: Arc::clone(to), filter, prefixes, qos: line.qos };
                routes.spawn(route.run(stopped.clone()));
            }
        }
    }

    // All go on until one fails.
    let ended = tokio::select! {
        () = interrupt.wait() => None,
        ended = routes.join_next() => ended,
        ended = watches.join_next() => ended,
    };
    stop.send_replace(true);
    let delivered = async { while routes.join_next().await.is_some() {} };
    if timeout(PATIENCE, delivered).await.is_err() {
        println!("the rest is in the store");
    }
    let (local, remote) = tokio::join!(local.end(), remote.end());
    local?;
    remote?;
    ended.map_or(Ok(()), |ended| ended?)
}
