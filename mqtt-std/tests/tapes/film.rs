//! A tape in memory, and what is true of every tape.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use mqtt_std::tape::{Progress, Redact, Replayed, Tape, replay};
use tokio::time::timeout;

use super::support::PATIENCE;

/// A tape and its bytes.
#[derive(Clone)]
pub(crate) struct Film {
    pub(crate) tape: Tape,
    bytes: Arc<Mutex<Vec<u8>>>,
}

struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Film {
    pub(crate) fn new() -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        Self { tape: Tape::to_writer(Bytes(Arc::clone(&bytes))), bytes }
    }

    pub(crate) fn redact(mut self, redact: Redact) -> Self {
        self.tape = self.tape.redact(redact);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Its client has ended: all of it happens again.
    pub(crate) async fn develop(&self) -> Replayed {
        // Its thread has no virtual time; as long as one waits here, nobody else's goes on.
        let (tape, runtime) = (self.tape.clone(), tokio::runtime::Handle::current());
        let ended = tokio::task::spawn_blocking(move || runtime.block_on(tape.ended()));
        let status = timeout(PATIENCE, ended).await.expect("the tape does not end").unwrap();
        assert_eq!((status.progress, status.bytes), (Progress::Complete, self.bytes().len() as u64));
        let replayed = replay(&self.bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!(replayed.is_complete());
        assert!(replayed.states > 0, "the whole state was compared, at the end at least");
        replayed
    }

    /// As [`develop`](Self::develop); `MQTT_KEEP_TAPES` is a directory that it is written to.
    pub(crate) async fn keep(&self, name: &str) -> Replayed {
        let replayed = self.develop().await;
        if let Some(directory) = std::env::var_os("MQTT_KEEP_TAPES") {
            std::fs::write(PathBuf::from(directory).join(name).with_extension("tape"), self.bytes()).unwrap();
        }
        replayed
    }
}
