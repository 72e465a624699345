//! Answering.

use bytes::Bytes;
use mqtt_core::{AnswerTo, TopicName};

use crate::client::Client;
use crate::error::Error;
use crate::message::Message;
use crate::publish::Publish;

impl Client {
    /// Prepares the answer to a request: a message to its Response Topic with its Correlation Data, at its QoS; or to the topic that
    /// its own topic names, as a request of 3.1.1 does (see [`Requests`](crate::Requests)). Whoever asks may name any topic, one that he may
    /// not publish to himself: where that matters look at [`Publish::topic`] first.
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_std::Client) -> Result<(), mqtt_std::Error> {
    /// # let mut requests = client.subscribe("pump/start", mqtt_std::QoS::AtLeastOnce).await?;
    /// while let Some(request) = requests.next().await {
    ///     client.respond(&request, "it runs")?.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotARequest`]: it asks for no answer.
    pub fn respond<'a>(&'a self, request: &'a Message, payload: impl Into<Bytes>) -> Result<Publish<'a>, Error> {
        let topic = TopicName::new(request.topic())?;
        let to = AnswerTo::request(topic, request.properties()).ok_or(Error::NotARequest)?;
        let publish = self.publish(to.topic.as_str(), payload).qos(request.qos());
        Ok(match to.properties.correlation_data() {
            Some(data) => publish.correlation_data(data),
            None => publish,
        })
    }
}
