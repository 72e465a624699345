//! `mqtt-sub`.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream as _;
use mqtt_std::{
    Acknowledge, Client, Error, Message, ProtocolVersion, Status, Subscribe, Subscription, TopicFilter, TopicName,
};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use super::connect::{self, REMOVING, connected, given_up, leave};
use super::failure::{Failure, OTHER, REFUSED};
use super::options::Settings;
use super::output::Output;
use crate::Interrupt;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let other = |error| Failure::new(OTHER, error);
    let mut interrupt = Interrupt::new().map_err(other)?;
    let (client, driver) = Client::new(connect::options(&settings)?)?;
    // Before the connection, so that what a kept session brings finds them.
    let mut streams = Streams::begin(&client, &settings).await?;
    tokio::spawn(driver);
    let output = Output::begin(&settings).map_err(other)?;
    let received = interrupt.or(async {
        connected(&client).await?;
        let deadline = settings.timeout.map(|timeout| Instant::now() + timeout);
        let mut receiving = Receiving { client: &client, settings: &settings, output, count: 0 };
        tokio::select! {
            ended = receiving.run(&mut streams) => ended,
            () = until(deadline) => Err(Failure::timed_out()),
            failure = given_up(&client) => Err(failure),
        }
    });
    let received = received.await.unwrap_or(Ok(()));
    leave(&client).await?;
    received
}

/// Waits until then, or for ever.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// All that comes.
struct Streams {
    streams: Vec<Subscription>,
    /// What an earlier run of a kept session asked for, and this one does not.
    others: Option<Subscription>,
    /// The broker's answer was told.
    answered: bool,
    /// Why the broker does not want one of several subscriptions.
    refused: Option<Failure>,
}

impl Streams {
    async fn begin(client: &Client, settings: &Settings) -> Result<Self, Failure> {
        let mut streams = Vec::new();
        if let Some((first, more)) = settings.topics.split_first() {
            let mut all = subscribe(client, settings, first);
            for filter in more {
                all = all.and(filter, settings.qos);
            }
            streams.push(all.send().await?);
        }
        let others = settings.keep_session || settings.topics.is_empty();
        let others = if others { Some(listen(client).await?) } else { None };
        Ok(Self { streams, others, answered: false, refused: None })
    }

    /// Looks at the broker's answer. If it does not want one of several, the others are asked for one by one.
    async fn confirm(&mut self, client: &Client, settings: &Settings) -> Result<(), Failure> {
        let Some(stream) = self.streams.first_mut() else { return Ok(()) };
        match (stream.confirmed().await, settings.topics.as_slice()) {
            (Ok(_), _) => return Ok(()),
            (Err(Error::Rejected(answer)), [filter]) => {
                return Err(Failure::refused(format_args!("Subscription to {filter} refused"), answer.reason()));
            }
            (Err(Error::Rejected(_) | Error::NotDelivered(_)), [_, _, ..]) => {}
            // Why is told by `given_up`.
            (Err(_), _) if is_closed(client) => return std::future::pending().await,
            (Err(error), _) => return Err(error.into()),
        }
        self.streams.clear();
        for filter in &settings.topics {
            match subscribe(client, settings, filter).await {
                Ok(stream) => self.streams.push(stream),
                Err(Error::Rejected(answer)) => {
                    let refused = format_args!("Subscription to {filter} refused");
                    let failure = Failure::refused(refused, answer.reason());
                    if !settings.quiet {
                        eprintln!("{}", crate::printable(failure.text()));
                    }
                    self.refused.get_or_insert(failure);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.streams.is_empty() {
            return Err(Failure::new(REFUSED, "All subscription requests were denied."));
        }
        Ok(())
    }

    /// What comes next. May be dropped: nothing is lost.
    async fn next(&mut self) -> Arrival {
        std::future::poll_fn(|cx| {
            let mut ended = 0;
            for stream in self.streams.iter_mut().chain(&mut self.others) {
                match Pin::new(stream).poll_next(cx) {
                    Poll::Ready(Some(message)) => return Poll::Ready(Arrival::Message(message)),
                    Poll::Ready(None) => ended += 1,
                    Poll::Pending => {}
                }
            }
            // The streams have looked for the answer as well.
            let answered = self.streams.first().is_none_or(|stream| !stream.granted().is_empty());
            if !self.answered && (answered || ended > 0) {
                self.answered = true;
                return Poll::Ready(Arrival::Answer);
            }
            if self.answered && ended > 0 && ended >= self.streams.len() {
                return Poll::Ready(Arrival::End);
            }
            Poll::Pending
        })
        .await
    }
}

enum Arrival {
    Message(Message),
    /// The broker has answered, or the client has ended: [`Streams::confirm`] does not wait.
    Answer,
    /// No subscription is left.
    End,
}

fn subscribe<'a>(client: &'a Client, settings: &'a Settings, filter: &'a str) -> Subscribe<'a> {
    with_options(client.subscribe(filter, settings.qos), settings)
}

/// With what the settings say of a subscription; a message is acknowledged when it is printed.
pub(super) fn with_options<'a>(mut subscribe: Subscribe<'a>, settings: &'a Settings) -> Subscribe<'a> {
    // Of another version they are not said.
    if settings.version == ProtocolVersion::V5_0 {
        subscribe = subscribe.retain_handling(settings.retain_handling);
        if settings.retain_as_published {
            subscribe = subscribe.retain_as_published();
        }
        if let Some(identifier) = settings.properties.subscription_identifier {
            subscribe = subscribe.subscription_identifier(identifier);
        }
        for (name, value) in &settings.properties.subscribe {
            subscribe = subscribe.user_property(name, value);
        }
    }
    subscribe.acknowledge(Acknowledge::WhenTaken)
}

async fn listen(client: &Client) -> Result<Subscription, Error> {
    client.listen_unmatched().acknowledge(Acknowledge::WhenTaken).send().await
}

/// How long the broker's answer is waited for once everything was printed.
const ANSWER: Duration = Duration::from_secs(1);

fn is_closed(client: &Client) -> bool {
    matches!(&*client.status().borrow(), Status::Closed { .. })
}

/// `-U`.
async fn unsubscribe(client: &Client, settings: &Settings) -> Result<(), Failure> {
    for filter in &settings.unsubscribe {
        let mut unsubscribe = client.unsubscribe(filter);
        if settings.version == ProtocolVersion::V5_0 {
            for (name, value) in &settings.properties.unsubscribe {
                unsubscribe = unsubscribe.user_property(name, value);
            }
        }
        unsubscribe.await?;
    }
    Ok(())
}

/// What becomes of messages.
struct Receiving<'a> {
    client: &'a Client,
    settings: &'a Settings,
    output: Output,
    count: u64,
}

