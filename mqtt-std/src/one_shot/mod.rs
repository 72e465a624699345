//! A client for one job: connects, does it, says DISCONNECT. Each has a time to be done in, and tells what it has not done.
//!
//! ```
//! use mqtt_std::QoS;
//! use mqtt_std::one_shot::{self, Outgoing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = mqtt_std::testkit::Broker::start(Default::default()).await?;
//! # let url = broker.url();
//! # let url = url.as_str();
//! one_shot::publish(url, [Outgoing::new("cellar/stairlamp/cmd", "on").qos(QoS::ExactlyOnce).retain()]).await?;
//! let messages = one_shot::receive(url, "cellar/+/cmd", QoS::AtLeastOnce).count(1).await?;
//! assert_eq!(messages[0].payload_str()?, "on");
//! # Ok(())
//! # }
//! ```
//!
//! Where there is no `async`, `wait` stands in the place of `await`:
//!
//! ```no_run
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use mqtt_std::one_shot::{self, Outgoing};
//!
//! one_shot::publish("mqtt://localhost", [Outgoing::new("cellar/stairlamp/cmd", "on")]).wait()?;
//! # Ok(())
//! # }
//! ```

mod listen;
mod publish;
mod receive;

use core::time::Duration;

use mqtt_core::QoS;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::options::{IntoOptions, Options};
use crate::subscription::Subscription;

pub use listen::{Listen, listen};
pub use publish::{Outgoing, Publishing, Undelivered, publish};
pub use receive::{Incomplete, Receive, receive};

/// The time for a job, unless another is set.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a job that is done waits for its DISCONNECT.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is left until then.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

async fn connect(options: Result<Options, Error>, deadline: Instant) -> Result<Client, Error> {
    tokio::time::timeout_at(deadline, Client::connect(options?)).await.map_err(|_| Error::Timeout)?
}

/// Which messages a job is about.
#[derive(Clone, Debug)]
struct Filters {
    first: (String, QoS),
    more: Vec<(String, QoS)>,
}

impl Filters {
    fn new(filter: impl Into<String>, qos: QoS) -> Self {
        Self { first: (filter.into(), qos), more: Vec::new() }
    }

    async fn subscribe(&self, client: &Client) -> Result<Subscription, Error> {
        let (filter, qos) = &self.first;
        let first = client.subscribe(filter, *qos);
        self.more.iter().fold(first, |subscribe, (filter, qos)| subscribe.and(filter, *qos)).await
    }
}

/// Options are checked when the job begins.
fn options(options: impl IntoOptions) -> Result<Options, Error> {
    options.into_options()
}
