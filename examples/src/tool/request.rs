//! `mqtt-rr`.

use mqtt_std::{Client, Error, Message, ProtocolVersion, Subscription};
use tokio::time::Instant;

use super::connect::{self, disconnected, leave};
use super::failure::{Failure, OTHER};
use super::input::Payload;
use super::options::Settings;
use super::output::Output;
use super::subscribe::{until, with_options};
use crate::Interrupt;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(|error| Failure::new(OTHER, error))?;
    let payload = Payload::load(&settings).await?;
    let client = Client::connect(connect::options(&settings)?).await?;
    let deadline = settings.timeout.map(|timeout| Instant::now() + timeout);
    let answered = interrupt.or(async {
        tokio::select! {
            answered = ask(&client, &settings, &payload) => answered,
            () = until(deadline) => Err(Failure::timed_out()),
            failure = disconnected(&client) => Err(failure),
        }
    });
    let answered = answered.await.unwrap_or(Ok(()));
    payload.done();
    leave(&client).await?;
    answered
}

async fn ask(client: &Client, settings: &Settings, payload: &Payload) -> Result<(), Failure> {
    let other = |error| Failure::new(OTHER, error);
    let response_topic = settings.response_topic.as_deref().unwrap_or_default();
    let mut output = Output::begin(settings).map_err(other)?;
    let subscribed = with_options(client.subscribe(response_topic, settings.qos), settings).await;
    let mut answers = subscribed.map_err(|error| match error {
        Error::Rejected(answer) => Failure::refused("Subscription to the response topic refused", answer.reason()),
        error => error.into(),
    })?;
    let begun = Instant::now();
    let mut request = payload.publish(client, settings);
    if settings.version == ProtocolVersion::V5_0 {
        request = request.response_topic(response_topic);
    }
    // The answer may be here before the acknowledgement.
    let receipt = request.send().await?;
    let answer = async {
        tokio::select! {
            biased;
            answer = answer(&mut answers, settings) => answer,
            refused = async {
                match receipt.await {
                    Ok(_) => std::future::pending().await,
                    Err(error) => error,
                }
            } => Err(refused.into()),
        }
    };
    output.print(&answer.await?).map_err(other)?;
    if settings.latency {
        println!("Latency: {:.6?}", begun.elapsed());
    }
    Ok(())
}

async fn answer(answers: &mut Subscription, settings: &Settings) -> Result<Message, Failure> {
    loop {
        let answer = answers.next().await.ok_or(Error::Closed)?;
        if !(settings.fresh_only && answer.retain()) {
            return Ok(answer);
        }
    }
}
