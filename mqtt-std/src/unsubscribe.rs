//! Asking for no more messages.

use core::future::IntoFuture;
use core::pin::Pin;
use std::borrow::Cow;

use mqtt_core::TopicFilter;

use crate::client::Client;
use crate::error::Error;
use crate::subscription::told;

/// The end of a subscription that has no stream; see [`Client::unsubscribe`].
///
/// `.await` waits for the broker's answer.
#[derive(Clone, Debug)]
#[must_use = "a subscription is ended by `.await`"]
pub struct Unsubscribe<'a> {
    client: &'a Client,
    filter: Cow<'a, str>,
    user_properties: Vec<(String, String)>,
}

impl<'a> Unsubscribe<'a> {
    pub(crate) const fn new(client: &'a Client, filter: Cow<'a, str>) -> Self {
        Self { client, filter, user_properties: Vec::new() }
    }

    /// Adds a User Property of the UNSUBSCRIBE (5.0 §3.10.2.1.2), for the broker; the same name may come again.
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }
}

impl<'a> IntoFuture for Unsubscribe<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Dropped half-way, the broker may be asked all the same.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, filter, user_properties } = self;
            TopicFilter::new(&filter)?;
            let filters = vec![filter.into()];
            told(client.shared().command(|state, _| state.unsubscribe_and_tell(filters, user_properties))).await
        })
    }
}
