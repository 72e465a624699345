//! Whether a program is there, as a retained message that the broker corrects when the program dies.

use mqtt_std::{Client, Options, QoS, Status, Will};
use tokio::time::timeout;

/// Keeps "online" at a topic as long as the client is connected. When it is no longer, the broker says "offline" in its place.
///
/// ```no_run
/// # async fn f(options: mqtt_std::Options) -> mqtt_examples::Result<()> {
/// use mqtt_examples::Presence;
/// use mqtt_std::Client;
///
/// let presence = Presence::new("pump/7/status");
/// let client = Client::connect(presence.will(options)).await?;
/// presence.announce(&client);
/// // ...
/// presence.leave(&client).await?;
/// mqtt_examples::end(&client).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Presence {
    topic: String,
}

impl Presence {
    /// At this topic.
    #[must_use]
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into() }
    }

    /// Where it is told.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Adds the Last Will to the options.
    #[must_use]
    pub fn will(&self, options: Options) -> Options {
        options.will(Will::new(&self.topic, "offline").qos(QoS::AtLeastOnce).retain())
    }

    /// Says "online" now and after each reconnect, since the broker may have published the Will in between. A task does it, as
    /// long as the client lives.
    pub fn announce(&self, client: &Client) {
        let (client, topic, mut status) = (client.clone(), self.topic.clone(), client.status());
        tokio::spawn(async move {
            while status.wait_for(Status::is_connected).await.is_ok() {
                // Where a retained message is not wanted there is nothing to be done about it.
                let _ = client.publish(topic.as_str(), "online").qos(QoS::AtLeastOnce).retain().send().await;
                if status.wait_for(|status| !status.is_connected()).await.is_err() {
                    break;
                }
            }
        });
    }

    /// Says "offline", which DISCONNECT does not.
    ///
    /// # Errors
    /// The client has ended, or has had no room for it for 5 s.
    pub async fn leave(&self, client: &Client) -> crate::Result<()> {
        let offline = client.publish(self.topic.as_str(), "offline").qos(QoS::AtLeastOnce).retain();
        timeout(crate::PATIENCE, offline.send()).await??;
        Ok(())
    }
}
