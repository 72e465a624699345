//! Publishing and subscribing: the builders of the asynchronous client, and a wait at their end.

use core::future::IntoFuture as _;
use core::time::Duration;
use std::borrow::Cow;

use mqtt_core::{QoS, RetainHandling, TopicAliasUse};

use super::home::Home;
use super::park::Until;
use super::{Client, Subscription};
use crate::delivery::{Acknowledge, WhenFull};
use crate::error::Error;
use crate::publish::Delivered;

/// Setters that are those of the builder inside.
macro_rules! setters {
    ($inner:ident: $($name:ident($($argument:ident: $kind:ty)?);)*) => {$(
        #[doc = concat!("See [`", stringify!($inner), "::", stringify!($name), "`](crate::", stringify!($inner), "::", stringify!($name), ").")]
        pub fn $name(self $(, $argument: $kind)?) -> Self {
            Self { inner: self.inner.$name($($argument)?), ..self }
        }
    )*};
}

/// A message about to be published; see [`Client::publish`].
#[derive(Debug)]
#[must_use = "a message is published by `wait` or `send`"]
pub struct Publish<'a> {
    pub(super) inner: crate::Publish<'a>,
    pub(super) home: &'a Home,
}

impl<'a> Publish<'a> {
    setters! { Publish:
        qos(qos: QoS);
        retain();
        message_expiry_interval(seconds: u32);
        deadline(within: Duration);
        topic_alias(topic_alias: TopicAliasUse);
        payload_is_text();
        content_type(content_type: &'a str);
        response_topic(topic: &'a str);
        correlation_data(data: &'a [u8]);
    }

    /// See [`Publish::user_property`](crate::Publish::user_property).
    pub fn user_property(self, name: &'a str, value: &'a str) -> Self {
        self.with(|inner| inner.user_property(name, value))
    }

    /// Changes it as the asynchronous one, which has every setter there is.
    pub fn with(self, change: impl FnOnce(crate::Publish<'a>) -> crate::Publish<'a>) -> Self {
        Self { inner: change(self.inner), ..self }
    }

    /// Waits until the message is delivered; see [`Receipt`](crate::Receipt).
    ///
    /// # Errors
    /// As for the asynchronous [`Publish`](crate::Publish); [`Error::Deadlock`], see [`Client::wait`].
    pub fn wait(self) -> Result<Delivered, Error> {
        self.home.wait(self.inner, Until::DONE)?
    }

    /// As [`wait`](Self::wait), for so long at most.
    ///
    /// # Errors
    /// [`Error::Timeout`] too: the message may be delivered all the same.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Delivered, Error> {
        self.home.wait(self.inner, Until::after(timeout))?
    }

    /// Waits until the message is accepted; see [`Publish::send`](crate::Publish::send).
    ///
    /// # Errors
    /// As there; [`Error::Deadlock`], see [`Client::wait`].
    pub fn send(self) -> Result<Receipt, Error> {
        let receipt = self.home.wait(self.inner.send(), Until::DONE)??;
        Ok(Receipt { inner: receipt, home: self.home.clone() })
    }

    /// Publishes now or not at all: never waits.
    ///
    /// # Errors
    /// As for [`Publish::try_send`](crate::Publish::try_send).
    pub fn try_send(self) -> Result<Receipt, Error> {
        Ok(Receipt { inner: self.inner.try_send()?, home: self.home.clone() })
    }
}

/// Tells what became of an accepted message; dropping it changes nothing for the message.
#[derive(Debug)]
pub struct Receipt {
    inner: crate::Receipt,
    home: Home,
}

impl Receipt {
    /// Takes the message back if it was never sent; see [`Receipt::cancel`](crate::Receipt::cancel).
    #[allow(clippy::must_use_candidate)] // the outcome tells it too
    pub fn cancel(&self) -> bool {
        self.inner.cancel()
    }

    /// Waits until the message is delivered, or cannot be any more.
    ///
    /// # Errors
    /// What became of it otherwise; [`Error::Deadlock`], see [`Client::wait`].
    pub fn wait(self) -> Result<Delivered, Error> {
        self.home.wait(self.inner, Until::DONE)?
    }

    /// As [`wait`](Self::wait), for so long at most; may be asked again after [`Error::Timeout`], and only then.
    ///
    /// # Errors
    /// [`Error::Timeout`] too.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Delivered, Error> {
        self.home.wait(&mut self.inner, Until::after(timeout))?
    }
}

/// A subscription about to be made; see [`Client::subscribe`].
#[derive(Debug)]
#[must_use = "a subscription is made by `wait` or `send`"]
pub struct Subscribe<'a> {
    pub(super) inner: crate::Subscribe<'a>,
    pub(super) client: &'a Client,
}

impl<'a> Subscribe<'a> {
    setters! { Subscribe:
        no_local();
        retain_as_published();
        retain_handling(retain_handling: RetainHandling);
        subscription_identifier(identifier: u32);
        capacity(messages: usize);
        capacity_bytes(bytes: usize);
        acknowledge(acknowledge: Acknowledge);
        when_full(when_full: WhenFull);
        streamed();
    }

    /// See [`Subscribe::and`](crate::Subscribe::and).
    pub fn and(self, filter: impl Into<Cow<'a, str>>, qos: QoS) -> Self {
        self.with(|inner| inner.and(filter, qos))
    }

    /// Changes it as the asynchronous one, which has every setter there is.
    pub fn with(self, change: impl FnOnce(crate::Subscribe<'a>) -> crate::Subscribe<'a>) -> Self {
        Self { inner: change(self.inner), ..self }
    }

    /// Waits until the broker has granted it.
    ///
    /// # Errors
    /// As for the asynchronous [`Subscribe`](crate::Subscribe); [`Error::Deadlock`], see [`Client::wait`].
    pub fn wait(self) -> Result<Subscription, Error> {
        let subscription = self.client.wait(self.inner.into_future())??;
        Ok(self.client.stream(subscription))
    }

    /// As [`wait`](Self::wait), for so long at most.
    ///
    /// # Errors
    /// [`Error::Timeout`] too: the subscription is undone.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Subscription, Error> {
        let subscription = self.client.wait_timeout(self.inner.into_future(), timeout)??;
        Ok(self.client.stream(subscription))
    }

    /// Waits until the broker is asked; see [`Subscribe::send`](crate::Subscribe::send). Its answer comes later:
    /// [`Subscription::confirmed`].
    ///
    /// # Errors
    /// As there; [`Error::Deadlock`], see [`Client::wait`].
    pub fn send(self) -> Result<Subscription, Error> {
        let subscription = self.client.wait(self.inner.send())??;
        Ok(self.client.stream(subscription))
    }
}
