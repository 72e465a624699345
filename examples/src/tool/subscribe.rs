//! `mqtt-sub`.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream as _;
use mqtt_std::{Acknowledge, Client, Error, Message, Subscribe, Subscription, TopicFilter, TopicName};
use tokio::time::{Instant, interval_at, sleep_until};

use super::connect::{self, REMOVING, connected, given_up, leave};
use super::failure::{Failure, OTHER};
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
        Ok(Self { streams, others, refused: None })
    }

    /// Waits for the broker's answer. If it does not want one of several, the others are asked for one by one.
    async fn confirm(&mut self, client: &Client, settings: &Settings) -> Result<(), Failure> {
        let Some(stream) = self.streams.first_mut() else { return Ok(()) };
        match (stream.confirmed().await, settings.topics.as_slice()) {
            (Ok(_), _) => return Ok(()),
            (Err(Error::Rejected(answer)), [filter]) => {
                return Err(Failure::refused(format_args!("Subscription to {filter} refused"), answer.reason()));
            }
            (Err(Error::Rejected(_) | Error::NotDelivered(_)), [_, _, ..]) => {}
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
            return Err(Failure::new(super::failure::REFUSED, "All subscription requests were denied."));
        }
        Ok(())
    }

    /// The next message; `None`: the client has ended.
    async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| {
            let mut open = 0;
            for stream in self.streams.iter_mut().chain(&mut self.others) {
                match Pin::new(stream).poll_next(cx) {
                    Poll::Ready(Some(message)) => return Poll::Ready(Some(message)),
                    Poll::Ready(None) => {}
                    Poll::Pending => open += 1,
                }
            }
            if open > 0 { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }
}

fn subscribe<'a>(client: &'a Client, settings: &'a Settings, filter: &'a str) -> Subscribe<'a> {
    with_options(client.subscribe(filter, settings.qos), settings)
}

/// With what the settings say of a subscription; a message is acknowledged when it is printed.
pub(super) fn with_options<'a>(mut subscribe: Subscribe<'a>, settings: &'a Settings) -> Subscribe<'a> {
    // Of another version they are not said.
    if settings.version == mqtt_std::ProtocolVersion::V5_0 {
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

/// What becomes of messages.
struct Receiving<'a> {
    client: &'a Client,
    settings: &'a Settings,
    output: Output,
    count: u64,
}

impl Receiving<'_> {
    async fn run(&mut self, streams: &mut Streams) -> Result<(), Failure> {
        streams.confirm(self.client, self.settings).await?;
        for filter in &self.settings.unsubscribe {
            self.client.unsubscribe(filter).await?;
        }
        if !self.settings.exit_after_subscribing {
            self.print_all(streams).await?;
        }
        streams.refused.take().map_or(Ok(()), Err)
    }

    async fn print_all(&mut self, streams: &mut Streams) -> Result<(), Failure> {
        let second = Duration::from_secs(1);
        let mut seconds = interval_at(Instant::now() + second, second);
        loop {
            let message = tokio::select! {
                message = streams.next() => message,
                _ = seconds.tick(), if self.output.is_rate() => {
                    self.output.print_rate().map_err(|error| Failure::new(OTHER, error))?;
                    continue;
                }
            };
            // Why there are no more is told by `given_up`.
            let Some(message) = message else { return std::future::pending().await };
            if self.is_last(&message).await? {
                return Ok(());
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
