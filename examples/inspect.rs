//! What a broker can do: what it says when one connects, and what it does when one tries.
//!
//! ```text
//! cargo run --example inspect
//! cargo run --example inspect -- mqtts://alice:secret@broker --bytes 1000000
//! ```
//!
//! First the versions that it speaks. Then what its CONNACK says in 5.0; what it does not say has the standard's default. Then some things are
//! tried, each with a client of its own, below `inspect/` and a random level, and with `--seconds` (default: 3) for each: a broker that promises
//! something need not keep it, and one of 3.1.1 promises nothing. With `--bytes` a message of that size is tried as well. Nothing stays
//! behind. What is refused says in whose words: those of the broker, or of this client, which does not send what the broker has
//! said that it does not take.

use std::error::Error;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mqtt_examples::{Arguments, Interrupt, Result, printable, run};
use mqtt_std::{Client, Options, ProtocolVersion, QoS, Status, Subscription};
use tokio::time::timeout;

/// What is tried, and its outcome in words.
type Trial<'a> = (&'static str, Pin<Box<dyn Future<Output = Result<String>> + Send + 'a>>);

fn main() -> ExitCode {
    run(inspect())
}

async fn inspect() -> Result<()> {
    let mut arguments = Arguments::new("inspect [BROKER] [--bytes N] [--seconds N]");
    let (mut bytes, mut seconds) = (None, 3);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "bytes" => bytes = Some(arguments.value()?),
            "seconds" => seconds = arguments.value()?,
            _ => return Err(arguments.unknown(&option)),
        }
    }
    let patience = Duration::from_secs(seconds);
    let options = arguments.broker()?.connect_timeout(patience);
    arguments.finish()?;

    let mut interrupt = Interrupt::new()?;
    let mut spoken = None;
    let mut failure = None;
    for (version, name) in
        [(ProtocolVersion::V5_0, "5.0"), (ProtocolVersion::V3_1_1, "3.1.1"), (ProtocolVersion::V3_1, "3.1")]
    {
        match Client::connect(options.clone().version(version)).await {
            Ok(client) => {
                say(&format!("MQTT {name}"), "spoken")?;
                spoken = spoken.or(Some(version));
                if version.is_v5() {
                    tell(&client)?;
                }
                client.shutdown(patience).await?;
            }
            Err(error) => {
                say(&format!("MQTT {name}"), &error.to_string())?;
                failure.get_or_insert(error);
            }
        }
    }
    let version = match (spoken, failure) {
        (Some(version), _) => version,
        (None, Some(error)) => return Err(error.into()),
        (None, None) => return Ok(()),
    };
    let broker = Broker::new(options, version, patience);
    for (name, outcome) in broker.trials(bytes) {
        // A trial that was begun is finished, and says goodbye.
        let outcome = outcome.await.unwrap_or_else(|error| format!("no: {error}"));
        say(name, &outcome)?;
        if interrupt.or(std::future::ready(())).await.is_none() {
            break;
        }
    }
    Ok(())
}

/// A line of the table. What a broker says does nothing to the terminal.
fn say(name: &str, value: &str) -> Result<()> {
    // Whoever reads it may have read enough.
    Ok(writeln!(std::io::stdout(), "{name:24} {}", printable(value))?)
}

/// What the broker said when it accepted the connection.
fn tell(client: &Client) -> Result<()> {
    let status = client.status();
    let Status::Connected { accepted, .. } = &*status.borrow() else { return Ok(()) };
    let limits = &accepted.limits;
    let yes = |available| if available { "yes" } else { "no" };
    let packet = limits.maximum_packet_size.map_or("no limit".to_owned(), |bytes| format!("{bytes} bytes"));
    let keep_alive = accepted.server_keep_alive.map_or("as asked".to_owned(), |seconds| format!("{seconds} s"));
    for (name, value) in [
        ("  keep alive", keep_alive),
        ("  session expiry", format!("{} s", limits.session_expiry_interval)),
        ("  receive maximum", limits.receive_maximum.to_string()),
        ("  maximum QoS", (limits.maximum_qos as u8).to_string()),
        ("  maximum packet size", packet),
        ("  topic aliases", limits.topic_alias_maximum.to_string()),
        ("  retained messages", yes(limits.retain_available).to_owned()),
        ("  wildcards", yes(limits.wildcard_subscription_available).to_owned()),
        ("  subscription ids", yes(limits.subscription_identifier_available).to_owned()),
        ("  shared subscriptions", yes(limits.shared_subscription_available).to_owned()),
    ] {
        say(name, &value)?;
    }
    if let Some(text) = &accepted.explanation.reason_string {
        say("  it says", text)?;
    }
    for (name, value) in &accepted.explanation.user_properties {
        say("  user property", &format!("{name}: {value}"))?;
    }
    Ok(())
}

/// What trials need.
struct Broker {
    options: Options,
    version: ProtocolVersion,
    patience: Duration,
    /// Below it nobody else is.
    topic: String,
}

impl Broker {
    fn new(options: Options, version: ProtocolVersion, patience: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let topic = format!("inspect/{:x}-{:x}", std::process::id(), now.as_nanos());
        Self { options: options.version(version), version, patience, topic }
    }

