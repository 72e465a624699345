//! Time that passes when a test says so.

use core::time::Duration;
use std::sync::mpsc;

/// Stops the time of the runtime of one thread that it is made on. Sockets work on.
///
/// With tokio's paused clock alone time leaps to the next deadline whenever all tasks wait, also for a socket; it does not
/// while a blocking task is running, and this one runs as long as the value lives.
pub(crate) struct Clock {
    _running: mpsc::Sender<()>,
}

impl Clock {
    pub(crate) fn stop() -> Self {
        tokio::time::pause();
        let (running, ended) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv().is_ok());
        Self { _running: running }
    }

    /// Lets it pass, and the others do what is due then.
    pub(crate) async fn pass(&self, duration: Duration) {
        // A millisecond more: timers round up.
        tokio::time::advance(duration + Duration::from_millis(1)).await;
        super::others().await;
    }
}

impl Clock {
    /// Lets time pass until this is over, and tells how much did.
    pub(crate) async fn until_over<T>(&self, future: impl Future<Output = T>) -> (T, Duration) {
        let begun = tokio::time::Instant::now();
        let mut future = core::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                value = &mut future => return (value, begun.elapsed()),
                () = self.pass(Duration::from_millis(99)) => {}
            }
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}
