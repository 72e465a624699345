//! From one broker to the other.

use std::sync::Arc;
use std::time::Duration;

use mqtt_examples::{Result, printable};
use mqtt_std::{
    Acknowledge, Error, Message, Outcome, Property, Publish, QoS, Receipt, RetainHandling, Subscription, TopicFilter,
    TopicName, WhenFull,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::side::{Can, Side};
use crate::topics::Prefixes;

/// A User Property with the names of the bridges that a message has passed.
const MARKER: &str = "bridge";

/// So many messages of a route are on their way to the other broker; the next ones wait on this side.
const WINDOW: usize = 1_000;

/// How long to wait when the other side has no room.
const ROOM: Duration = Duration::from_millis(20);

/// One direction of one line.
pub struct Route {
    pub from: Arc<Side>,
    pub to: Arc<Side>,
    pub filter: String,
    pub prefixes: Prefixes,
    pub qos: QoS,
}

impl Route {
    /// Forwards until it is told to stop, and then waits for what it has forwarded.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) -> Result<()> {
        let route = Arc::new(self);
        let mut settling = JoinSet::new();
        let ended = Arc::clone(&route).forward(&mut settling, &mut stopped).await;
        while let Some(settled) = settling.join_next().await {
            settled??;
        }
        ended
    }

    async fn forward(
        self: Arc<Self>,
        settling: &mut JoinSet<Result<()>>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let ready = async {
            let messages = self.subscribe().await?;
            // What can be said to the other broker is known once it was there.
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((messages, self.to.can().await?))
        };
        let (mut messages, can) = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            ready = ready => ready?,
        };
        loop {
            // What is taken is passed on.
            let message = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
                Some(settled) = settling.join_next() => {
                    settled??;
                    continue;
                }
                message = messages.next(), if settling.len() < WINDOW => match message {
                    Some(message) => message,
                    None => return Ok(()),
                },
            };
            let Some(topic) = self.topic(&message, can) else {
                self.is_over(&message);
                continue;
            };
            if message.qos().min(can.qos) == QoS::AtMostOnce {
                // Nobody waits for it.
                match self.publish(&topic, &message, can).try_send() {
                    Ok(_) => self.is_over(&message),
                    Err(error) => self.give_up(&message, &error),
                }
                continue;
            }
            let number = message.delivery_number();
            if number.is_some_and(|number| message.redelivered() && self.to.passed.lock().has(number)) {
                settling.spawn(Arc::clone(&self).settle_earlier(topic, message, can));
                continue;
            }
            match self.pass_on(&topic, &message, can).await {
                Ok(receipt) => drop(settling.spawn(Arc::clone(&self).settle(topic, message, can, receipt))),
                Err(Error::Closed) => return Ok(()),
                Err(error) => self.give_up(&message, &error),
            }
        }
    }

    /// Gives a message to the other side, as soon as there is room.
    async fn pass_on(&self, topic: &str, message: &Message, can: Can) -> std::result::Result<Receipt, Error> {
        let number = message.delivery_number();
        loop {
            let publish = self.publish(topic, message, can);
            match self.to.passed.lock().pass_on(number, || publish.try_send()) {
                Err(Error::Full) => {}
                accepted => return accepted,
            }
            tokio::time::sleep(ROOM).await;
        }
    }

    async fn subscribe(&self) -> Result<Subscription> {
        let from = self.from.can().await?;
        let subscribe = self.from.client.subscribe(&self.filter, self.qos).acknowledge(Acknowledge::ByHand);
        // What does not fit is not to be lost: the broker keeps it.
        let mut subscribe = subscribe.when_full(WhenFull::Disconnect);
        if from.v5 {
            subscribe = subscribe.no_local().retain_as_published().retain_handling(RetainHandling::SendIfNew);
        }
        let messages = subscribe.await.map_err(|error| format!("{}: {}: {error}", self.from.name, self.filter))?;
        println!("{} subscribed to {}", self.from.name, self.filter);
        Ok(messages)
    }

    /// The topic at the other broker; `None`: the bridge has published the message itself.
    fn topic(&self, message: &Message, can: Can) -> Option<String> {
        let bridge = &self.to.bridge;
        let level = format!("~{bridge}");
        let mut passed = message.user_properties().filter(|(name, _)| *name == MARKER);
        // Other bridges may have put their levels behind it.
        if passed.any(|(_, name)| name == bridge) || message.topic().split('/').any(|part| part == level) {
            return None;
        }
        let topic = self.prefixes.translate(message.topic())?;
        let comes_back = |filter: &String| {
            let (filter, topic) = (TopicFilter::new(filter), TopicName::new(&topic));
            matches!((filter, topic), (Ok(filter), Ok(topic)) if filter.matches(topic))
        };
        let is_marked = !can.v5 && self.to.filters.iter().any(comes_back);
        Some(if is_marked { topic + "/" + &level } else { topic })
    }

    fn publish<'a>(&'a self, topic: &'a str, message: &'a Message, can: Can) -> Publish<'a> {
        let publish = self.to.client.publish(topic, message.payload_bytes()).qos(message.qos().min(can.qos));
        let publish = if message.retain() && can.retain { publish.retain() } else { publish };
        let publish = match message.message_expiry_interval() {
            Some(seconds) => publish.message_expiry_interval(seconds),
            None => publish,
        };
        if !can.v5 {
            return publish;
        }
        let with_properties = message.properties().iter().fold(publish, |publish, property| match property {
            Property::PayloadFormatIndicator(1) => publish.payload_is_text(),
            Property::ContentType(kind) => publish.content_type(kind),
            Property::ResponseTopic(topic) => publish.response_topic(topic),
            Property::CorrelationData(data) => publish.correlation_data(data),
            Property::UserProperty(name, value) => publish.user_property(name, value),
            _ => publish,
        });
        with_properties.user_property(MARKER, &self.to.bridge)
    }

    /// Waits until the other broker has the message; then this one needs it no longer.
    async fn settle(self: Arc<Self>, topic: String, message: Message, can: Can, mut receipt: Receipt) -> Result<()> {
        loop {
            match receipt.await {
                Ok(_) => break,
                // It is in the store.
                Err(Error::Closed) => return Ok(()),
                Err(error @ Error::NotDelivered(Outcome::StoreFailed)) => return Err(error.into()),
                // The broker has lost the session, and nobody knows whether it had the message: rather twice than never.
                Err(Error::NotDelivered(Outcome::Unknown)) => {
                    receipt = match self.pass_on(&topic, &message, can).await {
                        Ok(receipt) => receipt,
                        Err(Error::Closed) => return Ok(()),
                        Err(error) => return Err(error.into()),
                    };
                }
                Err(error) => {
                    self.give_up(&message, &error);
                    return Ok(());
                }
            }
        }
        self.is_over(&message);
        Ok(())
    }

    /// A message that was passed on before the bridge ended: it is among those that the other side's store is still sending, or was.
    async fn settle_earlier(self: Arc<Self>, topic: String, message: Message, can: Can) -> Result<()> {
        while self.to.client.restored().publishes > 0 {
            tokio::time::sleep(ROOM).await;
        }
        if self.to.client.restored().failed == 0 {
            self.is_over(&message);
            return Ok(());
        }
        // Some were not delivered, and nobody knows which: rather twice than never.
        match self.pass_on(&topic, &message, can).await {
            Ok(receipt) => self.settle(topic, message, can, receipt).await,
            Err(Error::Closed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_over(&self, message: &Message) {
        // One at QoS 1 whose connection is gone comes again, and is published again: at least once.
        if message.acknowledge().is_ok() {
            if let Some(number) = message.delivery_number() {
                self.to.passed.lock().remove(number);
            }
        }
    }

    fn give_up(&self, message: &Message, error: &Error) {
        let (topic, error) = (printable(message.topic()), printable(&error.to_string()));
        eprintln!("{topic} is dropped, {} does not take it: {error}", self.to.name);
        self.is_over(message);
    }
}