    fn trials(&self, bytes: Option<usize>) -> Vec<Trial<'_>> {
        let mut trials: Vec<Trial<'_>> = vec![
            ("no client identifier", Box::pin(self.try_without_identifier())),
            ("publish at QoS 0", Box::pin(self.try_publish(QoS::AtMostOnce, 1))),
            ("publish at QoS 1", Box::pin(self.try_publish(QoS::AtLeastOnce, 1))),
            ("publish at QoS 2", Box::pin(self.try_publish(QoS::ExactlyOnce, 1))),
            ("retained message", Box::pin(self.try_retained())),
            ("wildcard subscription", Box::pin(self.try_subscribe(format!("{}/+/#", self.topic)))),
            ("shared subscription", Box::pin(self.try_shared())),
            ("subscription to $SYS/#", Box::pin(self.try_subscribe("$SYS/#".to_owned()))),
            ("subscription to #", Box::pin(self.try_subscribe("#".to_owned()))),
        ];
        if self.version.is_v5() {
            trials.push(("No Local", Box::pin(self.try_no_local())));
        }
        if let Some(bytes) = bytes {
            trials.push(("message of that size", Box::pin(self.try_publish(QoS::AtLeastOnce, bytes))));
        }
        trials
    }

    /// Tries something with a client of its own.
    async fn with<T>(&self, options: Options, trial: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let client = Client::connect(options).await?;
        let tried = timeout(self.patience, trial(&client)).await;
        // What it has not answered is not to be waited for again.
        client.shutdown(Duration::ZERO).await?;
        match tried {
            Ok(tried) => tried,
            Err(_) => Err("no answer, or no connection any more".into()),
        }
    }

    async fn try_without_identifier(&self) -> Result<String> {
        let options = self.options.clone().client_identifier("");
        self.with(options, async |client| match &*client.status().borrow() {
            Status::Connected { accepted, .. } => Ok(match &accepted.assigned_client_identifier {
                Some(identifier) => format!("yes, it assigns one: {identifier}"),
                None => "yes".to_owned(),
            }),
            _ => Err("the connection is lost".into()),
        })
        .await
    }

    async fn try_publish(&self, qos: QoS, bytes: usize) -> Result<String> {
        let trial = async |client: &Client| {
            // Somebody has to get it: some brokers take what nobody gets.
            let mut messages = client.subscribe(&self.topic, qos).await?;
            client.publish(&self.topic, vec![b'x'; bytes]).qos(qos).await?;
            let message = next(&mut messages).await?;
            Ok(format!("yes, it comes at QoS {}", message.qos() as u8))
        };
        let largest = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(1 << 16);
        self.with(self.options.clone().maximum_packet_size(largest), trial).await
    }

    async fn try_retained(&self) -> Result<String> {
        self.with(self.options.clone(), async |client| {
            client.publish(&self.topic, "kept").qos(QoS::AtLeastOnce).retain().await?;
            let mut messages = client.subscribe(&self.topic, QoS::AtLeastOnce).await?;
            // Perhaps the message itself comes first, from a broker that is slow to pass it on.
            let kept = async {
                while !next(&mut messages).await?.retain() {}
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            };
            let kept = timeout(self.patience / 2, kept).await;
            client.publish(&self.topic, "").qos(QoS::AtLeastOnce).retain().await?;
            match kept {
                Ok(kept) => kept.map(|()| "yes".to_owned()),
                Err(_) => Err("it is not kept".into()),
            }
        })
        .await
    }

    async fn try_subscribe(&self, filter: String) -> Result<String> {
        self.with(self.options.clone(), async |client| {
            let messages = client.subscribe(filter, QoS::ExactlyOnce).await?;
            Ok(format!("yes, {}", messages.granted().first().map(ToString::to_string).unwrap_or_default()))
        })
        .await
    }

    async fn try_shared(&self) -> Result<String> {
        self.with(self.options.clone(), async |client| {
            // Some brokers grant it, and take it for a filter like any other.
            let mut messages = client.subscribe(format!("$share/inspect/{}", self.topic), QoS::AtLeastOnce).await?;
            client.publish(&self.topic, "").qos(QoS::AtLeastOnce).await?;
            match timeout(self.patience / 2, next(&mut messages)).await {
                Ok(message) => message.map(|_| "yes".to_owned()),
                Err(_) => Err("it is granted, and nothing comes".into()),
            }
        })
        .await
    }

    async fn try_no_local(&self) -> Result<String> {
        self.with(self.options.clone(), async |client| {
            let mut own = client.subscribe(&self.topic, QoS::AtLeastOnce).no_local().await?;
            let witness = format!("{}/witness", self.topic);
            let mut all = client.subscribe(&witness, QoS::AtLeastOnce).await?;
            client.publish(&self.topic, "").qos(QoS::AtLeastOnce).await?;
            client.publish(&witness, "").qos(QoS::AtLeastOnce).await?;
            // By the time that this is here the one before would be, too.
            next(&mut all).await?;
            match timeout(Duration::ZERO, own.next()).await {
                Err(_) => Ok("yes".to_owned()),
                Ok(_) => Err("what one publishes comes back".into()),
            }
        })
        .await
    }
}

async fn next(messages: &mut Subscription) -> Result<mqtt_std::Message> {
    Ok(messages.next().await.ok_or("the client has ended")?)
}
