//! `mqtt-pub`.

use std::collections::VecDeque;

use mqtt_std::{Client, Receipt};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::connect::{self, disconnected, given_up, leave};
use super::failure::{Failure, OTHER};
use super::input::{LONGEST, Payload};
use super::options::{Input, Settings};
use crate::Interrupt;

/// So many lines are under way at once.
const LINES: usize = 1_000;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(|error| Failure::new(OTHER, error))?;
    let payload = Payload::load(&settings).await?;
    let client = Client::connect(connect::options(&settings)?).await?;
    let published = interrupt.or(async {
        if settings.input == Some(Input::Lines) {
            // What waits is sent when the broker is back.
            tokio::select! {
                ended = lines(&client, &settings) => ended,
                failure = given_up(&client) => Err(failure),
            }
        } else {
            tokio::select! {
                ended = messages(&client, &settings, &payload) => ended,
                failure = disconnected(&client) => Err(failure),
            }
        }
    });
    let published = published.await.unwrap_or(Ok(()));
    payload.done();
    leave(&client).await?;
    published
}

/// One message, perhaps several times.
async fn messages(client: &Client, settings: &Settings, payload: &Payload) -> Result<(), Failure> {
    for round in 0..settings.repeat {
        if round > 0 {
            tokio::time::sleep(settings.repeat_delay).await;
        }
        payload.publish(client, settings).await?;
    }
    Ok(())
}

/// Each line of standard input; one that the broker refuses does not stop the others.
async fn lines(client: &Client, settings: &Settings) -> Result<(), Failure> {
    let mut input = BufReader::new(tokio::io::stdin());
    let (mut under_way, mut ended) = (VecDeque::<Receipt>::new(), Ok(()));
    loop {
        let mut line = Vec::new();
        // One that is longer than a message can be is several.
        let read = (&mut input).take(LONGEST).read_until(b'\n', &mut line).await;
        if read.map_err(|error| Failure::new(OTHER, format_args!("standard input: {error}")))? == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        under_way.push_back(Payload::Bytes(line.into()).publish(client, settings).send().await?);
        if under_way.len() > LINES {
            ended = ended.and(first(&mut under_way).await);
        }
    }
    while !under_way.is_empty() {
        ended = ended.and(first(&mut under_way).await);
    }
    ended
}

async fn first(under_way: &mut VecDeque<Receipt>) -> Result<(), Failure> {
    match under_way.pop_front() {
        Some(receipt) => Ok(receipt.await.map(drop)?),
        None => Ok(()),
    }
}
