//! Somebody who visits a broker that others may use as well, and notes what is odd there.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use mqtt_std::transport::Server;
use mqtt_std::{Backoff, Client, Error, Options, Outcome, ProtocolVersion, Status};
use tokio::time::timeout;

use crate::waiting::PATIENCE;

/// What the broker does not do, and says so.
pub(crate) struct Lacks(pub(crate) String);

impl From<Error> for Lacks {
    /// The broker's refusal, or that of the client which knows the broker's limits. Anything else is a failure.
    #[track_caller]
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(_) | Error::Usage(_) | Error::NotDelivered(Outcome::Refused(_)) => Self(error.to_string()),
            _ => panic!("{error}"),
        }
    }
}

pub(crate) struct Guest {
    /// The broker's address.
    url: String,
    version: Option<ProtocolVersion>,
    /// Below it nobody else is.
    name: String,
    notes: Vec<String>,
}

/// Runs a check; the cell of the table, or why it failed.
pub(crate) fn run(
    url: &str,
    version: Option<ProtocolVersion>,
    check: fn(&mut Guest) -> Result<(), Lacks>,
) -> Result<String, String> {
    let mut guest = Guest::new(url, version);
    // A thread of its own: its panic is a row, and others still run.
    let checked = thread::spawn(move || (check(&mut guest), guest.notes)).join();
    match checked {
        Ok((Ok(()), notes)) if notes.is_empty() => Ok("ok".to_owned()),
        Ok((Ok(()), notes)) => Ok(format!("ok, borne: {}", notes.join("; "))),
        Ok((Err(Lacks(what)), _)) => Ok(format!("not supported: {what}")),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => Err(*text),
            Err(panic) => match panic.downcast::<&str>() {
                Ok(text) => Err((*text).to_owned()),
                Err(panic) => resume_unwind(panic),
            },
        },
    }
}

/// What a broker says that does not speak this version.
pub(crate) fn refusal(url: &str, version: ProtocolVersion) -> Option<String> {
    let guest = Guest::new(url, Some(version));
    block_on(async {
        match Client::connect(guest.options("version")).await {
            Ok(client) => {
                client.shutdown(PATIENCE).await.unwrap();
                None
            }
            Err(error @ (Error::Connection(_) | Error::ConnectionLost | Error::Rejected(_))) => Some(error.to_string()),
            Err(error) => panic!("no broker at {url}: {error}"),
        }
    })
}

impl Guest {
    fn new(url: &str, version: Option<ProtocolVersion>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("interop-{}-{number}", std::process::id());
        Self { url: url.to_owned(), version, name, notes: Vec::new() }
    }

    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version.unwrap()
    }

    /// As a program takes it.
    pub(crate) fn url(&self) -> String {
        format!("{}?version={}", self.url, if self.version().is_v5() { "5.0" } else { "3.1.1" })
    }

    pub(crate) fn server(&self) -> Server {
        self.url.parse().unwrap()
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// Something that the client bore; once in a table is enough.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// Options for a client that comes back soon.
    pub(crate) fn options(&self, name: &str) -> Options {
        self.for_client(self.url.parse().unwrap(), name)
    }

    /// As [`options`](Self::options), through a cable on this port.
    pub(crate) fn options_through(&self, port: u16, name: &str) -> Options {
        self.for_client(Options::new("127.0.0.1", port), name)
    }

    fn for_client(&self, options: Options, name: &str) -> Options {
        let options = options.client_identifier(format!("{}-{name}", self.name));
        let options = options.backoff(Backoff::new().minimum(20).maximum(200));
        match self.version {
            Some(version) => options.version(version),
            None => options,
        }
    }

    pub(crate) async fn connect(&self, name: &str) -> Client {
        Client::connect(self.options(name)).await.unwrap()
    }

    /// Ends a client that has nothing left to deliver, and notes what it had to bear.
    pub(crate) async fn end(&mut self, client: Client) {
        let ended = timeout(2 * PATIENCE, client.shutdown(PATIENCE)).await.expect("shutdown takes too long").unwrap();
        assert_eq!(ended.undelivered, 0, "undelivered at the end");
        let strays = client.statistics().stray_acknowledgements;
        if strays > 0 {
            self.note(format!("{strays} acknowledgements of nothing"));
        }
    }

    /// Whether the broker takes QoS 2, as far as it says.
    pub(crate) fn takes_qos_2(&self) -> bool {
        block_on(async {
            let client = self.connect("limits").await;
            let takes = match &*client.status().borrow() {
                Status::Connected { accepted, .. } => accepted.limits.maximum_qos == mqtt_std::QoS::ExactlyOnce,
                other => panic!("{other:?}"),
            };
            client.shutdown(PATIENCE).await.unwrap();
            takes
        })
    }
}

/// Runs a check to its end, which comes in time or is a failure.
pub(crate) fn block_on<T>(check: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async { timeout(4 * PATIENCE, check).await });
    runtime.shutdown_background();
    ended.expect("not over in time")
}