impl Receiving<'_> {
    /// Prints what comes. That begins before the broker has answered: of a kept session there may be so much before the answer that
    /// it does not come as long as nobody reads.
    async fn run(&mut self, streams: &mut Streams) -> Result<(), Failure> {
        let (client, settings) = (self.client, self.settings);
        let mut unsubscribing = std::pin::pin!(unsubscribe(client, settings));
        let (mut answered, mut unsubscribed) = (false, false);
        let second = Duration::from_secs(1);
        let mut seconds = interval_at(Instant::now() + second, second);
        loop {
            let last = tokio::select! {
                arrival = streams.next() => match arrival {
                    Arrival::Message(message) => self.is_last(&message).await?,
                    Arrival::Answer => {
                        streams.confirm(client, settings).await?;
                        answered = true;
                        false
                    }
                    Arrival::End => {
                        let gone = Failure::new(REFUSED, "The broker has ended the subscription.");
                        return if is_closed(client) { std::future::pending().await } else { Err(gone) };
                    }
                },
                ended = &mut unsubscribing, if answered && !unsubscribed => {
                    ended?;
                    unsubscribed = true;
                    settings.exit_after_subscribing
                }
                _ = seconds.tick(), if self.output.is_rate() => {
                    self.output.print_rate().map_err(|error| Failure::new(OTHER, error))?;
                    false
                }
            };
            if last {
                // Whether all of several filters were granted is part of how it ends.
                if !answered && settings.topics.len() > 1 {
                    let confirmed = timeout(ANSWER, streams.confirm(client, settings)).await;
                    confirmed.unwrap_or(Ok(()))?;
                }
                return streams.refused.take().map_or(Ok(()), Err);
            }
        }
    }

    /// Does what is to be done with a message, and tells whether it was the last one.
    async fn is_last(&mut self, message: &Message) -> Result<bool, Failure> {
        let Settings { retained_only, remove_retained, fresh_only, .. } = *self.settings;
        if retained_only && !message.retain() {
            return Ok(true);
        }
        if self.is_filtered_out(message) {
            return Ok(false);
        }
        if fresh_only && message.retain() {
            return Ok(false);
        }
        if remove_retained && message.retain() {
            self.client.publish(message.topic(), "").qos(REMOVING).retain().send().await?;
        }
        match self.output.print(message) {
            Ok(()) => {}
            // Whoever has read it wants no more.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(true),
            Err(error) => return Err(Failure::new(OTHER, error)),
        }
        self.count += 1;
        Ok(self.settings.count == Some(self.count))
    }

    fn is_filtered_out(&self, message: &Message) -> bool {
        let Ok(topic) = TopicName::new(message.topic()) else { return false };
        let mut filters = self.settings.filter_out.iter().filter_map(|filter| TopicFilter::new(filter).ok());
        filters.any(|filter| filter.matches(topic))
    }
}
