//! Other programs, started without a shell: a name and a list of arguments, so that nothing in an argument means anything to anybody
//! but the program.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program that was asked to end has for it.
const GRACE: Duration = Duration::from_secs(2);

/// How long the output of a program that has ended is waited for: what it left running may hold it open.
const LATE_OUTPUT: Duration = Duration::from_millis(200);

/// A program that runs, with nothing on its standard input. It has a process group of its own, where there are such, so that Ctrl-C
/// does not reach it. Dropped, it is killed, with what it has started.
pub struct Process {
    child: Child,
    begun: Instant,
}

impl Process {
    /// Starts a program: `command` is its name and its arguments. To be called within the runtime.
    ///
    /// # Errors
    /// There is no name, or no such program, or it cannot be started.
    pub fn start(command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("a command has no name"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        Ok(Self { child, begun: Instant::now() })
    }

    /// What the system calls it; `None`: it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// For how long it has run.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Its output, once.
    pub fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for its end. May be dropped half-way.
    ///
    /// # Errors
    /// The system does not say.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end, and what it has started, by SIGTERM; kills it if it is still there after 2 s.
    ///
    /// # Errors
    /// The system does not say how it ended.
    pub async fn stop(&mut self) -> io::Result<ExitStatus> {
        self.ask_to_end()?;
        match timeout(GRACE, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill()?;
                self.child.wait().await
            }
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&self) -> io::Result<()> {
        self.signal(rustix::process::Signal::TERM)
    }

    #[cfg(unix)]
    fn kill(&self) -> io::Result<()> {
        self.signal(rustix::process::Signal::KILL)
    }

    /// Sends a signal to the group. As long as the child was not waited for, its number is nobody else's.
    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        match id.map(|id| rustix::process::kill_process_group(id, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) -> io::Result<()> {
        self.kill()
    }

    #[cfg(not(unix))]
    fn kill(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// How a program ended that [`run_to_end`] has run.
#[derive(Debug)]
pub struct Finished {
    /// As the system says it.
    pub status: ExitStatus,
    /// It was stopped because it took too long.
    pub timed_out: bool,
    /// What it wrote to its standard output and its standard error, as it came.
    pub output: Vec<u8>,
    /// It wrote more.
    pub truncated: bool,
    /// How long it ran.
    pub took: Duration,
}

/// Runs a program to its end: at most for `limit`, keeping at most `output` bytes of what it writes. Dropped half-way, the program is
/// killed.
///
/// # Errors
/// It cannot be started.
pub async fn run_to_end(command: &[String], limit: Duration, output: usize) -> io::Result<Finished> {
    let mut process = Process::start(command)?;
    let (stdout, stderr) = process.take_output();
    let mut kept = Kept { bytes: Vec::new(), room: output, truncated: false };
    let (status, timed_out) = {
        let mut reading = pin!(kept.read(stdout, stderr));
        let mut waiting = pin!(async {
            match timeout(limit, process.wait()).await {
                Ok(status) => status.map(|status| (status, false)),
                Err(_) => process.stop().await.map(|status| (status, true)),
            }
        });
        tokio::select! {
            // It may live on without any.
            () = &mut reading => waiting.await?,
            ended = &mut waiting => {
                let _ = timeout(LATE_OUTPUT, reading).await;
                ended?
            }
        }
    };
    Ok(Finished { status, timed_out, output: kept.bytes, truncated: kept.truncated, took: process.age() })
}

/// The beginning of what a program writes.
struct Kept {
    bytes: Vec<u8>,
    room: usize,
    truncated: bool,
}

impl Kept {
    /// Reads both to their ends; what does not fit is dropped, so that the program is not held up.
    async fn read(&mut self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) {
        let (mut stdout, mut stderr) = (stdout, stderr);
        let (mut first, mut second) = ([0; 4096], [0; 4096]);
        while stdout.is_some() || stderr.is_some() {
            tokio::select! {
                len = read_some(&mut stdout, &mut first), if stdout.is_some() => self.keep(&first[..len]),
                len = read_some(&mut stderr, &mut second), if stderr.is_some() => self.keep(&second[..len]),
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.room);
        self.bytes.extend_from_slice(&bytes[..len]);
        self.room -= len;
        self.truncated |= len < bytes.len();
    }
}

/// Reads something; at the end, or where that fails, the stream is gone.
async fn read_some(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = stream else { return 0 };
    let len = open.read(buffer).await.unwrap_or(0);
    if len == 0 {
        *stream = None;
    }
    len
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|&word| word.to_owned()).collect()
    }

    async fn run(command: &[&str], limit: u64, output: usize) -> Finished {
        run_to_end(&words(command), Duration::from_millis(limit), output).await.unwrap()
    }

    #[tokio::test]
    async fn an_argument_means_nothing_to_a_shell() {
        let finished = run(&["printf", "%s|%s", "$(touch x); `id` > y", "a b"], 10_000, 1_000).await;
        assert!(finished.status.success() && !finished.timed_out && !finished.truncated);
        assert_eq!(finished.output, b"$(touch x); `id` > y|a b");
    }

    #[tokio::test]
    async fn of_much_output_the_beginning_is_kept_and_the_program_goes_on() {
        let finished = run(&["sh", "-c", "head -c 1000000 /dev/zero; echo end >&2; exit 3"], 20_000, 10).await;
        assert_eq!((finished.status.code(), finished.output.len(), finished.truncated), (Some(3), 10, true));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_stopped_with_all_that_it_started() {
        // The inner one would hold the output open.
        let finished = run(&["sh", "-c", "echo begun; sleep 600 & sleep 600"], 100, 1_000).await;
        assert!(finished.timed_out && finished.status.code().is_none(), "{finished:?}");
        assert_eq!(finished.output, b"begun\n");
        assert!(finished.took < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn what_does_not_want_to_end_is_killed() {
        let finished = run(&["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], 100, 1_000).await;
        assert!(finished.timed_out && finished.took >= GRACE, "{finished:?}");
    }

    #[tokio::test]
    async fn what_is_left_running_holds_nothing_up() {
        let begun = Instant::now();
        let finished = run(&["sh", "-c", "sleep 5 & echo done"], 10_000, 1_000).await;
        assert!(finished.status.success() && finished.output == b"done\n");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error_that_names_it() {
        let error = run_to_end(&words(&["/nowhere/at-all"]), GRACE, 10).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/at-all"), "{error}");
        assert!(run_to_end(&[], GRACE, 10).await.is_err());
    }
}
