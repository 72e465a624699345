//! The processes that are killed.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_std::store::FileStore;
use mqtt_std::{Acknowledge, Backoff, Client, Error as ClientError, Options as ClientOptions, QoS, Status};

use crate::options::Options;
use crate::tally::{self, ACCEPTED, ATTEMPTED, FAILED, FAILED_LATER, Numbers, RECEIVED};

/// Messages that are sent side by side.
const WINDOW: u64 = 100;

/// The publisher is not further ahead of the subscriber: the broker's queue stays within its maximum in flight.
const AHEAD: u64 = 5_000;

fn client_options(options: &Options, name: &str) -> Result<ClientOptions, Box<dyn Error>> {
    let store = FileStore::open(options.directory.join(name))?;
    Ok(ClientOptions::new("127.0.0.1", options.port)
        .client_identifier(format!("chaos-{name}"))
        .version(options.version)
        .session_expiry_interval(u32::MAX)
        .backoff(Backoff::new().minimum(5).maximum(100))
        // It is the proxy that ends connections, and no message is the reason.
        .suspect_after(0)
        .store(store))
}

/// Publishes until as many messages as wanted are accepted, over all its lives, and all of them are delivered.
pub async fn publish(options: &Options) -> Result<(), Box<dyn Error>> {
    let directory = &options.directory;
    let (mut attempted, before) = Numbers::<1>::open(directory, ATTEMPTED)?;
    let (mut accepted, already) = Numbers::<1>::open(directory, ACCEPTED)?;
    let (failed, _) = Numbers::<1>::open(directory, FAILED)?;
    let failed = Arc::new(Mutex::new(failed));
    let (mut failed_later, _) = Numbers::<1>::open(directory, FAILED_LATER)?;
    // What was being sent when it was killed is in doubt: those numbers are not used again.
    let mut next = before.last().map_or(0, |[below]| *below);
    let mut count = already.len() as u64;

    let client = Client::connect_retrying(client_options(options, "publisher")?)?;
    log_status(&client);
    println!("restored {:?}", client.restored());
    while count < options.messages {
        wait_for_subscriber(directory, count).await;
        let numbers = next..next + WINDOW.min(options.messages - count);
        next = numbers.end;
        attempted.append(&[[next]])?;
        let sends: Vec<_> = numbers.map(|number| tokio::spawn(send(client.clone(), number))).collect();
        let mut entries = Vec::new();
        for send in sends {
            let (number, receipt) = send.await??;
            entries.push([number]);
            let failed = Arc::clone(&failed);
            tokio::spawn(async move {
                if let Err(ClientError::NotDelivered(_) | ClientError::Rejected(_)) = receipt.await {
                    let _ = failed.lock().map(|mut file| file.append(&[[number]]));
                }
            });
        }
        accepted.append(&entries)?;
        count += entries.len() as u64;
    }
    let end = client.shutdown(options.limit).await?;
    println!("undelivered {}, at the end {:?}", end.undelivered, client.restored());
    failed_later.append(&[[client.restored().failed as u64]])?;
    // Those who write down receipts may have a moment more.
    tokio::time::sleep(Duration::from_millis(50)).await;
    if end.undelivered == 0 { Ok(()) } else { Err("not all is delivered".into()) }
}

/// Waits until the subscriber has caught up, or has had nothing for a while: a broker that was killed has lost it.
async fn wait_for_subscriber(directory: &Path, accepted: u64) {
    let mut before = 0;
    for wait in 0.. {
        let received = tally::count::<2>(&tally::received(directory));
        if received + AHEAD >= accepted || wait % 1_000 == 999 && received == before {
            return;
        }
        if wait % 1_000 == 0 {
            before = received;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes down how connections end.
fn log_status(client: &Client) {
    let mut status = client.status();
    tokio::spawn(async move {
        while status.changed().await.is_ok() {
            if let Status::Waiting { error, retry_in, .. } = &*status.borrow_and_update() {
                println!("{error}, again in {retry_in:?}");
            }
        }
    });
}

async fn send(client: Client, number: u64) -> Result<(u64, mqtt_std::Receipt), mqtt_std::Error> {
    let (topic, payload) = (format!("chaos/{}", number % 8), number.to_string());
    Ok((number, client.publish(topic, payload).qos(QoS::ExactlyOnce).send().await?))
}

/// Writes down what it receives, until it is killed.
pub async fn subscribe(options: &Options) -> Result<(), Box<dyn Error>> {
    let (mut received, before) = Numbers::<2>::open(&options.directory, RECEIVED)?;
    let mut seen: HashSet<u64> = before.into_iter().map(|[delivery, _]| delivery).collect();
    let (client, run) = Client::new(client_options(options, "subscriber")?)?;
    log_status(&client);
    println!("restored {:?}", client.restored());
    let subscribe = client.subscribe("chaos/+", QoS::ExactlyOnce).acknowledge(Acknowledge::ByHand);
    let mut stream = subscribe.send().await?;
    tokio::spawn(run);
    // In a later life the broker knows it already.
    if seen.is_empty() {
        stream.confirmed().await?;
        println!("ready");
        std::io::stdout().flush()?;
    }
    while let Some(message) = stream.next().await {
        let delivery = message.delivery_number().ok_or("a message at QoS 2 has a number")?;
        if seen.insert(delivery) {
            received.append(&[[delivery, message.payload_str()?.parse()?]])?;
        }
        message.acknowledge()?;
    }
    Err("the stream has ended".into())
}
