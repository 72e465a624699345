//! A broker for each test and each version, a link that can be cut, and what is waited for.

mod cable;
mod mosquitto;

use core::time::Duration;

use mqtt_std::{Backoff, Client, Message, Options, ProtocolVersion, Status, Subscription};
use tokio::time::timeout;

pub(crate) use cable::Cable;
pub(crate) use mosquitto::{Config, Mosquitto};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5_0;
pub(crate) const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
pub(crate) const BOTH: &[ProtocolVersion] = &[V5, V3];
pub(crate) const ALL: &[ProtocolVersion] = &[V5, V3, ProtocolVersion::V3_1];

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test in each of these versions, with a new broker.
pub(crate) fn run(versions: &[ProtocolVersion], config: Config, test: impl AsyncFn(&mut Mosquitto, ProtocolVersion)) {
    for &version in versions {
        let Some(mut broker) = Mosquitto::start(config) else { return };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let test = async { timeout(3 * PATIENCE, test(&mut broker, version)).await };
        assert!(runtime.block_on(test).is_ok(), "{version:?}: not over in time");
        runtime.shutdown_background();
    }
}

/// Options for a client that comes back soon.
pub(crate) fn options(port: u16, version: ProtocolVersion, client_identifier: &str) -> Options {
    let backoff = Backoff::new().minimum(20).maximum(200);
    Options::new("127.0.0.1", port).client_identifier(client_identifier).version(version).backoff(backoff)
}

pub(crate) async fn connect(broker: &Mosquitto, version: ProtocolVersion, client_identifier: &str) -> Client {
    Client::connect(options(broker.port(), version, client_identifier)).await.unwrap()
}

/// Ends a client that has nothing left to deliver.
pub(crate) async fn end(client: Client) {
    let end = timeout(PATIENCE, client.shutdown(PATIENCE)).await.expect("shutdown takes too long").unwrap();
    assert_eq!(end.undelivered, 0);
}

/// Leaves without a word, as a process that is killed does.
pub(crate) struct Mortal {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Mortal {
    pub(crate) async fn connect(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.spawn(Client::connect(options)).await.unwrap().unwrap();
        Self { runtime, client }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn die(self) {
        let mut status = self.client.status();
        self.runtime.shutdown_background();
        // The handle lives until its task is gone: it shall not say goodbye.
        while timeout(PATIENCE, status.changed()).await.expect("the runtime does not end").is_ok() {}
    }
}

#[track_caller]
pub(crate) fn next(stream: &mut Subscription) -> impl Future<Output = Message> {
    let caller = core::panic::Location::caller();
    async move {
        match timeout(PATIENCE, stream.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => panic!("the client has ended, at {caller}"),
            Err(_) => panic!("no message comes, at {caller}"),
        }
    }
}

/// The next message as text: `topic payload`.
#[track_caller]
pub(crate) fn next_line(stream: &mut Subscription) -> impl Future<Output = String> {
    let message = next(stream);
    async move {
        let message = message.await;
        format!("{} {}", message.topic(), message.payload_str().unwrap())
    }
}

/// Waits for a status and returns it.
#[track_caller]
pub(crate) fn status(client: &Client, wanted: impl Fn(&Status) -> bool) -> impl Future<Output = Status> {
    let caller = core::panic::Location::caller();
    let mut watch = client.status();
    async move {
        let found = timeout(PATIENCE, watch.wait_for(wanted)).await.map(|status| status.map(|status| status.clone()));
        match found {
            Ok(Ok(status)) => status,
            Ok(Err(_)) => panic!("the client has ended, at {caller}"),
            Err(_) => panic!("it stays {:?}, at {caller}", watch.borrow()),
        }
    }
}

pub(crate) fn is_connected(status: &Status) -> bool {
    matches!(status, Status::Connected { .. })
}
