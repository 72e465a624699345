//! A service that handles commands and answers requests, and a program without `async` that uses it.
//!
//! ```text
//! cargo run --example service                                  # with a broker of its own, in the process
//! cargo run --example service -- mqtt://localhost              # with yours
//! ```

use std::error::Error;
use std::time::Duration;

use mqtt_examples::printable;
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{Client, OnFailure, QoS, Router, blocking, one_shot};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the service does.
fn service(publisher: Client) -> Result<Router> {
    let router = Router::new()
        // A command is acknowledged when it is done; one that cannot be done is refused.
        .acknowledge_handled(OnFailure::Reject)
        .on(("service/{lamp}/cmd", QoS::ExactlyOnce), move |message, captures| {
            let publisher = publisher.clone();
            async move {
                let state = message.payload_str()?;
                if !["on", "off"].contains(&state) {
                    return Err(format!("a lamp cannot be {state}").into());
                }
                let topic = format!("service/{}/status", captures.get("lamp").unwrap_or_default());
                publisher.publish(topic, message.payload_bytes()).qos(QoS::AtLeastOnce).retain().await?;
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            }
        })?
        .on_request("service/{lamp}/watts", |_, captures| async move {
            // Some lamps are larger than others.
            let name = captures.get("lamp").unwrap_or_default();
            (name.len() * 3).to_string()
        })?;
    Ok(router)
}

/// The program: no `async` from here on.
fn ask(url: &str) -> Result<()> {
    let client = blocking::Client::connect(url)?;
    let mut status = client.subscribe("service/+/status", QoS::AtLeastOnce).wait()?;
    for (lamp, state) in [("stairs", "on"), ("shelf", "on"), ("stairs", "off")] {
        client.publish(format!("service/{lamp}/cmd"), state).qos(QoS::ExactlyOnce).wait()?;
        let message = status.next_timeout(PATIENCE)?.ok_or("the client has ended")?;
        println!("program   {} is {}", printable(message.topic()), printable(message.payload_str()?));
    }
    // The broker has it, and the service refuses it and goes on.
    client.publish("service/shelf/cmd", "blue").qos(QoS::AtLeastOnce).wait()?;
    let requests = client.wait(client.as_async().requests())??;
    let answer = client.wait(requests.request("service/stairs/watts", "").deadline(PATIENCE))??;
    println!("program   the stairs take {} W", printable(answer.payload_str()?));
    drop(requests);
    client.shutdown(PATIENCE)?;

    // What the broker has kept, with a client for that alone.
    let kept = one_shot::receive(url, "service/+/status", QoS::AtLeastOnce).count(2).timeout(PATIENCE).wait()?;
    for message in kept {
        println!("kept      {} is {}", printable(message.topic()), printable(message.payload_str()?));
    }
    Ok(())
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut embedded = None;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => embedded.insert(runtime.block_on(Broker::start(BrokerOptions::new()))?).url(),
    };
    let client = runtime.block_on(Client::connect(url.as_str()))?;
    let router = service(client.clone())?;
    let serving = runtime.spawn(runtime.block_on(router.subscribe(&client))?.run());
    let asked = ask(&url);
    runtime.block_on(async {
        client.shutdown(PATIENCE).await?;
        serving.await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    let done = router.statistics();
    println!("service   {} handled, {} failed", done.handled, done.failed);
    if let Some(mut broker) = embedded {
        runtime.block_on(broker.shutdown());
    }
    asked
}
