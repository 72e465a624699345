//! One of the two brokers.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mqtt_examples::{Result, printable};
use mqtt_std::store::FileStore;
use mqtt_std::{Backoff, Client, Options, QoS, Status};

use crate::ledger::{Ledger, Passing, Shared};

/// A client, and what the bridge knows of its broker.
pub struct Side {
    pub name: &'static str,
    pub client: Client,
    /// What it is asked for.
    pub filters: Vec<String>,
    /// The bridge's own name, by which it knows what it has published.
    pub bridge: String,
    can: OnceLock<Can>,
    /// The messages of the other side that this one has.
    pub passed: Shared,
}

/// What the broker can do.
#[derive(Clone, Copy)]
pub struct Can {
    /// It speaks 5.0.
    pub v5: bool,
    pub qos: QoS,
    pub retain: bool,
}

impl Side {
    pub fn start(
        name: &'static str,
        options: Options,
        store: &Path,
        bridge: &str,
        filters: Vec<String>,
    ) -> Result<Arc<Self>> {
        // What is on its way, and what it is about, is nobody else's.
        let mut directory = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        directory.recursive(true).create(store)?;
        // First the one that no other bridge can have meanwhile.
        let log = FileStore::open(store.join(name)).map_err(|error| format!("{}: {error}", store.display()))?;
        let passed = Shared::new(Ledger::open(store.join(name).with_extension("passed"))?);
        let options = options
            .client_identifier(format!("{bridge}-{name}"))
            .session_expiry_interval(u32::MAX)
            .in_flight(u16::MAX)
            .backoff(Backoff::new().minimum(100).maximum(5_000))
            // A message for which the broker cuts the connection, each time, is not to hold up all others.
            .suspect_after(5)
            .store(Passing::new(log, passed.clone()));
        let client = Client::connect_retrying(options)?;
        let bridge = bridge.to_owned();
        Ok(Arc::new(Self { name, client, filters, bridge, can: OnceLock::new(), passed }))
    }

    /// Says how the connection is, until the client gives up.
    pub async fn watch(self: Arc<Self>) -> Result<()> {
        let mut status = self.client.status();
        loop {
            match &*status.borrow_and_update() {
                Status::Connected { version, session_present, .. } => {
                    println!("{} connected, {version:?}, session present: {session_present}", self.name);
                }
                Status::Waiting { error, .. } => println!("{} is away: {}", self.name, printable(&error.to_string())),
                Status::Closed { error: Some(error), .. } => return Err(format!("{}: {error}", self.name).into()),
                _ => {}
            }
            if status.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Waits until it is known what the broker can do: from the first connection on.
    pub async fn can(&self) -> Result<Can> {
        if let Some(can) = self.can.get() {
            return Ok(*can);
        }
        let mut status = self.client.status();
        let connected = status.wait_for(Status::is_connected).await.map_err(|_| "the client has ended")?;
        let Status::Connected { version, accepted, .. } = &*connected else { return Err("not connected".into()) };
        let limits = &accepted.limits;
        let can = Can { v5: version.is_v5(), qos: limits.maximum_qos, retain: limits.retain_available };
        Ok(*self.can.get_or_init(|| can))
    }

    pub async fn end(&self) -> Result<()> {
        self.client.shutdown(Duration::from_secs(1)).await?;
        Ok(())
    }
}
